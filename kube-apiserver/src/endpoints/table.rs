//! `as=Table`: objects as rows that kubectl prints.
//!
//! Columns (`table/columns.tsv`) and cells as upstream's `pkg/printers/internalversion/printers.go`; kinds without a
//! printer there get their name and creation time (`apiserver/pkg/registry/rest/table.go`). The list of printers is
//! [`cells_of`].

use serde_json::{Map, Value, json};

use super::openapi::descriptions;
use crate::request::Query;
use crate::resources::Resource;

pub(crate) mod cells;
mod core;
mod devices;
mod metrics;
mod network;
mod pods;
mod policy;
mod storage;
mod workloads;

/// One row of `columns.tsv`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Column {
    /// Header.
    name: &'static str,
    /// `string`, `integer`, `boolean`, `date`.
    kind: &'static str,
    /// `name` for what identifies the object, else empty.
    format: &'static str,
    /// 0 always, 1 with `-o wide`.
    priority: u8,
    /// Text, or `@` and the field whose description it is.
    about: &'static str,
}

/// One object as a row of cells, one for each column.
pub(crate) type Cells = fn(&Value) -> Vec<Value>;

/// Kinds without a printer of their own, in `columns.tsv`.
const DEFAULT: &str = "*";

const CREATED: Cells = |o| {
    let created = crate::objects::text(o, "/metadata/creationTimestamp");
    // Go prints the zero time.
    let created = if created.is_empty() {
        "0001-01-01T00:00:00Z"
    } else {
        created
    };
    vec![cells::name(o), json!(created)]
};

const AGE: Cells = |o| vec![cells::name(o), cells::age(o)];

/// The printer of a resource, which has columns of its own.
fn cells_of(group: &str, resource: &str) -> Option<Cells> {
    Some(match (group, resource) {
        ("", "pods") => pods::PODS,
        ("", "podtemplates") => workloads::POD_TEMPLATES,
        ("", "replicationcontrollers") => workloads::REPLICATION_CONTROLLERS,
        ("", "services") => network::SERVICES,
        ("", "endpoints") => network::ENDPOINTS,
        ("", "nodes") => core::NODES,
        ("" | "events.k8s.io", "events") => core::EVENTS,
        ("", "namespaces") => core::NAMESPACES,
        ("", "secrets") => core::SECRETS,
        ("", "serviceaccounts") => AGE,
        ("", "configmaps") => core::CONFIG_MAPS,
        ("", "componentstatuses") => core::COMPONENT_STATUSES,
        ("", "resourcequotas") => policy::RESOURCE_QUOTAS,
        ("", "persistentvolumes") => storage::VOLUMES,
        ("", "persistentvolumeclaims") => storage::CLAIMS,
        ("apps", "deployments") => workloads::DEPLOYMENTS,
        ("apps", "replicasets") => workloads::REPLICA_SETS,
        ("apps", "daemonsets") => workloads::DAEMON_SETS,
        ("apps", "statefulsets") => workloads::STATEFUL_SETS,
        ("apps", "controllerrevisions") => workloads::CONTROLLER_REVISIONS,
        ("batch", "jobs") => workloads::JOBS,
        ("batch", "cronjobs") => workloads::CRON_JOBS,
        ("autoscaling", "horizontalpodautoscalers") => workloads::AUTOSCALERS,
        ("coordination.k8s.io", "leases") => core::LEASES,
        ("discovery.k8s.io", "endpointslices") => network::ENDPOINT_SLICES,
        ("networking.k8s.io", "ingresses") => network::INGRESSES,
        ("networking.k8s.io", "ingressclasses") => network::INGRESS_CLASSES,
        ("networking.k8s.io", "networkpolicies") => network::NETWORK_POLICIES,
        ("networking.k8s.io", "ipaddresses") => network::IP_ADDRESSES,
        ("networking.k8s.io", "servicecidrs") => network::SERVICE_CIDRS,
        ("policy", "poddisruptionbudgets") => policy::DISRUPTION_BUDGETS,
        ("rbac.authorization.k8s.io", "rolebindings" | "clusterrolebindings") => policy::BINDINGS,
        ("certificates.k8s.io", "certificatesigningrequests") => policy::SIGNING_REQUESTS,
        ("scheduling.k8s.io", "priorityclasses") => policy::PRIORITY_CLASSES,
        ("node.k8s.io", "runtimeclasses") => policy::RUNTIME_CLASSES,
        ("apiregistration.k8s.io", "apiservices") => policy::API_SERVICES,
        ("flowcontrol.apiserver.k8s.io", "flowschemas") => policy::FLOW_SCHEMAS,
        ("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations") => policy::PRIORITY_LEVELS,
        ("admissionregistration.k8s.io", name) => match name {
            "validatingwebhookconfigurations" | "mutatingwebhookconfigurations" => policy::WEBHOOKS,
            "validatingadmissionpolicies" => policy::VALIDATING_POLICIES,
            "mutatingadmissionpolicies" => policy::MUTATING_POLICIES,
            "validatingadmissionpolicybindings" | "mutatingadmissionpolicybindings" => policy::POLICY_BINDINGS,
            _ => return None,
        },
        ("storage.k8s.io", "storageclasses") => storage::STORAGE_CLASSES,
        ("storage.k8s.io", "volumeattachments") => storage::ATTACHMENTS,
        ("storage.k8s.io", "volumeattributesclasses") => storage::ATTRIBUTES_CLASSES,
        ("storage.k8s.io", "csidrivers") => storage::CSI_DRIVERS,
        ("storage.k8s.io", "csinodes") => storage::CSI_NODES,
        ("resource.k8s.io", "deviceclasses" | "resourceclaimtemplates") => AGE,
        ("resource.k8s.io", "resourceclaims") => devices::CLAIMS,
        ("resource.k8s.io", "resourceslices") => devices::SLICES,
        _ => return None,
    })
}

