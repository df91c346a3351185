//! The table of built-in resources: one row per served (group, version, resource).
//!
//! Routes, discovery, OpenAPI paths, RBAC bootstrap, storage prefixes and metric labels all read
//! it; adding a kind edits `resources.tsv` (and a strategy), no handler. The rows were taken from
//! upstream's served discovery documents.

use std::collections::HashMap;
use std::sync::{LazyLock, OnceLock};

/// Served resources that have a better successor, and what is said to those who use them (upstream
/// `k8s.io/api/core/v1/lifecycle.go`, `deprecation.WarningMessage`); none goes away.
const DEPRECATED: [(&str, &str, &str, &str); 2] = [
    (
        "",
        "v1",
        "componentstatuses",
        "v1 ComponentStatus is deprecated in v1.19+",
    ),
    (
        "",
        "v1",
        "endpoints",
        "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
    ),
];

/// The warning for every request on a deprecated resource.
pub(crate) fn deprecation(group: &str, version: &str, resource: &str) -> Option<&'static str> {
    let all = DEPRECATED.iter();
    let mut found = all.filter(|(g, v, r, _)| (*g, *v, *r) == (group, version, resource));
    found.next().map(|(.., warning)| *warning)
}

/// One subresource of a [`Resource`]: `status[Deployment]:get,patch,update`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Subresource {
    /// Path segment, e.g. `status`.
    pub(crate) name: &'static str,
    /// Group of the kind it speaks, when it is not the parent's.
    pub(crate) group: Option<&'static str>,
    /// Version of the kind it speaks, when it is not the parent's.
    pub(crate) version: Option<&'static str>,
    /// Kind it speaks, e.g. `Scale`.
    pub(crate) kind: &'static str,
    /// Verbs, sorted.
    pub(crate) verbs: Vec<&'static str>,
}

/// One served resource in one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Resource {
    /// API group, `""` for core.
    pub(crate) group: &'static str,
    /// Served version.
    pub(crate) version: &'static str,
    /// Plural lower-case name, as in paths.
    pub(crate) plural: &'static str,
    /// Singular lower-case name.
    pub(crate) singular: &'static str,
    /// Kind.
    pub(crate) kind: &'static str,
    /// Whether objects live in a namespace.
    pub(crate) namespaced: bool,
    /// Short names, e.g. `po`.
    pub(crate) short_names: Vec<&'static str>,
    /// Categories, e.g. `all`.
    pub(crate) categories: Vec<&'static str>,
    /// Verbs, sorted.
    pub(crate) verbs: Vec<&'static str>,
    /// Subresources, in discovery's order.
    pub(crate) subresources: Vec<Subresource>,
    /// apiVersion objects are stored in (`v1`, `apps/v1`), `None` for virtual resources.
    pub(crate) storage_version: Option<&'static str>,
    /// Path below the etcd prefix, without slashes at the ends; `None` for virtual resources.
    pub(crate) etcd_prefix: Option<&'static str>,
}

impl Resource {
    /// The `apiVersion` string of this row: `v1` or `apps/v1`.
    pub(crate) fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// Whether the resource itself (not a subresource) serves `verb`.
    pub(crate) fn has_verb(&self, verb: &str) -> bool {
        self.verbs.contains(&verb)
    }

    /// The subresource called `name`, if served.
    pub(crate) fn subresource(&self, name: &str) -> Option<&Subresource> {
        self.subresources.iter().find(|s| s.name == name)
    }
}

struct Table {
    rows: Vec<Resource>,
    by_name: HashMap<(&'static str, &'static str, &'static str), usize>,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let rows: Vec<Resource> = include_str!("resources.tsv")
        .lines()
        .skip(1)
        .filter(|l| !l.is_empty())
        .map(parse_row)
        .collect();
    let by_name = rows
        .iter()
        .enumerate()
        .map(|(i, r)| ((r.group, r.version, r.plural), i))
        .collect();
    Table { rows, by_name }
});

/// Every built-in resource, in discovery's group order.
pub(crate) fn resources() -> &'static [Resource] {
    &TABLE.rows
}

/// Which rows are served, in their order: all until a server says otherwise.
static SERVED: OnceLock<Vec<bool>> = OnceLock::new();

/// Says which rows are served (`--runtime-config`); the first call counts, and comes before any document is made.
pub(crate) fn serve(wanted: impl Fn(&Resource) -> bool) {
    // A second server of the same process serves what the first does: only tests do that.
    let _ = SERVED.set(resources().iter().map(wanted).collect());
}

/// The rows that are served.
pub(crate) fn served() -> impl Iterator<Item = &'static Resource> {
    let all = SERVED.get();
    let rows = resources().iter().enumerate();
    rows.filter(move |(i, _)| all.is_none_or(|all| all[*i]))
        .map(|(_, row)| row)
}

