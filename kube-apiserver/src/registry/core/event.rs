//! Events (pkg/registry/core/event/strategy.go), in their core form.

use api::core::v1::{defaults, validation};
use k8s_openapi::api::core::v1::Event;
use serde_json::Value;

use crate::registry::strategies::rules::{Fields, Rules, text_at};
use crate::registry::strategy::Typed;

/// Events.
pub(crate) static STRATEGY: Typed<Rules<Event>> = Typed(Rules {
    default: defaults::event,
    create_on_update: true,
    fields,
    ..Rules::new(validation::event_create, |new, _| validation::event_create(new))
});

/// `ToSelectableFields`; the source falls back to the reporting component.
fn fields(obj: &Value) -> Fields {
    let source = match text_at(obj, "/source/component") {
        source if source.is_empty() => text_at(obj, "/reportingComponent"),
        source => source,
    };
    vec![
        ("involvedObject.kind", text_at(obj, "/involvedObject/kind")),
        ("involvedObject.namespace", text_at(obj, "/involvedObject/namespace")),
        ("involvedObject.name", text_at(obj, "/involvedObject/name")),
        ("involvedObject.uid", text_at(obj, "/involvedObject/uid")),
        ("involvedObject.apiVersion", text_at(obj, "/involvedObject/apiVersion")),
        (
            "involvedObject.resourceVersion",
            text_at(obj, "/involvedObject/resourceVersion"),
        ),
        ("involvedObject.fieldPath", text_at(obj, "/involvedObject/fieldPath")),
        ("reason", text_at(obj, "/reason")),
        ("reportingComponent", text_at(obj, "/reportingComponent")),
        ("source", source),
        ("type", text_at(obj, "/type")),
    ]
}
