//! How objects are converted between versions (`validateCustomResourceConversion`).

use apimachinery::field::{Error, ErrorList, Path};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinitionSpec, WebhookClientConfig,
};

use super::options::Options;
use crate::check::{WebhookService, ca_bundle, required_one_of, review_versions, webhook_client};

/// The conversion, and that one by webhook prunes.
pub(super) fn conversion(errs: &mut ErrorList, spec: &CustomResourceDefinitionSpec, options: &Options) {
    let Some(conversion) = &spec.conversion else { return };
    let path = Path::new("spec").child("conversion");
    let strategy = conversion.strategy.as_str();
    if strategy != "None" && spec.preserve_unknown_fields == Some(true) {
        let rule = "must be None if spec.preserveUnknownFields is true";
        errs.push(Error::invalid(&path.child("strategy"), strategy, rule));
    }
    required_one_of(errs, &path.child("strategy"), strategy, &["None", "Webhook"]);
    let client = conversion.webhook.as_ref().and_then(|w| w.client_config.as_ref());
    let versions = conversion
        .webhook
        .as_ref()
        .map(|w| w.conversion_review_versions.as_slice());
    let versions = versions.unwrap_or_default();
    let (client_path, versions_path) = (
        path.child("webhookClientConfig"),
        path.child("conversionReviewVersions"),
    );
    if strategy == "Webhook" {
        match client {
            None => errs.push(Error::required(
                &client_path,
                "required when strategy is set to Webhook",
            )),
            Some(client) => client_config(errs, client, options, &client_path),
        }
        // `validateConversionReviewVersions`
        review_versions(errs, versions, options.recognized_review_version, "", &versions_path);
        return;
    }
    let rule = "should not be set when strategy is not set to Webhook";
    if client.is_some() {
        errs.push(Error::forbidden(&client_path, rule));
    }
    if !versions.is_empty() {
        errs.push(Error::forbidden(&versions_path, rule));
    }
}

fn client_config(errs: &mut ErrorList, client: &WebhookClientConfig, options: &Options, path: &Path) {
    let service = client.service.as_ref().map(|service| WebhookService {
        namespace: &service.namespace,
        name: &service.name,
        path: service.path.as_ref(),
        port: service.port.unwrap_or(0),
    });
    webhook_client(errs, client.url.as_deref(), service, path);
    if let Some(bundle) = client
        .ca_bundle
        .as_ref()
        .filter(|b| !b.0.is_empty() && !options.invalid_ca_bundle)
    {
        ca_bundle(errs, bundle, &path.child("caBundle"));
    }
}
