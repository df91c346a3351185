//! Texts for `Warning` headers (pkg/api/storage/util.go and the strategies of the group).

use apimachinery::field::Path;
use k8s_openapi::api::storage::v1::{CSIDriver, CSIStorageCapacity, StorageClass};

use crate::check::{equal, list};
use crate::node::v1::labels::deprecated_label;
use crate::node::v1::warnings::selector;

/// Of a StorageClass: topologies by labels that have newer names (`GetWarningsForStorageClass`).
pub fn storage_class(class: &StorageClass) -> Vec<String> {
    let mut out = vec![];
    for (index, term) in list(&class.allowed_topologies).iter().enumerate() {
        let path = Path::new("allowedTopologies")
            .index(index)
            .child("matchLabelExpressions");
        for (index, expression) in list(&term.match_label_expressions).iter().enumerate() {
            if let Some(text) = deprecated_label(&expression.key) {
                out.push(format!("{}: {text}", path.index(index).child("key")));
            }
        }
    }
    out
}

/// Of a CSIStorageCapacity (`GetWarningsForCSIStorageCapacity`).
pub fn csi_storage_capacity(capacity: &CSIStorageCapacity) -> Vec<String> {
    let topology = capacity.node_topology.as_ref();
    topology.map_or(vec![], |s| selector(s, &Path::new("nodeTopology")))
}

/// Of a CSIDriver: tokens are better handed over as secrets (`csiDriverStrategy`).
pub fn csi_driver(new: &CSIDriver, old: Option<&CSIDriver>) -> Vec<String> {
    let requests = &new.spec.token_requests;
    let changed = old.is_none_or(|old| !equal(requests, &old.spec.token_requests));
    if !changed || list(requests).is_empty() || new.spec.service_account_token_in_secrets.is_some() {
        return vec![];
    }
    let text = "spec.serviceAccountTokenInSecrets is unset; if supported by this CSI driver, set to true to prevent possible logging of tokens in volume attributes";
    vec![text.to_string()]
}
