//! `as=Table`: objects as rows that kubectl prints.
//!
//! Columns and cells as upstream's `pkg/printers/internalversion/printers.go`; kinds without a
//! printer get Name and Age. The list of printers is [`printer`].

use serde_json::{Map, Value, json};

use crate::request::Query;
use crate::resources::Resource;

pub(crate) mod cells;
mod core;
mod network;
mod pods;
mod policy;
mod storage;
mod workloads;

/// One column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Column {
    /// Header.
    name: &'static str,
    /// `string` or `integer`.
    kind: &'static str,
    /// 0 always, 1 with `-o wide`.
    priority: u8,
}

/// A text column.
const fn text(name: &'static str) -> Column {
    Column {
        name,
        kind: "string",
        priority: 0,
    }
}

/// A number column.
const fn number(name: &'static str) -> Column {
    Column {
        name,
        kind: "integer",
        priority: 0,
    }
}

/// A text column of `-o wide`.
const fn wide(name: &'static str) -> Column {
    Column {
        name,
        kind: "string",
        priority: 1,
    }
}

/// How one kind is printed: its columns and, for one object, as many cells.
#[derive(Clone, Copy)]
pub(crate) struct Printer {
    columns: &'static [Column],
    cells: fn(&Value) -> Vec<Value>,
}

const DEFAULT: Printer = Printer {
    columns: &[text("Name"), text("Age")],
    cells: |o| vec![cells::name(o), cells::age(o)],
};

/// Name and creation time, for kinds whose age does not interest.
const CREATED: Printer = Printer {
    columns: &[text("Name"), text("Created At")],
    cells: |o| {
        vec![
            cells::name(o),
            json!(crate::objects::text(o, "/metadata/creationTimestamp")),
        ]
    },
};

/// The printer of a resource.
pub(crate) fn printer(group: &str, resource: &str) -> Printer {
    match (group, resource) {
        ("", "pods") => pods::PODS,
        ("", "podtemplates") => workloads::POD_TEMPLATES,
        ("", "replicationcontrollers") => workloads::REPLICATION_CONTROLLERS,
        ("", "services") => network::SERVICES,
        ("", "endpoints") => network::ENDPOINTS,
        ("", "nodes") => core::NODES,
        ("" | "events.k8s.io", "events") => core::EVENTS,
        ("", "namespaces") => core::NAMESPACES,
        ("", "secrets") => core::SECRETS,
        ("", "serviceaccounts") => core::SERVICE_ACCOUNTS,
        ("", "configmaps") => core::CONFIG_MAPS,
        ("", "componentstatuses") => core::COMPONENT_STATUSES,
        ("", "resourcequotas") => policy::RESOURCE_QUOTAS,
        ("", "limitranges") => CREATED,
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
        ("rbac.authorization.k8s.io", "roles" | "clusterroles") => CREATED,
        ("rbac.authorization.k8s.io", "rolebindings" | "clusterrolebindings") => policy::BINDINGS,
        ("certificates.k8s.io", "certificatesigningrequests") => policy::SIGNING_REQUESTS,
        ("scheduling.k8s.io", "priorityclasses") => policy::PRIORITY_CLASSES,
        ("node.k8s.io", "runtimeclasses") => policy::RUNTIME_CLASSES,
        ("flowcontrol.apiserver.k8s.io", "flowschemas") => policy::FLOW_SCHEMAS,
        ("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations") => policy::PRIORITY_LEVELS,
        ("admissionregistration.k8s.io", "validatingwebhookconfigurations" | "mutatingwebhookconfigurations") => {
            policy::WEBHOOKS
        }
        ("storage.k8s.io", "storageclasses") => storage::STORAGE_CLASSES,
        ("storage.k8s.io", "volumeattachments") => storage::ATTACHMENTS,
        ("storage.k8s.io", "csidrivers") => storage::CSI_DRIVERS,
        ("storage.k8s.io", "csinodes") => storage::CSI_NODES,
        ("apiextensions.k8s.io", "customresourcedefinitions") => CREATED,
        ("apiregistration.k8s.io", "apiservices") => policy::API_SERVICES,
        _ => DEFAULT,
    }
}

/// A Table of `objects`, without list metadata. `headers`: with column definitions.
pub(crate) fn table(row: &Resource, objects: &[&Value], headers: bool, query: &Query) -> Value {
    let p = printer(row.group, row.plural);
    let include = query.get("includeObject").unwrap_or("Metadata");
    let rows: Vec<Value> = objects.iter().map(|o| table_row(row, &p, o, include)).collect();
    let columns = if headers {
        json!(p.columns.iter().map(definition).collect::<Vec<_>>())
    } else {
        Value::Null
    };
    json!({
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {},
        "columnDefinitions": columns,
        "rows": rows,
    })
}

fn definition(c: &Column) -> Value {
    json!({
        "name": c.name,
        "type": c.kind,
        "format": if c.name == "Name" { "name" } else { "" },
        "description": "",
        "priority": c.priority,
    })
}

fn table_row(row: &Resource, p: &Printer, object: &Value, include: &str) -> Value {
    let mut out = Map::new();
    out.insert("cells".to_owned(), json!((p.cells)(object)));
    if row.group.is_empty() && row.plural == "pods" {
        let conditions = pods::row_conditions(object);
        if !conditions.is_empty() {
            out.insert("conditions".to_owned(), json!(conditions));
        }
    }
    match include {
        "None" => {}
        "Object" => {
            out.insert("object".to_owned(), object.clone());
        }
        _ => {
            out.insert(
                "object".to_owned(),
                json!({
                    "kind": "PartialObjectMetadata",
                    "apiVersion": "meta.k8s.io/v1",
                    "metadata": object.get("metadata").cloned().unwrap_or_else(|| json!({})),
                }),
            );
        }
    }
    Value::Object(out)
}

#[cfg(test)]
mod tests;
