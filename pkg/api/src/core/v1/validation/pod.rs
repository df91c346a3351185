//! Pods and pod templates at creation.

use apimachinery::field::{Error, ErrorList, Path};
use k8s_openapi::api::core::v1::{Binding, Pod, PodSpec, PodTemplate, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::pod_spec::{self, Options};
use crate::check::{list, text};
use crate::meta;

/// Marks the API copy of a static pod.
pub(super) const MIRROR_ANNOTATION: &str = "kubernetes.io/config.mirror";

/// A new pod (`ValidatePodCreate`).
pub fn pod_create(pod: &Pod) -> ErrorList {
    let empty = PodSpec::default();
    let spec = pod.spec.as_ref().unwrap_or(&empty);
    let mut errs = metadata_and_spec(pod, spec);
    let path = Path::new("spec");
    if !list(&spec.ephemeral_containers).is_empty() {
        errs.push(Error::forbidden(
            &path.child("ephemeralContainers"),
            "cannot be set on create",
        ));
    }
    if !text(&spec.node_name).is_empty() && !list(&spec.scheduling_gates).is_empty() {
        errs.push(Error::forbidden(
            &path.child("nodeName"),
            "cannot be set until all schedulingGates have been cleared",
        ));
    }
    errs
}

/// What creation and update have in common (`validatePodMetadataAndSpec`).
pub(super) fn metadata_and_spec(pod: &Pod, spec: &PodSpec) -> ErrorList {
    let mut errs = meta::create(&pod.metadata, true, meta::name_subdomain);
    annotations(
        &mut errs,
        &pod.metadata,
        spec,
        &Path::new("metadata").child("annotations"),
    );
    let path = Path::new("spec");
    pod_spec::pod_spec(&mut errs, spec, Some(&pod.metadata), &path, Options { is_pod: true });
    if text(&spec.service_account_name).is_empty() {
        for (v, volume) in list(&spec.volumes).iter().enumerate() {
            let sources = volume.projected.as_ref().map_or(&[][..], |p| list(&p.sources));
            for (s, _) in sources
                .iter()
                .enumerate()
                .filter(|(_, s)| s.service_account_token.is_some())
            {
                let path = path
                    .child("volumes")
                    .index(v)
                    .child("projected")
                    .child("sources")
                    .index(s);
                errs.push(Error::forbidden(
                    &path.child("serviceAccountToken"),
                    "must not be specified when serviceAccountName is not set",
                ));
            }
        }
    }
    for (name, containers) in [
        ("containers", &spec.containers[..]),
        ("initContainers", list(&spec.init_containers)),
    ] {
        for (index, container) in containers.iter().enumerate() {
            let image = text(&container.image);
            if image.trim() != image {
                errs.push(Error::invalid(
                    &path.child(name).index(index).child("image"),
                    image,
                    "must not have leading or trailing whitespace",
                ));
            }
        }
    }
    errs
}

/// Annotations with a meaning (`ValidatePodSpecificAnnotations`).
pub(super) fn annotations(errs: &mut ErrorList, meta: &ObjectMeta, spec: &PodSpec, path: &Path) {
    let Some(annotations) = &meta.annotations else { return };
    if let Some(value) = annotations.get(MIRROR_ANNOTATION)
        && text(&spec.node_name).is_empty()
    {
        let rule = "must set spec.nodeName if mirror pod annotation is set";
        errs.push(Error::invalid(&path.key(MIRROR_ANNOTATION), value, rule));
    }
    const COST: &str = "controller.kubernetes.io/pod-deletion-cost";
    if let Some(value) = annotations.get(COST) {
        let plain = !value.starts_with('+') && (value == "0" || !value.starts_with('0'));
        if !plain || value.parse::<i32>().is_err() {
            errs.push(Error::invalid(&path.key(COST), value, "must be a 32bit integer"));
        }
    }
}

/// The template of a workload at `path` (`ValidatePodTemplateSpec`).
pub fn pod_template_spec(errs: &mut ErrorList, template: &PodTemplateSpec, path: &Path) {
    let empty = PodSpec::default();
    let spec = template.spec.as_ref().unwrap_or(&empty);
    if let Some(metadata) = &template.metadata {
        meta::labels(errs, metadata.labels.as_ref(), &path.child("labels"));
        meta::annotations(errs, metadata.annotations.as_ref(), &path.child("annotations"));
        annotations(errs, metadata, spec, &path.child("annotations"));
    }
    pod_spec::pod_spec(errs, spec, None, &path.child("spec"), Options { is_pod: false });
    if !list(&spec.ephemeral_containers).is_empty() {
        errs.push(Error::forbidden(
            &path.child("spec").child("ephemeralContainers"),
            "ephemeral containers not allowed in pod template",
        ));
    }
}

/// A new PodTemplate (`ValidatePodTemplate`).
pub fn pod_template_create(obj: &PodTemplate) -> ErrorList {
    let mut errs = meta::create(&obj.metadata, true, meta::name_subdomain);
    let empty = PodTemplateSpec::default();
    pod_template_spec(
        &mut errs,
        obj.template.as_ref().unwrap_or(&empty),
        &Path::new("template"),
    );
    errs
}

/// A changed PodTemplate (`ValidatePodTemplateUpdate`).
pub fn pod_template_update(new: &PodTemplate, old: &PodTemplate) -> ErrorList {
    let mut errs = meta::update(&new.metadata, &old.metadata);
    let empty = PodTemplateSpec::default();
    pod_template_spec(
        &mut errs,
        new.template.as_ref().unwrap_or(&empty),
        &Path::new("template"),
    );
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
