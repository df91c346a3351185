//! Admission policies.

use apimachinery::field::{Error, ErrorList, Path};
use apimachinery::validation::{is_dns1035_label, is_dns1123_subdomain};
use k8s_openapi::api::admissionregistration::v1::{
    AuditAnnotation, MatchResources, MutatingAdmissionPolicy, MutatingAdmissionPolicySpec, Mutation, ParamKind,
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicySpec, Validation, Variable,
};

use super::conditions::match_conditions;
use super::rules::{FAILURE_POLICIES, REINVOCATION_POLICIES, match_resources, mutating_operations};
use crate::check::{conditions, equal, list, one_of, qualified_name, required, required_one_of, shown, text};
use crate::meta;

/// Most audit annotations (`maxAuditAnnotations`).
const ANNOTATIONS_MAX: usize = 20;
/// Longest expression of an audit annotation, in bytes (`maxAuditAnnotationValueExpressionLength`).
const ANNOTATION_MAX: usize = 5 * 1024;
/// `supportedValidationPolicyReason`, sorted.
const REASONS: [&str; 3] = ["Forbidden", "Invalid", "RequestEntityTooLarge"];
/// Words a variable cannot have as its name (`celReserved`).
const RESERVED: [&str; 21] = [
    "true",
    "false",
    "null",
    "in",
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];

/// A new policy (`ValidateValidatingAdmissionPolicy`).
pub fn validating_admission_policy_create(obj: &ValidatingAdmissionPolicy) -> ErrorList {
    let mut errs = meta::create_generic(&obj.metadata, false, meta::name_subdomain);
    validating(&mut errs, obj, true);
    errs
}

/// A changed policy (`ValidateValidatingAdmissionPolicyUpdate`); unchanged match conditions are not
/// looked at again.
pub fn validating_admission_policy_update(
    new: &ValidatingAdmissionPolicy,
    old: &ValidatingAdmissionPolicy,
) -> ErrorList {
    let mut errs = meta::create_generic(&new.metadata, false, meta::name_subdomain);
    let parts = |obj: &ValidatingAdmissionPolicy| {
        let spec = obj.spec.clone().unwrap_or_default();
        (spec.param_kind, spec.match_conditions)
    };
    validating(&mut errs, new, !equal(&parts(new), &parts(old)));
    errs
}

/// A changed status (`ValidateValidatingAdmissionPolicyStatusUpdate`).
pub fn validating_admission_policy_status_update(
    new: &ValidatingAdmissionPolicy,
    _old: &ValidatingAdmissionPolicy,
) -> ErrorList {
    let mut errs = ErrorList::new();
    let Some(status) = &new.status else { return errs };
    let path = Path::new("status");
    let warnings = status
        .type_checking
        .as_ref()
        .and_then(|t| t.expression_warnings.as_ref());
    for (index, warning) in warnings.into_iter().flatten().enumerate() {
        let path = path.child("typeChecking").child("expressionWarnings").index(index);
        required(&mut errs, &path.child("warning"), &warning.warning);
        required(&mut errs, &path.child("fieldRef"), warning.field_ref.trim());
    }
    conditions(&mut errs, list(&status.conditions), &path.child("conditions"));
    errs
}

/// A new policy (`ValidateMutatingAdmissionPolicy`).
pub fn mutating_admission_policy_create(obj: &MutatingAdmissionPolicy) -> ErrorList {
    let mut errs = meta::create_generic(&obj.metadata, false, meta::name_subdomain);
    mutating(&mut errs, obj, true);
    errs
}

/// A changed policy (`ValidateMutatingAdmissionPolicyUpdate`).
pub fn mutating_admission_policy_update(new: &MutatingAdmissionPolicy, old: &MutatingAdmissionPolicy) -> ErrorList {
    let mut errs = meta::create_generic(&new.metadata, false, meta::name_subdomain);
    let parts = |obj: &MutatingAdmissionPolicy| {
        let spec = obj.spec.clone().unwrap_or_default();
        (spec.param_kind, spec.match_conditions)
    };
    mutating(&mut errs, new, !equal(&parts(new), &parts(old)));
    errs
}

