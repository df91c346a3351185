//! `KubeSchedulerConfiguration` (`kubescheduler.config.k8s.io/v1`): the file of `--config`, its
//! defaults, and the profiles it describes. Decoding is strict, as upstream's.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::framework::plugin::Plugin;
use crate::framework::profile::{Enabled, Profile};
use crate::plugins::{self, Handle, REGISTRY};

/// The name pods ask for unless they say otherwise.
pub(crate) const DEFAULT_SCHEDULER: &str = "default-scheduler";
/// What `apiVersion` and `kind` must be.
pub(crate) const API_VERSION: &str = "kubescheduler.config.k8s.io/v1";
/// See [`API_VERSION`].
pub(crate) const KIND: &str = "KubeSchedulerConfiguration";

/// The file. Fields have upstream's names and defaults; empty and zero mean the default.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Configuration {
    pub(crate) api_version: String,
    pub(crate) kind: String,
    pub(crate) client_connection: ClientConnection,
    pub(crate) leader_election: LeaderElection,
    pub(crate) parallelism: i32,
    pub(crate) percentage_of_nodes_to_score: Option<i32>,
    pub(crate) pod_initial_backoff_seconds: i64,
    pub(crate) pod_max_backoff_seconds: i64,
    pub(crate) enable_profiling: bool,
    pub(crate) enable_contention_profiling: bool,
    pub(crate) delay_cache_until_active: bool,
    pub(crate) extenders: Vec<Value>,
    pub(crate) profiles: Vec<ProfileConfig>,
}

#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct ClientConnection {
    pub(crate) kubeconfig: String,
    pub(crate) accept_content_types: String,
    pub(crate) content_type: String,
    pub(crate) qps: f32,
    pub(crate) burst: i32,
}

