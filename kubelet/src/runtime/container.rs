//! What a container is made of (upstream: kuberuntime_container.go `generateContainerConfig`).

pub(crate) mod env;

use cri_proto::v1;
use k8s_openapi::api::core::v1::{Container, Pod};

use super::annotations;
use super::security::{self, ImageUser};
use crate::downward::Addresses;
use crate::pods::PodExt;
use crate::shared::Shared;
use crate::volumes::Volumes;
use crate::volumes::mounts;

/// Everything besides the spec that a container's configuration depends on.
pub(crate) struct Inputs<'a> {
    pub(crate) volumes: &'a Volumes,
    pub(crate) addresses: &'a Addresses,
    pub(crate) restart_count: u32,
    pub(crate) image_ref: &'a str,
    pub(crate) image_user: &'a ImageUser,
    /// The container whose processes an ephemeral container sees.
    pub(crate) target: Option<&'a str>,
}

/// The configuration of a container.
///
/// # Errors
/// The message of a `CreateContainerConfigError`.
pub(crate) async fn config(
    shared: &Shared,
    pod: &Pod,
    container: &Container,
    inputs: &Inputs<'_>,
) -> Result<v1::ContainerConfig, String> {
    let services = shared.services_for(pod);
    let sources = env::Sources {
        objects: &shared.objects,
        services: &services,
        addresses: inputs.addresses,
        allocatable: shared.facts.allocatable_for_pods(),
    };
    let variables = env::environment(pod, container, &sources).await?;
    let lookup = |name: &str| variables.iter().rev().find(|(n, _)| n == name).map(|(_, v)| v.clone());
    let expand = |words: &Option<Vec<String>>| {
        words
            .iter()
            .flatten()
            .map(|word| env::expand(word, &lookup))
            .collect::<Vec<_>>()
    };
    let mounts = mounts::of_container(shared, pod, container, inputs, &lookup)?;
    let config = &shared.config;
    let security_context = security::container(
        pod,
        container,
        inputs.image_user,
        inputs.target,
        config.file.seccomp_default,
        &config.root_dir.join("seccomp"),
    )?;
    let image = container.image.clone().unwrap_or_default();
    Ok(v1::ContainerConfig {
        metadata: Some(v1::ContainerMetadata {
            name: container.name.clone(),
            attempt: inputs.restart_count,
        }),
        image: Some(v1::ImageSpec {
            image: inputs.image_ref.to_owned(),
            user_specified_image: image,
            ..Default::default()
        }),
        command: expand(&container.command),
        args: expand(&container.args),
        working_dir: container.working_dir.clone().unwrap_or_default(),
        envs: variables
            .iter()
            .map(|(k, v)| v1::KeyValue {
                key: k.clone(),
                value: v.clone(),
            })
            .collect(),
        mounts,
        devices: Vec::new(),
        labels: annotations::container_labels(pod, container),
        annotations: annotations::container_annotations(pod, container, inputs.restart_count),
        log_path: format!("{}/{}.log", container.name, inputs.restart_count),
        stdin: container.stdin.unwrap_or_default(),
        stdin_once: container.stdin_once.unwrap_or_default(),
        tty: container.tty.unwrap_or_default(),
        linux: Some(v1::LinuxContainerConfig {
            resources: Some(shared.cgroups.container_resources(pod, container, shared.facts.memory)),
            security_context: Some(security_context),
        }),
        cdi_devices: Vec::new(),
        stop_signal: 0,
    })
}

/// Which container of the pod an ephemeral container targets.
pub(crate) fn target_of<'a>(pod: &'a Pod, name: &str) -> Option<&'a str> {
    pod.ephemeral_containers()
        .iter()
        .find(|c| c.name == name)?
        .target_container_name
        .as_deref()
        .filter(|target| !target.is_empty())
}
