//! Projected volumes: several sources in one directory.

use std::collections::BTreeSet;

use apimachinery::field::{Error, ErrorList, Path};
use k8s_openapi::api::core::v1::{
    ClusterTrustBundleProjection, PodCertificateProjection, ProjectedVolumeSource, ServiceAccountTokenProjection,
};

use super::super::options::Options;
use super::{downward_file, key_to_path};
use crate::certificates::v1::validation::signer_name;
use crate::check::{file_mode, list, non_reserved_path, required, text, text_of, to_value};
use crate::meta;

/// `validateProjectedVolumeSource`, `validateProjectionSources`.
pub(super) fn projected(errs: &mut ErrorList, projected: &ProjectedVolumeSource, path: &Path, options: Options) {
    file_mode(errs, &path.child("defaultMode"), projected.default_mode);
    let mut paths = Paths {
        seen: BTreeSet::new(),
        path,
    };
    for (index, source) in list(&projected.sources).iter().enumerate() {
        let at = path.child("sources").index(index);
        let mut count = 0;
        let secret = source.secret.as_ref().map(|s| (&s.name, list(&s.items)));
        let map = source.config_map.as_ref().map(|s| (&s.name, list(&s.items)));
        for (field, named) in [("secret", secret), ("configMap", map)] {
            let Some((name, items)) = named else { continue };
            count += 1;
            let at = at.child(field);
            required(errs, &at.child("name"), name);
            for (index, item) in items.iter().enumerate() {
                key_to_path(errs, item, &at.child("items").index(index));
                paths.add(errs, &item.path, name);
            }
        }
        if let Some(downward) = &source.downward_api {
            count += 1;
            for file in list(&downward.items) {
                downward_file(errs, file, &at.child("downwardAPI"));
                paths.add(errs, &file.path, &file.path);
            }
        }
        if let Some(source) = &source.service_account_token {
            count += 1;
            token(errs, source, path, &at.child("serviceAccountToken"), options);
        }
        if let Some(bundle) = &source.cluster_trust_bundle {
            count += 1;
            trust_bundle(errs, bundle, &at.child("clusterTrustBundle"));
            if !paths.seen.insert(&bundle.path) {
                paths.conflict(errs, &bundle.path);
            }
        }
        if let Some(certificate) = &source.pod_certificate {
            count += 1;
            pod_certificate(errs, certificate, &mut paths, &at.child("podCertificate"));
        }
        if count > 1 {
            let rule = "may not specify more than 1 volume type per source";
            errs.push(Error::forbidden(&at, rule));
        }
    }
}

/// The files of one volume: no path twice.
struct Paths<'a> {
    seen: BTreeSet<&'a str>,
    path: &'a Path,
}

impl<'a> Paths<'a> {
    fn add(&mut self, errs: &mut ErrorList, file: &'a str, shown: &str) {
        if !file.is_empty() && !self.seen.insert(file) {
            self.conflict(errs, shown);
        }
    }

    fn conflict(&self, errs: &mut ErrorList, shown: &str) {
        errs.push(Error::invalid(self.path, shown, "conflicting duplicate paths"));
    }
}

fn token(errs: &mut ErrorList, token: &ServiceAccountTokenProjection, volume: &Path, path: &Path, options: Options) {
    let seconds = token.expiration_seconds.unwrap_or(0);
    let lifetime = path.child("expirationSeconds");
    if seconds < 600 {
        let rule = "may not specify a duration less than 10 minutes";
        errs.push(Error::invalid(&lifetime, seconds, rule));
    }
    if seconds > 1 << 32 {
        let rule = "may not specify a duration larger than 2^32 seconds";
        errs.push(Error::invalid(&lifetime, seconds, rule));
    }
    if token.path.is_empty() {
        errs.push(Error::required(&volume.child("path"), ""));
    } else if !options.any_token_path {
        non_reserved_path(errs, &volume.child("path"), &token.path);
    }
}

/// The gate ClusterTrustBundleProjection is off: only stored objects have one.
fn trust_bundle(errs: &mut ErrorList, bundle: &ClusterTrustBundleProjection, path: &Path) {
    match (&bundle.name, &bundle.signer_name) {
        (Some(_), Some(_)) => {
            let rule = "only one of name and signerName may be used";
            errs.push(Error::invalid(path, &to_value(bundle), rule));
        }
        (None, None) => {
            errs.push(Error::required(path, "either name or signerName must be specified"));
        }
        (Some(name), None) => {
            if name.is_empty() {
                errs.push(Error::required(&path.child("name"), "must be a valid object name"));
            }
            if bundle.label_selector.is_some() {
                let rule = "labelSelector must be unset if name is specified";
                let value = to_value(&bundle.label_selector);
                errs.push(Error::invalid(&path.child("labelSelector"), &value, rule));
            }
        }
        (None, Some(signer)) => {
            if signer.is_empty() {
                errs.push(Error::required(
                    &path.child("signerName"),
                    "must be a valid signer name",
                ));
            }
            meta::label_selector(errs, bundle.label_selector.as_ref(), &path.child("labelSelector"));
        }
    }
    required(errs, &path.child("path"), &bundle.path);
    non_reserved_path(errs, &path.child("path"), &bundle.path);
}

/// The gate PodCertificateRequest is off: only stored objects have one.
fn pod_certificate<'a>(
    errs: &mut ErrorList,
    certificate: &'a PodCertificateProjection,
    paths: &mut Paths<'a>,
    path: &Path,
) {
    const KEYS: [&str; 6] = ["RSA3072", "RSA4096", "ECDSAP256", "ECDSAP384", "ECDSAP521", "ED25519"];
    signer_name(errs, &certificate.signer_name, &path.child("signerName"));
    text_of(errs, &path.child("keyType"), &certificate.key_type, &KEYS);
    if let Some(seconds) = certificate.max_expiration_seconds.filter(|s| *s < 3600) {
        let rule = "if provided, maxExpirationSeconds must be >= 3600";
        errs.push(Error::invalid(&path.child("maxExpirationSeconds"), seconds, rule));
    }
    let mut given = false;
    for (field, file) in [
        ("credentialBundlePath", &certificate.credential_bundle_path),
        ("keyPath", &certificate.key_path),
        ("certificateChainPath", &certificate.certificate_chain_path),
    ] {
        let file = text(file);
        if !file.is_empty() {
            given = true;
            non_reserved_path(errs, &path.child(field), file);
            paths.add(errs, file, file);
        }
    }
    if !given {
        let rule = "specify at least one of credentialBundlePath, keyPath, and certificateChainPath";
        errs.push(Error::required(path, rule));
    }
}
