#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use super::*;
use crate::resources;

/// Cells of an object of a resource, as JSON and as text.
fn cells(group: &str, resource: &str, object: &Value) -> Vec<Value> {
    super::cells_of(group, resource).unwrap_or(CREATED)(object)
}

fn texts(group: &str, resource: &str, object: &Value) -> Vec<String> {
    cells(group, resource, object)
        .iter()
        .map(|v| super::cells::scalar(Some(v)))
        .collect()
}

#[test]
fn every_printer_fills_its_columns() {
    for r in resources::resources() {
        let p = Printer::of(r);
        let (cells, columns) = ((p.cells)(&json!({})).len(), p.columns());
        // Upstream's row has the age, its columns have not.
        let more = usize::from(r.plural == "ipaddresses");
        assert_eq!(cells, columns.len() + more, "{}", r.plural);
        assert!(
            columns.iter().any(|c| c.name == "Name" && c.format == "name"),
            "{}",
            r.plural
        );
    }
}

#[test]
fn every_column_belongs_to_a_resource_and_says_what_it_is() {
    let keys: Vec<String> = resources::resources().iter().map(|r| Printer::of(r).key).collect();
    for row in include_str!("columns.tsv").lines().skip(1) {
        let key = row.split('\t').next().unwrap();
        assert!(key == "scale" || keys.iter().any(|k| k == key), "{key}");
        let about = row.rsplit('\t').next().unwrap();
        if let Some((type_name, field)) = about.strip_prefix('@').and_then(|f| f.rsplit_once('.')) {
            assert!(descriptions::of_field(type_name, field).is_some(), "{row}");
        }
    }
}

