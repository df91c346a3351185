//! CPU and memory amounts in the kernel's units. Pure (upstream: pkg/kubelet/cm/helpers_linux.go).

use apimachinery::quantity::Quantity;
use k8s_openapi::api::core::v1::{Container, Pod};
use rules::resources::{Options, pod_limits, pod_requests};

/// Least and most shares the kernel takes.
const MIN_SHARES: i64 = 2;
const MAX_SHARES: i64 = 262_144;
/// Least quota the kernel takes, in microseconds.
const MIN_QUOTA: i64 = 1000;

/// What a cgroup is limited to; `None` means not limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Limits {
    /// Relative weight (cgroup v1 `cpu.shares`).
    pub(crate) shares: i64,
    /// Microseconds of CPU per period.
    pub(crate) quota: Option<i64>,
    /// Bytes.
    pub(crate) memory: Option<i64>,
    /// Processes.
    pub(crate) pids: Option<i64>,
}

/// Shares of a CPU amount.
pub(crate) fn shares(milli_cpu: i64) -> i64 {
    if milli_cpu == 0 {
        MIN_SHARES
    } else {
        (milli_cpu * 1024 / 1000).clamp(MIN_SHARES, MAX_SHARES)
    }
}

/// Quota of a CPU amount within `period` microseconds; `None` for no limit.
pub(crate) fn quota(milli_cpu: i64, period: i64) -> Option<i64> {
    (milli_cpu > 0).then(|| (milli_cpu * period / 1000).max(MIN_QUOTA))
}

/// cgroup v2 weight of v1 shares: ceil(10^((l² + 125 l) / 612 − 7/34)) with l = log2(shares)
/// (upstream: opencontainers/cgroups `ConvertCPUSharesToCgroupV2Value`).
pub(crate) fn weight(shares: i64) -> i64 {
    match shares {
        ..=0 => 0,
        1..=MIN_SHARES => 1,
        MAX_SHARES.. => 10_000,
        shares => {
            let l = (shares as f64).log2();
            let exponent = (l * l + 125.0 * l) / 612.0 - 7.0 / 34.0;
            10f64.powf(exponent).ceil() as i64
        }
    }
}

/// A container's own amount of a resource.
pub(crate) fn of_container(container: &Container, limits: bool, name: &str) -> Option<Quantity> {
    let resources = container.resources.as_ref()?;
    let list = if limits { &resources.limits } else { &resources.requests };
    Quantity::from_api(list.as_ref()?.get(name)?).ok()
}

/// What a pod's cgroup is limited to: quota and memory only when every container has the limit.
pub(crate) fn of_pod(pod: &Pod, enforce_quota: bool, period: i64, pids: i64) -> Limits {
    let requests = pod_requests(pod, Options::default());
    let limits = pod_limits(pod, Options::default());
    let spec = pod.spec.as_ref();
    let pod_level = spec.is_some_and(rules::resources::has_pod_level_resources);
    let all_limit = |name: &str| {
        let containers = spec
            .into_iter()
            .flat_map(|s| s.containers.iter().chain(s.init_containers.iter().flatten()));
        pod_level
            || containers
                .into_iter()
                .all(|c| of_container(c, true, name).is_some_and(|q| !q.is_zero()))
    };
    let milli = |list: &rules::resources::ResourceList| list.get("cpu").map_or(0, Quantity::milli_value);
    let cpu_limit = if all_limit("cpu") { milli(&limits) } else { 0 };
    let memory = limits
        .get("memory")
        .map(Quantity::value)
        .filter(|m| *m > 0 && all_limit("memory"));
    Limits {
        shares: shares(milli(&requests)),
        quota: quota(cpu_limit, period).filter(|_| enforce_quota),
        memory,
        pids: (pids > 0).then_some(pids),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    #[test]
    fn amounts_convert_as_the_kernel_wants_them() {
        assert_eq!((shares(0), shares(1), shares(250), shares(1000)), (2, 2, 256, 1024));
        assert_eq!(
            (quota(0, 100_000), quota(5, 100_000), quota(1500, 100_000)),
            (None, Some(1000), Some(150_000))
        );
        assert_eq!((weight(2), weight(1024), weight(262_144)), (1, 100, 10_000));
    }

    #[test]
    fn pod_is_limited_only_when_all_its_containers_are() {
        let pod = |second: serde_json::Value| -> Pod {
            serde_json::from_value(json!({"spec": {"containers": [
                {"name": "a", "resources": {"limits": {"cpu": "1", "memory": "64Mi"}, "requests": {"cpu": "500m"}}},
                {"name": "b", "resources": second},
            ]}}))
            .unwrap()
        };
        let open = of_pod(&pod(json!({})), true, 100_000, -1);
        assert_eq!(
            open,
            Limits {
                shares: 512,
                ..Limits::default()
            }
        );
        let closed = of_pod(
            &pod(json!({"limits": {"cpu": "1", "memory": "64Mi"}})),
            true,
            100_000,
            10,
        );
        assert_eq!(
            (closed.quota, closed.memory, closed.pids),
            (Some(200_000), Some(128 << 20), Some(10))
        );
    }
}
