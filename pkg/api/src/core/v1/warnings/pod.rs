//! Pods and templates of pods (pkg/api/pod/warnings.go `warningsForPodSpecAndMeta`).

mod containers;
mod paths;

use std::collections::{BTreeMap, BTreeSet};

use apimachinery::field::{Path, quote};
use k8s_openapi::api::core::v1::{Affinity, AppArmorProfile, PodAffinityTerm, PodSpec, PodTemplateSpec, Volume};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::super::validation::app_armor;
use super::volume_claim::volume_claim_spec;
use crate::check::{list, quantity, warnings_for_ip};
use crate::node::v1::labels::deprecated_label;
use crate::node::v1::warnings::selector_term;

/// Annotations that say nothing any more, and what to use.
const ANNOTATIONS: [(&str, &str); 3] = [
    (
        "scheduler.alpha.kubernetes.io/critical-pod",
        "non-functional in v1.16+; use the \"priorityClassName\" field instead",
    ),
    (
        "security.alpha.kubernetes.io/sysctls",
        "non-functional in v1.11+; use the \"sysctls\" field instead",
    ),
    (
        "security.alpha.kubernetes.io/unsafe-sysctls",
        "non-functional in v1.11+; use the \"sysctls\" field instead",
    ),
];

/// The seccomp annotation of a pod; its containers' begin with the second.
const SECCOMP_POD: &str = "seccomp.security.alpha.kubernetes.io/pod";
const SECCOMP_CONTAINER: &str = "container.seccomp.security.alpha.kubernetes.io/";

/// The AppArmor annotation of a container begins so.
const APP_ARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";

/// Of the template at `path` (`GetWarningsForPodTemplate`).
pub fn pod_template(path: &Path, template: &PodTemplateSpec) -> Vec<String> {
    let mut out = vec![];
    spec(&mut out, path, template.spec.as_ref(), template.metadata.as_ref());
    out
}

/// Of the pod at `path`; the root is a pod of its own, not a template.
pub(super) fn spec(out: &mut Vec<String>, path: &Path, pod: Option<&PodSpec>, metadata: Option<&ObjectMeta>) {
    let none = PodSpec::default();
    let pod = pod.unwrap_or(&none);
    let no_annotations = BTreeMap::new();
    let annotations = metadata.and_then(|m| m.annotations.as_ref()).unwrap_or(&no_annotations);
    let spec = path.child("spec");
    let about = path.child("metadata").child("annotations");

    node_labels(out, &spec, pod);
    for (key, message) in ANNOTATIONS {
        if annotations.contains_key(key) {
            out.push(format!("{}: {message}", about.key(key)));
        }
    }
    for (index, volume) in list(&pod.volumes).iter().enumerate() {
        retired_volume(out, &spec.child("volumes").index(index), volume);
    }
    paths::overlapping(out, list(&pod.volumes));

    let aliases = list(&pod.host_aliases);
    let ips = aliases.iter().map(|a| a.ip.as_str());
    duplicates(out, &spec.child("hostAliases"), "ip", ips);
    let secrets = list(&pod.image_pull_secrets);
    let names = secrets.iter().map(|s| s.name.as_str());
    duplicates(out, &spec.child("imagePullSecrets"), "name", names);
    for (index, _) in secrets.iter().enumerate().filter(|(_, s)| s.name.is_empty()) {
        let path = spec.child("imagePullSecrets").index(index).child("name");
        out.push(format!("{path}: invalid empty name \"\""));
    }
    fractions(out, &spec.child("overhead"), pod.overhead.as_ref(), &BYTES);

    let context = pod.security_context.as_ref();
    if context.is_none_or(|c| c.seccomp_profile.is_none()) && annotations.contains_key(SECCOMP_POD) {
        out.push(no_seccomp(&about.key(SECCOMP_POD)));
    }
    let own = context.and_then(|c| c.app_armor_profile.as_ref());
    let all = containers::all(pod, &spec);
    for container in &all {
        container.annotations(out, &about, annotations, !path.as_str().is_empty(), own);
        container.amounts(out);
        container.environment(out);
    }
    containers::ports(out, &all);

    if pod.termination_grace_period_seconds.is_some_and(|s| s < 0) {
        let path = spec.child("terminationGracePeriodSeconds");
        out.push(format!(
            "{path}: must be >= 0; negative values are invalid and will be treated as 1"
        ));
    }
    if let Some(affinity) = &pod.affinity {
        null_selectors(out, &spec.child("affinity"), affinity);
    }
    let servers = pod.dns_config.as_ref().map_or(&[][..], |c| list(&c.nameservers));
    for (index, ip) in servers.iter().enumerate() {
        let path = spec.child("dnsConfig").child("nameservers").index(index);
        out.extend(warnings_for_ip(&path, ip));
    }
    for (index, alias) in aliases.iter().enumerate() {
        let path = spec.child("hostAliases").index(index).child("ip");
        out.extend(warnings_for_ip(&path, &alias.ip));
    }
}

