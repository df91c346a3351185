//! The schema table: one fact sheet about every API type, driving codecs and patches.
//!
//! The text form (written by `hack/xtask schema` to `pkg/api/schema.txt`):
//!
//! ```text
//! # type [atomic] [typemeta]
//! #   jsonName tagPath kind [req] [ptr] [always] [map=keys|set] [mapType=..] [patch=strategy[:key]] [default=json] [enum=A|B]
//! #   (a space inside an enum value is written %20)
//! core.v1.ServiceSpec
//!     ports 1 []&core.v1.ServicePort map=port,protocol patch=merge:port
//!     selector 2 {}str mapType=atomic
//! core.v1.ConfigMapKeySelector atomic
//!     name 1.1 str default=""            # nested in protobuf, inlined in JSON
//! ```
//!
//! Kinds: `str bool i32 i64 f64 bytes time microtime quantity intstr raw any strlist orArray orBool orStrings &Type`;
//! prefix `[]` = list, `{}` = map with string keys. A list without `map=`/`set` is atomic, a map without `mapType` is
//! granular, a struct is granular unless its type says `atomic`. The tag path is `-` for fields that only JSON has.
//!
//! A type `g.v.Foo` marked `typemeta` whose `metadata` is an `ObjectMeta` implies `g.v.FooList`.
//!
//! Types are referred to by [`TypeId`], an index: nothing is looked up by name on the way through an object.

use std::collections::HashMap;
use std::ops::Index;

use serde_json::Value;

use crate::gvk::GroupVersionKind;

mod parse;
#[cfg(test)]
mod tests;

pub use parse::ParseError;

/// Index of a type in its [`Schema`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TypeId(u32);

/// All types of a table.
#[derive(Debug)]
pub struct Schema {
    types: Vec<Type>,
    by_name: HashMap<Box<str>, TypeId>,
    special: Special,
}

/// Types that codecs construct by themselves.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Special {
    /// `apiextensions.v1.JSONSchemaProps`, inside `orArray`, `orBool` and `orStrings`.
    pub(crate) json_schema_props: Option<TypeId>,
}

/// One message type.
#[derive(Debug)]
pub struct Type {
    /// `<group prefix>.<version>.<Name>`, such as `core.v1.Pod`.
    pub name: Box<str>,
    /// Whether apply treats the whole struct as one value.
    pub atomic: bool,
    /// Whether JSON carries `apiVersion` and `kind` (protobuf carries them in the envelope).
    pub type_meta: bool,
    /// In the order of their JSON names.
    fields: Vec<Field>,
    /// The message's layout on the protobuf wire.
    pub(crate) proto: ProtoMessage,
    /// The `items` of a list object, which show even when they are empty; protobuf cannot tell empty from absent.
    pub(crate) items: Option<u32>,
    /// See [`Type::always_written`].
    always: Box<[(Box<str>, Value)]>,
}

/// One field of a type.
#[derive(Debug)]
pub struct Field {
    /// JSON name.
    pub name: Box<str>,
    /// Protobuf tags from the outside in; more than one when JSON inlines a nested message. Empty = JSON only.
    pub tags: Box<[u32]>,
    /// Single value, list or map.
    pub shape: Shape,
    /// Type of the value, element or entry.
    pub kind: Kind,
    /// Whether the API requires it. Go writes it even when it is zero.
    pub required: bool,
    /// Whether Go holds it by pointer, so that a zero differs from an absent value.
    pub pointer: bool,
    /// Whether Go writes it although it is empty and not required: a struct held by value, or a field without
    /// `omitempty`.
    pub always: bool,
    /// How apply sees a list.
    pub list_type: ListType,
    /// How apply sees a map or a struct in this place; None = as its type says.
    pub map_type: Option<MapType>,
    /// How strategic merge patch treats it.
    pub patch: Patch,
    /// The default OpenAPI publishes; null = none, where a required field would have its zero value.
    pub default: Option<Value>,
    /// The values OpenAPI publishes as `enum`; empty = free.
    pub allowed: Box<[Box<str>]>,
}

/// How often a field's kind occurs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Once.
    Single,
    /// `[]`
    List,
    /// `{}` with string keys.
    Map,
}

/// The type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// UTF-8 text.
    Str,
    /// Boolean.
    Bool,
    /// 32-bit integer.
    I32,
    /// 64-bit integer.
    I64,
    /// Floating point number.
    F64,
    /// Bytes; base64 in JSON.
    Bytes,
    /// RFC 3339 time in seconds.
    Time,
    /// RFC 3339 time in microseconds.
    MicroTime,
    /// Resource quantity.
    Quantity,
    /// Integer or text.
    IntOrString,
    /// Any JSON; JSON bytes in protobuf.
    Raw,
    /// Any JSON that no protobuf carries.
    Any,
    /// A list of texts that is a message in protobuf (`ExtraValue`, `Verbs`).
    StrList,
    /// `JSONSchemaPropsOrArray`
    OrArray,
    /// `JSONSchemaPropsOrBool`
    OrBool,
    /// `JSONSchemaPropsOrStringArray`
    OrStrings,
    /// Another type of the table.
    Struct(TypeId),
}

