//! What a configuration must look like.
//!
//! Upstream: `apiserver/pkg/apis/apiserver/validation/validation_encryption.go`. One difference: a list element with
//! two providers is shown without the keys in it.

use apimachinery::field::{BadValue, Error, ErrorList, Path, escape_html};
use apimachinery::gvk::GroupResource;
use serde_json::{Value, json};

use super::{Configuration, Key, Keys, Kms, Provider};

const AES: &[usize] = &[16, 24, 32];
const SECRETBOX: &[usize] = &[32];

/// Stored outside of any resource of the API (`serviceipallocations` are where the Services' ranges are).
const NO_RESOURCES: [&str; 3] = ["apiserveripinfo", "serviceipallocations", "servicenodeportallocations"];

/// All that is wrong. `reload`: the file is read again when it changes.
pub(super) fn validate(configuration: &Configuration, reload: bool) -> ErrorList {
    let root = Path::new("resources");
    let mut errors = ErrorList::new();
    if configuration.resources.is_empty() {
        errors.push(at_least_one(&root, root.as_str()));
    }
    let mut plugins: Vec<&str> = vec![];
    for (i, list) in configuration.resources.iter().enumerate() {
        let (resources, providers) = (root.index(i).child("resources"), root.index(i).child("providers"));
        if list.resources.is_empty() {
            errors.push(at_least_one(&resources, resources.as_str()));
        }
        errors.extend(overlaps(&list.resources, &resources));
        errors.extend(names(&list.resources, &resources));
        if list.providers.is_empty() {
            errors.push(at_least_one(&providers, providers.as_str()));
        }
        for (j, one) in list.providers.iter().enumerate() {
            let path = providers.index(j);
            errors.extend(single(one, &path));
            if let Some(kms) = &one.kms {
                errors.extend(plugin(kms, &path.child("kms"), &plugins, reload));
                plugins.push(&kms.name);
            } else if let Some(aesgcm) = &one.aesgcm {
                errors.extend(keys(aesgcm, &path.child("aesgcm").child("keys"), AES));
            } else if let Some(aescbc) = &one.aescbc {
                errors.extend(keys(aescbc, &path.child("aescbc").child("keys"), AES));
            } else if let Some(secretbox) = &one.secretbox {
                errors.extend(keys(secretbox, &path.child("secretbox").child("keys"), SECRETBOX));
            }
        }
    }
    errors
}

fn at_least_one(path: &Path, what: &str) -> Error {
    Error::required(path, format!("at least one {what} is required"))
}

fn mandatory(field: &str, of: &str) -> String {
    format!("{field} is a mandatory field for a {of}")
}

/// Within one list a resource must not be named twice, nor be masked by a wildcard.
fn overlaps(resources: &[String], path: &Path) -> ErrorList {
    let parsed: Vec<GroupResource> = resources.iter().map(|r| GroupResource::parse(r)).collect();
    let any = GroupResource::parse("*.*");
    let (mut duplicate, mut overlap) = (false, false);
    for (i, one) in parsed.iter().enumerate() {
        for (j, other) in parsed.iter().enumerate() {
            if i == j {
                continue;
            }
            if one == other && !duplicate {
                duplicate = true;
                continue;
            }
            let wild = &*one.resource == "*" || &*other.resource == "*";
            overlap |= *one == any || one.group == other.group && wild;
        }
    }
    let shown = || BadValue::raw(escape_html(Value::from(resources).to_string()));
    let mut errors = ErrorList::new();
    if duplicate {
        let why = "the same resource cannot be specified multiple times";
        errors.push(Error::invalid(path, shown(), why));
    }
    if overlap {
        let why = "using overlapping resources such as 'secrets' and '*.' in the same resource list is not allowed as they will be masked";
        errors.push(Error::invalid(path, shown(), why));
    }
    errors
}

fn names(resources: &[String], path: &Path) -> ErrorList {
    let all = resources.iter().enumerate();
    all.filter_map(|(i, name)| Some(Error::invalid(&path.index(i), name.as_str(), unfit(name)?)))
        .collect()
}

/// Why a resource cannot be named so.
fn unfit(name: &str) -> Option<&'static str> {
    let parsed = GroupResource::parse(name);
    if name.to_lowercase() != name {
        Some("resource name should not contain capital letters")
    } else if name == "*" {
        Some("use '*.' to encrypt all the resources from core API group or *.* to encrypt all resources")
    } else if NO_RESOURCES.contains(&name) {
        Some("resources which do not have REST API/s cannot be encrypted")
    } else if &*parsed.group == "events.k8s.io" {
        Some(
            "'*.events.k8s.io' objects are stored using the 'events' API group in etcd. Use 'events' instead in the config file",
        )
    } else if &*parsed.group == "extensions" {
        Some("'extensions' group has been removed and cannot be used for encryption")
    } else if &*parsed.group == "*" && &*parsed.resource != "*" {
        Some("encrypting the same resource across groups is not supported")
    } else {
        None
    }
}

fn single(one: &Provider, path: &Path) -> Option<Error> {
    let given = [
        one.kms.is_some(),
        one.aesgcm.is_some(),
        one.aescbc.is_some(),
        one.secretbox.is_some(),
        one.identity.is_some(),
    ];
    let why = match given.into_iter().filter(|given| *given).count() {
        0 => "provider does not contain any of the expected providers: KMS, AESGCM, AESCBC, Secretbox, Identity",
        1 => return None,
        _ => "more than one provider specified in a single element, should split into different list elements",
    };
    Some(Error::invalid(path, BadValue::raw(shown(one)), why))
}

