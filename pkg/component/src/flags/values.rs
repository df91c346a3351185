//! A parsed command line, read by typed getters.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use parking_lot::Mutex;

use super::{Effect, Flag, Kind, Table, value};

/// What the flags are, defaults filled in. Getters panic on names that are not in the table.
#[derive(Debug)]
pub struct Values {
    table: Table,
    set: BTreeMap<&'static str, Vec<String>>,
    read: Mutex<BTreeSet<&'static str>>,
}

const CHECKED: &str = "checked when the line was parsed; defaults are checked by the table's test";

impl Values {
    pub(super) fn new(table: Table, set: BTreeMap<&'static str, Vec<String>>) -> Self {
        Self {
            table,
            set,
            read: Mutex::new(BTreeSet::new()),
        }
    }

    /// True when the command line or environment gave the flag, even with its default.
    #[must_use]
    pub fn changed(&self, name: &str) -> bool {
        let flag = self.row(name);
        self.set.contains_key(flag.name)
    }

    /// A `bool` flag.
    #[must_use]
    pub fn bool(&self, name: &str) -> bool {
        let flag = self.typed(name, |kind| kind == Kind::Bool);
        let text = self.last(flag);
        !text.is_empty() && value::parse_bool(text).expect(CHECKED)
    }

    /// A signed integer or level flag.
    #[must_use]
    pub fn int(&self, name: &str) -> i64 {
        let flag = self.typed(name, |kind| matches!(kind, Kind::Int(_) | Kind::Level));
        let text = self.last(flag);
        if text.is_empty() {
            0
        } else {
            value::parse_int(text, 64).expect(CHECKED)
        }
    }

    /// An unsigned integer flag.
    #[must_use]
    pub fn uint(&self, name: &str) -> u64 {
        let flag = self.typed(name, |kind| matches!(kind, Kind::Uint(_)));
        let text = self.last(flag);
        if text.is_empty() {
            0
        } else {
            value::parse_uint(text, 64).expect(CHECKED)
        }
    }

    /// A float flag.
    #[must_use]
    pub fn float(&self, name: &str) -> f64 {
        let flag = self.typed(name, |kind| kind == Kind::Float);
        let text = self.last(flag);
        if text.is_empty() {
            0.0
        } else {
            value::parse_float(text).expect(CHECKED)
        }
    }

    /// The text of any flag that holds one value; the last one given wins.
    #[must_use]
    pub fn string(&self, name: &str) -> String {
        let flag = self.typed(name, |kind| !kind.repeats());
        self.last(flag).to_owned()
    }

    /// A text flag, `None` when it is empty.
    #[must_use]
    pub fn non_empty(&self, name: &str) -> Option<String> {
        Some(self.string(name)).filter(|text| !text.is_empty())
    }

    /// A duration flag.
    #[must_use]
    pub fn duration(&self, name: &str) -> Duration {
        let flag = self.typed(name, |kind| kind == Kind::Duration);
        let text = self.last(flag);
        if text.is_empty() {
            Duration::ZERO
        } else {
            value::parse_duration(text).expect(CHECKED)
        }
    }

    /// A list flag: comma lists are split and repetitions joined; giving it replaces the default.
    #[must_use]
    pub fn strings(&self, name: &str) -> Vec<String> {
        let flag = self.typed(name, |kind| {
            matches!(kind, Kind::StringSlice | Kind::StringArray | Kind::IntSlice)
        });
        let texts = self.texts(flag);
        if flag.kind == Kind::StringArray {
            return texts
                .into_iter()
                .filter(|text| !text.is_empty())
                .map(str::to_owned)
                .collect();
        }
        texts.into_iter().flat_map(value::split_list).collect()
    }

    /// A certificate-for-names flag, in the order given.
    #[must_use]
    pub fn named_cert_keys(&self, name: &str) -> Vec<value::NamedCertKey> {
        let flag = self.typed(name, |kind| kind == Kind::NamedCertKey);
        let texts = self.texts(flag).into_iter().filter(|text| !text.is_empty());
        texts
            .map(|text| value::parse_named_cert_key(text).expect(CHECKED))
            .collect()
    }

    /// A map or feature-gates flag.
    #[must_use]
    pub fn map(&self, name: &str) -> BTreeMap<String, String> {
        let flag = self.typed(name, |kind| matches!(kind, Kind::Map | Kind::FeatureGates));
        let parse = if flag.kind == Kind::Map {
            value::parse_map
        } else {
            value::parse_gates
        };
        self.texts(flag)
            .into_iter()
            .flat_map(|text| parse(text).expect(CHECKED))
            .collect()
    }

    /// An IP flag, `None` when it is empty.
    #[must_use]
    pub fn ip(&self, name: &str) -> Option<IpAddr> {
        let flag = self.typed(name, |kind| kind == Kind::Ip);
        value::parse_ip(self.last(flag)).expect(CHECKED)
    }

