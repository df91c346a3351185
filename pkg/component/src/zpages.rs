//! `/statusz` and `/flagz`: what a process is and how it was started, for people; as YAML or JSON for those who name
//! kind and version.
//!
//! Upstream: `apiserver/pkg/server/{statusz,flagz}`.

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::serving::{Body, full};
use crate::version;

const GROUP: &str = "config.k8s.io";
const VERSIONS: [&str; 2] = ["v1beta1", "v1alpha1"];
const FORMS: &str = "text/plain, application/json, application/yaml";

/// Folders of paths that tell nothing about the process.
const NOT_DEBUGGING: [&str; 5] = ["/apis", "/api", "/openid", "/openapi", "/.well-known"];

/// What a client reads.
#[derive(Debug, PartialEq, Eq)]
enum Form {
    Text,
    Json(&'static str),
    Yaml(&'static str),
}

/// The form that Accept names; `None`: not one of ours. `kind` is that of the structured forms.
fn negotiate(headers: &HeaderMap, kind: &str) -> Option<Form> {
    let accept = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or("");
    if accept.trim().is_empty() {
        return Some(Form::Text);
    }
    accept.split(',').find_map(|clause| {
        let mut parts = clause.split(';').map(str::trim);
        let media = parts.next().unwrap_or("");
        let params: Vec<(&str, &str)> = parts.filter_map(|p| p.split_once('=')).collect();
        let is = |k: &str, v: &str| params.contains(&(k, v));
        let version = VERSIONS
            .into_iter()
            .find(|v| is("v", v) && is("g", GROUP) && is("as", kind));
        match media {
            "text/plain" | "text/*" | "*/*" => Some(Form::Text),
            "application/json" => version.map(Form::Json),
            "application/yaml" => version.map(Form::Yaml),
            _ => None,
        }
    })
}

fn answer(headers: &HeaderMap, kind: &str, text: impl FnOnce() -> String, mut object: Value) -> Response<Body> {
    let (content_type, body, version) = match negotiate(headers, kind) {
        None => {
            let e = apimachinery::status::ApiError::not_acceptable(&FORMS.split(", ").collect::<Vec<_>>());
            let mut r = respond("application/json", e.to_json());
            *r.status_mut() = StatusCode::NOT_ACCEPTABLE;
            return r;
        }
        Some(Form::Text) => ("text/plain; charset=utf-8", text(), None),
        Some(Form::Json(version)) => {
            object["apiVersion"] = format!("{GROUP}/{version}").into();
            ("application/json", format!("{object}\n"), Some(version))
        }
        Some(Form::Yaml(version)) => {
            object["apiVersion"] = format!("{GROUP}/{version}").into();
            let yaml = apimachinery::codec::yaml::encode(&object).unwrap_or_default();
            ("application/yaml", yaml, Some(version))
        }
    };
    let mut r = respond(content_type, body);
    if version == Some("v1alpha1") {
        let warning = format!(
            "299 - \"This version of the {} endpoint is deprecated. Please use a newer version.\"",
            kind.to_lowercase()
        );
        if let Ok(warning) = HeaderValue::from_str(&warning) {
            r.headers_mut().insert(header::WARNING, warning);
        }
    }
    r
}

fn respond(content_type: &'static str, body: impl Into<bytes::Bytes>) -> Response<Body> {
    let mut r = Response::new(full(body));
    r.headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    r
}

fn header(component: &str, page: &str) -> String {
    format!(
        "\n{component} {page}\nWarning: This endpoint is not meant to be machine parseable, has no formatting compatibility guarantees and is for debugging purposes only.\n"
    )
}

/// Answers `GET /statusz`. `paths`: all that the process serves.
#[must_use]
pub fn statusz(component: &str, started: Timestamp, paths: &[String], headers: &HeaderMap) -> Response<Body> {
    let up = (Timestamp::now().as_second() - started.as_second()).max(0);
    let info = version::Info::get();
    let binary = info.git_version.trim_start_matches('v');
    let emulated = binary.rsplit_once('.').map_or(binary, |(minor, _)| minor);
    let mut folders: Vec<String> = paths
        .iter()
        .filter_map(|path| path.strip_prefix('/')?.split('/').next().filter(|p| !p.is_empty()))
        .map(|folder| format!("/{folder}"))
        .filter(|folder| !NOT_DEBUGGING.contains(&folder.as_str()))
        .collect();
    folders.sort();
    folders.dedup();
    let object = json!({
        "kind": "Statusz",
        "metadata": {"name": component},
        "startTime": started.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        "uptimeSeconds": up,
        "goVersion": info.go_version,
        "binaryVersion": binary,
        "emulationVersion": emulated,
        "paths": folders,
    });
    let text = || {
        format!(
            "{}\nStarted: {}\nUp: {} hr {:02} min {:02} sec\nGo version: {}\nBinary version: {binary}\nEmulation version: {emulated}\nPaths: {}\n",
            header(component, "statusz"),
            started.strftime("%a %b %e %H:%M:%S UTC %Y"),
            up / 3600,
            up / 60 % 60,
            up % 60,
            info.go_version,
            folders.join(" ")
        )
    };
    answer(headers, "Statusz", text, object)
}

/// Answers `GET /flagz` with flags as [`crate::flags::Values::all`] tells them.
#[must_use]
pub fn flagz(component: &str, flags: &BTreeMap<String, String>, headers: &HeaderMap) -> Response<Body> {
    let object = json!({"kind": "Flagz", "metadata": {"name": component}, "flags": flags});
    let text = || {
        let lines = flags.iter().map(|(name, value)| format!("{name}={value}\n"));
        format!("{}{}", header(component, "flagz"), lines.collect::<String>())
    };
    answer(headers, "Flagz", text, object)
}

#[cfg(test)]
mod tests;
