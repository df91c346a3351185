//! What the disruption budgets of a pod say to its eviction.
//!
//! Upstream: `pkg/registry/core/pod/storage/eviction.go` (`Create`, `checkAndDecrement`).

use apimachinery::gvk::GroupResource;
use apimachinery::labels::Selector;
use apimachinery::meta;
use apimachinery::status::{ApiError, Cause, Result};
use serde_json::{Value, json};

use super::super::super::Call;
use super::super::conditions;
use crate::objects::{Objects as _, text};
use crate::registry::NoHooks;
use crate::registry::strategy::RAW;

const GROUP: &str = "policy";
const RESOURCE: &str = "poddisruptionbudgets";
/// Evictions a budget may have on record before its controller confirmed any.
const MAX_DISRUPTED: usize = 2000;
const DISRUPTION_ALLOWED: &str = "DisruptionAllowed";

/// What may be done with the pod.
pub(super) enum Verdict {
    /// There is no budget, or one disruption was taken from it.
    Spent,
    /// The pod does not count towards `budget`, as long as it stays unready.
    Unhealthy {
        /// Name of the budget.
        budget: String,
    },
    /// More than one budget guards it, which nobody can decide.
    Several,
}

/// Asks the pod's budget and takes one disruption from it.
pub(super) async fn ask(call: &Call, pod: &Value, dry_run: bool) -> Result<Verdict> {
    let ns = meta::namespace(pod);
    let all = call.api.registry.list(GROUP, RESOURCE, ns).await?;
    let mut matching = all.iter().filter(|budget| selects(budget, pod));
    let Some(budget) = matching.next() else {
        return Ok(Verdict::Spent);
    };
    if matching.next().is_some() {
        return Ok(Verdict::Several);
    }
    let name = meta::name(budget).to_owned();
    if spares(budget, pod) {
        return Ok(Verdict::Unhealthy { budget: name });
    }
    let change = |old: &Value| spent(old, meta::name(pod), dry_run);
    if dry_run {
        return change(budget).map(|_| Verdict::Spent);
    }
    let store = call
        .api
        .registry
        .store(GROUP, RESOURCE)
        .ok_or_else(ApiError::path_not_found)?;
    store.update(&call.ctx, ns, &name, &RAW, &change, &NoHooks).await?;
    Ok(Verdict::Spent)
}

fn selects(budget: &Value, pod: &Value) -> bool {
    let selector = budget
        .pointer("/spec/selector")
        .and_then(|s| serde_json::from_value(s.clone()).ok());
    Selector::from_optional(selector.as_ref()).is_ok_and(|s| s.matches_object(pod))
}

/// Whether an unready pod may go without being counted.
fn spares(budget: &Value, pod: &Value) -> bool {
    let ready = conditions::find(pod, "Ready").is_some_and(|c| c["status"] == "True");
    let (want, have) = (number(budget, "desiredHealthy"), number(budget, "currentHealthy"));
    !ready && (text(budget, "/spec/unhealthyPodEvictionPolicy") == "AlwaysAllow" || have >= want && want > 0)
}

fn number(budget: &Value, field: &str) -> i64 {
    budget["status"][field].as_i64().unwrap_or(0)
}

/// The budget after one more disruption, or why there is none to be had.
fn spent(budget: &Value, pod: &str, dry_run: bool) -> Result<Value> {
    let name = meta::name(budget);
    if number(budget, "observedGeneration") < meta::generation(budget) {
        return Err(still_processed(name));
    }
    let forbidden = |why: &str| {
        let gr = GroupResource::new(GROUP, "poddisruptionbudget");
        Err(ApiError::forbidden(&gr, name, why))
    };
    let allowed = number(budget, "disruptionsAllowed");
    if allowed < 0 {
        return forbidden("pdb disruptions allowed is negative");
    }
    if budget["status"]["disruptedPods"]
        .as_object()
        .is_some_and(|m| m.len() > MAX_DISRUPTED)
    {
        return forbidden("DisruptedPods map too big - too many evictions not confirmed by PDB controller");
    }
    if allowed == 0 {
        return Err(exhausted(0, why_exhausted(budget)));
    }
    let mut new = budget.clone();
    new["status"]["disruptionsAllowed"] = json!(allowed - 1);
    if allowed == 1 {
        let generation = number(budget, "observedGeneration");
        let mut condition = json!({"type": DISRUPTION_ALLOWED, "status": "False", "reason": "InsufficientPods",
            "message": ""});
        if generation > 0 {
            condition["observedGeneration"] = json!(generation);
        }
        conditions::set(&mut new, condition);
    }
    if !dry_run {
        new["status"]["disruptedPods"][pod] = apimachinery::time::now_rfc3339().into();
    }
    Ok(new)
}

fn why_exhausted(budget: &Value) -> String {
    let name = meta::name(budget);
    let (want, have) = (number(budget, "desiredHealthy"), number(budget, "currentHealthy"));
    let not_allowed = conditions::find(budget, DISRUPTION_ALLOWED)
        .filter(|c| c["status"] == "False" && !text(c, "/message").is_empty())
        .map(|c| (text(c, "/reason"), text(c, "/message")));
    match not_allowed {
        Some(("SyncFailed", message)) => format!(
            "The disruption budget {name} does not allow evicting pods currently because it failed sync: {message}"
        ),
        _ if have <= want => {
            format!("The disruption budget {name} needs {want} healthy pods and has {have} currently")
        }
        Some((reason, message)) => {
            format!("The disruption budget {name} does not allow evicting pods currently ({reason}): {message}")
        }
        None => format!("The disruption budget {name} does not allow evicting pods currently"),
    }
}

