//! `pods/eviction`: a delete that asks the disruption budgets first.
//!
//! Upstream: `pkg/registry/core/pod/storage/eviction.go`.

mod budget;

use std::time::Duration;

use apimachinery::field::{Error, Path};
use apimachinery::gvk::{GroupKind, GroupResource};
use apimachinery::meta;
use apimachinery::status::{ApiError, Result};
use axum::body::Body;
use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::super::admit::Admit;
use super::super::{Call, negotiate, respond};
use super::conditions;
use crate::admission::Operation;
use crate::objects::text;
use crate::registry::options::DeleteOptions;
use crate::registry::strategy::RAW;
use crate::registry::{Hooks as _, NoHooks};

/// Upstream's `EvictionsRetry`: how often and how far apart a pod that changes is tried again.
const TRIES: usize = 20;
const PAUSE: Duration = Duration::from_millis(500);

pub(super) async fn serve(call: Call) -> Result<Response<Body>> {
    let mut eviction = super::read(&call).await?;
    let name = call.ctx.info.name.clone();
    let admit = Admit::new(&call.api, &call.ctx, Operation::Create);
    admit.admit(&mut eviction, None).await?;
    let options = options(&eviction, &name, call.ctx.dry_run)?;
    admit.validate(Some(&eviction), None).await?;

    if without_budget(&call, &name, &options).await? {
        return super::done(&call);
    }
    let pod = call.store()?.get(call.namespace(), &name).await?.value();
    let verdict = budget::ask(&call, &pod, options.dry_run).await?;
    let mut deletion = options.clone();
    let guarded = match verdict {
        budget::Verdict::Spent => None,
        // It counts for nothing as long as it stays as it is.
        budget::Verdict::Unhealthy { budget } => {
            deletion.resource_version = Some(meta::resource_version(&pod).to_owned());
            Some(budget)
        }
        budget::Verdict::Several => return several(&call),
    };
    match remove(&call, &name, &deletion).await {
        Err(e) if e.is_conflict() && options.resource_version.is_none() => match guarded {
            Some(budget) => Err(budget::still_processed(&budget)),
            None => Err(e),
        },
        Err(e) => Err(e),
        Ok(()) => super::done(&call),
    }
}

/// The deletion an Eviction asks for.
fn options(eviction: &Value, name: &str, dry_run: bool) -> Result<DeleteOptions> {
    if meta::name(eviction) != name {
        return Err(ApiError::bad_request(
            "name in URL does not match name in Eviction object",
        ));
    }
    let given = eviction.get("deleteOptions").unwrap_or(&Value::Null);
    let unreadable = "ignoreStoreReadErrorWithClusterBreakingPotential";
    if given[unreadable] == true {
        let path = Path::new("deleteOptions").child(unreadable);
        let why = "can not be set for pod eviction, try after removing the option";
        let errors = vec![Error::invalid(&path, true, why)];
        return Err(ApiError::invalid(&GroupKind::new("policy", "Eviction"), name, errors));
    }
    let mut options = DeleteOptions::from_body(given);
    options.dry_run |= dry_run;
    Ok(options)
}

/// Deletes a pod that no budget guards: it has ended, is ending, or has not begun. False when the
/// budgets must be asked.
async fn without_budget(call: &Call, name: &str, options: &DeleteOptions) -> Result<bool> {
    for tries_left in (0..TRIES).rev() {
        let pod = call.store()?.get(call.namespace(), name).await?.value();
        if !ignores_budgets(&pod) {
            return Ok(false);
        }
        let mut deletion = options.clone();
        if must_stay_as_it_is(&pod) && deletion.resource_version.is_none() {
            deletion.resource_version = Some(meta::resource_version(&pod).to_owned());
        }
        match remove(call, name, &deletion).await {
            Ok(()) => return Ok(true),
            Err(e) if e.is_conflict() && options.resource_version.is_none() && tries_left > 0 => {
                tokio::time::sleep(PAUSE).await;
            }
            Err(e) => return Err(e),
        }
    }
    Ok(false)
}

/// Upstream `canIgnorePDB`.
fn ignores_budgets(pod: &Value) -> bool {
    matches!(text(pod, "/status/phase"), "Succeeded" | "Failed" | "Pending") || meta::is_terminating(pod)
}

/// Whether a pod that ignores the budgets could still come under them (upstream
/// `shouldEnforceResourceVersion`).
fn must_stay_as_it_is(pod: &Value) -> bool {
    !(matches!(text(pod, "/status/phase"), "Succeeded" | "Failed") || meta::is_terminating(pod))
}

