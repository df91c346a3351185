//! Volumes of a pod.

use std::collections::{BTreeMap, BTreeSet};

use apimachinery::field::{Error, ErrorList, Path};
use k8s_openapi::api::core::v1::{
    DownwardAPIVolumeFile, HostPathVolumeSource, KeyToPath, ProjectedVolumeSource, Volume,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::pod_spec::Options;
use super::{container, env};
use crate::check::{
    descending_path, dns_label, file_mode, invalid_each, list, no_backsteps, non_reserved_path, one_of, quantity,
    required, text, to_value,
};
use crate::meta;

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

fn source(errs: &mut ErrorList, v: &Volume, pod_name: &str, path: &Path, options: Options) {
    let all = sources(v);
    let mut set = all.iter().filter(|(_, set)| *set).map(|(name, _)| *name);
    if set.next().is_none() {
        errs.push(Error::required(path, "must specify a volume type"));
        return;
    }
    for name in set {
        errs.push(Error::forbidden(
            &path.child(name),
            "may not specify more than 1 volume type",
        ));
    }
    if let Some(limit) = v.empty_dir.as_ref().and_then(|e| e.size_limit.as_ref())
        && quantity(limit).sign() < 0
    {
        let path = path.child("emptyDir").child("sizeLimit");
        errs.push(Error::forbidden(
            &path,
            "SizeLimit field must be a valid resource quantity",
        ));
    }
    if let Some(host_path) = &v.host_path {
        self::host_path(errs, host_path, &path.child("hostPath"));
    }
    if let Some(secret) = &v.secret {
        let path = path.child("secret");
        required(errs, &path.child("secretName"), text(&secret.secret_name));
        items(errs, secret.default_mode, list(&secret.items), &path);
    }
    if let Some(map) = &v.config_map {
        let path = path.child("configMap");
        required(errs, &path.child("name"), &map.name);
        items(errs, map.default_mode, list(&map.items), &path);
    }
    if let Some(nfs) = &v.nfs {
        let path = path.child("nfs");
        required(errs, &path.child("server"), &nfs.server);
        required(errs, &path.child("path"), &nfs.path);
        if !nfs.path.starts_with('/') {
            errs.push(Error::invalid(
                &path.child("path"),
                &nfs.path,
                "must be an absolute path",
            ));
        }
    }
    if let Some(claim) = &v.persistent_volume_claim {
        required(
            errs,
            &path.child("persistentVolumeClaim").child("claimName"),
            &claim.claim_name,
        );
    }
    if let Some(downward) = &v.downward_api {
        let path = path.child("downwardAPI");
        file_mode(errs, &path.child("defaultMode"), downward.default_mode);
        for file in list(&downward.items) {
            downward_file(errs, file, &path);
        }
    }
    if let Some(repo) = &v.git_repo {
        required(errs, &path.child("gitRepo").child("repository"), &repo.repository);
        descending_path(errs, &path.child("gitRepo").child("directory"), text(&repo.directory));
    }
    if let Some(projected) = &v.projected {
        self::projected(errs, projected, &path.child("projected"));
    }
    if let Some(csi) = &v.csi {
        csi_driver_name(errs, &csi.driver, &path.child("csi").child("driver"));
        if let Some(secret) = &csi.node_publish_secret_ref {
            let path = path.child("csi").child("nodePublishSecretRef").child("name");
            if secret.name.is_empty() {
                errs.push(Error::required(&path, ""));
            } else {
                invalid_each(errs, &path, &secret.name, meta::name_subdomain(&secret.name, false));
            }
        }
    }
    if let Some(ephemeral) = &v.ephemeral {
        let path_of = path.child("ephemeral");
        match &ephemeral.volume_claim_template {
            None => errs.push(Error::required(&path_of.child("volumeClaimTemplate"), "")),
            Some(template) => super::storage::persistent_volume_claim_spec(
                errs,
                &template.spec,
                &path_of.child("volumeClaimTemplate").child("spec"),
            ),
        }
        if !pod_name.is_empty() && !v.name.is_empty() {
            let claim = format!("{pod_name}-{}", v.name);
            for message in meta::name_subdomain(&claim, false) {
                let rule = format!("PVC name {claim:?}: {message}");
                errs.push(Error::invalid(&path.child("name"), &v.name, rule));
            }
        }
    }
    if let Some(image) = &v.image {
        let path = path.child("image");
        if options.is_pod {
            required(errs, &path.child("reference"), text(&image.reference));
        }
        container::pull_policy(errs, text(&image.pull_policy), &path.child("pullPolicy"));
    }
}

/// `validateHostPathVolumeSource`.
pub(super) fn host_path(errs: &mut ErrorList, source: &HostPathVolumeSource, path: &Path) {
    if source.path.is_empty() {
        errs.push(Error::required(&path.child("path"), ""));
        return;
    }
    no_backsteps(errs, &path.child("path"), &source.path);
    if let Some(type_) = &source.type_ {
        let known = [
            "",
            "BlockDevice",
            "CharDevice",
            "Directory",
            "DirectoryOrCreate",
            "File",
            "FileOrCreate",
            "Socket",
        ];
        one_of(errs, &path.child("type"), type_, &known);
    }
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

/// `validateProjectedVolumeSource`, `validateProjectionSources`.
fn projected(errs: &mut ErrorList, projected: &ProjectedVolumeSource, path: &Path) {
    file_mode(errs, &path.child("defaultMode"), projected.default_mode);
    let mut paths = BTreeSet::new();
    for (index, source) in list(&projected.sources).iter().enumerate() {
        let at = path.child("sources").index(index);
        let mut count = 0;
        let keyed = [
            ("secret", source.secret.as_ref().map(|s| (&s.name, list(&s.items)))),
            (
                "configMap",
                source.config_map.as_ref().map(|s| (&s.name, list(&s.items))),
            ),
        ];
        for (field, named) in keyed {
            let Some((name, items)) = named else { continue };
            count += 1;
            let at = at.child(field);
            required(errs, &at.child("name"), name);
            for (index, item) in items.iter().enumerate() {
                key_to_path(errs, item, &at.child("items").index(index));
                if !item.path.is_empty() && !paths.insert(item.path.as_str()) {
                    errs.push(Error::invalid(path, name, "conflicting duplicate paths"));
                }
            }
        }
        if let Some(downward) = &source.downward_api {
            count += 1;
            for file in list(&downward.items) {
                downward_file(errs, file, &at.child("downwardAPI"));
                if !file.path.is_empty() && !paths.insert(file.path.as_str()) {
                    errs.push(Error::invalid(path, &file.path, "conflicting duplicate paths"));
                }
            }
        }
        if let Some(token) = &source.service_account_token {
            count += 1;
            let seconds = token.expiration_seconds.unwrap_or(0);
            let lifetime = at.child("serviceAccountToken").child("expirationSeconds");
            if seconds < 600 {
                let rule = "may not specify a duration less than 10 minutes";
                errs.push(Error::invalid(&lifetime, seconds, rule));
            }
            if seconds > 1 << 32 {
                let rule = "may not specify a duration larger than 2^32 seconds";
                errs.push(Error::invalid(&lifetime, seconds, rule));
            }
            if token.path.is_empty() {
                errs.push(Error::required(&path.child("path"), ""));
            } else {
                non_reserved_path(errs, &path.child("path"), &token.path);
            }
        }
        if let Some(bundle) = &source.cluster_trust_bundle {
            count += 1;
            let at = at.child("clusterTrustBundle");
            match (&bundle.name, &bundle.signer_name) {
                (Some(_), Some(_)) => {
                    let rule = "only one of name and signerName may be used";
                    errs.push(Error::invalid(&at, &to_value(bundle), rule));
                }
                (None, None) => {
                    errs.push(Error::required(&at, "either name or signerName must be specified"));
                }
                _ => {}
            }
            required(errs, &at.child("path"), &bundle.path);
            non_reserved_path(errs, &at.child("path"), &bundle.path);
            if !paths.insert(bundle.path.as_str()) {
                errs.push(Error::invalid(path, &bundle.path, "conflicting duplicate paths"));
            }
        }
        if source.pod_certificate.is_some() {
            count += 1;
        }
        if count > 1 {
            errs.push(Error::forbidden(
                &at,
                "may not specify more than 1 volume type per source",
            ));
        }
    }
}