/// Upstream's types of cells: numbers and booleans are not texts.
#[test]
fn cells_have_the_types_of_upstreams() {
    for (group, resource, object, want) in [
        (
            "",
            "serviceaccounts",
            json!({"metadata":{"name":"a"},"secrets":[{"name":"s"}]}),
            json!(["a", "<unknown>"]),
        ),
        (
            "",
            "limitranges",
            json!({"metadata":{"name":"a","creationTimestamp":"2020-01-01T00:00:00Z"}}),
            json!(["a", "2020-01-01T00:00:00Z"]),
        ),
        (
            "scheduling.k8s.io",
            "priorityclasses",
            json!({"metadata":{"name":"p"},"value":7,"globalDefault":true}),
            json!(["p", 7, true, "<unknown>", ""]),
        ),
        (
            "storage.k8s.io",
            "storageclasses",
            json!({"metadata":{"name":"s","annotations":{"storageclass.kubernetes.io/is-default-class":"true"}},
                "provisioner":"p","allowVolumeExpansion":true}),
            json!(["s (default)", "p", "Delete", "Immediate", true, "<unknown>"]),
        ),
        (
            "storage.k8s.io",
            "volumeattachments",
            json!({"metadata":{"name":"v"},"spec":{"attacher":"a","nodeName":"n","source":{"persistentVolumeName":"pv"}}}),
            json!(["v", "a", "pv", "n", false, "<unknown>"]),
        ),
        (
            "storage.k8s.io",
            "volumeattributesclasses",
            json!({"metadata":{"name":"v"},"driverName":"d"}),
            json!(["v", "d", "<unknown>"]),
        ),
        (
            "storage.k8s.io",
            "csidrivers",
            json!({"metadata":{"name":"d"},"spec":{"podInfoOnMount":true,"tokenRequests":[{"audience":"x"},{"audience":"y"}],
                "volumeLifecycleModes":["Persistent","Ephemeral"]}}),
            json!([
                "d",
                true,
                true,
                false,
                "x,y",
                false,
                "Persistent,Ephemeral",
                "<unknown>"
            ]),
        ),
        (
            "storage.k8s.io",
            "csistoragecapacities",
            json!({"metadata":{"name":"c"}}),
            json!(["c", "0001-01-01T00:00:00Z"]),
        ),
        (
            "resource.k8s.io",
            "resourceclaims",
            json!({"metadata":{"name":"c"},"status":{"allocation":{},"reservedFor":[{}]}}),
            json!(["c", "allocated,reserved", "<unknown>"]),
        ),
        (
            "resource.k8s.io",
            "resourceclaims",
            json!({"metadata":{"name":"c","deletionTimestamp":"2020-01-01T00:00:00Z"}}),
            json!(["c", "deleted", "<unknown>"]),
        ),
        (
            "resource.k8s.io",
            "resourceslices",
            json!({"metadata":{"name":"s"},"spec":{"nodeName":"n","driver":"d","pool":{"name":"p"}}}),
            json!(["s", "n", "d", "p", "<unknown>"]),
        ),
        (
            "admissionregistration.k8s.io",
            "validatingadmissionpolicies",
            json!({"metadata":{"name":"p"},"spec":{"validations":[{},{}],"paramKind":{"apiVersion":"g/v1","kind":"K"}}}),
            json!(["p", 2, "g/v1/K", "<unknown>"]),
        ),
        (
            "admissionregistration.k8s.io",
            "mutatingadmissionpolicies",
            json!({"metadata":{"name":"p"},"spec":{"mutations":[{}]}}),
            json!(["p", 1, "<unset>", "<unknown>"]),
        ),
        (
            "admissionregistration.k8s.io",
            "validatingadmissionpolicybindings",
            json!({"metadata":{"name":"b"},"spec":{"policyName":"p","paramRef":{"name":"x"}}}),
            json!(["b", "p", "*/x", "<unknown>"]),
        ),
        (
            "admissionregistration.k8s.io",
            "mutatingadmissionpolicybindings",
            json!({"metadata":{"name":"b"},"spec":{"policyName":"p","paramRef":{"selector":{"matchLabels":{"a":"b"}}}}}),
            json!([
                "b",
                "p",
                "&LabelSelector{MatchLabels:map[string]string{a: b,},MatchExpressions:[]LabelSelectorRequirement{},}",
                "<unknown>"
            ]),
        ),
        (
            "flowcontrol.apiserver.k8s.io",
            "prioritylevelconfigurations",
            json!({"metadata":{"name":"l"},"spec":{"type":"Limited","limited":{"nominalConcurrencyShares":0,
                "limitResponse":{"queuing":{"queues":8,"handSize":4,"queueLengthLimit":50}}}}}),
            json!(["l", "Limited", 0, 8, 4, 50, "<unknown>"]),
        ),
        (
            "flowcontrol.apiserver.k8s.io",
            "prioritylevelconfigurations",
            json!({"metadata":{"name":"l"},"spec":{"type":"Exempt"}}),
            json!(["l", "Exempt", "<none>", "<none>", "<none>", "<none>", "<unknown>"]),
        ),
        (
            "networking.k8s.io",
            "ipaddresses",
            json!({"metadata":{"name":"1.1.1.1"},"spec":{"parentRef":{"resource":"services","namespace":"n","name":"s"}}}),
            json!(["1.1.1.1", "services/n/s", "<unknown>"]),
        ),
        (
            "networking.k8s.io",
            "ipaddresses",
            json!({"metadata":{"name":"1.1.1.1"},"spec":{"parentRef":{"group":"g.io","resource":"things","name":"t"}}}),
            json!(["1.1.1.1", "things.g.io/t", "<unknown>"]),
        ),
        (
            "networking.k8s.io",
            "ingressclasses",
            json!({"metadata":{"name":"c","annotations":{"ingressclass.kubernetes.io/is-default-class":"true"}},
                "spec":{"controller":"x","parameters":{"apiGroup":"g","kind":"K","name":"n"}}}),
            json!(["c (default)", "x", "K.g/n", "<unknown>"]),
        ),
        (
            "networking.k8s.io",
            "ingresses",
            json!({"metadata":{"name":"i"},"spec":{"rules":[{"host":"a"},{"host":"b"},{"host":"c"},{"host":"d"},{}],"tls":[{}]},
                "status":{"loadBalancer":{"ingress":[{"hostname":"z"},{"ip":"1.1.1.1"}]}}}),
            json!(["i", "<none>", "a,b,c + 2 more...", "1.1.1.1,z", "80, 443", "<unknown>"]),
        ),
        (
            "discovery.k8s.io",
            "endpointslices",
            json!({"metadata":{"name":"e"},"addressType":"IPv4","ports":[{"name":"http"},{}],"endpoints":[]}),
            json!(["e", "IPv4", "http,*", "<unset>", "<unknown>"]),
        ),
        (
            "",
            "resourcequotas",
            json!({"metadata":{"name":"q"},"status":{"hard":{"limits.cpu":"2","pods":"3","cpu":"1","limitsx":"9"},"used":{"pods":"1"}}}),
            json!(["q", "cpu: 0/1, limitsx: 0/9, pods: 1/3", "limits.cpu: 0/2", "<unknown>"]),
        ),
        (
            "",
            "persistentvolumeclaims",
            json!({"metadata":{"name":"c"},"spec":{"volumeName":"v","storageClassName":"s"},"status":{"phase":"Bound"}}),
            json!(["c", "Bound", "v", "0", "", "s", "<unset>", "<unknown>", "<unset>"]),
        ),
        (
            "batch",
            "cronjobs",
            json!({"metadata":{"name":"c"},"spec":{"schedule":"* * * * *","suspend":false}}),
            json!([
                "c",
                "* * * * *",
                "<none>",
                "False",
                0,
                "<none>",
                "<unknown>",
                "",
                "",
                "<none>"
            ]),
        ),
        (
            "",
            "componentstatuses",
            json!({"metadata":{"name":"c"},"conditions":[{"type":"Healthy","status":"Unknown","message":"m","error":"e"}]}),
            json!(["c", "Unhealthy", "m", "e"]),
        ),
        (
            "certificates.k8s.io",
            "certificatesigningrequests",
            json!({"metadata":{"name":"c"},"spec":{"signerName":"s","username":"u","expirationSeconds":3600},
                "status":{"conditions":[{"type":"Approved"},{"type":"Failed"}],"certificate":"eA=="}}),
            json!(["c", "<unknown>", "s", "u", "60m", "Approved,Failed,Issued"]),
        ),
        (
            "apiregistration.k8s.io",
            "apiservices",
            json!({"metadata":{"name":"v1."},"spec":{"groupPriorityMinimum":1},"status":{"conditions":[{"type":"Available","status":"True","reason":"Local"}]}}),
            json!(["v1.", "Local", "True", "<unknown>"]),
        ),
        (
            "apiregistration.k8s.io",
            "apiservices",
            json!({"metadata":{"name":"v1.g"},"spec":{"service":{"namespace":"n","name":"s"}},
                "status":{"conditions":[{"type":"Available","status":"False","reason":"MissingEndpoints"}]}}),
            json!(["v1.g", "n/s", "False (MissingEndpoints)", "<unknown>"]),
        ),
        (
            "apiextensions.k8s.io",
            "customresourcedefinitions",
            json!({"metadata":{"name":"x","creationTimestamp":"2020-01-01T00:00:00Z"}}),
            json!(["x", "2020-01-01T00:00:00Z"]),
        ),
    ] {
        assert_eq!(json!(cells(group, resource, &object)), want, "{resource}");
    }
}

