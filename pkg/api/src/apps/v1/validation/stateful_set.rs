//! StatefulSets.

use apimachinery::field::{BadValue, Error, ErrorList, Path};
use k8s_openapi::api::apps::v1::{StatefulSet, StatefulSetSpec};
use k8s_openapi::api::core::v1::{PersistentVolumeClaimVolumeSource, PodTemplateSpec, Volume};

use super::{at_most_all, decremented, int_or_percent, number, required_selector, runs_for_ever, selects_template};
use crate::check::{dns_label, equal, list, non_negative, one_of, text, to_value};
use crate::core::v1::validation::{persistent_volume_claim_spec, pod_template_spec, template_metadata};
use crate::internal::shown;
use crate::meta;

/// A new StatefulSet (`ValidateStatefulSet`).
pub fn stateful_set_create(obj: &StatefulSet) -> ErrorList {
    let mut errs = meta::create(&obj.metadata, true, meta::name_label);
    let empty = StatefulSetSpec::default();
    spec(&mut errs, obj.spec.as_ref().unwrap_or(&empty), None);
    errs
}

/// `ValidateStatefulSetSpec`. What cannot change any more is not looked at again, nor is the template
/// when the stored spec breaks today's rules.
fn spec(errs: &mut ErrorList, spec: &StatefulSetSpec, old: Option<&StatefulSetSpec>) {
    let path = Path::new("spec");
    match text(&spec.pod_management_policy) {
        "" => errs.push(Error::required(&path.child("podManagementPolicy"), "")),
        "OrderedReady" | "Parallel" => {}
        other => errs.push(Error::invalid(
            &path.child("podManagementPolicy"),
            BadValue::named(other),
            "must be 'OrderedReady' or 'Parallel'",
        )),
    }
    let strategy = spec.update_strategy.clone().unwrap_or_default();
    let strategy_path = path.child("updateStrategy");
    match (text(&strategy.type_), &strategy.rolling_update) {
        ("", _) => errs.push(Error::required(&strategy_path, "")),
        ("OnDelete", Some(rolling)) => errs.push(Error::invalid(
            &strategy_path.child("rollingUpdate"),
            shown("apps.RollingUpdateStatefulSetStrategy", rolling),
            "only allowed for updateStrategy 'RollingUpdate'",
        )),
        ("RollingUpdate", Some(rolling)) => {
            let path = strategy_path.child("rollingUpdate");
            non_negative(errs, &path.child("partition"), rolling.partition.map(i64::from));
            if let Some(limit) = &rolling.max_unavailable {
                let path = path.child("maxUnavailable");
                int_or_percent(errs, limit, &path);
                if number(limit) == 0 {
                    errs.push(Error::invalid(&path, &to_value(limit), "cannot be 0"));
                }
                at_most_all(errs, limit, &path);
            }
        }
        ("OnDelete" | "RollingUpdate", None) => {}
        (_, _) => errs.push(Error::invalid(
            &strategy_path,
            shown("apps.StatefulSetUpdateStrategy", &strategy),
            "must be 'RollingUpdate' or 'OnDelete'",
        )),
    }
    if let Some(retention) = &spec.persistent_volume_claim_retention_policy {
        let path = path.child("persistentVolumeClaimRetentionPolicy");
        for (field, value) in [
            ("whenDeleted", &retention.when_deleted),
            ("whenScaled", &retention.when_scaled),
        ] {
            one_of(errs, &path.child(field), text(value), &["Retain", "Delete"]);
        }
    }
    for (index, claim) in list(&spec.volume_claim_templates)
        .iter()
        .enumerate()
        .filter(|_| old.is_none())
    {
        let path = path.child("volumeClaimTemplates").index(index).child("spec");
        let empty = Default::default();
        persistent_volume_claim_spec(errs, claim.spec.as_ref().unwrap_or(&empty), &path);
    }
    non_negative(errs, &path.child("replicas"), spec.replicas.map(i64::from));
    non_negative(
        errs,
        &path.child("minReadySeconds"),
        spec.min_ready_seconds.map(i64::from),
    );
    if let Some(ordinals) = &spec.ordinals {
        let path = path.child("ordinals.start");
        non_negative(errs, &path, ordinals.start.map(i64::from));
    }
    let service = text(&spec.service_name);
    if old.is_none() && !service.is_empty() {
        dns_label(errs, &path.child("serviceName"), service);
    }
    required_selector(errs, &spec.selector, "statefulset");
    let before = errs.len();
    selects_template(errs, &spec.selector, &spec.template, Some(""));
    if errs.len() == before || !errs[before].detail.is_empty() {
        let path = path.child("template");
        let template = with_claims(spec);
        let mut stored = ErrorList::new();
        if let Some(old) = old {
            self::spec(&mut stored, old, None);
        }
        if stored.is_empty() {
            pod_template_spec(errs, &template, old.map(|o| &o.template), &path);
        }
        template_metadata(errs, &template, old.map(|o| &o.template), &path);
    }
    runs_for_ever(errs, &spec.template, "StatefulSet");
}

