//! PersistentVolumes.

use apimachinery::field::{Error, ErrorList, Path};
use k8s_openapi::api::core::v1::{
    CSIPersistentVolumeSource, PersistentVolume, PersistentVolumeSpec, SecretReference, VolumeNodeAffinity,
};
use serde_json::{Map, Value};

use super::claim::{access_modes, class_and_mode};
use super::scheduling;
use super::volume::csi_driver_name;
use super::volume::sources::{self, ISCSI_TOO_LONG, Iscsi, all_required};
use crate::check::{
    IMMUTABLE, dns_label, dns_subdomain, equal, immutable_named, invalid_each, no_backsteps, one_of, quantity,
    required, shown, text, to_value,
};
use crate::gates::{Gate, on};
use crate::internal::difference;
use crate::meta;

/// A new PersistentVolume (`ValidatePersistentVolume`).
pub fn persistent_volume_create(obj: &PersistentVolume) -> ErrorList {
    whole(obj, None)
}

fn whole(obj: &PersistentVolume, old: Option<&PersistentVolumeSpec>) -> ErrorList {
    let mut errs = meta::create(&obj.metadata, false, meta::name_subdomain);
    let empty = PersistentVolumeSpec::default();
    let spec = obj.spec.as_ref().unwrap_or(&empty);
    volume_spec(&mut errs, spec, text(&obj.metadata.name), old);
    errs
}

/// `ValidatePersistentVolumeSpec`.
fn volume_spec(errs: &mut ErrorList, spec: &PersistentVolumeSpec, name: &str, old: Option<&PersistentVolumeSpec>) {
    let path = Path::new("spec");
    access_modes(errs, &spec.access_modes, "", &path);
    capacity(errs, spec, &path.child("capacity"));
    let reclaim = text(&spec.persistent_volume_reclaim_policy);
    let reclaim_path = path.child("persistentVolumeReclaimPolicy");
    if !reclaim.is_empty() {
        one_of(errs, &reclaim_path, reclaim, &["Delete", "Recycle", "Retain"]);
    }
    let affinity_path = path.child("nodeAffinity");
    match spec.node_affinity.as_ref().map(|a| &a.required) {
        Some(Some(selector)) => {
            let mut stored = ErrorList::new();
            let old = old.and_then(|o| o.node_affinity.as_ref()?.required.as_ref());
            if let Some(old) = old {
                scheduling::node_selector_values(&mut stored, old, &path);
            }
            let at = affinity_path.child("required");
            scheduling::stored_node_selector(errs, selector, &at, !stored.is_empty());
        }
        Some(None) => {
            let rule = "must specify required node constraints";
            errs.push(Error::required(&affinity_path.child("required"), rule));
        }
        None => {}
    }
    let set = volume_sources(spec);
    let mut names = SOURCES.iter().copied().filter(|name| set.contains_key(*name));
    match names.next() {
        None => errs.push(Error::required(&path, "must specify a volume type")),
        Some(first) => source(errs, spec, first, name, &path),
    }
    for other in names {
        if other == "flexVolume" {
            // Upstream does not count this one.
            source(errs, spec, other, name, &path);
            continue;
        }
        let field = if other == "cephfs" { "cephFS" } else { other };
        let rule = "may not specify more than 1 volume type";
        errs.push(Error::forbidden(&path.child(field), rule));
    }
    let is_root = |p: &str| !p.is_empty() && p.split('/').all(|part| part.is_empty() || part == ".");
    if reclaim == "Recycle" && spec.host_path.as_ref().is_some_and(|h| is_root(&h.path)) {
        let rule = "may not be 'recycle' for a hostPath mount of '/'";
        errs.push(Error::forbidden(&reclaim_path, rule));
    }
    class_and_mode(errs, &spec.storage_class_name, &spec.volume_mode, &path);
    if let Some(class) = &spec.volume_attributes_class_name {
        let at = path.child("volumeAttributesClassName");
        if class.is_empty() {
            errs.push(Error::required(&at, "an empty string is disallowed"));
        } else {
            invalid_each(errs, &at, class, meta::name_subdomain(class, false));
        }
        if spec.csi.is_none() {
            let rule = "has to be specified when using volumeAttributesClassName";
            errs.push(Error::required(&path.child("csi"), rule));
        }
    }
}

