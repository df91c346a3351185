//! What all kinds share: object metadata, names, labels, selectors
//! (apimachinery `pkg/api/validation/objectmeta.go`, `pkg/apis/meta/v1/validation/validation.go`).

use std::collections::{BTreeMap, BTreeSet};

use apimachinery::field::{Error, ErrorList, Path};
use apimachinery::validation as rules;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference};

use crate::check::{IMMUTABLE, invalid_each, list, non_negative, qualified_name, text};

/// Checks a name; the flag says that it is a prefix to which a suffix will be added. Returns what
/// is wrong with it.
pub type NameRule = fn(&str, bool) -> Vec<String>;

/// Upper bound of all annotation keys and values together, in bytes (`TotalAnnotationSizeLimitB`).
pub const TOTAL_ANNOTATION_SIZE: usize = 256 * 1024;

/// A DNS-1123 subdomain, the rule of most kinds (`NameIsDNSSubdomain`).
pub fn name_subdomain(name: &str, prefix: bool) -> Vec<String> {
    rules::is_dns1123_subdomain(&mask(name, prefix))
}

/// A DNS-1123 label: namespaces (`NameIsDNSLabel`).
pub fn name_label(name: &str, prefix: bool) -> Vec<String> {
    rules::is_dns1123_label(&mask(name, prefix))
}

/// A DNS-1035 label: services (`NameIsDNS1035Label`).
pub fn name_1035_label(name: &str, prefix: bool) -> Vec<String> {
    rules::is_dns1035_label(&mask(name, prefix))
}

/// A path segment: RBAC kinds (`path.ValidatePathSegmentName`).
pub fn name_path_segment(name: &str, prefix: bool) -> Vec<String> {
    if prefix {
        return rules::is_path_segment_name(name)
            .into_iter()
            .filter(|m| m.contains("contain"))
            .collect();
    }
    rules::is_path_segment_name(name)
}

/// A prefix may end in a dash: the suffix follows (`maskTrailingDash`).
fn mask(name: &str, prefix: bool) -> String {
    match name.strip_suffix('-') {
        Some(rest) if prefix && name.len() > 1 => {
            let mut masked = rest.to_string();
            masked.pop();
            masked + "a"
        }
        _ => name.to_string(),
    }
}

/// Metadata of a new object (`ValidateObjectMeta`).
pub fn create(meta: &ObjectMeta, namespaced: bool, rule: NameRule) -> ErrorList {
    let path = Path::new("metadata");
    let mut errs = ErrorList::new();
    let prefix = text(&meta.generate_name);
    if !prefix.is_empty() {
        invalid_each(&mut errs, &path.child("generateName"), prefix, rule(prefix, true));
    }
    let name = text(&meta.name);
    if name.is_empty() {
        errs.push(Error::required(&path.child("name"), "name or generateName is required"));
    } else {
        invalid_each(&mut errs, &path.child("name"), name, rule(name, false));
    }
    let namespace = text(&meta.namespace);
    let namespace_path = path.child("namespace");
    match (namespaced, namespace.is_empty()) {
        (true, true) => errs.push(Error::required(&namespace_path, "")),
        (true, false) => invalid_each(&mut errs, &namespace_path, namespace, name_label(namespace, false)),
        (false, false) => errs.push(Error::forbidden(&namespace_path, "not allowed on this type")),
        (false, true) => {}
    }
    shared(&mut errs, meta, &path);
    errs
}

