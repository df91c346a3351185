//! Pods and pod templates at creation.

use std::collections::BTreeMap;

use apimachinery::field::{Error, ErrorList, Path};
use k8s_openapi::api::core::v1::{Binding, Pod, PodSpec, PodTemplate, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::options::Options;
use super::{container, pod_spec, scheduling, security};
use crate::check::{list, one_of, text};
use crate::core::v1::MIRROR_ANNOTATION;
use crate::meta;

/// The old forms of a container's or pod's profiles.
const SECCOMP_POD: &str = "seccomp.security.alpha.kubernetes.io/pod";
const SECCOMP_CONTAINER: &str = "container.seccomp.security.alpha.kubernetes.io/";
pub(super) const APP_ARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";
const TOLERATIONS: &str = "scheduler.alpha.kubernetes.io/tolerations";
const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// A new pod (`ValidatePodCreate`).
pub fn pod_create(pod: &Pod) -> ErrorList {
    let empty = PodSpec::default();
    let spec = pod.spec.as_ref().unwrap_or(&empty);
    let mut errs = metadata_and_spec(pod, spec, Options::pod());
    let path = Path::new("spec");
    if !list(&spec.ephemeral_containers).is_empty() {
        let rule = "cannot be set on create";
        errs.push(Error::forbidden(&path.child("ephemeralContainers"), rule));
    }
    if !text(&spec.node_name).is_empty() && !list(&spec.scheduling_gates).is_empty() {
        let rule = "cannot be set until all schedulingGates have been cleared";
        errs.push(Error::forbidden(&path.child("nodeName"), rule));
    }
    profiles_match(&mut errs, &pod.metadata, spec, &path);
    errs
}

/// What creation and update have in common (`validatePodMetadataAndSpec`).
pub(super) fn metadata_and_spec(pod: &Pod, spec: &PodSpec, options: Options) -> ErrorList {
    let mut errs = meta::create(&pod.metadata, true, meta::name_subdomain);
    let at = Path::new("metadata").child("annotations");
    annotations(&mut errs, &pod.metadata, spec, &at, options);
    let path = Path::new("spec");
    pod_spec::pod_spec(&mut errs, spec, Some(&pod.metadata), &path, options);
    if text(&spec.service_account_name).is_empty() {
        for (v, volume) in list(&spec.volumes).iter().enumerate() {
            let path = path.child("volumes").index(v).child("projected");
            let sources = volume.projected.as_ref().map_or(&[][..], |p| list(&p.sources));
            let tokens = sources
                .iter()
                .enumerate()
                .filter(|(_, s)| s.service_account_token.is_some());
            for (s, _) in tokens {
                let path = path.child("sources").index(s).child("serviceAccountToken");
                let rule = "must not be specified when serviceAccountName is not set";
                errs.push(Error::forbidden(&path, rule));
            }
        }
    }
    for (name, containers) in [
        ("containers", &spec.containers[..]),
        ("initContainers", list(&spec.init_containers)),
    ] {
        for (index, container) in containers.iter().enumerate() {
            trimmed_image(&mut errs, text(&container.image), &path.child(name).index(index));
        }
    }
    errs
}

/// `validateContainerOnlyForPod`: templates may have spaces, because they always could.
pub(super) fn trimmed_image(errs: &mut ErrorList, image: &str, path: &Path) {
    if image.trim() != image {
        let rule = "must not have leading or trailing whitespace";
        errs.push(Error::invalid(&path.child("image"), image, rule));
    }
}

/// Annotations with a meaning (`ValidatePodSpecificAnnotations`).
pub(super) fn annotations(errs: &mut ErrorList, meta: &ObjectMeta, spec: &PodSpec, path: &Path, options: Options) {
    let Some(annotations) = &meta.annotations else { return };
    if let Some(value) = annotations.get(MIRROR_ANNOTATION)
        && text(&spec.node_name).is_empty()
    {
        let rule = "must set spec.nodeName if mirror pod annotation is set";
        errs.push(Error::invalid(&path.key(MIRROR_ANNOTATION), value, rule));
    }
    if let Some(value) = annotations.get(TOLERATIONS).filter(|v| !v.is_empty()) {
        match serde_json::from_str::<Vec<k8s_openapi::api::core::v1::Toleration>>(value) {
            Ok(all) => scheduling::tolerations(errs, &all, &path.child(TOLERATIONS)),
            Err(e) => errs.push(Error::invalid(path, TOLERATIONS, e.to_string())),
        }
    }
    if let Some(value) = deletion_cost(annotations).filter(|_| !options.any_deletion_cost) {
        errs.push(Error::invalid(
            &path.key(DELETION_COST),
            value,
            "must be a 32bit integer",
        ));
    }
    if let Some(value) = annotations.get(SECCOMP_POD) {
        security::seccomp_annotation(errs, value, &path.child(SECCOMP_POD));
    }
    for (key, value) in annotations.iter().filter(|(k, _)| k.starts_with(SECCOMP_CONTAINER)) {
        security::seccomp_annotation(errs, value, &path.child(key));
    }
    for (key, value) in annotations {
        let Some(name) = key.strip_prefix(APP_ARMOR) else {
            continue;
        };
        let mut known = false;
        container::visit(spec, path, |c, _| known |= c.name == name);
        if !known {
            errs.push(Error::invalid(&path.key(key), name, "container not found"));
        }
        let good = matches!(value.as_str(), "" | "runtime/default" | "unconfined") || value.starts_with("localhost/");
        if !good {
            let rule = format!("invalid AppArmor profile name: {value:?}");
            errs.push(Error::invalid(&path.key(key), value, rule));
        }
    }
}

/// The cost of a pod's deletion when it is no plain 32-bit number (`GetDeletionCostFromPodAnnotations`).
pub(super) fn deletion_cost(annotations: &BTreeMap<String, String>) -> Option<&String> {
    let value = annotations.get(DELETION_COST)?;
    let plain = !value.starts_with('+') && (value == "0" || !value.starts_with('0'));
    (!plain || value.parse::<i32>().is_err()).then_some(value)
}

/// Profiles given both as annotation and as field are the same
/// (`validateSeccompAnnotationsAndFields`, `validateAppArmorAnnotationsAndFieldsMatchOnCreate`).
fn profiles_match(errs: &mut ErrorList, meta: &ObjectMeta, spec: &PodSpec, path: &Path) {
    let Some(annotations) = &meta.annotations else { return };
    let context = spec.security_context.as_ref();
    if let Some(profile) = context.and_then(|c| c.seccomp_profile.as_ref())
        && let Some(value) = annotations.get(SECCOMP_POD)
    {
        let path = path.child("securityContext").child("seccompProfile");
        security::seccomp_matches(errs, value, profile, &path);
    }
    container::visit(spec, path, |c, path| {
        let profile = c.security_context.as_ref().and_then(|c| c.seccomp_profile.as_ref());
        let value = annotations.get(&format!("{SECCOMP_CONTAINER}{}", c.name));
        if let (Some(profile), Some(value)) = (profile, value) {
            let path = path.child("securityContext").child("seccompProfile");
            security::seccomp_matches(errs, value, profile, &path);
        }
    });
    if spec.os.as_ref().is_some_and(|os| os.name == "windows") {
        return;
    }
    let of_pod = context.and_then(|c| c.app_armor_profile.as_ref());
    container::visit(spec, path, |c, path| {
        let own = c.security_context.as_ref().and_then(|c| c.app_armor_profile.as_ref());
        let value = annotations.get(&format!("{APP_ARMOR}{}", c.name));
        if let (Some(profile), Some(value)) = (own.or(of_pod), value) {
            let path = path.child("securityContext").child("appArmorProfile");
            security::app_armor_matches(errs, value, profile, &path);
        }
    });
}

/// The template of a workload at `path`; `old` is the one it replaces (`ValidatePodTemplateSpec`).
pub fn pod_template_spec(errs: &mut ErrorList, template: &PodTemplateSpec, old: Option<&PodTemplateSpec>, path: &Path) {
    let empty = PodSpec::default();
    let none = ObjectMeta::default();
    let options = Options::of_template(old);
    let spec = template.spec.as_ref().unwrap_or(&empty);
    let metadata = template.metadata.as_ref().unwrap_or(&none);
    template_metadata(errs, template, old, path);
    pod_spec::pod_spec(errs, spec, None, &path.child("spec"), options);
    profiles_match(errs, metadata, spec, &path.child("spec"));
    if !list(&spec.ephemeral_containers).is_empty() {
        let rule = "ephemeral containers not allowed in pod template";
        errs.push(Error::forbidden(&path.child("spec").child("ephemeralContainers"), rule));
    }
}

/// Labels and annotations of a template.
pub(crate) fn template_metadata(
    errs: &mut ErrorList,
    template: &PodTemplateSpec,
    old: Option<&PodTemplateSpec>,
    path: &Path,
) {
    let Some(metadata) = &template.metadata else { return };
    let empty = PodSpec::default();
    let spec = template.spec.as_ref().unwrap_or(&empty);
    meta::labels(errs, metadata.labels.as_ref(), &path.child("labels"));
    let path = path.child("annotations");
    meta::annotations(errs, metadata.annotations.as_ref(), &path);
    annotations(errs, metadata, spec, &path, Options::of_template(old));
}

/// The template of a workload allows only some restart policies.
pub(crate) fn restart_policy_among(errs: &mut ErrorList, spec: Option<&PodSpec>, path: &Path, allowed: &[&str]) {
    let policy = spec.map_or("", |s| text(&s.restart_policy));
    one_of(errs, &path.child("spec").child("restartPolicy"), policy, allowed);
}

/// A new PodTemplate (`ValidatePodTemplate`).
pub fn pod_template_create(obj: &PodTemplate) -> ErrorList {
    let mut errs = meta::create(&obj.metadata, true, meta::name_subdomain);
    let empty = PodTemplateSpec::default();
    let template = obj.template.as_ref().unwrap_or(&empty);
    pod_template_spec(&mut errs, template, None, &Path::new("template"));
    errs
}

/// A changed PodTemplate (`ValidatePodTemplateUpdate`).
pub fn pod_template_update(new: &PodTemplate, old: &PodTemplate) -> ErrorList {
    let mut errs = meta::update(&new.metadata, &old.metadata);
    let empty = PodTemplateSpec::default();
    let template = new.template.as_ref().unwrap_or(&empty);
    pod_template_spec(&mut errs, template, old.template.as_ref(), &Path::new("template"));
    errs
}

/// What a scheduler posts to `pods/binding` (`ValidatePodBinding`).
pub fn binding(binding: &Binding) -> ErrorList {
    let mut errs = ErrorList::new();
    let path = Path::new("target");
    let kind = text(&binding.target.kind);
    if !kind.is_empty() && kind != "Node" {
        errs.push(Error::not_supported(&path.child("kind"), kind, &["Node", "<empty>"]));
    }
    crate::check::required(&mut errs, &path.child("name"), text(&binding.target.name));
    errs
}
