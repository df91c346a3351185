//! Validation of authorization.k8s.io/v1 (pkg/apis/authorization/validation/validation.go).

use apimachinery::field::{BadValue, Error, ErrorList, Path};
use apimachinery::validation::is_valid_label_value;
use k8s_openapi::api::authorization::v1::{NonResourceAttributes, ResourceAttributes, SubjectAccessReviewSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::check::{equal, invalid_each, list, qualified_name, shown, text};

/// Which kind of access review is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Review {
    /// `SubjectAccessReview`.
    Subject,
    /// `SelfSubjectAccessReview`: its spec names nobody.
    Own,
    /// `LocalSubjectAccessReview`: about one namespace.
    Local,
}

/// What is wrong with a review (`ValidateSubjectAccessReview`, `ValidateSelfSubjectAccessReview`,
/// `ValidateLocalSubjectAccessReview`).
pub fn access_review(metadata: &ObjectMeta, spec: &SubjectAccessReviewSpec, review: Review) -> ErrorList {
    let mut errs = ErrorList::new();
    let path = Path::new("spec");
    let (resource, url) = (spec.resource_attributes.as_ref(), spec.non_resource_attributes.as_ref());
    match (resource, url) {
        (Some(_), Some(url)) => {
            let rule = "cannot be specified in combination with resourceAttributes";
            errs.push(Error::invalid(
                &path.child("nonResourceAttributes"),
                url_value(url),
                rule,
            ));
        }
        (None, None) => {
            let rule = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
            errs.push(Error::invalid(&path.child("resourceAttributes"), BadValue::Null, rule));
        }
        _ => {}
    }
    if review != Review::Own && text(&spec.user).is_empty() && list(&spec.groups).is_empty() {
        let rule = "at least one of user or group must be specified";
        errs.push(Error::invalid(&path.child("user"), "", rule));
    }
    if let Some(attributes) = resource {
        selectors(&mut errs, attributes, &path.child("resourceAttributes"));
    }
    let mut rest = ObjectMeta {
        managed_fields: None,
        ..metadata.clone()
    };
    let mut rule = "must be empty";
    if review == Review::Local {
        rest.namespace = None;
        rule = "must be empty except for namespace";
    }
    if !equal(&rest, &ObjectMeta::default()) {
        errs.push(Error::invalid(&Path::new("metadata"), shown(metadata), rule));
    }
    if review == Review::Local {
        if let Some(namespace) = resource
            .map(|r| text(&r.namespace))
            .filter(|n| *n != text(&metadata.namespace))
        {
            let path = path.child("resourceAttributes").child("namespace");
            errs.push(Error::invalid(&path, namespace, "must match metadata.namespace"));
        }
        if let Some(url) = url {
            let path = path.child("nonResourceAttributes");
            errs.push(Error::invalid(
                &path,
                url_value(url),
                "disallowed on this kind of request",
            ));
        }
    }
    errs
}

fn url_value(url: &NonResourceAttributes) -> BadValue {
    crate::internal::shown("authorization.NonResourceAttributes", url)
}

/// `validateResourceAttributes`: selectors are given in one form. Operators may be unknown ones.
fn selectors(errs: &mut ErrorList, attributes: &ResourceAttributes, path: &Path) {
    if let Some(selector) = &attributes.field_selector {
        let path = path.child("fieldSelector");
        let requirements = list(&selector.requirements);
        one_form(errs, text(&selector.raw_selector), requirements.len(), &path);
        for (index, requirement) in requirements.iter().enumerate() {
            let path = path.child("requirements").index(index);
            if requirement.key.is_empty() {
                errs.push(Error::required(&path.child("key"), "must be specified"));
            }
            values(errs, &requirement.operator, list(&requirement.values), &path);
        }
    }
    if let Some(selector) = &attributes.label_selector {
        let path = path.child("labelSelector");
        let requirements = list(&selector.requirements);
        one_form(errs, text(&selector.raw_selector), requirements.len(), &path);
        for (index, requirement) in requirements.iter().enumerate() {
            let path = path.child("requirements").index(index);
            let all = list(&requirement.values);
            values(errs, &requirement.operator, all, &path);
            qualified_name(errs, &path.child("key"), &requirement.key);
            for (index, value) in all.iter().enumerate() {
                let path = path.child("values").index(index);
                invalid_each(errs, &path, value, is_valid_label_value(value));
            }
        }
    }
}

