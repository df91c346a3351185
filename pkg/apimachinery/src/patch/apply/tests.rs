//! Behaviours of apply, on a small table of its own.
#![allow(clippy::unwrap_used)]

mod migration;
mod ownership;
mod pieces;
mod properties;

use std::sync::LazyLock;

use serde_json::{Value, json};

use super::{FieldManager, Filter, Set, Versions};
use crate::schema::{Schema, TypeId};
use crate::status::ApiError;

/// `Thing` in v1; in v2 `spec.replicas` is `spec.size`.
const TABLE: &str = r#"
meta.v1.ObjectMeta
	annotations 12 {}str
	finalizers 14 []str set
	labels 11 {}str
	managedFields 17 []&meta.v1.Entry
	name 1 str
	namespace 3 str
	ownerReferences 13 []&meta.v1.Owner map=uid
	resourceVersion 6 str
	uid 5 str
meta.v1.ListMeta
	resourceVersion 2 str
meta.v1.Entry
	manager 1 str
	operation 2 str
	apiVersion 3 str
	time 4 time
	fieldsType 6 str
	fieldsV1 7 raw
	subresource 8 str
meta.v1.Owner atomic
	uid 1 str req
	name 2 str req
things.v1.Thing typemeta
	metadata 1 &meta.v1.ObjectMeta always
	spec 2 &things.v1.Spec always
	status 3 &things.v1.Status always
things.v1.Spec
	replicas 1 i32 ptr
	ports 2 []&things.v1.Port map=port,protocol
	containers 3 []&things.v1.Container map=name req
	tags 4 []str set
	args 5 []str
	selector 6 &things.v1.Selector
	free 7 raw
	any 8 any
	strategy 9 &things.v1.Strategy
	paused 10 bool
	limits 11 {}quantity
	match 12 {}str mapType=atomic
	secrets 13 {}bytes
things.v1.Strategy
	type 1 str
	rolling 2 &things.v1.Rolling
things.v1.Rolling
	surge 1 intstr
things.v1.Selector atomic
	labels 1 {}str
	more 2 []str
things.v1.Port
	port 1 i32 req
	protocol 2 str default="TCP"
	name 3 str
	target 4 intstr
things.v1.Container
	name 1 str req
	image 2 str
	env 3 []&things.v1.Env map=name
	args 4 []str
	resources 5 &things.v1.Resources always
things.v1.Resources
	limits 1 {}quantity
things.v1.Env
	name 1 str req
	value 2 str
things.v1.Status
	phase 1 str
	conditions 2 []&things.v1.Condition map=type
things.v1.Condition
	type 1 str req
	status 2 str req
things.v2.Thing typemeta
	metadata 1 &meta.v1.ObjectMeta always
	spec 2 &things.v2.Spec always
things.v2.Spec
	size 1 i32 ptr
	tags 4 []str set
"#;

static SCHEMA: LazyLock<Schema> = LazyLock::new(|| Schema::parse(TABLE).unwrap());

/// The versions of `Thing`, with what a path resets.
#[derive(Default)]
struct Things {
    reset: Option<Filter>,
}

impl Versions for Things {
    fn type_of(&self, api_version: &str) -> Option<TypeId> {
        SCHEMA.kind_of_object(api_version, "Thing")
    }

    fn convert(&self, object: &Value, from: &str, to: &str) -> Value {
        let (old, new) = match (from, to) {
            ("things/v1", "things/v2") => ("replicas", "size"),
            _ => ("size", "replicas"),
        };
        let mut object = object.clone();
        object["apiVersion"] = to.into();
        if let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut)
            && let Some(value) = spec.remove(old)
        {
            spec.insert(new.to_owned(), value);
        }
        object
    }

    fn reset_fields(&self, _api_version: &str) -> Option<&Filter> {
        self.reset.as_ref()
    }
}

/// One object on its way through writes; every write is a second later.
struct Story {
    live: Value,
    versions: Things,
    api_version: &'static str,
    subresource: &'static str,
    second: u32,
}

impl Story {
    fn new() -> Self {
        Self {
            live: json!({}),
            versions: Things::default(),
            api_version: "things/v1",
            subresource: "",
            second: 0,
        }
    }

    fn resetting(mut self, paths: &[&[&str]]) -> Self {
        self.versions.reset = Some(Filter::Exclude(Set::of_fields(paths)));
        self
    }

    fn manager(&self) -> FieldManager<'_> {
        FieldManager {
            schema: &SCHEMA,
            versions: &self.versions,
            api_version: self.api_version,
            kind: "Thing",
            subresource: self.subresource,
        }
    }

    fn now(&mut self) -> String {
        self.second += 1;
        format!("2026-01-01T00:00:{:02}Z", self.second)
    }

    fn object(&self, spec: Value) -> Value {
        json!({"apiVersion": self.api_version, "kind": "Thing", "metadata": {"name": "t", "namespace": "n"}, "spec": spec})
    }

    /// A create or an update by `manager` that leaves this spec.
    fn update(&mut self, manager: &str, spec: Value) {
        let mut new = self.object(spec);
        if let Some(metadata) = self.live.get("metadata") {
            new["metadata"] = metadata.clone();
        }
        self.write(manager, new);
    }

    /// A create or an update by `manager`.
    fn write(&mut self, manager: &str, mut new: Value) {
        let now = self.now();
        let sent = new["metadata"]["managedFields"].take();
        let owners = self.manager();
        let owners = owners.update(&self.live, &new, Some(sent), manager, &now).unwrap();
        crate::meta::set(&mut new, "managedFields", owners.unwrap_or_default());
        crate::meta::set_uid(&mut new, "u");
        self.live = new;
    }

    fn try_apply(&mut self, manager: &str, config: &Value, force: bool) -> Result<(), ApiError> {
        let now = self.now();
        let mut new = self.manager().apply(&self.live, config, manager, force, &now)?;
        crate::meta::set_uid(&mut new, "u");
        self.live = new;
        Ok(())
    }

    fn apply(&mut self, manager: &str, spec: Value) {
        let config = self.object(spec);
        self.try_apply(manager, &config, false).unwrap();
    }

    fn force(&mut self, manager: &str, spec: Value) {
        let config = self.object(spec);
        self.try_apply(manager, &config, true).unwrap();
    }

    fn refused(&mut self, manager: &str, spec: Value) -> ApiError {
        let config = self.object(spec);
        self.try_apply(manager, &config, false).unwrap_err()
    }

    fn spec(&self) -> Value {
        self.live["spec"].clone()
    }

    /// The paths below `.spec` an owner has, a line each; the first owner of this name.
    fn owned(&self, manager: &str) -> Vec<String> {
        let list = self.live["metadata"]["managedFields"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let Some(entry) = list.iter().find(|entry| entry["manager"] == manager) else {
            return vec![];
        };
        let set = Set::from_fields_v1(&entry["fieldsV1"]).unwrap();
        set.to_string().lines().map(|line| line.replace(".spec", "")).collect()
    }

    fn owners(&self) -> Vec<String> {
        let list = self.live["metadata"]["managedFields"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let text = |entry: &Value, field: &str| entry[field].as_str().unwrap_or("-").to_owned();
        list.iter()
            .map(|entry| {
                let time = text(entry, "time");
                let second = time.get(17..19).unwrap_or("-").to_owned();
                format!("{} {} {second}", text(entry, "manager"), text(entry, "operation"))
            })
            .collect()
    }
}
