//! Command-line flags as a table, with the manners of Go's `pflag`.
//!
//! Each binary commits `src/flags.tsv`: one row per upstream flag, `name, short, type, default,
//! effect, help` separated by tabs (trailing columns may be left out, `#` starts a comment). The
//! whole upstream list is there, so no deployment's command line is refused. A binary's Options
//! reads typed values:
//!
//! ```
//! use component::flags::Table;
//! // in a binary: Table::new("kube-scheduler", include_str!("flags.tsv"))
//! let table = Table::new("kube-scheduler", "secure-port\t\tint\t10259\tacts\tHTTPS port\nv\tv\tlevel\t0\tacts");
//! let values = table.parse(["--secure_port=443", "-v", "4"]).unwrap();
//! assert_eq!(values.int("secure-port"), 443);
//! assert!(values.changed("secure-port"));
//! assert_eq!(table.parse(["--nope"]).unwrap_err().to_string(), "unknown flag: --nope");
//! ```
//!
//! Effects: `acts` (the binary reads it), `silent` (accepted, nothing to do here), `warns`
//! (accepted with a warning), `deprecated` (accepted with a deprecation warning). A flag marked
//! `acts` which was set but never read by any getter warns as well, so the table cannot lie: call
//! [`Values::warn_unused`] once the Options are built and logging is up.
//!
//! Reading a name that is not in the table, or with the wrong getter, panics: a programming error
//! that the binary's first test finds. clap does the splitting; the texts are pflag's.

mod help;
mod parse;
#[cfg(test)]
mod tests;
mod value;
mod values;

pub use value::{NamedCertKey, parse_bool, parse_duration, split_list};
pub use values::Values;

/// What a flag's text may hold. The names in the table are upstream's pflag type names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `--f`, `--f=true`, `--f=false`; never takes the next word.
    Bool,
    /// A signed integer of at most this many bits.
    Int(u32),
    /// An unsigned integer of at most this many bits.
    Uint(u32),
    /// A decimal fraction.
    Float,
    /// Any text, empty too.
    String,
    /// Go duration syntax: `1h30m`, `250ms`, `0`.
    Duration,
    /// Comma-separated words; repeating the flag appends.
    StringSlice,
    /// One word each time the flag is given; commas are not special.
    StringArray,
    /// Comma-separated integers; repeating the flag appends.
    IntSlice,
    /// Comma-separated `key=value`; repeating the flag adds keys.
    Map,
    /// Comma-separated `Gate=bool`, optionally `component:Gate=bool`.
    FeatureGates,
    /// An IP address; empty means none.
    Ip,
    /// `ip:port`, or `ip` alone.
    IpPort,
    /// `low-high`, or `low+size`, or one port.
    PortRange,
    /// A resource quantity such as `10Mi`.
    Quantity,
    /// `cert,key[:names]`, repeatable.
    NamedCertKey,
    /// Log verbosity.
    Level,
    /// Comma-separated `pattern=N`.
    Vmodule,
    /// `--version`, `--version=raw`.
    Version,
}

/// What giving the flag does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The binary reads it.
    Acts,
    /// Accepted; there is nothing to do and nothing to say.
    Silent,
    /// Accepted; a warning says that it does nothing.
    Warns,
    /// Accepted; a warning says that it is deprecated and does nothing.
    Deprecated,
}

/// One row of the table.
#[derive(Clone, Debug)]
pub struct Flag {
    /// Name without dashes, words joined by `-`.
    pub name: &'static str,
    /// One-letter form.
    pub short: Option<char>,
    /// What the value may be.
    pub kind: Kind,
    /// Default in flag syntax; empty is the type's zero.
    pub default: &'static str,
    /// What giving it does.
    pub effect: Effect,
    /// One line for `--help`; may be empty.
    pub help: &'static str,
}

/// All flags of one binary.
#[derive(Clone, Debug)]
pub struct Table {
    pub(crate) program: &'static str,
    pub(crate) flags: Vec<Flag>,
    pub(crate) env_prefix: Option<&'static str>,
    pub(crate) single_dash: bool,
}

/// A refused command line; its text is upstream's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Error(pub String);

impl Table {
    /// Reads a binary's `flags.tsv`.
    ///
    /// # Panics
    /// On a malformed row: the table is compiled in, so this is a programming error.
    #[must_use]
    pub fn new(program: &'static str, tsv: &'static str) -> Self {
        let flags = tsv
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(Flag::from_row)
            .collect();
        Self {
            program,
            flags,
            env_prefix: None,
            single_dash: false,
        }
    }

