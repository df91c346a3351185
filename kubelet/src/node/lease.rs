//! The node's heartbeat: a Lease in kube-node-lease, renewed at a quarter of its duration
//! (upstream: component-helpers/apimachinery/lease).

use std::sync::Arc;
use std::time::Duration;

use client::{Api, Client};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta, OwnerReference};
use k8s_openapi::jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::shared::Shared;

const NAMESPACE: &str = "kube-node-lease";
/// How long to wait after a failure.
const RETRY: Duration = Duration::from_secs(2);

/// Renews the lease until `shutdown`.
pub(crate) async fn run(shared: Arc<Shared>, client: Client, shutdown: CancellationToken) {
    let api = Api::<Lease>::namespaced(client, NAMESPACE);
    let seconds = shared.config.file.node_lease_duration_seconds.max(4);
    let renew = Duration::from_millis(u64::try_from(seconds).unwrap_or(40) * 250);
    let mut last: Option<Lease> = None;
    loop {
        let wait = match renew_once(&shared, &api, last.take(), seconds).await {
            Ok(lease) => {
                last = Some(lease);
                renew
            }
            Err(error) => {
                tracing::debug!(error = %client::error::chain(&error), "cannot renew the node's lease");
                RETRY
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
    }
}

async fn renew_once(shared: &Shared, api: &Api<Lease>, last: Option<Lease>, seconds: i32) -> client::Result<Lease> {
    let name = &shared.config.node_name;
    let known = match last {
        Some(last) => Some(last),
        None => api.get_opt(name).await?,
    };
    let now = MicroTime(Timestamp::now());
    let owner = shared.facts.node_uid().map(|uid| {
        vec![OwnerReference {
            api_version: "v1".to_owned(),
            kind: "Node".to_owned(),
            name: name.clone(),
            uid,
            ..OwnerReference::default()
        }]
    });
    let Some(mut lease) = known else {
        let lease = Lease {
            metadata: ObjectMeta {
                name: Some(name.clone()),
                namespace: Some(NAMESPACE.to_owned()),
                owner_references: owner,
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec {
                holder_identity: Some(name.clone()),
                lease_duration_seconds: Some(seconds),
                renew_time: Some(now),
                ..LeaseSpec::default()
            }),
        };
        return api.create(&lease).await;
    };
    let spec = lease.spec.get_or_insert_default();
    spec.holder_identity = Some(name.clone());
    spec.lease_duration_seconds = Some(seconds);
    spec.renew_time = Some(now);
    if lease.metadata.owner_references.as_ref().is_none_or(Vec::is_empty) {
        lease.metadata.owner_references = owner;
    }
    api.update(&lease).await
}
