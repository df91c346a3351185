//! What is special about one kind. Generic create, read, update and delete live in `store.rs`.

mod given_empty;
mod zero_times;

use apimachinery::field::{Error, ErrorList, Path};
use serde::Deserialize as _;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::request::RequestContext;

/// What a kind's rules say of a write.
pub(crate) struct Checked {
    /// All that is wrong with it.
    pub(crate) errors: ErrorList,
    /// Texts for `Warning` headers; none when there are errors.
    pub(crate) warnings: Vec<String>,
}

impl Checked {
    /// Warnings are asked for only when the write is right.
    fn new(errors: ErrorList, warnings: impl FnOnce() -> Vec<String>) -> Self {
        let warnings = if errors.is_empty() { warnings() } else { vec![] };
        Checked { errors, warnings }
    }
}

/// The rules of one kind, called by the generic store at fixed points. Objects are JSON values in
/// the served version the request used.
pub(crate) trait Strategy: Send + Sync {
    /// Fills defaults: on client bodies and on objects read from storage.
    fn default(&self, _obj: &mut Value) {}
    /// Before validation of a create: reset status, drop disabled fields, set generation.
    fn prepare_for_create(&self, _ctx: &RequestContext, _obj: &mut Value) {}
    /// All that is wrong with a new object.
    fn validate_create(&self, ctx: &RequestContext, obj: &Value) -> ErrorList;
    /// Before validation of an update: keep what this path may not change, bump generation.
    fn prepare_for_update(&self, _ctx: &RequestContext, _obj: &mut Value, _old: &Value) {}
    /// All that is wrong with an update.
    fn validate_update(&self, ctx: &RequestContext, obj: &Value, old: &Value) -> ErrorList;
    /// Texts for `Warning` headers; `old` is there on updates.
    fn warnings(&self, _obj: &Value, _old: Option<&Value>) -> Vec<String> {
        vec![]
    }
    /// All of a create: prepared, then checked.
    fn create(&self, ctx: &RequestContext, obj: &mut Value) -> Checked {
        self.prepare_for_create(ctx, obj);
        Checked::new(self.validate_create(ctx, obj), || self.warnings(obj, None))
    }
    /// All of an update: prepared, then checked.
    fn update(&self, ctx: &RequestContext, obj: &mut Value, old: &Value) -> Checked {
        self.prepare_for_update(ctx, obj, old);
        Checked::new(self.validate_update(ctx, obj, old), || self.warnings(obj, Some(old)))
    }
    /// Whether PUT on a missing object creates it.
    fn allow_create_on_update(&self) -> bool {
        false
    }
    /// Whether PUT without resourceVersion overwrites.
    fn allow_unconditional_update(&self) -> bool {
        true
    }
    /// Values for field selectors, besides metadata.name and metadata.namespace.
    fn selectable_fields(&self, _obj: &Value) -> Vec<(&'static str, String)> {
        vec![]
    }
    /// `Some(seconds)`: deletion marks the object and waits for the grace period (pods).
    fn graceful_deletion(&self, _obj: &Value, _requested: Option<i64>) -> Option<i64> {
        None
    }
    /// Strategy of the /status subresource.
    fn status(&self) -> Option<&dyn Strategy> {
        None
    }
}

/// [`Strategy`] on a k8s-openapi type; wrap it in [`Typed`].
pub(crate) trait TypedStrategy: Send + Sync {
    /// The k8s-openapi type.
    type Object: Serialize + DeserializeOwned;

