//! Go's text form of durations: `1h2m3.5s` (Go: `time.ParseDuration`, `time.Duration.String`).
//!
//! Values are signed nanoseconds, as in Go.

use std::time::Duration;

use crate::field::quote;

/// Why a text is no duration. The text is Go's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ParseError(String);

/// Parses a duration to nanoseconds.
///
/// # Errors
/// Go's text when the syntax is wrong, a unit is missing or unknown, or the value leaves `i64`.
pub fn parse(text: &str) -> Result<i64, ParseError> {
    let wrong = || ParseError(format!("time: invalid duration {}", quote(text)));
    let (negative, mut rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(wrong());
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (whole, tail) = rest.split_at(digits);
        let (fraction, tail) = match tail.strip_prefix('.') {
            Some(tail) => tail.split_at(tail.bytes().take_while(u8::is_ascii_digit).count()),
            None => ("", tail),
        };
        if whole.is_empty() && fraction.is_empty() {
            return Err(wrong());
        }
        let unit_len = tail.bytes().take_while(|b| *b != b'.' && !b.is_ascii_digit()).count();
        let (unit, tail) = tail.split_at(unit_len);
        let nanos: i128 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            "" => return Err(ParseError(format!("time: missing unit in duration {}", quote(text)))),
            other => {
                return Err(ParseError(format!(
                    "time: unknown unit {} in duration {}",
                    quote(other),
                    quote(text)
                )));
            }
        };
        let whole: i128 = if whole.is_empty() {
            0
        } else {
            whole.parse::<u64>().map_err(|_| wrong())?.into()
        };
        total += whole * nanos;
        // Digits below a nanosecond are cut off.
        let (mut part, mut size): (i128, i128) = (0, 1);
        for digit in fraction.bytes().take(18) {
            part = part * 10 + i128::from(digit - b'0');
            size *= 10;
        }
        total += part * nanos / size;
        if total > i128::from(i64::MAX) + i128::from(negative) {
            return Err(wrong());
        }
        rest = tail;
    }
    let total = if negative { -total } else { total };
    i64::try_from(total).map_err(|_| wrong())
}

/// Prints nanoseconds as Go does: `1h0m0s`, `1.5s`, `100ms`, `0s`.
pub fn format(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let abs = nanos.unsigned_abs();
    if abs == 0 {
        return "0s".to_owned();
    }
    if abs < 1_000_000_000 {
        let (unit, size) = match abs {
            0..1_000 => return format!("{sign}{abs}ns"),
            1_000..1_000_000 => ("µs", 1_000),
            _ => ("ms", 1_000_000),
        };
        return format!("{sign}{}{unit}", with_fraction(abs / size, abs % size, size));
    }
    let seconds = abs / 1_000_000_000;
    let tail = with_fraction(seconds % 60, abs % 1_000_000_000, 1_000_000_000);
    match (seconds / 3600, seconds / 60 % 60) {
        (0, 0) => format!("{sign}{tail}s"),
        (0, minutes) => format!("{sign}{minutes}m{tail}s"),
        (hours, minutes) => format!("{sign}{hours}h{minutes}m{tail}s"),
    }
}

/// Prints a duration as Go does, capped at 292 years.
pub fn format_std(duration: Duration) -> String {
    format(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX))
}

fn with_fraction(whole: u64, rest: u64, size: u64) -> String {
    if rest == 0 {
        return whole.to_string();
    }
    let width = size.ilog10() as usize;
    let text = format!("{whole}.{rest:0width$}");
    text.trim_end_matches('0').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_go_both_ways() {
        for (text, nanos, printed) in [
            ("0", 0, "0s"),
            ("5s", 5_000_000_000, "5s"),
            ("30s", 30_000_000_000, "30s"),
            ("5.0s", 5_000_000_000, "5s"),
            ("1h", 3_600_000_000_000, "1h0m0s"),
            ("-1.5h", -5_400_000_000_000, "-1h30m0s"),
            ("1h2m3.5s", 3_723_500_000_000, "1h2m3.5s"),
            ("100ms", 100_000_000, "100ms"),
            ("1.5us", 1_500, "1.5µs"),
            (".5s", 500_000_000, "500ms"),
            ("3ns", 3, "3ns"),
            ("0.9999999999s", 999_999_999, "999.999999ms"),
            ("9223372036854775807ns", i64::MAX, "2562047h47m16.854775807s"),
            ("-9223372036854775808ns", i64::MIN, "-2562047h47m16.854775808s"),
        ] {
            assert_eq!(parse(text), Ok(nanos), "{text}");
            assert_eq!(format(nanos), printed);
        }
    }

    #[test]
    fn wrong_texts_get_gos_words() {
        for (text, message) in [
            ("", "time: invalid duration \"\""),
            ("3", "time: missing unit in duration \"3\""),
            ("3x", "time: unknown unit \"x\" in duration \"3x\""),
            (".s", "time: invalid duration \".s\""),
            (
                "9223372036854775808ns",
                "time: invalid duration \"9223372036854775808ns\"",
            ),
        ] {
            assert_eq!(parse(text).map_err(|e| e.to_string()), Err(message.to_owned()));
        }
    }
}