/// The template as pods get it: with a volume per claim, names of its own for host and subdomain gone.
fn with_claims(spec: &StatefulSetSpec) -> PodTemplateSpec {
    let mut template = spec.template.clone();
    let claims = list(&spec.volume_claim_templates);
    if let Some(pod) = &mut template.spec {
        pod.subdomain = None;
        pod.hostname = None;
        if !claims.is_empty() {
            let mut names: Vec<&str> = vec![];
            for name in claims.iter().map(|c| text(&c.metadata.name)) {
                if !names.contains(&name) {
                    names.push(name);
                }
            }
            let volume = |name: &&str| Volume {
                name: (*name).to_string(),
                persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource {
                    claim_name: (*name).to_string(),
                    ..Default::default()
                }),
                ..Volume::default()
            };
            let own = list(&pod.volumes)
                .iter()
                .filter(|v| !names.contains(&v.name.as_str()))
                .cloned();
            pod.volumes = Some(names.iter().map(volume).chain(own).collect());
        }
    }
    template
}

/// A changed StatefulSet: a few fields only (`ValidateStatefulSetUpdate`).
pub fn stateful_set_update(new: &StatefulSet, old: &StatefulSet) -> ErrorList {
    let mut errs = meta::update(&new.metadata, &old.metadata);
    let mut after = new.spec.clone().unwrap_or_default();
    let before = old.spec.clone().unwrap_or_default();
    spec(&mut errs, &after, Some(&before));
    after.replicas = before.replicas;
    after.ordinals.clone_from(&before.ordinals);
    after.template = before.template.clone();
    after.update_strategy.clone_from(&before.update_strategy);
    after.min_ready_seconds = before.min_ready_seconds;
    after.revision_history_limit = before.revision_history_limit;
    after
        .persistent_volume_claim_retention_policy
        .clone_from(&before.persistent_volume_claim_retention_policy);
    if !equal(&after, &before) {
        let rule = "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden";
        errs.push(Error::forbidden(&Path::new("spec"), rule));
    }
    errs
}

/// A changed StatefulSet status (`ValidateStatefulSetStatusUpdate`): the metadata comes last.
pub fn stateful_set_status_update(new: &StatefulSet, old: &StatefulSet) -> ErrorList {
    let mut errs = ErrorList::new();
    let status = new.status.clone().unwrap_or_default();
    let path = Path::new("status");
    let ready = status.ready_replicas.unwrap_or(0);
    let available = status.available_replicas.unwrap_or(0);
    let counts = [
        ("replicas", status.replicas),
        ("readyReplicas", ready),
        ("currentReplicas", status.current_replicas.unwrap_or(0)),
        ("updatedReplicas", status.updated_replicas.unwrap_or(0)),
        ("availableReplicas", available),
    ];
    for (field, value) in counts {
        non_negative(&mut errs, &path.child(field), i64::from(value));
    }
    non_negative(&mut errs, &path.child("observedGeneration"), status.observed_generation);
    let collisions = |s: &StatefulSet| s.status.as_ref().and_then(|s| s.collision_count);
    non_negative(&mut errs, &path.child("collisionCount"), collisions(new).map(i64::from));
    for (field, value) in counts {
        if value > status.replicas {
            let rule = "cannot be greater than status.replicas";
            errs.push(Error::invalid(&path.child(field), value, rule));
        }
    }
    if available > ready {
        let rule = "cannot be greater than status.readyReplicas";
        errs.push(Error::invalid(&path.child("availableReplicas"), available, rule));
    }
    errs.extend(meta::update(&new.metadata, &old.metadata));
    decremented(&mut errs, collisions(new), collisions(old));
    errs
}
