//! `pods/eviction`: a delete that asks the disruption budgets first.
//!
//! Upstream: `pkg/registry/core/pod/storage/eviction.go`.

use apimachinery::status::{ApiError, Cause, Result};
use apimachinery::{labels, meta};
use axum::body::Body;
use http::Response;
use serde_json::{Value, json};

use super::super::Call;
use super::super::admit::Admit;
use crate::admission::Operation;
use crate::objects::Objects as _;
use crate::registry::options::DeleteOptions;
use crate::registry::strategy::RAW;
use crate::registry::{Hooks as _, NoHooks};

const PDB_GROUP: &str = "policy";
const PDBS: &str = "poddisruptionbudgets";

pub(super) async fn serve(call: Call) -> Result<Response<Body>> {
    let mut eviction = super::read(&call).await?;
    let name = call.ctx.info.name.clone();
    let own = meta::name(&eviction);
    if !own.is_empty() && own != name {
        return Err(ApiError::bad_request(
            "name in URL does not match name in Eviction object",
        ));
    }
    let admit = Admit::new(&call.api, &call.ctx, Operation::Create);
    admit.admit(&mut eviction, None).await?;
    admit.validate(Some(&eviction), None).await?;
    let mut options = DeleteOptions::from_body(eviction.get("deleteOptions").unwrap_or(&Value::Null));
    options.dry_run |= call.ctx.dry_run;
    options.validate()?;

    let pods = call.store()?;
    let ns = call.namespace();
    let pod = pods.get(ns, &name).await?;
    if needs_budget(&pod.value()) {
        spend(&call, ns, &pod.value(), options.dry_run).await?;
    }
    pods.delete(&call.ctx, ns, &name, &options, &NoHooks).await?;
    super::done(&call)
}

/// Pods that do not run yet or any more cost no budget.
fn needs_budget(pod: &Value) -> bool {
    let phase = pod.pointer("/status/phase").and_then(Value::as_str).unwrap_or("");
    !matches!(phase, "Succeeded" | "Failed" | "Pending") && !meta::is_terminating(pod)
}

/// Takes one disruption from the pod's budget, if it has one.
async fn spend(call: &Call, ns: &str, pod: &Value, dry_run: bool) -> Result<()> {
    let all = call.api.registry.list(PDB_GROUP, PDBS, ns).await?;
    let mut matching = all.iter().filter(|pdb| selects(pdb, pod));
    let Some(pdb) = matching.next() else { return Ok(()) };
    if matching.next().is_some() {
        return Err(ApiError::generic(
            500,
            "InternalError",
            "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
        ));
    }
    let pod_name = meta::name(pod);
    let change = |old: &Value| spent(old, pod_name);
    if dry_run {
        return change(pdb).map(|_| ());
    }
    let store = call
        .api
        .registry
        .store(PDB_GROUP, PDBS)
        .ok_or_else(ApiError::path_not_found)?;
    store
        .update(&call.ctx, ns, meta::name(pdb), &RAW, &change, &NoHooks)
        .await
        .map(|_| ())
}

fn selects(pdb: &Value, pod: &Value) -> bool {
    let selector = pdb
        .pointer("/spec/selector")
        .and_then(|s| serde_json::from_value(s.clone()).ok());
    labels::Selector::from_optional(selector.as_ref()).is_ok_and(|s| s.matches_object(pod))
}

/// The budget after one more disruption.
fn spent(pdb: &Value, pod: &str) -> Result<Value> {
    let number = |p: &str| pdb.pointer(p).and_then(Value::as_i64).unwrap_or(0);
    let refuse = |message: String, retry: i32| {
        Err(ApiError::too_many_requests(
            "Cannot evict pod as it would violate the pod's disruption budget.",
            retry,
        )
        .with_cause(Cause {
            reason: "DisruptionBudget".into(),
            message,
            field: String::new(),
        }))
    };
    let name = meta::name(pdb);
    if number("/status/observedGeneration") < meta::generation(pdb) {
        return refuse(
            format!("The disruption budget {name} is still being processed by the server."),
            10,
        );
    }
    let allowed = number("/status/disruptionsAllowed");
    if allowed <= 0 {
        let (want, have) = (number("/status/desiredHealthy"), number("/status/currentHealthy"));
        return refuse(
            format!("The disruption budget {name} needs {want} healthy pods and has {have} currently"),
            0,
        );
    }
    let mut new = pdb.clone();
    new["status"]["disruptionsAllowed"] = json!(allowed - 1);
    new["status"]["disruptedPods"][pod] = apimachinery::time::now_rfc3339().into();
    Ok(new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_budget_refuses_with_429() {
        let pdb = json!({"metadata": {"name": "b", "generation": 1}, "status": {"observedGeneration": 1, "disruptionsAllowed": 0, "desiredHealthy": 2, "currentHealthy": 2}});
        let e = spent(&pdb, "p").expect_err("no budget");
        assert_eq!(e.code, 429);
        let mut pdb = pdb;
        pdb["status"]["disruptionsAllowed"] = json!(1);
        let new = spent(&pdb, "p").expect("budget");
        assert_eq!(new["status"]["disruptionsAllowed"], 0);
        assert!(new["status"]["disruptedPods"]["p"].is_string());
    }
}
