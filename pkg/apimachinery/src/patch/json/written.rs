//! The empty structs that Go writes on the way to a place.

use serde_json::{Map, Value};

use super::position;
use crate::schema::{Schema, Shape, TypeId};

/// Makes the structs on a path that are missing in the object and present in Go's JSON.
pub(super) fn structs(schema: &Schema, ty: TypeId, target: &mut Value, path: &[String]) {
    let (mut ty, mut at) = (ty, target);
    let mut steps = path.iter();
    while let (Some(step), Value::Object(map)) = (steps.next(), at) {
        let Some(field) = schema[ty].field(step) else { return };
        let Some(inner) = field.struct_type() else { return };
        if (field.always || field.required) && matches!(field.shape, Shape::Single) {
            map.entry(step.as_str()).or_insert_with(|| Value::Object(Map::new()));
        }
        let Some(mut next) = map.get_mut(step) else { return };
        if !matches!(field.shape, Shape::Single) {
            let element = steps.next().and_then(|step| match next {
                Value::Array(list) => position(step, list.len()).ok().and_then(|at| list.get_mut(at)),
                Value::Object(map) => map.get_mut(step),
                _ => None,
            });
            match element {
                Some(element) => next = element,
                None => return,
            }
        }
        (ty, at) = (inner, next);
    }
}
