//! `--runtime-config`: which group versions and resources are served.
//!
//! Upstream: `apiserver/pkg/server/options/api_enablement.go`, `apiserver/pkg/server/resourceconfig/helpers.go`.

use std::collections::BTreeMap;

use component::flags::Values;

use crate::resources::{self, Resource};

/// Versions that upstream knows and this build does not serve: naming them is no mistake.
const NOT_BUILT: [(&str, &[&str]); 20] = [
    ("admissionregistration.k8s.io", &["v1beta1", "v1alpha1"]),
    ("apps", &["v1beta1", "v1beta2"]),
    ("authentication.k8s.io", &["v1beta1", "v1alpha1"]),
    ("authorization.k8s.io", &["v1beta1"]),
    ("autoscaling", &["v2beta1", "v2beta2"]),
    ("batch", &["v1beta1"]),
    ("certificates.k8s.io", &["v1beta1", "v1alpha1"]),
    ("coordination.k8s.io", &["v1beta1", "v1alpha2"]),
    ("discovery.k8s.io", &["v1beta1"]),
    ("events.k8s.io", &["v1beta1"]),
    ("extensions", &["v1beta1"]),
    ("flowcontrol.apiserver.k8s.io", &["v1beta1", "v1beta2", "v1beta3"]),
    ("internal.apiserver.k8s.io", &["v1alpha1"]),
    ("networking.k8s.io", &["v1beta1"]),
    ("node.k8s.io", &["v1beta1", "v1alpha1"]),
    ("policy", &["v1beta1"]),
    ("rbac.authorization.k8s.io", &["v1beta1", "v1alpha1"]),
    ("resource.k8s.io", &["v1beta1", "v1beta2", "v1alpha3"]),
    ("scheduling.k8s.io", &["v1beta1", "v1alpha1", "v1alpha2"]),
    ("storage.k8s.io", &["v1beta1", "v1alpha1"]),
];

/// Keys for all versions of a kind, in the order they count, with a version's kind: everything, or what it contains.
const MATCHERS: [&str; 4] = ["api/all", "api/ga", "api/beta", "api/alpha"];

/// What is switched on or off.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RuntimeConfig {
    /// The value of each of [`MATCHERS`] that is given, in order.
    matching: Vec<(&'static str, bool)>,
    versions: BTreeMap<(String, String), bool>,
    resources: BTreeMap<(String, String, String), bool>,
}

impl RuntimeConfig {
    pub(super) fn from_values(v: &Values, errors: &mut Vec<String>) -> Self {
        let flow_control = v.bool("enable-priority-and-fairness");
        let (config, wrong) = Self::parse(&v.map("runtime-config"), flow_control);
        errors.extend(wrong);
        config
    }

    /// What the flag says, and what is wrong with it.
    fn parse(given: &BTreeMap<String, String>, flow_control: bool) -> (Self, Vec<String>) {
        let (mut config, mut errors, mut unknown) = (Self::default(), vec![], vec![]);
        if flow_control {
            for key in ["api/all", "flowcontrol.apiserver.k8s.io/v1"] {
                if given.get(key).is_some_and(|v| v == "false") {
                    errors.push(format!(
                        "--runtime-config={key}=false conflicts with --enable-priority-and-fairness=true"
                    ));
                }
            }
        }
        if given.len() == 1 && given.get("api/all").is_some_and(|v| v == "false") {
            errors.push("invalid runtime-config with only api/all=false".to_owned());
        }
        for key in MATCHERS {
            match given.get(key).map(String::as_str) {
                None => {}
                Some("true") => config.matching.push((key, true)),
                Some("false") => config.matching.push((key, false)),
                Some(value) => errors.push(format!("invalid value {key}={value}")),
            }
        }
        for (key, value) in given.iter().filter(|(key, _)| !MATCHERS.contains(&key.as_str())) {
            let parts: Vec<&str> = key.split('/').collect();
            let (group, version, resource) = match parts[..] {
                // The core group has several names here.
                ["v1"] | ["" | "api", "v1"] => ("", "v1", None),
                ["" | "api", "v1", resource] => ("", "v1", Some(resource)),
                [group, version] => (group, version, None),
                [group, version, resource] => (group, version, Some(resource)),
                _ => {
                    errors.push(format!("runtime-config invalid key {key}"));
                    continue;
                }
            };
            let on = match value.as_str() {
                "" | "1" | "t" | "T" | "true" | "TRUE" | "True" => true,
                "0" | "f" | "F" | "false" | "FALSE" | "False" => false,
                _ => {
                    errors.push(format!(
                        "invalid value of {key}: {value}, err: strconv.ParseBool: parsing {value:?}: invalid syntax"
                    ));
                    continue;
                }
            };
            let built = |version: &str| resources::group_version_exists(group, version);
            let others = NOT_BUILT
                .iter()
                .find(|(g, _)| *g == group)
                .map(|(_, versions)| *versions);
            if others.is_none() && !resources::resources().iter().any(|r| r.group == group) {
                unknown.push(format!("{group}/{version}"));
                continue;
            }
            if !built(version) {
                if !others.is_some_and(|versions| versions.contains(&version)) {
                    errors.push(format!("group version {group}/{version} that has not been registered"));
                } else if on {
                    tracing::warn!("--runtime-config: {group}/{version} is not part of this build");
                }
                continue;
            }
            match resource {
                None => drop(config.versions.insert((group.to_owned(), version.to_owned()), on)),
                Some(r) if r.to_lowercase() != r => errors.push(format!(
                    "invalid key {key}: group/version/resource and resource is always lowercase plural, not {r:?}"
                )),
                Some(r) => {
                    let key = (group.to_owned(), version.to_owned(), r.to_owned());
                    config.resources.insert(key, on);
                }
            }
        }
        if !unknown.is_empty() {
            errors.push(format!("unknown api groups {}", unknown.join(",")));
        }
        (config, errors)
    }