    /// A port range flag: first and last port, both inside; `None` when it is empty.
    #[must_use]
    pub fn port_range(&self, name: &str) -> Option<(u16, u16)> {
        let flag = self.typed(name, |kind| kind == Kind::PortRange);
        value::parse_port_range(self.last(flag)).expect(CHECKED)
    }

    /// Every flag as Go prints its value, for `/flagz`; this does not count as reading them.
    #[must_use]
    pub fn all(&self) -> BTreeMap<String, String> {
        let rows = self.table.flags.iter();
        rows.map(|flag| (flag.name.to_owned(), self.printed(flag))).collect()
    }

    fn printed(&self, flag: &Flag) -> String {
        let texts = self.texts(flag);
        let last = texts.last().copied().unwrap_or_default();
        match flag.kind {
            Kind::StringSlice | Kind::IntSlice => {
                // A default in the table has its brackets already.
                let words = texts.iter().flat_map(|t| value::split_list(t.trim_matches(['[', ']'])));
                format!("[{}]", words.collect::<Vec<_>>().join(","))
            }
            Kind::StringArray => format!("[{}]", texts.join(",").trim_matches(['[', ']'])),
            Kind::NamedCertKey => format!("[{}]", texts.join(";")),
            Kind::Map | Kind::FeatureGates => {
                let parse = if flag.kind == Kind::Map {
                    value::parse_map
                } else {
                    value::parse_gates
                };
                let pairs: BTreeMap<String, String> = texts.iter().flat_map(|t| parse(t).unwrap_or_default()).collect();
                let pairs = pairs.iter().map(|(k, v)| format!("{k}={v}"));
                pairs.collect::<Vec<_>>().join(",")
            }
            Kind::Bool => (!last.is_empty() && value::parse_bool(last).expect(CHECKED)).to_string(),
            Kind::Duration if !last.is_empty() => {
                apimachinery::duration::format_std(value::parse_duration(last).expect(CHECKED))
            }
            _ => last.to_owned(),
        }
    }

    /// Warns, once logging is up, about each given flag that has no effect: rows that say so, and
    /// rows that claim to act but which nobody has read.
    pub fn warn_unused(&self) {
        for name in self.unused() {
            let row = self.row(name);
            if row.effect == Effect::Deprecated {
                tracing::warn!("Flag --{name} has been deprecated, it has no effect");
            } else {
                tracing::warn!("Flag --{name} is accepted but has no effect in this version");
            }
        }
    }

    /// The names [`Values::warn_unused`] speaks about.
    #[must_use]
    pub fn unused(&self) -> Vec<&'static str> {
        let read = self.read.lock();
        self.table
            .flags
            .iter()
            .filter(|flag| self.set.contains_key(flag.name))
            .filter(|flag| match flag.effect {
                Effect::Acts => !read.contains(flag.name),
                Effect::Silent => false,
                Effect::Warns | Effect::Deprecated => true,
            })
            .map(|flag| flag.name)
            .collect()
    }

    /// Every flag as `--name="value"`, for `/flagz` and the start-up log.
    #[must_use]
    pub fn listing(&self) -> Vec<String> {
        self.table
            .flags
            .iter()
            .map(|flag| format!("--{}={:?}", flag.name, self.texts(flag).join(",")))
            .collect()
    }

    pub(super) fn help_requested(&self) -> bool {
        self.table.find("help").is_some() && self.bool("help")
    }

    pub(super) fn version_requested(&self) -> Option<String> {
        self.table.find("version")?;
        match self.string("version").as_str() {
            "raw" => Some(format!("{:#?}\n", crate::version::Info::get())),
            text if value::parse_bool(text) == Ok(true) => Some(crate::version::line(self.table.program)),
            _ => None,
        }
    }

    fn row(&self, name: &str) -> &Flag {
        self.table
            .find(name)
            .unwrap_or_else(|| panic!("no flag --{name} in the table of {}", self.table.program))
    }

    fn typed(&self, name: &str, fits: impl Fn(Kind) -> bool) -> &Flag {
        let flag = self.row(name);
        assert!(
            fits(flag.kind),
            "flag --{name} is {:?}: read with the wrong getter",
            flag.kind
        );
        self.read.lock().insert(flag.name);
        flag
    }

    fn texts(&self, flag: &Flag) -> Vec<&str> {
        match self.set.get(flag.name) {
            Some(texts) => texts.iter().map(String::as_str).collect(),
            None => vec![flag.default],
        }
    }

    fn last(&self, flag: &Flag) -> &str {
        match self.set.get(flag.name).and_then(|texts| texts.last()) {
            Some(text) => text,
            None => flag.default,
        }
    }
}
