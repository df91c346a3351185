//! Pods: the status column tells the whole story of the containers.

use serde_json::{Value, json};

use super::Cells;
use super::cells::{age, int, name, or, since};
use crate::objects::{items, text};

pub(super) const PODS: Cells = pod;

/// What the containers of a pod add up to.
struct Summary {
    reason: String,
    ready: usize,
    total: usize,
    restarts: i64,
    last_restart: String,
}

fn pod(o: &Value) -> Vec<Value> {
    let s = summary(o);
    let restarts = if s.last_restart.is_empty() || s.restarts == 0 {
        s.restarts.to_string()
    } else {
        format!("{} ({} ago)", s.restarts, since(&s.last_restart))
    };
    let gates = items(o, "/spec/readinessGates");
    let passed = gates
        .iter()
        .filter(|g| condition(o, text(g, "/conditionType")).is_some_and(|c| text(c, "/status") == "True"))
        .count();
    let gates = if gates.is_empty() {
        "<none>".to_owned()
    } else {
        format!("{passed}/{}", gates.len())
    };
    let ip = or(o, "/status/podIPs/0/ip", or(o, "/status/podIP", "<none>"));
    vec![
        name(o),
        json!(format!("{}/{}", s.ready, s.total)),
        json!(s.reason),
        json!(restarts),
        age(o),
        json!(ip),
        json!(or(o, "/spec/nodeName", "<none>")),
        json!(or(o, "/status/nominatedNodeName", "<none>")),
        json!(gates),
    ]
}

fn condition<'a>(o: &'a Value, kind: &str) -> Option<&'a Value> {
    items(o, "/status/conditions").iter().find(|c| text(c, "/type") == kind)
}

fn is_true(o: &Value, kind: &str) -> bool {
    condition(o, kind).is_some_and(|c| text(c, "/status") == "True")
}

/// Upstream `printPod`.
fn summary(o: &Value) -> Summary {
    let mut reason = or(o, "/status/reason", text(o, "/status/phase")).to_owned();
    if condition(o, "PodScheduled").is_some_and(|c| text(c, "/reason") == "SchedulingGated") {
        reason = "SchedulingGated".to_owned();
    }
    let sidecars: Vec<&str> = items(o, "/spec/initContainers")
        .iter()
        .filter(|c| text(c, "/restartPolicy") == "Always")
        .map(|c| text(c, "/name"))
        .collect();
    let mut s = Summary {
        reason,
        ready: 0,
        total: items(o, "/spec/containers").len() + sidecars.len(),
        restarts: 0,
        last_restart: String::new(),
    };
    let (mut sidecar_restarts, mut sidecar_last) = (0, String::new());
    let mut initializing = false;
    let init = items(o, "/status/initContainerStatuses");
    for (i, c) in init.iter().enumerate() {
        s.restarts += int(c, "/restartCount");
        later(&mut s.last_restart, text(c, "/lastState/terminated/finishedAt"));
        let sidecar = sidecars.contains(&text(c, "/name"));
        if sidecar {
            sidecar_restarts += int(c, "/restartCount");
            later(&mut sidecar_last, text(c, "/lastState/terminated/finishedAt"));
        }
        let terminated = c.pointer("/state/terminated");
        if terminated.is_some_and(|t| int(t, "/exitCode") == 0) {
            continue;
        }
        if sidecar && c["started"].as_bool() == Some(true) {
            s.ready += usize::from(c["ready"].as_bool() == Some(true));
            continue;
        }
        let waiting = text(c, "/state/waiting/reason");
        s.reason = match terminated {
            Some(t) => format!("Init:{}", ended(t)),
            None if !waiting.is_empty() && waiting != "PodInitializing" => format!("Init:{waiting}"),
            None => format!("Init:{i}/{}", items(o, "/spec/initContainers").len()),
        };
        initializing = true;
        break;
    }
    if !initializing || is_true(o, "Initialized") {
        s.restarts = sidecar_restarts;
        s.last_restart = sidecar_last;
        let (mut running, mut failure) = (false, None);
        for c in items(o, "/status/containerStatuses").iter().rev() {
            s.restarts += int(c, "/restartCount");
            later(&mut s.last_restart, text(c, "/lastState/terminated/finishedAt"));
            let waiting = text(c, "/state/waiting/reason");
            if !waiting.is_empty() {
                s.reason = waiting.to_owned();
            } else if let Some(t) = c.pointer("/state/terminated") {
                s.reason = ended(t);
                if int(t, "/exitCode") != 0 {
                    failure = Some(s.reason.clone());
                }
            } else if c["ready"].as_bool() == Some(true) && c.pointer("/state/running").is_some() {
                running = true;
                s.ready += 1;
            }
        }
        if s.reason == "Completed" {
            s.reason = match failure {
                _ if running && is_true(o, "Ready") => "Running".to_owned(),
                Some(failure) => failure,
                None if running => "NotReady".to_owned(),
                None => s.reason,
            };
        }
    }
    if !text(o, "/metadata/deletionTimestamp").is_empty() {
        if text(o, "/status/reason") == "NodeLost" {
            s.reason = "Unknown".to_owned();
        } else if !matches!(text(o, "/status/phase"), "Succeeded" | "Failed") {
            s.reason = "Terminating".to_owned();
        }
    }
    s
}

fn later(into: &mut String, time: &str) {
    // RFC 3339 in UTC sorts as text.
    if time > into.as_str() {
        time.clone_into(into);
    }
}

fn ended(terminated: &Value) -> String {
    match (text(terminated, "/reason"), int(terminated, "/signal")) {
        ("", 0) => format!("ExitCode:{}", int(terminated, "/exitCode")),
        ("", signal) => format!("Signal:{signal}"),
        (reason, _) => reason.to_owned(),
    }
}

/// Finished pods are marked, so that clients can hide them.
pub(super) fn row_conditions(o: &Value) -> Vec<Value> {
    match text(o, "/status/phase") {
        phase @ ("Succeeded" | "Failed") => vec![json!({
            "type": "Completed",
            "status": "True",
            "reason": phase,
            "message": if phase == "Succeeded" { "The pod has completed successfully." } else { "The pod failed." },
        })],
        _ => vec![],
    }
}