/// Says on the pod why it goes, and deletes it.
async fn remove(call: &Call, name: &str, options: &DeleteOptions) -> Result<()> {
    let (pods, ns) = (call.store()?, call.namespace());
    let mut options = options.clone();
    if !options.dry_run {
        let change = |old: &Value| marked(old, &options);
        let (entry, _) = pods.update(&call.ctx, ns, name, &RAW, &change, &NoHooks).await?;
        if options.resource_version.is_some() {
            // The mark was ours.
            options.resource_version = Some(meta::resource_version(&entry.value()).to_owned());
        }
    }
    pods.delete(&call.ctx, ns, name, &options, &NoHooks).await.map(drop)
}

/// The pod with its `DisruptionTarget` condition, if it is the one that was meant.
fn marked(old: &Value, options: &DeleteOptions) -> Result<Value> {
    let (uid, version) = (meta::uid(old), meta::resource_version(old));
    let refused = |why: String| Err(ApiError::conflict(&GroupResource::new("", "Pod"), meta::name(old), why));
    if let Some(want) = options.uid.as_deref().filter(|want| !want.is_empty() && *want != uid) {
        return refused(format!(
            "the UID in the precondition ({want}) does not match the UID in record ({uid}). The object might have been deleted and then recreated"
        ));
    }
    if let Some(want) = options
        .resource_version
        .as_deref()
        .filter(|want| !want.is_empty() && *want != version)
    {
        return refused(format!(
            "the ResourceVersion in the precondition ({want}) does not match the ResourceVersion in record ({version}). The object might have been modified"
        ));
    }
    let mut new = old.clone();
    conditions::set(
        &mut new,
        conditions::pod("DisruptionTarget", "EvictionByEvictionAPI", "Eviction API: evicting"),
    );
    Ok(new)
}

/// More than one budget is a failure that is answered as an object, not as an error: as one that was created
/// (upstream `createHandler`, which looks at the code of a Status only to set it).
fn several(call: &Call) -> Result<Response<Body>> {
    let out = negotiate::Output {
        view: Default::default(),
        ..call.output()?
    };
    let v = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": 500,
        "message": "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."});
    respond::value(StatusCode::CREATED, &out, &v)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_eviction_names_its_pod_and_may_ask_for_a_dry_run_in_two_places() {
        let eviction = |options: Value| json!({"metadata": {"name": "p"}, "deleteOptions": options});
        for (options_, dry_run, want) in [
            (json!({}), false, false),
            (json!({"dryRun": ["All"]}), false, true),
            (json!({}), true, true),
        ] {
            assert_eq!(options(&eviction(options_), "p", dry_run).expect("valid").dry_run, want);
        }
        let e = options(&eviction(json!({})), "q", false).expect_err("another name");
        assert_eq!(
            (e.code, e.message.as_str()),
            (400, "name in URL does not match name in Eviction object")
        );
        let e = options(
            &eviction(json!({"ignoreStoreReadErrorWithClusterBreakingPotential": true})),
            "p",
            false,
        )
        .expect_err("forbidden");
        assert_eq!(
            e.message,
            "Eviction.policy \"p\" is invalid: deleteOptions.ignoreStoreReadErrorWithClusterBreakingPotential: \
             Invalid value: true: can not be set for pod eviction, try after removing the option"
        );
    }

    #[test]
    fn pods_that_do_not_run_cost_no_budget() {
        for (phase, deleting, ignores, guarded) in [
            ("Running", false, false, true),
            ("Pending", false, true, true),
            ("Succeeded", false, true, false),
            ("Failed", false, true, false),
            ("Running", true, true, false),
        ] {
            let mut pod = json!({"metadata": {"name": "p"}, "status": {"phase": phase}});
            if deleting {
                pod["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
            }
            assert_eq!(
                (ignores_budgets(&pod), must_stay_as_it_is(&pod)),
                (ignores, guarded),
                "{phase}"
            );
        }
    }

    #[test]
    fn the_evicted_pod_says_why_it_goes_if_it_is_the_one_meant() {
        let pod = json!({"metadata": {"name": "p", "uid": "u", "resourceVersion": "7"}, "status": {}});
        let with = |uid: Option<&str>, version: Option<&str>| DeleteOptions {
            uid: uid.map(str::to_owned),
            resource_version: version.map(str::to_owned),
            ..Default::default()
        };
        let new = marked(&pod, &with(Some("u"), Some("7"))).expect("the same");
        let c = &new["status"]["conditions"][0];
        assert_eq!(
            (&c["type"], &c["status"], &c["reason"], &c["message"]),
            (
                &json!("DisruptionTarget"),
                &json!("True"),
                &json!("EvictionByEvictionAPI"),
                &json!("Eviction API: evicting")
            )
        );
        for (options, part) in [
            (
                with(Some("v"), None),
                "the UID in the precondition (v) does not match the UID in record (u).",
            ),
            (
                with(None, Some("6")),
                "the ResourceVersion in the precondition (6) does not match the ResourceVersion in record (7).",
            ),
        ] {
            let e = marked(&pod, &options).expect_err(part);
            assert!(e.is_conflict() && e.message.contains(part), "{}", e.message);
        }
    }
}
