//! The definition itself: names, scope, versions, status.

use apimachinery::field::{BadValue, Error, ErrorList, Path};
use apimachinery::validation::{is_dns1035_label, is_dns1123_subdomain};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, CustomResourceDefinitionNames, CustomResourceDefinitionSpec,
    CustomResourceDefinitionStatus,
};

use super::form::Form;
use super::options::Options;
use super::walk::any;
use super::{conversion, version};
use crate::check::{Url, immutable, immutable_named, list, required, shown, text, text_of};
use crate::meta;

/// Who approved an API of a group of the project (`KubeAPIApprovedAnnotation`).
const APPROVED: &str = "api-approved.kubernetes.io";

/// A new definition (`ValidateCustomResourceDefinition`).
pub fn custom_resource_definition_create(obj: &CustomResourceDefinition) -> ErrorList {
    let mut errs = metadata(obj);
    spec(&mut errs, &obj.spec, &Options::create());
    status(&mut errs, obj);
    approval(&mut errs, obj, None);
    preserve_unknown_fields(&mut errs, obj, None);
    errs
}

/// A changed definition (`ValidateCustomResourceDefinitionUpdate`).
pub fn custom_resource_definition_update(new: &CustomResourceDefinition, old: &CustomResourceDefinition) -> ErrorList {
    let mut errs = meta::update_generic(&new.metadata, &old.metadata);
    let options = Options::update(new, old);
    spec(&mut errs, &new.spec, &options);
    let path = Path::new("spec");
    let names = path.child("names");
    if options.immutable_names {
        immutable_named(&mut errs, &path.child("scope"), &new.spec.scope, &old.spec.scope);
        immutable(
            &mut errs,
            &names.child("kind"),
            &new.spec.names.kind,
            &old.spec.names.kind,
        );
    }
    immutable(&mut errs, &path.child("group"), &new.spec.group, &old.spec.group);
    immutable(
        &mut errs,
        &names.child("plural"),
        &new.spec.names.plural,
        &old.spec.names.plural,
    );
    status(&mut errs, new);
    approval(&mut errs, new, Some(old));
    preserve_unknown_fields(&mut errs, new, Some(old));
    errs
}

/// A changed status (`ValidateUpdateCustomResourceDefinitionStatus`).
pub fn custom_resource_definition_status_update(
    new: &CustomResourceDefinition,
    old: &CustomResourceDefinition,
) -> ErrorList {
    let mut errs = meta::update_generic(&new.metadata, &old.metadata);
    accepted_names(&mut errs, new.status.as_ref());
    errs
}

/// The name is that of the resource and its group.
fn metadata(obj: &CustomResourceDefinition) -> ErrorList {
    let wanted = format!("{}.{}", obj.spec.names.plural, obj.spec.group);
    let errs = meta::create_generic(&obj.metadata, false, meta::name_subdomain);
    let count = |field: &str| errs.iter().filter(|e| e.field == field).count();
    let (prefixes, names) = (count("metadata.generateName"), count("metadata.name"));
    let mut out = ErrorList::new();
    let mut errs = errs.into_iter();
    let rule = "must be spec.names.plural+\".\"+spec.group";
    for (field, count, value) in [
        ("generateName", prefixes, text(&obj.metadata.generate_name)),
        ("name", names, text(&obj.metadata.name)),
    ] {
        out.extend(errs.by_ref().take(count));
        if !value.is_empty() && value != wanted {
            out.push(Error::invalid(&Path::new("metadata").child(field), value, rule));
        }
    }
    out.extend(errs);
    out
}

