//! Defaults of flowcontrol.apiserver.k8s.io/v1 (pkg/apis/flowcontrol/v1/defaults.go).

use k8s_openapi::api::flowcontrol::v1::{FlowSchema, PriorityLevelConfiguration};

/// Middling precedence (`SetDefaults_FlowSchemaSpec`).
pub fn flow_schema(obj: &mut FlowSchema) {
    let spec = obj.spec.get_or_insert_default();
    crate::core::v1::defaults::or_number(&mut spec.matching_precedence, 1000);
    obj.status.get_or_insert_default();
}

/// Thirty shares and nothing lent for limited levels, no shares for exempt ones
/// (`SetDefaults_LimitedPriorityLevelConfiguration`, `SetDefaults_ExemptPriorityLevelConfiguration`).
pub fn priority_level_configuration(obj: &mut PriorityLevelConfiguration) {
    obj.status.get_or_insert_default();
    let spec = obj.spec.get_or_insert_default();
    if let Some(limited) = &mut spec.limited {
        limited.nominal_concurrency_shares.get_or_insert(30);
        limited.lendable_percent.get_or_insert(0);
        if let Some(queuing) = limited.limit_response.as_mut().and_then(|r| r.queuing.as_mut()) {
            for (field, default) in [
                (&mut queuing.queues, 64),
                (&mut queuing.hand_size, 8),
                (&mut queuing.queue_length_limit, 50),
            ] {
                crate::core::v1::defaults::or_number(field, default);
            }
        }
    }
    if let Some(exempt) = &mut spec.exempt {
        exempt.nominal_concurrency_shares.get_or_insert(0);
        exempt.lendable_percent.get_or_insert(0);
    }
}