fn one_form(errs: &mut ErrorList, raw: &str, requirements: usize, path: &Path) {
    if !raw.is_empty() && requirements > 0 {
        let rule = "may not specified at the same time as requirements";
        errs.push(Error::invalid(&path.child("rawSelector"), raw, rule));
    }
    if raw.is_empty() && requirements == 0 {
        let rule = format!("when {path} is specified, requirements or rawSelector is required");
        errs.push(Error::required(&path.child("requirements"), rule));
    }
}

fn values(errs: &mut ErrorList, operator: &str, values: &[String], path: &Path) {
    let path = path.child("values");
    match operator {
        "In" | "NotIn" if values.is_empty() => {
            let rule = "must be specified when `operator` is 'In' or 'NotIn'";
            errs.push(Error::required(&path, rule));
        }
        "Exists" | "DoesNotExist" if !values.is_empty() => {
            let rule = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
            errs.push(Error::forbidden(&path, rule));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::authorization::v1::LocalSubjectAccessReview;
    use serde_json::json;

    use super::*;
    use crate::cases::{Case, creates};

    fn check(review: fn(&LocalSubjectAccessReview) -> ErrorList, cases: &[Case<'_>]) {
        let base =
            json!({"metadata": {}, "spec": {"user": "u", "resourceAttributes": {"verb": "get", "resource": "pods"}}});
        creates(&base, |_| {}, review, cases);
    }

    #[test]
    fn reviews_ask_one_question_about_somebody() {
        check(
            |obj| access_review(&obj.metadata, &obj.spec, Review::Subject),
            &[
                ("a good review", json!({}), &[]),
                (
                    "nobody about nothing",
                    json!({"/spec": {}}),
                    &[
                        "spec.resourceAttributes: Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must be specified",
                        "spec.user: Invalid value: \"\": at least one of user or group must be specified",
                    ],
                ),
                (
                    "two questions",
                    json!({"/spec/nonResourceAttributes": {"path": "/x"}}),
                    &[
                        "spec.nonResourceAttributes: Invalid value: {\"Path\":\"/x\",\"Verb\":\"\"}: cannot be specified in combination with resourceAttributes",
                    ],
                ),
                (
                    "a name",
                    json!({"/metadata/name": "x"}),
                    &["metadata: Invalid value: {\"name\":\"x\"}: must be empty"],
                ),
                (
                    "selectors of nothing",
                    json!({"/spec/resourceAttributes/fieldSelector": {}, "/spec/resourceAttributes/labelSelector": {}}),
                    &[
                        "spec.resourceAttributes.fieldSelector.requirements: Required value: when spec.resourceAttributes.fieldSelector is specified, requirements or rawSelector is required",
                        "spec.resourceAttributes.labelSelector.requirements: Required value: when spec.resourceAttributes.labelSelector is specified, requirements or rawSelector is required",
                    ],
                ),
                (
                    "selectors in both forms, with values where there are none",
                    json!({"/spec/resourceAttributes/fieldSelector": {"rawSelector": "a=b", "requirements": [{"key": "", "operator": "Exists", "values": ["v"]}]},
                        "/spec/resourceAttributes/labelSelector": {"requirements": [{"key": "k", "operator": "In"}, {"key": "k", "operator": "Near"}]}}),
                    &[
                        "spec.resourceAttributes.fieldSelector.rawSelector: Invalid value: \"a=b\": may not specified at the same time as requirements",
                        "spec.resourceAttributes.fieldSelector.requirements[0].key: Required value: must be specified",
                        "spec.resourceAttributes.fieldSelector.requirements[0].values: Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
                        "spec.resourceAttributes.labelSelector.requirements[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'",
                    ],
                ),
            ],
        );
    }

    #[test]
    fn local_reviews_are_about_their_namespace() {
        check(
            |obj| access_review(&obj.metadata, &obj.spec, Review::Local),
            &[
                (
                    "another namespace",
                    json!({"/metadata/namespace": "n", "/spec/resourceAttributes/namespace": "m"}),
                    &["spec.resourceAttributes.namespace: Invalid value: \"m\": must match metadata.namespace"],
                ),
                (
                    "a URL",
                    json!({"/metadata/namespace": "n", "/spec": {"user": "u", "nonResourceAttributes": {"path": "/x"}}}),
                    &[
                        "spec.nonResourceAttributes: Invalid value: {\"Path\":\"/x\",\"Verb\":\"\"}: disallowed on this kind of request",
                    ],
                ),
            ],
        );
    }
}
