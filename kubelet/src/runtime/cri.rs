//! [`Runtime`] over CRI v1 gRPC.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use cri_proto::v1;
use cri_proto::v1::image_service_client::ImageServiceClient;
use cri_proto::v1::runtime_service_client::RuntimeServiceClient;
use tonic::transport::Channel;
use tonic::{Request, Status};

use super::annotations::POD_UID;
use super::{Result, Runtime, RuntimeError};

/// A runtime behind a CRI socket.
#[derive(Clone)]
pub struct CriRuntime {
    runtime: RuntimeServiceClient<Channel>,
    images: ImageServiceClient<Channel>,
    timeout: Duration,
}

impl CriRuntime {
    /// Over the channels to the runtime and image services; `timeout` limits every call but those
    /// that have a time of their own (stop, exec) or none (pull).
    #[must_use]
    pub fn new(runtime: Channel, images: Channel, timeout: Duration) -> Self {
        let size = cri_proto::MAX_MESSAGE_BYTES;
        Self {
            runtime: RuntimeServiceClient::new(runtime)
                .max_decoding_message_size(size)
                .max_encoding_message_size(size),
            images: ImageServiceClient::new(images)
                .max_decoding_message_size(size)
                .max_encoding_message_size(size),
            timeout,
        }
    }

    fn request<T>(&self, message: T) -> Request<T> {
        Self::request_within(message, self.timeout)
    }

    fn request_within<T>(message: T, timeout: Duration) -> Request<T> {
        let mut request = Request::new(message);
        request.set_timeout(timeout);
        request
    }
}

#[async_trait]
impl Runtime for CriRuntime {
    async fn version(&self) -> Result<v1::VersionResponse> {
        let request = self.request(v1::VersionRequest {
            version: "0.1.0".to_owned(),
        });
        answer(self.runtime.clone().version(request).await)
    }

    async fn status(&self) -> Result<v1::StatusResponse> {
        let request = self.request(v1::StatusRequest { verbose: false });
        answer(self.runtime.clone().status(request).await)
    }

    async fn runtime_config(&self) -> Result<v1::RuntimeConfigResponse> {
        let request = self.request(v1::RuntimeConfigRequest {});
        answer(self.runtime.clone().runtime_config(request).await)
    }

    async fn run_sandbox(&self, config: v1::PodSandboxConfig, handler: &str) -> Result<String> {
        let message = v1::RunPodSandboxRequest {
            config: Some(config),
            runtime_handler: handler.to_owned(),
        };
        let request = Self::request_within(message, self.timeout * 2);
        Ok(answer(self.runtime.clone().run_pod_sandbox(request).await)?.pod_sandbox_id)
    }

    async fn stop_sandbox(&self, id: &str) -> Result<()> {
        let request = self.request(v1::StopPodSandboxRequest {
            pod_sandbox_id: id.to_owned(),
        });
        answer(self.runtime.clone().stop_pod_sandbox(request).await).map(drop)
    }

    async fn remove_sandbox(&self, id: &str) -> Result<()> {
        let request = self.request(v1::RemovePodSandboxRequest {
            pod_sandbox_id: id.to_owned(),
        });
        answer(self.runtime.clone().remove_pod_sandbox(request).await).map(drop)
    }

    async fn sandbox_status(&self, id: &str) -> Result<v1::PodSandboxStatus> {
        let message = v1::PodSandboxStatusRequest {
            pod_sandbox_id: id.to_owned(),
            verbose: false,
        };
        let request = self.request(message);
        let response = answer(self.runtime.clone().pod_sandbox_status(request).await)?;
        response.status.ok_or_else(|| empty("PodSandboxStatus"))
    }

    async fn list_sandboxes(&self, pod_uid: Option<&str>) -> Result<Vec<v1::PodSandbox>> {
        let filter = pod_uid.map(|uid| v1::PodSandboxFilter {
            label_selector: by_uid(uid),
            ..Default::default()
        });
        let request = self.request(v1::ListPodSandboxRequest { filter });
        Ok(answer(self.runtime.clone().list_pod_sandbox(request).await)?.items)
    }

    async fn create_container(
        &self,
        sandbox: &str,
        config: v1::ContainerConfig,
        sandbox_config: v1::PodSandboxConfig,
    ) -> Result<String> {
        let request = self.request(v1::CreateContainerRequest {
            pod_sandbox_id: sandbox.to_owned(),
            config: Some(config),
            sandbox_config: Some(sandbox_config),
        });
        Ok(answer(self.runtime.clone().create_container(request).await)?.container_id)
    }

    async fn start_container(&self, id: &str) -> Result<()> {
        let request = self.request(v1::StartContainerRequest {
            container_id: id.to_owned(),
        });
        answer(self.runtime.clone().start_container(request).await).map(drop)
    }

    async fn stop_container(&self, id: &str, grace: Duration) -> Result<()> {
        let timeout = i64::try_from(grace.as_secs()).unwrap_or(i64::MAX);
        let message = v1::StopContainerRequest {
            container_id: id.to_owned(),
            timeout,
        };
        let request = Self::request_within(message, grace + self.timeout);
        answer(self.runtime.clone().stop_container(request).await).map(drop)
    }

    async fn remove_container(&self, id: &str) -> Result<()> {
        let request = self.request(v1::RemoveContainerRequest {
            container_id: id.to_owned(),
        });
        answer(self.runtime.clone().remove_container(request).await).map(drop)
    }

