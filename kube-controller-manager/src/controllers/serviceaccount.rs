//! serviceaccount-controller: every active namespace has a ServiceAccount `default`.
//!
//! Upstream: pkg/controller/serviceaccount/serviceaccounts_controller.go `ServiceAccountsController`.
//! Key: the namespace.

use client::{Api, Client, controller::Outcome, informer::Event, informer::Reader, workqueue::WorkQueue};
use k8s_openapi::{
    api::core::v1::{Namespace, ServiceAccount},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};

use super::{name, namespace};
use crate::context::{ControllerContext, Work};

const ACCOUNT: &str = "default";

struct Controller {
    client: Client,
    namespaces: Reader<Namespace>,
    accounts: Reader<ServiceAccount>,
}

pub(crate) fn start(ctx: &ControllerContext) -> Option<Work> {
    let queue = WorkQueue::new("serviceaccount");
    let namespaces = ctx.informers.informer::<Namespace>();
    namespaces.add_handler({
        let queue = queue.clone();
        move |event| match event {
            Event::Added(object) | Event::Updated { new: object, .. } => queue.add(name(&*object).to_owned()),
            Event::Deleted(_) => {}
        }
    });
    let accounts = ctx.informers.informer::<ServiceAccount>();
    accounts.add_handler({
        let queue = queue.clone();
        move |event| {
            if let Event::Deleted(account) = event
                && name(&*account) == ACCOUNT
            {
                queue.add(namespace(&*account).to_owned());
            }
        }
    });
    let controller = std::sync::Arc::new(Controller {
        client: ctx.client("service-account-controller"),
        namespaces: namespaces.reader(),
        accounts: accounts.reader(),
    });
    Some(ctx.work("serviceaccount-controller", queue, 1, move |key| {
        let controller = controller.clone();
        async move { controller.reconcile(&key).await }
    }))
}

impl Controller {
    async fn reconcile(&self, key: &str) -> anyhow::Result<Outcome> {
        if !is_active(self.namespaces.get("", key).as_deref()) || self.accounts.get(key, ACCOUNT).is_some() {
            return Ok(Outcome::Done);
        }
        let metadata = ObjectMeta {
            name: Some(ACCOUNT.to_owned()),
            namespace: Some(key.to_owned()),
            ..ObjectMeta::default()
        };
        let account = ServiceAccount {
            metadata,
            ..ServiceAccount::default()
        };
        match Api::<ServiceAccount>::namespaced(self.client.clone(), key)
            .create(&account)
            .await
        {
            Err(error) if !error.is_already_exists() && !error.is_namespace_terminating() => Err(error.into()),
            _ => Ok(Outcome::Done),
        }
    }
}

/// Only an active namespace takes new objects.
pub(super) fn is_active(namespace: Option<&Namespace>) -> bool {
    let Some(namespace) = namespace else { return false };
    let phase = namespace.status.as_ref().and_then(|status| status.phase.as_deref());
    namespace.metadata.deletion_timestamp.is_none() && phase == Some("Active")
}