    /// Keeps of the raw object what its type cannot say, such as that something empty was given.
    fn recall(&self, _raw: &Value, _obj: &mut Self::Object) {}
    /// See [`Strategy::default`].
    fn default(&self, _obj: &mut Self::Object) {}
    /// See [`Strategy::prepare_for_create`].
    fn prepare_create(&self, _ctx: &RequestContext, _obj: &mut Self::Object) {}
    /// See [`Strategy::validate_create`].
    fn validate_create(&self, ctx: &RequestContext, obj: &Self::Object) -> ErrorList;
    /// See [`Strategy::prepare_for_update`].
    fn prepare_update(&self, _ctx: &RequestContext, _obj: &mut Self::Object, _old: &Self::Object) {}
    /// See [`Strategy::validate_update`].
    fn validate_update(&self, ctx: &RequestContext, obj: &Self::Object, old: &Self::Object) -> ErrorList;
    /// Whether there are warnings at all, so that others need not be decoded for them.
    fn warns(&self, _update: bool) -> bool {
        false
    }
    /// See [`Strategy::warnings`].
    fn warnings(&self, _obj: &Self::Object, _old: Option<&Self::Object>) -> Vec<String> {
        vec![]
    }
    /// See [`Strategy::allow_create_on_update`].
    fn allow_create_on_update(&self) -> bool {
        false
    }
    /// See [`Strategy::allow_unconditional_update`].
    fn allow_unconditional_update(&self) -> bool {
        true
    }
    /// See [`Strategy::selectable_fields`]; on the raw value, because it runs on every list.
    fn selectable_fields(&self, _obj: &Value) -> Vec<(&'static str, String)> {
        vec![]
    }
    /// See [`Strategy::graceful_deletion`].
    fn graceful_deletion(&self, _obj: &Value, _requested: Option<i64>) -> Option<i64> {
        None
    }
    /// See [`Strategy::status`].
    fn status(&self) -> Option<&dyn Strategy> {
        None
    }
}

/// Adapter: a [`TypedStrategy`] as a [`Strategy`]. A whole write decodes each object once and encodes once.
pub(crate) struct Typed<S>(pub(crate) S);

impl<S: TypedStrategy> Typed<S> {
    fn decode(&self, obj: &Value) -> Result<S::Object, Error> {
        self.decode_filled(obj).map(|(object, _)| object)
    }

    /// The object, and whether times that it lacks were filled in.
    fn decode_filled(&self, obj: &Value) -> Result<(S::Object, bool), Error> {
        let decoded = S::Object::deserialize(obj)
            .map(|object| (object, false))
            .or_else(|error| {
                let mut filled = obj.clone();
                if !zero_times::fill(&mut filled) {
                    return Err(error);
                }
                S::Object::deserialize(filled).map(|object| (object, true))
            });
        let (mut object, filled) =
            decoded.map_err(|e| Error::internal(&Path::new(""), format!("decoding the object: {e}")))?;
        self.0.recall(obj, &mut object);
        Ok((object, filled))
    }

    /// Runs `f` on the decoded object and writes it back, keeping apiVersion and kind. An object
    /// that does not decode is left alone: validation reports it.
    fn edit(&self, obj: &mut Value, f: impl FnOnce(&mut S::Object)) {
        let Ok((mut typed, filled)) = self.decode_filled(obj) else {
            return;
        };
        f(&mut typed);
        Self::write_back(obj, &typed, filled);
    }

    /// Replaces an object by its typed form, keeping apiVersion and kind.
    fn write_back(obj: &mut Value, typed: &S::Object, filled: bool) {
        if let Ok(mut new) = serde_json::to_value(typed) {
            if filled {
                zero_times::restore(&mut new);
            }
            for key in ["apiVersion", "kind"] {
                if let (Some(v), Some(map)) = (obj.get_mut(key), new.as_object_mut()) {
                    map.insert(key.to_owned(), v.take());
                }
            }
            *obj = new;
        }
    }
}

