//! Brings a container's image onto the node (upstream: pkg/kubelet/images/image_manager.go).

use std::collections::HashMap;
use std::time::{Duration, Instant};

use cri_proto::v1;
use k8s_openapi::api::core::v1::{Container, Pod, Secret};
use k8s_openapi::jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::backoff::{Backoff, INITIAL, MAX};
use super::execute::StartError;
use super::security::ImageUser;
use crate::pods::{PodExt, container_reference};
use crate::shared::Shared;

/// State of image pulls.
pub(crate) struct Images {
    backoff: Backoff,
    /// Why the last pull of a key failed, for the message while backing off.
    failures: Mutex<HashMap<String, String>>,
    /// One permit when pulls are serialized.
    permits: Semaphore,
}

/// An image that is on the node.
pub(crate) struct Present {
    pub(crate) reference: String,
    pub(crate) user: ImageUser,
}

impl Images {
    pub(crate) fn new(serialize: bool) -> Self {
        Self {
            backoff: Backoff::new(INITIAL, MAX),
            failures: Mutex::new(HashMap::new()),
            permits: Semaphore::new(if serialize { 1 } else { 16 }),
        }
    }

    /// Makes sure the container's image is there, pulling as its policy says.
    pub(crate) async fn ensure(
        &self,
        shared: &Shared,
        pod: &Pod,
        container: &Container,
        sandbox: &v1::PodSandboxConfig,
    ) -> Result<Present, StartError> {
        let about = container_reference(pod, &container.name);
        let given = container.image.as_deref().unwrap_or_default();
        let image = with_tag(given);
        let policy = container.image_pull_policy.as_deref().unwrap_or("IfNotPresent");
        let found = shared.runtime.image_status(&image).await.map_err(|error| {
            StartError::new(
                "ImageInspectError",
                format!("Failed to inspect image {image:?}: {error}"),
            )
        })?;
        if let Some(found) = found
            && policy != "Always"
        {
            shared.recorder.normal(
                &about,
                "Pulled",
                format!("Container image {given:?} already present on machine and can be accessed by the pod"),
            );
            return Ok(present(found));
        }
        if policy == "Never" {
            let message = format!("Container image {given:?} is not present with pull policy of Never");
            shared.recorder.warning(&about, "ErrImageNeverPull", message.clone());
            return Err(StartError::new("ErrImageNeverPull", message));
        }
        let key = format!("{}_{given}", pod.uid());
        let now = Timestamp::now();
        if let Some(left) = self.backoff.remaining_since_update(&key, now) {
            let mut message = format!("Back-off pulling image {given:?}");
            shared.recorder.normal(&about, "BackOff", message.clone());
            if let Some(cause) = self.failures.lock().get(&key) {
                message = format!("{message}: ErrImagePull: {cause}");
            }
            return Err(StartError::new("ImagePullBackOff", message).after(left));
        }
        self.failures.lock().remove(&key);
        shared
            .recorder
            .normal(&about, "Pulling", format!("Pulling image {given:?}"));
        let waiting = Instant::now();
        let _permit = self.permits.acquire().await;
        let pulling = Instant::now();
        match pull(shared, pod, &image, sandbox).await {
            Ok(_) => {}
            Err(error) => {
                let text = error.to_string();
                shared
                    .recorder
                    .warning(&about, "Failed", format!("Failed to pull image {given:?}: {text}"));
                let now = Timestamp::now();
                self.backoff.next(&key, now, now);
                self.failures.lock().insert(key.clone(), text.clone());
                let delay = self.backoff.delay(&key);
                return Err(StartError::new("ErrImagePull", text).after(delay));
            }
        }
        self.backoff.collect(Timestamp::now());
        let found = shared.runtime.image_status(&image).await.ok().flatten();
        let size = found.as_ref().map_or(0, |i| i.size);
        shared.recorder.normal(
            &about,
            "Pulled",
            format!(
                "Successfully pulled image {given:?} in {} ({} including waiting). Image size: {size} bytes.",
                milliseconds(pulling.elapsed()),
                milliseconds(waiting.elapsed()),
            ),
        );
        found
            .map(present)
            .ok_or_else(|| StartError::new("ErrImagePull", format!("image {given:?} vanished after its pull")))
    }
}

