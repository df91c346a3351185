//! Events (pkg/registry/core/event/strategy.go), in their core form, for both groups.

use api::core::v1::defaults;
use api::events::v1::validation;
use apimachinery::field::ErrorList;
use k8s_openapi::api::core::v1::Event;
use serde_json::Value;

use crate::registry::strategies::rules::{Fields, text_at};
use crate::registry::strategy::{Typed, TypedStrategy};
use crate::request::RequestContext;

/// Events.
pub(crate) static STRATEGY: Typed<Events> = Typed(Events);

/// What comes by way of events.k8s.io is checked more strictly.
pub(crate) struct Events;

impl TypedStrategy for Events {
    type Object = Event;

    fn default(&self, obj: &mut Event) {
        defaults::event(obj);
    }
    fn validate_create(&self, ctx: &RequestContext, obj: &Event) -> ErrorList {
        validation::event_create(obj, is_strict(ctx))
    }
    fn validate_update(&self, ctx: &RequestContext, obj: &Event, old: &Event) -> ErrorList {
        validation::event_update(obj, old, is_strict(ctx))
    }
    fn allow_create_on_update(&self) -> bool {
        true
    }
    fn selectable_fields(&self, obj: &Value) -> Fields {
        fields(obj)
    }
}

/// `requestGroupVersion`: the group the request names.
fn is_strict(ctx: &RequestContext) -> bool {
    ctx.info.api_group == "events.k8s.io"
}

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
