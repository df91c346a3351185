//! The plugin on its socket: three calls with a deadline.
//!
//! Upstream: `kmsv2/grpc_service.go`; its calls wait for the plugin to be there (`WaitForReady`).

use std::time::{Duration, Instant};

use kms_proto::v2::key_management_service_client::KeyManagementServiceClient;
use kms_proto::v2::{DecryptRequest, EncryptRequest, EncryptResponse, StatusRequest, StatusResponse};
use tonic::transport::Channel;
use tonic::{Code, Response, Status};
use zeroize::Zeroizing;

use super::super::chain::TransformError;
use super::metrics;

/// Pause before a socket that nobody listens on is tried again.
const AGAIN: Duration = Duration::from_millis(50);

type Client = KeyManagementServiceClient<Channel>;

/// A plugin.
pub(in crate::storage::encryption) struct Plugin {
    name: String,
    client: Client,
    timeout: Duration,
    /// Told when a call finds nobody on the socket.
    #[cfg(test)]
    missed: tokio::sync::Notify,
}

impl Plugin {
    /// The plugin with this name at an endpoint, whose every call ends after `timeout`. Connects when it is first asked.
    ///
    /// # Errors
    /// The endpoint is no socket.
    pub(in crate::storage::encryption) fn new(
        name: &str,
        endpoint: &str,
        timeout: Duration,
    ) -> Result<Self, TransformError> {
        let channel = kms_proto::connect(endpoint).map_err(|why| TransformError::new(why.to_string()))?;
        Ok(Plugin {
            name: name.to_owned(),
            client: Client::new(channel),
            timeout,
            #[cfg(test)]
            missed: tokio::sync::Notify::new(),
        })
    }

    /// What the configuration calls it.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Waits until a call has found nobody on the socket, unless one has since the last such wait.
    #[cfg(test)]
    pub(super) async fn missed(&self) {
        self.missed.notified().await;
    }

    /// How it is, and which key it seals with.
    pub(super) async fn status(&self) -> Result<StatusResponse, TransformError> {
        self.call(
            "Status",
            |mut client| async move { client.status(StatusRequest {}).await },
        )
        .await
    }

    /// Seals a key.
    pub(super) async fn encrypt(&self, uid: &str, key: &[u8]) -> Result<EncryptResponse, TransformError> {
        self.call("Encrypt", |mut client| {
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
        let answer = self.call("Decrypt", |mut client| {
            let request = request.clone();
            async move { client.decrypt(request).await }
        });
        let answer = answer.await?;
        Ok(answer.plaintext.into())
    }

    async fn call<T, F>(&self, method: &str, once: impl Fn(Client) -> F) -> Result<T, TransformError>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let patient = async {
            loop {
                match once(self.client.clone()).await {
                    Err(status) if kms_proto::never_sent(&status) => {
                        #[cfg(test)]
                        self.missed.notify_one();
                        tokio::time::sleep(AGAIN).await;
                    }
                    answer => return answer,
                }
            }
        };
        let begun = Instant::now();
        let answer = tokio::time::timeout(self.timeout, patient).await;
        let answer = answer.unwrap_or_else(|_| Err(Status::deadline_exceeded("context deadline exceeded")));
        let code = answer.as_ref().map_or_else(Status::code, |_| Code::Ok);
        metrics::called(&self.name, method, code, begun.elapsed());
        answer.map(Response::into_inner).map_err(|status| {
            let why = format!("rpc error: code = {} desc = {}", spelled(code), status.message());
            TransformError::of_call(code, why)
        })
    }
}

/// As Go's grpc prints it.
pub(in crate::storage::encryption) fn spelled(code: Code) -> String {
    match code {
        Code::Ok => "OK".to_owned(),
        Code::Cancelled => "Canceled".to_owned(),
        other => format!("{other:?}"),
    }
}
