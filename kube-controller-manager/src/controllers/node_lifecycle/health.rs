//! Signs of life of one node, by our own clock. Upstream: `tryUpdateNodeHealth`.

use std::time::Duration;

use k8s_openapi::{
    api::{coordination::v1::Lease, core::v1::Node},
    jiff::Timestamp,
};
use tokio::time::Instant;

/// How long a node may be silent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// `--node-monitor-grace-period`.
    pub(super) grace: Duration,
    /// `--node-startup-grace-period`, for a node that never posted a status.
    pub(super) startup_grace: Duration,
}

/// What was last seen of a node, and when.
#[derive(Clone, Debug)]
pub(super) struct Health {
    seen_at: Instant,
    renewed: Option<Timestamp>,
    posted: Option<Timestamp>,
}

/// The answer for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// No sign of life for the whole grace.
    pub(super) silent: bool,
    /// When the answer may change without any event.
    pub(super) look_again: Duration,
}

impl Health {
    pub(super) fn first_seen(now: Instant) -> Self {
        Self {
            seen_at: now,
            renewed: None,
            posted: None,
        }
    }

    /// A changed Lease or a changed heartbeat of the status is a sign of life.
    pub(super) fn observe(&mut self, node: &Node, lease: Option<&Lease>, now: Instant, times: Times) -> Verdict {
        let renewed = lease.and_then(|lease| Some(lease.spec.as_ref()?.renew_time.as_ref()?.0));
        let posted = ready_condition(node).and_then(|ready| Some(ready.last_heartbeat_time.as_ref()?.0));
        if (renewed.is_some() && renewed != self.renewed) || (posted.is_some() && posted != self.posted) {
            self.seen_at = now;
        }
        (self.renewed, self.posted) = (renewed, posted);
        let grace = if posted.is_none() && renewed.is_none() {
            times.startup_grace
        } else {
            times.grace
        };
        let age = now.duration_since(self.seen_at);
        match grace.checked_sub(age) {
            Some(left) if !left.is_zero() => Verdict {
                silent: false,
                look_again: left,
            },
            _ => Verdict {
                silent: true,
                look_again: grace,
            },
        }
    }
}

pub(super) fn ready_condition(node: &Node) -> Option<&k8s_openapi::api::core::v1::NodeCondition> {
    node.status
        .as_ref()?
        .conditions
        .as_ref()?
        .iter()
        .find(|condition| condition.type_ == "Ready")
}

#[cfg(test)]
mod tests {
    use k8s_openapi::{
        api::{coordination::v1::LeaseSpec, core::v1::NodeCondition},
        apimachinery::pkg::apis::meta::v1::{MicroTime, Time},
    };

    use super::*;

    const TIMES: Times = Times {
        grace: Duration::from_secs(50),
        startup_grace: Duration::from_secs(60),
    };

    fn lease(second: i64) -> Lease {
        let renew_time = Some(MicroTime(Timestamp::from_second(second).unwrap()));
        Lease {
            spec: Some(LeaseSpec {
                renew_time,
                ..LeaseSpec::default()
            }),
            ..Lease::default()
        }
    }

    fn posted(second: i64) -> Node {
        let ready = NodeCondition {
            type_: "Ready".to_owned(),
            last_heartbeat_time: Some(Time(Timestamp::from_second(second).unwrap())),
            ..NodeCondition::default()
        };
        let mut node = Node::default();
        node.status.get_or_insert_default().conditions = Some(vec![ready]);
        node
    }

    #[tokio::test(start_paused = true)]
    async fn renewed_lease_or_new_status_is_life_and_silence_ends_it() {
        let mut health = Health::first_seen(Instant::now());
        let mut look = |node: &Node, lease: Option<&Lease>| health.observe(node, lease, Instant::now(), TIMES);
        let pass = |seconds| tokio::time::advance(Duration::from_secs(seconds));

        assert!(!look(&posted(1), Some(&lease(1))).silent);
        pass(30).await;
        assert_eq!(
            look(&posted(1), Some(&lease(1))),
            Verdict {
                silent: false,
                look_again: Duration::from_secs(20)
            }
        );
        assert_eq!(look(&posted(1), Some(&lease(2))).look_again, Duration::from_secs(50));
        pass(49).await;
        assert!(!look(&posted(1), Some(&lease(2))).silent);
        pass(1).await;
        assert!(look(&posted(1), Some(&lease(2))).silent);
        assert!(!look(&posted(2), Some(&lease(2))).silent, "a new status is life too");
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_that_never_posted_has_the_startup_grace() {
        let mut health = Health::first_seen(Instant::now());
        tokio::time::advance(Duration::from_secs(55)).await;
        assert!(!health.observe(&Node::default(), None, Instant::now(), TIMES).silent);
        tokio::time::advance(Duration::from_secs(5)).await;
        assert!(health.observe(&Node::default(), None, Instant::now(), TIMES).silent);
    }
}
