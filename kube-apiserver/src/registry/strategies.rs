//! The table from (group, resource) to strategy.

mod generic;
pub(crate) mod rules;

use self::generic::Generic;
use super::strategy::Strategy;
use super::{
    admissionregistration, apiextensions, apiregistration, apps, autoscaling, batch, certificates, coordination, core,
    discovery, flowcontrol, networking, node, policy, rbac, resource, scheduling, storage,
};

/// The strategy of one resource; unknown ones get the generic rules.
pub(crate) fn strategy_for(group: &str, resource: &str) -> &'static dyn Strategy {
    match (group, resource) {
        ("", "configmaps") => &core::config_map::STRATEGY,
        ("", "endpoints") => &core::endpoints::STRATEGY,
        ("" | "events.k8s.io", "events") => &core::event::STRATEGY,
        ("", "limitranges") => &core::limit_range::STRATEGY,
        ("", "namespaces") => &core::namespace::STRATEGY,
        ("", "nodes") => &core::node::STRATEGY,
        ("", "persistentvolumes") => &core::persistent_volume::STRATEGY,
        ("", "persistentvolumeclaims") => &core::persistent_volume_claim::STRATEGY,
        ("", "pods") => &core::pod::STRATEGY,
        ("", "podtemplates") => &core::pod_template::STRATEGY,
        ("", "replicationcontrollers") => &core::replication_controller::STRATEGY,
        ("", "resourcequotas") => &core::resource_quota::STRATEGY,
        ("", "secrets") => &core::secret::STRATEGY,
        ("", "services") => &core::service::STRATEGY,
        ("", "serviceaccounts") => &core::service_account::STRATEGY,

        ("admissionregistration.k8s.io", "mutatingadmissionpolicies") => {
            &admissionregistration::mutating_admission_policy::STRATEGY
        }
        ("admissionregistration.k8s.io", "mutatingadmissionpolicybindings") => {
            &admissionregistration::mutating_admission_policy_binding::STRATEGY
        }
        ("admissionregistration.k8s.io", "mutatingwebhookconfigurations") => {
            &admissionregistration::mutating_webhook_configuration::STRATEGY
        }
        ("admissionregistration.k8s.io", "validatingwebhookconfigurations") => {
            &admissionregistration::validating_webhook_configuration::STRATEGY
        }
        ("admissionregistration.k8s.io", "validatingadmissionpolicies") => {
            &admissionregistration::validating_admission_policy::STRATEGY
        }
        ("admissionregistration.k8s.io", "validatingadmissionpolicybindings") => {
            &admissionregistration::validating_admission_policy_binding::STRATEGY
        }
        ("apiextensions.k8s.io", "customresourcedefinitions") => &apiextensions::custom_resource_definition::STRATEGY,
        ("apiregistration.k8s.io", "apiservices") => &apiregistration::api_service::STRATEGY,

        ("apps", "controllerrevisions") => &apps::controller_revision::STRATEGY,
        ("apps", "daemonsets") => &apps::daemon_set::STRATEGY,
        ("apps", "deployments") => &apps::deployment::STRATEGY,
        ("apps", "replicasets") => &apps::replica_set::STRATEGY,
        ("apps", "statefulsets") => &apps::stateful_set::STRATEGY,

        ("autoscaling", "horizontalpodautoscalers") => &autoscaling::horizontal_pod_autoscaler::STRATEGY,
        ("batch", "cronjobs") => &batch::cron_job::STRATEGY,
        ("batch", "jobs") => &batch::job::STRATEGY,
        ("certificates.k8s.io", "certificatesigningrequests") => &certificates::certificate_signing_request::STRATEGY,
        ("coordination.k8s.io", "leases") => &coordination::lease::STRATEGY,
        ("discovery.k8s.io", "endpointslices") => &discovery::endpoint_slice::STRATEGY,
        ("flowcontrol.apiserver.k8s.io", "flowschemas") => &flowcontrol::flow_schema::STRATEGY,
        ("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations") => {
            &flowcontrol::priority_level_configuration::STRATEGY
        }
        ("networking.k8s.io", "ingresses") => &networking::ingress::STRATEGY,
        ("networking.k8s.io", "ingressclasses") => &networking::ingress_class::STRATEGY,
        ("networking.k8s.io", "ipaddresses") => &networking::ip_address::STRATEGY,
        ("networking.k8s.io", "servicecidrs") => &networking::service_cidr::STRATEGY,
        ("networking.k8s.io", "networkpolicies") => &networking::network_policy::STRATEGY,
        ("node.k8s.io", "runtimeclasses") => &node::runtime_class::STRATEGY,
        ("policy", "poddisruptionbudgets") => &policy::pod_disruption_budget::STRATEGY,
        ("rbac.authorization.k8s.io", "clusterroles") => &rbac::cluster_role::STRATEGY,
        ("rbac.authorization.k8s.io", "clusterrolebindings") => &rbac::cluster_role_binding::STRATEGY,
        ("rbac.authorization.k8s.io", "roles") => &rbac::role::STRATEGY,
        ("rbac.authorization.k8s.io", "rolebindings") => &rbac::role_binding::STRATEGY,
        ("resource.k8s.io", "deviceclasses") => &resource::device_class::STRATEGY,
        ("resource.k8s.io", "resourceclaims") => &resource::resource_claim::STRATEGY,
        ("resource.k8s.io", "resourceclaimtemplates") => &resource::resource_claim_template::STRATEGY,
        ("resource.k8s.io", "resourceslices") => &resource::resource_slice::STRATEGY,
        ("scheduling.k8s.io", "priorityclasses") => &scheduling::priority_class::STRATEGY,
        ("storage.k8s.io", "csidrivers") => &storage::csi_driver::STRATEGY,
        ("storage.k8s.io", "csinodes") => &storage::csi_node::STRATEGY,
        ("storage.k8s.io", "csistoragecapacities") => &storage::csi_storage_capacity::STRATEGY,
        ("storage.k8s.io", "storageclasses") => &storage::storage_class::STRATEGY,
        ("storage.k8s.io", "volumeattachments") => &storage::volume_attachment::STRATEGY,
        ("storage.k8s.io", "volumeattributesclasses") => &storage::volume_attributes_class::STRATEGY,

        // Kinds that are not stored: reviews, bindings, component statuses.
        _ => &GENERIC,
    }
}

/// The strategy of a subresource other than status that writes the object itself; `None`: the
/// kind's own.
pub(crate) fn subresource_strategy(group: &str, resource: &str, subresource: &str) -> Option<&'static dyn Strategy> {
    Some(match (group, resource, subresource) {
        ("", "pods", "ephemeralcontainers") => &core::pod::EPHEMERAL_CONTAINERS,
        ("", "pods", "resize") => &core::pod::RESIZE,
        ("", "namespaces", "finalize") => &core::namespace::FINALIZE,
        ("certificates.k8s.io", "certificatesigningrequests", "approval") => {
            &certificates::certificate_signing_request::APPROVAL
        }
        _ => return None,
    })
}

/// Of kinds without rules of their own; no stored kind is.
static GENERIC: Generic = Generic {
    generation: true,
    unconditional_update: true,
    name: api::meta::name_subdomain,
};

#[cfg(test)]
mod tests;
