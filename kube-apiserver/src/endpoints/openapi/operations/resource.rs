//! Operations of a group version, from the resource table.

use super::parameters::{self, Parameter};
use super::{ANY, Body, Content, OBJECT, Operation, PATCH, Paths, STREAM, article, capital, nonresource, tag, title};
use crate::endpoints::delete;
use crate::endpoints::discovery::version_path;
use crate::resources::{self, Resource, Subresource};
use apimachinery::schema::group_prefix;

const CREATE: &str = "meta.v1.CreateOptions";
const UPDATE: &str = "meta.v1.UpdateOptions";
const PATCH_OPTIONS: &str = "meta.v1.PatchOptions";
const DELETE: &str = "meta.v1.DeleteOptions";
const LIST: &str = "meta.v1.ListOptions";
const STATUS: &str = "meta.v1.Status";
const WATCH_EVENT: &str = "meta.v1.WatchEvent";

/// Streams and proxies: method, what it is called in an `operationId`.
const METHODS: [(&str, &str); 7] = [
    ("delete", "Delete"),
    ("get", "Get"),
    ("head", "Head"),
    ("options", "Options"),
    ("patch", "Patch"),
    ("post", "Post"),
    ("put", "Put"),
];

/// A resource or subresource on its way into the document.
#[derive(Clone, Copy)]
struct Target<'a> {
    row: &'a Resource,
    sub: Option<&'a Subresource>,
}

/// All paths of a group version.
pub(in crate::endpoints::openapi) fn group_version(group: &str, version: &str) -> Paths {
    let root = version_path(group, version);
    let mut out = Paths::new();
    let answer = Content::Type("meta.v1.APIResourceList".to_owned());
    let id = format!("get{}APIResources", title(group, version));
    let resources = nonresource::get(&id, "get available resources", &tag(group, version), OBJECT, answer);
    out.insert(format!("{root}/"), vec![resources]);
    for row in resources::served().filter(|r| r.group == group && r.version == version) {
        let main = Target { row, sub: None };
        let space = if row.namespaced { "/namespaces/{namespace}" } else { "" };
        let collection = format!("{space}/{}", row.plural);
        let item = format!("{collection}/{{name}}");
        let mut add = |path: String, operations: Vec<Operation>| {
            if !operations.is_empty() {
                out.insert(format!("{root}{path}"), operations);
            }
        };
        add(collection.clone(), main.collection());
        add(item.clone(), main.single(&row.verbs));
        if row.namespaced && row.has_verb("list") {
            add(format!("/{}", row.plural), vec![main.list("ForAllNamespaces")]);
        }
        if row.has_verb("watch") {
            add(format!("/watch{collection}"), vec![main.watch_list("")]);
            add(format!("/watch{item}"), vec![main.watch()]);
            if row.namespaced {
                add(
                    format!("/watch/{}", row.plural),
                    vec![main.watch_list("ForAllNamespaces")],
                );
            }
        }
        for sub in &row.subresources {
            let target = Target { row, sub: Some(sub) };
            let path = format!("{item}/{}", sub.name);
            if sub.kind.ends_with("Options") {
                add(path.clone(), target.connect(""));
                if sub.name == "proxy" {
                    add(format!("{path}/{{path}}"), target.connect("WithPath"));
                }
            } else {
                add(path, target.single(&sub.verbs));
            }
        }
    }
    out
}

