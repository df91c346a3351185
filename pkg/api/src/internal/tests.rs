use serde_json::{Value, json};

use super::*;

/// What `json.Marshal` and `diff.Diff` of v1.36 say of the same parts.
#[test]
fn parts_are_shown_with_gos_names_and_everything_unset() {
    let cases: [(&str, Value, &str); 6] = [
        (
            "core.Taint",
            json!({"key": "a", "effect": "NoSchedule"}),
            r#"{"Key":"a","Value":"","Effect":"NoSchedule","TimeAdded":null}"#,
        ),
        (
            "rbac.RoleRef",
            json!({"apiGroup": "g", "kind": "<K>", "name": "n"}),
            r#"{"APIGroup":"g","Kind":"\u003cK\u003e","Name":"n"}"#,
        ),
        (
            "core.ResourceRequirements",
            json!({"requests": {"cpu": "1000m"}}),
            r#"{"Limits":null,"Requests":{"cpu":"1"},"Claims":null}"#,
        ),
        (
            "meta.LabelSelector",
            json!({"matchExpressions": [{"operator": "Exists", "key": "a"}], "matchLabels": {"a": "b"}}),
            r#"{"matchLabels":{"a":"b"},"matchExpressions":[{"key":"a","operator":"Exists"}]}"#,
        ),
        ("[]core.Toleration", json!([]), "null"),
        (
            "core.Volume",
            json!({"name": "v", "emptyDir": {}}),
            concat!(
                r#"{"Name":"v","HostPath":null,"EmptyDir":{"Medium":"","SizeLimit":null},"GCEPersistentDisk":null,"#,
                r#""AWSElasticBlockStore":null,"GitRepo":null,"Secret":null,"NFS":null,"ISCSI":null,"Glusterfs":null,"#,
                r#""PersistentVolumeClaim":null,"RBD":null,"Quobyte":null,"FlexVolume":null,"Cinder":null,"CephFS":null,"#,
                r#""Flocker":null,"DownwardAPI":null,"FC":null,"AzureFile":null,"ConfigMap":null,"VsphereVolume":null,"#,
                r#""AzureDisk":null,"PhotonPersistentDisk":null,"Projected":null,"PortworxVolume":null,"ScaleIO":null,"#,
                r#""StorageOS":null,"CSI":null,"Ephemeral":null,"Image":null}"#
            ),
        ),
    ];
    for (kind, part, want) in cases {
        assert_eq!(text(kind, &part), want, "{kind}");
    }
}

#[test]
fn a_pods_network_stands_in_its_security_context() {
    let shown = text("core.PodSpec", &json!({"hostNetwork": true, "containers": []}));
    assert!(
        shown.contains(r#""SecurityContext":{"HostNetwork":true,"HostPID":false,"#),
        "{shown}"
    );
    assert!(
        shown.starts_with(r#"{"Volumes":null,"InitContainers":null,"Containers":null,"#),
        "{shown}"
    );
}

#[test]
fn differences_have_three_lines_around_them() {
    let toleration = |value: &str| json!({"key": "k", "operator": "Equal", "value": value, "effect": "NoExecute"});
    let got = difference("core.Toleration", &toleration("a"), &toleration("b"));
    let want = "@@ -1,7 +1,7 @@\n {\n  \"Key\": \"k\",\n  \"Operator\": \"Equal\",\n- \"Value\": \"a\",\n+ \"Value\": \"b\",\n  \"Effect\": \"NoExecute\",\n  \"TolerationSeconds\": null\n }\n";
    assert_eq!(got, want);
}

/// Every type a field names is in the table, and so is every type that a rule shows.
#[test]
fn the_table_is_closed() {
    fn named<'a>(kind: &'a Kind, out: &mut Vec<&'a str>) {
        match kind {
            Kind::Pointer(inner) | Kind::List(inner) | Kind::Map(inner) => named(inner, out),
            Kind::Struct(name) => out.push(name),
            Kind::Plain(_) | Kind::Quantity | Kind::Either(_) => {}
        }
    }
    let mut names = vec![];
    for field in TYPES.values().flatten() {
        named(&field.kind, &mut names);
    }
    let missing: Vec<_> = names.into_iter().filter(|n| !TYPES.contains_key(n)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