/// Metadata of a changed object against the stored one (`ValidateObjectMetaUpdate`).
pub fn update(new: &ObjectMeta, old: &ObjectMeta) -> ErrorList {
    let path = Path::new("metadata");
    let mut errs = ErrorList::new();
    if old.deletion_timestamp.is_some() {
        no_new_finalizers(&mut errs, new, old, &path.child("finalizers"));
    }
    if text(&new.resource_version).is_empty() {
        let rule = "must be specified for an update";
        errs.push(Error::invalid(&path.child("resourceVersion"), "", rule));
    }
    if new.generation.unwrap_or(0) < old.generation.unwrap_or(0) {
        let value = new.generation.unwrap_or(0);
        errs.push(Error::invalid(
            &path.child("generation"),
            value,
            "must not be decremented",
        ));
    }
    for (field, new, old) in [
        ("name", &new.name, &old.name),
        ("namespace", &new.namespace, &old.namespace),
        ("uid", &new.uid, &old.uid),
    ] {
        if text(new) != text(old) {
            errs.push(Error::invalid(&path.child(field), text(new), IMMUTABLE));
        }
    }
    for (field, new, old) in [
        ("creationTimestamp", &new.creation_timestamp, &old.creation_timestamp),
        ("deletionTimestamp", &new.deletion_timestamp, &old.deletion_timestamp),
    ] {
        let second =
            |t: &Option<k8s_openapi::apimachinery::pkg::apis::meta::v1::Time>| t.as_ref().map(|t| t.0.as_second());
        if second(new) != second(old) {
            let value = crate::check::to_value(new);
            errs.push(Error::invalid(&path.child(field), &value, IMMUTABLE));
        }
    }
    if new.deletion_grace_period_seconds != old.deletion_grace_period_seconds {
        let value = crate::check::to_value(&new.deletion_grace_period_seconds);
        errs.push(Error::invalid(
            &path.child("deletionGracePeriodSeconds"),
            &value,
            IMMUTABLE,
        ));
    }
    shared(&mut errs, new, &path);
    errs
}

fn shared(errs: &mut ErrorList, meta: &ObjectMeta, path: &Path) {
    non_negative(errs, &path.child("generation"), meta.generation);
    labels(errs, meta.labels.as_ref(), &path.child("labels"));
    annotations(errs, meta.annotations.as_ref(), &path.child("annotations"));
    owner_references(errs, list(&meta.owner_references), &path.child("ownerReferences"));
    finalizers(errs, list(&meta.finalizers), &path.child("finalizers"));
}

/// Metadata inside a template: labels and annotations, nothing else (`ValidateTemplateObjectMeta`).
pub(crate) fn of_template(errs: &mut ErrorList, metadata: &ObjectMeta, path: &Path) {
    annotations(errs, metadata.annotations.as_ref(), &path.child("annotations"));
    labels(errs, metadata.labels.as_ref(), &path.child("labels"));
    let given = crate::check::to_value(metadata);
    // In the order of Go's fields, with only the first letter in lower case.
    for (field, shown) in [
        ("name", "name"),
        ("generateName", "generateName"),
        ("namespace", "namespace"),
        ("selfLink", "selfLink"),
        ("uid", "uID"),
        ("resourceVersion", "resourceVersion"),
        ("generation", "generation"),
        ("creationTimestamp", "creationTimestamp"),
        ("deletionTimestamp", "deletionTimestamp"),
        ("deletionGracePeriodSeconds", "deletionGracePeriodSeconds"),
        ("ownerReferences", "ownerReferences"),
        ("finalizers", "finalizers"),
        ("managedFields", "managedFields"),
    ] {
        let set = given.get(field).is_some_and(|v| !v.is_null() && *v != "" && *v != 0);
        if set {
            errs.push(Error::forbidden(&path.child(shown), "cannot be set"));
        }
    }
}

/// Keys and values of a label map (`ValidateLabels`).
pub fn labels(errs: &mut ErrorList, labels: Option<&BTreeMap<String, String>>, path: &Path) {
    for (key, value) in labels.into_iter().flatten() {
        qualified_name(errs, path, key);
        invalid_each(errs, path, value, rules::is_valid_label_value(value));
    }
}

/// Keys and total size of annotations (`ValidateAnnotations`).
pub fn annotations(errs: &mut ErrorList, annotations: Option<&BTreeMap<String, String>>, path: &Path) {
    let mut size = 0;
    for (key, value) in annotations.into_iter().flatten() {
        invalid_each(errs, path, key, rules::is_qualified_name(&key.to_lowercase()));
        size += key.len() + value.len();
    }
    if size > TOTAL_ANNOTATION_SIZE {
        errs.push(Error::too_long(path, TOTAL_ANNOTATION_SIZE));
    }
}

