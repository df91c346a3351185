//! Volumes of a pod.

mod projected;
pub(super) mod sources;

use std::collections::{BTreeMap, BTreeSet};

use apimachinery::field::{Error, ErrorList, Path};
use k8s_openapi::api::core::v1::{DownwardAPIVolumeFile, KeyToPath, PersistentVolumeClaimTemplate, Volume};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::options::Options;
use super::{claim, container, env};
use crate::check::{
    descending_path, dns_label, file_mode, invalid_each, list, non_reserved_path, quantity, required, text,
};
use crate::meta;
use sources::{Iscsi, all_required};

/// Whether any source is given.
pub fn has_volume_source(volume: &Volume) -> bool {
    sources(volume).iter().any(|(_, set)| *set)
}

/// Every source in upstream's order, and whether it is set (`validateVolumeSource`).
fn sources(v: &Volume) -> [(&'static str, bool); 30] {
    [
        ("emptyDir", v.empty_dir.is_some()),
        ("hostPath", v.host_path.is_some()),
        ("gitRepo", v.git_repo.is_some()),
        ("gcePersistentDisk", v.gce_persistent_disk.is_some()),
        ("awsElasticBlockStore", v.aws_elastic_block_store.is_some()),
        ("secret", v.secret.is_some()),
        ("nfs", v.nfs.is_some()),
        ("iscsi", v.iscsi.is_some()),
        ("glusterfs", v.glusterfs.is_some()),
        ("flocker", v.flocker.is_some()),
        ("persistentVolumeClaim", v.persistent_volume_claim.is_some()),
        ("rbd", v.rbd.is_some()),
        ("cinder", v.cinder.is_some()),
        ("cephFS", v.cephfs.is_some()),
        ("quobyte", v.quobyte.is_some()),
        ("downwarAPI", v.downward_api.is_some()),
        ("fc", v.fc.is_some()),
        ("flexVolume", v.flex_volume.is_some()),
        ("configMap", v.config_map.is_some()),
        ("azureFile", v.azure_file.is_some()),
        ("vsphereVolume", v.vsphere_volume.is_some()),
        ("photonPersistentDisk", v.photon_persistent_disk.is_some()),
        ("portworxVolume", v.portworx_volume.is_some()),
        ("azureDisk", v.azure_disk.is_some()),
        ("storageos", v.storageos.is_some()),
        ("projected", v.projected.is_some()),
        ("scaleIO", v.scale_io.is_some()),
        ("csi", v.csi.is_some()),
        ("ephemeral", v.ephemeral.is_some()),
        ("image", v.image.is_some()),
    ]
}

/// Checks all volumes and returns the good ones by name (`ValidateVolumes`).
pub(super) fn volumes<'a>(
    errs: &mut ErrorList,
    volumes: &'a [Volume],
    metadata: Option<&ObjectMeta>,
    path: &Path,
    options: Options,
) -> BTreeMap<&'a str, &'a Volume> {
    let pod_name = metadata.map_or("", |m| text(&m.name));
    let created: BTreeSet<String> = volumes
        .iter()
        .filter(|v| v.ephemeral.is_some() && !pod_name.is_empty())
        .map(|v| format!("{pod_name}-{}", v.name))
        .collect();
    let mut good = BTreeMap::new();
    for (index, volume) in volumes.iter().enumerate() {
        let path = path.index(index);
        let mut own = ErrorList::new();
        source(&mut own, volume, pod_name, &path, options);
        if volume.name.is_empty() {
            own.push(Error::required(&path.child("name"), ""));
        } else {
            dns_label(&mut own, &path.child("name"), &volume.name);
        }
        if good.contains_key(volume.name.as_str()) {
            own.push(Error::duplicate(&path.child("name"), &volume.name));
        }
        // A volume that is wrong cannot be mounted: mounts of it are not found.
        if own.is_empty() {
            good.insert(volume.name.as_str(), volume);
        }
        errs.append(&mut own);
        if let Some(claim) = &volume.persistent_volume_claim
            && created.contains(&claim.claim_name)
        {
            let path = path.child("persistentVolumeClaim").child("claimName");
            let rule = "must not reference a PVC that gets created for an ephemeral volume";
            errs.push(Error::invalid(&path, &claim.claim_name, rule));
        }
    }
    good
}