fn capacity(errs: &mut ErrorList, spec: &PersistentVolumeSpec, path: &Path) {
    let none = Default::default();
    let amounts = spec.capacity.as_ref().unwrap_or(&none);
    if amounts.is_empty() {
        errs.push(Error::required(path, ""));
    }
    if !amounts.contains_key("storage") || amounts.len() > 1 {
        errs.push(Error::not_supported(path, shown(&spec.capacity), &["storage"]));
    }
    for (name, raw) in amounts {
        let (path, amount) = (path.key(name), quantity(raw));
        if amount.value() < 0 {
            errs.push(Error::invalid(
                &path,
                amount.value(),
                "must be a valid resource quantity",
            ));
        }
        if amount.sign() <= 0 {
            errs.push(Error::invalid(&path, amount.to_string(), "must be greater than zero"));
        }
    }
}

/// The sources in upstream's order.
const SOURCES: [&str; 22] = [
    "hostPath",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "glusterfs",
    "flocker",
    "nfs",
    "rbd",
    "quobyte",
    "cephfs",
    "iscsi",
    "cinder",
    "fc",
    "flexVolume",
    "azureFile",
    "vsphereVolume",
    "photonPersistentDisk",
    "portworxVolume",
    "azureDisk",
    "scaleIO",
    "local",
    "storageos",
    "csi",
];

fn volume_sources(spec: &PersistentVolumeSpec) -> Map<String, Value> {
    let Value::Object(mut fields) = to_value(spec) else {
        return Map::new();
    };
    fields.retain(|name, value| SOURCES.contains(&name.as_str()) && !value.is_null());
    fields
}

fn secret_name(errs: &mut ErrorList, secret: Option<&SecretReference>, with_namespace: bool, path: &Path) {
    let Some(secret) = secret else { return };
    let path = path.child("secretRef");
    required(errs, &path.child("name"), text(&secret.name));
    if with_namespace {
        required(errs, &path.child("namespace"), text(&secret.namespace));
    }
}