/// `validateValidatingAdmissionPolicySpec`.
fn validating(errs: &mut ErrorList, obj: &ValidatingAdmissionPolicy, check_conditions: bool) {
    let (empty, path) = (ValidatingAdmissionPolicySpec::default(), Path::new("spec"));
    let spec = obj.spec.as_ref().unwrap_or(&empty);
    failure_policy(errs, spec.failure_policy.as_ref(), &path);
    kind_and_resources(errs, spec.param_kind.as_ref(), spec.match_constraints.as_ref(), &path);
    if check_conditions {
        let path = path.child("matchConditions");
        match_conditions(errs, list(&spec.match_conditions), &path);
    }
    variables(errs, list(&spec.variables), &path.child("variables"));
    let (validations, annotations) = (list(&spec.validations), list(&spec.audit_annotations));
    let (validations_path, annotations_path) = (path.child("validations"), path.child("auditAnnotations"));
    if validations.is_empty() && annotations.is_empty() {
        let rule = "validations or auditAnnotations must contain at least one item";
        errs.push(Error::required(&validations_path, rule));
        errs.push(Error::required(&annotations_path, rule));
        return;
    }
    for (index, one) in validations.iter().enumerate() {
        validation(errs, one, &validations_path.index(index));
    }
    if annotations.len() > ANNOTATIONS_MAX {
        let rule = format!("must not have more than {ANNOTATIONS_MAX} auditAnnotations");
        errs.push(Error::invalid(&annotations_path, shown(&annotations), rule));
    }
    let name = text(&obj.metadata.name);
    for (index, annotation) in annotations.iter().enumerate() {
        let path = annotations_path.index(index);
        audit_annotation(errs, annotation, name, &path);
        if annotations[..index].iter().any(|a| a.key == annotation.key) {
            errs.push(Error::duplicate(&path.child("key"), &annotation.key));
        }
    }
}

/// `validateMutatingAdmissionPolicySpec`.
fn mutating(errs: &mut ErrorList, obj: &MutatingAdmissionPolicy, check_conditions: bool) {
    let (empty, path) = (MutatingAdmissionPolicySpec::default(), Path::new("spec"));
    let spec = obj.spec.as_ref().unwrap_or(&empty);
    failure_policy(errs, spec.failure_policy.as_ref(), &path);
    kind_and_resources(errs, spec.param_kind.as_ref(), spec.match_constraints.as_ref(), &path);
    if let Some(resources) = &spec.match_constraints {
        mutating_operations(errs, resources, &path.child("matchConstraints"));
    }
    if check_conditions {
        let path = path.child("matchConditions");
        match_conditions(errs, list(&spec.match_conditions), &path);
    }
    variables(errs, list(&spec.variables), &path.child("variables"));
    let mutations = list(&spec.mutations);
    let at = path.child("mutations");
    if mutations.is_empty() {
        errs.push(Error::required(&at, "mutations must contain at least one item"));
    }
    for (index, one) in mutations.iter().enumerate() {
        mutation(errs, one, &at.index(index));
    }
    let policy = text(&spec.reinvocation_policy);
    required_one_of(errs, &path.child("reinvocationPolicy"), policy, &REINVOCATION_POLICIES);
}

fn failure_policy(errs: &mut ErrorList, policy: Option<&String>, path: &Path) {
    let path = path.child("failurePolicy");
    match policy {
        None => errs.push(Error::required(&path, "")),
        Some(policy) => one_of(errs, &path, policy, &FAILURE_POLICIES),
    }
}

/// The kind of the parameters and what the policy is about.
fn kind_and_resources(errs: &mut ErrorList, kind: Option<&ParamKind>, resources: Option<&MatchResources>, path: &Path) {
    if let Some(kind) = kind {
        param_kind(errs, kind, &path.child("paramKind"));
    }
    let path = path.child("matchConstraints");
    let Some(resources) = resources else {
        errs.push(Error::required(&path, ""));
        return;
    };
    match_resources(errs, resources, &path);
    if list(&resources.resource_rules).is_empty() {
        errs.push(Error::required(&path.child("resourceRules"), ""));
    }
}

/// `validateParamKind`.
fn param_kind(errs: &mut ErrorList, param: &ParamKind, path: &Path) {
    let at = path.child("apiVersion");
    let api_version = text(&param.api_version);
    match api_version.split('/').collect::<Vec<_>>()[..] {
        [""] => errs.push(Error::required(&at, "")),
        [version] => group_version(errs, api_version, "", version, &at),
        [group, version] => group_version(errs, api_version, group, version, &at),
        _ => {
            let rule = format!("unexpected GroupVersion string: {api_version}");
            errs.push(Error::invalid(&at, api_version, rule));
        }
    }
    let kind = text(&param.kind);
    let messages = is_dns1035_label(&kind.to_lowercase());
    if kind.is_empty() {
        errs.push(Error::required(&path.child("kind"), ""));
    } else if !messages.is_empty() {
        let rule = format!(
            "may have mixed case, but should otherwise match: {}",
            messages.join(",")
        );
        errs.push(Error::invalid(&path.child("kind"), kind, rule));
    }
}

