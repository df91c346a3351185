//! Kinds without rules of their own: metadata, the split of spec and status, the generation.

use apimachinery::field::{Error, ErrorList, Path};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Deserialize;
use serde_json::Value;

use crate::registry::strategy::Strategy;
use crate::request::RequestContext;

/// The main resource.
pub(crate) struct Generic {
    /// Whether the kind counts generations.
    pub(crate) generation: bool,
    /// Whether PUT without resourceVersion overwrites.
    pub(crate) unconditional_update: bool,
    /// How names are checked.
    pub(crate) name: api::meta::NameRule,
}

/// Its status.
pub(crate) struct GenericStatus;

impl Strategy for Generic {
    fn prepare_for_create(&self, _ctx: &RequestContext, obj: &mut Value) {
        if let Some(map) = obj.as_object_mut() {
            map.remove("status");
        }
        if self.generation {
            set_generation(obj, 1);
        }
    }

    fn validate_create(&self, _ctx: &RequestContext, obj: &Value) -> ErrorList {
        match metadata(obj) {
            Ok(meta) => {
                let namespaced = meta.namespace.as_ref().is_some_and(|n| !n.is_empty());
                api::meta::create(&meta, namespaced, self.name)
            }
            Err(e) => vec![e],
        }
    }

    fn prepare_for_update(&self, _ctx: &RequestContext, obj: &mut Value, old: &Value) {
        keep(obj, old, "status");
        if self.generation {
            let before = old.pointer("/metadata/generation").and_then(Value::as_i64).unwrap_or(0);
            let changed = content(obj) != content(old);
            set_generation(obj, if changed { before + 1 } else { before.max(1) });
        }
    }

    fn validate_update(&self, _ctx: &RequestContext, obj: &Value, old: &Value) -> ErrorList {
        validate_update(obj, old)
    }

    fn allow_unconditional_update(&self) -> bool {
        self.unconditional_update
    }

    fn status(&self) -> Option<&dyn Strategy> {
        Some(&GenericStatus)
    }
}

impl Strategy for GenericStatus {
    fn validate_create(&self, _ctx: &RequestContext, _obj: &Value) -> ErrorList {
        vec![]
    }

    fn prepare_for_update(&self, _ctx: &RequestContext, obj: &mut Value, old: &Value) {
        // Everything but status and metadata stays.
        let fields: Vec<String> = [&*obj, old]
            .into_iter()
            .filter_map(Value::as_object)
            .flat_map(|map| map.keys().cloned())
            .filter(|k| k != "status" && k != "metadata")
            .collect();
        for field in fields {
            keep(obj, old, &field);
        }
    }

    fn validate_update(&self, _ctx: &RequestContext, obj: &Value, old: &Value) -> ErrorList {
        validate_update(obj, old)
    }
}

fn metadata(obj: &Value) -> Result<ObjectMeta, Error> {
    let empty = Value::Object(serde_json::Map::new());
    ObjectMeta::deserialize(obj.get("metadata").unwrap_or(&empty))
        .map_err(|e| Error::internal(&Path::new("metadata"), e.to_string()))
}

fn validate_update(obj: &Value, old: &Value) -> ErrorList {
    match (metadata(obj), metadata(old)) {
        (Ok(new), Ok(old)) => api::meta::update(&new, &old),
        (Err(e), _) | (_, Err(e)) => vec![e],
    }
}

/// What the user wants: all fields but status and metadata.
fn content(obj: &Value) -> Vec<(&String, &Value)> {
    let fields = obj.as_object().into_iter().flatten();
    fields.filter(|(k, _)| *k != "status" && *k != "metadata").collect()
}

fn keep(obj: &mut Value, old: &Value, field: &str) {
    let Some(map) = obj.as_object_mut() else { return };
    match old.get(field) {
        Some(value) => {
            map.insert(field.to_string(), value.clone());
        }
        None => {
            map.remove(field);
        }
    }
}

fn set_generation(obj: &mut Value, generation: i64) {
    if let Some(meta) = obj.get_mut("metadata").and_then(Value::as_object_mut) {
        meta.insert("generation".to_string(), Value::from(generation));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const RULES: Generic = Generic {
        generation: true,
        unconditional_update: true,
        name: api::meta::name_subdomain,
    };

    #[test]
    fn spec_changes_count_and_status_has_its_own_door() {
        let ctx = RequestContext::internal();
        let mut obj = json!({"metadata": {"name": "x"}, "spec": {"a": 1}, "status": {"b": 1}});
        RULES.prepare_for_create(&ctx, &mut obj);
        assert_eq!(
            obj,
            json!({"metadata": {"name": "x", "generation": 1}, "spec": {"a": 1}})
        );
        let mut new = obj.clone();
        new["spec"]["a"] = json!(2);
        new["status"] = json!({"b": 2});
        let mut main = new.clone();
        RULES.prepare_for_update(&ctx, &mut main, &obj);
        assert_eq!(
            main,
            json!({"metadata": {"name": "x", "generation": 2}, "spec": {"a": 2}})
        );
        GenericStatus.prepare_for_update(&ctx, &mut new, &obj);
        assert_eq!(
            new,
            json!({"metadata": {"name": "x", "generation": 1}, "spec": {"a": 1}, "status": {"b": 2}})
        );
    }
}
