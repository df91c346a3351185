//! The fields each path resets, which its writers therefore cannot own (upstream: `GetResetFields` of the
//! strategies in `pkg/registry`).

use std::sync::LazyLock;

use apimachinery::patch::apply::{Element, Filter, Set};

/// Kinds whose own path keeps the status as it is.
const WITH_STATUS: [(&str, &str); 31] = [
    ("", "namespaces"),
    ("", "nodes"),
    ("", "persistentvolumeclaims"),
    ("", "persistentvolumes"),
    ("", "pods"),
    ("", "replicationcontrollers"),
    ("", "resourcequotas"),
    ("", "services"),
    ("admissionregistration.k8s.io", "validatingadmissionpolicies"),
    ("apiextensions.k8s.io", "customresourcedefinitions"),
    ("apiregistration.k8s.io", "apiservices"),
    ("apps", "daemonsets"),
    ("apps", "deployments"),
    ("apps", "replicasets"),
    ("apps", "statefulsets"),
    ("autoscaling", "horizontalpodautoscalers"),
    ("batch", "cronjobs"),
    ("batch", "jobs"),
    ("flowcontrol.apiserver.k8s.io", "flowschemas"),
    ("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations"),
    ("internal.apiserver.k8s.io", "storageversions"),
    ("networking.k8s.io", "ingresses"),
    ("networking.k8s.io", "servicecidrs"),
    ("policy", "poddisruptionbudgets"),
    ("resource.k8s.io", "devicetaintrules"),
    ("resource.k8s.io", "resourceclaims"),
    ("resource.k8s.io", "resourcepoolstatusrequests"),
    ("scheduling.k8s.io", "podgroups"),
    ("storage.k8s.io", "volumeattachments"),
    ("storagemigration.k8s.io", "storageversionmigrations"),
    ("testapigroup.apimachinery.k8s.io", "carps"),
];

/// Kinds whose status path keeps the metadata, too.
const KEEP_METADATA: [(&str, &str); 12] = [
    ("admissionregistration.k8s.io", "validatingadmissionpolicies"),
    ("apiregistration.k8s.io", "apiservices"),
    ("flowcontrol.apiserver.k8s.io", "flowschemas"),
    ("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations"),
    ("internal.apiserver.k8s.io", "storageversions"),
    ("networking.k8s.io", "servicecidrs"),
    ("resource.k8s.io", "devicetaintrules"),
    ("resource.k8s.io", "resourceclaims"),
    ("resource.k8s.io", "resourcepoolstatusrequests"),
    ("scheduling.k8s.io", "podgroups"),
    ("storage.k8s.io", "volumeattachments"),
    ("storagemigration.k8s.io", "storageversionmigrations"),
];

macro_rules! exclude {
    ($($name:ident = $($path:expr),+;)+) => {
        $(static $name: LazyLock<Filter> = LazyLock::new(|| Filter::Exclude(Set::of_fields(&[$(&$path),+])));)+
    };
}

exclude! {
    STATUS = ["status"];
    SPEC = ["spec"];
    SPEC_AND_STATUS = ["spec"], ["status"];
    SPEC_AND_METADATA = ["spec"], ["metadata"];
    SPEC_AND_LABELS = ["spec"], ["metadata", "labels"];
    POD_STATUS = ["spec"], ["metadata", "deletionTimestamp"], ["metadata", "ownerReferences"];
    CSR_STATUS = ["spec"], ["status", "conditions"];
    CSR_APPROVAL = ["spec"], ["status", "certificate"];
}

static EPHEMERAL: LazyLock<Filter> = LazyLock::new(|| include(&[&["spec", "ephemeralContainers"]]));
static RESIZE: LazyLock<Filter> = LazyLock::new(|| {
    include(&[
        &["spec", "containers", "*", "resources"],
        &["spec", "containers", "*", "resizePolicy"],
        &["spec", "initContainers", "*", "resources"],
        &["spec", "initContainers", "*", "resizePolicy"],
    ])
});

fn include(paths: &[&[&str]]) -> Filter {
    let step = |name: &&str| (*name != "*").then(|| Element::field(name));
    Filter::Include(paths.iter().map(|path| path.iter().map(step).collect()).collect())
}

/// The filter of one path.
pub(super) fn fields(group: &str, resource: &str, subresource: &str) -> Option<&'static Filter> {
    let is = |list: &[(&str, &str)]| list.contains(&(group, resource));
    Some(match (group, resource, subresource) {
        ("certificates.k8s.io", "certificatesigningrequests", "") => &SPEC_AND_STATUS,
        ("certificates.k8s.io", "certificatesigningrequests", "status") => &CSR_STATUS,
        ("certificates.k8s.io", "certificatesigningrequests", "approval") => &CSR_APPROVAL,
        ("certificates.k8s.io", "podcertificaterequests", "status") => &SPEC,
        ("", "namespaces", "finalize") => &STATUS,
        ("", "pods", "status") => &POD_STATUS,
        ("", "pods", "ephemeralcontainers") => &EPHEMERAL,
        ("", "pods", "resize") => &RESIZE,
        ("apps", "deployments", "status") => &SPEC_AND_LABELS,
        (_, _, "") if is(&WITH_STATUS) => &STATUS,
        (_, _, "status") if is(&KEEP_METADATA) => &SPEC_AND_METADATA,
        (_, _, "status") if is(&WITH_STATUS) => &SPEC,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources;

    #[test]
    fn every_kind_with_a_status_path_resets_fields_on_it() {
        for row in resources::resources() {
            if row.subresource("status").is_some() {
                let (group, plural) = (row.group, row.plural);
                assert!(fields(group, plural, "status").is_some(), "{group} {plural}");
            }
        }
    }
}