#[test]
fn metrics_of_an_autoscaler_show_what_is_and_what_is_wanted() {
    let spec = |m: &[Value], c: &[Value]| {
        let o = json!({"metadata":{"name":"h"},"spec":{"minReplicas":1,"maxReplicas":5,"metrics":m,
            "scaleTargetRef":{"kind":"Deployment","name":"d"}},"status":{"currentMetrics":c,"currentReplicas":2}});
        let cells = cells("autoscaling", "horizontalpodautoscalers", &o);
        assert_eq!(
            (&cells[1], &cells[4], &cells[5]),
            (&json!("Deployment/d"), &json!(5), &json!(2))
        );
        cells[2].as_str().unwrap().to_owned()
    };
    let cpu =
        json!({"type":"Resource","resource":{"name":"cpu","target":{"type":"Utilization","averageUtilization":80}}});
    let have = json!({"type":"Resource","resource":{"name":"cpu","current":{"averageUtilization":12}}});
    let memory = json!({"type":"Resource","resource":{"name":"memory","target":{"averageValue":"1Gi"}}});
    let auto = json!({"type":"ContainerResource","containerResource":{"name":"cpu","target":{}}});
    let pods = json!({"type":"Pods","pods":{"target":{"averageValue":"10"}}});
    let external = json!({"type":"External","external":{"target":{"averageValue":"10"}}});
    let object = json!({"type":"Object","object":{"target":{"value":"7"}}});
    let object_has = json!({"type":"Object","object":{"current":{"value":"3"}}});
    assert_eq!(spec(&[], &[]), "<none>");
    assert_eq!(spec(std::slice::from_ref(&cpu), &[have]), "cpu: 12%/80%");
    assert_eq!(
        spec(&[cpu.clone(), memory], &[]),
        "cpu: <unknown>/80%, memory: <unknown>/1Gi"
    );
    assert_eq!(spec(&[auto], &[]), "cpu: <unknown>/<auto>");
    assert_eq!(spec(&[pods, external], &[]), "<unknown>/10, <unknown>/10 (avg)");
    assert_eq!(spec(&[object], &[object_has]), "3/7");
    let nothing = json!({"type":"Pods","pods":{"current":{},"target":{}}});
    assert_eq!(
        spec(std::slice::from_ref(&nothing), std::slice::from_ref(&nothing)),
        "<nil>/<nil>"
    );
    assert_eq!(
        spec(&[cpu.clone(), cpu.clone(), cpu], &[]),
        "cpu: <unknown>/80%, cpu: <unknown>/80% + 1 more..."
    );
    assert_eq!(spec(&[json!({"type":"New"})], &[]), "<unknown type>");
}

