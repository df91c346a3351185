//! One kind's strategy as data: functions and flags, with the common case filled in.

use apimachinery::field::ErrorList;
use k8s_openapi::Metadata;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::registry::strategy::{Strategy, TypedStrategy};
use crate::request::RequestContext;

/// A field selector's values of one object.
pub(crate) type Fields = Vec<(&'static str, String)>;

/// What is special about the kind `T`. Build it with [`Rules::new`] and struct update syntax.
pub(crate) struct Rules<T: 'static> {
    /// Keeps of the raw object what its type cannot say.
    pub(crate) recall: fn(&Value, &mut T),
    /// Fills defaults.
    pub(crate) default: fn(&mut T),
    /// Before validation of a create.
    pub(crate) prepare_create: fn(&RequestContext, &mut T),
    /// What is wrong with a new object.
    pub(crate) validate_create: fn(&T) -> ErrorList,
    /// Before validation of an update: new, old.
    pub(crate) prepare_update: fn(&RequestContext, &mut T, &T),
    /// What is wrong with an update: new, old.
    pub(crate) validate_update: fn(&T, &T) -> ErrorList,
    /// Whether PUT on a missing object creates it.
    pub(crate) create_on_update: bool,
    /// Whether PUT without resourceVersion overwrites.
    pub(crate) unconditional_update: bool,
    /// Values for field selectors.
    pub(crate) fields: fn(&Value) -> Fields,
    /// Grace period of a deletion, in seconds.
    pub(crate) grace: fn(&Value, Option<i64>) -> Option<i64>,
    /// Texts for `Warning` headers.
    pub(crate) warnings: Warnings<T>,
    /// Rules of the status subresource.
    pub(crate) status: Option<&'static dyn Strategy>,
}

/// When a kind has something to say of a write, and what (upstream `WarningsOnCreate`, `WarningsOnUpdate`).
pub(crate) enum Warnings<T: 'static> {
    /// Nothing, ever.
    Never,
    /// Of a new object only.
    Create(fn(&T) -> Vec<String>),
    /// Of the object, whatever it was before.
    Object(fn(&T) -> Vec<String>),
    /// Of the object and, on an update, what it was.
    Change(fn(&T, Option<&T>) -> Vec<String>),
}

impl<T: 'static> Rules<T> {
    /// Validation only: nothing to default, prepare or select.
    pub(crate) const fn new(create: fn(&T) -> ErrorList, update: fn(&T, &T) -> ErrorList) -> Self {
        Rules {
            recall: |_, _| {},
            default: |_| {},
            prepare_create: |_, _| {},
            validate_create: create,
            prepare_update: |_, _, _| {},
            validate_update: update,
            create_on_update: false,
            unconditional_update: true,
            fields: |_| vec![],
            grace: |_, _| None,
            warnings: Warnings::Never,
            status: None,
        }
    }

    /// Rules of a subresource that only updates.
    pub(crate) const fn updating(
        default: fn(&mut T),
        prepare: fn(&RequestContext, &mut T, &T),
        update: fn(&T, &T) -> ErrorList,
    ) -> Self {
        Rules {
            default,
            prepare_update: prepare,
            ..Rules::new(|_| vec![], update)
        }
    }
}

/// Rules of a kind without a status, whose generation counts the changes of the spec. A kind's spec is its field
/// of that name, which no trait can say.
macro_rules! counted_spec {
    ($create:expr, $update:expr $(,)?) => {
        $crate::registry::strategies::rules::Rules {
            prepare_create: |_, obj| $crate::registry::strategies::rules::first_generation(obj),
            prepare_update: |_, new, old| {
                let changed = $crate::registry::strategies::rules::differ(&new.spec, &old.spec);
                $crate::registry::strategies::rules::next_generation(new, old, changed);
            },
            ..$crate::registry::strategies::rules::Rules::new($create, $update)
        }
    };
}
pub(crate) use counted_spec;

impl<T: SpecStatus + 'static> Rules<T> {
    /// Rules of a kind whose spec is the users', whose status is the controllers', and whose generation
    /// counts the changes of the spec.
    pub(crate) const fn counted(create: fn(&T) -> ErrorList, update: fn(&T, &T) -> ErrorList) -> Self {
        Rules {
            prepare_create: |_, obj| {
                obj.clear_status();
                first_generation(obj);
            },
            prepare_update: |_, new, old| {
                new.keep_status(old);
                let changed = new.spec_differs(old);
                next_generation(new, old, changed);
            },
            ..Rules::new(create, update)
        }
    }

    /// Rules of the status of such a kind: the spec stays, and of the metadata what
    /// [`keep_metadata`] keeps.
    pub(crate) const fn of_status(default: fn(&mut T), update: fn(&T, &T) -> ErrorList) -> Self {
        Rules::updating(
            default,
            |_, new, old| {
                new.keep_spec(old);
                keep_metadata(new, old);
            },
            update,
        )
    }
}

