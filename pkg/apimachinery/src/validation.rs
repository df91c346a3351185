//! Grammars of names and other short texts (upstream: apimachinery `util/validation`, `api/validate/content`).
//!
//! Each check returns what is wrong, in upstream's words; an empty list means valid. Callers attach a field path.

mod ip;
#[cfg(test)]
mod tests;

pub use ip::{
    cidr_warnings, ip_warnings, is_legacy_cidr, is_legacy_ip, is_strict_cidr, is_strict_ip, is_valid_interface_address,
    sloppy_cidr, sloppy_ip,
};

/// Longest DNS label.
pub const DNS1123_LABEL_MAX: usize = 63;
/// Longest DNS subdomain.
pub const DNS1123_SUBDOMAIN_MAX: usize = 253;
/// Longest label value.
pub const LABEL_VALUE_MAX: usize = 63;

const LABEL_FMT: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const LABEL_MSG: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character";
const SUBDOMAIN_FMT: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
const SUBDOMAIN_MSG: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character";
const DNS1035_FMT: &str = "[a-z]([-a-z0-9]*[a-z0-9])?";
const DNS1035_MSG: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character";
const WILDCARD_MSG: &str = "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character";
const KEY_FMT: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
const KEY_MSG: &str =
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";
const VALUE_MSG: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";
const HEADER_MSG: &str = "a valid HTTP header must consist of alphanumeric characters or '-'";
const RELAXED_ENV_MSG: &str =
    "a valid environment variable name must consist only of printable ASCII characters other than '='";
const CONFIG_KEY_MSG: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'";
const PERCENT_MSG: &str = "a valid percent string must be a numeric string followed by an ending '%'";
const C_IDENTIFIER_MSG: &str = "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric characters or '_'";

// === names ===

/// A DNS label (RFC 1123).
pub fn is_dns1123_label(value: &str) -> Vec<String> {
    let mut out = too_long(value, DNS1123_LABEL_MAX);
    if !label(value) {
        if subdomain(value) {
            out.push("must not contain dots".to_owned());
        } else {
            out.push(regex_error(LABEL_MSG, LABEL_FMT, &["my-name", "123-abc"]));
        }
    }
    out
}

/// A DNS subdomain (RFC 1123): the name of most objects.
pub fn is_dns1123_subdomain(value: &str) -> Vec<String> {
    let mut out = too_long(value, DNS1123_SUBDOMAIN_MAX);
    if !subdomain(value) {
        out.push(regex_error(SUBDOMAIN_MSG, SUBDOMAIN_FMT, &["example.com"]));
    }
    out
}

/// A DNS label (RFC 1035), which starts with a letter: the name of a Service.
pub fn is_dns1035_label(value: &str) -> Vec<String> {
    let mut out = too_long(value, DNS1123_LABEL_MAX);
    if !(label(value) && value.as_bytes()[0].is_ascii_lowercase()) {
        out.push(regex_error(DNS1035_MSG, DNS1035_FMT, &["my-name", "abc-123"]));
    }
    out
}

/// A DNS subdomain behind `*.`: the host of an Ingress.
pub fn is_wildcard_dns1123_subdomain(value: &str) -> Vec<String> {
    let mut out = too_long(value, DNS1123_SUBDOMAIN_MAX);
    if !value.strip_prefix("*.").is_some_and(subdomain) {
        out.push(regex_error(
            WILDCARD_MSG,
            &format!("\\*\\.{SUBDOMAIN_FMT}"),
            &["*.example.com"],
        ));
    }
    out
}

