//! root-ca-certificate-publisher-controller: every active namespace has the ConfigMap
//! `kube-root-ca.crt`, with the authority that pods verify the API server against.
//!
//! Upstream: pkg/controller/certificates/rootcacertpublisher/publisher.go `Publisher.syncNamespace`.
//! Key: the namespace.

use std::{collections::BTreeMap, sync::Arc};

use client::{Api, Client, controller::Outcome, informer::Event, informer::Reader, workqueue::WorkQueue};
use k8s_openapi::{
    api::core::v1::{ConfigMap, Namespace},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};

use super::{name, namespace, serviceaccount::is_active};
use crate::context::{ControllerContext, Work};

const CONFIG_MAP: &str = "kube-root-ca.crt";
const KEY: &str = "ca.crt";
const DESCRIPTION: (&str, &str) = (
    "kubernetes.io/description",
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.",
);

struct Controller {
    client: Client,
    root_ca: String,
    namespaces: Reader<Namespace>,
    config_maps: Reader<ConfigMap>,
}

pub(crate) fn start(ctx: &ControllerContext) -> Option<Work> {
    let root_ca = ctx.config.root_ca.clone()?;
    let queue = WorkQueue::new("root-ca-cert-publisher");
    let namespaces = ctx.informers.informer::<Namespace>();
    namespaces.add_handler({
        let queue = queue.clone();
        move |event| match event {
            Event::Added(object) | Event::Updated { new: object, .. } => queue.add(name(&*object).to_owned()),
            Event::Deleted(_) => {}
        }
    });
    let config_maps = ctx.informers.informer::<ConfigMap>();
    config_maps.add_handler({
        let queue = queue.clone();
        move |event| {
            if let Event::Updated { new: object, .. } | Event::Deleted(object) = event
                && name(&*object) == CONFIG_MAP
            {
                queue.add(namespace(&*object).to_owned());
            }
        }
    });
    let controller = Arc::new(Controller {
        client: ctx.client("root-ca-cert-publisher"),
        root_ca,
        namespaces: namespaces.reader(),
        config_maps: config_maps.reader(),
    });
    Some(
        ctx.work("root-ca-certificate-publisher-controller", queue, 1, move |key| {
            let controller = controller.clone();
            async move { controller.reconcile(&key).await }
        }),
    )
}

/// What has to be written.
#[derive(Debug, PartialEq)]
enum Plan {
    Nothing,
    Create(ConfigMap),
    Update(ConfigMap),
}

fn plan(namespace: &str, root_ca: &str, current: Option<&ConfigMap>) -> Plan {
    let data = BTreeMap::from([(KEY.to_owned(), root_ca.to_owned())]);
    let annotation = (DESCRIPTION.0.to_owned(), DESCRIPTION.1.to_owned());
    let Some(current) = current else {
        return Plan::Create(ConfigMap {
            metadata: ObjectMeta {
                name: Some(CONFIG_MAP.to_owned()),
                namespace: Some(namespace.to_owned()),
                annotations: Some(BTreeMap::from([annotation])),
                ..ObjectMeta::default()
            },
            data: Some(data),
            ..ConfigMap::default()
        });
    };
    let described = current
        .metadata
        .annotations
        .as_ref()
        .and_then(|all| all.get(DESCRIPTION.0));
    if current.data.as_ref() == Some(&data) && described.is_some_and(|text| text == DESCRIPTION.1) {
        return Plan::Nothing;
    }
    let mut wanted = current.clone();
    wanted.data = Some(data);
    wanted
        .metadata
        .annotations
        .get_or_insert_default()
        .insert(annotation.0, annotation.1);
    Plan::Update(wanted)
}

impl Controller {
    async fn reconcile(&self, key: &str) -> anyhow::Result<Outcome> {
        if !is_active(self.namespaces.get("", key).as_deref()) {
            return Ok(Outcome::Done);
        }
        let api = Api::<ConfigMap>::namespaced(self.client.clone(), key);
        let result = match plan(key, &self.root_ca, self.config_maps.get(key, CONFIG_MAP).as_deref()) {
            Plan::Nothing => return Ok(Outcome::Done),
            Plan::Create(object) => api.create(&object).await,
            Plan::Update(object) => api.update(&object).await,
        };
        match result {
            Err(error) if !error.is_already_exists() && !error.is_namespace_terminating() => Err(error.into()),
            _ => Ok(Outcome::Done),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_is_created_edited_is_repaired_right_is_left_alone() {
        let Plan::Create(created) = plan("ns", "CA", None) else {
            panic!("a missing one is created")
        };
        assert_eq!(plan("ns", "CA", Some(&created)), Plan::Nothing);
        let mut edited = created.clone();
        edited.data = Some(BTreeMap::from([("other".to_owned(), "x".to_owned())]));
        edited
            .metadata
            .annotations
            .get_or_insert_default()
            .insert("kept".to_owned(), "yes".to_owned());
        let Plan::Update(repaired) = plan("ns", "CA", Some(&edited)) else {
            panic!("an edited one is repaired")
        };
        assert_eq!(repaired.data, created.data);
        assert_eq!(repaired.metadata.annotations.unwrap()["kept"], "yes");
        assert!(matches!(plan("ns", "new CA", Some(&created)), Plan::Update(_)));
    }
}
