//! Who may approve and sign certificate requests, and what may not be asked for.
//!
//! Upstream: `plugin/pkg/admission/certificates/{approval,signing,subjectrestriction}`.

use apimachinery::status::ApiError;
use async_trait::async_trait;
use base64::Engine as _;
use serde_json::Value;
use x509_parser::asn1_rs::Tag;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer as _;
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

use super::{Attributes, Operation, Plugin, World};
use crate::authz::Union;
use crate::objects::{items, text};
use crate::request::RequestInfo;

const GROUP: &str = "certificates.k8s.io";
const RESOURCE: &str = "certificatesigningrequests";

/// Updates of `/approval` need the verb `approve` on the signer.
pub(crate) struct CertificateApproval {
    authorizer: Union,
}

/// Updates of `/status` that issue need the verb `sign` on the signer.
pub(crate) struct CertificateSigning {
    authorizer: Union,
}

/// Nobody may ask for a client certificate of `system:masters`.
pub(crate) struct CertificateSubjectRestriction;

impl CertificateApproval {
    /// Asks `world`'s authorizer.
    pub(crate) fn new(world: &World) -> Self {
        CertificateApproval {
            authorizer: world.authorizer.clone(),
        }
    }
}

impl CertificateSigning {
    /// Asks `world`'s authorizer.
    pub(crate) fn new(world: &World) -> Self {
        CertificateSigning {
            authorizer: world.authorizer.clone(),
        }
    }
}

#[async_trait]
impl Plugin for CertificateApproval {
    fn handles(&self, operation: Operation) -> bool {
        operation == Operation::Update
    }

    async fn validate(&self, a: &Attributes<'_>, obj: &Value) -> Result<(), ApiError> {
        if !a.is(GROUP, RESOURCE, "approval") {
            return Ok(());
        }
        let signer = a.old.map(|o| text(o, "/spec/signerName")).unwrap_or("");
        if may(&self.authorizer, a, "approve", signer).await {
            return Ok(());
        }
        Err(a.forbidden(
            obj,
            format!("user not permitted to approve requests with signerName {signer:?}"),
        ))
    }
}

#[async_trait]
impl Plugin for CertificateSigning {
    fn handles(&self, operation: Operation) -> bool {
        operation == Operation::Update
    }

    async fn validate(&self, a: &Attributes<'_>, obj: &Value) -> Result<(), ApiError> {
        if !a.is(GROUP, RESOURCE, "status") {
            return Ok(());
        }
        let Some(old) = a.old else { return Ok(()) };
        let issued = |csr| text(csr, "/status/certificate");
        let conditions = |csr| items(csr, "/status/conditions");
        if issued(old) == issued(obj) && conditions(old) == conditions(obj) {
            return Ok(());
        }
        let signer = text(old, "/spec/signerName");
        if may(&self.authorizer, a, "sign", signer).await {
            return Ok(());
        }
        Err(a.forbidden(
            obj,
            format!("user not permitted to sign requests with signerName {signer:?}"),
        ))
    }
}

#[async_trait]
impl Plugin for CertificateSubjectRestriction {
    fn handles(&self, operation: Operation) -> bool {
        operation == Operation::Create
    }

    async fn validate(&self, a: &Attributes<'_>, obj: &Value) -> Result<(), ApiError> {
        if !a.is(GROUP, RESOURCE, "") || text(obj, "/spec/signerName") != "kubernetes.io/kube-apiserver-client" {
            return Ok(());
        }
        if organizations(text(obj, "/spec/request"))
            .iter()
            .any(|o| o == crate::authz::modes::MASTERS)
        {
            return Err(a.forbidden(
                obj,
                "use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed",
            ));
        }
        Ok(())
    }
}

/// Permission on the signer itself or on `<domain>/*`.
async fn may(authorizer: &Union, a: &Attributes<'_>, verb: &str, signer: &str) -> bool {
    let domain = signer.split_once('/').map(|(d, _)| format!("{d}/*"));
    for name in std::iter::once(signer.to_owned()).chain(domain) {
        let info = RequestInfo {
            verb: verb.to_owned(),
            api_group: GROUP.to_owned(),
            api_version: "*".to_owned(),
            resource: "signers".to_owned(),
            name,
            is_resource: true,
            ..Default::default()
        };
        if authorizer.allows(&a.ctx.user, &info).await {
            return true;
        }
    }
    false
}

/// The organizations of a base64 PEM certificate request; none when it does not parse (validation says so).
fn organizations(request: &str) -> Vec<String> {
    with_subject(request, |subject| texts(subject.iter_organization())).unwrap_or_default()
}

/// The common name of a base64 PEM certificate request (empty: none), or why it does not parse. As in Go, the last
/// one counts.
pub(super) fn common_name(request: &str) -> Result<String, &'static str> {
    with_subject(request, |subject| {
        texts(subject.iter_common_name()).pop().unwrap_or_default()
    })
}

fn texts<'a, 'b: 'a>(names: impl Iterator<Item = &'a AttributeTypeAndValue<'b>>) -> Vec<String> {
    names
        .map(|name| name.as_str().map_or_else(|_| odd_text(name), str::to_owned))
        .collect()
}

/// A text in one of the encodings that Go reads as well (`encoding/asn1` BMPString, T61String): whatever a signer
/// would read must not pass unseen here.
fn odd_text(name: &AttributeTypeAndValue<'_>) -> String {
    let bytes = name.as_slice();
    if name.attr_value().tag() == Tag::BmpString {
        // Go does not read a zero at the end.
        let units = bytes
            .strip_suffix(&[0, 0])
            .unwrap_or(bytes)
            .chunks(2)
            .map(|pair| pair.iter().fold(0, |unit, byte| unit << 8 | u16::from(*byte)));
        return String::from_utf16_lossy(&units.collect::<Vec<_>>());
    }
    bytes.iter().copied().map(char::from).collect()
}

fn with_subject<T>(request: &str, read: impl FnOnce(&X509Name<'_>) -> T) -> Result<T, &'static str> {
    let pem = base64::engine::general_purpose::STANDARD
        .decode(request)
        .unwrap_or_default();
    let pem = x509_parser::pem::parse_x509_pem(&pem).map(|(_, pem)| pem).ok();
    let pem = pem
        .filter(|pem| pem.label == "CERTIFICATE REQUEST")
        .ok_or("PEM block type must be CERTIFICATE REQUEST")?;
    let (_, csr) = X509CertificationRequest::from_der(&pem.contents).map_err(|_| "malformed certificate request")?;
    Ok(read(&csr.certification_request_info.subject))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use base64::Engine as _;
    use rcgen::DnValue;

    use super::*;

    #[test]
    fn an_organization_is_seen_in_every_encoding() {
        for value in [
            DnValue::Utf8String("system:masters".to_owned()),
            DnValue::BmpString("system:masters".try_into().unwrap()),
            DnValue::BmpString("system:masters\0".try_into().unwrap()),
            DnValue::TeletexString("system:masters".try_into().unwrap()),
        ] {
            let mut params = rcgen::CertificateParams::new(vec![]).unwrap();
            params.distinguished_name.push(rcgen::DnType::OrganizationName, value);
            let request = params.serialize_request(&rcgen::KeyPair::generate().unwrap()).unwrap();
            let request = base64::engine::general_purpose::STANDARD.encode(request.pem().unwrap());
            assert_eq!(organizations(&request), ["system:masters"]);
        }
    }
}
