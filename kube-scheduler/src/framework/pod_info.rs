//! A pod with what scheduling asks of it, computed once per version.

use std::sync::{Arc, LazyLock};

use apimachinery::quantity::{Format, Quantity};
use k8s_openapi::api::core::v1::{Pod, PodSpec};
use rules::ports::HostPort;
use rules::resources::{DEFAULT_MEMORY_REQUEST, DEFAULT_MILLI_CPU_REQUEST, Options, ResourceList};

use super::affinity::Terms;
use super::resource::Resources;

static EMPTY_SPEC: LazyLock<PodSpec> = LazyLock::new(PodSpec::default);

/// What a container without a request counts as in scores (upstream `util.GetNonzeroRequests`).
static NON_ZERO: LazyLock<ResourceList> = LazyLock::new(|| {
    [
        (
            "cpu".to_owned(),
            Quantity::from_milli(DEFAULT_MILLI_CPU_REQUEST, Format::DecimalSi),
        ),
        (
            "memory".to_owned(),
            Quantity::new(DEFAULT_MEMORY_REQUEST, Format::BinarySi),
        ),
    ]
    .into()
});

/// One version of a pod.
#[derive(Clone, Debug)]
pub(crate) struct PodInfo {
    pub(crate) pod: Arc<Pod>,
    pub(crate) uid: Arc<str>,
    pub(crate) namespace: Arc<str>,
    pub(crate) name: Arc<str>,
    pub(crate) priority: i32,
    /// What the pod asks for, overhead and init containers counted.
    pub(crate) requests: Resources,
    /// The same with defaults where a container asks for nothing; for scores only.
    pub(crate) non_zero: Resources,
    pub(crate) host_ports: Vec<HostPort>,
    /// Affinity to other pods, for the few that have it.
    pub(crate) terms: Option<Box<Terms>>,
}

impl PodInfo {
    pub(crate) fn new(pod: Arc<Pod>) -> Self {
        let use_status = Options {
            use_status: true,
            ..Options::default()
        };
        let requests = Resources::from_list(&rules::resources::pod_requests(&pod, use_status));
        let non_zero = Resources::from_list(&rules::resources::pod_requests(
            &pod,
            Options {
                non_missing: Some(&NON_ZERO),
                ..use_status
            },
        ));
        let text = |field: &Option<String>| Arc::<str>::from(field.as_deref().unwrap_or_default());
        Self {
            uid: text(&pod.metadata.uid),
            namespace: text(&pod.metadata.namespace),
            name: text(&pod.metadata.name),
            priority: rules::pods::priority(&pod),
            requests,
            non_zero,
            host_ports: pod.spec.as_ref().map(rules::ports::host_ports).unwrap_or_default(),
            terms: Terms::of(&pod),
            pod,
        }
    }

    pub(crate) fn spec(&self) -> &PodSpec {
        self.pod.spec.as_ref().unwrap_or(&EMPTY_SPEC)
    }

    /// `namespace/name`.
    pub(crate) fn key(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// The node the pod is bound to.
    pub(crate) fn node_name(&self) -> Option<&str> {
        self.spec().node_name.as_deref().filter(|name| !name.is_empty())
    }
}
