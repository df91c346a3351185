//! Texts for `Warning` headers (the strategies in pkg/registry/apps).

use apimachinery::field::Path;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::check::{equal, list};
use crate::core::v1::warnings::{changed, name_in_hostnames, pod_template, volume_claim_spec};

/// Of a Deployment.
pub fn deployment(new: &Deployment, old: Option<&Deployment>) -> Vec<String> {
    let template = new.spec.as_ref().map(|s| &s.template);
    named(&new.metadata, old.map(|old| &old.metadata), template)
}

/// Of a ReplicaSet.
pub fn replica_set(new: &ReplicaSet, old: Option<&ReplicaSet>) -> Vec<String> {
    let template = new.spec.as_ref().and_then(|s| s.template.as_ref());
    named(&new.metadata, old.map(|old| &old.metadata), template)
}

/// Of a kind whose name becomes part of hostnames.
fn named(new: &ObjectMeta, old: Option<&ObjectMeta>, template: Option<&PodTemplateSpec>) -> Vec<String> {
    let mut out = vec![];
    if old.is_none() {
        out = name_in_hostnames(new);
    }
    if changed(new, old) {
        out.extend(of_template(template));
    }
    out
}

/// Of a DaemonSet: when its template is another.
pub fn daemon_set(new: &DaemonSet, old: Option<&DaemonSet>) -> Vec<String> {
    let template = new.spec.as_ref().map(|s| &s.template);
    let before = old.and_then(|old| old.spec.as_ref()).map(|s| &s.template);
    if old.is_some() && equal(&template, &before) {
        return vec![];
    }
    of_template(template)
}

/// Of a StatefulSet. The path of an update's claims has one name too many, as upstream's.
pub fn stateful_set(new: &StatefulSet, old: Option<&StatefulSet>) -> Vec<String> {
    let mut out = vec![];
    let Some(spec) = &new.spec else { return out };
    if changed(&new.metadata, old.map(|old| &old.metadata)) {
        out = of_template(Some(&spec.template));
    }
    for (index, claim) in list(&spec.volume_claim_templates).iter().enumerate() {
        let path = Path::new("spec").child("volumeClaimTemplates").index(index);
        let path = if old.is_some() { path.child("Spec") } else { path };
        if let Some(spec) = &claim.spec {
            volume_claim_spec(&mut out, &path, spec);
        }
    }
    if spec.revision_history_limit.is_some_and(|n| n < 0) {
        out.push(
            "spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 is recommended"
                .to_string(),
        );
    }
    out
}

fn of_template(template: Option<&PodTemplateSpec>) -> Vec<String> {
    template.map_or(vec![], |t| pod_template(&Path::new("spec").child("template"), t))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases::warned;
    use serde_json::{Value, json};

    const TEXT: &str = "spec.template.spec.hostAliases[1].ip: duplicate ip \"1.2.3.4\"";

    fn base() -> Value {
        json!({"metadata": {"name": "a", "generation": 1}, "spec": {"selector": {}, "serviceName": "", "template": {
            "spec": {"containers": [], "hostAliases": [{"ip": "1.2.3.4"}, {"ip": "1.2.3.4"}]}}}})
    }

    #[test]
    fn templates_are_looked_at_when_the_spec_is_new() {
        let dots = "metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label is recommended: [must not contain dots]";
        warned(
            &base(),
            |new| deployment(new, None),
            &[("new", json!({"/metadata/name": "a.b"}), &[dots, TEXT])],
        );
        warned(
            &base(),
            |new| replica_set(new, None),
            &[("new", json!({"/metadata/name": "a.b"}), &[dots, TEXT])],
        );
        let old: Deployment = serde_json::from_value(base()).expect("a deployment");
        warned(
            &base(),
            |new| deployment(new, Some(&old)),
            &[
                ("same", json!({"/metadata/name": "a.b"}), &[]),
                ("changed", json!({"/metadata/generation": 2}), &[TEXT]),
            ],
        );
        let old: DaemonSet = serde_json::from_value(base()).expect("a daemon set");
        warned(&base(), |new| daemon_set(new, None), &[("new", json!({}), &[TEXT])]);
        warned(
            &base(),
            |new| daemon_set(new, Some(&old)),
            &[
                (
                    "same template",
                    json!({"/metadata/generation": 2, "/spec/minReadySeconds": 1}),
                    &[],
                ),
                ("another", json!({"/spec/template/spec/hostname": "x"}), &[TEXT]),
            ],
        );
    }

    #[test]
    fn stateful_sets_keep_revisions_and_claims() {
        let claim = json!([{"metadata": {"name": "c"}, "spec": {"resources": {"requests": {"storage": "1500m"}}}}]);
        let changes = json!({"/spec/volumeClaimTemplates": claim, "/spec/revisionHistoryLimit": -1});
        let limit =
            "spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 is recommended";
        warned(
            &base(),
            |new| stateful_set(new, None),
            &[(
                "new",
                changes.clone(),
                &[
                    TEXT,
                    "spec.volumeClaimTemplates[0].resources.requests[storage]: fractional byte value \"1500m\" is invalid, must be an integer",
                    limit,
                ],
            )],
        );
        let old: StatefulSet = serde_json::from_value(base()).expect("a stateful set");
        warned(
            &base(),
            |new| stateful_set(new, Some(&old)),
            &[(
                "same generation",
                changes,
                &[
                    "spec.volumeClaimTemplates[0].Spec.resources.requests[storage]: fractional byte value \"1500m\" is invalid, must be an integer",
                    limit,
                ],
            )],
        );
    }
}
