//! The plugin on its socket: three calls with a deadline.
//!
//! Upstream: `kmsv2/grpc_service.go`; its calls wait for the plugin to be there (`WaitForReady`).

use std::time::Duration;

use kms_proto::v2::key_management_service_client::KeyManagementServiceClient;
use kms_proto::v2::{DecryptRequest, EncryptRequest, EncryptResponse, StatusRequest, StatusResponse};
use tonic::transport::Channel;
use tonic::{Response, Status};
use zeroize::Zeroizing;

use super::super::chain::TransformError;

/// Pause before a socket that nobody listens on is tried again.
const AGAIN: Duration = Duration::from_millis(50);

type Client = KeyManagementServiceClient<Channel>;

/// A plugin.
pub(in crate::storage::encryption) struct Plugin {
    client: Client,
    timeout: Duration,
}

impl Plugin {
    /// The plugin at an endpoint, whose every call ends after `timeout`. Connects when it is first asked.
    ///
    /// # Errors
    /// The endpoint is no socket.
    pub(in crate::storage::encryption) fn new(endpoint: &str, timeout: Duration) -> Result<Self, TransformError> {
        let channel = kms_proto::connect(endpoint).map_err(|why| TransformError(why.to_string()))?;
        Ok(Plugin {
            client: Client::new(channel),
            timeout,
        })
    }

    /// How it is, and which key it seals with.
    pub(super) async fn status(&self) -> Result<StatusResponse, TransformError> {
        self.call(|mut client| async move { client.status(StatusRequest {}).await })
            .await
    }

    /// Seals a key.
    pub(super) async fn encrypt(&self, uid: &str, key: &[u8]) -> Result<EncryptResponse, TransformError> {
        self.call(|mut client| {
            let request = EncryptRequest {
                plaintext: key.to_vec(),
                uid: uid.to_owned(),
            };
            async move { client.encrypt(request).await }
        })
        .await
    }

    /// Opens a key that it sealed.
    pub(super) async fn decrypt(&self, request: DecryptRequest) -> Result<Zeroizing<Vec<u8>>, TransformError> {
        let answer = self.call(|mut client| {
            let request = request.clone();
            async move { client.decrypt(request).await }
        });
        let answer = answer.await?;
        Ok(answer.plaintext.into())
    }

    async fn call<T, F>(&self, once: impl Fn(Client) -> F) -> Result<T, TransformError>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let patient = async {
            loop {
                match once(self.client.clone()).await {
                    Err(status) if kms_proto::never_sent(&status) => tokio::time::sleep(AGAIN).await,
                    answer => return answer,
                }
            }
        };
        let answer = tokio::time::timeout(self.timeout, patient).await;
        let answer = answer.unwrap_or_else(|_| Err(Status::deadline_exceeded("context deadline exceeded")));
        answer.map(Response::into_inner).map_err(|status| {
            // As Go's grpc prints it.
            TransformError(format!(
                "rpc error: code = {:?} desc = {}",
                status.code(),
                status.message()
            ))
        })
    }
}
