//! Validation of rbac.authorization.k8s.io/v1 (pkg/apis/rbac/validation/validation.go).

use apimachinery::field::{BadValue, Error, ErrorList, Path};
use apimachinery::labels::Selector;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject};

use super::defaults::GROUP;
use crate::check::{equal, invalid_each, list, text, to_value};
use crate::meta;

/// A new Role (`ValidateRole`).
pub fn role_create(obj: &Role) -> ErrorList {
    let mut errs = meta::create(&obj.metadata, true, meta::name_path_segment);
    rules(&mut errs, list(&obj.rules), true);
    errs
}

/// A changed Role (`ValidateRoleUpdate`).
pub fn role_update(new: &Role, old: &Role) -> ErrorList {
    let mut errs = role_create(new);
    errs.extend(meta::update(&new.metadata, &old.metadata));
    errs
}

/// A new ClusterRole (`ValidateClusterRole`).
pub fn cluster_role_create(obj: &ClusterRole) -> ErrorList {
    let mut errs = meta::create(&obj.metadata, false, meta::name_path_segment);
    rules(&mut errs, list(&obj.rules), false);
    if let Some(aggregation) = &obj.aggregation_rule {
        let path = Path::new("aggregationRule").child("clusterRoleSelectors");
        let selectors = list(&aggregation.cluster_role_selectors);
        if selectors.is_empty() {
            let rule = "at least one clusterRoleSelector required if aggregationRule is non-nil";
            errs.push(Error::required(&path, rule));
        }
        for (index, selector) in selectors.iter().enumerate() {
            let before = errs.len();
            meta::label_selector(&mut errs, Some(selector), &path.index(index));
            if errs.len() > before && Selector::from_label_selector(selector).is_err() {
                let rule = "invalid label selector.";
                errs.push(Error::invalid(&path.index(index), BadValue::Null, rule));
            }
        }
    }
    errs
}

/// A changed ClusterRole (`ValidateClusterRoleUpdate`).
pub fn cluster_role_update(new: &ClusterRole, old: &ClusterRole) -> ErrorList {
    let mut errs = cluster_role_create(new);
    errs.extend(meta::update(&new.metadata, &old.metadata));
    errs
}

/// `ValidatePolicyRule` for every rule.
fn rules(errs: &mut ErrorList, rules: &[PolicyRule], namespaced: bool) {
    for (index, rule) in rules.iter().enumerate() {
        let path = Path::new("rules").index(index);
        if rule.verbs.is_empty() {
            errs.push(Error::required(
                &path.child("verbs"),
                "verbs must contain at least one value",
            ));
        }
        let urls = list(&rule.non_resource_urls);
        let (groups, resources) = (list(&rule.api_groups), list(&rule.resources));
        if !urls.is_empty() {
            let path = path.child("nonResourceURLs");
            if namespaced {
                let text = "namespaced rules cannot apply to non-resource URLs";
                errs.push(Error::invalid(&path, &to_value(&urls), text));
            }
            if !groups.is_empty() || !resources.is_empty() || !list(&rule.resource_names).is_empty() {
                let text = "rules cannot apply to both regular resources and non-resource URLs";
                errs.push(Error::invalid(&path, &to_value(&urls), text));
            }
            continue;
        }
        if groups.is_empty() {
            let text = "resource rules must supply at least one api group";
            errs.push(Error::required(&path.child("apiGroups"), text));
        }
        if resources.is_empty() {
            let text = "resource rules must supply at least one resource";
            errs.push(Error::required(&path.child("resources"), text));
        }
    }
}

/// A new RoleBinding (`ValidateRoleBinding`).
pub fn role_binding_create(obj: &RoleBinding) -> ErrorList {
    let mut errs = meta::create(&obj.metadata, true, meta::name_path_segment);
    role_ref(&mut errs, &obj.role_ref, &["Role", "ClusterRole"]);
    subjects(&mut errs, list(&obj.subjects), true);
    errs
}

