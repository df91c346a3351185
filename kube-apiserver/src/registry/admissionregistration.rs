//! Strategies of the admissionregistration.k8s.io group.

pub(crate) mod mutating_admission_policy;
pub(crate) mod mutating_admission_policy_binding;
pub(crate) mod mutating_webhook_configuration;
pub(crate) mod validating_admission_policy;
pub(crate) mod validating_admission_policy_binding;
pub(crate) mod validating_webhook_configuration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// Warns about names that configuration from files has to itself (`WarningsForStaticSuffix`).
fn static_suffix(metadata: &ObjectMeta) -> Vec<String> {
    const SUFFIX: &str = ".static.k8s.io";
    if !metadata.name.as_ref().is_some_and(|name| name.ends_with(SUFFIX)) {
        return vec![];
    }
    vec![format!(
        "metadata.name: names ending with {SUFFIX:?} are reserved for static manifest-based configurations and cannot be managed via the API"
    )]
}