/// `validateVolumeSource`: the first source in upstream's order is looked into, others are refused.
fn source(errs: &mut ErrorList, v: &Volume, pod_name: &str, path: &Path, options: Options) {
    let all = sources(v);
    let mut set = all.iter().filter(|(_, set)| *set).map(|(name, _)| *name);
    let Some(first) = set.next() else {
        errs.push(Error::required(path, "must specify a volume type"));
        return;
    };
    one(errs, v, first, pod_name, path, options);
    for name in set {
        let rule = "may not specify more than 1 volume type";
        errs.push(Error::forbidden(&path.child(name), rule));
    }
}

fn one(errs: &mut ErrorList, v: &Volume, first: &str, pod_name: &str, path: &Path, options: Options) {
    let at = match first {
        "gcePersistentDisk" => path.child("persistentDisk"),
        "cephFS" => path.child("cephfs"),
        "downwarAPI" => path.child("downwardAPI"),
        other => path.child(other),
    };
    if first == "emptyDir"
        && let Some(empty) = &v.empty_dir
    {
        if empty.size_limit.as_ref().is_some_and(|l| quantity(l).sign() < 0) {
            let rule = "SizeLimit field must be a valid resource quantity";
            errs.push(Error::forbidden(&at.child("sizeLimit"), rule));
        }
    } else if first == "hostPath"
        && let Some(source) = &v.host_path
    {
        sources::host_path(errs, source, &at);
    } else if first == "gitRepo"
        && let Some(repo) = &v.git_repo
    {
        required(errs, &at.child("repository"), &repo.repository);
        descending_path(errs, &at.child("directory"), text(&repo.directory));
    } else if first == "secret"
        && let Some(secret) = &v.secret
    {
        required(errs, &at.child("secretName"), text(&secret.secret_name));
        items(errs, secret.default_mode, list(&secret.items), &at);
    } else if first == "persistentVolumeClaim"
        && let Some(claim) = &v.persistent_volume_claim
    {
        required(errs, &at.child("claimName"), &claim.claim_name);
    } else if first == "downwarAPI"
        && let Some(downward) = &v.downward_api
    {
        file_mode(errs, &at.child("defaultMode"), downward.default_mode);
        for file in list(&downward.items) {
            downward_file(errs, file, &at);
        }
    } else if first == "configMap"
        && let Some(map) = &v.config_map
    {
        required(errs, &at.child("name"), &map.name);
        items(errs, map.default_mode, list(&map.items), &at);
    } else if first == "projected"
        && let Some(source) = &v.projected
    {
        projected::projected(errs, source, &at, options);
    } else if first == "csi"
        && let Some(csi) = &v.csi
    {
        csi_driver_name(errs, &csi.driver, &at.child("driver"));
        if let Some(secret) = &csi.node_publish_secret_ref {
            if secret.name.is_empty() {
                errs.push(Error::required(&at.child("nodePublishSecretRef").child("name"), ""));
            } else {
                let messages = meta::name_subdomain(&secret.name, false);
                invalid_each(errs, &at.child("name"), &secret.name, messages);
            }
        }
    } else if first == "ephemeral"
        && let Some(ephemeral) = &v.ephemeral
    {
        let template = at.child("volumeClaimTemplate");
        match &ephemeral.volume_claim_template {
            None => errs.push(Error::required(&template, "")),
            Some(claim) => claim_template(errs, claim, &template),
        }
        if !pod_name.is_empty() && !v.name.is_empty() {
            let claim = format!("{pod_name}-{}", v.name);
            for message in meta::name_subdomain(&claim, false) {
                let rule = format!("PVC name {claim:?}: {message}");
                errs.push(Error::invalid(&path.child("name"), &v.name, rule));
            }
        }
    } else if first == "image"
        && let Some(image) = &v.image
    {
        if options.is_pod {
            required(errs, &at.child("reference"), text(&image.reference));
        }
        container::pull_policy(errs, text(&image.pull_policy), &at.child("pullPolicy"));
    } else {
        old_source(errs, v, first, path, &at);
    }
}