impl Target<'_> {
    fn kind(self) -> [String; 3] {
        let row = self.row;
        let parts = match self.sub {
            Some(s) => [s.group.unwrap_or(row.group), s.version.unwrap_or(row.version), s.kind],
            None => [row.group, row.version, row.kind],
        };
        parts.map(str::to_owned)
    }

    fn type_name(self) -> String {
        let [group, version, kind] = self.kind();
        format!("{}.{version}.{kind}", group_prefix(&group))
    }

    fn list_type(self) -> String {
        format!("{}List", self.type_name())
    }

    /// ` of the specified Pod`, `status of the specified Pod`.
    fn of_the(self) -> String {
        let kind = self.row.kind;
        match self.sub {
            Some(s) => format!("{} of the specified {kind}", s.name),
            None => format!("the specified {kind}"),
        }
    }

    /// An operation with what all have. `verb` opens the id, `rest` follows the group and version in it.
    fn operation(
        self,
        method: &'static str,
        action: &'static str,
        verb: &str,
        middle: &str,
        suffix: &str,
    ) -> Operation {
        let row = self.row;
        let everywhere = suffix.ends_with("ForAllNamespaces");
        let scope = if row.namespaced && !everywhere {
            "Namespaced"
        } else {
            ""
        };
        let sub = self.sub.map(|s| capital(s.name)).unwrap_or_default();
        let title = title(row.group, row.version);
        let mut parameters = vec![parameters::pretty()];
        if row.namespaced && !everywhere {
            let text = "object name and auth scope, such as for teams and projects";
            parameters.push(parameters::path("namespace", text));
        }
        Operation {
            method,
            id: format!("{verb}{title}{middle}{scope}{}{sub}{suffix}", row.kind),
            description: String::new(),
            tag: tag(row.group, row.version),
            action: Some(action),
            kind: Some(self.kind()),
            parameters,
            body: None,
            consumes: ANY,
            produces: OBJECT.to_vec(),
            answers: Vec::new(),
        }
    }

    /// As [`Self::operation`], on one object.
    fn named(self, method: &'static str, action: &'static str, verb: &str, middle: &str, suffix: &str) -> Operation {
        let mut o = self.operation(method, action, verb, middle, suffix);
        let [_, _, kind] = self.kind();
        o.parameters
            .push(parameters::path("name", format!("name of the {kind}")));
        o
    }

    fn collection(self) -> Vec<Operation> {
        let mut out = Vec::new();
        if self.row.has_verb("deletecollection") {
            out.push(self.delete_collection());
        }
        if self.row.has_verb("list") {
            out.push(self.list(""));
        }
        if self.row.has_verb("create") {
            out.push(self.create(self.operation("post", "post", "create", "", "")));
        }
        out
    }

    fn single(self, verbs: &[&str]) -> Vec<Operation> {
        let mut out = Vec::new();
        let own = Content::Type(self.type_name());
        if verbs.contains(&"delete") {
            out.push(self.delete());
        }
        if verbs.contains(&"get") {
            let mut o = self.named("get", "get", "read", "", "");
            o.description = format!("read {}", self.of_the());
            o.answers.push((200, own.clone()));
            if self.sub.is_some_and(|s| s.name == "log") {
                o.parameters.extend(parameters::options("core.v1.PodLogOptions"));
                o.produces.insert(0, "text/plain");
                o.answers = vec![(200, Content::Text)];
            }
            out.push(o);
        }
        if verbs.contains(&"patch") {
            let mut o = self.named("patch", "patch", "patch", "", "");
            o.description = format!("partially update {}", self.of_the());
            o.parameters.extend(parameters::options(PATCH_OPTIONS));
            o.consumes = PATCH;
            o.body = body("meta.v1.Patch", true);
            o.answers = vec![(200, own.clone()), (201, own.clone())];
            out.push(o);
        }
        if verbs.contains(&"create") && self.sub.is_some() {
            out.push(self.create(self.named("post", "post", "create", "", "")));
        }
        if verbs.contains(&"update") {
            let mut o = self.named("put", "put", "replace", "", "");
            o.description = format!("replace {}", self.of_the());
            o.parameters.extend(parameters::options(UPDATE));
            o.body = body(&self.type_name(), true);
            o.answers = vec![(200, own.clone()), (201, own)];
            out.push(o);
        }
        out
    }

    fn create(self, mut o: Operation) -> Operation {
        let kind = self.row.kind;
        o.description = match self.sub {
            Some(s) => format!("create {} of{}{kind}", s.name, article(kind)),
            None => format!("create{}{kind}", article(kind)),
        };
        o.parameters.extend(parameters::options(CREATE));
        o.body = body(&self.type_name(), true);
        o.answers = [200, 201, 202]
            .map(|code| (code, Content::Type(self.type_name())))
            .to_vec();
        o
    }

    fn delete(self) -> Operation {
        let mut o = self.named("delete", "delete", "delete", "", "");
        o.description = format!("delete{}{}", article(self.row.kind), self.row.kind);
        o.parameters.extend(parameters::options(DELETE));
        o.body = body(DELETE, false);
        let answer = if delete::RETURNS_OBJECT.contains(&(self.row.group, self.row.plural)) {
            self.type_name()
        } else {
            STATUS.to_owned()
        };
        o.answers = [200, 202].map(|code| (code, Content::Type(answer.clone()))).to_vec();
        o
    }

    fn delete_collection(self) -> Operation {
        let mut o = self.operation("delete", "deletecollection", "delete", "Collection", "");
        o.description = format!("delete collection of {}", self.row.kind);
        o.parameters.extend(parameters::options(DELETE));
        let not_watching = |p: &Parameter| !matches!(p.name, "watch" | "allowWatchBookmarks");
        o.parameters
            .extend(parameters::options(LIST).into_iter().filter(not_watching));
        o.body = body(DELETE, false);
        o.answers.push((200, Content::Type(STATUS.to_owned())));
        o
    }

    fn list(self, suffix: &str) -> Operation {
        let mut o = self.operation("get", "list", "list", "", suffix);
        let watched = if self.row.has_verb("watch") { " or watch" } else { "" };
        o.description = format!("list{watched} objects of kind {}", self.row.kind);
        o.parameters.extend(parameters::options(LIST));
        o.produces = STREAM.to_vec();
        o.answers.push((200, Content::Type(self.list_type())));
        o
    }

    fn watch_list(self, suffix: &str) -> Operation {
        let mut o = self.operation("get", "watchlist", "watch", "", &format!("List{suffix}"));
        o.description = format!(
            "watch individual changes to a list of {}. deprecated: use the 'watch' parameter with a list operation \
             instead.",
            self.row.kind
        );
        watching(o)
    }

    fn watch(self) -> Operation {
        let mut o = self.named("get", "watch", "watch", "", "");
        o.description = format!(
            "watch changes to an object of kind {}. deprecated: use the 'watch' parameter with a list operation \
             instead, filtered to a single item with the 'fieldSelector' parameter.",
            self.row.kind
        );
        watching(o)
    }

    fn connect(self, suffix: &str) -> Vec<Operation> {
        let Some(sub) = self.sub else { return Vec::new() };
        let verb_of = |method: &'static str| match method {
            "post" => "create",
            "put" => "update",
            // Discovery has no verbs for these: proxies answer them.
            "head" | "options" if sub.name == "proxy" => "get",
            other => other,
        };
        let one = |(method, word): (&'static str, &str)| {
            let mut o = self.named(method, "connect", "connect", word, suffix);
            o.description = format!(
                "connect {} requests to {} of {}",
                method.to_uppercase(),
                sub.name,
                self.row.kind
            );
            o.parameters.retain(|p| p.name != "pretty");
            o.parameters.extend(parameters::options(&self.type_name()));
            if !suffix.is_empty() {
                // Over the query's `path`, which both versions of OpenAPI keep beside it.
                o.parameters.push(parameters::path("path", "path to the resource"));
            }
            o.produces = ANY.to_vec();
            o.answers.push((200, Content::Text));
            o
        };
        METHODS
            .into_iter()
            .filter(|(method, _)| sub.verbs.contains(&verb_of(method)))
            .map(one)
            .collect()
    }
}

fn watching(mut o: Operation) -> Operation {
    o.parameters.extend(parameters::options(LIST));
    o.produces = STREAM.to_vec();
    o.answers.push((200, Content::Type(WATCH_EVENT.to_owned())));
    o
}

fn body(type_name: &str, required: bool) -> Option<Body> {
    Some(Body {
        type_name: type_name.to_owned(),
        required,
    })
}