/// A label key: an optional DNS subdomain and `/`, then a name.
pub fn is_qualified_name(value: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut parts = value.split('/');
    let name = match (parts.next(), parts.next(), parts.next()) {
        (Some(name), None, _) => name,
        (Some(prefix), Some(name), None) => {
            if prefix.is_empty() {
                out.push("prefix part must be non-empty".to_owned());
            } else {
                // Upstream counts the same letters as bytes here, as characters elsewhere.
                let said = is_dns1123_subdomain(prefix).into_iter();
                out.extend(said.map(|text| format!("prefix part {}", text.replace("253 characters", "253 bytes"))));
            }
            name
        }
        _ => {
            let text = regex_error(KEY_MSG, KEY_FMT, KEY_EXAMPLES);
            out.push(format!(
                "a valid label key {text} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
            ));
            return out;
        }
    };
    if name.is_empty() {
        out.push("name part must be non-empty".to_owned());
    } else if name.len() > 63 {
        out.push(format!("name part {}", max_len_error(63)));
    }
    if !key(name) {
        out.push(format!("name part {}", regex_error(KEY_MSG, KEY_FMT, KEY_EXAMPLES)));
    }
    out
}

const KEY_EXAMPLES: &[&str] = &["MyName", "my.name", "123-abc"];

/// A label value; may be empty.
pub fn is_valid_label_value(value: &str) -> Vec<String> {
    let mut out = Vec::new();
    if value.len() > LABEL_VALUE_MAX {
        out.push(max_len_error(LABEL_VALUE_MAX));
    }
    if !value.is_empty() && !key(value) {
        out.push(regex_error(
            VALUE_MSG,
            &format!("({KEY_FMT})?"),
            &["MyValue", "my_value", "12345"],
        ));
    }
    out
}

/// A domain of at least three labels.
pub fn is_fully_qualified_name(value: &str) -> Vec<String> {
    let out = is_dns1123_subdomain(value);
    if out.is_empty() && value.split('.').count() < 3 {
        return vec!["should be a domain with at least three segments separated by dots".to_owned()];
    }
    out
}

/// An identifier as in C.
pub fn is_c_identifier(value: &str) -> Vec<String> {
    let word = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
    if !value.is_empty() && value.bytes().all(|b| word(&b)) && !value.as_bytes()[0].is_ascii_digit() {
        return Vec::new();
    }
    vec![regex_error(
        C_IDENTIFIER_MSG,
        "[A-Za-z_][A-Za-z0-9_]*",
        &["my_name", "MY_NAME", "MyName"],
    )]
}

// === numbers ===

/// A port number, 1 to 65535.
pub fn is_valid_port(port: i64) -> Vec<String> {
    is_in_range(port, 1, 65535)
}

/// A number within bounds, both included.
pub fn is_in_range(value: i64, low: i64, high: i64) -> Vec<String> {
    if (low..=high).contains(&value) {
        Vec::new()
    } else {
        vec![inclusive_range_error(low, high)]
    }
}

/// A Unix user or group id.
pub fn is_valid_unix_id(id: i64) -> Vec<String> {
    is_in_range(id, 0, i64::from(i32::MAX))
}

/// A percentage such as `25%`.
pub fn is_valid_percent(value: &str) -> Vec<String> {
    let digits = value.strip_suffix('%').unwrap_or_default();
    if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
        return Vec::new();
    }
    vec![regex_error(PERCENT_MSG, "[0-9]+%", &["1%", "93%"])]
}

// === other texts ===

/// A port name (IANA service name).
pub fn is_valid_port_name(value: &str) -> Vec<String> {
    let mut out = too_long(value, 15);
    if value.is_empty() || !value.bytes().all(|b| b == b'-' || lower_alnum(b)) {
        out.push("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)".to_owned());
    }
    if !value.bytes().any(|b| b.is_ascii_lowercase()) {
        out.push("must contain at least one letter (a-z)".to_owned());
    }
    if value.contains("--") {
        out.push("must not contain consecutive hyphens".to_owned());
    }
    if value.starts_with('-') || value.ends_with('-') {
        out.push("must not begin or end with a hyphen".to_owned());
    }
    out
}