#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct LeaderElection {
    pub(crate) leader_elect: bool,
    pub(crate) lease_duration: String,
    pub(crate) renew_deadline: String,
    pub(crate) retry_period: String,
    pub(crate) resource_lock: String,
    pub(crate) resource_name: String,
    pub(crate) resource_namespace: String,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct ProfileConfig {
    pub(crate) scheduler_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) percentage_of_nodes_to_score: Option<i32>,
    pub(crate) plugins: Plugins,
    pub(crate) plugin_config: Vec<PluginConfig>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Plugins {
    pub(crate) multi_point: PluginSet,
    pub(crate) pre_enqueue: PluginSet,
    pub(crate) queue_sort: PluginSet,
    pub(crate) pre_filter: PluginSet,
    pub(crate) filter: PluginSet,
    pub(crate) post_filter: PluginSet,
    pub(crate) pre_score: PluginSet,
    pub(crate) score: PluginSet,
    pub(crate) reserve: PluginSet,
    pub(crate) permit: PluginSet,
    pub(crate) pre_bind: PluginSet,
    pub(crate) bind: PluginSet,
    pub(crate) post_bind: PluginSet,
    pub(crate) placement_generate: PluginSet,
    pub(crate) placement_score: PluginSet,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct PluginSet {
    pub(crate) enabled: Vec<PluginRef>,
    pub(crate) disabled: Vec<PluginRef>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct PluginRef {
    pub(crate) name: String,
    pub(crate) weight: i64,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct PluginConfig {
    pub(crate) name: String,
    pub(crate) args: Value,
}

impl Default for Configuration {
    fn default() -> Self {
        Self {
            api_version: API_VERSION.to_owned(),
            kind: KIND.to_owned(),
            client_connection: ClientConnection::default(),
            leader_election: LeaderElection::default(),
            parallelism: 16,
            percentage_of_nodes_to_score: Some(0),
            pod_initial_backoff_seconds: 1,
            pod_max_backoff_seconds: 10,
            enable_profiling: true,
            enable_contention_profiling: true,
            delay_cache_until_active: false,
            extenders: Vec::new(),
            profiles: Vec::new(),
        }
    }
}

impl Default for ClientConnection {
    fn default() -> Self {
        Self {
            kubeconfig: String::new(),
            accept_content_types: String::new(),
            content_type: "application/vnd.kubernetes.protobuf".to_owned(),
            qps: 50.0,
            burst: 100,
        }
    }
}

impl Default for LeaderElection {
    fn default() -> Self {
        Self {
            leader_elect: true,
            lease_duration: "15s".to_owned(),
            renew_deadline: "10s".to_owned(),
            retry_period: "2s".to_owned(),
            resource_lock: "leases".to_owned(),
            resource_name: "kube-scheduler".to_owned(),
            resource_namespace: "kube-system".to_owned(),
        }
    }
}

impl Configuration {
    /// The profiles, one unless the file says otherwise.
    ///
    /// # Errors
    /// Everything wrong with them.
    pub(crate) fn profiles(&self, handle: &Handle) -> Result<Vec<Profile>, Vec<String>> {
        let one = [ProfileConfig::default()];
        let configs = if self.profiles.is_empty() {
            &one[..]
        } else {
            &self.profiles
        };
        let mut errors = Vec::new();
        let mut profiles: Vec<Profile> = Vec::new();
        for (index, config) in configs.iter().enumerate() {
            match self.profile(config, handle) {
                Ok(profile) => {
                    if profiles
                        .iter()
                        .any(|other| other.scheduler_name == profile.scheduler_name)
                    {
                        let name = &profile.scheduler_name;
                        errors.push(format!("profiles[{index}].schedulerName: Duplicate value: {name:?}"));
                    }
                    profiles.push(profile);
                }
                Err(more) => errors.extend(more.into_iter().map(|error| format!("profiles[{index}].{error}"))),
            }
        }
        if errors.is_empty() { Ok(profiles) } else { Err(errors) }
    }

    fn profile(&self, config: &ProfileConfig, handle: &Handle) -> Result<Profile, Vec<String>> {
        let mut errors = Vec::new();
        let name = if config.scheduler_name.is_empty() {
            DEFAULT_SCHEDULER
        } else {
            &config.scheduler_name
        };
        for entry in &config.plugin_config {
            if plugins::find(&entry.name).is_none() {
                errors.push(format!("pluginConfig: Invalid value: {:?}: does not exist", entry.name));
            }
        }
        let mut enabled = Vec::new();
        for (row_name, weight) in expand(&config.plugins, &mut errors) {
            let Some(factory) = plugins::find(row_name).and_then(|row| row.factory) else {
                continue;
            };
            let args = config
                .plugin_config
                .iter()
                .find(|entry| entry.name == row_name)
                .map_or(&Value::Null, |e| &e.args);
            match factory(handle, args) {
                Ok(plugin) => enabled.push(Enabled {
                    plugin: narrow(plugin, &config.plugins),
                    weight,
                }),
                Err(error) => errors.push(format!("pluginConfig[{row_name}].args.{error}")),
            }
        }
        let percentage = config
            .percentage_of_nodes_to_score
            .or(self.percentage_of_nodes_to_score)
            .unwrap_or(0);
        if !(0..=100).contains(&percentage) {
            errors.push(format!(
                "percentageOfNodesToScore: Invalid value: {percentage}: not in valid range [0-100]"
            ));
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(Profile {
            scheduler_name: name.to_owned(),
            plugins: enabled,
            percentage_of_nodes_to_score: percentage.unsigned_abs(),
        })
    }
}

/// The enabled names with weights, in order: the defaults, changed by `multiPoint` and `score`
/// (upstream `mergePlugins`).
fn expand(config: &Plugins, errors: &mut Vec<String>) -> Vec<(&'static str, i64)> {
    let set = &config.multi_point;
    let off = |set: &PluginSet, name: &str| set.disabled.iter().any(|entry| entry.name == "*" || entry.name == name);
    let mut list: Vec<(&'static str, i64)> = REGISTRY
        .iter()
        .filter(|row| !off(set, row.name))
        .map(|row| (row.name, row.weight))
        .collect();
    for (wanted, scores) in set.enabled.iter().map(|entry| (entry, true)).chain(
        config
            .score
            .enabled
            .iter()
            .map(|entry| (entry, true))
            .chain(config.filter.enabled.iter().map(|e| (e, false))),
    ) {
        let Some(row) = plugins::find(&wanted.name) else {
            errors.push(format!("plugins: Invalid value: {:?}: does not exist", wanted.name));
            continue;
        };
        let weight = if scores && wanted.weight > 0 {
            wanted.weight
        } else {
            row.weight
        };
        match list.iter_mut().find(|(name, _)| *name == row.name) {
            Some(slot) => slot.1 = weight,
            None => list.push((row.name, weight)),
        }
    }
    for (name, weight) in &mut list {
        if off(&config.score, name) && !config.score.enabled.iter().any(|entry| entry.name == *name) {
            *weight = 0;
        }
    }
    list
}

/// Takes away the extension points that the profile switches off one by one.
fn narrow(mut plugin: Plugin, config: &Plugins) -> Plugin {
    let name = plugin.name;
    let off = |set: &PluginSet| {
        set.disabled.iter().any(|entry| entry.name == "*" || entry.name == name)
            && !set.enabled.iter().any(|entry| entry.name == name)
    };
    macro_rules! clear {
        ($($field:ident <- $($set:ident),+;)*) => { $(if $(off(&config.$set))||+ { plugin.$field = None; })* };
    }
    clear! {
        pre_enqueue <- pre_enqueue;
        pre_filter <- pre_filter, filter;
        post_filter <- post_filter;
        pre_score <- pre_score;
        reserve <- reserve;
        permit <- permit;
        pre_bind <- pre_bind;
        bind <- bind;
        post_bind <- post_bind;
    }
    plugin
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::Configuration;
    use crate::plugins::tests::handle;

    fn weights(config: serde_json::Value) -> Vec<(String, i64)> {
        let config: Configuration = serde_json::from_value(config).unwrap();
        let profile = config.profiles(&handle()).unwrap().remove(0);
        profile
            .plugins
            .iter()
            .map(|enabled| (enabled.plugin.name.to_owned(), enabled.weight))
            .collect()
    }

    #[test]
    fn the_default_profile_has_upstreams_weights() {
        let weights = weights(json!({}));
        assert_eq!(weights[0].0, "SchedulingGates");
        assert!(weights.contains(&("TaintToleration".to_owned(), 3)));
        assert!(weights.contains(&("NodeAffinity".to_owned(), 2)));
        assert_eq!(weights.last().unwrap().0, "DefaultBinder");
    }

    #[test]
    fn a_profile_can_disable_and_weigh_plugins() {
        let weights = weights(json!({"profiles": [{"plugins": {
            "multiPoint": {"disabled": [{"name": "ImageLocality"}], "enabled": [{"name": "NodeAffinity", "weight": 9}]},
            "score": {"disabled": [{"name": "TaintToleration"}]},
        }}]}));
        assert!(!weights.iter().any(|(name, _)| name == "ImageLocality"));
        assert!(weights.contains(&("NodeAffinity".to_owned(), 9)));
        assert!(weights.contains(&("TaintToleration".to_owned(), 0)));
    }

    #[test]
    fn mistakes_are_reported_together() {
        let config: Configuration = serde_json::from_value(json!({"profiles": [
            {"plugins": {"multiPoint": {"enabled": [{"name": "Nope"}]}}, "percentageOfNodesToScore": 101},
        ]}))
        .unwrap();
        let Err(errors) = config.profiles(&handle()) else {
            panic!("it is wrong")
        };
        assert_eq!(errors.len(), 2, "{errors:?}");
        assert!(serde_json::from_value::<Configuration>(json!({"paralelism": 1})).is_err());
    }
}
