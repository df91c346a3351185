#![allow(clippy::unwrap_used)]
use super::*;

const TABLE: &str = r#"
# a comment
meta.v1.ObjectMeta
	name 1 str
	finalizers 14 []str set patch=merge
meta.v1.ListMeta
	resourceVersion 2 str
meta.v1.Status typemeta
	code 6 i32
rbac.v1.Role typemeta
	metadata 1 &meta.v1.ObjectMeta
	spec 2 &rbac.v1.Spec
rbac.v1.Spec atomic
	items 1 []&rbac.v1.Spec map=a,b patch=merge,retainKeys:a
	limits 2 {}quantity mapType=atomic
	inner 3.1 str default="x" enum=A|B
	other 3.2 i64 ptr req
	loose - any
"#;

#[test]
fn facts_are_read() {
    let schema = Schema::parse(TABLE).unwrap();
    let spec = schema.get("rbac.v1.Spec").unwrap();
    assert!(spec.atomic && !spec.type_meta);
    assert_eq!((spec.struct_name(), spec.go_name()), ("Spec", "v1.Spec"));
    let items = spec.field("items").unwrap();
    assert_eq!(items.list_type, ListType::Map(["a".into(), "b".into()].into()));
    let patch = Patch {
        merge: true,
        retain_keys: true,
        replace: false,
        key: Some("a".into()),
    };
    assert_eq!(items.patch, patch);
    assert_eq!(items.struct_type(), schema.id("rbac.v1.Spec"));
    let inner = spec.field("inner").unwrap();
    assert_eq!((inner.tags.as_ref(), inner.allowed.len()), ([3, 1].as_slice(), 2));
    assert_eq!(inner.default, Some("x".into()));
    assert!(spec.field("other").unwrap().pointer && spec.field("other").unwrap().required);
    assert!(spec.field("Inner").is_none());
}

#[test]
fn kinds_are_found_by_group_and_lists_are_implied() {
    let schema = Schema::parse(TABLE).unwrap();
    let role = schema.kind_of("rbac.authorization.k8s.io", "v1", "Role").unwrap();
    assert_eq!(schema[role].name.as_ref(), "rbac.v1.Role");
    let list = schema
        .kind_of_object("rbac.authorization.k8s.io/v1", "RoleList")
        .unwrap();
    assert_eq!(schema[list].field("items").unwrap().struct_type(), Some(role));
    assert_eq!(schema.kind_of_object("v1", "Status"), schema.id("meta.v1.Status"));
    assert_eq!(schema.kind_of_object("v1", "Spec"), None);
}

#[test]
fn wrong_tables_are_refused() {
    for (text, what) in [
        ("\ta 1 str", "before any type"),
        ("t\n\ta 1", "needs a name"),
        ("t\n\ta 0 str", "bad tag path"),
        ("t\n\ta 1 &u", "unknown type"),
        ("t\n\ta 1 str huh", "unknown word"),
        ("t\n\ta 1 str\n\tb 1 str", "used twice"),
        ("t\n\ta 1 str\n\tb 1.2 str", "both a field"),
        ("t\nt", "occurs twice"),
    ] {
        let error = Schema::parse(text).unwrap_err().to_string();
        assert!(error.contains(what), "{text:?}: {error}");
    }
}
