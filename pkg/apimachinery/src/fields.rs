//! Field selectors: `metadata.name=a,status.phase!=Running` (upstream: apimachinery `fields/selector.go`).

use std::fmt;

/// One term of a selector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// The field's label, such as `spec.nodeName`.
    pub field: String,
    /// True for `!=`.
    pub negated: bool,
    /// The value compared with, unescaped.
    pub value: String,
}

/// All terms; they are ANDed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    requirements: Vec<Requirement>,
}

/// Why a selector was refused. The text is upstream's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SelectorError(String);

impl Selector {
    /// Matches every object.
    pub fn everything() -> Self {
        Self::default()
    }

    /// Matches objects whose `field` equals `value`.
    pub fn one(field: &str, value: &str) -> Self {
        let requirement = Requirement {
            field: field.to_owned(),
            negated: false,
            value: value.to_owned(),
        };
        Self {
            requirements: vec![requirement],
        }
    }

    /// Builds a selector from ready terms.
    pub fn new(requirements: Vec<Requirement>) -> Self {
        Self { requirements }
    }

    /// Parses the text form. Terms are sorted; `\\`, `\,` and `\=` escape in values.
    ///
    /// # Errors
    /// Upstream's text when a term has no operator or an escape is wrong.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        let mut terms = split_terms(text);
        terms.sort_unstable();
        let mut requirements = Vec::with_capacity(terms.len());
        for term in terms.into_iter().filter(|term| !term.is_empty()) {
            let (field, negated, value) = split_term(term)
                .ok_or_else(|| SelectorError(format!("invalid selector: '{text}'; can't understand '{term}'")))?;
            requirements.push(Requirement {
                field: field.to_owned(),
                negated,
                value: unescape(value)?,
            });
        }
        Ok(Self { requirements })
    }

    /// The terms in sorted order.
    pub fn requirements(&self) -> &[Requirement] {
        &self.requirements
    }

    /// Whether every object matches.
    pub fn is_everything(&self) -> bool {
        self.requirements.is_empty()
    }

    /// Whether the fields given by `lookup` (an unknown field is the empty string) meet every term.
    pub fn matches<'a>(&self, lookup: impl Fn(&str) -> &'a str) -> bool {
        self.requirements
            .iter()
            .all(|one| (lookup(&one.field) == one.value) != one.negated)
    }

    /// The value a field must equal, if the selector says so.
    pub fn requires_exact_match(&self, field: &str) -> Option<&str> {
        self.requirements
            .iter()
            .find(|one| !one.negated && one.field == field)
            .map(|one| one.value.as_str())
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, one) in self.requirements.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            let operator = if one.negated { "!=" } else { "=" };
            write!(f, "{comma}{}{operator}{}", one.field, escape(&one.value))?;
        }
        Ok(())
    }
}

/// Escapes a value so that it can stand in a selector's text.
pub fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace(',', "\\,").replace('=', "\\=")
}

fn unescape(value: &str) -> Result<String, SelectorError> {
    if !value.contains(['\\', ',', '=']) {
        return Ok(value.to_owned());
    }
    let mut out = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(escaped @ ('\\' | ',' | '=')) => out.push(escaped),
                Some(other) => {
                    return Err(SelectorError(format!(
                        "invalid field selector: invalid escape sequence: \\{other}"
                    )));
                }
                None => {
                    return Err(SelectorError(
                        "invalid field selector: invalid escape sequence: \\".to_owned(),
                    ));
                }
            },
            ',' | '=' => {
                return Err(SelectorError(format!(
                    "invalid field selector: unescaped character in value: {value}"
                )));
            }
            c => out.push(c),
        }
    }
    Ok(out)
}

fn split_terms(text: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let (mut start, mut escaped) = (0, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ',' => {
                out.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    out.push(&text[start..]);
    out
}

/// Splits at the first operator that occurs.
fn split_term(term: &str) -> Option<(&str, bool, &str)> {
    for at in 0..term.len() {
        if !term.is_char_boundary(at) {
            continue;
        }
        let (field, rest) = term.split_at(at);
        for (operator, negated) in [("!=", true), ("==", false), ("=", false)] {
            if let Some(value) = rest.strip_prefix(operator) {
                return Some((field, negated, value));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn terms_are_sorted_and_printed() {
        let selector = Selector::parse("spec.nodeName=n1,metadata.name!=a").unwrap();
        assert_eq!(selector.to_string(), "metadata.name!=a,spec.nodeName=n1");
        assert_eq!(selector.requires_exact_match("spec.nodeName"), Some("n1"));
        let fields = |field: &str| if field == "spec.nodeName" { "n1" } else { "b" };
        assert!(selector.matches(fields));
        assert!(!Selector::parse("spec.nodeName==x").unwrap().matches(fields));
        assert!(Selector::parse("").unwrap().is_everything());
    }

    #[test]
    fn escapes_survive() {
        let selector = Selector::parse(r"a=b\,c\=d\\").unwrap();
        assert_eq!(selector.requirements()[0].value, r"b,c=d\");
        assert_eq!(selector.to_string(), r"a=b\,c\=d\\");
        assert!(Selector::parse("a=b=c").is_err());
        assert!(Selector::parse(r"a=\x").is_err());
    }

    #[test]
    fn a_term_without_operator_is_refused() {
        let text = Selector::parse("abc").unwrap_err().to_string();
        assert_eq!(text, "invalid selector: 'abc'; can't understand 'abc'");
    }
}