/// Tries the credentials of the pod's pull secrets in turn, then none.
async fn pull(shared: &Shared, pod: &Pod, image: &str, sandbox: &v1::PodSandboxConfig) -> super::Result<String> {
    let mut last = None;
    for auth in credentials(shared, pod, image).await {
        match shared.runtime.pull_image(image, Some(auth), sandbox.clone()).await {
            Ok(reference) => return Ok(reference),
            Err(error) => last = Some(error),
        }
    }
    match shared.runtime.pull_image(image, None, sandbox.clone()).await {
        Ok(reference) => Ok(reference),
        Err(error) => Err(last.unwrap_or(error)),
    }
}

async fn credentials(shared: &Shared, pod: &Pod, image: &str) -> Vec<v1::AuthConfig> {
    let registry = registry_of(image);
    let mut found = Vec::new();
    for reference in pod.spec().image_pull_secrets.iter().flatten() {
        match shared.objects.secret(pod.namespace(), &reference.name).await {
            Ok(Some(secret)) => found.extend(auths(&secret, registry)),
            Ok(None) | Err(_) => shared.recorder.warning(
                &pod.reference(),
                "FailedToRetrieveImagePullSecret",
                format!(
                    "Unable to retrieve some image pull secrets ({}); attempting to pull the image may not succeed.",
                    reference.name
                ),
            ),
        }
    }
    found
}

/// The entries of a docker configuration for a registry.
fn auths(secret: &Secret, registry: &str) -> Vec<v1::AuthConfig> {
    use base64::Engine;
    let data = secret.data.as_ref();
    let config = data.and_then(|d| d.get(".dockerconfigjson").or_else(|| d.get(".dockercfg")));
    let Some(config) = config else { return Vec::new() };
    let Ok(parsed) = serde_json::from_slice::<serde_json::Value>(&config.0) else {
        return Vec::new();
    };
    let entries = if parsed["auths"].is_object() {
        &parsed["auths"]
    } else {
        &parsed
    };
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let matching = entries.as_object().into_iter().flatten().filter(|(server, _)| {
        let host = server.trim_start_matches("https://").trim_start_matches("http://");
        host.split('/').next().unwrap_or_default() == registry
            || (registry == "docker.io" && host.starts_with("index.docker.io"))
    });
    matching
        .map(|(_, entry)| {
            let mut auth = v1::AuthConfig {
                username: text(&entry["username"]),
                password: text(&entry["password"]),
                identity_token: text(&entry["identitytoken"]),
                ..Default::default()
            };
            let encoded = text(&entry["auth"]);
            let decoded = base64::engine::general_purpose::STANDARD.decode(&encoded).ok();
            if auth.username.is_empty()
                && let Some(pair) = decoded.and_then(|d| String::from_utf8(d).ok())
                && let Some((user, password)) = pair.split_once(':')
            {
                auth.username = user.to_owned();
                auth.password = password.to_owned();
            }
            auth
        })
        .collect()
}

fn registry_of(image: &str) -> &str {
    match image.split_once('/') {
        Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => first,
        _ => "docker.io",
    }
}

/// An image that names no user runs as root (upstream: kuberuntime/helpers.go `getImageUser`).
fn present(image: v1::Image) -> Present {
    let root = image.username.is_empty().then_some(0);
    Present {
        user: ImageUser {
            uid: image.uid.map(|u| u.value).or(root),
            name: image.username,
        },
        reference: image.id,
    }
}

/// `:latest` is added to a name without tag and digest.
fn with_tag(image: &str) -> String {
    let last = image.rsplit('/').next().unwrap_or_default();
    if last.contains(':') || image.contains('@') {
        image.to_owned()
    } else {
        format!("{image}:latest")
    }
}

/// A duration rounded to milliseconds, as Go prints it.
fn milliseconds(duration: Duration) -> String {
    let millis = Duration::from_millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX));
    apimachinery::duration::format_std(millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_get_a_tag_and_tell_their_registry() {
        assert_eq!(with_tag("busybox"), "busybox:latest");
        assert_eq!(with_tag("localhost:5000/x"), "localhost:5000/x:latest");
        assert_eq!(with_tag("a/b:1"), "a/b:1");
        assert_eq!(with_tag("a@sha256:0"), "a@sha256:0");
        assert_eq!(registry_of("localhost:5000/x"), "localhost:5000");
        assert_eq!(registry_of("library/x"), "docker.io");
    }
}