fn source(errs: &mut ErrorList, s: &PersistentVolumeSpec, first: &str, name: &str, path: &Path) {
    let at = path.child(if first == "gcePersistentDisk" {
        "persistentDisk"
    } else {
        first
    });
    let at = &at;
    match first {
        "hostPath" => s.host_path.iter().for_each(|h| sources::host_path(errs, h, at)),
        "gcePersistentDisk" => s
            .gce_persistent_disk
            .iter()
            .for_each(|d| sources::disk(errs, "pdName", &d.pd_name, d.partition, at)),
        "awsElasticBlockStore" => s
            .aws_elastic_block_store
            .iter()
            .for_each(|d| sources::disk(errs, "volumeID", &d.volume_id, d.partition, at)),
        "glusterfs" => s.glusterfs.iter().for_each(|g| {
            all_required(errs, at, &[("endpoints", &g.endpoints), ("path", &g.path)]);
            let at = at.child("endpointsNamespace");
            match g.endpoints_namespace.as_deref() {
                None => {}
                Some("") => {
                    let rule = "if the endpointnamespace is set, it must be a valid namespace name";
                    errs.push(Error::invalid(&at, "", rule));
                }
                Some(namespace) => invalid_each(errs, &at, namespace, meta::name_label(namespace, false)),
            }
        }),
        "flocker" => s.flocker.iter().for_each(|f| sources::flocker(errs, f, at)),
        "nfs" => s.nfs.iter().for_each(|n| sources::nfs(errs, n, at)),
        "rbd" => s.rbd.iter().for_each(|r| sources::rbd(errs, &r.monitors, &r.image, at)),
        "quobyte" => s.quobyte.iter().for_each(|q| sources::quobyte(errs, q, at)),
        "cephfs" => s
            .cephfs
            .iter()
            .for_each(|c| sources::monitors_given(errs, &c.monitors, at)),
        "iscsi" => iscsi(errs, s, name, at),
        "cinder" => s.cinder.iter().for_each(|c| {
            required(errs, &at.child("volumeID"), &c.volume_id);
            secret_name(errs, c.secret_ref.as_ref(), true, at);
        }),
        "fc" => s.fc.iter().for_each(|f| sources::fibre_channel(errs, f, at)),
        "flexVolume" => s
            .flex_volume
            .iter()
            .for_each(|f| sources::flex(errs, &f.driver, f.options.as_ref(), at)),
        "azureFile" => s.azure_file.iter().for_each(|a| {
            all_required(
                errs,
                at,
                &[("secretName", &a.secret_name), ("shareName", &a.share_name)],
            );
            if a.secret_namespace.as_deref() == Some("") {
                errs.push(Error::required(&at.child("secretNamespace"), ""));
            }
        }),
        "vsphereVolume" => s
            .vsphere_volume
            .iter()
            .for_each(|v| required(errs, &at.child("volumePath"), &v.volume_path)),
        "photonPersistentDisk" => s
            .photon_persistent_disk
            .iter()
            .for_each(|p| required(errs, &at.child("pdID"), &p.pd_id)),
        "portworxVolume" => s
            .portworx_volume
            .iter()
            .for_each(|p| required(errs, &at.child("volumeID"), &p.volume_id)),
        "azureDisk" => s.azure_disk.iter().for_each(|a| sources::azure_disk(errs, a, at)),
        "scaleIO" => s.scale_io.iter().for_each(|i| {
            let volume = text(&i.volume_name);
            let fields = [
                ("gateway", i.gateway.as_str()),
                ("system", &i.system),
                ("volumeName", volume),
            ];
            all_required(errs, at, &fields);
        }),
        "local" => s.local.iter().for_each(|l| {
            required(errs, &at.child("path"), &l.path);
            no_backsteps(errs, &at.child("path"), &l.path);
            if s.node_affinity.is_none() {
                let rule = "Local volume requires node affinity";
                errs.push(Error::required(&path.child("nodeAffinity"), rule));
            }
        }),
        "storageos" => s.storageos.iter().for_each(|o| {
            sources::storage_os(errs, text(&o.volume_name), text(&o.volume_namespace), at);
            if let Some(secret) = &o.secret_ref {
                let at = at.child("secretRef");
                required(errs, &at.child("name"), text(&secret.name));
                required(errs, &at.child("namespace"), text(&secret.namespace));
            }
        }),
        _ => s.csi.iter().for_each(|c| csi(errs, c, at)),
    }
}

fn iscsi(errs: &mut ErrorList, spec: &PersistentVolumeSpec, name: &str, path: &Path) {
    let Some(i) = &spec.iscsi else { return };
    let iscsi = Iscsi {
        portal: &i.target_portal,
        iqn: &i.iqn,
        lun: i.lun,
        needs_secret: i.chap_auth_discovery == Some(true) || i.chap_auth_session == Some(true),
        has_secret: i.secret_ref.is_some(),
        initiator: i.initiator_name.as_deref(),
        bad_prefix: "must be valid format",
    };
    let between = |errs: &mut ErrorList| {
        if iscsi.is_too_long(name) {
            errs.push(Error::invalid(
                &path.child("targetportal"),
                iscsi.portal,
                ISCSI_TOO_LONG,
            ));
        }
    };
    iscsi.validate(errs, path, between, |errs| {
        secret_name(errs, i.secret_ref.as_ref(), false, path)
    });
}

/// `validateCSIPersistentVolumeSource`, `validatePVSecretReference`.
fn csi(errs: &mut ErrorList, csi: &CSIPersistentVolumeSource, path: &Path) {
    csi_driver_name(errs, &csi.driver, &path.child("driver"));
    required(errs, &path.child("volumeHandle"), &csi.volume_handle);
    for (field, secret) in [
        ("controllerPublishSecretRef", &csi.controller_publish_secret_ref),
        ("controllerExpandSecretRef", &csi.controller_expand_secret_ref),
        ("nodePublishSecretRef", &csi.node_publish_secret_ref),
        ("nodeExpandSecretRef", &csi.node_expand_secret_ref),
    ] {
        let Some(secret) = secret else { continue };
        let (path, name, namespace) = (path.child(field), text(&secret.name), text(&secret.namespace));
        if name.is_empty() {
            errs.push(Error::required(&path.child("name"), ""));
        } else {
            dns_subdomain(errs, &path.child("name"), name);
        }
        if namespace.is_empty() {
            errs.push(Error::required(&path.child("namespace"), ""));
        } else {
            dns_label(errs, &path.child("namespace"), namespace);
        }
    }
}