/// `validateCustomResourceDefinitionSpec`.
fn spec(errs: &mut ErrorList, spec: &CustomResourceDefinitionSpec, options: &Options) {
    let path = Path::new("spec");
    let form = Form::of(spec);
    group(errs, &spec.group, &path.child("group"));
    let scope = path.child("scope");
    match spec.scope.as_str() {
        "" => errs.push(Error::required(&scope, "")),
        other => text_of(errs, &scope, other, &["Cluster", "Namespaced"]),
    }
    let preserve = spec.preserve_unknown_fields == Some(true);
    missing_schemas(errs, &form, preserve, options);
    let defaults = any(spec, |s| s.default.is_some());
    if defaults && preserve {
        let rule = "must be false in order to use defaults in the schema";
        errs.push(Error::invalid(&path.child("preserveUnknownFields"), true, rule));
    }
    let extended = any(spec, |s| {
        s.x_kubernetes_embedded_resource == Some(true)
            || s.x_kubernetes_preserve_unknown_fields.is_some()
            || s.x_kubernetes_int_or_string == Some(true)
            || !list(&s.x_kubernetes_list_map_keys).is_empty()
            || s.x_kubernetes_list_type.is_some()
            || !list(&s.x_kubernetes_validations).is_empty()
    });
    let structural = options.structural || !preserve || defaults || extended;
    versions(errs, &form, structural, options);
    let names = path.child("names");
    required(errs, &names.child("plural"), &spec.names.plural);
    required(errs, &names.child("singular"), text(&spec.names.singular));
    required(errs, &names.child("kind"), &spec.names.kind);
    required(errs, &names.child("listKind"), text(&spec.names.list_kind));
    self::names(errs, &spec.names, &names);
    let checks = version::Checks {
        structural,
        has_status: form.has_any_status(),
        options,
    };
    version::schema(errs, form.shared.schema, &checks, &path.child("validation"));
    version::subresources(errs, form.shared.subresources, &path.child("subresources"));
    version::columns(errs, form.shared.columns, &path.child("additionalPrinterColumns"));
    if !form.shared.selectable.is_empty() {
        let at = path.child("selectableFields");
        let Some(schema) = form.shared.schema else {
            let rule = "may only be set when validations.schema is included";
            errs.push(Error::invalid(&at, "", rule));
            return conversion::conversion(errs, spec, options);
        };
        let many = options.many_selectable.iter().any(String::is_empty);
        let broken = path.child("schema.openAPIV3Schema");
        version::selectable_fields(errs, form.shared.selectable, schema, many, &at, &broken);
    }
    conversion::conversion(errs, spec, options);
}

fn group(errs: &mut ErrorList, group: &str, path: &Path) {
    let messages = is_dns1123_subdomain(group);
    if group.is_empty() {
        errs.push(Error::required(path, ""));
    } else if !messages.is_empty() {
        errs.push(Error::invalid(path, group, messages.join(",")));
    } else if !group.contains('.') {
        errs.push(Error::invalid(path, group, "should be a domain with at least one dot"));
    }
}

/// Every version has a schema; an old definition only needs those that prune.
fn missing_schemas(errs: &mut ErrorList, form: &Form<'_>, preserve: bool, options: &Options) {
    let has = |s: Option<
        &k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceValidation,
    >| { s.is_some_and(|s| s.open_api_v3_schema.is_some()) };
    if has(form.shared.schema) || (preserve && !options.schema) {
        return;
    }
    for (index, (version, parts)) in form.spec.versions.iter().zip(&form.versions).enumerate() {
        let path = Path::new("spec").child("versions").index(index);
        let path = path.child("schema").child("openAPIV3Schema");
        if has(parts.schema) {
            continue;
        }
        if options.schema {
            errs.push(Error::required(&path, ""));
        } else if version.served {
            errs.push(Error::required(&path, "because otherwise all fields are pruned"));
        }
    }
}

/// The versions and what each has for itself.
fn versions(errs: &mut ErrorList, form: &Form<'_>, structural: bool, options: &Options) {
    let path = Path::new("spec");
    let at = path.child("versions");
    let all = &form.spec.versions;
    let mut unique = true;
    for (index, (version, parts)) in all.iter().zip(&form.versions).enumerate() {
        unique &= !all[..index].iter().any(|v| v.name == version.name);
        let at = at.index(index);
        let messages = is_dns1035_label(&version.name);
        if !messages.is_empty() {
            errs.push(Error::invalid(&at.child("name"), &version.name, messages.join(",")));
        }
        let checks = version::Checks {
            structural,
            has_status: form.has_status(index),
            options,
        };
        version::version(errs, version, parts, &checks, &at);
    }
    let value = || if all.is_empty() { BadValue::Null } else { shown(all) };
    if !unique {
        errs.push(Error::invalid(&at, value(), "must contain unique version names"));
    }
    if all.iter().filter(|v| v.storage).count() != 1 {
        let rule = "must have exactly one version marked as storage version";
        errs.push(Error::invalid(&at, value(), rule));
    }
    // The first version's name stands in `spec.version` too.
    if let Some(first) = all.first().filter(|v| !v.name.is_empty()) {
        let messages = is_dns1035_label(&first.name);
        if !messages.is_empty() {
            errs.push(Error::invalid(&path.child("version"), &first.name, messages.join(",")));
        }
    }
}

