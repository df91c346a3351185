//! The labels a field selector of a kind may use.
//!
//! Upstream registers a conversion per kind (`AddFieldLabelConversionFunc` in
//! `pkg/apis/*/*/conversion.go`); kinds without one know the name and the namespace only
//! (`DefaultMetaV1FieldSelectorConversion`).

use apimachinery::fields::{Requirement, Selector};
use apimachinery::status::{ApiError, Result};

use crate::resources::Resource;

/// A kind's labels as (asked for, stored under), and how others are refused.
struct Labels {
    group: &'static str,
    plural: &'static str,
    known: &'static [(&'static str, &'static str)],
    refusal: fn(&str) -> String,
}

const NAME: (&str, &str) = ("metadata.name", "metadata.name");
const NAMESPACE: (&str, &str) = ("metadata.namespace", "metadata.namespace");

fn plain(label: &str) -> String {
    format!("field label not supported: {label}")
}

/// Every kind with labels of its own.
const KINDS: [Labels; 10] = [
    Labels {
        group: "",
        plural: "pods",
        known: &[
            NAME,
            NAMESPACE,
            ("spec.nodeName", "spec.nodeName"),
            ("spec.host", "spec.nodeName"),
            ("spec.restartPolicy", "spec.restartPolicy"),
            ("spec.schedulerName", "spec.schedulerName"),
            ("spec.serviceAccountName", "spec.serviceAccountName"),
            ("spec.hostNetwork", "spec.hostNetwork"),
            ("status.phase", "status.phase"),
            ("status.podIP", "status.podIP"),
            ("status.podIPs", "status.podIPs"),
            ("status.nominatedNodeName", "status.nominatedNodeName"),
        ],
        refusal: plain,
    },
    Labels {
        group: "",
        plural: "nodes",
        known: &[NAME, ("spec.unschedulable", "spec.unschedulable")],
        refusal: plain,
    },
    Labels {
        group: "",
        plural: "replicationcontrollers",
        known: &[NAME, NAMESPACE, ("status.replicas", "status.replicas")],
        refusal: plain,
    },
    Labels {
        group: "",
        plural: "events",
        known: &[
            ("involvedObject.kind", "involvedObject.kind"),
            ("involvedObject.namespace", "involvedObject.namespace"),
            ("involvedObject.name", "involvedObject.name"),
            ("involvedObject.uid", "involvedObject.uid"),
            ("involvedObject.apiVersion", "involvedObject.apiVersion"),
            ("involvedObject.resourceVersion", "involvedObject.resourceVersion"),
            ("involvedObject.fieldPath", "involvedObject.fieldPath"),
            ("reason", "reason"),
            ("reportingComponent", "reportingComponent"),
            ("source", "source"),
            ("type", "type"),
            NAME,
            NAMESPACE,
        ],
        refusal: plain,
    },
    Labels {
        group: "events.k8s.io",
        plural: "events",
        known: &[
            ("reason", "reason"),
            ("regarding.kind", "involvedObject.kind"),
            ("regarding.namespace", "involvedObject.namespace"),
            ("regarding.name", "involvedObject.name"),
            ("regarding.uid", "involvedObject.uid"),
            ("regarding.apiVersion", "involvedObject.apiVersion"),
            ("regarding.resourceVersion", "involvedObject.resourceVersion"),
            ("regarding.fieldPath", "involvedObject.fieldPath"),
            ("reportingController", "reportingComponent"),
            ("type", "type"),
            NAME,
            NAMESPACE,
        ],
        refusal: plain,
    },
    Labels {
        group: "",
        plural: "namespaces",
        known: &[NAME, ("status.phase", "status.phase")],
        refusal: plain,
    },
    Labels {
        group: "",
        plural: "secrets",
        known: &[NAME, NAMESPACE, ("type", "type")],
        refusal: plain,
    },
    Labels {
        group: "",
        plural: "services",
        known: &[
            NAME,
            NAMESPACE,
            ("spec.clusterIP", "spec.clusterIP"),
            ("spec.type", "spec.type"),
        ],
        refusal: plain,
    },
    Labels {
        group: "batch",
        plural: "jobs",
        known: &[NAME, NAMESPACE, ("status.successful", "status.successful")],
        refusal: |label| format!("field label {label:?} not supported for Job"),
    },
    Labels {
        group: "certificates.k8s.io",
        plural: "certificatesigningrequests",
        known: &[NAME, ("spec.signerName", "spec.signerName")],
        refusal: plain,
    },
];

/// `resourceslices` in any version; its refusal names the version.
const SLICES: [(&str, &str); 3] = [NAME, ("spec.nodeName", "spec.nodeName"), ("spec.driver", "spec.driver")];

/// The selector in the labels objects are indexed by; 400 for a label the kind lacks.
pub(crate) fn translate(row: &Resource, selector: &Selector) -> Result<Selector> {
    let terms = selector.requirements().iter().map(|term| {
        let field = stored_as(row, &term.field).map_err(ApiError::bad_request)?;
        Ok(Requirement {
            field: field.to_owned(),
            ..term.clone()
        })
    });
    terms.collect::<Result<Vec<_>>>().map(Selector::new)
}

fn stored_as(row: &Resource, label: &str) -> std::result::Result<&'static str, String> {
    let pick = |known: &[(&'static str, &'static str)]| known.iter().find(|(l, _)| *l == label).map(|(_, s)| *s);
    if (row.group, row.plural) == ("resource.k8s.io", "resourceslices") {
        let kind = format!("{}/{}, Kind={}", row.group, row.version, row.kind);
        return pick(&SLICES).ok_or_else(|| format!("field label not supported for {kind}: {label}"));
    }
    match KINDS.iter().find(|k| k.group == row.group && k.plural == row.plural) {
        Some(kind) => pick(kind.known).ok_or_else(|| (kind.refusal)(label)),
        None => pick(&[NAME, NAMESPACE]).ok_or_else(|| {
            format!("{label:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\"")
        }),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::resources;

    #[test]
    fn labels_are_translated_or_refused_by_kind() {
        let cases = [
            ("", "v1", "pods", "spec.host", Ok("spec.nodeName")),
            ("", "v1", "pods", "spec.x", Err("field label not supported: spec.x")),
            (
                "",
                "v1",
                "nodes",
                "metadata.namespace",
                Err("field label not supported: metadata.namespace"),
            ),
            (
                "events.k8s.io",
                "v1",
                "events",
                "regarding.name",
                Ok("involvedObject.name"),
            ),
            (
                "events.k8s.io",
                "v1",
                "events",
                "involvedObject.name",
                Err("field label not supported: involvedObject.name"),
            ),
            (
                "batch",
                "v1",
                "jobs",
                "x",
                Err("field label \"x\" not supported for Job"),
            ),
            (
                "resource.k8s.io",
                "v1",
                "resourceslices",
                "x",
                Err("field label not supported for resource.k8s.io/v1, Kind=ResourceSlice: x"),
            ),
            (
                "apps",
                "v1",
                "replicasets",
                "status.replicas",
                Err(
                    "\"status.replicas\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\"",
                ),
            ),
        ];
        for (group, version, plural, label, want) in cases {
            let row = resources::find(group, version, plural).unwrap();
            let got = translate(row, &Selector::one(label, "v")).map(|s| s.requirements()[0].field.clone());
            assert_eq!(
                got.map_err(|e| e.message),
                want.map(str::to_owned).map_err(str::to_owned)
            );
        }
    }
}
