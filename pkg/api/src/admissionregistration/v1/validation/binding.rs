//! Bindings of policies: what they apply to, with which parameters.

use apimachinery::field::{Error, ErrorList, Path};
use apimachinery::validation::is_path_segment_name;
use k8s_openapi::api::admissionregistration::v1::{
    MatchResources, MutatingAdmissionPolicyBinding, MutatingAdmissionPolicyBindingSpec, ParamRef,
    ValidatingAdmissionPolicyBinding,
};

use super::rules::{match_resources, mutating_operations};
use crate::check::{dns_subdomain, invalid_each, one_of, required_one_of, shown, text};
use crate::meta;

/// A new binding (`ValidateValidatingAdmissionPolicyBinding`).
pub fn validating_admission_policy_binding_create(obj: &ValidatingAdmissionPolicyBinding) -> ErrorList {
    let mut errs = meta::create_generic(&obj.metadata, false, meta::name_subdomain);
    validating(&mut errs, obj);
    errs
}

/// A changed binding (`ValidateValidatingAdmissionPolicyBindingUpdate`).
pub fn validating_admission_policy_binding_update(
    new: &ValidatingAdmissionPolicyBinding,
    _old: &ValidatingAdmissionPolicyBinding,
) -> ErrorList {
    let mut errs = meta::create_generic(&new.metadata, false, meta::name_subdomain);
    validating(&mut errs, new);
    errs
}

/// A new binding (`ValidateMutatingAdmissionPolicyBinding`).
pub fn mutating_admission_policy_binding_create(obj: &MutatingAdmissionPolicyBinding) -> ErrorList {
    let mut errs = meta::create_generic(&obj.metadata, false, meta::name_subdomain);
    mutating(&mut errs, obj);
    errs
}

/// A changed binding (`ValidateMutatingAdmissionPolicyBindingUpdate`).
pub fn mutating_admission_policy_binding_update(
    new: &MutatingAdmissionPolicyBinding,
    _old: &MutatingAdmissionPolicyBinding,
) -> ErrorList {
    let mut errs = meta::create_generic(&new.metadata, false, meta::name_subdomain);
    mutating(&mut errs, new);
    errs
}

fn validating(errs: &mut ErrorList, obj: &ValidatingAdmissionPolicyBinding) {
    let (spec, path) = (&obj.spec, Path::new("spec"));
    let resources = spec.match_resources.as_ref();
    shared(errs, &spec.policy_name, spec.param_ref.as_ref(), resources, &path);
    let actions = &spec.validation_actions;
    let path = path.child("validationActions");
    for (index, action) in actions.iter().enumerate() {
        let path = path.index(index);
        one_of(errs, &path, action, &["Audit", "Deny", "Warn"]);
        if actions[..index].contains(action) {
            errs.push(Error::duplicate(&path, action));
        }
    }
    let has = |wanted: &str| actions.iter().any(|a| a == wanted);
    if has("Deny") && has("Warn") {
        let rule = "must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)";
        errs.push(Error::invalid(&path, shown(actions), rule));
    }
    if actions.is_empty() {
        errs.push(Error::required(&path, "at least one validation action is required"));
    }
}

fn mutating(errs: &mut ErrorList, obj: &MutatingAdmissionPolicyBinding) {
    let (empty, path) = (MutatingAdmissionPolicyBindingSpec::default(), Path::new("spec"));
    let spec = obj.spec.as_ref().unwrap_or(&empty);
    let resources = spec.match_resources.as_ref();
    shared(errs, text(&spec.policy_name), spec.param_ref.as_ref(), resources, &path);
    if let Some(resources) = resources {
        mutating_operations(errs, resources, &path.child("matchResources"));
    }
}

/// The policy, its parameters, and what it applies to.
fn shared(
    errs: &mut ErrorList,
    policy: &str,
    params: Option<&ParamRef>,
    resources: Option<&MatchResources>,
    path: &Path,
) {
    let name = path.child("policyName");
    if policy.is_empty() {
        errs.push(Error::required(&name, ""));
    } else {
        dns_subdomain(errs, &name, policy);
    }
    if let Some(params) = params {
        param_ref(errs, params, &path.child("paramRef"));
    }
    if let Some(resources) = resources {
        match_resources(errs, resources, &path.child("matchResources"));
    }
}

/// `validateParamRef`.
fn param_ref(errs: &mut ErrorList, params: &ParamRef, path: &Path) {
    const RULE: &str = "name and selector are mutually exclusive";
    let name = text(&params.name);
    let selector = params.selector.as_ref();
    if !name.is_empty() {
        invalid_each(errs, &path.child("name"), name, is_path_segment_name(name));
        if selector.is_some() {
            errs.push(Error::forbidden(&path.child("name"), RULE));
        }
    }
    if selector.is_some() {
        meta::label_selector(errs, selector, &path.child("selector"));
        if !name.is_empty() {
            errs.push(Error::forbidden(&path.child("selector"), RULE));
        }
    } else if name.is_empty() {
        errs.push(Error::required(path, "one of name or selector must be specified"));
    }
    let action = text(&params.parameter_not_found_action);
    required_one_of(errs, &path.child("parameterNotFoundAction"), action, &["Deny", "Allow"]);
}
