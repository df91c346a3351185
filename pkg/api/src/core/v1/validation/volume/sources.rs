//! Volume sources that pods and PersistentVolumes share, among them the old in-tree ones.

use std::collections::BTreeMap;

use apimachinery::field::{Error, ErrorList, Path};
use apimachinery::validation::inclusive_range_error;
use k8s_openapi::api::core::v1::{
    AzureDiskVolumeSource, FCVolumeSource, FlockerVolumeSource, HostPathVolumeSource, NFSVolumeSource,
    QuobyteVolumeSource,
};

use crate::check::{dns_label, list, no_backsteps, one_of, required, text, to_value};

/// Each of several texts must be there.
pub(in super::super) fn all_required(errs: &mut ErrorList, path: &Path, fields: &[(&str, &str)]) {
    for (field, value) in fields {
        required(errs, &path.child(field), value);
    }
}

/// `validateHostPathVolumeSource`.
pub(in super::super) fn host_path(errs: &mut ErrorList, source: &HostPathVolumeSource, path: &Path) {
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

/// A disk of GCE or AWS (`validateGCEPersistentDiskVolumeSource`,
/// `validateAWSElasticBlockStoreVolumeSource`).
pub(in super::super) fn disk(errs: &mut ErrorList, field: &str, id: &str, partition: Option<i32>, path: &Path) {
    required(errs, &path.child(field), id);
    if let Some(partition) = partition.filter(|p| !(0..=255).contains(p)) {
        let rule = inclusive_range_error(1, 255);
        errs.push(Error::invalid(&path.child("partition"), partition, rule));
    }
}

/// `validateNFSVolumeSource`.
pub(in super::super) fn nfs(errs: &mut ErrorList, nfs: &NFSVolumeSource, path: &Path) {
    all_required(errs, path, &[("server", &nfs.server), ("path", &nfs.path)]);
    if !nfs.path.starts_with('/') {
        let rule = "must be an absolute path";
        errs.push(Error::invalid(&path.child("path"), &nfs.path, rule));
    }
}

/// What both forms of an iSCSI source say.
pub(in super::super) struct Iscsi<'a> {
    pub(in super::super) portal: &'a str,
    pub(in super::super) iqn: &'a str,
    pub(in super::super) lun: i32,
    pub(in super::super) needs_secret: bool,
    pub(in super::super) has_secret: bool,
    pub(in super::super) initiator: Option<&'a str>,
    /// What is said of a name that starts with none of the known prefixes.
    pub(in super::super) bad_prefix: &'static str,
}

/// Longest `<volume name>:<portal>` of a source with an initiator, in bytes.
const ISCSI_NAME_MAX: usize = 64;
pub(in super::super) const ISCSI_TOO_LONG: &str = "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if iscsi.initiatorName is specified.";

impl Iscsi<'_> {
    /// Whether volume name and portal are too long together.
    pub(in super::super) fn is_too_long(&self, volume: &str) -> bool {
        self.initiator.is_some() && volume.len() + 1 + self.portal.len() > ISCSI_NAME_MAX
    }

    /// `validateISCSIVolumeSource`, `validateISCSIPersistentVolumeSource`; `between` runs after the
    /// portal and `secret` after the secret, where the forms differ.
    pub(in super::super) fn validate(
        &self,
        errs: &mut ErrorList,
        path: &Path,
        between: impl FnOnce(&mut ErrorList),
        secret: impl FnOnce(&mut ErrorList),
    ) {
        required(errs, &path.child("targetPortal"), self.portal);
        between(errs);
        if self.iqn.is_empty() {
            errs.push(Error::required(&path.child("iqn"), ""));
        } else {
            self.name(errs, self.iqn, &path.child("iqn"));
        }
        if !(0..=255).contains(&self.lun) {
            let rule = inclusive_range_error(0, 255);
            errs.push(Error::invalid(&path.child("lun"), self.lun, rule));
        }
        if self.needs_secret && !self.has_secret {
            errs.push(Error::required(&path.child("secretRef"), ""));
        }
        secret(errs);
        if let Some(initiator) = self.initiator {
            self.name(errs, initiator, &path.child("initiatorname"));
        }
    }

    fn name(&self, errs: &mut ErrorList, name: &str, path: &Path) {
        let is_id = |rest: &str, len: usize| rest.len() == len && rest.bytes().all(|b| b.is_ascii_alphanumeric());
        let rule = match name.get(..3) {
            Some("iqn") if is_iqn(name) => return,
            // The pattern's dot stands for any character.
            Some("eui") if name.get(4..).is_some_and(|r| is_id(r, 16)) => return,
            Some("naa") if name.get(4..).is_some_and(|r| is_id(r, 32)) => return,
            Some("iqn" | "eui" | "naa") => "must be valid format",
            _ => self.bad_prefix,
        };
        errs.push(Error::invalid(path, name, rule));
    }
}

/// `iqn.yyyy-mm.domain:name` somewhere up to the end (`iscsiInitiatorIqnRegex`).
fn is_iqn(name: &str) -> bool {
    let Some(rest) = name.strip_prefix("iqn.") else {
        return false;
    };
    let digits = |range: std::ops::Range<usize>| {
        rest.get(range)
            .is_some_and(|part| part.bytes().all(|b| b.is_ascii_digit()))
    };
    let separators = rest.get(4..5) == Some("-") && rest.get(7..8) == Some(".");
    let Some((domain, own)) = rest.get(8..).and_then(|tail| tail.split_once(':')) else {
        return false;
    };
    let in_domain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    let in_own = |c: char| !matches!(c, ',' | ';' | '*' | '&' | '$' | '|') && !c.is_whitespace();
    digits(0..4)
        && digits(5..7)
        && separators
        && !domain.is_empty()
        && domain.chars().all(in_domain)
        && !own.is_empty()
        && own.chars().all(in_own)
}

