//! Validation of certificates.k8s.io/v1 (pkg/apis/certificates/validation/validation.go).
//!
//! Of a request and a certificate the PEM form is checked, not the content or the signature.

mod pem;

use std::collections::BTreeSet;

use apimachinery::field::{Error, ErrorList, Path};
use apimachinery::validation::{is_dns1123_label, is_dns1123_subdomain};
use k8s_openapi::api::certificates::v1::{CertificateSigningRequest, CertificateSigningRequestCondition};

use crate::check::{list, one_of, required_one_of, shown};
use crate::meta;

#[cfg(test)]
mod tests;

/// Shortest certificate lifetime, in seconds.
const MIN_SECONDS: i32 = 600;
/// The signer of a retired version (`LegacyUnknownSignerName`).
const LEGACY_SIGNER: &str = "kubernetes.io/legacy-unknown";
/// Conditions that are there to stay, and only true.
const PERMANENT: [&str; 3] = ["Approved", "Denied", "Failed"];

/// Which rules an object is spared, because the stored one broke them (`certificateValidationOptions`).
#[derive(Default)]
struct Options {
    both_verdicts: bool,
    legacy_signer: bool,
    duplicate_types: bool,
    empty_types: bool,
    any_certificate: bool,
    duplicate_usages: bool,
    unknown_usages: bool,
}

impl Options {
    fn update(new: &CertificateSigningRequest, old: &CertificateSigningRequest) -> Self {
        let all = conditions(old);
        let has = |type_: &str| all.iter().any(|c| c.type_ == type_);
        let usages = list(&old.spec.usages);
        let (before, after) = (certificate(old), certificate(new));
        Options {
            both_verdicts: has("Approved") && has("Denied"),
            legacy_signer: old.spec.signer_name == LEGACY_SIGNER,
            duplicate_types: (0..all.len()).any(|i| all[..i].iter().any(|c| c.type_ == all[i].type_)),
            empty_types: has(""),
            any_certificate: before == after && pem::certificate_error(before).is_some(),
            duplicate_usages: (0..usages.len()).any(|i| usages[..i].contains(&usages[i])),
            unknown_usages: usages.iter().any(|u| !USAGES.contains(&u.as_str())),
        }
    }
}

fn conditions(obj: &CertificateSigningRequest) -> &[CertificateSigningRequestCondition] {
    obj.status.as_ref().map(|s| list(&s.conditions)).unwrap_or_default()
}

fn certificate(obj: &CertificateSigningRequest) -> &[u8] {
    let certificate = obj.status.as_ref().and_then(|s| s.certificate.as_ref());
    certificate.map(|c| c.0.as_slice()).unwrap_or_default()
}

/// A new request (`ValidateCertificateSigningRequestCreate`).
pub fn certificate_signing_request_create(obj: &CertificateSigningRequest) -> ErrorList {
    let mut errs = meta::create(&obj.metadata, false, |_, _| vec![]);
    request(&mut errs, obj, &Options::default());
    errs
}

/// A changed request (`ValidateCertificateSigningRequestUpdate`).
pub fn certificate_signing_request_update(
    new: &CertificateSigningRequest,
    old: &CertificateSigningRequest,
) -> ErrorList {
    update(new, old, false, false)
}

/// A changed status: the certificate may be set (`ValidateCertificateSigningRequestStatusUpdate`).
pub fn certificate_signing_request_status_update(
    new: &CertificateSigningRequest,
    old: &CertificateSigningRequest,
) -> ErrorList {
    update(new, old, false, true)
}

/// A verdict (`ValidateCertificateSigningRequestApprovalUpdate`).
pub fn certificate_signing_request_approval_update(
    new: &CertificateSigningRequest,
    old: &CertificateSigningRequest,
) -> ErrorList {
    update(new, old, true, false)
}

/// `validateCertificateSigningRequestUpdate`.
fn update(
    new: &CertificateSigningRequest,
    old: &CertificateSigningRequest,
    verdicts: bool,
    certificates: bool,
) -> ErrorList {
    let mut errs = meta::update(&new.metadata, &old.metadata);
    request(&mut errs, new, &Options::update(new, old));
    let path = Path::new("status").child("conditions");
    let of = |obj: &CertificateSigningRequest, type_: &str| -> Vec<_> {
        conditions(obj).iter().filter(|c| c.type_ == type_).cloned().collect()
    };
    for type_ in PERMANENT {
        if of(new, type_).len() < of(old, type_).len() {
            let rule = format!("updates may not remove a condition of type {type_:?}");
            errs.push(Error::forbidden(&path, rule));
        }
    }
    for type_ in ["Approved", "Denied"].into_iter().filter(|_| !verdicts) {
        let (after, before) = (of(new, type_), of(old, type_));
        if after.len() > before.len() {
            let rule = format!("updates may not add a condition of type {type_:?}");
            errs.push(Error::forbidden(&path, rule));
        } else if after.len() == before.len() && after != before {
            let rule = format!("updates may not modify a condition of type {type_:?}");
            errs.push(Error::forbidden(&path, rule));
        }
    }
    if certificate(new) != certificate(old) {
        let path = Path::new("status").child("certificate");
        if !certificates {
            errs.push(Error::forbidden(&path, "updates may not set certificate content"));
        } else if !certificate(old).is_empty() {
            errs.push(Error::forbidden(
                &path,
                "updates may not modify existing certificate content",
            ));
        }
    }
    errs
}

