//! The feature gates of v1.36: which names `--feature-gates` knows, what they are by default, and the metric that
//! says so (upstream `component-base/featuregate`; the table is that of kube-apiserver with its libraries).
//!
//! A gate that is known need not have an effect: [`check`] only keeps mistakes out.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use prometheus::IntGaugeVec;

/// How finished a feature is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Alpha,
    Beta,
    Ga,
    Deprecated,
}

struct Gate {
    name: &'static str,
    stage: Stage,
    default: bool,
    locked: bool,
}

static GATES: LazyLock<Vec<Gate>> = LazyLock::new(|| {
    let rows = include_str!("features.tsv").lines().filter(|l| !l.starts_with('#'));
    rows.map(|row| {
        let columns: Vec<&str> = row.split('\t').collect();
        let [name, stage, default, locked] = columns[..] else {
            panic!("features.tsv: a row has 4 columns: {row}");
        };
        let stage = match stage {
            "alpha" => Stage::Alpha,
            "beta" => Stage::Beta,
            "ga" => Stage::Ga,
            "deprecated" => Stage::Deprecated,
            other => panic!("features.tsv: {name} has unknown stage {other}"),
        };
        Gate {
            name,
            stage,
            default: default == "true",
            locked: locked == "locked",
        }
    })
    .collect()
});

/// Names that stand for all gates of a stage.
const ALL: [(&str, Stage); 2] = [("AllAlpha", Stage::Alpha), ("AllBeta", Stage::Beta)];

static ENABLED: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    crate::metrics::gauge_vec(
        "kubernetes_feature_enabled",
        "[BETA] This metric records the data about the stage and enablement of a k8s feature.",
        &["name", "stage"],
    )
});

/// What is wrong with the gates a command line sets (as `Values::map` reads them), in upstream's words. Gates that
/// will go away are warned of.
#[must_use]
pub fn check(set: &BTreeMap<String, String>) -> Vec<String> {
    let mut errors = vec![];
    for (name, value) in set {
        if ALL.iter().any(|(all, _)| all == name) {
            continue;
        }
        let Some(gate) = GATES.iter().find(|g| g.name == name) else {
            errors.push(format!("unrecognized feature gate: {name}"));
            continue;
        };
        let on = is_true(value);
        if gate.locked && on != gate.default {
            errors.push(format!(
                "cannot set feature gate {name} to {on}, feature is locked to {}",
                gate.default
            ));
        } else if let Some(kind) = match gate.stage {
            Stage::Ga => Some("GA"),
            Stage::Deprecated => Some("deprecated"),
            _ => None,
        } {
            tracing::warn!("Setting {kind} feature gate {name}={on}. It will be removed in a future release.");
        }
    }
    errors
}

/// Whether a gate is on with these settings; unknown gates are off.
#[must_use]
pub fn enabled(set: &BTreeMap<String, String>, name: &str) -> bool {
    GATES.iter().find(|g| g.name == name).is_some_and(|g| is_on(set, g))
}

fn is_on(set: &BTreeMap<String, String>, gate: &Gate) -> bool {
    let all = ALL.iter().find(|(_, stage)| *stage == gate.stage);
    let all = all.and_then(|(name, _)| set.get(*name)).filter(|_| !gate.locked);
    // A gate's own setting counts before that of its stage, whatever their order on the command line.
    match set.get(gate.name).or(all) {
        Some(value) => is_true(value),
        None => gate.default,
    }
}

/// Publishes every gate as `kubernetes_feature_enabled`.
pub fn publish(set: &BTreeMap<String, String>) {
    let label = |stage: Stage| match stage {
        Stage::Alpha => "ALPHA",
        Stage::Beta => "BETA",
        Stage::Ga => "",
        Stage::Deprecated => "DEPRECATED",
    };
    for gate in GATES.iter() {
        let labels = [gate.name, label(gate.stage)];
        ENABLED.with_label_values(&labels).set(i64::from(is_on(set, gate)));
    }
    for (name, stage) in ALL {
        let on = set.get(name).is_some_and(|v| is_true(v));
        ENABLED.with_label_values(&[name, label(stage)]).set(i64::from(on));
    }
}

/// Go's `strconv.ParseBool`, of a value that was checked when the flag was parsed.
fn is_true(value: &str) -> bool {
    matches!(value, "1" | "t" | "T" | "true" | "TRUE" | "True")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn unknown_and_locked_gates_are_refused_in_upstreams_words() {
        assert_eq!(
            check(&set(&[("AllAlpha", "true"), ("WatchList", "false")])),
            [] as [&str; 0]
        );
        assert_eq!(
            check(&set(&[("ConsistentListFromCache", "false"), ("Nope", "true")])),
            [
                "cannot set feature gate ConsistentListFromCache to false, feature is locked to true",
                "unrecognized feature gate: Nope"
            ]
        );
    }

    #[test]
    fn a_stage_can_be_switched_as_a_whole() {
        let none = set(&[]);
        assert!(enabled(&none, "ComponentStatusz") && !enabled(&none, "APIServingWithRoutine"));
        let all = set(&[("AllAlpha", "true"), ("AllBeta", "false"), ("ComponentStatusz", "true")]);
        assert!(enabled(&all, "ComponentStatusz"));
        assert!(enabled(&all, "APIServingWithRoutine"));
        assert!(!enabled(&all, "ComponentFlagz") && !enabled(&all, "Nope"));
    }

    #[test]
    fn every_gate_is_published_with_its_stage() {
        publish(&set(&[("ComponentFlagz", "false")]));
        let text = crate::metrics::text();
        for line in [
            "kubernetes_feature_enabled{name=\"ComponentFlagz\",stage=\"BETA\"} 0",
            "kubernetes_feature_enabled{name=\"ConsistentListFromCache\",stage=\"\"} 1",
            "kubernetes_feature_enabled{name=\"AllAlpha\",stage=\"ALPHA\"} 0",
        ] {
            assert!(text.contains(line), "{line}");
        }
    }
}
