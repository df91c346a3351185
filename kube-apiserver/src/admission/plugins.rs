//! The table of admission plugins: names, order, which are on by default, which exist here.

use std::sync::Arc;

use super::{Plugin, World, always, always_pull_images, anti_affinity, certificates, claim_resize, default_classes};
use super::{
    default_toleration_seconds, event_rate_limit, extended_resource_toleration, external_ips, limit_ranger,
    namespace_exists, namespace_lifecycle, node_restriction, owner_permissions, pod_topology_labels, priority,
    resource_quota, runtime_class, service_account, storage_protection, taint_nodes,
};

type Make = fn(&World) -> Arc<dyn Plugin>;

/// Name, on by default, constructor. A plugin without constructor is accepted and does nothing yet.
const ALL: &[(&str, bool, Option<Make>)] = &[
    ("AlwaysAdmit", false, Some(|_| Arc::new(always::AlwaysAdmit))),
    (
        "NamespaceAutoProvision",
        false,
        Some(|w| Arc::new(namespace_exists::NamespaceAutoProvision::new(w))),
    ),
    (
        "NamespaceLifecycle",
        true,
        Some(|w| Arc::new(namespace_lifecycle::NamespaceLifecycle::new(w))),
    ),
    (
        "NamespaceExists",
        false,
        Some(|w| Arc::new(namespace_exists::NamespaceExists::new(w))),
    ),
    (
        "LimitPodHardAntiAffinityTopology",
        false,
        Some(|_| Arc::new(anti_affinity::LimitPodHardAntiAffinityTopology)),
    ),
    (
        "LimitRanger",
        true,
        Some(|w| Arc::new(limit_ranger::LimitRanger::new(w))),
    ),
    (
        "ServiceAccount",
        true,
        Some(|w| Arc::new(service_account::ServiceAccount::new(w))),
    ),
    (
        "NodeRestriction",
        false,
        Some(|w| Arc::new(node_restriction::NodeRestriction::new(w))),
    ),
    (
        "TaintNodesByCondition",
        true,
        Some(|_| Arc::new(taint_nodes::TaintNodesByCondition)),
    ),
    (
        "AlwaysPullImages",
        false,
        Some(|_| Arc::new(always_pull_images::AlwaysPullImages)),
    ),
    ("ImagePolicyWebhook", false, None),
    ("PodSecurity", true, None),
    ("PodNodeSelector", false, None),
    ("Priority", true, Some(|w| Arc::new(priority::Priority::new(w)))),
    (
        "DefaultTolerationSeconds",
        true,
        Some(|w| {
            Arc::new(default_toleration_seconds::DefaultTolerationSeconds(
                w.toleration_seconds,
            ))
        }),
    ),
    ("PodTolerationRestriction", false, None),
    (
        "EventRateLimit",
        false,
        Some(|w| Arc::new(event_rate_limit::EventRateLimit::new(&w.configurations))),
    ),
    (
        "ExtendedResourceToleration",
        false,
        Some(|_| Arc::new(extended_resource_toleration::ExtendedResourceToleration)),
    ),
    (
        "DefaultStorageClass",
        true,
        Some(|w| Arc::new(default_classes::DefaultStorageClass::new(w))),
    ),
    (
        "StorageObjectInUseProtection",
        true,
        Some(|_| Arc::new(storage_protection::StorageObjectInUseProtection)),
    ),
    (
        "OwnerReferencesPermissionEnforcement",
        false,
        Some(|w| Arc::new(owner_permissions::OwnerReferencesPermissionEnforcement::new(w))),
    ),
    (
        "PersistentVolumeClaimResize",
        true,
        Some(|w| Arc::new(claim_resize::PersistentVolumeClaimResize::new(w))),
    ),
    (
        "RuntimeClass",
        true,
        Some(|w| Arc::new(runtime_class::RuntimeClass::new(w))),
    ),
    (
        "CertificateApproval",
        true,
        Some(|w| Arc::new(certificates::CertificateApproval::new(w))),
    ),
    (
        "CertificateSigning",
        true,
        Some(|w| Arc::new(certificates::CertificateSigning::new(w))),
    ),
    ("ClusterTrustBundleAttest", true, None),
    (
        "CertificateSubjectRestriction",
        true,
        Some(|_| Arc::new(certificates::CertificateSubjectRestriction)),
    ),
    (
        "DefaultIngressClass",
        true,
        Some(|w| Arc::new(default_classes::DefaultIngressClass::new(w))),
    ),
    (
        "DenyServiceExternalIPs",
        false,
        Some(|_| Arc::new(external_ips::DenyServiceExternalIps)),
    ),
    (
        "PodTopologyLabels",
        true,
        Some(|w| Arc::new(pod_topology_labels::PodTopologyLabels::new(w))),
    ),
    ("NodeDeclaredFeatureValidator", false, None),
    ("MutatingAdmissionPolicy", true, None),
    ("MutatingAdmissionWebhook", true, None),
    ("ValidatingAdmissionPolicy", true, None),
    ("ValidatingAdmissionWebhook", true, None),
    (
        "ResourceQuota",
        true,
        Some(|w| Arc::new(resource_quota::ResourceQuota::new(w))),
    ),
    ("AlwaysDeny", false, Some(|_| Arc::new(always::AlwaysDeny))),
];

/// Names that run: the defaults plus `enable` minus `disable`, in order. All mistakes at once.
pub(crate) fn enabled(enable: &[String], disable: &[String]) -> Result<Vec<&'static str>, Vec<String>> {
    let mut errors = Vec::new();
    for (flag, names) in [
        ("enable-admission-plugins", enable),
        ("disable-admission-plugins", disable),
    ] {
        for n in names.iter().filter(|n| !ALL.iter().any(|(known, ..)| known == n)) {
            errors.push(format!("{flag} plugin {n:?} is unknown"));
        }
    }
    for n in enable.iter().filter(|n| disable.contains(n)) {
        errors.push(format!(
            "[{n}] in enable-admission-plugins and disable-admission-plugins overlapped"
        ));
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let has = |list: &[String], name: &str| list.iter().any(|n| n == name);
    Ok(ALL
        .iter()
        .filter(|(name, default, _)| (*default || has(enable, name)) && !has(disable, name))
        .map(|(name, ..)| *name)
        .collect())
}

/// Instances of the named plugins, in table order.
pub(crate) fn build(world: &World, names: &[&'static str]) -> Vec<(&'static str, Arc<dyn Plugin>)> {
    let enabled = || ALL.iter().filter(|(name, ..)| names.contains(name));
    for (name, ..) in enabled().filter(|(name, _, make)| make.is_none() && world.configurations.of(name).is_some()) {
        tracing::warn!("the configuration of the admission plugin {name} has no effect in this version");
    }
    enabled()
        .filter_map(|(name, _, make)| Some((*name, make.as_ref()?(world))))
        .collect()
}

/// What is wrong with the configurations of the named plugins.
pub(crate) fn misconfigured(world: &World, names: &[&'static str]) -> Vec<String> {
    type Check = fn(&super::Configurations) -> Option<String>;
    let checks: [(&str, Check); 2] = [
        ("EventRateLimit", event_rate_limit::misconfigured),
        ("ResourceQuota", resource_quota::misconfigured),
    ];
    let named = checks.iter().filter(|(name, _)| names.contains(name));
    let wrong = named.filter_map(|(name, check)| Some((name, check(&world.configurations)?)));
    wrong
        .map(|(name, why)| format!("couldn't init admission plugin {name:?}: {why}"))
        .collect()
}
