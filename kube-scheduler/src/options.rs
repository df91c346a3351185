//! Flags and configuration file, made into a [`Config`].

use std::time::Duration;

use component::flags::{Table, Values, parse_duration};
use component::secure_serving::SecureServing;

use crate::configuration::{API_VERSION, Configuration, KIND};
use crate::queue::Times;

/// The table of flags.
#[must_use]
pub fn table() -> Table {
    Table::new("kube-scheduler", include_str!("flags.tsv"))
}

/// What the command line says, typed.
#[derive(Clone, Debug)]
pub struct Options {
    config_file: Option<String>,
    write_config_to: Option<String>,
    master: String,
    configuration: Configuration,
    max_unschedulable: Duration,
    secure_serving: SecureServing,
    flags: Vec<String>,
}

/// Everything the scheduler runs with. Only [`Options::complete`] makes one.
pub struct Config {
    pub(crate) configuration: Configuration,
    pub(crate) client: client::Config,
    pub(crate) election: Option<client::leader_election::ElectionConfig>,
    pub(crate) times: Times,
    pub(crate) secure_serving: SecureServing,
    pub(crate) flags: Vec<String>,
}

impl Options {
    /// Reads the flags.
    #[must_use]
    pub fn from_values(values: &Values) -> Self {
        let mut configuration = Configuration::default();
        let client = &mut configuration.client_connection;
        client.kubeconfig = values.string("kubeconfig");
        client.content_type = values.string("kube-api-content-type");
        client.qps = values.float("kube-api-qps") as f32;
        client.burst = values.int("kube-api-burst") as i32;
        let election = &mut configuration.leader_election;
        election.leader_elect = values.bool("leader-elect");
        election.lease_duration = values.string("leader-elect-lease-duration");
        election.renew_deadline = values.string("leader-elect-renew-deadline");
        election.retry_period = values.string("leader-elect-retry-period");
        election.resource_lock = values.string("leader-elect-resource-lock");
        election.resource_name = values.string("leader-elect-resource-name");
        election.resource_namespace = values.string("leader-elect-resource-namespace");
        configuration.enable_profiling = values.bool("profiling");
        configuration.enable_contention_profiling = values.bool("contention-profiling");
        Self {
            config_file: values.non_empty("config"),
            write_config_to: values.non_empty("write-config-to"),
            master: values.string("master"),
            configuration,
            max_unschedulable: values.duration("pod-max-in-unschedulable-pods-duration"),
            secure_serving: SecureServing::from_values(values),
            flags: values.listing(),
        }
    }

    /// Reads the configuration file, checks everything and reports every error.
    ///
    /// # Errors
    /// All errors, one a line.
    pub fn complete(mut self) -> anyhow::Result<Config> {
        if let Some(path) = &self.config_file {
            // Upstream: with a file, the flags that have a field in it do not count.
            let value = component::config_file::load(path, API_VERSION, KIND)?;
            self.configuration =
                component::config_file::decode_strict(value).map_err(|error| anyhow::anyhow!("{path}: {error}"))?;
        }
        let mut errors = self.secure_serving.validate();
        let configuration = &self.configuration;
        let lease = &configuration.leader_election;
        let mut duration = |name: &str, text: &str| {
            parse_duration(text).unwrap_or_else(|error| {
                errors.push(format!("leaderElection.{name}: Invalid value: {text:?}: {error}"));
                Duration::ZERO
            })
        };
        let lease_duration = duration("leaseDuration", &lease.lease_duration);
        let renew_deadline = duration("renewDeadline", &lease.renew_deadline);
        let retry_period = duration("retryPeriod", &lease.retry_period);
        if lease.leader_elect && lease_duration <= renew_deadline {
            errors.push(format!(
                "leaderElection.leaseDuration: Invalid value: {:?}: LeaseDuration must be greater than RenewDeadline",
                lease.renew_deadline
            ));
        }
        if lease.leader_elect && lease.resource_lock != "leases" {
            errors.push(format!(
                "leaderElection.resourceLock: Invalid value: {:?}: resourceLock value must be \"leases\"",
                lease.resource_lock
            ));
        }
        if configuration.parallelism <= 0 {
            errors.push(format!(
                "parallelism: Invalid value: {}: should be an integer value greater than zero",
                configuration.parallelism
            ));
        }
        let (initial, max) = (
            configuration.pod_initial_backoff_seconds,
            configuration.pod_max_backoff_seconds,
        );
        if initial <= 0 {
            errors.push(format!(
                "podInitialBackoffSeconds: Invalid value: {initial}: must be greater than 0"
            ));
        }
        if max < initial {
            errors.push(format!(
                "podMaxBackoffSeconds: Invalid value: {max}: must be greater than or equal to PodInitialBackoffSeconds"
            ));
        }
        if !configuration.extenders.is_empty() {
            tracing::warn!("extenders are accepted but have no effect in this version");
        }
        anyhow::ensure!(errors.is_empty(), "{}", errors.join("\n"));
        let election = lease.leader_elect.then(|| client::leader_election::ElectionConfig {
            lease_duration,
            renew_deadline,
            retry_period,
            ..client::leader_election::ElectionConfig::new(&lease.resource_namespace, &lease.resource_name)
        });
        if let Some(path) = &self.write_config_to {
            std::fs::write(path, serde_json::to_string_pretty(configuration)?)?;
        }
        let connection = &configuration.client_connection;
        let client = client::Config::from_flags(&self.master, &connection.kubeconfig)?
            .with_user_agent("kube-scheduler")
            .with_rate_limit(connection.qps, u32::try_from(connection.burst).unwrap_or(0));
        let seconds = |value: i64| Duration::from_secs(value.unsigned_abs());
        let times = Times {
            initial_backoff: seconds(initial),
            max_backoff: seconds(max),
            max_unschedulable: self.max_unschedulable,
        };
        Ok(Config {
            client,
            election,
            times,
            secure_serving: self.secure_serving,
            flags: self.flags,
            configuration: self.configuration,
        })
    }

    /// True when the run ends after writing the configuration (`--write-config-to`).
    #[must_use]
    pub fn only_writes(&self) -> bool {
        self.write_config_to.is_some()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{Options, table};

    #[test]
    fn kubeadms_command_line_is_taken_and_leaves_nothing_unread() {
        let values = table()
            .parse([
                "--authentication-kubeconfig=/etc/kubernetes/scheduler.conf",
                "--authorization-kubeconfig=/etc/kubernetes/scheduler.conf",
                "--bind-address=127.0.0.1",
                "--kubeconfig=/etc/kubernetes/scheduler.conf",
                "--leader-elect=true",
            ])
            .unwrap();
        let options = Options::from_values(&values);
        assert_eq!(options.secure_serving.port, 10259);
        assert!(values.unused().is_empty(), "{:?}", values.unused());
    }

    #[test]
    fn every_error_is_reported_at_once() {
        let values = table()
            .parse([
                "--leader-elect-lease-duration=5s",
                "--leader-elect-resource-lock=endpoints",
                "--secure-port=70000",
            ])
            .unwrap();
        let Err(error) = Options::from_values(&values).complete() else {
            panic!("it is wrong")
        };
        assert_eq!(error.to_string().lines().count(), 3, "{error}");
    }
}
