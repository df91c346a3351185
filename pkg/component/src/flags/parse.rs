//! From words to [`Values`]: clap splits, the texts are pflag's (`spf13/pflag` `flag.go`).

use std::collections::BTreeMap;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, Command};

use super::{Error, Flag, Table, Values, value};

/// Words that are no flags end up under this id.
const POSITIONAL: &str = "";

pub(super) fn parse(table: &Table, args: Vec<String>, env: &dyn Fn(&str) -> Option<String>) -> Result<Values, Error> {
    let args = normalise(table, args);
    let matches = command(table)
        .try_get_matches_from(&args)
        .map_err(|error| explain(table, &error))?;
    if let Some(mut words) = matches.get_many::<String>(POSITIONAL) {
        let first = words.next().map_or("", String::as_str);
        return Err(Error(format!("unknown command {first:?} for {:?}", table.program)));
    }

    let mut given: Vec<(usize, &Flag, &String)> = Vec::new();
    for flag in &table.flags {
        if let (Some(indices), Some(values)) = (matches.indices_of(flag.name), matches.get_many::<String>(flag.name)) {
            given.extend(indices.zip(values).map(|(index, value)| (index, flag, value)));
        }
    }
    // The first wrong word on the line is the one reported.
    given.sort_by_key(|(index, ..)| *index);
    let mut set: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
    for (_, flag, text) in given {
        value::check(flag.kind, text).map_err(|reason| invalid(flag, text, &reason))?;
        let values = set.entry(flag.name).or_default();
        if !flag.kind.repeats() {
            values.clear();
        }
        values.push(text.clone());
    }
    if let Some(prefix) = table.env_prefix {
        for flag in &table.flags {
            let variable = format!("{prefix}_{}", flag.name.replace('-', "_").to_uppercase());
            let Some(text) = env(&variable).filter(|text| !text.is_empty()) else {
                continue;
            };
            if set.contains_key(flag.name) {
                continue;
            }
            value::check(flag.kind, &text).map_err(|reason| invalid(flag, &text, &reason))?;
            set.insert(flag.name, vec![text]);
        }
    }
    Ok(Values::new(table.clone(), set))
}

fn invalid(flag: &Flag, text: &str, reason: &str) -> Error {
    let name = match flag.short {
        Some(short) => format!("-{short}, --{}", flag.name),
        None => format!("--{}", flag.name),
    };
    Error(format!("invalid argument {text:?} for \"{name}\" flag: {reason}"))
}

/// `_` means `-` inside names (component-base `WordSepNormalizeFunc`); `-name` means `--name` where
/// the table says so.
fn normalise(table: &Table, mut args: Vec<String>) -> Vec<String> {
    for arg in &mut args {
        if arg == "--" {
            break;
        }
        if table.single_dash
            && let Some(rest) = arg.strip_prefix('-')
            && !rest.starts_with('-')
            && rest.split('=').next().is_some_and(|name| table.find(name).is_some())
        {
            *arg = format!("--{rest}");
        }
        if let Some(rest) = arg.strip_prefix("--") {
            let (name, tail) = rest.split_at(rest.find('=').unwrap_or(rest.len()));
            if name.contains('_') {
                *arg = format!("--{}{tail}", name.replace('_', "-"));
            }
        }
    }
    args
}

fn command(table: &Table) -> Command {
    let mut command = Command::new(table.program)
        .no_binary_name(true)
        .disable_help_flag(true)
        .disable_version_flag(true)
        .arg(Arg::new(POSITIONAL).num_args(0..));
    for flag in &table.flags {
        let mut arg = Arg::new(flag.name).long(flag.name).action(ArgAction::Append);
        if let Some(short) = flag.short {
            arg = arg.short(short);
        }
        arg = if flag.kind.value_optional() {
            arg.num_args(0..=1).require_equals(true).default_missing_value("true")
        } else {
            arg.num_args(1).allow_hyphen_values(true)
        };
        command = command.arg(arg);
    }
    command
}

/// Says in pflag's words why clap refused the line.
fn explain(table: &Table, error: &clap::Error) -> Error {
    let arg = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(text)) => text.clone(),
        Some(ContextValue::Strings(texts)) => texts.join(" "),
        _ => String::new(),
    };
    match error.kind() {
        ErrorKind::UnknownArgument => {
            let name = arg.split('=').next().unwrap_or_default();
            if name.starts_with("--") {
                Error(format!("unknown flag: {name}"))
            } else if let Some(letters) = name.strip_prefix('-') {
                let letter = letters.chars().next().unwrap_or_default();
                Error(format!("unknown shorthand flag: {letter:?} in -{letters}"))
            } else {
                Error(format!("unknown command {arg:?} for {:?}", table.program))
            }
        }
        // clap names the argument with its placeholder: `--secure-port <secure-port>`.
        ErrorKind::InvalidValue | ErrorKind::WrongNumberOfValues | ErrorKind::TooFewValues => {
            let name = arg.split([' ', '=']).next().unwrap_or_default();
            Error(format!("flag needs an argument: {name}"))
        }
        _ => Error(error.render().to_string().trim().to_owned()),
    }
}