impl<S: TypedStrategy> Strategy for Typed<S> {
    fn default(&self, obj: &mut Value) {
        self.edit(obj, |o| self.0.default(o));
    }
    fn prepare_for_create(&self, ctx: &RequestContext, obj: &mut Value) {
        self.edit(obj, |o| self.0.prepare_create(ctx, o));
    }
    fn validate_create(&self, ctx: &RequestContext, obj: &Value) -> ErrorList {
        match self.decode(obj) {
            Ok(o) => self.0.validate_create(ctx, &o),
            Err(e) => vec![e],
        }
    }
    fn prepare_for_update(&self, ctx: &RequestContext, obj: &mut Value, old: &Value) {
        if let Ok(old) = self.decode(old) {
            self.edit(obj, |o| self.0.prepare_update(ctx, o, &old));
        }
    }
    fn validate_update(&self, ctx: &RequestContext, obj: &Value, old: &Value) -> ErrorList {
        match (self.decode(obj), self.decode(old)) {
            (Ok(o), Ok(old)) => self.0.validate_update(ctx, &o, &old),
            (Err(e), _) | (_, Err(e)) => vec![e],
        }
    }
    fn warnings(&self, obj: &Value, old: Option<&Value>) -> Vec<String> {
        if !self.0.warns(old.is_some()) {
            return vec![];
        }
        let old = old.and_then(|old| self.decode(old).ok());
        let warnings = self.decode(obj).map(|o| self.0.warnings(&o, old.as_ref()));
        warnings.unwrap_or_default()
    }
    fn create(&self, ctx: &RequestContext, obj: &mut Value) -> Checked {
        let given = ctx.given_empty.lock().clone();
        let (mut typed, filled) = match self.decode_filled(&given_empty::with(obj, &given)) {
            Ok(decoded) => decoded,
            Err(e) => return Checked::new(vec![e], Vec::new),
        };
        self.0.prepare_create(ctx, &mut typed);
        let checked = Checked::new(self.0.validate_create(ctx, &typed), || self.0.warnings(&typed, None));
        if checked.errors.is_empty() {
            // What is written is what readers of the bytes will make of it: with the defaults of what was reset.
            self.0.default(&mut typed);
            Self::write_back(obj, &typed, filled);
            given_empty::remove(obj, &given);
        }
        checked
    }
    fn update(&self, ctx: &RequestContext, obj: &mut Value, old: &Value) -> Checked {
        let given = ctx.given_empty.lock().clone();
        let new = given_empty::with(obj, &given);
        let ((mut typed, filled), old) = match (self.decode_filled(&new), self.decode(old)) {
            (Ok(decoded), Ok(old)) => (decoded, old),
            (Err(e), _) | (_, Err(e)) => return Checked::new(vec![e], Vec::new),
        };
        self.0.prepare_update(ctx, &mut typed, &old);
        let errors = self.0.validate_update(ctx, &typed, &old);
        let checked = Checked::new(errors, || self.0.warnings(&typed, Some(&old)));
        if checked.errors.is_empty() {
            drop(new);
            self.0.default(&mut typed);
            Self::write_back(obj, &typed, filled);
            given_empty::remove(obj, &given);
        }
        checked
    }
    fn allow_create_on_update(&self) -> bool {
        self.0.allow_create_on_update()
    }
    fn allow_unconditional_update(&self) -> bool {
        self.0.allow_unconditional_update()
    }
    fn selectable_fields(&self, obj: &Value) -> Vec<(&'static str, String)> {
        self.0.selectable_fields(obj)
    }
    fn graceful_deletion(&self, obj: &Value, requested: Option<i64>) -> Option<i64> {
        self.0.graceful_deletion(obj, requested)
    }
    fn status(&self) -> Option<&dyn Strategy> {
        self.0.status()
    }
}

/// No rules: the server's own partial writes (binding, eviction, finalize), checked by their endpoint.
pub(crate) static RAW: Raw = Raw { grows: false };
/// As [`RAW`], but a changed spec is a new generation (ephemeral containers, resize).
pub(crate) static RAW_SPEC: Raw = Raw { grows: true };

/// See [`RAW`].
pub(crate) struct Raw {
    grows: bool,
}

impl Strategy for Raw {
    fn prepare_for_update(&self, _ctx: &RequestContext, obj: &mut Value, old: &Value) {
        let generation = apimachinery::meta::generation(old);
        if self.grows && generation > 0 && obj.get("spec") != old.get("spec") {
            apimachinery::meta::set_generation(obj, generation + 1);
        }
    }
    fn validate_create(&self, _ctx: &RequestContext, _obj: &Value) -> ErrorList {
        vec![]
    }
    fn validate_update(&self, _ctx: &RequestContext, _obj: &Value, _old: &Value) -> ErrorList {
        vec![]
    }
}
