//! Endpoints written by hand reach those who read slices.

use client::Patch;
use client::params::DeleteOptions;
use k8s_openapi::api::core::v1::{Endpoints, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use serde_json::json;

use crate::cluster::Cluster;

async fn addresses(cluster: &Cluster, wanted: &[&str]) {
    cluster
        .until::<EndpointSlice, _>(&format!("slices of db with {wanted:?}"), |reader| {
            let slices = reader.list_namespace("default").into_iter().filter(|slice| {
                let label = |key: &str| slice.metadata.labels.as_ref()?.get(key).cloned();
                label("kubernetes.io/service-name").as_deref() == Some("db")
                    && label("endpointslice.kubernetes.io/managed-by").as_deref()
                        == Some("endpointslicemirroring-controller.k8s.io")
            });
            let mut found: Vec<String> = slices
                .flat_map(|slice| slice.endpoints.clone().unwrap_or_default())
                .flat_map(|endpoint| endpoint.addresses)
                .collect();
            found.sort();
            (found == wanted).then_some(())
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn endpoints_of_a_service_without_a_selector_are_mirrored_until_they_go() {
    let cluster = Cluster::start().await;
    let subset = |ip: &str| json!({"addresses": [{"ip": ip}], "ports": [{"name": "sql", "port": 5432}]});
    let endpoints = json!({"metadata": {"name": "db"}, "subsets": [subset("10.1.2.3")]});
    cluster.create::<Endpoints>("default", endpoints).await;
    let service = json!({"metadata": {"name": "db"}, "spec": {"ports": [{"name": "sql", "port": 5432}]}});
    cluster.create::<Service>("default", service).await;
    addresses(&cluster, &["10.1.2.3"]).await;

    let patch = Patch::Merge(json!({"subsets": [subset("10.1.2.4"), subset("10.1.2.5")]}));
    let api = cluster.api::<Endpoints>("default");
    api.patch("db", &patch, None).await.unwrap();
    addresses(&cluster, &["10.1.2.4", "10.1.2.5"]).await;

    // A Service that gets a selector has slices of its own.
    let services = cluster.api::<Service>("default");
    let select = Patch::Merge(json!({"spec": {"selector": {"app": "db"}}}));
    services.patch("db", &select, None).await.unwrap();
    addresses(&cluster, &[]).await;
    let let_go = Patch::Merge(json!({"spec": {"selector": null}}));
    services.patch("db", &let_go, None).await.unwrap();
    api.patch("db", &patch, None).await.unwrap();
    addresses(&cluster, &["10.1.2.4", "10.1.2.5"]).await;

    api.delete("db", &DeleteOptions::default()).await.unwrap();
    addresses(&cluster, &[]).await;
    cluster.stop().await;
}
