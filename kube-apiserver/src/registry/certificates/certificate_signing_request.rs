//! CertificateSigningRequests (pkg/registry/certificates/certificates/strategy.go).

use api::certificates::v1::validation;
use k8s_openapi::api::certificates::v1::{CertificateSigningRequest, CertificateSigningRequestCondition};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;

use crate::registry::strategies::rules::{Rules, text_at};
use crate::registry::strategy::Typed;
use crate::request::RequestContext;

/// CertificateSigningRequests: who asks is the server's word, not the client's.
pub(crate) static STRATEGY: Typed<Rules<CertificateSigningRequest>> = Typed(Rules {
    prepare_create: |ctx, obj| {
        let spec = &mut obj.spec;
        let some = |text: &String| (!text.is_empty()).then(|| text.clone());
        spec.username = some(&ctx.user.name);
        spec.uid = some(&ctx.user.uid);
        spec.groups = Some(ctx.user.groups.clone()).filter(|g| !g.is_empty());
        spec.extra = Some(ctx.user.extra.clone()).filter(|e| !e.is_empty());
        obj.status = Some(Default::default());
    },
    prepare_update: |_, new, old| {
        new.spec = old.spec.clone();
        new.status.clone_from(&old.status);
    },
    fields: |obj| vec![("spec.signerName", text_at(obj, "/spec/signerName"))],
    status: Some(&STATUS),
    ..Rules::new(
        validation::certificate_signing_request_create,
        validation::certificate_signing_request_update,
    )
});

/// `certificatesigningrequests/status`: the certificate and other conditions. Approvals stay as they are;
/// one added or taken away is for validation to refuse (`preserveConditionInstances`).
static STATUS: Typed<Rules<CertificateSigningRequest>> = Typed(Rules::updating(
    |_| {},
    |_, new, old| {
        new.spec = old.spec.clone();
        let mut wanted = conditions(new);
        for type_ in ["Approved", "Denied"] {
            let before: Vec<_> = conditions(old).into_iter().filter(|c| c.type_ == type_).collect();
            let after = wanted.iter_mut().filter(|c| c.type_ == type_);
            let after: Vec<_> = after.collect();
            if after.len() == before.len() {
                for (slot, kept) in after.into_iter().zip(before) {
                    *slot = kept;
                }
            }
        }
        set_conditions(new, old, wanted);
    },
    validation::certificate_signing_request_status_update,
));

/// `certificatesigningrequests/approval`: conditions only.
pub(crate) static APPROVAL: Typed<Rules<CertificateSigningRequest>> = Typed(Rules::updating(
    |_| {},
    prepare_approval,
    validation::certificate_signing_request_approval_update,
));

fn prepare_approval(_: &RequestContext, new: &mut CertificateSigningRequest, old: &CertificateSigningRequest) {
    new.spec = old.spec.clone();
    let wanted = conditions(new);
    new.status.clone_from(&old.status);
    set_conditions(new, old, wanted);
}

fn conditions(obj: &CertificateSigningRequest) -> Vec<CertificateSigningRequestCondition> {
    obj.status
        .as_ref()
        .and_then(|s| s.conditions.clone())
        .unwrap_or_default()
}

/// Stores conditions, filling in the times (`populateConditionTimestamps`).
fn set_conditions(
    new: &mut CertificateSigningRequest,
    old: &CertificateSigningRequest,
    mut wanted: Vec<CertificateSigningRequestCondition>,
) {
    let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default();
    let before = conditions(old);
    for condition in &mut wanted {
        condition.last_update_time.get_or_insert(Time(now));
        let same = before
            .iter()
            .find(|c| c.type_ == condition.type_ && c.status == condition.status)
            .and_then(|c| c.last_transition_time.clone());
        condition.last_transition_time.get_or_insert(same.unwrap_or(Time(now)));
    }
    let status = new.status.get_or_insert_default();
    status.conditions = Some(wanted).filter(|c| !c.is_empty());
}
