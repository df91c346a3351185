//! Validation of certificates.k8s.io/v1 (pkg/apis/certificates/validation/validation.go).

use apimachinery::field::{Error, ErrorList, Path};
use k8s_openapi::api::certificates::v1::CertificateSigningRequest;

use crate::check::{dns_subdomain, equal, list, required};
use crate::meta;

/// Shortest certificate lifetime, in seconds (`MinDuration` in CSR validation).
const MIN_SECONDS: i32 = 600;

/// A new CertificateSigningRequest (`ValidateCertificateSigningRequestCreate`).
pub fn certificate_signing_request_create(obj: &CertificateSigningRequest) -> ErrorList {
    let mut errs = meta::create(&obj.metadata, false, |_, _| vec![]);
    let spec = &obj.spec;
    let path = Path::new("spec");
    let text = String::from_utf8_lossy(&spec.request.0);
    if !text.contains("-----BEGIN CERTIFICATE REQUEST-----") {
        let rule = "PEM block type must be CERTIFICATE REQUEST";
        errs.push(Error::invalid(&path.child("request"), "", rule));
    }
    let usages = list(&spec.usages);
    if usages.is_empty() {
        required(&mut errs, &path.child("usages"), "");
    }
    for (index, usage) in usages.iter().enumerate() {
        let path = path.child("usages").index(index);
        crate::check::one_of(&mut errs, &path, usage, &USAGES);
        if usages[..index].contains(usage) {
            errs.push(Error::duplicate(&path, usage));
        }
    }
    let signer = spec.signer_name.as_str();
    let signer_path = path.child("signerName");
    match signer.split_once('/') {
        None if signer.is_empty() => errs.push(Error::required(&signer_path, "")),
        None => errs.push(Error::invalid(
            &signer_path,
            signer,
            "must be a fully qualified domain and path of the form 'example.com/signer-name'",
        )),
        Some((domain, name)) => {
            dns_subdomain(&mut errs, &signer_path, domain);
            if !domain.contains('.') {
                let rule = "should be a domain with at least two segments separated by dots";
                errs.push(Error::invalid(&signer_path, signer, rule));
            }
            for part in name.split('/') {
                dns_subdomain(&mut errs, &signer_path, part);
            }
        }
    }
    if let Some(seconds) = spec.expiration_seconds.filter(|s| *s < MIN_SECONDS) {
        let rule = "may not specify a duration less than 600 seconds (10 minutes)";
        errs.push(Error::invalid(&path.child("expirationSeconds"), seconds, rule));
    }
    errs
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

/// A changed request: metadata only (`ValidateCertificateSigningRequestUpdate`).
pub fn certificate_signing_request_update(
    new: &CertificateSigningRequest,
    old: &CertificateSigningRequest,
) -> ErrorList {
    let mut errs = meta::update(&new.metadata, &old.metadata);
    conditions(&mut errs, new, old);
    errs
}

/// Approval and denial exclude each other and stay (`validateConditions`,
/// `validateCertificateSigningRequestUpdate`).
fn conditions(errs: &mut ErrorList, new: &CertificateSigningRequest, old: &CertificateSigningRequest) {
    let all = |o: &CertificateSigningRequest| o.status.as_ref().and_then(|s| s.conditions.clone()).unwrap_or_default();
    let (after, before) = (all(new), all(old));
    let path = Path::new("status").child("conditions");
    let has = |type_: &str| after.iter().any(|c| c.type_ == type_);
    if has("Approved") && has("Denied") {
        let rule = "Approved and Denied conditions are mutually exclusive";
        errs.push(Error::invalid(&path, &crate::check::to_value(&after), rule));
    }
    for condition in &before {
        let permanent = matches!(condition.type_.as_str(), "Approved" | "Denied" | "Failed");
        if permanent && !has(&condition.type_) {
            let rule = format!("updates may not remove a condition of type {:?}", condition.type_);
            errs.push(Error::forbidden(&path, rule));
        }
    }
    for (index, condition) in after.iter().enumerate() {
        if condition.type_.is_empty() {
            errs.push(Error::required(&path.index(index).child("type"), ""));
        }
        let permanent = matches!(condition.type_.as_str(), "Approved" | "Denied" | "Failed");
        if permanent && condition.status != "True" {
            let path = path.index(index).child("status");
            errs.push(Error::not_supported(&path, &condition.status, &["True"]));
        }
    }
    let certificate = |o: &CertificateSigningRequest| {
        o.status
            .as_ref()
            .and_then(|s| s.certificate.clone())
            .filter(|c| !c.0.is_empty())
    };
    if let Some(issued) = certificate(old)
        && !equal(&Some(issued), &certificate(new))
    {
        let path = Path::new("status").child("certificate");
        errs.push(Error::forbidden(
            &path,
            "updates may not modify a non-empty certificate",
        ));
    }
}
