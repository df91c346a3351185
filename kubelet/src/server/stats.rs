//! Use of CPU and memory: `/stats/summary` and `/metrics/resource`, from what the runtime measures
//! (upstream: pkg/kubelet/server/stats, pkg/kubelet/metrics/collectors/resource_metrics.go).

use std::collections::BTreeMap;
use std::fmt::Write;

use component::serving::{Body, full};
use cri_proto::v1;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use super::{json_answer, text};
use crate::runtime::annotations::{CONTAINER_NAME, POD_NAME, POD_NAMESPACE, POD_UID};
use crate::shared::Shared;

fn number(value: Option<&v1::UInt64Value>) -> u64 {
    value.map_or(0, |v| v.value)
}

fn time(nanoseconds: i64) -> String {
    let at = crate::runtime::status::timestamp(nanoseconds).unwrap_or_default();
    apimachinery::time::format_seconds(at)
}

/// A container's CPU and memory as the summary has them.
fn usage(stats: &v1::ContainerStats) -> (Value, Value) {
    let cpu = stats.cpu.as_ref().map_or(json!({"time": time(0)}), |cpu| {
        json!({
            "time": time(cpu.timestamp),
            "usageNanoCores": number(cpu.usage_nano_cores.as_ref()),
            "usageCoreNanoSeconds": number(cpu.usage_core_nano_seconds.as_ref()),
        })
    });
    let memory = stats.memory.as_ref().map_or(json!({"time": time(0)}), |memory| {
        json!({
            "time": time(memory.timestamp),
            "usageBytes": number(memory.usage_bytes.as_ref()),
            "workingSetBytes": number(memory.working_set_bytes.as_ref()),
            "rssBytes": number(memory.rss_bytes.as_ref()),
        })
    });
    (cpu, memory)
}

/// The minimal summary: the node, and containers by pod.
pub(super) async fn summary(shared: &Shared) -> Response<Body> {
    let stats = match shared.runtime.list_container_stats().await {
        Ok(stats) => stats,
        Err(error) => return text(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    };
    let now = apimachinery::time::format_seconds(Timestamp::now());
    let mut pods: BTreeMap<String, Value> = BTreeMap::new();
    for one in &stats {
        let Some(attributes) = &one.attributes else { continue };
        let get = |key: &str| attributes.labels.get(key).cloned().unwrap_or_default();
        let (cpu, memory) = usage(one);
        let pod = pods.entry(get(POD_UID)).or_insert_with(|| {
            json!({
                "podRef": {"name": get(POD_NAME), "namespace": get(POD_NAMESPACE), "uid": get(POD_UID)},
                "startTime": now,
                "containers": [],
            })
        });
        if let Some(list) = pod["containers"].as_array_mut() {
            list.push(json!({"name": get(CONTAINER_NAME), "startTime": now, "cpu": cpu, "memory": memory}));
        }
    }
    let (cpu, available, working_set) = node_usage(shared);
    json_answer(&json!({
        "node": {
            "nodeName": shared.config.node_name,
            "startTime": now,
            "cpu": {"time": now, "usageCoreNanoSeconds": cpu},
            "memory": {"time": now, "availableBytes": available, "workingSetBytes": working_set},
        },
        "pods": pods.into_values().collect::<Vec<_>>(),
    }))
}

/// CPU nanoseconds used since boot, and bytes of memory available and in use.
fn node_usage(shared: &Shared) -> (u64, u64, u64) {
    let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let ticks: Vec<u64> = stat
        .lines()
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .skip(1)
        .filter_map(|t| t.parse().ok())
        .collect();
    // user, nice, system, (idle, iowait,) irq, softirq, steal; a tick is 10 ms.
    let busy: u64 = [0, 1, 2, 5, 6, 7].iter().filter_map(|i| ticks.get(*i)).sum();
    let info = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let available = info
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))
        .and_then(|l| l.split_whitespace().next()?.parse::<u64>().ok())
        .unwrap_or_default()
        * 1024;
    let total = u64::try_from(shared.facts.memory).unwrap_or_default();
    (busy * 10_000_000, available, total.saturating_sub(available))
}

/// What metrics-server reads.
pub(super) async fn resource_metrics(shared: &Shared) -> Response<Body> {
    let stats = shared.runtime.list_container_stats().await;
    let failed = stats.is_err();
    let mut cpu = String::new();
    let mut memory = String::new();
    for one in stats.unwrap_or_default() {
        let Some(attributes) = &one.attributes else { continue };
        let get = |key: &str| attributes.labels.get(key).cloned().unwrap_or_default();
        let labels = format!(
            "container=\"{}\",namespace=\"{}\",pod=\"{}\"",
            get(CONTAINER_NAME),
            get(POD_NAMESPACE),
            get(POD_NAME)
        );
        if let Some(usage) = &one.cpu {
            let seconds = number(usage.usage_core_nano_seconds.as_ref()) as f64 / 1e9;
            let at = usage.timestamp / 1_000_000;
            let _ = writeln!(cpu, "container_cpu_usage_seconds_total{{{labels}}} {seconds} {at}");
        }
        if let Some(usage) = &one.memory {
            let bytes = number(usage.working_set_bytes.as_ref());
            let at = usage.timestamp / 1_000_000;
            let _ = writeln!(memory, "container_memory_working_set_bytes{{{labels}}} {bytes} {at}");
        }
    }
    let (node_cpu, _, node_memory) = node_usage(shared);
    let now = Timestamp::now().as_millisecond();
    let body = format!(
        "# HELP container_cpu_usage_seconds_total [STABLE] Cumulative cpu time consumed by the container in core-seconds\n\
         # TYPE container_cpu_usage_seconds_total counter\n{cpu}\
         # HELP container_memory_working_set_bytes [STABLE] Current working set of the container in bytes\n\
         # TYPE container_memory_working_set_bytes gauge\n{memory}\
         # HELP node_cpu_usage_seconds_total [STABLE] Cumulative cpu time consumed by the node in core-seconds\n\
         # TYPE node_cpu_usage_seconds_total counter\n\
         node_cpu_usage_seconds_total {} {now}\n\
         # HELP node_memory_working_set_bytes [STABLE] Current working set of the node in bytes\n\
         # TYPE node_memory_working_set_bytes gauge\n\
         node_memory_working_set_bytes {node_memory} {now}\n\
         # HELP resource_scrape_error [STABLE] 1 if there was an error while getting container metrics, 0 otherwise\n\
         # TYPE resource_scrape_error gauge\n\
         resource_scrape_error {}\n",
        node_cpu as f64 / 1e9,
        u8::from(failed),
    );
    let mut response = Response::new(full(body));
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
