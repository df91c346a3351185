use super::*;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

fn named(name: &str) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.into()),
        namespace: Some("ns".into()),
        resource_version: Some("1".into()),
        ..ObjectMeta::default()
    }
}

fn messages(errs: &ErrorList) -> Vec<String> {
    errs.iter().map(ToString::to_string).collect()
}

#[test]
fn names_are_checked_by_the_rule_of_the_kind() {
    let cases: [(NameRule, &str, bool, bool); 9] = [
        (name_subdomain, "a.b", false, true),
        (name_subdomain, "A", false, false),
        (name_subdomain, "a-", false, false),
        (name_subdomain, "a-", true, true),
        (name_label, "a.b", false, false),
        (name_1035_label, "1a", false, false),
        (name_path_segment, "system:node", false, true),
        (name_path_segment, "..", false, false),
        (name_path_segment, "a/b", false, false),
    ];
    for (rule, name, prefix, ok) in cases {
        assert_eq!(rule(name, prefix).is_empty(), ok, "{name} {prefix}");
    }
}

#[test]
fn new_objects_need_a_name_and_the_right_namespace() {
    let mut meta = named("x");
    assert!(create(&meta, true, name_subdomain).is_empty());
    assert_eq!(
        messages(&create(&meta, false, name_subdomain)),
        ["metadata.namespace: Forbidden: not allowed on this type"]
    );
    meta.name = None;
    meta.namespace = None;
    assert_eq!(
        messages(&create(&meta, true, name_subdomain)),
        [
            "metadata.name: Required value: name or generateName is required",
            "metadata.namespace: Required value"
        ]
    );
}

#[test]
fn identity_does_not_change_in_an_update() {
    let old = ObjectMeta {
        uid: Some("u1".into()),
        ..named("x")
    };
    let new = ObjectMeta {
        resource_version: None,
        ..named("y")
    };
    assert_eq!(
        messages(&update(&new, &old)),
        [
            "metadata.resourceVersion: Invalid value: \"\": must be specified for an update",
            "metadata.name: Invalid value: \"y\": field is immutable",
            "metadata.uid: Invalid value: \"\": field is immutable",
        ]
    );
}

#[test]
fn finalizers_cannot_be_added_to_a_dying_object() {
    let old = ObjectMeta {
        deletion_timestamp: Some(Time(k8s_openapi::jiff::Timestamp::UNIX_EPOCH)),
        finalizers: Some(vec!["a.io/x".into()]),
        ..named("x")
    };
    let mut new = old.clone();
    assert!(update(&new, &old).is_empty());
    new.finalizers = Some(vec!["a.io/x".into(), "b.io/y".into()]);
    assert_eq!(
        messages(&update(&new, &old)),
        [
            "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{\"b.io/y\"}"
        ]
    );
}

#[test]
fn only_one_controller_reference_is_allowed() {
    let reference = |name: &str| OwnerReference {
        api_version: "apps/v1".into(),
        kind: "ReplicaSet".into(),
        name: name.into(),
        uid: name.into(),
        controller: Some(true),
        block_owner_deletion: None,
    };
    let meta = ObjectMeta {
        owner_references: Some(vec![reference("a"), reference("b")]),
        ..named("x")
    };
    let errs = create(&meta, true, name_subdomain);
    assert_eq!(errs.len(), 1);
    assert!(
        errs[0]
            .to_string()
            .ends_with("in references for ReplicaSet/a and ReplicaSet/b"),
        "{}",
        errs[0]
    );
}

#[test]
fn finalizers_without_domain_must_be_known() {
    let meta = ObjectMeta {
        finalizers: Some(vec!["kubernetes".into(), "mine".into()]),
        ..named("x")
    };
    assert_eq!(
        messages(&create(&meta, true, name_subdomain)),
        [
            "metadata.finalizers[1]: Invalid value: \"mine\": name is neither a standard finalizer name nor is it fully qualified"
        ]
    );
}

#[test]
fn owners_are_shown_as_go_writes_them_and_have_a_version() {
    let owner = |version: &str, kind: &str| OwnerReference {
        api_version: version.into(),
        kind: kind.into(),
        name: "o".into(),
        uid: "u".into(),
        controller: Some(false),
        block_owner_deletion: None,
    };
    for (version, kind, want) in [
        ("v1", "Pod", None),
        ("/v1", "Pod", None),
        (
            "a/b/c",
            "Pod",
            Some("metadata.ownerReferences.apiVersion: Invalid value: \"a/b/c\": version must not be empty"),
        ),
        (
            "v1",
            "Event",
            Some(
                r#"metadata.ownerReferences: Invalid value: {"apiVersion":"v1","kind":"Event","name":"o","uid":"u","controller":false}: /v1, Kind=Event is disallowed from being an owner"#,
            ),
        ),
    ] {
        let meta = ObjectMeta {
            owner_references: Some(vec![owner(version, kind)]),
            ..named("x")
        };
        assert_eq!(
            messages(&created(&meta, true)).first().map(String::as_str),
            want,
            "{version} {kind}"
        );
    }
}

#[test]
fn every_kind_has_a_name_that_fits_a_path_and_says_so_once_per_rule() {
    let meta = ObjectMeta {
        generate_name: Some("..".into()),
        ..named("a/b")
    };
    assert_eq!(
        messages(&created(&meta, true)),
        ["metadata.name: Invalid value: \"a/b\": may not contain '/'"]
    );
    assert_eq!(
        messages(&create(&meta, true, name_path_segment))[0],
        "metadata.generateName: Invalid value: \"..\": may not be '..'"
    );
    // An update asks for the metadata as of a new object, then for what may not change.
    assert_eq!(
        messages(&changed(&meta, &named("x"), true)),
        [
            "metadata.name: Invalid value: \"a/b\": may not contain '/'",
            "metadata.name: Invalid value: \"a/b\": field is immutable"
        ]
    );
}

#[test]
fn entries_of_managed_fields_are_checked() {
    let meta = ObjectMeta {
        managed_fields: Some(vec![ManagedFieldsEntry {
            operation: Some("<".into()),
            fields_type: Some("FieldsV2".into()),
            manager: Some("m\u{1}".into()),
            subresource: Some("s".repeat(257)),
            ..ManagedFieldsEntry::default()
        }]),
        ..named("x")
    };
    assert_eq!(
        messages(&created(&meta, true)),
        [
            "metadata.managedFields[0].operation: Invalid value: \"\\u003c\": must be `Apply` or `Update`",
            "metadata.managedFields[0].fieldsType: Invalid value: \"FieldsV2\": must be `FieldsV1`",
            "metadata.managedFields[0].manager: Invalid value: \"m\\x01\": invalid character U+0001 (at position 1)",
            "metadata.managedFields[0].subresource: Too long: may not be more than 256 bytes",
        ]
    );
}