/// A provider as Go's JSON of its internal type, without the keys.
fn shown(one: &Provider) -> String {
    let keys = |keys: &Option<Keys>| {
        let list = |keys: &Keys| {
            let all = keys.keys.iter();
            json!({"Keys": all.map(|key| json!({"Name": key.name, "Secret": "REDACTED"})).collect::<Vec<_>>()})
        };
        keys.as_ref().map_or(Value::Null, list)
    };
    let kms = |kms: &Kms| {
        let fields = [
            ("APIVersion", json!(kms.api_version)),
            ("Name", json!(kms.name)),
            ("CacheSize", json!(kms.cachesize)),
            ("Endpoint", json!(kms.endpoint)),
            ("Timeout", json!(apimachinery::duration::format(kms.timeout.0))),
        ];
        in_order(&fields)
    };
    let fields = [
        ("AESGCM", keys(&one.aesgcm)),
        ("AESCBC", keys(&one.aescbc)),
        ("Secretbox", keys(&one.secretbox)),
        ("Identity", one.identity.as_ref().map_or(Value::Null, |_| json!({}))),
    ];
    let kms = one.kms.as_ref().map_or("null".to_owned(), kms);
    let before = in_order(&fields);
    let before = before.strip_suffix('}').unwrap_or(&before);
    escape_html(format!("{before},\"KMS\":{kms}}}"))
}

/// As JSON in the order of Go's fields, which a map of serde_json's has not.
fn in_order(fields: &[(&str, Value)]) -> String {
    let fields: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("\"{name}\":{value}"))
        .collect();
    format!("{{{}}}", fields.join(","))
}

fn keys(all: &Keys, path: &Path, sizes: &[usize]) -> ErrorList {
    if all.keys.is_empty() {
        return vec![at_least_one(path, "keys")];
    }
    let each = all.keys.iter().enumerate();
    each.flat_map(|(i, one)| key(one, &path.index(i), sizes)).collect()
}

fn key(one: &Key, path: &Path, sizes: &[usize]) -> ErrorList {
    let mut errors = ErrorList::new();
    if one.name.is_empty() {
        errors.push(Error::required(&path.child("name"), mandatory("name", "key")));
    }
    let path = path.child("secret");
    if one.secret.0.is_empty() {
        errors.push(Error::required(&path, mandatory("secret", "key")));
        return errors;
    }
    match one.bytes() {
        Err(_) => errors.push(Error::invalid(&path, "REDACTED", "secrets must be base64 encoded")),
        Ok(bytes) if sizes.contains(&bytes.len()) => {}
        Ok(bytes) => {
            let sizes: Vec<String> = sizes.iter().map(usize::to_string).collect();
            let why = format!(
                "secret is not of the expected length, got {}, expected one of [{}]",
                bytes.len(),
                sizes.join(" ")
            );
            errors.push(Error::invalid(&path, "REDACTED", why));
        }
    }
    errors
}

fn plugin(kms: &Kms, path: &Path, before: &[&str], reload: bool) -> ErrorList {
    let mut errors = ErrorList::new();
    let v1 = kms.api_version == "v1";
    let name = path.child("name");
    if kms.name.is_empty() {
        errors.push(Error::required(&name, mandatory("name", "provider")));
    }
    if !v1 && kms.name.contains(':') {
        let why = format!("invalid KMS provider name {}, must not contain ':'", kms.name);
        errors.push(Error::invalid(&name, kms.name.as_str(), why));
    }
    if (reload || !v1) && before.contains(&kms.name.as_str()) {
        let why = format!("duplicate KMS provider name {}, names must be unique", kms.name);
        errors.push(Error::invalid(&name, kms.name.as_str(), why));
    }
    if kms.timeout.0 <= 0 {
        let shown = apimachinery::duration::format(kms.timeout.0);
        errors.push(Error::invalid(
            &path.child("timeout"),
            shown,
            "timeout should be a positive value",
        ));
    }
    errors.extend(endpoint(&kms.endpoint, &path.child("endpoint")));
    match kms.cachesize {
        Some(size) if !v1 => {
            let why = "cachesize is not supported in v2";
            errors.push(Error::invalid(&path.child("cachesize"), size, why));
        }
        Some(0) => {
            let why = "cachesize should be a positive value, or negative to disable";
            errors.push(Error::invalid(&path.child("cachesize"), 0, why));
        }
        _ => {}
    }
    if !v1 && kms.api_version != "v2" {
        // Upstream means to name the version here and names the field.
        let why = "unsupported apiVersion apiVersion for KMS provider, only v1 and v2 are supported";
        errors.push(Error::invalid(&path.child("apiVersion"), kms.api_version.as_str(), why));
    }
    errors
}

fn endpoint(text: &str, path: &Path) -> Option<Error> {
    if text.is_empty() {
        return Some(Error::invalid(path, "", mandatory("endpoint", "kms")));
    }
    let why = match scheme(text) {
        Err(why) => format!("invalid endpoint for kms provider, error: parse {text:?}: {why}"),
        Ok(scheme) if scheme == "unix" => return None,
        Ok(scheme) => format!("unsupported scheme {scheme:?} for KMS provider, only unix is supported"),
    };
    Some(Error::invalid(path, text, why))
}

/// What Go's `url.Parse` takes for the scheme; empty when there is none.
fn scheme(text: &str) -> Result<String, &'static str> {
    if text.bytes().any(|b| b.is_ascii_control()) {
        return Err("net/url: invalid control character in URL");
    }
    for (i, b) in text.bytes().enumerate() {
        match b {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if i > 0 => {}
            b':' if i == 0 => return Err("missing protocol scheme"),
            b':' => return Ok(text[..i].to_lowercase()),
            _ => break,
        }
    }
    Ok(String::new())
}