/// `x-kubernetes-list-type` with its keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListType {
    /// Replaced as a whole.
    Atomic,
    /// Unordered scalars.
    Set,
    /// Structs told apart by these fields.
    Map(Box<[Box<str>]>),
}

/// `x-kubernetes-map-type`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapType {
    /// Merged entry by entry.
    Granular,
    /// Replaced as a whole.
    Atomic,
}

/// `x-kubernetes-patch-strategy` and `x-kubernetes-patch-merge-key`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Patch {
    /// Lists are merged by key, or as sets when there is no key.
    pub merge: bool,
    /// `$retainKeys` is honoured.
    pub retain_keys: bool,
    /// Replaced as a whole even though the type could be merged.
    pub replace: bool,
    /// The merge key.
    pub key: Option<Box<str>>,
}

/// A message as protobuf sees it: tag -> what is there.
#[derive(Debug, Default)]
pub(crate) struct ProtoMessage {
    /// Indexed by tag.
    pub(crate) slots: Vec<ProtoSlot>,
}

/// What a tag of a message holds.
#[derive(Debug, Default)]
pub(crate) enum ProtoSlot {
    /// Nothing known.
    #[default]
    Unused,
    /// The field at this index of [`Type::fields`].
    Field(u32),
    /// A nested message whose fields JSON inlines.
    Inline(Box<ProtoMessage>),
}

// === impl Schema ===

impl Schema {
    /// Reads a table.
    ///
    /// # Errors
    /// With the line, when the text does not follow the format or refers to unknown types.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        parse::parse(text)
    }

    /// The type of this name (`core.v1.Pod`).
    pub fn id(&self, name: &str) -> Option<TypeId> {
        self.by_name.get(name).copied()
    }

    /// The type of this name.
    pub fn get(&self, name: &str) -> Option<&Type> {
        self.id(name).map(|id| &self[id])
    }

    /// The type of objects of this kind: the group's own, or one of `meta.v1` (`Status`, `DeleteOptions`, ...).
    pub fn kind(&self, kind: &GroupVersionKind) -> Option<TypeId> {
        self.kind_of(&kind.group, &kind.version, &kind.kind)
    }

    /// As [`Self::kind`], of the parts.
    pub fn kind_of(&self, group: &str, version: &str, kind: &str) -> Option<TypeId> {
        let name = format!("{}.{version}.{kind}", group_prefix(group));
        let own = self.id(&name).filter(|id| self[*id].type_meta);
        own.or_else(|| self.id(&format!("meta.v1.{kind}")).filter(|id| self[*id].type_meta))
    }

    /// As [`Self::kind`], of an object's `apiVersion` and `kind`.
    pub fn kind_of_object(&self, api_version: &str, kind: &str) -> Option<TypeId> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        self.kind_of(group, version, kind)
    }

    /// All types in the table's order; implied lists come last.
    pub fn types(&self) -> impl Iterator<Item = (TypeId, &Type)> {
        let id = |index: usize| TypeId(u32::try_from(index).expect("tables are far smaller than u32"));
        self.types.iter().enumerate().map(move |(index, one)| (id(index), one))
    }

    pub(crate) fn special(&self) -> Special {
        self.special
    }
}

impl Index<TypeId> for Schema {
    type Output = Type;

    fn index(&self, id: TypeId) -> &Type {
        &self.types[id.0 as usize]
    }
}

/// The first part of type names of an API group: `rbac` for `rbac.authorization.k8s.io`, `core` for the empty group.
pub fn group_prefix(group: &str) -> &str {
    match group {
        "" => "core",
        "internal.apiserver.k8s.io" => "apiserverinternal",
        _ => group.split('.').next().unwrap_or(group),
    }
}

// === impl Type ===

impl Type {
    /// The fields in the order of their JSON names.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The field of this JSON name. Names are case-sensitive.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.field_index(name).map(|index| &self.fields[index])
    }

    pub(crate) fn field_index(&self, name: &str) -> Option<usize> {
        self.fields.binary_search_by(|field| field.name.as_ref().cmp(name)).ok()
    }

    /// The fields Go writes even when nobody set them, with what it then writes, in the order of their names.
    /// Ownership of fields counts them as present.
    pub(crate) fn always_written(&self) -> &[(Box<str>, Value)] {
        &self.always
    }

    /// The name of Go's struct: `PodSpec`.
    pub fn struct_name(&self) -> &str {
        self.name.rsplit('.').next().unwrap_or(&self.name)
    }

    /// The name as Go prints the type: `v1.PodSpec`.
    pub fn go_name(&self) -> &str {
        let dot = self.name.rfind('.').and_then(|last| self.name[..last].rfind('.'));
        dot.map_or(&self.name, |dot| &self.name[dot + 1..])
    }
}

// === impl Field ===

impl Field {
    /// The struct type of the value, elements or entries.
    pub fn struct_type(&self) -> Option<TypeId> {
        match self.kind {
            Kind::Struct(id) => Some(id),
            _ => None,
        }
    }

    /// Whether Go leaves a zero value out of JSON, and writes it to protobuf nonetheless: neither required nor a
    /// pointer.
    pub fn omits_zero(&self) -> bool {
        !self.required && !self.pointer
    }
}
