//! The syntax of one value, with the error texts of Go's `strconv`, `time` and pflag.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use apimachinery::quantity::Quantity;

use super::Kind;

/// Checks one given text; the error is what follows `flag: `.
pub(super) fn check(kind: Kind, text: &str) -> Result<(), String> {
    match kind {
        Kind::Bool => parse_bool(text).map(drop),
        Kind::Version => match text {
            "raw" => Ok(()),
            other => parse_bool(other).map(drop),
        },
        Kind::Int(bits) => parse_int(text, bits).map(drop),
        Kind::Level => parse_int(text, 32).map(drop),
        Kind::Uint(bits) => parse_uint(text, bits).map(drop),
        Kind::Float => parse_float(text).map(drop),
        Kind::Duration => parse_duration(text).map(drop),
        Kind::IntSlice => split_list(text)
            .iter()
            .try_for_each(|word| parse_int(word, 32).map(drop)),
        Kind::Map => parse_map(text).map(drop),
        Kind::FeatureGates => {
            for (key, value) in parse_gates(text)? {
                parse_bool(&value).map_err(|error| format!("invalid value of {key}={value}, err: {error}"))?;
            }
            Ok(())
        }
        Kind::Ip => parse_ip(text).map(drop),
        Kind::IpPort => parse_ip_port(text).map(drop),
        Kind::PortRange => parse_port_range(text).map(drop),
        Kind::Vmodule => {
            text.split(',')
                .filter(|part| !part.is_empty())
                .try_for_each(|part| match part.split_once('=') {
                    Some((pattern, level)) if !pattern.is_empty() && !level.is_empty() => {
                        parse_int(level, 32).map(drop)
                    }
                    _ => Err("syntax error: expect comma-separated list of filename=N".to_owned()),
                })
        }
        Kind::Quantity => text.parse::<Quantity>().map(drop).map_err(|error| error.to_string()),
        Kind::NamedCertKey => parse_named_cert_key(text).map(drop),
        Kind::String | Kind::StringSlice | Kind::StringArray => Ok(()),
    }
}

/// A truth value as Go's `strconv.ParseBool` reads it.
///
/// # Errors
/// Any other text.
pub fn parse_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(syntax("ParseBool", text)),
    }
}

pub(super) fn parse_int(text: &str, bits: u32) -> Result<i64, String> {
    let (negative, digits) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let magnitude = digits_value(digits).map_err(|out_of_range| number_error("ParseInt", text, out_of_range))?;
    let value = if negative {
        -i128::from(magnitude)
    } else {
        i128::from(magnitude)
    };
    let limit = 1i128 << (bits - 1);
    if value < -limit || value >= limit {
        return Err(number_error("ParseInt", text, true));
    }
    i64::try_from(value).map_err(|_| number_error("ParseInt", text, true))
}

pub(super) fn parse_uint(text: &str, bits: u32) -> Result<u64, String> {
    let value = digits_value(text).map_err(|out_of_range| number_error("ParseUint", text, out_of_range))?;
    if bits < 64 && value >= 1u64 << bits {
        return Err(number_error("ParseUint", text, true));
    }
    Ok(value)
}

/// Go's base 0: a prefix chooses the base. The error says whether the number was too large.
fn digits_value(digits: &str) -> Result<u64, bool> {
    let lower = digits.to_ascii_lowercase();
    let (base, digits) = if let Some(rest) = lower.strip_prefix("0x") {
        (16, rest)
    } else if let Some(rest) = lower.strip_prefix("0b") {
        (2, rest)
    } else if let Some(rest) = lower.strip_prefix("0o") {
        (8, rest)
    } else if lower.len() > 1 && lower.starts_with('0') {
        (8, &lower[1..])
    } else {
        (10, lower.as_str())
    };
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(base)) {
        return Err(false);
    }
    u64::from_str_radix(digits, base).map_err(|_| true)
}

pub(super) fn parse_float(text: &str) -> Result<f64, String> {
    text.parse().map_err(|_| syntax("ParseFloat", text))
}

/// Go's `time.ParseDuration` as flags need it: no flag has a meaning for negative durations, they
/// count as zero.
///
/// # Errors
/// Go's text, such as `time: invalid duration "x"`.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let nanos = apimachinery::duration::parse(text).map_err(|error| error.to_string())?;
    Ok(Duration::from_nanos(nanos.max(0).unsigned_abs()))
}

pub(super) fn parse_ip(text: &str) -> Result<Option<IpAddr>, String> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    text.parse()
        .map(Some)
        .map_err(|_| format!("failed to parse IP: {text:?}"))
}

