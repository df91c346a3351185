//! What a user is told of objects that are valid and still not what they should be: texts for
//! `Warning` headers (`WarningsOnCreate`, `WarningsOnUpdate` of the strategies in pkg/registry/core).

mod pod;
#[cfg(test)]
mod tests;
mod volume_claim;

use apimachinery::field::Path;
use apimachinery::validation as rules;
use k8s_openapi::api::core::v1::{
    EndpointAddress, Endpoints, Node, PersistentVolume, Pod, PodTemplate, ReplicationController, ResourceQuota,
    Service, ServiceAccount,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

pub use pod::{app_armor_of, pod_template};
pub use volume_claim::{persistent_volume_claim, volume_claim_spec};

use crate::check::{list, quantity, text, warnings_for_cidr, warnings_for_ip};
use crate::node::v1::warnings::selector_term;

/// Of a new pod; updates are too many to be looked at (`podStrategy`).
pub fn pod_create(pod: &Pod) -> Vec<String> {
    let mut out = hostname(&pod.metadata, "the Pod's hostname");
    pod::spec(&mut out, &Path::root(), pod.spec.as_ref(), Some(&pod.metadata));
    out
}

/// Of the addresses in a pod's status (`podStatusStrategy`).
pub fn pod_status(pod: &Pod) -> Vec<String> {
    let Some(status) = &pod.status else { return vec![] };
    let path = Path::new("status");
    let pods = list(&status.pod_ips).iter().map(|ip| ip.ip.as_str());
    let hosts = list(&status.host_ips).iter().map(|ip| ip.ip.as_str());
    let pods = pods.enumerate().map(|(i, ip)| (path.child("podIPs").index(i), ip));
    let hosts = hosts.enumerate().map(|(i, ip)| (path.child("hostIPs").index(i), ip));
    let all = pods.chain(hosts);
    all.filter_map(|(path, ip)| warnings_for_ip(&path.child("ip"), ip))
        .collect()
}

/// Of a name that pods get their names and hostnames from.
pub fn name_in_hostnames(metadata: &ObjectMeta) -> Vec<String> {
    hostname(metadata, "Pod names and hostnames")
}

fn hostname(metadata: &ObjectMeta, used_in: &str) -> Vec<String> {
    let rules = rules::is_dns1123_label(text(&metadata.name));
    if rules.is_empty() {
        return vec![];
    }
    vec![format!(
        "metadata.name: this is used in {used_in}, which can result in surprising behavior; a DNS label is recommended: [{}]",
        rules.join(" ")
    )]
}

/// Of a PodTemplate (`podTemplateStrategy`).
pub fn pod_template_object(new: &PodTemplate, old: Option<&PodTemplate>) -> Vec<String> {
    if !changed(&new.metadata, old.map(|old| &old.metadata)) {
        return vec![];
    }
    let template = new.template.as_ref();
    template.map_or(vec![], |t| pod_template(&Path::new("template"), t))
}

/// Of a ReplicationController (`rcStrategy`). An update is told of the old template: upstream's slip.
pub fn replication_controller(new: &ReplicationController, old: Option<&ReplicationController>) -> Vec<String> {
    if !changed(&new.metadata, old.map(|old| &old.metadata)) {
        return vec![];
    }
    let mut out = match old {
        None => name_in_hostnames(&new.metadata),
        Some(_) => vec![],
    };
    let spec = old.unwrap_or(new).spec.as_ref();
    if let Some(template) = spec.and_then(|s| s.template.as_ref()) {
        out.extend(pod_template(&Path::new("spec").child("template"), template));
    }
    out
}

/// Whether the generation says that there is something new to look at.
pub(crate) fn changed(new: &ObjectMeta, old: Option<&ObjectMeta>) -> bool {
    old.is_none_or(|old| new.generation != old.generation)
}

/// Of a Service (pkg/api/service/warnings.go `GetWarningsForService`).
pub fn service(service: &Service) -> Vec<String> {
    const HINTS: &str = "service.kubernetes.io/topology-aware-hints";
    const EXTERNAL_NAME: &str = "ExternalName";
    let mut out = vec![];
    if has_annotation(&service.metadata, HINTS) {
        out.push(format!(
            "annotation {HINTS} is deprecated, please use service.kubernetes.io/topology-mode instead"
        ));
    }
    let Some(spec) = &service.spec else { return out };
    let path = Path::new("spec");
    let kind = text(&spec.type_);
    let cluster_ip = text(&spec.cluster_ip);
    if !matches!(cluster_ip, "" | "None") {
        addresses(&mut out, &path.child("clusterIPs"), list(&spec.cluster_ips));
    }
    let external = list(&spec.external_ips);
    let balancer = text(&spec.load_balancer_ip);
    let headless = kind == "ClusterIP" && cluster_ip == "None";
    if headless {
        let ignored = [
            ("loadBalancerIP", !balancer.is_empty()),
            ("externalIPs", !external.is_empty()),
            ("SessionAffinity", text(&spec.session_affinity) != "None"),
        ];
        let ignored = ignored.iter().filter(|(_, set)| *set);
        out.extend(ignored.map(|(field, _)| format!("spec.{field} is ignored for headless services")));
    }
    addresses(&mut out, &path.child("externalIPs"), external);
    if !external.is_empty() && !headless && kind != EXTERNAL_NAME {
        out.push("spec.externalIPs is deprecated and may no longer be implemented in some clusters".to_string());
    }
    if !balancer.is_empty() {
        out.extend(warnings_for_ip(&path.child("loadBalancerIP"), balancer));
    }
    for (index, range) in list(&spec.load_balancer_source_ranges).iter().enumerate() {
        let path = path.child("loadBalancerSourceRanges").index(index);
        out.extend(warnings_for_cidr(&path, range));
    }
    if kind == EXTERNAL_NAME && !external.is_empty() {
        out.push(format!(
            "spec.externalIPs is ignored when spec.type is {EXTERNAL_NAME:?}"
        ));
    }
    if kind != EXTERNAL_NAME && !text(&spec.external_name).is_empty() {
        out.push(format!(
            "spec.externalName is ignored when spec.type is not {EXTERNAL_NAME:?}"
        ));
    }
    if text(&spec.traffic_distribution) == "PreferClose" {
        out.push("spec.trafficDistribution: \"PreferClose\" is deprecated; use \"PreferSameZone\"".to_string());
    }
    out
}

/// Of the addresses that a load balancer gave (`serviceStatusStrategy`).
pub fn service_status(service: &Service) -> Vec<String> {
    let status = service.status.as_ref().and_then(|s| s.load_balancer.as_ref());
    let ingress = status.map_or(&[][..], |s| list(&s.ingress));
    load_balancer(ingress.iter().map(|i| text(&i.ip)))
}

/// Addresses below `status.loadBalancer.ingress`.
pub(crate) fn load_balancer<'a>(ips: impl Iterator<Item = &'a str>) -> Vec<String> {
    let path = Path::new("status").child("loadBalancer").child("ingress");
    let given = ips.enumerate().filter(|(_, ip)| !ip.is_empty());
    given
        .filter_map(|(index, ip)| warnings_for_ip(&path.index(index), ip))
        .collect()
}