    /// Whether a row is served. What is named wins over its version, and that over kinds of versions.
    pub(crate) fn serves(&self, row: &Resource) -> bool {
        let (group, version) = (row.group.to_owned(), row.version.to_owned());
        let version_is = |word: &str| match word {
            "api/all" => true,
            "api/ga" => !version.contains("alpha") && !version.contains("beta"),
            other => version.contains(other.trim_start_matches("api/")),
        };
        let matching = self.matching.iter().rev().find(|(word, _)| version_is(word));
        let resource = (group.clone(), version.clone(), row.plural.to_owned());
        let named = self
            .resources
            .get(&resource)
            .or_else(|| self.versions.get(&(group, version.clone())));
        named.copied().or(matching.map(|(_, on)| *on)).unwrap_or(true)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn parse(given: &[(&str, &str)]) -> (RuntimeConfig, Vec<String>) {
        let given = given.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        RuntimeConfig::parse(&given, false)
    }

    #[test]
    fn mistakes_are_named_in_upstreams_words() {
        for (key, value, want) in [
            ("foo", "bar", "runtime-config invalid key foo"),
            (
                "apps/v1",
                "x",
                "invalid value of apps/v1: x, err: strconv.ParseBool: parsing \"x\": invalid syntax",
            ),
            ("api/all", "false", "invalid runtime-config with only api/all=false"),
            ("api/all", "x", "invalid value api/all=x"),
            ("apps/v9", "true", "group version apps/v9 that has not been registered"),
            ("nope/v1", "true", "unknown api groups nope/v1"),
            (
                "apps/v1/Deployments",
                "false",
                "invalid key apps/v1/Deployments: group/version/resource and resource is always lowercase plural, not \"Deployments\"",
            ),
        ] {
            assert_eq!(parse(&[(key, value)]).1, [want]);
        }
        assert_eq!(parse(&[("extensions/v1beta1", "true")]).1, [] as [&str; 0]);
        let all_off = BTreeMap::from([
            ("api/all".to_owned(), "false".to_owned()),
            ("v1".to_owned(), String::new()),
        ]);
        assert_eq!(
            RuntimeConfig::parse(&all_off, true).1,
            ["--runtime-config=api/all=false conflicts with --enable-priority-and-fairness=true"]
        );
    }

    #[test]
    fn the_nearest_setting_wins() {
        let row = |group: &str, version: &str, plural: &str| resources::find(group, version, plural).unwrap();
        let (config, errors) = parse(&[
            ("api/all", "false"),
            ("v1", "true"),
            ("batch/v1", "true"),
            ("batch/v1/cronjobs", "false"),
            ("apps/v1/deployments", "true"),
        ]);
        assert_eq!(errors, [] as [&str; 0]);
        for (group, version, plural, served) in [
            ("", "v1", "pods", true),
            ("batch", "v1", "jobs", true),
            ("batch", "v1", "cronjobs", false),
            ("apps", "v1", "deployments", true),
            ("apps", "v1", "daemonsets", false),
            ("policy", "v1", "poddisruptionbudgets", false),
        ] {
            assert_eq!(config.serves(row(group, version, plural)), served, "{plural}");
        }
        assert!(RuntimeConfig::default().serves(row("policy", "v1", "poddisruptionbudgets")));
    }
}