/// `validateCertificateSigningRequest`.
fn request(errs: &mut ErrorList, obj: &CertificateSigningRequest, options: &Options) {
    let (spec, path) = (&obj.spec, Path::new("spec"));
    if !pem::starts_with_request(&spec.request.0) {
        let rule = "PEM block type must be CERTIFICATE REQUEST";
        errs.push(Error::invalid(&path.child("request"), shown(&spec.request), rule));
    }
    let (usages, at) = (list(&spec.usages), path.child("usages"));
    if usages.is_empty() {
        errs.push(Error::required(&at, ""));
    }
    for (index, usage) in usages.iter().enumerate().filter(|_| !options.unknown_usages) {
        one_of(errs, &at.index(index), usage, &USAGES);
    }
    for (index, usage) in usages.iter().enumerate().filter(|_| !options.duplicate_usages) {
        if usages[..index].contains(usage) {
            errs.push(Error::duplicate(&at.index(index), usage));
        }
    }
    let at = path.child("signerName");
    if spec.signer_name == LEGACY_SIGNER && !options.legacy_signer {
        let rule = "the legacy signerName is not allowed via this API version";
        errs.push(Error::invalid(&at, LEGACY_SIGNER, rule));
    } else {
        signer_name(errs, &spec.signer_name, &at);
    }
    if let Some(seconds) = spec.expiration_seconds.filter(|s| *s < MIN_SECONDS) {
        let rule = "may not specify a duration less than 600 seconds (10 minutes)";
        errs.push(Error::invalid(&path.child("expirationSeconds"), seconds, rule));
    }
    verdicts(errs, conditions(obj), options);
    if let Some(why) = pem::certificate_error(certificate(obj)).filter(|_| !options.any_certificate) {
        let path = Path::new("status").child("certificate");
        errs.push(Error::invalid(&path, "<certificate data>", why));
    }
}

/// `validateConditions`: approval and denial exclude each other.
fn verdicts(errs: &mut ErrorList, conditions: &[CertificateSigningRequestCondition], options: &Options) {
    let path = Path::new("status").child("conditions");
    let mut seen = BTreeSet::new();
    for (index, condition) in conditions.iter().enumerate() {
        let (at, type_) = (path.index(index), condition.type_.as_str());
        if type_.is_empty() && !options.empty_types {
            errs.push(Error::required(&at.child("type"), ""));
        }
        let allowed = if PERMANENT.contains(&type_) {
            &["True"][..]
        } else {
            &["False", "True", "Unknown"][..]
        };
        required_one_of(errs, &at.child("status"), &condition.status, allowed);
        let other = match type_ {
            "Approved" => "Denied",
            "Denied" => "Approved",
            _ => "-",
        };
        if seen.contains(other) && !options.both_verdicts {
            let rule = "Approved and Denied conditions are mutually exclusive";
            errs.push(Error::invalid(&path, type_, rule));
        }
        if !seen.insert(type_) && !options.duplicate_types {
            errs.push(Error::duplicate(&at.child("type"), type_));
        }
    }
}

/// `ValidateSignerName`: a domain and a path; of each only the first bad label is reported.
pub fn signer_name(errs: &mut ErrorList, name: &str, path: &Path) {
    if name.is_empty() {
        errs.push(Error::required(path, ""));
        return;
    }
    let parts: Vec<&str> = name.split('/').collect();
    let [domain, rest] = parts[..] else {
        let rule = "must be a fully qualified domain and path of the form 'example.com/signer-name'";
        errs.push(Error::invalid(path, name, rule));
        return;
    };
    if domain.len() > apimachinery::validation::DNS1123_SUBDOMAIN_MAX {
        errs.push(Error::too_long(path, apimachinery::validation::DNS1123_SUBDOMAIN_MAX));
    }
    first_bad_label(errs, domain, is_dns1123_label, path);
    if !domain.contains('.') {
        let rule = "should be a domain with at least two segments separated by dots";
        errs.push(Error::invalid(path, domain, rule));
    }
    first_bad_label(errs, rest, is_dns1123_subdomain, path);
}

fn first_bad_label(errs: &mut ErrorList, text: &str, rule: fn(&str) -> Vec<String>, path: &Path) {
    let checked = text.split('.').map(|label| (label, rule(label)));
    let mut found = checked.filter(|(_, messages)| !messages.is_empty());
    if let Some((label, messages)) = found.next() {
        for message in messages {
            errs.push(Error::invalid(
                path,
                text,
                format!("validating label {label:?}: {message}"),
            ));
        }
    }
}

/// Key usages that are known, sorted (`allValidUsages`).
const USAGES: [&str; 23] = [
    "any",
    "cert sign",
    "client auth",
    "code signing",
    "content commitment",
    "crl sign",
    "data encipherment",
    "decipher only",
    "digital signature",
    "email protection",
    "encipher only",
    "ipsec end system",
    "ipsec tunnel",
    "ipsec user",
    "key agreement",
    "key encipherment",
    "microsoft sgc",
    "netscape sgc",
    "ocsp signing",
    "s/mime",
    "server auth",
    "signing",
    "timestamping",
];
