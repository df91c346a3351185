//! Cases as text, one file per kind. A case is
//!
//! ```text
//! == what is wrong
//! old {"/spec/x": 1}        (updates only: how the stored object differs from the base)
//! {"/spec/x": 2}            (JSON pointer to value; null removes)
//! spec.x: Invalid value: 2: field is immutable
//! ```
//!
//! A case without errors is valid. `<label>` and the like stand for the long texts of name rules.

use serde_json::{Value, json};

use super::{changed, texts};
use apimachinery::field::ErrorList;
use serde::de::DeserializeOwned;

struct TextCase<'a> {
    name: &'a str,
    old: Value,
    /// Whether the case says what is stored.
    update: bool,
    changes: Value,
    want: Vec<String>,
}

/// The rules' texts that tables abbreviate.
const SHORT: [(&str, &str); 8] = [
    (
        "<label>",
        "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
    ),
    (
        "<subdomain>",
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
    ),
    (
        "<name part>",
        "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
    ),
    (
        "<value>",
        "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
    ),
    (
        "<key>",
        "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')",
    ),
    (
        "<percent>",
        "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')",
    ),
    ("<port>", "must be between 1 and 65535, inclusive"),
    ("<mode>", "must be a number between 0 and 0777 (octal), both inclusive"),
];

fn parse(text: &str) -> Vec<TextCase<'_>> {
    let mut out: Vec<TextCase<'_>> = vec![];
    for line in text.lines().filter(|l| !l.is_empty() && !l.starts_with("# ")) {
        if let Some(name) = line.strip_prefix("== ") {
            out.push(TextCase {
                name,
                old: json!({}),
                update: false,
                changes: json!({}),
                want: vec![],
            });
            continue;
        }
        let case = out.last_mut().expect("a name comes first");
        let json = |text: &str| serde_json::from_str(text).unwrap_or_else(|e| panic!("{}: {e}: {text}", case.name));
        if let Some(old) = line.strip_prefix("old ") {
            (case.old, case.update) = (json(old), true);
        } else if line.starts_with('{') {
            case.changes = json(line);
        } else {
            let text = line.replace("\\n", "\n");
            case.want
                .push(SHORT.iter().fold(text, |text, (short, long)| text.replace(short, long)));
        }
    }
    out
}

/// Checks every case of a file that begins with its `base`: as a new object, or where the case says what is stored, as
/// a change. Returns how many are invalid.
///
/// # Errors
/// What differs, as text.
pub(crate) fn objects(text: &str, check: fn(&Value, Option<&Value>) -> ErrorList) -> Result<usize, String> {
    let (base, cases) = text.split_once('\n').expect("a base");
    let base = base.strip_prefix("base ").expect("a base comes first");
    let base: Value = serde_json::from_str(base).unwrap_or_else(|e| panic!("{e}: {base}"));
    compared(cases, |case| match case.update {
        true => {
            let stored = changed(&base, &case.old);
            check(&changed(&stored, &case.changes), Some(&stored))
        }
        false => check(&changed(&base, &case.changes), None),
    })
}

/// Checks every case of a file as a new object, and returns how many of them are invalid.
pub(crate) fn creates<T: DeserializeOwned>(
    text: &str,
    base: &Value,
    default: fn(&mut T),
    rule: fn(&T) -> ErrorList,
) -> usize {
    run(text, |case| {
        let mut obj: T = object(&case.changes, base, case.name);
        default(&mut obj);
        rule(&obj)
    })
}

/// Checks every case of a file as a change of `base` and what the case says of the stored object.
pub(crate) fn updates<T: DeserializeOwned>(
    text: &str,
    base: &Value,
    default: fn(&mut T),
    rule: fn(&T, &T) -> ErrorList,
) -> usize {
    run(text, |case| {
        let stored = changed(base, &case.old);
        let mut old: T = object(&case.old, base, case.name);
        let mut new: T = object(&case.changes, &stored, case.name);
        default(&mut old);
        default(&mut new);
        rule(&new, &old)
    })
}

fn object<T: DeserializeOwned>(changes: &Value, base: &Value, name: &str) -> T {
    let value = changed(base, changes);
    serde_json::from_value(value).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// Compares all cases before it fails, so that one run shows every difference.
fn run(text: &str, rule: impl Fn(&TextCase<'_>) -> ErrorList) -> usize {
    compared(text, rule).unwrap_or_else(|wrong| panic!("\n{wrong}"))
}

fn compared(text: &str, rule: impl Fn(&TextCase<'_>) -> ErrorList) -> Result<usize, String> {
    let (mut wrong, mut invalid) = (String::new(), 0);
    for case in parse(text) {
        let got = texts(&rule(&case));
        invalid += usize::from(!case.want.is_empty());
        if got != case.want {
            wrong += &format!("{}\n  got  {got:#?}\n  want {:#?}\n", case.name, case.want);
        }
    }
    if wrong.is_empty() { Ok(invalid) } else { Err(wrong) }
}