fn addresses(out: &mut Vec<String>, path: &Path, ips: &[String]) {
    for (index, ip) in ips.iter().enumerate() {
        out.extend(warnings_for_ip(&path.index(index), ip));
    }
}

/// Of Endpoints; their controller writes none in odd forms (`endpointsWarnings`).
pub fn endpoints(endpoints: &Endpoints) -> Vec<String> {
    if has_label(
        &endpoints.metadata,
        "endpoints.kubernetes.io/managed-by",
        &["endpoint-controller"],
    ) {
        return vec![];
    }
    let mut out = vec![];
    let mut look = |path: Path, addresses: &[EndpointAddress]| {
        for (index, address) in addresses.iter().enumerate() {
            out.extend(warnings_for_ip(&path.index(index).child("ip"), &address.ip));
        }
    };
    for (index, subset) in list(&endpoints.subsets).iter().enumerate() {
        let path = Path::new("subsets").index(index);
        look(path.child("addresses"), list(&subset.addresses));
        look(path.child("notReadyAddresses"), list(&subset.not_ready_addresses));
    }
    out
}

/// Of a Node (`nodeWarnings`).
pub fn node(node: &Node) -> Vec<String> {
    let Some(spec) = &node.spec else { return vec![] };
    let mut out = vec![];
    if spec.config_source.is_some() {
        out.push("spec.configSource: the feature is removed".to_string());
    }
    if !text(&spec.external_id).is_empty() {
        out.push("spec.externalID: this field is deprecated, and is unused by Kubernetes".to_string());
    }
    for (index, cidr) in list(&spec.pod_cidrs).iter().enumerate() {
        out.extend(warnings_for_cidr(
            &Path::new("spec").child("podCIDRs").index(index),
            cidr,
        ));
    }
    out
}