pub(super) fn parse_ip_port(text: &str) -> Result<(Option<IpAddr>, Option<u16>), String> {
    if text.is_empty() {
        return Ok((None, None));
    }
    if let Ok(ip) = text.parse() {
        return Ok((Some(ip), None));
    }
    let bad = || format!("{text} is not in a valid format (ip or ip:port)");
    let (host, port) = text.rsplit_once(':').ok_or_else(bad)?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let ip = host
        .parse()
        .map_err(|_| format!("{text:?} is not a valid IP address"))?;
    let port = port.parse().map_err(|_| format!("{text:?} is not a valid port"))?;
    Ok((Some(ip), Some(port)))
}

/// Low and high port, both inside; none for the empty text.
pub(super) fn parse_port_range(text: &str) -> Result<Option<(u16, u16)>, String> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let port = |word: &str| {
        word.parse::<u16>()
            .map_err(|_| format!("unable to parse port range: {text}: {}", syntax("ParseUint", word)))
    };
    let (low, high) = if let Some((low, high)) = text.split_once('-') {
        (port(low)?, port(high)?)
    } else if let Some((low, size)) = text.split_once('+') {
        let low = port(low)?;
        (low, low.saturating_add(port(size)?))
    } else {
        (port(text)?, port(text)?)
    };
    if low > high {
        return Err(format!("end port cannot be less than start port: {text}"));
    }
    Ok(Some((low, high)))
}

/// A comma list with CSV quotes, as pflag's string slice.
#[must_use]
pub fn split_list(text: &str) -> Vec<String> {
    if text.is_empty() {
        return Vec::new();
    }
    let mut words = vec![String::new()];
    let mut quoted = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let word = words.last_mut().expect("the list starts with one word");
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                word.push('"');
            }
            '"' if quoted || word.is_empty() => quoted = !quoted,
            ',' if !quoted => words.push(String::new()),
            other => word.push(other),
        }
    }
    words
}

pub(super) fn parse_map(text: &str) -> Result<Vec<(String, String)>, String> {
    split_list(text)
        .into_iter()
        .filter(|pair| !pair.trim().is_empty())
        .map(|pair| {
            let (key, value) = pair
                .split_once('=')
                .ok_or_else(|| format!("malformed pair, expect string=string: {}", pair.trim()))?;
            Ok((key.trim().to_owned(), value.trim().to_owned()))
        })
        .collect()
}

/// Pairs of `--feature-gates`, the `component:` prefix taken off.
pub(super) fn parse_gates(text: &str) -> Result<Vec<(String, String)>, String> {
    split_list(text)
        .into_iter()
        .filter(|pair| !pair.trim().is_empty())
        .map(|pair| {
            let (key, value) = pair
                .split_once('=')
                .ok_or_else(|| format!("missing bool value for {}", pair.trim()))?;
            let key = key.rsplit(':').next().unwrap_or(key);
            Ok((key.trim().to_owned(), value.trim().to_owned()))
        })
        .collect()
}

/// A certificate for names, from a `--tls-sni-cert-key`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamedCertKey {
    /// PEM file of the certificate.
    pub cert: PathBuf,
    /// PEM file of its key.
    pub key: PathBuf,
    /// Host names, wildcards and addresses it is for; empty: those that the certificate says.
    pub names: Vec<String>,
}

/// Upstream `component-base/cli/flag/namedcertkey_flag.go`.
pub(super) fn parse_named_cert_key(text: &str) -> Result<NamedCertKey, String> {
    let (files, names) = match text.split_once(':') {
        Some((files, names)) => (files, Some(names.trim())),
        None => (text, None),
    };
    if names == Some("") {
        return Err("empty names list is not allowed".to_owned());
    }
    let files: Vec<&str> = files.trim().split(',').map(str::trim).collect();
    let [cert, key] = files[..] else {
        return Err("expected comma separated certificate and key file paths".to_owned());
    };
    let names = names.into_iter().flat_map(|names| names.split(','));
    Ok(NamedCertKey {
        cert: cert.into(),
        key: key.into(),
        names: names.map(|name| name.trim().to_owned()).collect(),
    })
}

fn syntax(function: &str, text: &str) -> String {
    number_error(function, text, false)
}

fn number_error(function: &str, text: &str, out_of_range: bool) -> String {
    let reason = if out_of_range {
        "value out of range"
    } else {
        "invalid syntax"
    };
    format!("strconv.{function}: parsing {text:?}: {reason}")
}
