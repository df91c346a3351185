//! (owner: APISERVER-AUTH) Table rows; name only until the printers are here.

use serde_json::{Value, json};

use crate::request::Query;
use crate::resources::Resource;

/// Objects as a `meta.k8s.io` Table; the caller sets apiVersion and list metadata.
pub(crate) fn table(_row: &Resource, objects: &[&Value], _headers: bool, _query: &Query) -> Value {
    let rows: Vec<Value> = objects
        .iter()
        .map(|o| json!({"cells": [apimachinery::meta::name(o)], "object": {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": apimachinery::meta::metadata(o)}}))
        .collect();
    json!({"kind": "Table", "columnDefinitions": [{"name": "Name", "type": "string", "format": "name", "description": "", "priority": 0}], "rows": rows})
}