/// A changed PersistentVolume (`ValidatePersistentVolumeUpdate`): the source stays.
pub fn persistent_volume_update(new: &PersistentVolume, old: &PersistentVolume) -> ErrorList {
    let empty = PersistentVolumeSpec::default();
    let (after, before) = (new.spec.as_ref().unwrap_or(&empty), old.spec.as_ref().unwrap_or(&empty));
    // The strategy runs the rules of a new volume, and so does `ValidatePersistentVolumeUpdate`.
    let mut errs = whole(new, Some(before));
    errs.extend_from_within(..);
    let mut kept = after.clone();
    // A secret for expansion may be added to a volume that had none.
    if let (Some(csi), Some(old)) = (&mut kept.csi, &before.csi)
        && old.controller_expand_secret_ref.is_none()
    {
        csi.controller_expand_secret_ref = None;
    }
    let (sources, stored) = (volume_sources(&kept), volume_sources(before));
    if !equal(&sources, &stored) {
        let path = Path::new("spec").child("persistentvolumesource");
        let diff = difference("core.PersistentVolumeSource", &stored, &sources);
        let rule = format!("spec.persistentvolumesource is immutable after creation\n{diff}");
        errs.push(Error::forbidden(&path, rule));
    }
    let path = Path::new("volumeMode");
    immutable_named(&mut errs, &path, &after.volume_mode, &before.volume_mode);
    if let Some(old) = before.node_affinity.as_ref().filter(|_| !on(Gate::VolumeNodeAffinity))
        && !same_affinity(after.node_affinity.as_ref(), old)
    {
        let rule = format!("{IMMUTABLE}, except for updating from beta label to GA");
        let value = crate::internal::shown("*core.VolumeNodeAffinity", &after.node_affinity);
        errs.push(Error::invalid(&Path::new("nodeAffinity"), value, rule));
    }
    if before.volume_attributes_class_name.is_some() && after.volume_attributes_class_name.is_none() {
        let path = Path::new("spec").child("volumeAttributesClassName");
        errs.push(Error::forbidden(&path, "update from non-nil value to nil is forbidden"));
    }
    errs
}

/// Labels that have left beta, and what they are called now (`betaToGALabel`).
const RENAMED: [(&str, &str); 5] = [
    ("failure-domain.beta.kubernetes.io/zone", "topology.kubernetes.io/zone"),
    (
        "failure-domain.beta.kubernetes.io/region",
        "topology.kubernetes.io/region",
    ),
    ("beta.kubernetes.io/os", "kubernetes.io/os"),
    ("beta.kubernetes.io/arch", "kubernetes.io/arch"),
    ("beta.kubernetes.io/instance-type", "node.kubernetes.io/instance-type"),
];

/// `validatePvNodeAffinity`.
fn same_affinity(new: Option<&VolumeNodeAffinity>, old: &VolumeNodeAffinity) -> bool {
    let Some(new) = new else { return false };
    let mut old = old.clone();
    let stored = old.required.iter_mut().flat_map(|s| &mut s.node_selector_terms);
    let given = new.required.iter().flat_map(|s| &s.node_selector_terms);
    for (old, new) in stored.zip(given) {
        let new = new.match_expressions.iter().flatten();
        for (old, new) in old.match_expressions.iter_mut().flatten().zip(new) {
            // What has no newer name has none at all, and an expression without a key passes, as upstream.
            let renamed = RENAMED
                .iter()
                .find(|(beta, _)| *beta == old.key)
                .map_or("", |(_, ga)| ga);
            if renamed == new.key {
                old.key.clone_from(&new.key);
            }
        }
    }
    equal(new, &old)
}

/// A changed PersistentVolume status (`ValidatePersistentVolumeStatusUpdate`).
pub fn persistent_volume_status_update(new: &PersistentVolume, old: &PersistentVolume) -> ErrorList {
    let mut errs = meta::update(&new.metadata, &old.metadata);
    required(
        &mut errs,
        &Path::new("resourceVersion"),
        text(&new.metadata.resource_version),
    );
    errs
}