/// A changed RoleBinding (`ValidateRoleBindingUpdate`).
pub fn role_binding_update(new: &RoleBinding, old: &RoleBinding) -> ErrorList {
    let mut errs = role_binding_create(new);
    errs.extend(meta::update(&new.metadata, &old.metadata));
    same_ref(&mut errs, &new.role_ref, &old.role_ref);
    errs
}

/// A new ClusterRoleBinding (`ValidateClusterRoleBinding`).
pub fn cluster_role_binding_create(obj: &ClusterRoleBinding) -> ErrorList {
    let mut errs = meta::create(&obj.metadata, false, meta::name_path_segment);
    role_ref(&mut errs, &obj.role_ref, &["ClusterRole"]);
    subjects(&mut errs, list(&obj.subjects), false);
    errs
}

/// A changed ClusterRoleBinding (`ValidateClusterRoleBindingUpdate`).
pub fn cluster_role_binding_update(new: &ClusterRoleBinding, old: &ClusterRoleBinding) -> ErrorList {
    let mut errs = cluster_role_binding_create(new);
    errs.extend(meta::update(&new.metadata, &old.metadata));
    same_ref(&mut errs, &new.role_ref, &old.role_ref);
    errs
}

fn same_ref(errs: &mut ErrorList, new: &RoleRef, old: &RoleRef) {
    if !equal(new, old) {
        let value = crate::internal::shown("rbac.RoleRef", new);
        errs.push(Error::invalid(&Path::new("roleRef"), value, "cannot change roleRef"));
    }
}

fn role_ref(errs: &mut ErrorList, reference: &RoleRef, kinds: &[&str]) {
    let path = Path::new("roleRef");
    let group = text(&reference.api_group);
    if group != GROUP {
        errs.push(Error::not_supported(&path.child("apiGroup"), group, &[GROUP]));
    }
    crate::check::text_of(errs, &path.child("kind"), &reference.kind, kinds);
    let name = reference.name.as_str();
    if name.is_empty() {
        errs.push(Error::required(&path.child("name"), ""));
    } else {
        invalid_each(errs, &path.child("name"), name, meta::name_path_segment(name, false));
    }
}