/// Of a PersistentVolume (pkg/api/persistentvolume/util.go `GetWarningsForPersistentVolume`).
pub fn persistent_volume(volume: &PersistentVolume) -> Vec<String> {
    const ANNOTATIONS: [(&str, &str); 2] = [
        (
            volume_claim::STORAGE_CLASS,
            "deprecated since v1.8; use \"storageClassName\" attribute instead",
        ),
        (
            "volume.beta.kubernetes.io/mount-options",
            "deprecated since v1.31; use \"mountOptions\" attribute instead",
        ),
    ];
    let mut out = vec![];
    for (key, message) in ANNOTATIONS {
        if has_annotation(&volume.metadata, key) {
            out.push(format!("metadata.annotations[{key}]: {message}"));
        }
    }
    let Some(spec) = &volume.spec else { return out };
    if text(&spec.persistent_volume_reclaim_policy) == "Recycle" {
        out.push("spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic provisioning.".to_string());
    }
    if let Some(required) = spec.node_affinity.as_ref().and_then(|a| a.required.as_ref()) {
        let path = Path::new("spec")
            .child("nodeAffinity")
            .child("required")
            .child("nodeSelectorTerms");
        for (index, term) in required.node_selector_terms.iter().enumerate() {
            selector_term(&mut out, term, false, &path.index(index));
        }
    }
    let retired = [
        (spec.cephfs.is_some(), "cephfs", "v1.28", "v1.31"),
        (
            spec.photon_persistent_disk.is_some(),
            "photonPersistentDisk",
            "v1.11",
            "v1.16",
        ),
        (spec.scale_io.is_some(), "scaleIO", "v1.16", "v1.22"),
        (spec.storageos.is_some(), "storageOS", "v1.22", "v1.25"),
        (spec.glusterfs.is_some(), "glusterfs", "v1.25", "v1.26"),
        (spec.rbd.is_some(), "rbd", "v1.28", "v1.31"),
    ];
    for (_, field, deprecated, gone) in retired.into_iter().filter(|(used, ..)| *used) {
        out.push(format!(
            "spec.{field}: deprecated in {deprecated}, non-functional in {gone}+"
        ));
    }
    out
}

/// Of a new ResourceQuota: requests above the limits (`resourcequotaStrategy`).
pub fn resource_quota_create(quota: &ResourceQuota) -> Vec<String> {
    let Some(hard) = quota.spec.as_ref().and_then(|s| s.hard.as_ref()) else {
        return vec![];
    };
    let mut out = vec![];
    for resource in ["cpu", "memory", "storage", "ephemeral-storage"] {
        let mut request = format!("requests.{resource}");
        if !hard.contains_key(&request) && matches!(resource, "cpu" | "memory") {
            request = resource.to_string();
        }
        let limit = format!("limits.{resource}");
        if let (Some(requested), Some(limited)) = (hard.get(&request), hard.get(&limit)) {
            let (requested, limited) = (quantity(requested), quantity(limited));
            if requested > limited {
                out.push(format!(
                    "ResourceQuota {request} ({requested}) should be less than {limit} ({limited})"
                ));
            }
        }
    }
    out
}

/// Of a ServiceAccount that has just got a retired annotation (`warnIfHasEnforceMountableSecretsAnnotation`).
pub fn service_account(new: &ServiceAccount, old: Option<&ServiceAccount>) -> Vec<String> {
    const ENFORCE: &str = "kubernetes.io/enforce-mountable-secrets";
    if !has_annotation(&new.metadata, ENFORCE) || old.is_some_and(|old| has_annotation(&old.metadata, ENFORCE)) {
        return vec![];
    }
    vec![format!(
        "metadata.annotations[{ENFORCE}]: deprecated in v1.32+; prefer separate namespaces to isolate access to mounted secrets"
    )]
}

pub(crate) fn has_annotation(metadata: &ObjectMeta, key: &str) -> bool {
    metadata.annotations.as_ref().is_some_and(|a| a.contains_key(key))
}

/// Whether a label has one of these values.
pub(crate) fn has_label(metadata: &ObjectMeta, key: &str, values: &[&str]) -> bool {
    let value = metadata.labels.as_ref().and_then(|l| l.get(key));
    value.is_some_and(|value| values.contains(&value.as_str()))
}