#[test]
fn external_addresses_of_services() {
    for (spec, status, want) in [
        (json!({"type":"ClusterIP"}), json!({}), "<none>"),
        (
            json!({"type":"ClusterIP","externalIPs":["9.9.9.9","8.8.8.8"]}),
            json!({}),
            "9.9.9.9,8.8.8.8",
        ),
        (json!({"type":"LoadBalancer"}), json!({}), "<pending>"),
        (
            json!({"type":"LoadBalancer","externalIPs":["1.1.1.1"]}),
            json!({"loadBalancer":{"ingress":[{"ip":"5.5.5.5"},{"hostname":"a.b"},{"ip":"5.5.5.5"}]}}),
            "5.5.5.5,a.b,1.1.1.1",
        ),
        (json!({"type":"ExternalName","externalName":"x.y"}), json!({}), "x.y"),
        (json!({}), json!({}), "<unknown>"),
    ] {
        let o = json!({"metadata":{"name":"s"},"spec":spec,"status":status});
        assert_eq!(texts("", "services", &o)[3], want);
    }
}

#[test]
fn selectors_are_sorted_by_key() {
    let s = json!({"matchLabels":{"b":"1"},"matchExpressions":[
        {"key":"a","operator":"In","values":["y","x"]},{"key":"c","operator":"DoesNotExist"},{"key":"d","operator":"Exists"}]});
    assert_eq!(super::cells::selector(Some(&s)), "a in (x,y),b=1,!c,d");
    assert_eq!(super::cells::selector(Some(&json!({}))), "<none>");
    assert_eq!(super::cells::requirements(Some(&json!({}))), "");
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
        assert_eq!(super::cells::human(s), want, "{s}");
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
            json!({"status":{"phase":"Running","containerStatuses":[{"state":{"terminated":{"exitCode":0,"reason":"Completed"}}},
                {"state":{"terminated":{"exitCode":1,"reason":"Error"}}}]},"spec":{"containers":[{},{}]}}),
            "Error",
            "0/2",
        ),
        (
            json!({"status":{"phase":"Running","containerStatuses":[{"state":{"terminated":{"exitCode":0,"reason":"Completed"}}},
                running]},"spec":{"containers":[{},{}]}}),
            "NotReady",
            "1/2",
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
        let c = texts("", "pods", &pod);
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
        (
            "",
            "events",
            json!({"metadata":{"name":"ev"},"reportingInstance":"n1","involvedObject":{"kind":"Pod"}}),
            vec!["<unknown>", "", "", "pod", "", ", n1", "", "<unknown>", "1", "ev"],
        ),
    ] {
        assert_eq!(texts(group, resource, &object), want);
    }
}

#[test]
fn rows_carry_what_include_object_asks_for() {
    let row = resources::find("", "v1", "configmaps").unwrap();
    let object = json!({"kind":"ConfigMap","metadata":{"name":"c"},"data":{"a":"1"}});
    let with = |q: &str| table(row, &[&object], "v1", true, &Query::parse(q));
    assert_eq!(
        with("")["rows"][0]["object"],
        json!({"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":{"name":"c"}})
    );
    assert_eq!(with("includeObject=Object")["rows"][0]["object"], object);
    assert_eq!(with("includeObject=None")["rows"][0]["object"], Value::Null);
    let bookmark = json!({"metadata":{"annotations":{"k8s.io/initial-events-end":"true"}}});
    let marked = table(row, &[&bookmark], "v1", true, &Query::parse("includeObject=None"));
    assert_eq!(marked["rows"][0]["object"]["metadata"], bookmark["metadata"]);
    assert_eq!(with("")["columnDefinitions"][0]["format"], "name");
    assert_eq!(
        table(row, &[], "v1beta1", false, &Query::parse(""))["columnDefinitions"],
        Value::Null
    );
}

#[test]
fn columns_say_what_they_are() {
    let row = resources::find("", "v1", "nodes").unwrap();
    let t = table(row, &[], "v1", true, &Query::parse(""));
    let about = t["columnDefinitions"][0]["description"].as_str().unwrap();
    assert!(about.starts_with("Name must be unique within a namespace."), "{about}");
    assert_eq!(
        t["columnDefinitions"][1],
        json!({"name":"Status","type":"string","format":"","description":"The status of the node","priority":0})
    );
    assert_eq!(
        (
            &t["columnDefinitions"][5]["name"],
            &t["columnDefinitions"][5]["priority"]
        ),
        (&json!("Internal-IP"), &json!(1))
    );
}

#[test]
fn a_scale_has_columns_of_its_own() {
    let scale_object = json!({"kind":"Scale","metadata":{"name":"d","resourceVersion":"7"},"spec":{"replicas":3},"status":{"replicas":2}});
    let t = scale(&scale_object, "v1", &Query::parse(""));
    let names: Vec<&Value> = t["columnDefinitions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| &c["name"])
        .collect();
    assert_eq!(names, ["Name", "Desired", "Available", "Age"]);
    assert_eq!(t["rows"][0]["cells"], json!(["d", 3, 2, "<unknown>"]));
    assert_eq!(t["metadata"]["resourceVersion"], "7");
}