/// The row of (group, version, plural), if served.
pub(crate) fn find_served(group: &str, version: &str, plural: &str) -> Option<&'static Resource> {
    let table: &'static Table = &TABLE;
    let i = *table.by_name.get(&(group, version, plural))?;
    SERVED.get().is_none_or(|all| all[i]).then(|| &table.rows[i])
}

/// The row of (group, version, plural), if there is one.
pub(crate) fn find(group: &str, version: &str, plural: &str) -> Option<&'static Resource> {
    let table: &'static Table = &TABLE;
    table.by_name.get(&(group, version, plural)).map(|&i| &table.rows[i])
}

/// Group and resource by where objects are stored. Kinds that share their storage count for the group that comes first:
/// events are core's.
static STORED: LazyLock<HashMap<&'static str, (&'static str, &'static str)>> = LazyLock::new(|| {
    let mut stored = HashMap::new();
    for row in resources() {
        if let Some(prefix) = row.etcd_prefix {
            stored.entry(prefix).or_insert((row.group, row.plural));
        }
    }
    stored
});

/// Where objects are stored below the etcd prefix, with the group and resource they are.
pub(crate) fn stored() -> impl Iterator<Item = (&'static str, (&'static str, &'static str))> {
    STORED.iter().map(|(folder, resource)| (*folder, *resource))
}

/// Group and resource of a path below the etcd prefix (`secrets/ns/a`), if it is one of the table.
pub(crate) fn stored_at(path: &str) -> Option<(&'static str, &'static str)> {
    let ends = path.match_indices('/').map(|(i, _)| i).chain([path.len()]);
    ends.take(3).find_map(|end| STORED.get(&path[..end]).copied())
}

/// Whether anything is served in the group and version.
pub(crate) fn group_version_served(group: &str, version: &str) -> bool {
    served().any(|r| r.group == group && r.version == version)
}

/// Whether anything is served in the group.
pub(crate) fn group_served(group: &str) -> bool {
    served().any(|r| r.group == group)
}

/// Whether there is anything in the group and version.
pub(crate) fn group_version_exists(group: &str, version: &str) -> bool {
    resources().iter().any(|r| r.group == group && r.version == version)
}

fn dash(cell: &'static str) -> Option<&'static str> {
    (cell != "-" && !cell.is_empty()).then_some(cell)
}

fn commas(cell: &'static str) -> Vec<&'static str> {
    dash(cell).map(|c| c.split(',').collect()).unwrap_or_default()
}

fn parse_row(line: &'static str) -> Resource {
    let c: Vec<&'static str> = line.split('\t').collect();
    assert!(c.len() == 12, "resources.tsv: a row has 12 columns: {line}");
    Resource {
        group: dash(c[0]).unwrap_or(""),
        version: c[1],
        plural: c[2],
        singular: c[3],
        kind: c[4],
        namespaced: c[5] == "true",
        short_names: commas(c[6]),
        categories: commas(c[7]),
        verbs: commas(c[8]),
        subresources: dash(c[9])
            .map(|cell| cell.split(';').map(parse_subresource).collect())
            .unwrap_or_default(),
        storage_version: dash(c[10]),
        etcd_prefix: dash(c[11]),
    }
}

/// Parses `scale[autoscaling/v1.Scale]:get,patch,update`.
fn parse_subresource(cell: &'static str) -> Subresource {
    let (name, rest) = cell.split_once('[').expect("resources.tsv: subresource has a kind");
    let (kind, verbs) = rest.split_once("]:").expect("resources.tsv: subresource has verbs");
    let (group, version, kind) = match kind.rsplit_once('.') {
        Some((gv, kind)) => match gv.rsplit_once('/') {
            Some((group, version)) => (Some(group), Some(version), kind),
            None => (Some(""), Some(gv), kind),
        },
        None => (None, None, kind),
    };
    Subresource {
        name,
        group,
        version,
        kind,
        verbs: verbs.split(',').collect(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_stored_row_names_its_prefix_and_version() {
        for r in resources() {
            assert_eq!(r.storage_version.is_some(), r.etcd_prefix.is_some(), "{}", r.plural);
            assert_eq!(
                r.has_verb("get") && r.plural != "componentstatuses",
                r.etcd_prefix.is_some(),
                "{}",
                r.plural
            );
        }
    }

    #[test]
    fn subresource_kinds_may_live_in_another_group() {
        let d = find("apps", "v1", "deployments").unwrap();
        let s = d.subresource("scale").unwrap();
        assert_eq!((s.group, s.version, s.kind), (Some("autoscaling"), Some("v1"), "Scale"));
        let p = find("", "v1", "pods").unwrap();
        assert_eq!(p.subresource("status").unwrap().group, None);
    }
}
