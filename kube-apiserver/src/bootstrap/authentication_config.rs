//! ConfigMap `kube-system/extension-apiserver-authentication`: how others verify our clients.
//!
//! Upstream: `pkg/controlplane/controller/clusterauthenticationtrust`.

use apimachinery::status::ApiError;
use serde_json::{Value, json};

use crate::authn::cert_pool::CertPool;
use crate::authn::request_header::RequestHeader;
use crate::objects::{Objects, find};

const NAME: &str = "extension-apiserver-authentication";

/// The ConfigMap's data for these flags.
pub(crate) fn data(client_ca: Option<&CertPool>, proxy: Option<&RequestHeader>) -> Value {
    let mut data = json!({});
    if let Some(ca) = client_ca {
        data["client-ca-file"] = json!(ca.current().pem);
    }
    if let Some(p) = proxy {
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

/// Creates or corrects the ConfigMap; keys of others are kept.
pub(crate) async fn reconcile(objects: &dyn Objects, data: &Value) -> Result<(), ApiError> {
    let result = match find(objects, "", "configmaps", "kube-system", NAME).await? {
        None => {
            let object = json!({
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": NAME, "namespace": "kube-system"},
                "data": data,
            });
            objects.create("", "configmaps", "kube-system", object).await
        }
        Some(have) => {
            let mut new = (*have).clone();
            for (k, v) in data.as_object().into_iter().flatten() {
                new["data"][k] = v.clone();
            }
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