/// `ValidateRoleBindingSubject` for every subject.
fn subjects(errs: &mut ErrorList, subjects: &[Subject], namespaced: bool) {
    for (index, subject) in subjects.iter().enumerate() {
        let path = Path::new("subjects").index(index);
        let name = subject.name.as_str();
        if name.is_empty() {
            errs.push(Error::required(&path.child("name"), ""));
        }
        let group = text(&subject.api_group);
        match subject.kind.as_str() {
            "ServiceAccount" => {
                if !name.is_empty() {
                    let messages = meta::name_subdomain(name, false);
                    invalid_each(errs, &path.child("name"), name, messages);
                }
                if !group.is_empty() {
                    errs.push(Error::not_supported(&path.child("apiGroup"), group, &[""]));
                }
                if !namespaced && text(&subject.namespace).is_empty() {
                    errs.push(Error::required(&path.child("namespace"), ""));
                }
            }
            "User" | "Group" if group != GROUP => {
                errs.push(Error::not_supported(&path.child("apiGroup"), group, &[GROUP]));
            }
            "User" | "Group" => {}
            other => {
                let known = ["ServiceAccount", "User", "Group"];
                errs.push(Error::not_supported(&path.child("kind"), other, &known));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn messages(errs: &ErrorList) -> Vec<String> {
        errs.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn rules_are_about_resources_or_urls() {
        let cases = [
            (
                json!({"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}),
                vec![],
            ),
            (
                json!({"verbs": [], "apiGroups": [""], "resources": ["pods"]}),
                vec!["rules[0].verbs: Required value: verbs must contain at least one value"],
            ),
            (
                json!({"verbs": ["get"]}),
                vec![
                    "rules[0].apiGroups: Required value: resource rules must supply at least one api group",
                    "rules[0].resources: Required value: resource rules must supply at least one resource",
                ],
            ),
            (
                json!({"verbs": ["get"], "nonResourceURLs": ["/x"]}),
                vec![
                    "rules[0].nonResourceURLs: Invalid value: [\"/x\"]: namespaced rules cannot apply to non-resource URLs",
                ],
            ),
        ];
        for (rule, want) in cases {
            let role: Role =
                serde_json::from_value(json!({"metadata": {"name": "system:x", "namespace": "n"}, "rules": [rule]}))
                    .expect("a role");
            assert_eq!(messages(&role_create(&role)), want);
        }
    }

    #[test]
    fn a_bindings_role_is_fixed() {
        let binding = |role: &str| -> RoleBinding {
            let value: Value = json!({"metadata": {"name": "x", "namespace": "n", "resourceVersion": "1"},
                "roleRef": {"apiGroup": GROUP, "kind": "Role", "name": role},
                "subjects": [{"kind": "User", "apiGroup": GROUP, "name": "u"}]});
            serde_json::from_value(value).expect("a binding")
        };
        assert!(role_binding_update(&binding("a"), &binding("a")).is_empty());
        let got = messages(&role_binding_update(&binding("b"), &binding("a")));
        let want = "roleRef: Invalid value: {\"APIGroup\":\"rbac.authorization.k8s.io\",\"Kind\":\"Role\",\"Name\":\"b\"}: cannot change roleRef";
        assert_eq!(got, [want]);
    }

    #[test]
    fn roles_and_subjects_of_bindings_are_checked() {
        let base = json!({"metadata": {"name": "b"}, "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": "r"},
            "subjects": [{"kind": "User", "apiGroup": GROUP, "name": "u"}]});
        crate::cases::creates(
            &base,
            |_| {},
            cluster_role_binding_create,
            &[
                ("a good binding", json!({}), &[]),
                (
                    "a role of another group and kind, without a name",
                    json!({"/roleRef": {"apiGroup": "x", "kind": "Role", "name": ""}}),
                    &[
                        "roleRef.apiGroup: Unsupported value: \"x\": supported values: \"rbac.authorization.k8s.io\"",
                        "roleRef.kind: Unsupported value: \"Role\": supported values: \"ClusterRole\"",
                        "roleRef.name: Required value",
                    ],
                ),
                (
                    "a subject of no kind",
                    json!({"/subjects/0": {"kind": "Robot", "name": ""}}),
                    &[
                        "subjects[0].name: Required value",
                        "subjects[0].kind: Unsupported value: \"Robot\": supported values: \"ServiceAccount\", \"User\", \"Group\"",
                    ],
                ),
                (
                    "a service account of nowhere",
                    json!({"/subjects/0": {"kind": "ServiceAccount", "name": "s", "apiGroup": "x"}}),
                    &[
                        "subjects[0].apiGroup: Unsupported value: \"x\": supported values: \"\"",
                        "subjects[0].namespace: Required value",
                    ],
                ),
                (
                    "a group of no group",
                    json!({"/subjects/0": {"kind": "Group", "name": "g", "apiGroup": ""}}),
                    &["subjects[0].apiGroup: Unsupported value: \"\": supported values: \"rbac.authorization.k8s.io\""],
                ),
            ],
        );
        crate::cases::creates(
            &json!({"metadata": {"name": "r"}}),
            |_| {},
            cluster_role_create,
            &[
                (
                    "an aggregation of nothing",
                    json!({"/aggregationRule": {}}),
                    &[
                        "aggregationRule.clusterRoleSelectors: Required value: at least one clusterRoleSelector required if aggregationRule is non-nil",
                    ],
                ),
                (
                    "URLs and resources",
                    json!({"/rules": [{"verbs": ["get"], "nonResourceURLs": ["/x"], "resources": ["pods"]}]}),
                    &[
                        "rules[0].nonResourceURLs: Invalid value: [\"/x\"]: rules cannot apply to both regular resources and non-resource URLs",
                    ],
                ),
            ],
        );
    }
}
