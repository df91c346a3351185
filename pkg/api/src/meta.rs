//! What all kinds share: object metadata, names, labels, selectors
//! (apimachinery `pkg/api/validation/objectmeta.go`, `pkg/apis/meta/v1/validation/validation.go`).

use std::collections::{BTreeMap, BTreeSet};

use apimachinery::field::{BadValue, Error, ErrorList, Path};
use apimachinery::validation as rules;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{
    LabelSelector, ManagedFieldsEntry, ObjectMeta, OwnerReference, Time,
};

use crate::check::{IMMUTABLE, invalid_each, list, non_negative, qualified_name, text, to_value};
use crate::internal::shown;

/// Checks a name; the flag says that it is a prefix to which a suffix will be added. Returns what is wrong with it.
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

/// A path segment, a prefix too: RBAC kinds (`path.IsValidPathSegmentName`).
pub fn name_path_segment(name: &str, _prefix: bool) -> Vec<String> {
    rules::is_path_segment_name(name)
}

/// A path segment or what may begin one: the rule of every kind (`rest.validatePathSegment`).
fn path_segment(name: &str, prefix: bool) -> Vec<String> {
    if prefix && matches!(name, "." | "..") {
        return vec![];
    }
    rules::is_path_segment_name(name)
}

/// A DNS-1123 subdomain whose length is counted in bytes (`validate.LongName`).
pub fn name_long(name: &str, _prefix: bool) -> Vec<String> {
    const MAX: usize = 253;
    let mut errors = rules::is_dns1123_subdomain(name);
    if let Some(first) = errors.first_mut().filter(|_| name.len() > MAX) {
        *first = rules::max_len_error(MAX);
    }
    errors
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

/// Metadata of a new object, with the finalizers that Kubernetes itself knows (core's `ValidateObjectMeta`).
pub fn create(meta: &ObjectMeta, namespaced: bool, rule: NameRule) -> ErrorList {
    let mut errs = create_generic(meta, namespaced, rule);
    kube_finalizers(&mut errs, meta);
    errs
}

/// [`create`] that leaves the prefix of a generated name to what is generated (core's `ValidateObjectMetaWithOpts`).
pub fn create_named(meta: &ObjectMeta, namespaced: bool, rule: NameRule) -> ErrorList {
    let mut errs = ErrorList::new();
    name(&mut errs, meta, rule);
    shared(&mut errs, meta, namespaced);
    kube_finalizers(&mut errs, meta);
    errs
}

/// Metadata of a new object (apimachinery's `ValidateObjectMeta`).
pub fn create_generic(meta: &ObjectMeta, namespaced: bool, rule: impl Fn(&str, bool) -> Vec<String>) -> ErrorList {
    let mut errs = ErrorList::new();
    let prefix = text(&meta.generate_name);
    if !prefix.is_empty() {
        let path = Path::new("metadata").child("generateName");
        invalid_each(&mut errs, &path, prefix, rule(prefix, true));
    }
    name(&mut errs, meta, &rule);
    shared(&mut errs, meta, namespaced);
    errs
}

/// What every new object's metadata must be, whatever its kind; asked when the kind's own rules found nothing
/// (`rest.BeforeCreate`).
pub fn created(meta: &ObjectMeta, namespaced: bool) -> ErrorList {
    create_generic(meta, namespaced, path_segment)
}

/// What every changed object's metadata must be, before the kind's own rules (`rest.BeforeUpdate`,
/// `validateCommonFields`).
pub fn changed(new: &ObjectMeta, old: &ObjectMeta, namespaced: bool) -> ErrorList {
    let mut errs = create_generic(new, namespaced, path_segment);
    errs.extend(update_generic(new, old));
    errs
}

fn name(errs: &mut ErrorList, meta: &ObjectMeta, rule: impl Fn(&str, bool) -> Vec<String>) {
    let path = Path::new("metadata").child("name");
    match text(&meta.name) {
        "" => errs.push(Error::required(&path, "name or generateName is required")),
        name => invalid_each(errs, &path, name, rule(name, false)),
    }
}

/// `validateObjectMetaAccessorWithOptsCommon`.
fn shared(errs: &mut ErrorList, meta: &ObjectMeta, namespaced: bool) {
    let path = Path::new("metadata");
    let namespace = text(&meta.namespace);
    let namespace_path = path.child("namespace");
    match (namespaced, namespace.is_empty()) {
        (true, true) => errs.push(Error::required(&namespace_path, "")),
        (true, false) => invalid_each(errs, &namespace_path, namespace, name_label(namespace, false)),
        (false, false) => errs.push(Error::forbidden(&namespace_path, "not allowed on this type")),
        (false, true) => {}
    }
    non_negative(errs, &path.child("generation"), meta.generation);
    labels_and_owners(errs, meta, &path);
    finalizers(errs, list(&meta.finalizers), &path.child("finalizers"));
    managed_fields(errs, list(&meta.managed_fields), &path.child("managedFields"));
}

fn labels_and_owners(errs: &mut ErrorList, meta: &ObjectMeta, path: &Path) {
    labels(errs, meta.labels.as_ref(), &path.child("labels"));
    annotations(errs, meta.annotations.as_ref(), &path.child("annotations"));
    owner_references(errs, list(&meta.owner_references), &path.child("ownerReferences"));
}

/// Metadata of a changed object against the stored one, with the finalizers that Kubernetes itself knows (core's
/// `ValidateObjectMetaUpdate`).
pub fn update(new: &ObjectMeta, old: &ObjectMeta) -> ErrorList {
    let mut errs = update_generic(new, old);
    kube_finalizers(&mut errs, new);
    errs
}

/// Metadata of a changed object against the stored one (apimachinery's `ValidateObjectMetaUpdate`).
pub fn update_generic(new: &ObjectMeta, old: &ObjectMeta) -> ErrorList {
    let path = Path::new("metadata");
    let mut errs = ErrorList::new();
    if old.deletion_timestamp.is_some() {
        no_new_finalizers(&mut errs, new, old, &path.child("finalizers"));
    }
    if text(&new.resource_version).is_empty() {
        let rule = "must be specified for an update";
        errs.push(Error::invalid(&path.child("resourceVersion"), "", rule));
    }
    let generation = new.generation.unwrap_or(0);
    if generation < old.generation.unwrap_or(0) {
        let rule = "must not be decremented";
        errs.push(Error::invalid(&path.child("generation"), generation, rule));
    }
    for (field, new, old) in [
        ("name", &new.name, &old.name),
        ("namespace", &new.namespace, &old.namespace),
    ] {
        if text(new) != text(old) {
            errs.push(Error::invalid(&path.child(field), text(new), IMMUTABLE));
        }
    }
    if text(&new.uid) != text(&old.uid) {
        errs.push(Error::invalid(
            &path.child("uid"),
            BadValue::named(text(&new.uid)),
            IMMUTABLE,
        ));
    }
    let second = |time: &Option<Time>| time.as_ref().map(|t| t.0.as_second());
    for (field, new, old) in [
        ("creationTimestamp", &new.creation_timestamp, &old.creation_timestamp),
        ("deletionTimestamp", &new.deletion_timestamp, &old.deletion_timestamp),
    ] {
        if second(new) != second(old) {
            errs.push(Error::invalid(&path.child(field), &to_value(new), IMMUTABLE));
        }
    }
    if new.deletion_grace_period_seconds != old.deletion_grace_period_seconds {
        let (path, seconds) = (
            path.child("deletionGracePeriodSeconds"),
            new.deletion_grace_period_seconds,
        );
        errs.push(Error::invalid(&path, seconds, IMMUTABLE));
    }
    labels_and_owners(&mut errs, new, &path);
    managed_fields(&mut errs, list(&new.managed_fields), &path.child("managedFields"));
    errs
}

/// Metadata inside a template: labels and annotations, nothing else (`ValidateTemplateObjectMeta`).
pub(crate) fn of_template(errs: &mut ErrorList, metadata: &ObjectMeta, path: &Path) {
    annotations(errs, metadata.annotations.as_ref(), &path.child("annotations"));
    labels(errs, metadata.labels.as_ref(), &path.child("labels"));
    let given = to_value(metadata);
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
    let mut controller: Option<String> = None;
    for reference in references {
        let version = &reference.api_version;
        let (group, short) = version.split_once('/').unwrap_or(("", version));
        if short.is_empty() || short.contains('/') {
            let rule = "version must not be empty";
            errs.push(Error::invalid(&path.child("apiVersion"), version, rule));
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
        if (group, short, reference.kind.as_str()) == ("", "v1", "Event") {
            let rule = "/v1, Kind=Event is disallowed from being an owner";
            errs.push(Error::invalid(path, shown("meta.OwnerReference", reference), rule));
        }
        if reference.controller != Some(true) {
            continue;
        }
        let name = format!("{}/{}", reference.kind, reference.name);
        match &controller {
            None => controller = Some(name),
            Some(first) => {
                let rule = format!(
                    "Only one reference can have Controller set to true. Found \"true\" in references for {first} and {name}"
                );
                errs.push(Error::invalid(path, shown("[]meta.OwnerReference", &references), rule));
            }
        }
    }
}

/// Longest name of a field manager, in bytes (`FieldManagerMaxLength`).
const FIELD_MANAGER_MAX: usize = 128;
/// Longest name of a subresource in an entry of `managedFields`, in bytes (`MaxSubresourceNameLength`).
const SUBRESOURCE_MAX: usize = 256;

/// Entries of `managedFields` (`ValidateManagedFields`).
fn managed_fields(errs: &mut ErrorList, entries: &[ManagedFieldsEntry], path: &Path) {
    for (index, entry) in entries.iter().enumerate() {
        let path = path.index(index);
        let operation = text(&entry.operation);
        if !matches!(operation, "Apply" | "Update") {
            let rule = "must be `Apply` or `Update`";
            errs.push(Error::invalid(
                &path.child("operation"),
                BadValue::named(operation),
                rule,
            ));
        }
        let form = text(&entry.fields_type);
        if !matches!(form, "" | "FieldsV1") {
            errs.push(Error::invalid(&path.child("fieldsType"), form, "must be `FieldsV1`"));
        }
        field_manager(errs, text(&entry.manager), &path.child("manager"));
        if text(&entry.subresource).len() > SUBRESOURCE_MAX {
            errs.push(Error::too_long(&path.child("subresource"), SUBRESOURCE_MAX));
        }
    }
}

/// The name of a field manager is short and can be printed (`ValidateFieldManager`).
pub fn field_manager(errs: &mut ErrorList, name: &str, path: &Path) {
    if name.len() > FIELD_MANAGER_MAX {
        errs.push(Error::too_long(path, FIELD_MANAGER_MAX));
    }
    for (at, c) in name.char_indices().filter(|(_, c)| c.is_control()) {
        let rule = format!("invalid character U+{:04X} (at position {at})", u32::from(c));
        errs.push(Error::invalid(path, name, rule));
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
        errs.push(Error::invalid(path, &to_value(&finalizers), rule));
    }
}

fn kube_finalizers(errs: &mut ErrorList, meta: &ObjectMeta) {
    let path = Path::new("metadata").child("finalizers");
    for (index, name) in list(&meta.finalizers).iter().enumerate() {
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
                BadValue::named(other),
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
