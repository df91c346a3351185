//! `etcd-shim snapshot save|restore|status|convert`: copies of a store as files, of either engine and of etcd itself.
//! Flags and words are etcdctl's and etcdutl's where they mean the same; `docs/moving.md` says how to move with them.
//!
//! Start reading in `content.rs` (what a snapshot is, whatever its format), then `file.rs`.

mod bolt;
mod bolt_writer;
mod connect;
pub(crate) mod content;
mod convert;
mod etcd;
mod file;
mod restore;
mod save;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use component::flags::{Kind, Table, Values};

use self::content::Account;
use self::file::{Snapshot, Status};

const USAGE: &str = "Usage:
  etcd-shim snapshot save <file>       asks a running server (etcd-shim or etcd) for a snapshot
  etcd-shim snapshot restore <file>    makes a data directory from a snapshot, etcd's own included
  etcd-shim snapshot status <file>     says what is in a snapshot
  etcd-shim snapshot convert <file> <new file>
                                       writes a snapshot as etcd's, for etcdctl snapshot restore
Flags: etcd-shim snapshot <command> --help
";

const SAVE: &str = "\
endpoints\t\tstringSlice\t127.0.0.1:2379\tacts\tthe server; one
cacert\t\tstring\t\tacts\tauthorities of the server's certificate (PEM)
cert\t\tstring\t\tacts\tclient certificate (PEM)
key\t\tstring\t\tacts\tits private key (PEM)
dial-timeout\t\tduration\t2s\tacts\tlongest wait for the connection
command-timeout\t\tduration\t5s\tsilent
write-out\tw\tstring\tsimple\tsilent
help\th\tbool\tfalse\tacts\tshow the flags";

const RESTORE: &str = "\
data-dir\t\tstring\t\tacts\tthe directory to make; <name>.etcd when empty
engine\t\tstring\tlog\tacts\twhat keeps the data there: log or sqlite
name\t\tstring\tdefault\tacts\tname of the member
skip-hash-check\t\tbool\tfalse\tacts\ttake a file without its SHA-256, as member/snap/db
bump-revision\t\tuint64\t0\tacts\thow much later than the snapshot's the revision shall be
mark-compacted\t\tbool\tfalse\tacts\tcompact everything before that revision (required with --bump-revision)
initial-cluster\t\tstring\t\tsilent\tnothing to do in a single-member store
initial-cluster-token\t\tstring\t\tsilent\tnothing to do in a single-member store
initial-advertise-peer-urls\t\tstring\t\tsilent\tnothing to do in a single-member store
wal-dir\t\tstring\t\tsilent\tthere is none
write-out\tw\tstring\tsimple\tsilent
help\th\tbool\tfalse\tacts\tshow the flags";

const STATUS: &str = "\
write-out\tw\tstring\tsimple\tacts\tsimple, json or table
skip-hash-check\t\tbool\tfalse\tacts\ttake a file without its SHA-256
help\th\tbool\tfalse\tacts\tshow the flags";

const CONVERT: &str = "\
skip-hash-check\t\tbool\tfalse\tacts\ttake a file without its SHA-256
write-out\tw\tstring\tsimple\tsilent
help\th\tbool\tfalse\tacts\tshow the flags";

/// Runs `snapshot` with the words that follow it; returns what to print.
///
/// # Errors
/// What is wrong with the words, the file, the directory or the server. Nothing half-made is left.
pub async fn snapshot(words: Vec<String>) -> anyhow::Result<String> {
    let mut words = words;
    let command = if words.is_empty() {
        String::new()
    } else {
        words.remove(0)
    };
    let table = match command.as_str() {
        "save" => Table::new("etcd-shim snapshot save <file>", SAVE),
        "restore" => Table::new("etcd-shim snapshot restore <file>", RESTORE),
        "status" => Table::new("etcd-shim snapshot status <file>", STATUS),
        "convert" => Table::new("etcd-shim snapshot convert <file> <new file>", CONVERT),
        "" | "help" | "-h" | "--help" => return Ok(USAGE.to_owned()),
        other => bail!("unknown command {other:?} for \"etcd-shim snapshot\"\n{USAGE}"),
    };
    // etcdctl hears these from its environment.
    let table = table.env_prefix("ETCDCTL");
    let (flags, files) = split(&table, words);
    let values = table.parse(flags)?;
    if values.bool("help") {
        return Ok(table.help());
    }
    let count = if command == "convert" { 2 } else { 1 };
    ensure!(
        files.len() == count,
        "snapshot {command} requires exactly {count} argument{}",
        if count == 1 { "" } else { "s" }
    );
    let file = PathBuf::from(&files[0]);
    match command.as_str() {
        "save" => run_save(&values, &file).await,
        "restore" => blocking(move || run_restore(&values, &file)).await,
        "status" => blocking(move || run_status(&values, &file)).await,
        _ => {
            let to = PathBuf::from(&files[1]);
            blocking(move || {
                let account = convert::convert(&file, values.bool("skip-hash-check"), &to)?;
                Ok(told(&account, &format!("Snapshot converted to {}", to.display())))
            })
            .await
        }
    }
}

/// Reads all of a snapshot file and proves it, with or without its SHA-256; the number of records.
///
/// # Errors
/// When it is none, or damaged.
pub(crate) fn read(path: &Path) -> anyhow::Result<u64> {
    let account = Snapshot::open(path, true)?.read_checked(&mut |_| Ok(()))?;
    Ok(account.records)
}

