#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use super::*;
use crate::resources;

fn cells_of(group: &str, resource: &str, object: &Value) -> Vec<String> {
    (printer(group, resource).cells)(object)
        .iter()
        .map(|v| cells::scalar(Some(v)))
        .collect()
}

#[test]
fn every_printer_fills_its_columns() {
    for r in resources::resources() {
        let p = printer(r.group, r.plural);
        assert_eq!((p.cells)(&json!({})).len(), p.columns.len(), "{}", r.plural);
    }
}

#[test]
fn durations_have_two_units_at_most() {
    for (s, want) in [
        (-5, "<invalid>"),
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (599, "9m59s"),
        (600, "10m"),
        (10_800 - 1, "179m"),
        (10_800, "3h"),
        (8 * 3600 - 60, "7h59m"),
        (8 * 3600, "8h"),
        (48 * 3600, "2d"),
        (50 * 3600, "2d2h"),
        (9 * 86400, "9d"),
        (800 * 86400, "2y70d"),
        (3000 * 86400, "8y"),
    ] {
        assert_eq!(cells::human(s), want, "{s}");
    }
}

#[test]
fn pod_status_tells_the_containers_story() {
    let running = json!({"name":"a","ready":true,"restartCount":2,"state":{"running":{}}});
    for (pod, status, ready) in [
        (
            json!({"status":{"phase":"Pending"},"spec":{"containers":[{}]}}),
            "Pending",
            "0/1",
        ),
        (
            json!({"status":{"phase":"Running","containerStatuses":[running]},"spec":{"containers":[{}]}}),
            "Running",
            "1/1",
        ),
        (
            json!({"status":{"phase":"Running","containerStatuses":[{"state":{"waiting":{"reason":"CrashLoopBackOff"}}}]},"spec":{"containers":[{}]}}),
            "CrashLoopBackOff",
            "0/1",
        ),
        (
            json!({"status":{"phase":"Failed","containerStatuses":[{"state":{"terminated":{"exitCode":3}}}]},"spec":{"containers":[{}]}}),
            "ExitCode:3",
            "0/1",
        ),
        (
            json!({"status":{"phase":"Succeeded","containerStatuses":[{"state":{"terminated":{"exitCode":0,"reason":"Completed"}}}]},"spec":{"containers":[{}]}}),
            "Completed",
            "0/1",
        ),
        (
            json!({"status":{"phase":"Pending","initContainerStatuses":[{"state":{"running":{}}}]},"spec":{"containers":[{}],"initContainers":[{},{}]}}),
            "Init:0/2",
            "0/1",
        ),
        (
            json!({"metadata":{"deletionTimestamp":"2020-01-01T00:00:00Z"},"status":{"phase":"Running","containerStatuses":[running]},"spec":{"containers":[{}]}}),
            "Terminating",
            "1/1",
        ),
        (
            json!({"status":{"phase":"Failed","reason":"Evicted"},"spec":{"containers":[{}]}}),
            "Evicted",
            "0/1",
        ),
        (
            json!({"status":{"phase":"Pending","conditions":[{"type":"PodScheduled","status":"False","reason":"SchedulingGated"}]},"spec":{"containers":[{}]}}),
            "SchedulingGated",
            "0/1",
        ),
    ] {
        let c = cells_of("", "pods", &pod);
        assert_eq!((c[2].as_str(), c[1].as_str()), (status, ready), "{pod}");
    }
}

#[test]
fn rows_of_common_kinds() {
    for (group, resource, object, want) in [
        (
            "apps",
            "deployments",
            json!({"metadata":{"name":"d"},"spec":{"replicas":3,"selector":{"matchLabels":{"a":"b"}},
            "template":{"spec":{"containers":[{"name":"c","image":"i"},{"name":"d","image":"j"}]}}},"status":{"readyReplicas":1,"updatedReplicas":2,"availableReplicas":1}}),
            vec!["d", "1/3", "2", "1", "<unknown>", "c,d", "i,j", "a=b"],
        ),
        (
            "",
            "services",
            json!({"metadata":{"name":"s"},"spec":{"type":"NodePort","clusterIP":"10.0.0.1","selector":{"x":"y"},
            "ports":[{"port":80,"nodePort":30000,"protocol":"TCP"},{"port":53,"protocol":"UDP"}]}}),
            vec![
                "s",
                "NodePort",
                "10.0.0.1",
                "<none>",
                "80:30000/TCP,53/UDP",
                "<unknown>",
                "x=y",
            ],
        ),
        (
            "",
            "nodes",
            json!({"metadata":{"name":"n","labels":{"node-role.kubernetes.io/control-plane":""}},"spec":{"unschedulable":true},
            "status":{"conditions":[{"type":"Ready","status":"True"}],"nodeInfo":{"kubeletVersion":"v1.36.2"},"addresses":[{"type":"InternalIP","address":"1.2.3.4"}]}}),
            vec![
                "n",
                "Ready,SchedulingDisabled",
                "control-plane",
                "<unknown>",
                "v1.36.2",
                "1.2.3.4",
                "<none>",
                "<unknown>",
                "<unknown>",
                "<unknown>",
            ],
        ),
        (
            "",
            "endpoints",
            json!({"metadata":{"name":"e"},"subsets":[{"addresses":[{"ip":"1.1.1.1"},{"ip":"1.1.1.2"},{"ip":"1.1.1.3"},{"ip":"1.1.1.4"}],"ports":[{"port":80}]}]}),
            vec!["e", "1.1.1.1:80,1.1.1.2:80,1.1.1.3:80 + 1 more...", "<unknown>"],
        ),
        (
            "discovery.k8s.io",
            "endpointslices",
            json!({"metadata":{"name":"e"},"addressType":"IPv4","ports":[{"port":80}],"endpoints":[{"addresses":["1.1.1.1"]}]}),
            vec!["e", "IPv4", "80", "1.1.1.1", "<unknown>"],
        ),
        (
            "",
            "configmaps",
            json!({"metadata":{"name":"c"},"data":{"a":"1"},"binaryData":{"b":""}}),
            vec!["c", "2", "<unknown>"],
        ),
        (
            "rbac.authorization.k8s.io",
            "clusterroles",
            json!({"metadata":{"name":"r","creationTimestamp":"2020-01-01T00:00:00Z"}}),
            vec!["r", "2020-01-01T00:00:00Z"],
        ),
        (
            "",
            "events",
            json!({"metadata":{"name":"ev"},"type":"Normal","reason":"Scheduled","message":"m\n","count":2,"source":{"component":"s"},"involvedObject":{"kind":"Pod","name":"p"}}),
            vec![
                "<unknown>",
                "Normal",
                "Scheduled",
                "pod/p",
                "",
                "s",
                "m",
                "<unknown>",
                "2",
                "ev",
            ],
        ),
    ] {
        assert_eq!(cells_of(group, resource, &object), want);
    }
}

#[test]
fn rows_carry_what_include_object_asks_for() {
    let row = resources::find("", "v1", "configmaps").unwrap();
    let object = json!({"kind":"ConfigMap","metadata":{"name":"c"},"data":{"a":"1"}});
    let with = |q: &str| table(row, &[&object], true, &Query::parse(q));
    assert_eq!(
        with("")["rows"][0]["object"],
        json!({"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":{"name":"c"}})
    );
    assert_eq!(with("includeObject=Object")["rows"][0]["object"], object);
    assert!(with("includeObject=None")["rows"][0].get("object").is_none());
    assert_eq!(with("")["columnDefinitions"][0]["format"], "name");
    assert_eq!(
        table(row, &[], false, &Query::parse(""))["columnDefinitions"],
        Value::Null
    );
}