/// 429: the budget's controller has not seen its present form, or the pod changed meanwhile.
pub(super) fn still_processed(budget: &str) -> ApiError {
    exhausted(
        10,
        format!("The disruption budget {budget} is still being processed by the server."),
    )
}

fn exhausted(retry_after: i32, message: String) -> ApiError {
    ApiError::too_many_requests(
        "Cannot evict pod as it would violate the pod's disruption budget.",
        retry_after,
    )
    .with_cause(Cause {
        reason: "DisruptionBudget".into(),
        message,
        field: String::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(status: Value) -> Value {
        json!({"metadata": {"name": "b", "generation": 2}, "spec": {"selector": {"matchLabels": {"a": "b"}}},
            "status": status})
    }

    #[test]
    fn an_exhausted_budget_refuses_with_429_and_its_reason() {
        for (status, retry, cause) in [
            (
                json!({"observedGeneration": 1, "disruptionsAllowed": 5}),
                10,
                "The disruption budget b is still being processed by the server.",
            ),
            (
                json!({"observedGeneration": 2, "desiredHealthy": 2, "currentHealthy": 2}),
                0,
                "The disruption budget b needs 2 healthy pods and has 2 currently",
            ),
            (
                json!({"observedGeneration": 2, "desiredHealthy": 1, "currentHealthy": 1, "conditions": [
                    {"type": "DisruptionAllowed", "status": "False", "reason": "SyncFailed", "message": "no scale"}]}),
                0,
                "The disruption budget b does not allow evicting pods currently because it failed sync: no scale",
            ),
            (
                json!({"observedGeneration": 2, "desiredHealthy": 1, "currentHealthy": 2, "conditions": [
                    {"type": "DisruptionAllowed", "status": "False", "reason": "R", "message": "m"}]}),
                0,
                "The disruption budget b does not allow evicting pods currently (R): m",
            ),
            (
                json!({"observedGeneration": 2, "desiredHealthy": 1, "currentHealthy": 2}),
                0,
                "The disruption budget b does not allow evicting pods currently",
            ),
        ] {
            let e = spent(&budget(status), "p", false).expect_err(cause);
            let details = e.details.as_deref().expect("causes");
            assert_eq!((e.code, details.retry_after_seconds), (429, retry));
            assert_eq!(
                (details.causes[0].reason.as_str(), details.causes[0].message.as_str()),
                ("DisruptionBudget", cause)
            );
        }
    }

    #[test]
    fn broken_budgets_forbid() {
        let many: serde_json::Map<String, Value> = (0..=MAX_DISRUPTED).map(|i| (format!("p{i}"), json!(""))).collect();
        for (status, why) in [
            (
                json!({"observedGeneration": 2, "disruptionsAllowed": -1}),
                "pdb disruptions allowed is negative",
            ),
            (
                json!({"observedGeneration": 2, "disruptionsAllowed": 1, "disruptedPods": many}),
                "DisruptedPods map too big - too many evictions not confirmed by PDB controller",
            ),
        ] {
            let e = spent(&budget(status), "p", false).expect_err(why);
            assert_eq!(
                (e.code, e.message),
                (403, format!("poddisruptionbudget.policy \"b\" is forbidden: {why}"))
            );
        }
    }

    #[test]
    fn a_disruption_is_counted_and_remembered_unless_it_is_dry() {
        let b = budget(json!({"observedGeneration": 2, "disruptionsAllowed": 2}));
        let new = spent(&b, "p", false).expect("two left");
        assert_eq!(new["status"]["disruptionsAllowed"], 1);
        assert!(new["status"]["disruptedPods"]["p"].is_string());
        assert!(conditions::find(&new, DISRUPTION_ALLOWED).is_none());
        let last = spent(&new, "q", true).expect("one left");
        assert_eq!(
            last["status"]["disruptedPods"].as_object().map(serde_json::Map::len),
            Some(1)
        );
        let condition = conditions::find(&last, DISRUPTION_ALLOWED).expect("the last one");
        assert_eq!(
            (
                &condition["status"],
                &condition["reason"],
                &condition["observedGeneration"]
            ),
            (&json!("False"), &json!("InsufficientPods"), &json!(2))
        );
    }

    #[test]
    fn unready_pods_are_spared_by_policy_or_when_enough_others_are_healthy() {
        let pod = |ready: &str| json!({"status": {"conditions": [{"type": "Ready", "status": ready}]}});
        let with = |policy: &str, want: i64, have: i64| {
            let mut b = budget(json!({"desiredHealthy": want, "currentHealthy": have}));
            b["spec"]["unhealthyPodEvictionPolicy"] = json!(policy);
            b
        };
        for (b, ready, spared) in [
            (with("AlwaysAllow", 3, 0), "False", true),
            (with("AlwaysAllow", 3, 0), "True", false),
            (with("IfHealthyBudget", 2, 2), "False", true),
            (with("IfHealthyBudget", 2, 1), "False", false),
            (with("IfHealthyBudget", 0, 0), "False", false),
        ] {
            assert_eq!(spares(&b, &pod(ready)), spared, "{b} {ready}");
        }
    }
}
