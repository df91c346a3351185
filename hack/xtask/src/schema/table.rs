//! The table in memory and its text.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// All types by name.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) types: BTreeMap<String, TypeFacts>,
}

/// Facts about one type.
#[derive(Debug, Default)]
pub(super) struct TypeFacts {
    pub(super) atomic: bool,
    pub(super) type_meta: bool,
    pub(super) fields: BTreeMap<String, FieldFacts>,
}

/// Facts about one field.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct FieldFacts {
    /// `-` when no tag is known.
    pub(super) tags: String,
    pub(super) kind: String,
    pub(super) required: bool,
    pub(super) pointer: bool,
    /// Go writes it even when it is empty.
    pub(super) always: bool,
    /// `set` or `map=..`.
    pub(super) list_type: Option<String>,
    pub(super) map_type: Option<String>,
    pub(super) patch: Option<String>,
    pub(super) default: Option<String>,
    pub(super) allowed: Option<String>,
}

impl Table {
    pub(super) fn render(&self) -> String {
        let mut out = String::new();
        for (name, facts) in &self.types {
            out.push_str(name);
            for (set, word) in [(facts.atomic, " atomic"), (facts.type_meta, " typemeta")] {
                out.push_str(if set { word } else { "" });
            }
            out.push('\n');
            for (name, field) in &facts.fields {
                let _ = writeln!(out, "\t{name} {}", field.render());
            }
        }
        out
    }
}

impl FieldFacts {
    fn render(&self) -> String {
        let mut out = format!("{} {}", self.tags, self.kind);
        let flags = [
            (self.required, " req"),
            (self.pointer, " ptr"),
            (self.always, " always"),
        ];
        for (set, word) in flags {
            out.push_str(if set { word } else { "" });
        }
        if let Some(list_type) = &self.list_type {
            let _ = write!(out, " {list_type}");
        }
        let named = [
            ("mapType", &self.map_type),
            ("patch", &self.patch),
            ("default", &self.default),
            ("enum", &self.allowed),
        ];
        for (key, value) in named {
            if let Some(value) = value {
                let _ = write!(out, " {key}={value}");
            }
        }
        out
    }
}
