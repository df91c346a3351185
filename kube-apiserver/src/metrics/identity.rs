//! How authentication and authorization went (upstream `apiserver/pkg/endpoints/filters/metrics.go`).

use std::sync::LazyLock;
use std::time::Duration;

use prometheus::{HistogramVec, IntCounterVec};

static ATTEMPTS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    component::metrics::counter_vec(
        "authentication_attempts",
        "Counter of authenticated attempts.",
        &["result"],
    )
});
static AUTHENTICATION: LazyLock<HistogramVec> = LazyLock::new(|| {
    component::metrics::histogram_vec(
        "authentication_duration_seconds",
        "Authentication duration in seconds broken out by result.",
        &["result"],
        &component::metrics::exponential_buckets(0.001, 2.0, 15),
    )
});
static USERS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    component::metrics::counter_vec(
        "authenticated_user_requests",
        "Counter of authenticated requests broken out by username.",
        &["username"],
    )
});
static DECISIONS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    component::metrics::counter_vec(
        "authorization_attempts_total",
        "Counter of authorization attempts broken down by result. It can be either 'allowed', 'denied', 'no-opinion' or 'error'.",
        &["result"],
    )
});
static AUTHORIZATION: LazyLock<HistogramVec> = LazyLock::new(|| {
    component::metrics::histogram_vec(
        "authorization_duration_seconds",
        "Authorization duration in seconds broken out by result.",
        &["result"],
        &component::metrics::exponential_buckets(0.001, 2.0, 15),
    )
});

/// A request was authenticated, as `user`, or refused.
pub(crate) fn authenticated(user: Option<&str>, took: Duration) {
    let result = if user.is_some() { "success" } else { "failure" };
    ATTEMPTS.with_label_values(&[result]).inc();
    AUTHENTICATION.with_label_values(&[result]).observe(took.as_secs_f64());
    if let Some(name) = user {
        USERS.with_label_values(&[class(name)]).inc();
    }
}

/// A request was let through or not.
pub(crate) fn authorized(allowed: bool, took: Duration) {
    // A refusal is mostly that nobody allowed it; which, only the authorizers know.
    let result = if allowed { "allowed" } else { "no-opinion" };
    DECISIONS.with_label_values(&[result]).inc();
    AUTHORIZATION.with_label_values(&[result]).observe(took.as_secs_f64());
}

/// Names are not for metrics: a few classes of them are.
fn class(name: &str) -> &str {
    match name {
        "admin" | "client" | "kube_proxy" | "kubelet" | "system:serviceaccount:kube-system:default" => name,
        n if n.contains('@') => "email_id",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_names_become_classes() {
        for (name, want) in [
            ("kubelet", "kubelet"),
            ("joe@example.com", "email_id"),
            ("joe", "other"),
        ] {
            assert_eq!(class(name), want);
        }
    }
}
