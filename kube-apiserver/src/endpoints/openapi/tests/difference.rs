//! What differs between a document and upstream's, but for what may differ.

use serde_json::Value;

/// Whether a difference is of one sort.
type Judge = fn(&Difference<'_>) -> bool;

/// What may differ, each with its reason.
const ALLOWED: &[(&str, Judge)] = &[
    // Upstream's files were made with `OpenAPIEnums=false`; a server of 1.36 publishes enums.
    ("enums", |d| d.is("/enum") && d.want.is_none()),
    // Upstream's files were made with all alpha features; CBOR is one.
    ("CBOR", |d| d.path.contains("cbor") && d.have.is_none()),
    // Upstream's files say `unversioned`.
    ("version", |d| d.path == "/info/version"),
    // Newer than the crate that has the prose of options (k8s-pb 0.9 is of 1.35): ours is shorter. The text is part of
    // the name of the shared parameter in v2.
    ("shardSelector", |d| d.mentions("shardSelector")),
    // As above: 1.36 reworded these.
    ("metadata of lists", |d| {
        d.path.contains(".admissionregistration.v1.") && d.is("List/properties/metadata/description")
    }),
    // Said of a field of bytes, where it means nothing.
    ("caBundle", |d| {
        d.is("APIServiceSpec/properties/caBundle/x-kubernetes-list-type")
    }),
    // v2 lists every group version that is compiled into upstream, ours those that are served.
    ("kinds of all groups", |d| {
        let shared = d.path.contains(".DeleteOptions/") || d.path.contains(".WatchEvent/");
        shared && d.is("/x-kubernetes-group-version-kind") && d.path.starts_with("/definitions/")
    }),
    // We serve no /logs.
    ("logs", |d| d.is("/logpath-Noq7euwC")),
];

/// Two values at a place that are not the same.
struct Difference<'a> {
    path: &'a str,
    have: Option<&'a Value>,
    want: Option<&'a Value>,
}

impl Difference<'_> {
    fn is(&self, end: &str) -> bool {
        self.path.ends_with(end)
    }

    fn mentions(&self, word: &str) -> bool {
        let says = |v: &Value| v.as_str().is_some_and(|s| s.contains(word));
        self.path.contains(word) || [self.have, self.want].into_iter().flatten().any(says)
    }
}

/// One line for each difference.
pub(in crate::endpoints) fn differences(have: &Value, want: &Value) -> Vec<String> {
    let mut out = Vec::new();
    walk("", have, want, &mut out);
    out
}

/// All of them, but not thousands.
pub(in crate::endpoints) fn print(all: &[String]) {
    for line in all.iter().take(400) {
        eprintln!("{line}");
    }
    if all.len() > 400 {
        eprintln!("and {} more", all.len() - 400);
    }
}

fn walk(path: &str, have: &Value, want: &Value, out: &mut Vec<String>) {
    match (have, want) {
        (Value::Object(h), Value::Object(w)) => {
            let mut names: Vec<&String> = h.keys().chain(w.keys().filter(|k| !h.contains_key(*k))).collect();
            names.sort();
            for name in names {
                let path = format!("{path}/{name}");
                match (h.get(name), w.get(name)) {
                    (Some(h), Some(w)) if path.ends_with("/description") && h != w => text(&path, h, w, out),
                    (Some(h), Some(w)) => walk(&path, h, w, out),
                    (h, w) if allowed(&path, h, w) => {}
                    (Some(h), None) => out.push(format!("{path}: only here: {}", short(h))),
                    (_, w) => out.push(format!("{path}: only upstream: {}", short(w.unwrap_or(&Value::Null)))),
                }
            }
        }
        (Value::Array(h), Value::Array(w)) => {
            let (h, w) = (ordered(path, h), ordered(path, w));
            let (have, want) = (Value::Array(h.clone()), Value::Array(w.clone()));
            if allowed(path, Some(&have), Some(&want)) {
                return;
            }
            if h.len() != w.len() {
                out.push(format!("{path}: {} instead of {}", short(&have), short(&want)));
                return;
            }
            for (i, (h, w)) in h.iter().zip(&w).enumerate() {
                walk(&format!("{path}/{i}"), h, w, out);
            }
        }
        _ if have == want || allowed(path, Some(have), Some(want)) => {}
        _ => out.push(format!("{path}: {} instead of {}", short(have), short(want))),
    }
}

/// Where two texts part.
fn text(path: &str, have: &Value, want: &Value, out: &mut Vec<String>) {
    let (Some(h), Some(w)) = (have.as_str(), want.as_str()) else {
        return walk(path, have, want, out);
    };
    if allowed(path, Some(have), Some(want)) {
        return;
    }
    let at = h.bytes().zip(w.bytes()).take_while(|(a, b)| a == b).count();
    let part = |s: &str| s.chars().skip(at.saturating_sub(10)).take(60).collect::<String>();
    out.push(format!("{path}: at {at} {:?} instead of {:?}", part(h), part(w)));
}

/// Without CBOR, and sorted where order means nothing.
fn ordered(path: &str, list: &[Value]) -> Vec<Value> {
    let mut out: Vec<Value> = list
        .iter()
        .filter(|v| !(v.as_str().is_some_and(|s| s.contains("cbor"))))
        .cloned()
        .collect();
    let names = [
        "/required",
        "/x-kubernetes-group-version-kind",
        "/produces",
        "/consumes",
    ];
    if names.iter().any(|n| path.ends_with(n)) {
        out.sort_by_key(ToString::to_string);
    }
    out
}

fn allowed(path: &str, have: Option<&Value>, want: Option<&Value>) -> bool {
    let d = Difference { path, have, want };
    ALLOWED.iter().any(|(_, is)| is(&d))
}

fn short(v: &Value) -> String {
    v.to_string().chars().take(160).collect()
}
