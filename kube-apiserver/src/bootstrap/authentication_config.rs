//! ConfigMap `kube-system/extension-apiserver-authentication`: how others verify our clients.
//!
//! Upstream: `pkg/controlplane/controller/clusterauthenticationtrust`.

use std::sync::Arc;

use apimachinery::status::ApiError;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::{Value, json};

use crate::authn::cert_pool::CertPool;
use crate::authn::request_header::RequestHeader;
use crate::objects::{Objects, find, text};

const NAME: &str = "extension-apiserver-authentication";

/// Whom this server trusts, by its flags.
#[derive(Clone)]
pub(crate) struct Trusted {
    /// `--client-ca-file`.
    pub(crate) client_ca: Option<Arc<CertPool>>,
    /// `--requestheader-*`.
    pub(crate) proxy: Option<RequestHeader>,
}

impl Trusted {
    /// The ConfigMap's data, with the authorities that the files hold now.
    pub(crate) fn data(&self) -> Value {
        let mut data = json!({});
        if let Some(ca) = &self.client_ca {
            data["client-ca-file"] = json!(ca.current().pem);
        }
        if let Some(p) = &self.proxy {
            let list = |l: &[String]| json!(json!(l).to_string());
            data["requestheader-client-ca-file"] = json!(p.pool.current().pem);
            data["requestheader-allowed-names"] = list(&p.allowed_names);
            data["requestheader-username-headers"] = list(&p.username_headers);
            data["requestheader-group-headers"] = list(&p.group_headers);
            data["requestheader-extra-headers-prefix"] = list(&p.extra_prefixes);
            if !p.uid_headers.is_empty() {
                data["requestheader-uid-headers"] = list(&p.uid_headers);
            }
        }
        data
    }
}

/// Creates the ConfigMap, or adds to it what this server trusts: servers with other flags have their
/// part in it too.
pub(crate) async fn reconcile(objects: &dyn Objects, data: &Value) -> Result<(), ApiError> {
    let now = apimachinery::time::now().as_second();
    let combined = |have: &Value| {
        // Someone's mistake stays as it is until they mend it: what the list said is not ours to drop.
        let new = combined(have, data, now);
        new.map_err(|why| tracing::error!("configmaps/{NAME} in kube-system is not brought up to date: {why}"))
    };
    let result = match find(objects, "", "configmaps", "kube-system", NAME).await? {
        None => {
            let object = json!({
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": NAME, "namespace": "kube-system"},
                "data": combined(&Value::Null).unwrap_or_default(),
            });
            objects.create("", "configmaps", "kube-system", object).await
        }
        Some(have) => {
            let Ok(all) = combined(&have["data"]) else {
                return Ok(());
            };
            let mut new = (*have).clone();
            new["data"] = all;
            if new == *have {
                return Ok(());
            }
            objects.update("", "configmaps", "kube-system", new).await
        }
    };
    match result {
        Err(e) if !e.is_already_exists() && !e.is_conflict() => Err(e),
        _ => Ok(()),
    }
}

/// Both sets of values in one, each value once, without expired certificates (upstream
/// `combinedClusterAuthenticationInfo`). `now` in seconds since the epoch. The error names a list that is none.
fn combined(old: &Value, own: &Value, now: i64) -> Result<Value, String> {
    let mut all = json!({});
    let keys = [old, own]
        .into_iter()
        .filter_map(Value::as_object)
        .flat_map(|m| m.keys());
    for key in keys {
        let (old, own) = (text(old, &format!("/{key}")), text(own, &format!("/{key}")));
        let value = if key.ends_with("-ca-file") {
            bundle(&[old, own], now)
        } else if key.starts_with("requestheader-") {
            list(&[old, own]).map_err(|e| format!("{key}: {e}"))?
        } else if own.is_empty() {
            old.to_owned()
        } else {
            own.to_owned()
        };
        if !value.is_empty() {
            all[key] = value.into();
        }
    }
    Ok(all)
}

/// JSON lists of strings; an empty text is none.
fn list(parts: &[&str]) -> Result<String, serde_json::Error> {
    let mut all: Vec<String> = vec![];
    for part in parts.iter().filter(|part| !part.is_empty()) {
        for item in serde_json::from_str::<Vec<String>>(part)? {
            if !all.contains(&item) {
                all.push(item);
            }
        }
    }
    Ok(json!(all).to_string())
}

/// PEM bundles of certificates.
fn bundle(parts: &[&str], now: i64) -> String {
    let mut all: Vec<CertificateDer<'static>> = vec![];
    for cert in parts
        .iter()
        .flat_map(|p| CertificateDer::pem_slice_iter(p.as_bytes()).filter_map(Result::ok))
    {
        let alive = x509_parser::parse_x509_certificate(&cert)
            .is_ok_and(|(_, parsed)| parsed.validity().not_after.timestamp() > now);
        if alive && !all.contains(&cert) {
            all.push(cert);
        }
    }
    let mut pem = String::new();
    for cert in all {
        pem.push_str("-----BEGIN CERTIFICATE-----\n");
        let text = STANDARD.encode(&cert);
        for line in text.as_bytes().chunks(64) {
            pem.extend(line.iter().map(|b| char::from(*b)));
            pem.push('\n');
        }
        pem.push_str("-----END CERTIFICATE-----\n");
    }
    pem
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_other_servers_trust_stays_and_nothing_is_there_twice() {
        let (mut ca, mut other) = (String::new(), String::new());
        for pem in [&mut ca, &mut other] {
            let key = rcgen::KeyPair::generate().unwrap();
            let cert = rcgen::CertificateParams::new(vec!["ca".to_owned()])
                .unwrap()
                .self_signed(&key)
                .unwrap();
            *pem = cert.pem().replace("\r\n", "\n");
        }
        let now = apimachinery::time::now().as_second();
        let old = json!({"client-ca-file": other, "requestheader-allowed-names": "[\"a\",\"b\"]", "more": "x"});
        let own =
            json!({"client-ca-file": format!("# mine\n{ca}{other}"), "requestheader-allowed-names": "[\"b\",\"c\"]"});
        let all = combined(&old, &own, now).unwrap();
        assert_eq!(
            all,
            json!({"client-ca-file": format!("{other}{ca}"), "requestheader-allowed-names": "[\"a\",\"b\",\"c\"]", "more": "x"})
        );
        assert_eq!(combined(&all, &own, now).unwrap(), all);
        let far = 100_000_000_000;
        assert_eq!(combined(&old, &own, far).unwrap().get("client-ca-file"), None);
    }

    #[tokio::test]
    async fn a_malformed_list_is_left_to_whoever_wrote_it() {
        let old = json!({"requestheader-allowed-names": "front-proxy", "client-ca-file": ""});
        let own = json!({"requestheader-allowed-names": "[\"b\"]"});
        let e = combined(&old, &own, 0).unwrap_err();
        assert!(e.starts_with("requestheader-allowed-names: "), "{e}");

        let objects = crate::objects::memory::MemoryObjects::with(&[(
            "",
            "configmaps",
            json!({"metadata": {"name": NAME, "namespace": "kube-system"}, "data": old}),
        )]);
        reconcile(&*objects, &own).await.unwrap();
        let have = find(&*objects, "", "configmaps", "kube-system", NAME)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(have["data"], old);
    }
}