/// `validateFCVolumeSource`.
pub(in super::super) fn fibre_channel(errs: &mut ErrorList, fc: &FCVolumeSource, path: &Path) {
    let (targets, ids) = (list(&fc.target_wwns), list(&fc.wwids));
    let at = path.child("targetWWNs");
    if targets.is_empty() && ids.is_empty() {
        let rule = "must specify either targetWWNs or wwids, but not both";
        errs.push(Error::required(&at, rule));
    }
    if targets.is_empty() {
        return;
    }
    if !ids.is_empty() {
        let rule = "targetWWNs and wwids can not be specified simultaneously";
        errs.push(Error::invalid(&at, &to_value(&targets), rule));
    }
    match fc.lun {
        None => errs.push(Error::required(
            &path.child("lun"),
            "lun is required if targetWWNs is specified",
        )),
        Some(lun) if !(0..=255).contains(&lun) => {
            errs.push(Error::invalid(&path.child("lun"), lun, inclusive_range_error(0, 255)));
        }
        Some(_) => {}
    }
}

/// `validateQuobyteVolumeSource`.
pub(in super::super) fn quobyte(errs: &mut ErrorList, q: &QuobyteVolumeSource, path: &Path) {
    const PAIRS: &str = "must be a host:port pair or multiple pairs separated by commas";
    if q.registry.is_empty() {
        errs.push(Error::required(&path.child("registry"), PAIRS));
    } else if text(&q.tenant).len() >= 65 {
        let rule = "must be a UUID and may not exceed a length of 64 characters";
        errs.push(Error::required(&path.child("tenant"), rule));
    } else {
        for pair in q.registry.split(',') {
            let good = match pair.strip_prefix('[') {
                Some(six) => six.contains("]:"),
                None => pair.matches(':').count() == 1,
            };
            if !good {
                errs.push(Error::invalid(&path.child("registry"), &q.registry, PAIRS));
            }
        }
    }
    required(errs, &path.child("volume"), &q.volume);
}

/// `validateFlockerVolumeSource`.
pub(in super::super) fn flocker(errs: &mut ErrorList, f: &FlockerVolumeSource, path: &Path) {
    let (name, uuid) = (text(&f.dataset_name), text(&f.dataset_uuid));
    match (name.is_empty(), uuid.is_empty()) {
        (true, true) => errs.push(Error::required(path, "one of datasetName and datasetUUID is required")),
        (false, false) => {
            let rule = "datasetName and datasetUUID can not be specified simultaneously";
            errs.push(Error::invalid(path, "resource", rule));
        }
        _ => {}
    }
    if name.contains('/') {
        errs.push(Error::invalid(&path.child("datasetName"), name, "must not contain '/'"));
    }
}

/// `validateFlexVolumeSource`: the system's own option names are not for users.
pub(in super::super) fn flex(
    errs: &mut ErrorList,
    driver: &str,
    options: Option<&BTreeMap<String, String>>,
    path: &Path,
) {
    required(errs, &path.child("driver"), driver);
    for key in options.into_iter().flatten().map(|(k, _)| k) {
        let domain = format!(".{}", key.split('/').next().unwrap_or("").to_lowercase());
        if domain.ends_with(".kubernetes.io") || domain.ends_with(".k8s.io") {
            let rule = "kubernetes.io and k8s.io namespaces are reserved";
            errs.push(Error::invalid(&path.child("options").key(key), key, rule));
        }
    }
}

/// `validateAzureDisk`.
pub(in super::super) fn azure_disk(errs: &mut ErrorList, a: &AzureDiskVolumeSource, path: &Path) {
    const MANAGED: &str =
        "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}";
    const BLOB: &str = "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd";
    all_required(errs, path, &[("diskName", &a.disk_name), ("diskURI", &a.disk_uri)]);
    if let Some(mode) = &a.caching_mode {
        one_of(
            errs,
            &path.child("cachingMode"),
            mode,
            &["None", "ReadOnly", "ReadWrite"],
        );
    }
    let Some(kind) = &a.kind else { return };
    one_of(errs, &path.child("kind"), kind, &["Dedicated", "Managed", "Shared"]);
    let (start, shown) = if kind == "Managed" {
        ("/subscriptions/", MANAGED)
    } else {
        ("https://", BLOB)
    };
    if !a.disk_uri.starts_with(start) {
        errs.push(Error::not_supported(&path.child("diskURI"), &a.disk_uri, &[shown]));
    }
}

/// `validateStorageOSVolumeSource`, without its secret.
pub(in super::super) fn storage_os(errs: &mut ErrorList, name: &str, namespace: &str, path: &Path) {
    if name.is_empty() {
        errs.push(Error::required(&path.child("volumeName"), ""));
    } else {
        dns_label(errs, &path.child("volumeName"), name);
    }
    if !namespace.is_empty() {
        dns_label(errs, &path.child("volumeNamespace"), namespace);
    }
}

/// `validateRBDVolumeSource`.
pub(in super::super) fn rbd(errs: &mut ErrorList, monitors: &[String], image: &str, path: &Path) {
    monitors_given(errs, monitors, path);
    required(errs, &path.child("image"), image);
}

/// `validateCephFSVolumeSource`.
pub(in super::super) fn monitors_given(errs: &mut ErrorList, monitors: &[String], path: &Path) {
    if monitors.is_empty() {
        errs.push(Error::required(&path.child("monitors"), ""));
    }
}