/// The sources of file and block storage that have moved to CSI.
fn old_source(errs: &mut ErrorList, v: &Volume, first: &str, path: &Path, at: &Path) {
    if first == "gcePersistentDisk"
        && let Some(pd) = &v.gce_persistent_disk
    {
        sources::disk(errs, "pdName", &pd.pd_name, pd.partition, at);
    } else if first == "awsElasticBlockStore"
        && let Some(ebs) = &v.aws_elastic_block_store
    {
        sources::disk(errs, "volumeID", &ebs.volume_id, ebs.partition, at);
    } else if first == "nfs"
        && let Some(nfs) = &v.nfs
    {
        sources::nfs(errs, nfs, at);
    } else if first == "iscsi"
        && let Some(i) = &v.iscsi
    {
        let iscsi = Iscsi {
            portal: &i.target_portal,
            iqn: &i.iqn,
            lun: i.lun,
            needs_secret: i.chap_auth_discovery == Some(true) || i.chap_auth_session == Some(true),
            has_secret: i.secret_ref.is_some(),
            initiator: i.initiator_name.as_deref(),
            bad_prefix: "must be valid format starting with iqn, eui, or naa",
        };
        iscsi.validate(errs, at, |_| {}, |_| {});
        if iscsi.is_too_long(&v.name) {
            errs.push(Error::invalid(&path.child("name"), &v.name, sources::ISCSI_TOO_LONG));
        }
    } else if first == "glusterfs"
        && let Some(g) = &v.glusterfs
    {
        all_required(errs, at, &[("endpoints", &g.endpoints), ("path", &g.path)]);
    } else if first == "flocker"
        && let Some(f) = &v.flocker
    {
        sources::flocker(errs, f, at);
    } else if first == "rbd"
        && let Some(r) = &v.rbd
    {
        sources::rbd(errs, &r.monitors, &r.image, at);
    } else if first == "cinder"
        && let Some(c) = &v.cinder
    {
        required(errs, &at.child("volumeID"), &c.volume_id);
        if let Some(secret) = &c.secret_ref {
            required(errs, &at.child("secretRef").child("name"), &secret.name);
        }
    } else if first == "cephFS"
        && let Some(c) = &v.cephfs
    {
        sources::monitors_given(errs, &c.monitors, at);
    } else if first == "quobyte"
        && let Some(q) = &v.quobyte
    {
        sources::quobyte(errs, q, at);
    } else if first == "fc"
        && let Some(fc) = &v.fc
    {
        sources::fibre_channel(errs, fc, at);
    } else if first == "flexVolume"
        && let Some(f) = &v.flex_volume
    {
        sources::flex(errs, &f.driver, f.options.as_ref(), at);
    } else if first == "azureFile"
        && let Some(a) = &v.azure_file
    {
        all_required(
            errs,
            at,
            &[("secretName", &a.secret_name), ("shareName", &a.share_name)],
        );
    } else if first == "vsphereVolume"
        && let Some(o) = &v.vsphere_volume
    {
        required(errs, &at.child("volumePath"), &o.volume_path);
    } else if first == "photonPersistentDisk"
        && let Some(o) = &v.photon_persistent_disk
    {
        required(errs, &at.child("pdID"), &o.pd_id);
    } else if first == "portworxVolume"
        && let Some(o) = &v.portworx_volume
    {
        required(errs, &at.child("volumeID"), &o.volume_id);
    } else if first == "azureDisk"
        && let Some(a) = &v.azure_disk
    {
        sources::azure_disk(errs, a, at);
    } else if first == "storageos"
        && let Some(o) = &v.storageos
    {
        sources::storage_os(errs, text(&o.volume_name), text(&o.volume_namespace), at);
        if let Some(secret) = &o.secret_ref {
            required(errs, &at.child("secretRef").child("name"), &secret.name);
        }
    } else if first == "scaleIO"
        && let Some(s) = &v.scale_io
    {
        let volume = text(&s.volume_name);
        all_required(
            errs,
            at,
            &[("gateway", &s.gateway), ("system", &s.system), ("volumeName", volume)],
        );
    }
}

