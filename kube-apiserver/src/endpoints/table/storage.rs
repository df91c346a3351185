//! Volumes, claims, classes, drivers.

use serde_json::{Value, json};

use super::cells::{access_modes, age, name, or, or_none, scalar};
use super::{Printer, number, text as column, wide};
use crate::objects::{items, text};

pub(super) const VOLUMES: Printer = Printer {
    columns: &[
        column("Name"),
        column("Capacity"),
        column("Access Modes"),
        column("Reclaim Policy"),
        column("Status"),
        column("Claim"),
        column("StorageClass"),
        column("VolumeAttributesClass"),
        column("Reason"),
        column("Age"),
        wide("VolumeMode"),
    ],
    cells: |o| {
        let claim = o.pointer("/spec/claimRef").map_or(String::new(), |c| {
            format!("{}/{}", text(c, "/namespace"), text(c, "/name"))
        });
        vec![
            name(o),
            json!(text(o, "/spec/capacity/storage")),
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
    },
};

pub(super) const CLAIMS: Printer = Printer {
    columns: &[
        column("Name"),
        column("Status"),
        column("Volume"),
        column("Capacity"),
        column("Access Modes"),
        column("StorageClass"),
        column("VolumeAttributesClass"),
        column("Age"),
        wide("VolumeMode"),
    ],
    cells: |o| {
        let bound = !text(o, "/spec/volumeName").is_empty();
        vec![
            name(o),
            json!(status(o)),
            json!(text(o, "/spec/volumeName")),
            json!(if bound { text(o, "/status/capacity/storage") } else { "" }),
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
    },
};

fn status(o: &Value) -> &str {
    if text(o, "/metadata/deletionTimestamp").is_empty() {
        text(o, "/status/phase")
    } else {
        "Terminating"
    }
}

fn class(o: &Value) -> &str {
    let old = o
        .pointer("/metadata/annotations")
        .and_then(|a| a.get("volume.beta.kubernetes.io/storage-class"));
    old.and_then(Value::as_str).unwrap_or(text(o, "/spec/storageClassName"))
}

pub(super) const STORAGE_CLASSES: Printer = Printer {
    columns: &[
        column("Name"),
        column("Provisioner"),
        column("ReclaimPolicy"),
        column("VolumeBindingMode"),
        column("AllowVolumeExpansion"),
        column("Age"),
    ],
    cells: |o| {
        let a = o.pointer("/metadata/annotations");
        let is_default = [
            "storageclass.kubernetes.io/is-default-class",
            "storageclass.beta.kubernetes.io/is-default-class",
        ]
        .iter()
        .any(|k| a.and_then(|a| a.get(*k)).is_some_and(|v| v == "true"));
        let mark = if is_default { " (default)" } else { "" };
        vec![
            json!(format!("{}{mark}", text(o, "/metadata/name"))),
            json!(text(o, "/provisioner")),
            json!(or(o, "/reclaimPolicy", "Delete")),
            json!(or(o, "/volumeBindingMode", "<unset>")),
            json!(
                o.get("allowVolumeExpansion")
                    .and_then(Value::as_bool)
                    .unwrap_or(false)
                    .to_string()
            ),
            age(o),
        ]
    },
};

pub(super) const ATTACHMENTS: Printer = Printer {
    columns: &[
        column("Name"),
        column("Attacher"),
        column("PV"),
        column("Node"),
        column("Attached"),
        column("Age"),
    ],
    cells: |o| {
        vec![
            name(o),
            json!(text(o, "/spec/attacher")),
            json!(text(o, "/spec/source/persistentVolumeName")),
            json!(text(o, "/spec/nodeName")),
            json!(
                o.pointer("/status/attached")
                    .and_then(Value::as_bool)
                    .unwrap_or(false)
                    .to_string()
            ),
            age(o),
        ]
    },
};

pub(super) const CSI_DRIVERS: Printer = Printer {
    columns: &[
        column("Name"),
        column("AttachRequired"),
        column("PodInfoOnMount"),
        column("StorageCapacity"),
        column("TokenRequests"),
        column("RequiresRepublish"),
        column("Modes"),
        column("Age"),
    ],
    cells: |o| {
        let flag = |p: &str, default: bool| json!(o.pointer(p).and_then(Value::as_bool).unwrap_or(default).to_string());
        let tokens = items(o, "/spec/tokenRequests")
            .iter()
            .map(|t| text(t, "/audience"))
            .collect::<Vec<_>>()
            .join(",");
        let modes = items(o, "/spec/volumeLifecycleModes")
            .iter()
            .map(|m| scalar(Some(m)))
            .collect::<Vec<_>>()
            .join(",");
        vec![
            name(o),
            flag("/spec/attachRequired", true),
            flag("/spec/podInfoOnMount", false),
            flag("/spec/storageCapacity", false),
            json!(if tokens.is_empty() {
                "<unset>".to_owned()
            } else {
                tokens
            }),
            flag("/spec/requiresRepublish", false),
            json!(or_none(modes)),
            age(o),
        ]
    },
};

pub(super) const CSI_NODES: Printer = Printer {
    columns: &[column("Name"), number("Drivers"), column("Age")],
    cells: |o| vec![name(o), json!(items(o, "/spec/drivers").len()), age(o)],
};