    /// Lets `PREFIX_NAME` in the environment set a flag that the command line does not (etcd).
    #[must_use]
    pub fn env_prefix(mut self, prefix: &'static str) -> Self {
        self.env_prefix = Some(prefix);
        self
    }

    /// Lets `-name` mean `--name` (Go's `flag` package, etcd).
    #[must_use]
    pub fn single_dash(mut self) -> Self {
        self.single_dash = true;
        self
    }

    /// The rows, in file order.
    #[must_use]
    pub fn flags(&self) -> &[Flag] {
        &self.flags
    }

    /// The row of one flag.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Flag> {
        self.flags.iter().find(|flag| flag.name == name)
    }

    /// Parses the words after the program's name, with the process environment behind them when
    /// [`Table::env_prefix`] is set.
    ///
    /// # Errors
    /// The first refused word, in upstream's text.
    pub fn parse<I, S>(&self, args: I) -> Result<Values, Error>
    where
        I: IntoIterator<Item = S>,
        S: Into<String>,
    {
        let args = args.into_iter().map(Into::into).collect();
        parse::parse(self, args, &|name| std::env::var(name).ok())
    }

    /// The text of `--help`.
    #[must_use]
    pub fn help(&self) -> String {
        help::render(self)
    }
}

impl Flag {
    fn from_row(row: &'static str) -> Self {
        let mut columns = row.split('\t');
        let name = columns.next().expect("split yields at least one column");
        let short = columns.next().unwrap_or("").chars().next();
        let kind = columns.next().unwrap_or("");
        let kind = Kind::from_name(kind).unwrap_or_else(|| panic!("flag table: {name} has unknown type {kind:?}"));
        let default = columns.next().unwrap_or("");
        let effect = match columns.next().unwrap_or("") {
            "acts" => Effect::Acts,
            "silent" => Effect::Silent,
            "warns" => Effect::Warns,
            "deprecated" => Effect::Deprecated,
            other => panic!("flag table: {name} has unknown effect {other:?}"),
        };
        Self {
            name,
            short,
            kind,
            default,
            effect,
            help: columns.next().unwrap_or(""),
        }
    }
}

impl Kind {
    fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "bool" => Self::Bool,
            "int" | "int64" => Self::Int(64),
            "int32" => Self::Int(32),
            "uint" | "uint64" => Self::Uint(64),
            "uint32" => Self::Uint(32),
            "float32" | "float64" => Self::Float,
            "string" => Self::String,
            "duration" => Self::Duration,
            "stringSlice" => Self::StringSlice,
            "stringArray" => Self::StringArray,
            "int32Slice" => Self::IntSlice,
            "mapStringString" | "mapStringBool" => Self::Map,
            "featureGates" => Self::FeatureGates,
            "ip" => Self::Ip,
            "ipport" => Self::IpPort,
            "portRange" => Self::PortRange,
            "quantity" => Self::Quantity,
            "namedCertKey" => Self::NamedCertKey,
            "level" => Self::Level,
            "vmodule" => Self::Vmodule,
            "version" => Self::Version,
            _ => return None,
        })
    }

    /// True when the flag may stand without a value.
    pub(crate) fn value_optional(self) -> bool {
        matches!(self, Self::Bool | Self::Version)
    }

    /// True when repeating the flag adds instead of replacing.
    pub(crate) fn repeats(self) -> bool {
        matches!(
            self,
            Self::StringSlice
                | Self::StringArray
                | Self::IntSlice
                | Self::Map
                | Self::FeatureGates
                | Self::NamedCertKey
        )
    }
}

/// Parses this process's command line. `--help` and `--version` print and exit 0; a refused
/// command line prints `Error: ...` on stderr and exits 1 (upstream `component-base/cli` `Run`).
#[must_use]
pub fn parse_or_exit(table: &Table) -> Values {
    match table.parse(std::env::args().skip(1)) {
        Ok(values) => {
            if values.help_requested() {
                print(&table.help());
                std::process::exit(0);
            }
            if let Some(text) = values.version_requested() {
                print(&text);
                std::process::exit(0);
            }
            values
        }
        Err(error) => {
            eprintln!("Error: {error}");
            std::process::exit(1);
        }
    }
}

fn print(text: &str) {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    // A closed pipe is the reader's choice.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
