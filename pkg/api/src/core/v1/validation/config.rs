//! ConfigMaps, Secrets, ServiceAccounts.

use apimachinery::field::{BadValue, Error, ErrorList, Path};
use apimachinery::validation::is_config_map_key;
use k8s_openapi::api::core::v1::{ConfigMap, Secret, ServiceAccount};

use crate::check::{IMMUTABLE, equal, invalid_each, text};
use crate::meta;

/// Upper bound of all values together, in bytes (`MaxSecretSize`).
const MAX_SIZE: usize = 1024 * 1024;
const FROZEN: &str = "field is immutable when `immutable` is set";

/// A new ConfigMap (`ValidateConfigMap`).
pub fn config_map_create(obj: &ConfigMap) -> ErrorList {
    let mut errs = meta::create(&obj.metadata, true, meta::name_subdomain);
    let mut size = 0;
    for (key, value) in obj.data.iter().flatten() {
        let path = Path::new("data").key(key);
        invalid_each(&mut errs, &path, key, is_config_map_key(key));
        if obj.binary_data.as_ref().is_some_and(|b| b.contains_key(key)) {
            errs.push(Error::invalid(&path, key, "duplicate of key present in binaryData"));
        }
        size += value.len();
    }
    for (key, value) in obj.binary_data.iter().flatten() {
        let path = Path::new("binaryData").key(key);
        invalid_each(&mut errs, &path, key, is_config_map_key(key));
        size += value.0.len();
    }
    if size > MAX_SIZE {
        // Upstream's path has one empty name here, which prints as an index.
        errs.push(Error::too_long(&Path::new("[]"), MAX_SIZE));
    }
    errs
}

/// A changed ConfigMap (`ValidateConfigMapUpdate`).
pub fn config_map_update(new: &ConfigMap, old: &ConfigMap) -> ErrorList {
    let mut errs = meta::update(&new.metadata, &old.metadata);
    if old.immutable == Some(true) {
        for (field, changed) in [
            ("immutable", new.immutable != Some(true)),
            (
                "data",
                new.data.clone().unwrap_or_default() != old.data.clone().unwrap_or_default(),
            ),
            ("binaryData", !equal(&new.binary_data, &old.binary_data)),
        ] {
            if changed {
                errs.push(Error::forbidden(&Path::new(field), FROZEN));
            }
        }
    }
    errs.extend(config_map_create(new));
    errs
}

/// A new Secret (`ValidateSecret`).
pub fn secret_create(obj: &Secret) -> ErrorList {
    let mut errs = meta::create(&obj.metadata, true, meta::name_subdomain);
    let path = Path::new("data");
    let mut size = 0;
    for (key, value) in obj.data.iter().flatten() {
        invalid_each(&mut errs, &path.key(key), key, is_config_map_key(key));
        size += value.0.len();
    }
    if size > MAX_SIZE {
        errs.push(Error::too_long(&path, MAX_SIZE));
    }
    type_rules(&mut errs, obj, &path);
    errs
}

/// What each built-in type must hold.
fn type_rules(errs: &mut ErrorList, obj: &Secret, path: &Path) {
    let data = |key: &str| obj.data.as_ref().and_then(|d| d.get(key));
    let mut need = |key: &str, ok: bool| {
        if !ok {
            errs.push(Error::required(&path.key(key), ""));
        }
    };
    match text(&obj.type_) {
        "kubernetes.io/service-account-token" => {
            const NAME: &str = "kubernetes.io/service-account.name";
            let name = obj.metadata.annotations.as_ref().and_then(|a| a.get(NAME));
            if name.is_none_or(String::is_empty) {
                let path = Path::new("metadata").child("annotations").key(NAME);
                errs.push(Error::required(&path, ""));
            }
        }
        "kubernetes.io/dockercfg" => docker_config(errs, obj, ".dockercfg", path),
        "kubernetes.io/dockerconfigjson" => docker_config(errs, obj, ".dockerconfigjson", path),
        "kubernetes.io/basic-auth" => {
            let any = data("username").is_some() || data("password").is_some();
            need("username", any);
            need("password", any);
        }
        "kubernetes.io/ssh-auth" => {
            need(
                "ssh-privatekey",
                data("ssh-privatekey").is_some_and(|k| !k.0.is_empty()),
            );
        }
        "kubernetes.io/tls" => {
            need("tls.crt", data("tls.crt").is_some());
            need("tls.key", data("tls.key").is_some());
        }
        _ => {}
    }
}

fn docker_config(errs: &mut ErrorList, obj: &Secret, key: &str, path: &Path) {
    let path = path.key(key);
    match obj.data.as_ref().and_then(|d| d.get(key)) {
        None => errs.push(Error::required(&path, "")),
        Some(bytes) => {
            type Object = serde_json::Map<String, serde_json::Value>;
            if let Err(e) = serde_json::from_slice::<Object>(&bytes.0) {
                errs.push(Error::invalid(&path, "<secret contents redacted>", e.to_string()));
            }
        }
    }
}

/// A changed Secret (`ValidateSecretUpdate`).
pub fn secret_update(new: &Secret, old: &Secret) -> ErrorList {
    let mut errs = meta::update(&new.metadata, &old.metadata);
    if text(&new.type_) != text(&old.type_) {
        errs.push(Error::invalid(
            &Path::new("type"),
            BadValue::named(text(&new.type_)),
            IMMUTABLE,
        ));
    }
    if old.immutable == Some(true) {
        if new.immutable != Some(true) {
            errs.push(Error::forbidden(&Path::new("immutable"), FROZEN));
        }
        if new.data.clone().unwrap_or_default() != old.data.clone().unwrap_or_default() {
            errs.push(Error::forbidden(&Path::new("data"), FROZEN));
        }
    }
    errs.extend(secret_create(new));
    errs
}

/// A new ServiceAccount (`ValidateServiceAccount`).
pub fn service_account_create(obj: &ServiceAccount) -> ErrorList {
    meta::create(&obj.metadata, true, meta::name_subdomain)
}

/// A changed ServiceAccount (`ValidateServiceAccountUpdate`).
pub fn service_account_update(new: &ServiceAccount, old: &ServiceAccount) -> ErrorList {
    let mut errs = meta::update(&new.metadata, &old.metadata);
    errs.extend(service_account_create(new));
    errs
}