fn group_version(errs: &mut ErrorList, api_version: &str, group: &str, version: &str, path: &Path) {
    let messages = is_dns1123_subdomain(group);
    if !group.is_empty() && !messages.is_empty() {
        errs.push(Error::invalid(path, group, messages.join(",")));
    }
    let messages = is_dns1035_label(version);
    if version.is_empty() {
        errs.push(Error::invalid(path, api_version, "version must be specified"));
    } else if !messages.is_empty() {
        errs.push(Error::invalid(path, version, messages.join(",")));
    }
}

/// `validateVariable`, apart from the expression.
fn variables(errs: &mut ErrorList, variables: &[Variable], path: &Path) {
    for (index, variable) in variables.iter().enumerate() {
        let path = path.index(index);
        let name = variable.name.as_str();
        if name.trim().is_empty() {
            errs.push(Error::required(&path.child("name"), "name is not specified"));
        } else if !is_identifier(name) {
            errs.push(Error::invalid(
                &path.child("name"),
                name,
                "must be a valid CEL identifier",
            ));
        }
        if variable.expression.trim().is_empty() {
            errs.push(Error::required(
                &path.child("expression"),
                "expression is not specified",
            ));
        }
    }
}

/// `isCELIdentifier`.
fn is_identifier(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !RESERVED.contains(&name)
}

/// `validateValidation`, apart from the expressions.
fn validation(errs: &mut ErrorList, one: &Validation, path: &Path) {
    if one.expression.trim().is_empty() {
        errs.push(Error::required(
            &path.child("expression"),
            "expression is not specified",
        ));
    }
    let blank = |text: &str| !text.is_empty() && text.trim().is_empty();
    let expression = text(&one.message_expression);
    if blank(expression) {
        let path = path.child("messageExpression");
        errs.push(Error::invalid(&path, expression, "must be non-empty if specified"));
    }
    let message = text(&one.message);
    let at = path.child("message");
    if blank(message) {
        errs.push(Error::invalid(&at, message, "must be non-empty if specified"));
    } else if message.trim().contains(['\n', '\r']) {
        errs.push(Error::invalid(&at, message, "must not contain line breaks"));
    }
    if let Some(reason) = &one.reason {
        one_of(errs, &path.child("reason"), reason, &REASONS);
    }
}

/// `validateAuditAnnotation`, apart from the expression.
fn audit_annotation(errs: &mut ErrorList, annotation: &AuditAnnotation, policy: &str, path: &Path) {
    let key = path.child("key");
    if policy.is_empty() {
        errs.push(Error::invalid(
            &key,
            &annotation.key,
            "requires metadata.name be non-empty",
        ));
    } else {
        qualified_name(errs, &key, &format!("{policy}/{}", annotation.key));
    }
    let path = path.child("valueExpression");
    let expression = annotation.value_expression.trim();
    if expression.is_empty() {
        errs.push(Error::required(&path, "valueExpression is not specified"));
    } else if expression.len() > ANNOTATION_MAX {
        errs.push(Error::required(
            &path,
            format!("must not exceed {ANNOTATION_MAX} bytes in length"),
        ));
    }
}

/// `validateMutation`, apart from the expressions.
fn mutation(errs: &mut ErrorList, one: &Mutation, path: &Path) {
    let (apply, patch) = (one.apply_configuration.as_ref(), one.json_patch.as_ref());
    let apply = apply.map(|a| text(&a.expression));
    let patch = patch.map(|p| text(&p.expression));
    let type_ = one.patch_type.as_str();
    let (wanted, other) = match type_ {
        "JSONPatch" => (("jsonPatch", patch), ("applyConfiguration", apply)),
        "ApplyConfiguration" => (("applyConfiguration", apply), ("jsonPatch", patch)),
        _ => {
            let known = ["ApplyConfiguration", "JSONPatch"];
            return required_one_of(errs, &path.child("patchType"), type_, &known);
        }
    };
    let at = path.child(wanted.0);
    match wanted.1 {
        None => errs.push(Error::required(
            &at,
            format!("must be specified when patchType is {type_}"),
        )),
        Some(expression) => required(errs, &at.child("expression"), expression.trim()),
    }
    if other.1.is_some() {
        let rule = format!("must not be specified when patchType is {type_}");
        errs.push(Error::invalid(&path.child(other.0), format!("{{{}}}", other.0), rule));
    }
}