/// How one kind is printed.
struct Printer {
    /// First column of `columns.tsv`.
    key: String,
    cells: Cells,
}

impl Printer {
    fn of(row: &Resource) -> Self {
        match cells_of(row.group, row.plural) {
            Some(cells) => {
                // Both groups' events are one kind inside.
                let key = match row.group {
                    "" | "events.k8s.io" => row.plural.to_owned(),
                    group => format!("{}.{group}", row.plural),
                };
                Printer { key, cells }
            }
            None => Printer {
                key: DEFAULT.to_owned(),
                cells: CREATED,
            },
        }
    }

    fn columns(&self) -> Vec<Column> {
        let rows = include_str!("table/columns.tsv").lines().skip(1);
        rows.filter_map(|row| {
            let row: Vec<&'static str> = row.split('\t').collect();
            let [key, name, kind, format, priority, about] = row.as_slice() else {
                return None;
            };
            let dash = |cell: &'static str| if cell == "-" { "" } else { cell };
            (*key == self.key).then(|| Column {
                name,
                kind,
                format: dash(format),
                priority: u8::from(*priority == "1"),
                about: dash(about),
            })
        })
        .collect()
    }
}

/// A Table of `objects`, without list metadata, in this version of `meta.k8s.io`. `headers`: with column definitions.
pub(crate) fn table(row: &Resource, objects: &[&Value], version: &str, headers: bool, query: &Query) -> Value {
    made(&Printer::of(row), objects, version, headers, query)
}

/// A Table of one `Scale`.
pub(crate) fn scale(object: &Value, version: &str, query: &Query) -> Value {
    let printer = Printer {
        key: "scale".to_owned(),
        cells: workloads::SCALES,
    };
    let mut t = made(&printer, &[object], version, true, query);
    if let Some(version) = object.pointer("/metadata/resourceVersion") {
        t["metadata"] = json!({"resourceVersion": version});
    }
    t
}

fn made(printer: &Printer, objects: &[&Value], version: &str, headers: bool, query: &Query) -> Value {
    let api_version = format!("meta.k8s.io/{version}");
    let include = query.get("includeObject").unwrap_or_default();
    let rows: Vec<Value> = objects
        .iter()
        .map(|o| table_row(printer, o, &api_version, include))
        .collect();
    let columns = match headers {
        true => printer.columns().iter().map(definition).collect(),
        false => Value::Null,
    };
    json!({
        "kind": "Table",
        "apiVersion": api_version,
        "metadata": {},
        "columnDefinitions": columns,
        "rows": rows,
    })
}

fn definition(c: &Column) -> Value {
    let about = match c.about.strip_prefix('@').and_then(|f| f.rsplit_once('.')) {
        Some((type_name, field)) => descriptions::of_field(type_name, field).unwrap_or_default(),
        None => c.about.to_owned(),
    };
    json!({
        "name": c.name,
        "type": c.kind,
        "format": c.format,
        "description": about,
        "priority": c.priority,
    })
}

fn table_row(printer: &Printer, object: &Value, api_version: &str, include: &str) -> Value {
    let mut out = Map::new();
    out.insert("cells".to_owned(), json!((printer.cells)(object)));
    if printer.key == "pods" {
        let conditions = pods::row_conditions(object);
        if !conditions.is_empty() {
            out.insert("conditions".to_owned(), json!(conditions));
        }
    }
    // Who waits for the end of the initial events must see the mark on the bookmark.
    let marked = cells::annotation(object, "k8s.io/initial-events-end").is_some();
    let object = match include {
        "Object" => object.clone(),
        "None" if !marked => Value::Null,
        _ => json!({
            "kind": "PartialObjectMetadata",
            "apiVersion": api_version,
            "metadata": object.get("metadata").cloned().unwrap_or_else(|| json!({})),
        }),
    };
    // Go writes a raw object always.
    out.insert("object".to_owned(), object);
    Value::Object(out)
}

#[cfg(test)]
mod tests;
