//! Defaults of apiextensions.k8s.io/v1 (pkg/apis/apiextensions/v1/defaults.go).

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceConversion, CustomResourceDefinition, CustomResourceDefinitionStatus,
};

use crate::check::list;
use crate::core::v1::defaults::or;

/// Names from the kind, no conversion, the storage version among the stored ones
/// (`SetDefaults_CustomResourceDefinition`, `SetDefaults_ServiceReference`).
pub fn custom_resource_definition(obj: &mut CustomResourceDefinition) {
    let names = &mut obj.spec.names;
    let kind = names.kind.clone();
    or(&mut names.singular, &kind.to_lowercase());
    if !kind.is_empty() {
        or(&mut names.list_kind, &format!("{kind}List"));
    }
    let conversion = obj.spec.conversion.get_or_insert_with(|| CustomResourceConversion {
        strategy: "None".to_string(),
        ..CustomResourceConversion::default()
    });
    let client = conversion.webhook.as_mut().and_then(|w| w.client_config.as_mut());
    if let Some(service) = client.and_then(|c| c.service.as_mut()) {
        service.port.get_or_insert(443);
    }
    add_stored_version(obj, true);
}

/// Adds the storage version to the stored ones, or with `only_first` where there is none yet.
pub fn add_stored_version(obj: &mut CustomResourceDefinition, only_first: bool) {
    let storage = obj.spec.versions.iter().find(|v| v.storage).map(|v| v.name.clone());
    let status: &mut CustomResourceDefinitionStatus = obj.status.get_or_insert_default();
    let stored = list(&status.stored_versions);
    if let Some(name) = storage.filter(|name| !stored.contains(name))
        && (stored.is_empty() || !only_first)
    {
        status.stored_versions.get_or_insert_default().push(name);
    }
}