/// A kind in two parts. Implemented by [`spec_status`] from the fields of that name.
pub(crate) trait SpecStatus: Metadata<Ty = ObjectMeta> {
    /// Takes the old object's spec.
    fn keep_spec(&mut self, old: &Self);
    /// Takes the old object's status.
    fn keep_status(&mut self, old: &Self);
    /// Empties the status, which Go always writes.
    fn clear_status(&mut self);
    /// Whether the specs differ in meaning.
    fn spec_differs(&self, old: &Self) -> bool;
}

/// Says of kinds that they have `spec` and `status`.
macro_rules! spec_status {
    ($($kind:ty),* $(,)?) => {$(
        impl $crate::registry::strategies::rules::SpecStatus for $kind {
            fn keep_spec(&mut self, old: &Self) {
                self.spec.clone_from(&old.spec);
            }
            fn keep_status(&mut self, old: &Self) {
                self.status.clone_from(&old.status);
            }
            fn clear_status(&mut self) {
                self.status = Some(Default::default());
            }
            fn spec_differs(&self, old: &Self) -> bool {
                $crate::registry::strategies::rules::differ(&self.spec, &old.spec)
            }
        }
    )*};
}
pub(crate) use spec_status;

impl<T: Serialize + DeserializeOwned + 'static> TypedStrategy for Rules<T> {
    type Object = T;

    fn recall(&self, raw: &Value, obj: &mut T) {
        (self.recall)(raw, obj);
    }
    fn default(&self, obj: &mut T) {
        (self.default)(obj);
    }
    fn prepare_create(&self, ctx: &RequestContext, obj: &mut T) {
        (self.prepare_create)(ctx, obj);
    }
    fn validate_create(&self, _ctx: &RequestContext, obj: &T) -> ErrorList {
        (self.validate_create)(obj)
    }
    fn prepare_update(&self, ctx: &RequestContext, obj: &mut T, old: &T) {
        (self.prepare_update)(ctx, obj, old);
    }
    fn validate_update(&self, _ctx: &RequestContext, obj: &T, old: &T) -> ErrorList {
        (self.validate_update)(obj, old)
    }
    fn warns(&self, update: bool) -> bool {
        match self.warnings {
            Warnings::Never => false,
            Warnings::Create(_) => !update,
            Warnings::Object(_) | Warnings::Change(_) => true,
        }
    }
    fn warnings(&self, obj: &T, old: Option<&T>) -> Vec<String> {
        match self.warnings {
            Warnings::Create(rule) if old.is_none() => rule(obj),
            Warnings::Object(rule) => rule(obj),
            Warnings::Change(rule) => rule(obj, old),
            Warnings::Never | Warnings::Create(_) => vec![],
        }
    }
    fn allow_create_on_update(&self) -> bool {
        self.create_on_update
    }
    fn allow_unconditional_update(&self) -> bool {
        self.unconditional_update
    }
    fn selectable_fields(&self, obj: &Value) -> Fields {
        (self.fields)(obj)
    }
    fn graceful_deletion(&self, obj: &Value, requested: Option<i64>) -> Option<i64> {
        (self.grace)(obj, requested)
    }
    fn status(&self) -> Option<&dyn Strategy> {
        self.status
    }
}

/// The generation of a new object.
pub(crate) fn first_generation<T: Metadata<Ty = ObjectMeta>>(obj: &mut T) {
    obj.metadata_mut().generation = Some(1);
}

/// The generation after an update: one more when what the user wants changed.
pub(crate) fn next_generation<T: Metadata<Ty = ObjectMeta>>(new: &mut T, old: &T, changed: bool) {
    let before = old.metadata().generation;
    new.metadata_mut().generation = if changed { Some(before.unwrap_or(0) + 1) } else { before };
}

/// What a status update may not change of the metadata (upstream `ResetObjectMetaForStatus`).
pub(crate) fn keep_metadata<T: Metadata<Ty = ObjectMeta>>(new: &mut T, old: &T) {
    let (new, old) = (new.metadata_mut(), old.metadata());
    new.labels.clone_from(&old.labels);
    new.annotations.clone_from(&old.annotations);
    new.finalizers.clone_from(&old.finalizers);
    new.owner_references.clone_from(&old.owner_references);
}

/// Whether two parts differ in meaning.
pub(crate) fn differ<T: Serialize + PartialEq>(new: &T, old: &T) -> bool {
    new != old && !api::semantic_equal(new, old)
}

/// A text at a JSON pointer, empty when absent.
pub(crate) fn text_at(obj: &Value, pointer: &str) -> String {
    match obj.pointer(pointer) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Bool(flag)) => flag.to_string(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    }
}

/// A number at a JSON pointer as text, `0` when absent.
pub(crate) fn number_at(obj: &Value, pointer: &str) -> String {
    obj.pointer(pointer).and_then(Value::as_i64).unwrap_or(0).to_string()
}

/// A flag at a JSON pointer as text, `false` when absent.
pub(crate) fn flag_at(obj: &Value, pointer: &str) -> String {
    obj.pointer(pointer)
        .and_then(Value::as_bool)
        .unwrap_or(false)
        .to_string()
}
