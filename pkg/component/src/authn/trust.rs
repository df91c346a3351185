//! Which authorities vouch for clients: the flags' files, and what the cluster publishes in the
//! ConfigMap `kube-system/extension-apiserver-authentication` (upstream
//! `apiserver/pkg/server/options/authentication.go`, `dynamiccertificates`).

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use client::informer::{Event, SharedInformer};
use client::reflector::Source;
use http::HeaderMap;
use k8s_openapi::api::core::v1::ConfigMap;
use tokio_util::sync::CancellationToken;

use super::User;
use super::x509::ClientCa;
use crate::serving::PeerCerts;

const NAMESPACE: &str = "kube-system";
const NAME: &str = "extension-apiserver-authentication";

/// A front proxy's right to name users in headers (`--requestheader-*`).
pub struct RequestHeader {
    /// Who signs front proxies.
    pub ca: ClientCa,
    /// Common names that may; empty allows all.
    pub allowed_names: Vec<String>,
    /// Headers holding the user name.
    pub username_headers: Vec<String>,
    /// Headers holding groups.
    pub group_headers: Vec<String>,
    /// Prefixes of headers holding extra values.
    pub extra_prefixes: Vec<String>,
}

impl RequestHeader {
    /// The user a front proxy names; none when the request is not from one.
    #[must_use]
    pub fn user(&self, certs: Option<&PeerCerts>, headers: &HeaderMap) -> Option<User> {
        let proxy = self.ca.common_name(certs?).ok()?;
        if !self.allowed_names.is_empty() && !self.allowed_names.contains(&proxy) {
            return None;
        }
        let values = |names: &[String]| -> Vec<String> {
            names
                .iter()
                .flat_map(|name| headers.get_all(name.as_str()))
                .filter_map(|value| value.to_str().ok())
                .filter(|value| !value.is_empty())
                .map(str::to_owned)
                .collect()
        };
        let name = values(&self.username_headers).into_iter().next()?;
        let mut user = User {
            name,
            groups: values(&self.group_headers),
            ..User::default()
        };
        for prefix in &self.extra_prefixes {
            let prefix = prefix.to_lowercase();
            for key in headers.keys() {
                if let Some(extra) = key.as_str().strip_prefix(&prefix) {
                    user.extra.insert(extra.to_owned(), values(&[key.as_str().to_owned()]));
                }
            }
        }
        Some(user)
    }
}

/// What is trusted now; parts given by flags win over the cluster's.
#[derive(Default)]
pub struct Trust {
    client_ca: Option<ClientCa>,
    request_header: Option<RequestHeader>,
    cluster_client_ca: ArcSwapOption<ClientCa>,
    cluster_request_header: ArcSwapOption<RequestHeader>,
}

impl Trust {
    /// Trusts what flags say; `None` leaves the part to the cluster (see [`Trust::follow_cluster`]).
    #[must_use]
    pub fn new(client_ca: Option<ClientCa>, request_header: Option<RequestHeader>) -> Self {
        Self {
            client_ca,
            request_header,
            ..Self::default()
        }
    }

    /// The user of a front proxy's headers.
    pub(super) fn header_user(&self, certs: Option<&PeerCerts>, headers: &HeaderMap) -> Option<User> {
        match &self.request_header {
            Some(rule) => rule.user(certs, headers),
            None => self.cluster_request_header.load().as_ref()?.user(certs, headers),
        }
    }

    /// The user of a client certificate; none when no authority is known.
    pub(super) fn cert_user(&self, certs: &PeerCerts) -> Option<Result<User, super::x509::Rejected>> {
        match &self.client_ca {
            Some(ca) => Some(ca.user(certs)),
            None => self.cluster_client_ca.load().as_ref().map(|ca| ca.user(certs)),
        }
    }

    /// Watches the cluster's ConfigMap until `shutdown`, for the parts flags left open.
    pub fn follow_cluster(self: &Arc<Self>, client: client::Client, shutdown: &CancellationToken) {
        let source = Source::of::<ConfigMap>(client)
            .in_namespace(NAMESPACE)
            .fields(&format!("metadata.name={NAME}"));
        let informer = SharedInformer::<ConfigMap>::new(source);
        let trust = Arc::clone(self);
        let _ = informer.add_handler(move |event| match event {
            Event::Added(map) | Event::Updated { new: map, .. } => trust.read(&map),
            // Upstream goes on with what it had, too.
            Event::Deleted(_) => {}
        });
        informer.start(shutdown);
        // The handler's task holds the informer's channel; the informer itself lives in its own task.
    }

    fn read(&self, map: &ConfigMap) {
        let empty = std::collections::BTreeMap::new();
        let data = map.data.as_ref().unwrap_or(&empty);
        let ca = |key: &str| {
            let pem = data.get(key).filter(|pem| !pem.is_empty())?;
            ClientCa::from_pem(pem.as_bytes())
                .inspect_err(|error| tracing::warn!(%error, key, "unusable authority in ConfigMap {NAMESPACE}/{NAME}"))
                .ok()
        };
        let list = |key: &str| -> Vec<String> {
            data.get(key)
                .and_then(|text| serde_json::from_str(text).ok())
                .unwrap_or_default()
        };
        if let Some(ca) = ca("client-ca-file") {
            self.cluster_client_ca.store(Some(Arc::new(ca)));
        }
        if let Some(ca) = ca("requestheader-client-ca-file") {
            self.cluster_request_header.store(Some(Arc::new(RequestHeader {
                ca,
                allowed_names: list("requestheader-allowed-names"),
                username_headers: list("requestheader-username-headers"),
                group_headers: list("requestheader-group-headers"),
                extra_prefixes: list("requestheader-extra-headers-prefix"),
            })));
        }
    }
}