/// Tells flags, with the words that are their values, from files.
fn split(table: &Table, words: Vec<String>) -> (Vec<String>, Vec<String>) {
    let (mut flags, mut files) = (Vec::new(), Vec::new());
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        if !word.starts_with('-') || word == "-" {
            files.push(word);
            continue;
        }
        let name = word.trim_start_matches('-');
        let known = table
            .flags()
            .iter()
            .find(|flag| flag.name == name || flag.short.is_some_and(|short| word == format!("-{short}")));
        let wants_value = known.is_some_and(|flag| !matches!(flag.kind, Kind::Bool | Kind::Version));
        flags.push(word);
        if wants_value {
            flags.extend(words.next());
        }
    }
    (flags, files)
}

async fn blocking(work: impl FnOnce() -> anyhow::Result<String> + Send + 'static) -> anyhow::Result<String> {
    tokio::task::spawn_blocking(work).await?
}

async fn run_save(values: &Values, file: &Path) -> anyhow::Result<String> {
    let endpoints = values.strings("endpoints");
    let [endpoint] = &endpoints[..] else {
        bail!(
            "snapshot must be requested to one selected node, not multiple [{}]",
            endpoints.join(" ")
        );
    };
    let path = |flag: &str| values.non_empty(flag).map(PathBuf::from);
    let files = connect::Files {
        ca: path("cacert"),
        cert: path("cert"),
        key: path("key"),
    };
    let channel = connect::connect(endpoint, &files, values.duration("dial-timeout")).await?;
    save::save(channel, file).await?;
    Ok(format!("Snapshot saved at {}\n", file.display()))
}

fn run_restore(values: &Values, file: &Path) -> anyhow::Result<String> {
    let data_dir = values
        .non_empty("data-dir")
        .unwrap_or_else(|| format!("{}.etcd", values.string("name")));
    let bump_revision = i64::try_from(values.uint("bump-revision")).context("--bump-revision")?;
    let mark_compacted = values.bool("mark-compacted");
    ensure!(
        (bump_revision > 0) == mark_compacted,
        "--mark-compacted required if --bump-revision > 0, disallowed otherwise"
    );
    let engine = values.string("engine").parse();
    let account = restore::restore(&restore::Restore {
        snapshot: file,
        skip_hash_check: values.bool("skip-hash-check"),
        data_dir: Path::new(&data_dir),
        engine: engine.map_err(|error: String| anyhow::anyhow!("--engine: {error}"))?,
        bump_revision,
        mark_compacted,
    })?;
    Ok(told(&account, &format!("Snapshot restored to {data_dir}")))
}

fn told(account: &Account, what: &str) -> String {
    let mut text = format!(
        "{what}: revision {}, {} records, {} leases, hash {:x}\n",
        account.revision(),
        account.records,
        account.leases().len(),
        account.hash()
    );
    for note in &account.notes {
        text.push_str(&format!("Note: {note}\n"));
    }
    text
}

// Source of the forms: etcd `etcdutl/etcdutl/printer*.go` `DBStatus`.
fn run_status(values: &Values, file: &Path) -> anyhow::Result<String> {
    let write_out = values.string("write-out");
    ensure!(
        matches!(write_out.as_str(), "simple" | "json" | "table"),
        "unsupported output format {write_out:?}: simple, json or table"
    );
    let status = Snapshot::open(file, values.bool("skip-hash-check"))?.status()?;
    let Status {
        hash,
        revision,
        keys,
        size,
        version,
    } = status;
    let columns = [
        ("HASH", format!("{hash:x}")),
        ("REVISION", revision.to_string()),
        ("TOTAL KEYS", keys.to_string()),
        ("TOTAL SIZE", rounded(size)),
        ("VERSION", version.to_owned()),
    ];
    Ok(match write_out.as_str() {
        "json" => format!(
            "{{\"hash\":{hash},\"revision\":{revision},\"totalKey\":{keys},\"totalSize\":{size},\"version\":\"{version}\"}}\n"
        ),
        "table" => {
            let widths = columns.each_ref().map(|(name, text)| name.len().max(text.len()));
            let rule: String = widths
                .iter()
                .map(|width| format!("+{}", "-".repeat(width + 2)))
                .collect();
            let names: String = columns
                .iter()
                .zip(widths)
                .map(|((name, _), width)| format!("| {name:^width$} "))
                .collect();
            let texts: String = columns
                .iter()
                .zip(widths)
                .map(|((_, text), width)| format!("| {text:>width$} "))
                .collect();
            format!("{rule}+\n{names}|\n{rule}+\n{texts}|\n{rule}+\n")
        }
        _ => {
            let texts: Vec<String> = columns.into_iter().map(|(_, text)| text).collect();
            format!("{}\n", texts.join(", "))
        }
    })
}

/// Bytes as people say them (`humanize.Bytes`: powers of 1000, one decimal below 10).
fn rounded(bytes: u64) -> String {
    let mut value = bytes as f64;
    let mut units = ["B", "kB", "MB", "GB", "TB", "PB", "EB"].into_iter();
    let mut unit = units.next().unwrap_or_default();
    if bytes < 10 {
        return format!("{bytes} B");
    }
    for next in units {
        if value < 1000.0 {
            break;
        }
        value /= 1000.0;
        unit = next;
    }
    let value = (value * 10.0 + 0.5).floor() / 10.0;
    if value < 10.0 {
        format!("{value:.1} {unit}")
    } else {
        format!("{value:.0} {unit}")
    }
}
