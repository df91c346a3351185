//! The table of admission plugins: names, order, which are on by default, which exist here.

use std::sync::Arc;

use super::{Plugin, World, always, always_pull_images, anti_affinity, certificates, claim_resize, default_classes};
use super::{
    default_toleration_seconds, event_rate_limit, extended_resource_toleration, external_ips, limit_ranger,
    namespace_exists, namespace_lifecycle, node_restriction, owner_permissions, pod_topology_labels, priority,
    resource_quota, runtime_class, service_account, storage_protection, taint_nodes,
};

/// A plugin under its name.
pub(crate) type Named = (&'static str, Arc<dyn Plugin>);
/// A plugin, or what is wrong with its configuration.
type Made = Result<Arc<dyn Plugin>, String>;
type Make = fn(&World) -> Made;

/// Name, on by default, constructor. A plugin without constructor is accepted and does nothing yet.
const ALL: &[(&str, bool, Option<Make>)] = &[
    ("AlwaysAdmit", false, Some(|_| ready(always::AlwaysAdmit))),
    (
        "NamespaceAutoProvision",
        false,
        Some(|w| ready(namespace_exists::NamespaceAutoProvision::new(w))),
    ),
    (
        "NamespaceLifecycle",
        true,
        Some(|w| ready(namespace_lifecycle::NamespaceLifecycle::new(w))),
    ),
    (
        "NamespaceExists",
        false,
        Some(|w| ready(namespace_exists::NamespaceExists::new(w))),
    ),
    (
        "LimitPodHardAntiAffinityTopology",
        false,
        Some(|_| ready(anti_affinity::LimitPodHardAntiAffinityTopology)),
    ),
    ("LimitRanger", true, Some(|w| ready(limit_ranger::LimitRanger::new(w)))),
    (
        "ServiceAccount",
        true,
        Some(|w| ready(service_account::ServiceAccount::new(w))),
    ),
    (
        "NodeRestriction",
        false,
        Some(|w| ready(node_restriction::NodeRestriction::new(w))),
    ),
    (
        "TaintNodesByCondition",
        true,
        Some(|_| ready(taint_nodes::TaintNodesByCondition)),
    ),
    (
        "AlwaysPullImages",
        false,
        Some(|_| ready(always_pull_images::AlwaysPullImages)),
    ),
    ("ImagePolicyWebhook", false, None),
    ("PodSecurity", true, None),
    ("PodNodeSelector", false, None),
    ("Priority", true, Some(|w| ready(priority::Priority::new(w)))),
    (
        "DefaultTolerationSeconds",
        true,
        Some(|w| {
            ready(default_toleration_seconds::DefaultTolerationSeconds(
                w.toleration_seconds,
            ))
        }),
    ),
    ("PodTolerationRestriction", false, None),
    (
        "EventRateLimit",
        false,
        Some(|w| Ok(Arc::new(event_rate_limit::EventRateLimit::new(&w.configurations)?))),
    ),
    (
        "ExtendedResourceToleration",
        false,
        Some(|_| ready(extended_resource_toleration::ExtendedResourceToleration)),
    ),
    (
        "DefaultStorageClass",
        true,
        Some(|w| ready(default_classes::DefaultStorageClass::new(w))),
    ),
    (
        "StorageObjectInUseProtection",
        true,
        Some(|_| ready(storage_protection::StorageObjectInUseProtection)),
    ),
    (
        "OwnerReferencesPermissionEnforcement",
        false,
        Some(|w| ready(owner_permissions::OwnerReferencesPermissionEnforcement::new(w))),
    ),
    (
        "PersistentVolumeClaimResize",
        true,
        Some(|w| ready(claim_resize::PersistentVolumeClaimResize::new(w))),
    ),
    (
        "RuntimeClass",
        true,
        Some(|w| ready(runtime_class::RuntimeClass::new(w))),
    ),
    (
        "CertificateApproval",
        true,
        Some(|w| ready(certificates::CertificateApproval::new(w))),
    ),
    (
        "CertificateSigning",
        true,
        Some(|w| ready(certificates::CertificateSigning::new(w))),
    ),
    ("ClusterTrustBundleAttest", true, None),
    (
        "CertificateSubjectRestriction",
        true,
        Some(|_| ready(certificates::CertificateSubjectRestriction)),
    ),
    (
        "DefaultIngressClass",
        true,
        Some(|w| ready(default_classes::DefaultIngressClass::new(w))),
    ),
    (
        "DenyServiceExternalIPs",
        false,
        Some(|_| ready(external_ips::DenyServiceExternalIps)),
    ),
    (
        "PodTopologyLabels",
        true,
        Some(|w| ready(pod_topology_labels::PodTopologyLabels::new(w))),
    ),
    ("NodeDeclaredFeatureValidator", false, None),
    ("MutatingAdmissionPolicy", true, None),
    ("MutatingAdmissionWebhook", true, None),
    ("ValidatingAdmissionPolicy", true, None),
    ("ValidatingAdmissionWebhook", true, None),
    (
        "ResourceQuota",
        true,
        Some(|w| Ok(Arc::new(resource_quota::ResourceQuota::new(w)?))),
    ),
    ("AlwaysDeny", false, Some(|_| ready(always::AlwaysDeny))),
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

/// A plugin that nothing can be wrong with.
fn ready(plugin: impl Plugin + 'static) -> Made {
    Ok(Arc::new(plugin))
}

/// Instances of the named plugins, in table order; or all that is wrong with their configurations.
pub(crate) fn build(world: &World, names: &[&'static str]) -> Result<Vec<Named>, Vec<String>> {
    let (mut plugins, mut wrong) = (Vec::new(), Vec::new());
    for (name, _, make) in ALL.iter().filter(|(name, ..)| names.contains(name)) {
        match make.map(|make| make(world)) {
            Some(Ok(plugin)) => plugins.push((*name, plugin)),
            Some(Err(why)) => wrong.push(format!("couldn't init admission plugin {name:?}: {why}")),
            None if world.configurations.of(name).is_some() => {
                tracing::warn!("the configuration of the admission plugin {name} has no effect in this version");
            }
            None => {}
        }
    }
    if wrong.is_empty() { Ok(plugins) } else { Err(wrong) }
}
