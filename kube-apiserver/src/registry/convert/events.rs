//! `events.k8s.io/v1` Event and core `v1` Event: the same facts under two sets of names
//! (upstream `pkg/apis/events/v1/conversion.go`).

use serde_json::Value;

/// (events.k8s.io name, core name).
const NAMES: [(&str, &str); 8] = [
    ("regarding", "involvedObject"),
    ("note", "message"),
    ("reportingController", "reportingComponent"),
    ("deprecatedSource", "source"),
    ("deprecatedFirstTimestamp", "firstTimestamp"),
    ("deprecatedLastTimestamp", "lastTimestamp"),
    ("deprecatedCount", "count"),
    ("related", "related"),
];

pub(super) fn to_core(obj: Value) -> Value {
    super::rename(obj, "v1", &NAMES)
}

pub(super) fn from_core(obj: &Value) -> Value {
    super::rename(obj.clone(), "events.k8s.io/v1", &NAMES.map(|(e, c)| (c, e)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_survive_the_round_trip() {
        let e = json!({"apiVersion": "events.k8s.io/v1", "kind": "Event", "regarding": {"name": "p"}, "note": "n", "reason": "R"});
        let core = to_core(e.clone());
        assert_eq!(core["involvedObject"]["name"], "p");
        assert_eq!(core["message"], "n");
        assert_eq!(from_core(&core), e);
    }
}
