//! Volumes, claims, classes, drivers.

use serde_json::{Value, json};

use super::Cells;
use super::cells::{access_modes, age, annotation, flag, name, or, or_none, quantity, texts};
use crate::objects::{items, text};

pub(super) const VOLUMES: Cells = |o| {
    let claim = o.pointer("/spec/claimRef").map_or(String::new(), |c| {
        format!("{}/{}", text(c, "/namespace"), text(c, "/name"))
    });
    vec![
        name(o),
        json!(quantity(o, "/spec/capacity/storage")),
        json!(access_modes(items(o, "/spec/accessModes"))),
        json!(text(o, "/spec/persistentVolumeReclaimPolicy")),
        json!(status(o)),
        json!(claim),
        json!(class(o)),
        json!(or(o, "/spec/volumeAttributesClassName", "<unset>")),
        json!(text(o, "/status/reason")),
        age(o),
        json!(or(o, "/spec/volumeMode", "<unset>")),
    ]
};

pub(super) const CLAIMS: Cells = |o| {
    let bound = !text(o, "/spec/volumeName").is_empty();
    vec![
        name(o),
        json!(status(o)),
        json!(text(o, "/spec/volumeName")),
        json!(if bound {
            quantity(o, "/status/capacity/storage")
        } else {
            String::new()
        }),
        json!(if bound {
            access_modes(items(o, "/status/accessModes"))
        } else {
            String::new()
        }),
        json!(class(o)),
        json!(or(o, "/spec/volumeAttributesClassName", "<unset>")),
        age(o),
        json!(or(o, "/spec/volumeMode", "<unset>")),
    ]
};

fn status(o: &Value) -> &str {
    if text(o, "/metadata/deletionTimestamp").is_empty() {
        text(o, "/status/phase")
    } else {
        "Terminating"
    }
}

fn class(o: &Value) -> &str {
    annotation(o, "volume.beta.kubernetes.io/storage-class").unwrap_or(text(o, "/spec/storageClassName"))
}

pub(super) const STORAGE_CLASSES: Cells = |o| {
    let is_default = [
        "storageclass.kubernetes.io/is-default-class",
        "storageclass.beta.kubernetes.io/is-default-class",
    ]
    .iter()
    .any(|k| annotation(o, k) == Some("true"));
    let mark = if is_default { " (default)" } else { "" };
    vec![
        json!(format!("{}{mark}", text(o, "/metadata/name"))),
        json!(text(o, "/provisioner")),
        json!(or(o, "/reclaimPolicy", "Delete")),
        json!(or(o, "/volumeBindingMode", "Immediate")),
        flag(o, "/allowVolumeExpansion", false),
        age(o),
    ]
};

pub(super) const ATTACHMENTS: Cells = |o| {
    vec![
        name(o),
        json!(text(o, "/spec/attacher")),
        json!(text(o, "/spec/source/persistentVolumeName")),
        json!(text(o, "/spec/nodeName")),
        flag(o, "/status/attached", false),
        age(o),
    ]
};

pub(super) const CSI_DRIVERS: Cells = |o| {
    let tokens = o.pointer("/spec/tokenRequests").and_then(Value::as_array);
    let tokens = tokens.map_or_else(
        || "<unset>".to_owned(),
        |all| all.iter().map(|t| text(t, "/audience")).collect::<Vec<_>>().join(","),
    );
    vec![
        name(o),
        flag(o, "/spec/attachRequired", true),
        flag(o, "/spec/podInfoOnMount", false),
        flag(o, "/spec/storageCapacity", false),
        json!(tokens),
        flag(o, "/spec/requiresRepublish", false),
        json!(or_none(texts(o, "/spec/volumeLifecycleModes").join(","))),
        age(o),
    ]
};

pub(super) const ATTRIBUTES_CLASSES: Cells = |o| vec![name(o), json!(text(o, "/driverName")), age(o)];

pub(super) const CSI_NODES: Cells = |o| vec![name(o), json!(items(o, "/spec/drivers").len()), age(o)];