/// The name of an environment variable, by the rule since `RelaxedEnvironmentVariableValidation`.
pub fn is_relaxed_env_var_name(value: &str) -> Vec<String> {
    let mut out = Vec::new();
    if value.is_empty() {
        out.push("environment variable name must be non-empty".to_owned());
    }
    if value.chars().any(|c| !(' '..='~').contains(&c) || c == '=') {
        out.push(RELAXED_ENV_MSG.to_owned());
    }
    out
}

/// A key of a ConfigMap or Secret.
pub fn is_config_map_key(value: &str) -> Vec<String> {
    let mut out = too_long(value, DNS1123_SUBDOMAIN_MAX);
    if value.is_empty()
        || !value
            .bytes()
            .all(|b| matches!(b, b'-' | b'.' | b'_') || b.is_ascii_alphanumeric())
    {
        out.push(regex_error(
            CONFIG_KEY_MSG,
            "[-._a-zA-Z0-9]+",
            &["key.name", "KEY_NAME", "key-name"],
        ));
    }
    out.extend(dot_prefix(value));
    out
}

/// The name of an HTTP header.
pub fn is_http_header_name(value: &str) -> Vec<String> {
    if !value.is_empty() && value.bytes().all(|b| b == b'-' || b.is_ascii_alphanumeric()) {
        return Vec::new();
    }
    vec![regex_error(HEADER_MSG, "[-A-Za-z0-9]+", &["X-Header-Name"])]
}

/// A segment of a URL path: the weakest rule for an object's name (upstream: `path.ValidatePathSegmentName`).
pub fn is_path_segment_name(value: &str) -> Vec<String> {
    if value == "." || value == ".." {
        return vec![format!("may not be '{value}'")];
    }
    let found: Vec<&str> = ["/", "%"].into_iter().filter(|one| value.contains(one)).collect();
    found
        .into_iter()
        .map(|one| format!("may not contain '{one}'"))
        .collect()
}

// === texts ===

/// `must be no more than N bytes`: of label keys and values (`content.MaxLenError`).
pub fn max_len_error(max: usize) -> String {
    format!("must be no more than {max} bytes")
}

/// `must be between A and B, inclusive`.
pub fn inclusive_range_error(low: i64, high: i64) -> String {
    format!("must be between {low} and {high}, inclusive")
}

/// The message, examples and the regular expression, put together as upstream does.
pub fn regex_error(message: &str, format: &str, examples: &[&str]) -> String {
    if examples.is_empty() {
        return format!("{message} (regex used for validation is '{format}')");
    }
    let examples: Vec<String> = examples.iter().map(|one| format!("'{one}', ")).collect();
    format!(
        "{message} (e.g. {}regex used for validation is '{format}')",
        examples.join(" or ")
    )
}

// === grammars ===

/// `validation.MaxLenError`
fn too_long(value: &str, max: usize) -> Vec<String> {
    if value.len() > max {
        vec![format!("must be no more than {max} characters")]
    } else {
        Vec::new()
    }
}

fn lower_alnum(b: u8) -> bool {
    b.is_ascii_lowercase() || b.is_ascii_digit()
}

fn label(value: &str) -> bool {
    let bytes = value.as_bytes();
    match (bytes.first(), bytes.last()) {
        (Some(&first), Some(&last)) => {
            lower_alnum(first) && lower_alnum(last) && bytes.iter().all(|&b| lower_alnum(b) || b == b'-')
        }
        _ => false,
    }
}

fn subdomain(value: &str) -> bool {
    value.split('.').all(label)
}

fn key(value: &str) -> bool {
    let bytes = value.as_bytes();
    match (bytes.first(), bytes.last()) {
        (Some(first), Some(last)) => {
            let inner = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
            first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() && bytes.iter().all(inner)
        }
        _ => false,
    }
}

fn dot_prefix(value: &str) -> Option<String> {
    match value {
        "." => Some("must not be '.'".to_owned()),
        ".." => Some("must not be '..'".to_owned()),
        _ if value.starts_with("..") => Some("must not start with '..'".to_owned()),
        _ => None,
    }
}