/// `ValidateCustomResourceDefinitionNames`.
fn names(errs: &mut ErrorList, names: &CustomResourceDefinitionNames, path: &Path) {
    let label = |errs: &mut ErrorList, path: &Path, name: &str| {
        let messages = is_dns1035_label(name);
        if !messages.is_empty() {
            errs.push(Error::invalid(path, name, messages.join(",")));
        }
    };
    for (field, name) in [("plural", names.plural.as_str()), ("singular", text(&names.singular))] {
        if !name.is_empty() {
            label(errs, &path.child(field), name);
        }
    }
    for (field, name) in [("kind", names.kind.as_str()), ("listKind", text(&names.list_kind))] {
        let messages = is_dns1035_label(&name.to_lowercase());
        if !name.is_empty() && !messages.is_empty() {
            let rule = format!(
                "may have mixed case, but should otherwise match: {}",
                messages.join(",")
            );
            errs.push(Error::invalid(&path.child(field), name, rule));
        }
    }
    for (index, name) in list(&names.short_names).iter().enumerate() {
        label(errs, &path.child("shortNames").index(index), name);
    }
    if !names.kind.is_empty() && names.kind == text(&names.list_kind) {
        let rule = "kind and listKind may not be the same";
        errs.push(Error::invalid(&path.child("listKind"), &names.kind, rule));
    }
    for (index, name) in list(&names.categories).iter().enumerate() {
        label(errs, &path.child("categories").index(index), name);
    }
}

fn accepted_names(errs: &mut ErrorList, status: Option<&CustomResourceDefinitionStatus>) {
    if let Some(accepted) = status.and_then(|s| s.accepted_names.as_ref()) {
        names(errs, accepted, &Path::new("status").child("acceptedNames"));
    }
}

/// Accepted names and stored versions (`ValidateCustomResourceDefinitionStoredVersions`).
fn status(errs: &mut ErrorList, obj: &CustomResourceDefinition) {
    accepted_names(errs, obj.status.as_ref());
    let path = Path::new("status").child("storedVersions");
    let all = obj.status.as_ref().and_then(|s| s.stored_versions.as_ref());
    let stored = all.map(Vec::as_slice).unwrap_or_default();
    if stored.is_empty() {
        errs.push(Error::invalid(
            &path,
            shown(&all),
            "must have at least one stored version",
        ));
        return;
    }
    for version in obj.spec.versions.iter().filter(|v| v.storage) {
        if !stored.contains(&version.name) {
            let rule = format!("must have the storage version {}", version.name);
            errs.push(Error::invalid(&path, shown(&all), rule));
        }
    }
    for (index, name) in stored.iter().enumerate() {
        if !obj.spec.versions.iter().any(|v| v.name == *name) {
            let rule = format!(
                "missing from spec.versions; {name} was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in {name} and removes {name} from status.storedVersions"
            );
            errs.push(Error::invalid(&path.index(index), name, rule));
        }
    }
}

/// How far an API of a protected group is approved (`GetAPIApprovalState`).
#[derive(PartialEq)]
enum Approval {
    Missing,
    Bypassed,
    Approved,
    Invalid,
}

impl Approval {
    fn of(annotation: &str) -> Self {
        if annotation.is_empty() {
            return Approval::Missing;
        }
        if annotation.starts_with("unapproved") {
            return Approval::Bypassed;
        }
        match Url::parse(annotation) {
            Ok(url) if !url.scheme.is_empty() && !url.host.is_empty() => Approval::Approved,
            _ => Approval::Invalid,
        }
    }
}

/// `validateAPIApproval`: groups of the project need an approval, unless nothing changes about it.
fn approval(errs: &mut ErrorList, new: &CustomResourceDefinition, old: Option<&CustomResourceDefinition>) {
    let group = new.spec.group.as_str();
    let protected = ["k8s.io", "kubernetes.io"].iter().any(|domain| {
        group
            .strip_suffix(domain)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    });
    if !protected {
        return;
    }
    let annotation = |obj: &CustomResourceDefinition| {
        let all = obj.metadata.annotations.as_ref();
        all.and_then(|a| a.get(APPROVED)).cloned().unwrap_or_default()
    };
    let value = annotation(new);
    let state = Approval::of(&value);
    if old.is_some_and(|old| Approval::of(&annotation(old)) == state) {
        return;
    }
    let path = Path::new("metadata").child("annotations").key(APPROVED);
    let see = "see https://github.com/kubernetes/enhancements/pull/1111";
    match state {
        Approval::Missing => {
            let rule = format!("protected groups must have approval annotation {APPROVED:?}, {see}");
            errs.push(Error::required(&path, rule));
        }
        Approval::Invalid => {
            let rule = format!(
                "protected groups must have approval annotation {APPROVED:?} with either a URL or a reason starting with \"unapproved\", {see}"
            );
            errs.push(Error::invalid(&path, value, rule));
        }
        Approval::Approved | Approval::Bypassed => {}
    }
}

/// `validatePreserveUnknownFields`.
fn preserve_unknown_fields(
    errs: &mut ErrorList,
    new: &CustomResourceDefinition,
    old: Option<&CustomResourceDefinition>,
) {
    let preserves = |obj: &CustomResourceDefinition| obj.spec.preserve_unknown_fields == Some(true);
    if preserves(new) && !old.is_some_and(preserves) {
        let rule =
            "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead";
        errs.push(Error::invalid(
            &Path::new("spec").child("preserveUnknownFields"),
            true,
            rule,
        ));
    }
}
