use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use serde_json::json;

use super::*;
use crate::cases::table;
use crate::policy::v1::defaults;

#[test]
fn the_table_of_budgets_holds() {
    let base = json!({"metadata": {"name": "x", "namespace": "n", "resourceVersion": "1"}, "spec": {}});
    let (text, default) = (include_str!("budgets.txt"), defaults::pod_disruption_budget);
    let invalid = table::creates::<PodDisruptionBudget>(text, &base, default, pod_disruption_budget_create);
    assert_eq!(invalid, 6);
}