/// Owner references are complete, at most one controls (`ValidateOwnerReferences`).
fn owner_references(errs: &mut ErrorList, references: &[OwnerReference], path: &Path) {
    let mut controller: Option<&str> = None;
    for reference in references {
        let version = reference.api_version.rsplit('/').next().unwrap_or("");
        if version.is_empty() {
            let rule = "version must not be empty";
            errs.push(Error::invalid(&path.child("apiVersion"), &reference.api_version, rule));
        }
        for (field, value) in [
            ("kind", &reference.kind),
            ("name", &reference.name),
            ("uid", &reference.uid),
        ] {
            if value.is_empty() {
                errs.push(Error::invalid(&path.child(field), "", "must not be empty"));
            }
        }
        if reference.api_version == "v1" && reference.kind == "Event" {
            let value = crate::check::to_value(reference);
            let rule = "/v1, Kind=Event is disallowed from being an owner";
            errs.push(Error::invalid(path, &value, rule));
        }
        if reference.controller != Some(true) {
            continue;
        }
        if let Some(first) = controller {
            let rule = format!(
                "Only one reference can have Controller set to true. Found \"true\" in references for {first} and {}",
                reference.name
            );
            errs.push(Error::invalid(path, &crate::check::to_value(&references), rule));
        } else {
            controller = Some(&reference.name);
        }
    }
}

/// Finalizer names the system itself uses without a domain (`IsStandardFinalizerName`).
const STANDARD_FINALIZERS: [&str; 3] = ["kubernetes", "orphan", "foregroundDeletion"];

fn finalizers(errs: &mut ErrorList, finalizers: &[String], path: &Path) {
    for name in finalizers {
        qualified_name(errs, path, name);
    }
    let has = |wanted: &str| finalizers.iter().any(|f| f == wanted);
    if has("orphan") && has("foregroundDeletion") {
        let rule = "finalizer orphan and foregroundDeletion cannot be both set";
        errs.push(Error::invalid(path, &crate::check::to_value(&finalizers), rule));
    }
    for (index, name) in finalizers.iter().enumerate() {
        kube_finalizer(errs, name, &path.index(index));
    }
}

/// A finalizer without a domain must be a known one (`validateKubeFinalizerName`).
pub fn kube_finalizer(errs: &mut ErrorList, name: &str, path: &Path) {
    if !name.contains('/') && !STANDARD_FINALIZERS.contains(&name) {
        let rule = "name is neither a standard finalizer name nor is it fully qualified";
        errs.push(Error::invalid(path, name, rule));
    }
}

fn no_new_finalizers(errs: &mut ErrorList, new: &ObjectMeta, old: &ObjectMeta, path: &Path) {
    let known: BTreeSet<_> = list(&old.finalizers).iter().collect();
    let extra: BTreeSet<_> = list(&new.finalizers).iter().filter(|f| !known.contains(f)).collect();
    if !extra.is_empty() {
        let names: Vec<String> = extra.iter().map(|f| format!("{f:?}")).collect();
        errs.push(Error::forbidden(
            path,
            format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                names.join(", ")
            ),
        ));
    }
}

/// A label selector's requirements (`ValidateLabelSelector`); absent is fine.
pub fn label_selector(errs: &mut ErrorList, selector: Option<&LabelSelector>, path: &Path) {
    stored_label_selector(errs, selector, path, false);
}

/// [`label_selector`] that may let values pass which no label can have, because the stored object has
/// such (`AllowInvalidLabelValueInSelector`).
pub fn stored_label_selector(errs: &mut ErrorList, selector: Option<&LabelSelector>, path: &Path, any_values: bool) {
    let Some(selector) = selector else { return };
    labels(errs, selector.match_labels.as_ref(), &path.child("matchLabels"));
    for (index, requirement) in list(&selector.match_expressions).iter().enumerate() {
        let path = path.child("matchExpressions").index(index);
        let values = list(&requirement.values);
        match requirement.operator.as_str() {
            "In" | "NotIn" if values.is_empty() => errs.push(Error::required(
                &path.child("values"),
                "must be specified when `operator` is 'In' or 'NotIn'",
            )),
            "In" | "NotIn" => {}
            "Exists" | "DoesNotExist" if !values.is_empty() => errs.push(Error::forbidden(
                &path.child("values"),
                "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
            )),
            "Exists" | "DoesNotExist" => {}
            other => errs.push(Error::invalid(
                &path.child("operator"),
                other,
                "not a valid selector operator",
            )),
        }
        qualified_name(errs, &path.child("key"), &requirement.key);
        for (index, value) in values.iter().enumerate().filter(|_| !any_values) {
            let path = path.child("values").index(index);
            invalid_each(errs, &path, value, rules::is_valid_label_value(value));
        }
    }
}

/// Whether a label selector selects everything because it says nothing.
pub fn is_empty_selector(selector: &LabelSelector) -> bool {
    selector.match_labels.as_ref().is_none_or(BTreeMap::is_empty) && list(&selector.match_expressions).is_empty()
}

#[cfg(test)]
mod tests;
