//! What a pod spec may keep because the stored object already has it
//! (pkg/api/pod/util.go `GetValidationOptionsFromPodSpecAndMeta`).

use apimachinery::field::{ErrorList, Path};
use k8s_openapi::api::core::v1::{Container, PodSpec, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::{pod, resources, scheduling, security, volume};
use crate::check::list;
use crate::gates::{Gate, on};

/// Where the spec is, and which of today's rules an older object broke already.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// In a pod, as opposed to a template (`ResourceIsPod`).
    pub is_pod: bool,
    pub(crate) any_deletion_cost: bool,
    pub(crate) any_selector_values: bool,
    pub(crate) any_node_affinity_values: bool,
    pub(crate) any_huge_pages: bool,
    pub(crate) any_token_path: bool,
    pub(crate) any_spread_selector: bool,
    pub(crate) any_spread_keys: bool,
    pub(crate) host_sysctls: bool,
    pub(crate) mount_option: bool,
    pub(crate) comparing_tolerations: bool,
    pub(crate) host_network_users: bool,
    pub(crate) devices_of_users: bool,
    pub(crate) restarting_init_resize: bool,
}

impl Options {
    /// For a new pod.
    pub fn pod() -> Self {
        Options::today(true)
    }

    /// What the gates allow whatever is stored.
    fn today(is_pod: bool) -> Self {
        Options {
            is_pod,
            any_deletion_cost: !on(Gate::DeletionCost),
            mount_option: on(Gate::SELinuxMount),
            comparing_tolerations: on(Gate::ComparingTolerations),
            host_network_users: on(Gate::UsersOnHostNetwork),
            ..Options::default()
        }
    }

    /// For a pod that replaces `old`.
    pub(crate) fn of_pod(old: &k8s_openapi::api::core::v1::Pod) -> Self {
        Options::pod().since(old.spec.as_ref(), Some(&old.metadata))
    }

    /// For a template that replaces `old`; without one it is new.
    pub(crate) fn of_template(old: Option<&PodTemplateSpec>) -> Self {
        let options = Options::today(false);
        old.map_or(options, |old| options.since(old.spec.as_ref(), old.metadata.as_ref()))
    }

    fn since(self, spec: Option<&PodSpec>, metadata: Option<&ObjectMeta>) -> Self {
        let fails = |rule: &dyn Fn(&mut ErrorList, &Path)| {
            let mut errs = ErrorList::new();
            rule(&mut errs, &Path::root());
            !errs.is_empty()
        };
        let cost = metadata.and_then(|m| m.annotations.as_ref());
        let mut out = Options {
            any_deletion_cost: self.any_deletion_cost || cost.is_some_and(|a| pod::deletion_cost(a).is_some()),
            ..self
        };
        let Some(spec) = spec else { return out };
        let spread = list(&spec.topology_spread_constraints);
        out.any_selector_values = fails(&|e, p| scheduling::pod_affinity_selectors(e, spec.affinity.as_ref(), p));
        out.any_node_affinity_values = fails(&|e, p| scheduling::node_affinity_values(e, spec.affinity.as_ref(), p));
        out.any_huge_pages = containers(spec).any(|c| c.resources.as_ref().is_some_and(resources::has_odd_huge_pages));
        out.any_token_path = fails(&|e, p| volume::token_paths(e, list(&spec.volumes), p));
        out.any_spread_selector = fails(&|e, p| scheduling::spread_selectors(e, spread, p));
        out.any_spread_keys = fails(&|e, p| scheduling::spread_keys(e, spread, p));
        out.host_sysctls = fails(&|e, p| security::host_sysctls(e, spec, p));
        let change = spec.security_context.as_ref();
        out.mount_option |= change.is_some_and(|c| c.se_linux_change_policy.is_some());
        let compares = |o: &Option<String>| matches!(o.as_deref(), Some("Lt" | "Gt"));
        out.comparing_tolerations |= list(&spec.tolerations).iter().any(|t| compares(&t.operator));
        let own_users = spec.host_users == Some(false);
        out.host_network_users |= own_users && spec.host_network == Some(true);
        out.devices_of_users = own_users && containers(spec).any(|c| !list(&c.volume_devices).is_empty());
        out.restarting_init_resize = list(&spec.init_containers).iter().any(|c| {
            let restarts =
                |p: &k8s_openapi::api::core::v1::ContainerResizePolicy| p.restart_policy == "RestartContainer";
            c.restart_policy.as_deref() != Some("Always") && list(&c.resize_policy).iter().any(restarts)
        });
        out
    }
}

fn containers(spec: &PodSpec) -> impl Iterator<Item = &Container> {
    spec.containers.iter().chain(list(&spec.init_containers))
}