    async fn list_containers(&self, pod_uid: Option<&str>) -> Result<Vec<v1::Container>> {
        let filter = pod_uid.map(|uid| v1::ContainerFilter {
            label_selector: by_uid(uid),
            ..Default::default()
        });
        let request = self.request(v1::ListContainersRequest { filter });
        Ok(answer(self.runtime.clone().list_containers(request).await)?.containers)
    }

    async fn container_status(&self, id: &str) -> Result<v1::ContainerStatus> {
        let message = v1::ContainerStatusRequest {
            container_id: id.to_owned(),
            verbose: false,
        };
        let request = self.request(message);
        let response = answer(self.runtime.clone().container_status(request).await)?;
        response.status.ok_or_else(|| empty("ContainerStatus"))
    }

    async fn update_container(&self, id: &str, resources: v1::LinuxContainerResources) -> Result<()> {
        let request = self.request(v1::UpdateContainerResourcesRequest {
            container_id: id.to_owned(),
            linux: Some(resources),
            annotations: HashMap::new(),
        });
        answer(self.runtime.clone().update_container_resources(request).await).map(drop)
    }

    async fn reopen_log(&self, id: &str) -> Result<()> {
        let request = self.request(v1::ReopenContainerLogRequest {
            container_id: id.to_owned(),
        });
        answer(self.runtime.clone().reopen_container_log(request).await).map(drop)
    }

    async fn exec_sync(&self, id: &str, command: &[String], timeout: Duration) -> Result<v1::ExecSyncResponse> {
        let message = v1::ExecSyncRequest {
            container_id: id.to_owned(),
            cmd: command.to_vec(),
            timeout: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
        };
        let mut request = Request::new(message);
        if !timeout.is_zero() {
            request.set_timeout(self.timeout + timeout);
        }
        answer(self.runtime.clone().exec_sync(request).await)
    }

    async fn exec(&self, request: v1::ExecRequest) -> Result<String> {
        Ok(answer(self.runtime.clone().exec(self.request(request)).await)?.url)
    }

    async fn attach(&self, request: v1::AttachRequest) -> Result<String> {
        Ok(answer(self.runtime.clone().attach(self.request(request)).await)?.url)
    }

    async fn port_forward(&self, request: v1::PortForwardRequest) -> Result<String> {
        Ok(answer(self.runtime.clone().port_forward(self.request(request)).await)?.url)
    }

    async fn list_images(&self) -> Result<Vec<v1::Image>> {
        let request = self.request(v1::ListImagesRequest { filter: None });
        Ok(answer(self.images.clone().list_images(request).await)?.images)
    }

    async fn image_status(&self, image: &str) -> Result<Option<v1::Image>> {
        let message = v1::ImageStatusRequest {
            image: Some(image_spec(image)),
            verbose: false,
        };
        Ok(answer(self.images.clone().image_status(self.request(message)).await)?.image)
    }

    async fn pull_image(
        &self,
        image: &str,
        auth: Option<v1::AuthConfig>,
        sandbox_config: v1::PodSandboxConfig,
    ) -> Result<String> {
        let message = v1::PullImageRequest {
            image: Some(image_spec(image)),
            auth,
            sandbox_config: Some(sandbox_config),
        };
        Ok(answer(self.images.clone().pull_image(Request::new(message)).await)?.image_ref)
    }

    async fn remove_image(&self, image: &str) -> Result<()> {
        let message = v1::RemoveImageRequest {
            image: Some(image_spec(image)),
        };
        answer(self.images.clone().remove_image(self.request(message)).await).map(drop)
    }

    async fn image_fs_info(&self) -> Result<v1::ImageFsInfoResponse> {
        let request = self.request(v1::ImageFsInfoRequest {});
        answer(self.images.clone().image_fs_info(request).await)
    }

    async fn list_container_stats(&self) -> Result<Vec<v1::ContainerStats>> {
        let request = self.request(v1::ListContainerStatsRequest { filter: None });
        Ok(answer(self.runtime.clone().list_container_stats(request).await)?.stats)
    }
}

fn by_uid(uid: &str) -> HashMap<String, String> {
    HashMap::from([(POD_UID.to_owned(), uid.to_owned())])
}

fn image_spec(image: &str) -> v1::ImageSpec {
    v1::ImageSpec {
        image: image.to_owned(),
        user_specified_image: image.to_owned(),
        ..Default::default()
    }
}

fn answer<T>(outcome: std::result::Result<tonic::Response<T>, Status>) -> Result<T> {
    outcome.map(tonic::Response::into_inner).map_err(|status| RuntimeError {
        code: code_name(status.code()),
        message: status.message().to_owned(),
    })
}

fn empty(what: &str) -> RuntimeError {
    RuntimeError {
        code: "Internal",
        message: format!("{what} answered nothing"),
    }
}

/// Names of the gRPC codes as Go prints them.
fn code_name(code: tonic::Code) -> &'static str {
    use tonic::Code;
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "Canceled",
        Code::Unknown => "Unknown",
        Code::InvalidArgument => "InvalidArgument",
        Code::DeadlineExceeded => "DeadlineExceeded",
        Code::NotFound => "NotFound",
        Code::AlreadyExists => "AlreadyExists",
        Code::PermissionDenied => "PermissionDenied",
        Code::ResourceExhausted => "ResourceExhausted",
        Code::FailedPrecondition => "FailedPrecondition",
        Code::Aborted => "Aborted",
        Code::OutOfRange => "OutOfRange",
        Code::Unimplemented => "Unimplemented",
        Code::Internal => "Internal",
        Code::Unavailable => "Unavailable",
        Code::DataLoss => "DataLoss",
        Code::Unauthenticated => "Unauthenticated",
    }
}