fn no_seccomp(path: &Path) -> String {
    format!("{path}: non-functional in v1.27+; use the \"seccompProfile\" field instead")
}

/// Labels that have newer names, where nodes are chosen by them; spread constraints without a selector.
fn node_labels(out: &mut Vec<String>, spec: &Path, pod: &PodSpec) {
    for label in pod.node_selector.iter().flat_map(BTreeMap::keys) {
        if let Some(message) = deprecated_label(label) {
            out.push(format!("{}: {message}", spec.child("nodeSelector").key(label)));
        }
    }
    if let Some(affinity) = pod.affinity.as_ref().and_then(|a| a.node_affinity.as_ref()) {
        let path = spec.child("affinity").child("nodeAffinity");
        if let Some(required) = &affinity.required_during_scheduling_ignored_during_execution {
            let path = path
                .child("requiredDuringSchedulingIgnoredDuringExecution")
                .child("nodeSelectorTerms");
            for (index, term) in required.node_selector_terms.iter().enumerate() {
                selector_term(out, term, false, &path.index(index));
            }
        }
        let path = path.child("preferredDuringSchedulingIgnoredDuringExecution");
        let preferred = list(&affinity.preferred_during_scheduling_ignored_during_execution);
        for (index, term) in preferred.iter().enumerate() {
            selector_term(out, &term.preference, true, &path.index(index).child("preference"));
        }
    }
    for (index, constraint) in list(&pod.topology_spread_constraints).iter().enumerate() {
        let path = spec.child("topologySpreadConstraints").index(index);
        let key = &constraint.topology_key;
        if let Some(message) = deprecated_label(key) {
            out.push(format!("{}: {key} is {message}", path.child("topologyKey")));
        }
        if constraint.label_selector.is_none() {
            out.push(null_selector(&path.child("labelSelector")));
        }
    }
}

/// Kinds of volumes that are no more.
fn retired_volume(out: &mut Vec<String>, path: &Path, volume: &Volume) {
    let mut say = |used: bool, field: &str, text: &str| {
        if used {
            out.push(format!("{}: {text}", path.child(field)));
        }
    };
    say(
        volume.photon_persistent_disk.is_some(),
        "photonPersistentDisk",
        "deprecated in v1.11, non-functional in v1.16+",
    );
    say(
        volume.git_repo.is_some(),
        "gitRepo",
        "deprecated in v1.11, and disabled by default in v1.33+",
    );
    say(
        volume.scale_io.is_some(),
        "scaleIO",
        "deprecated in v1.16, non-functional in v1.22+",
    );
    let gone_in_25 = "deprecated in v1.22, non-functional in v1.25+";
    say(volume.flocker.is_some(), "flocker", gone_in_25);
    say(volume.storageos.is_some(), "storageOS", gone_in_25);
    say(volume.quobyte.is_some(), "quobyte", gone_in_25);
    say(
        volume.glusterfs.is_some(),
        "glusterfs",
        "deprecated in v1.25, non-functional in v1.26+",
    );
    let template = volume.ephemeral.as_ref().and_then(|e| e.volume_claim_template.as_ref());
    if let Some(template) = template {
        let path = path.child("ephemeral").child("volumeClaimTemplate").child("spec");
        volume_claim_spec(out, &path, &template.spec);
    }
    for (used, field) in [(volume.cephfs.is_some(), "cephfs"), (volume.rbd.is_some(), "rbd")] {
        if used {
            out.push(format!(
                "{}: deprecated in v1.28, non-functional in v1.31+",
                path.child(field)
            ));
        }
    }
}

