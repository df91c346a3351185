//! What stays of an object.

use apimachinery::schema::{Schema, Shape, TypeId};
use serde_json::json;

use super::*;

/// The object that is written over `old`.
fn written(gates: &Gates, group: &str, resource: &str, old: Option<&Value>, obj: &Value) -> Value {
    let mut obj = obj.clone();
    gates.dropped(group, resource).apply(&mut obj, old);
    obj
}

#[test]
fn fields_of_gates_that_are_off_are_dropped_unless_they_are_in_use() {
    let cases = [
        (
            ("", "pods"),
            json!({"spec": {"schedulingGroup": {"podGroupName": "g"}, "hostname": "h"}}),
            json!({"spec": {"hostname": "h"}}),
        ),
        (
            ("", "pods"),
            json!({"spec": {"containers": [
                {"name": "a", "lifecycle": {"stopSignal": "SIGTERM"}},
                {"name": "b", "lifecycle": {"stopSignal": "SIGTERM", "preStop": {}}}]}}),
            json!({"spec": {"containers": [{"name": "a"}, {"name": "b", "lifecycle": {"preStop": {}}}]}}),
        ),
        (
            ("batch", "cronjobs"),
            json!({"spec": {"jobTemplate": {"spec": {"template": {"spec": {"volumes": [{"projected": {"sources": [
                {"podCertificate": {"keyType": "RSA"}}, {"configMap": {"name": "m"}}]}}]}}}}}}),
            json!({"spec": {"jobTemplate": {"spec": {"template": {"spec": {"volumes": [{"projected": {"sources": [
                {}, {"configMap": {"name": "m"}}]}}]}}}}}}),
        ),
        (
            ("apps", "statefulsets"),
            json!({"spec": {"updateStrategy": {"rollingUpdate": {"partition": 0, "maxUnavailable": 2}}}}),
            json!({"spec": {"updateStrategy": {"rollingUpdate": {"partition": 0}}}}),
        ),
        (
            ("", "persistentvolumeclaims"),
            json!({"spec": {"dataSourceRef": {"kind": "K", "name": "n", "namespace": "other"}}}),
            json!({"spec": {}}),
        ),
        (
            ("", "nodes"),
            json!({"spec": {"configSource": {}}}),
            json!({"spec": {}}),
        ),
        (
            ("resource.k8s.io", "resourceslices"),
            json!({"spec": {"devices": [{"attributes": {"a": {"bools": [true]}, "b": {"int": 1}}, "nodeAllocatableResourceMappings": {"x": {}}}]}}),
            json!({"spec": {"devices": [{"attributes": {"a": {}, "b": {"int": 1}}}]}}),
        ),
    ];
    let defaults = Gates::default();
    for ((group, resource), obj, left) in cases {
        let fresh = json!({"spec": {}});
        assert_eq!(written(&defaults, group, resource, None, &obj), left, "new {resource}");
        assert_eq!(
            written(&defaults, group, resource, Some(&fresh), &obj),
            left,
            "not in use in {resource}"
        );
        assert_eq!(
            written(&defaults, group, resource, Some(&obj), &obj),
            obj,
            "in use in {resource}"
        );
        assert_eq!(
            written(&defaults, "other.example", resource, None, &obj),
            obj,
            "another {resource}"
        );
    }
}

#[test]
fn a_source_in_the_same_namespace_stays_and_another_replaces_any() {
    let near = json!({"spec": {"dataSourceRef": {"kind": "K", "name": "n"}}});
    let far = json!({"spec": {"dataSourceRef": {"kind": "K", "name": "n", "namespace": "other"}}});
    let claims = |old, obj| written(&Gates::default(), "", "persistentvolumeclaims", old, obj);
    assert_eq!(claims(None, &near), near);
    assert_eq!(claims(Some(&near), &far), far, "the old object has a source already");
}

#[test]
fn gates_are_turned_on_and_off() {
    let obj = json!({"spec": {"hostnameOverride": "h", "schedulingGroup": {}}});
    let pods = |gates: Gates| written(&gates, "", "pods", None, &obj);
    assert_eq!(pods(Gates::default()), json!({"spec": {"hostnameOverride": "h"}}));
    assert_eq!(pods(Gates::new(|_| true)), obj);
    assert_eq!(pods(Gates::new(|_| false)), json!({"spec": {}}));
    assert_eq!(
        pods(Gates::new(|gate| gate == "GenericWorkload")),
        json!({"spec": {"schedulingGroup": {}}})
    );
    let config = json!({"spec": {"configSource": {}}});
    let left = written(&Gates::new(|_| true), "", "nodes", None, &config);
    assert_eq!(left, json!({"spec": {}}), "nothing brings a removed feature back");
}

#[test]
fn every_gate_that_is_off_has_a_row() {
    for gate in OFF.iter().chain([&REMOVED]) {
        assert!(FIELDS.iter().any(|(name, ..)| name == gate), "{gate}");
    }
}

#[test]
fn every_path_is_one_of_the_schema() {
    let schema = crate::schema();
    for (gate, place, paths) in &FIELDS {
        let (group, resource, prefix) = match place {
            PodSpec => ("", "pods", "spec"),
            Object(group, resources) => (*group, resources.split('|').next().unwrap_or(resources), ""),
        };
        let (version, kind) = match resource {
            "pods" => ("v1", "Pod"),
            "persistentvolumeclaims" => ("v1", "PersistentVolumeClaim"),
            "nodes" => ("v1", "Node"),
            "leases" => ("v1", "Lease"),
            "deployments" => ("v1", "Deployment"),
            "statefulsets" => ("v1", "StatefulSet"),
            "horizontalpodautoscalers" => ("v2", "HorizontalPodAutoscaler"),
            "csidrivers" => ("v1", "CSIDriver"),
            "deviceclasses" => ("v1", "DeviceClass"),
            "resourceclaims" => ("v1", "ResourceClaim"),
            "resourceslices" => ("v1", "ResourceSlice"),
            other => panic!("{other}"),
        };
        let id = schema.kind_of(group, version, kind).unwrap_or_else(|| panic!("{kind}"));
        for path in *paths {
            let path: Vec<&str> = prefix
                .split('.')
                .filter(|p| !p.is_empty())
                .chain(path.split('.'))
                .collect();
            assert!(leads_somewhere(schema, id, &path), "{gate}: {path:?}");
        }
    }
}

fn leads_somewhere(schema: &Schema, id: TypeId, path: &[&str]) -> bool {
    let Some((segment, rest)) = path.split_first() else {
        return true;
    };
    let (segment, inner) = segment.split_once('=').unwrap_or((segment, ""));
    names(segment).all(|name| {
        let Some(field) = schema[id].field(name) else {
            return false;
        };
        let rest = match (field.shape, rest) {
            (Shape::Single, rest) => rest,
            (_, ["*", rest @ ..]) => rest,
            (_, rest) => return rest.is_empty(),
        };
        match field.struct_type() {
            Some(id) if inner.is_empty() => leads_somewhere(schema, id, rest),
            Some(id) => schema[id].field(inner).is_some(),
            None => rest.is_empty(),
        }
    })
}
