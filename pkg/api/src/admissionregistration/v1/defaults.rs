//! Defaults of admissionregistration.k8s.io/v1 (pkg/apis/admissionregistration/v1/defaults.go).

use k8s_openapi::api::admissionregistration::v1::{
    MatchResources, MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding, MutatingWebhookConfiguration,
    RuleWithOperations, ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding, ValidatingWebhookConfiguration,
    WebhookClientConfig,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

/// What both kinds of webhooks have in common.
struct Common<'a> {
    client: &'a mut WebhookClientConfig,
    failure_policy: &'a mut Option<String>,
    match_policy: &'a mut Option<String>,
    namespaces: &'a mut Option<LabelSelector>,
    objects: &'a mut Option<LabelSelector>,
    timeout_seconds: &'a mut Option<i32>,
    rules: &'a mut Option<Vec<RuleWithOperations>>,
}

/// Fail, Equivalent, everything, ten seconds, port 443 (`SetDefaults_ValidatingWebhook`,
/// `SetDefaults_MutatingWebhook`, `SetDefaults_Rule`, `SetDefaults_ServiceReference`).
fn webhook(hook: Common<'_>) {
    hook.failure_policy.get_or_insert_with(|| "Fail".to_string());
    hook.match_policy.get_or_insert_with(|| "Equivalent".to_string());
    hook.namespaces.get_or_insert_default();
    hook.objects.get_or_insert_default();
    hook.timeout_seconds.get_or_insert(10);
    for rule in hook.rules.iter_mut().flatten() {
        rule.scope.get_or_insert_with(|| "*".to_string());
    }
    if let Some(service) = &mut hook.client.service {
        service.port.get_or_insert(443);
    }
}

/// Defaults of every webhook in the configuration.
pub fn validating_webhook_configuration(obj: &mut ValidatingWebhookConfiguration) {
    for w in obj.webhooks.iter_mut().flatten() {
        webhook(Common {
            client: &mut w.client_config,
            failure_policy: &mut w.failure_policy,
            match_policy: &mut w.match_policy,
            namespaces: &mut w.namespace_selector,
            objects: &mut w.object_selector,
            timeout_seconds: &mut w.timeout_seconds,
            rules: &mut w.rules,
        });
    }
}

/// Defaults of every webhook in the configuration; none is called twice.
pub fn mutating_webhook_configuration(obj: &mut MutatingWebhookConfiguration) {
    for w in obj.webhooks.iter_mut().flatten() {
        w.reinvocation_policy.get_or_insert_with(|| "Never".to_string());
        webhook(Common {
            client: &mut w.client_config,
            failure_policy: &mut w.failure_policy,
            match_policy: &mut w.match_policy,
            namespaces: &mut w.namespace_selector,
            objects: &mut w.object_selector,
            timeout_seconds: &mut w.timeout_seconds,
            rules: &mut w.rules,
        });
    }
}

/// Fail, Equivalent, everything (`SetDefaults_ValidatingAdmissionPolicySpec`,
/// `SetDefaults_MatchResources`).
pub fn validating_admission_policy(obj: &mut ValidatingAdmissionPolicy) {
    obj.status.get_or_insert_default();
    let spec = obj.spec.get_or_insert_default();
    spec.failure_policy.get_or_insert_with(|| "Fail".to_string());
    if let Some(resources) = &mut spec.match_constraints {
        match_resources(resources);
    }
}

/// `SetDefaults_MatchResources`.
pub fn validating_admission_policy_binding(obj: &mut ValidatingAdmissionPolicyBinding) {
    if let Some(resources) = &mut obj.spec.match_resources {
        match_resources(resources);
    }
}

/// Fail, Equivalent, everything (`SetDefaults_MutatingAdmissionPolicySpec`, `SetDefaults_MatchResources`).
pub fn mutating_admission_policy(obj: &mut MutatingAdmissionPolicy) {
    let spec = obj.spec.get_or_insert_default();
    spec.failure_policy.get_or_insert_with(|| "Fail".to_string());
    if let Some(resources) = &mut spec.match_constraints {
        match_resources(resources);
    }
}

/// `SetDefaults_MatchResources`.
pub fn mutating_admission_policy_binding(obj: &mut MutatingAdmissionPolicyBinding) {
    let spec = obj.spec.get_or_insert_default();
    if let Some(resources) = &mut spec.match_resources {
        match_resources(resources);
    }
}

fn match_resources(resources: &mut MatchResources) {
    resources.match_policy.get_or_insert_with(|| "Equivalent".to_string());
    resources.namespace_selector.get_or_insert_default();
    resources.object_selector.get_or_insert_default();
    let rules = [&mut resources.resource_rules, &mut resources.exclude_resource_rules];
    for rule in rules.into_iter().flat_map(|r| r.iter_mut().flatten()) {
        rule.scope.get_or_insert_with(|| "*".to_string());
    }
}