/// `ValidatePersistentVolumeClaimTemplate`: of the metadata, labels and annotations.
fn claim_template(errs: &mut ErrorList, template: &PersistentVolumeClaimTemplate, path: &Path) {
    if let Some(metadata) = &template.metadata {
        meta::of_template(errs, metadata, &path.child("metadata"));
    }
    claim::persistent_volume_claim_spec(errs, &template.spec, &path.child("spec"));
}

/// `ValidateCSIDriverName`.
pub(crate) fn csi_driver_name(errs: &mut ErrorList, driver: &str, path: &Path) {
    if driver.is_empty() {
        errs.push(Error::required(path, ""));
        return;
    }
    if driver.len() > 63 {
        errs.push(Error::too_long(path, 63));
    }
    let lower = driver.to_lowercase();
    let messages = apimachinery::validation::is_dns1123_subdomain(&lower);
    errs.extend(messages.into_iter().map(|m| Error::invalid(path, driver, m)));
}

/// Mode and files of a Secret or ConfigMap volume.
fn items(errs: &mut ErrorList, mode: Option<i32>, items: &[KeyToPath], path: &Path) {
    file_mode(errs, &path.child("defaultMode"), mode);
    for (index, item) in items.iter().enumerate() {
        key_to_path(errs, item, &path.child("items").index(index));
    }
}

/// `validateKeyToPath`.
fn key_to_path(errs: &mut ErrorList, item: &KeyToPath, path: &Path) {
    required(errs, &path.child("key"), &item.key);
    required(errs, &path.child("path"), &item.path);
    non_reserved_path(errs, &path.child("path"), &item.path);
    file_mode(errs, &path.child("mode"), item.mode);
}

/// `validateDownwardAPIVolumeFile`.
fn downward_file(errs: &mut ErrorList, file: &DownwardAPIVolumeFile, path: &Path) {
    required(errs, &path.child("path"), &file.path);
    non_reserved_path(errs, &path.child("path"), &file.path);
    match (&file.field_ref, &file.resource_field_ref) {
        (Some(field), resource) => {
            env::field_ref(errs, field, &env::VOLUME_FIELDS, &path.child("fieldRef"));
            if resource.is_some() {
                let rule = "fieldRef and resourceFieldRef can not be specified simultaneously";
                errs.push(Error::invalid(path, "resource", rule));
            }
        }
        (None, Some(resource)) => {
            env::resource_field_ref(errs, resource, true, &path.child("resourceFieldRef"));
        }
        (None, None) => {
            errs.push(Error::required(
                path,
                "one of fieldRef and resourceFieldRef is required",
            ));
        }
    }
    file_mode(errs, &path.child("mode"), file.mode);
}

/// Token paths that lead out of their volume (`hasNonLocalProjectedTokenPath`).
pub(super) fn token_paths(errs: &mut ErrorList, volumes: &[Volume], path: &Path) {
    let sources = volumes.iter().filter_map(|v| v.projected.as_ref());
    for source in sources.flat_map(|p| list(&p.sources)) {
        if let Some(token) = &source.service_account_token {
            non_reserved_path(errs, path, &token.path);
        }
    }
}