/// Elements that are there already.
fn duplicates<'a>(out: &mut Vec<String>, path: &Path, field: &str, values: impl Iterator<Item = &'a str>) {
    let mut seen = BTreeSet::new();
    for (index, value) in values.enumerate() {
        if !seen.insert(value) {
            let path = path.index(index).child(field);
            out.push(format!("{path}: duplicate {field} {}", quote(value)));
        }
    }
}

/// Resources counted in bytes.
const BYTES: [&str; 2] = ["memory", "ephemeral-storage"];

/// Amounts of `resources` that are no whole bytes.
pub(super) fn fractions(
    out: &mut Vec<String>,
    path: &Path,
    amounts: Option<&BTreeMap<String, Quantity>>,
    resources: &[&str],
) {
    for resource in resources {
        let Some(amount) = amounts.and_then(|a| a.get(*resource)).map(quantity) else {
            continue;
        };
        if amount.milli_value() % 1000 != 0 {
            out.push(format!(
                "{}: fractional byte value \"{amount}\" is invalid, must be an integer",
                path.key(resource)
            ));
        }
    }
}

fn null_selector(path: &Path) -> String {
    format!("{path}: a null labelSelector results in matching no pod")
}

/// Terms that match no pod (`warningsForPodAffinityTerms`, `warningsForWeightedPodAffinityTerms`).
fn null_selectors(out: &mut Vec<String>, path: &Path, affinity: &Affinity) {
    let mut terms = |path: &Path, hard: &[PodAffinityTerm], soft: Vec<&PodAffinityTerm>| {
        for (index, _) in hard.iter().enumerate().filter(|(_, t)| t.label_selector.is_none()) {
            let path = path.child("requiredDuringSchedulingIgnoredDuringExecution");
            out.push(null_selector(&path.index(index).child("labelSelector")));
        }
        for (index, _) in soft.iter().enumerate().filter(|(_, t)| t.label_selector.is_none()) {
            let path = path
                .child("preferredDuringSchedulingIgnoredDuringExecution")
                .index(index);
            out.push(null_selector(&path.child("podAffinityTerm").child("labelSelector")));
        }
    };
    if let Some(a) = &affinity.pod_affinity {
        let soft = list(&a.preferred_during_scheduling_ignored_during_execution).iter();
        terms(
            &path.child("podAffinity"),
            list(&a.required_during_scheduling_ignored_during_execution),
            soft.map(|w| &w.pod_affinity_term).collect(),
        );
    }
    if let Some(a) = &affinity.pod_anti_affinity {
        let soft = list(&a.preferred_during_scheduling_ignored_during_execution).iter();
        terms(
            &path.child("podAntiAffinity"),
            list(&a.required_during_scheduling_ignored_during_execution),
            soft.map(|w| &w.pod_affinity_term).collect(),
        );
    }
}

/// The profile that the old annotation of a new pod gives a container, if any is valid, after what to say of
/// the annotation (`applyAppArmorVersionSkew`).
pub fn app_armor_of(metadata: &ObjectMeta, container: &str) -> Option<(String, Option<AppArmorProfile>)> {
    let key = format!("{APP_ARMOR}{container}");
    let annotation = metadata.annotations.as_ref()?.get(&key)?;
    let profile = app_armor_field(annotation).filter(|profile| {
        let mut errs = vec![];
        app_armor(&mut errs, Some(profile), &Path::root());
        errs.is_empty()
    });
    Some((
        no_app_armor(&Path::new("metadata").child("annotations").key(&key)),
        profile,
    ))
}

fn no_app_armor(path: &Path) -> String {
    format!("{path}: deprecated since v1.30; use the \"appArmorProfile\" field instead")
}

/// The profile that a value of the old annotation stands for (`ApparmorFieldForAnnotation`).
fn app_armor_field(annotation: &str) -> Option<AppArmorProfile> {
    let of = |kind: &str, profile: Option<&str>| AppArmorProfile {
        type_: kind.to_string(),
        localhost_profile: profile.map(str::to_string),
    };
    match annotation {
        "unconfined" => Some(of("Unconfined", None)),
        "runtime/default" => Some(of("RuntimeDefault", None)),
        other => match other.strip_prefix("localhost/") {
            None | Some("") => None,
            profile => Some(of("Localhost", profile)),
        },
    }
}
