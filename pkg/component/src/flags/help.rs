//! The text of `--help`.

use super::{Effect, Kind, Table};

/// Renders the table, deprecated rows left out as upstream does.
pub(super) fn render(table: &Table) -> String {
    let mut text = format!("Usage:\n  {} [flags]\n\nFlags:\n", table.program);
    let rows: Vec<(String, String)> = table
        .flags
        .iter()
        .filter(|flag| flag.effect != Effect::Deprecated)
        .map(|flag| {
            let mut left = match flag.short {
                Some(short) => format!("  -{short}, --{}", flag.name),
                None => format!("      --{}", flag.name),
            };
            let kind = type_name(flag.kind);
            if !kind.is_empty() {
                left.push(' ');
                left.push_str(kind);
            }
            let mut right = flag.help.to_owned();
            if !flag.default.is_empty() && !matches!(flag.default, "false" | "0" | "0s") {
                if !right.is_empty() {
                    right.push(' ');
                }
                right.push_str(&format!("(default {})", flag.default));
            }
            if flag.effect == Effect::Warns {
                right.push_str(" (accepted, has no effect)");
            }
            (left, right.trim_start().to_owned())
        })
        .collect();
    let width = rows.iter().map(|(left, _)| left.len()).max().unwrap_or(0).min(60);
    for (left, right) in rows {
        text.push_str(format!("{left:width$}   {right}").trim_end());
        text.push('\n');
    }
    text
}

fn type_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Bool => "",
        Kind::Int(32) => "int32",
        Kind::Int(_) => "int",
        Kind::Uint(_) => "uint",
        Kind::Float => "float",
        Kind::String => "string",
        Kind::Duration => "duration",
        Kind::StringSlice => "strings",
        Kind::StringArray => "stringArray",
        Kind::IntSlice => "int32Slice",
        Kind::Map => "mapStringString",
        Kind::FeatureGates => "mapStringBool",
        Kind::Ip => "ip",
        Kind::IpPort => "ipport",
        Kind::PortRange => "portRange",
        Kind::Quantity => "quantity",
        Kind::NamedCertKey => "namedCertKey",
        Kind::Level => "Level",
        Kind::Vmodule => "pattern=N,...",
        Kind::Version => "version[=true]",
    }
}
