//! What nobody may have without a quota for it: `limitedResources` of the plugin's configuration.
//!
//! Upstream: apiserver resourcequota `apis/resourcequota/v1`, `limitedByDefault`, `getMatchedLimitedScopes`.

use std::collections::BTreeSet;

use apimachinery::field::{Error, Path, aggregate};
use k8s_openapi::api::core::v1::ScopedResourceSelectorRequirement;
use rules::resources::ResourceList;
use serde::Deserialize;

use super::super::config_file::{Configurations, Kind};
use super::request::Subject;

/// Of the configuration, the present one first.
const KINDS: [Kind; 3] = [
    ("apiserver.config.k8s.io/v1", "ResourceQuotaConfiguration"),
    ("resourcequota.admission.k8s.io/v1beta1", "Configuration"),
    ("resourcequota.admission.k8s.io/v1alpha1", "Configuration"),
];

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Configuration {
    #[serde(default)]
    limited_resources: Option<Vec<Limited>>,
}

/// One rule.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Limited {
    #[serde(default)]
    api_group: String,
    #[serde(default)]
    resource: String,
    /// Parts of the names of limited amounts.
    #[serde(default)]
    match_contains: Vec<String>,
    /// Scopes whose objects are limited.
    #[serde(default)]
    match_scopes: Vec<ScopedResourceSelectorRequirement>,
}

/// The rules of the configuration.
pub(super) fn rules(all: &Configurations) -> Result<Vec<Limited>, String> {
    let told: Configuration = all.decode("ResourceQuota", &KINDS)?;
    let rules = told.limited_resources.unwrap_or_default();
    let unnamed = rules.iter().enumerate().filter(|(_, rule)| rule.resource.is_empty());
    let path = Path::new("limitedResources");
    let errors: Vec<Error> = unnamed
        .map(|(i, _)| Error::required(&path.index(i).child("resource"), ""))
        .collect();
    match aggregate(&errors) {
        None => Ok(rules),
        Some(wrong) => Err(wrong),
    }
}

/// What of a write needs a quota.
#[derive(Default)]
pub(super) struct Demands {
    /// Amounts.
    pub(super) names: BTreeSet<String>,
    /// Scopes that look at the object.
    pub(super) scopes: Vec<ScopedResourceSelectorRequirement>,
}

impl Demands {
    /// Of an object that uses so much.
    pub(super) fn new(rules: &[Limited], group: &str, resource: &str, subject: &Subject, usage: &ResourceList) -> Self {
        let of_kind = |rule: &&Limited| rule.api_group == group && rule.resource == resource;
        let taken = usage.iter().filter(|(_, amount)| amount.sign() > 0);
        let is_limited = |name: &str| {
            let mut parts = rules.iter().filter(of_kind).flat_map(|rule| &rule.match_contains);
            parts.any(|part| name.contains(part.as_str()))
        };
        Demands {
            names: taken
                .map(|(name, _)| name.clone())
                .filter(|name| is_limited(name))
                .collect(),
            scopes: rules
                .iter()
                .flat_map(|rule| &rule.match_scopes)
                .filter(|scope| subject.is_scoped(scope))
                .cloned()
                .collect(),
        }
    }

    /// As Go prints a list of such values.
    pub(super) fn shown(scopes: &[&ScopedResourceSelectorRequirement]) -> String {
        let one = |scope: &&ScopedResourceSelectorRequirement| {
            let values = scope.values.as_deref().unwrap_or_default().join(" ");
            format!("{{{} {} [{values}]}}", scope.scope_name, scope.operator)
        };
        let all: Vec<String> = scopes.iter().map(one).collect();
        format!("[{}]", all.join(" "))
    }
}
