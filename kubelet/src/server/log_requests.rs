//! `/containerLogs`: which log a request means (upstream: server.go `getContainerLogs`,
//! kubelet_pods.go `validateContainerLogStatus`).

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use component::serving::Body;
use futures::{StreamExt, TryStreamExt};
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use k8s_openapi::api::core::v1::{ContainerStatus, PodStatus};
use k8s_openapi::jiff::Timestamp;

use super::logs::{self, LogOptions};
use super::{query, text};
use crate::pods::{PodExt, find_container};
use crate::runtime::State;
use crate::shared::Shared;

/// How often is asked whether a container whose log is followed still runs.
const LOOK: Duration = Duration::from_secs(1);

pub(super) async fn serve<B>(shared: &Arc<Shared>, request: &Request<B>, target: &[&str]) -> Response<Body> {
    let [namespace, pod_name, container] = target else {
        return text(StatusCode::NOT_FOUND, "404 page not found");
    };
    let pairs = query::pairs(request.uri().query());
    let pairs = pairs.iter().map(|(k, v)| (k.as_str(), v.as_str()));
    let options = match LogOptions::from_query(pairs, Timestamp::now()) {
        Ok(options) => options,
        Err(error) => {
            let message = format!(r#"{{"message": "{}"}}"#, error.replace('"', "\\\""));
            return text(StatusCode::UNPROCESSABLE_ENTITY, &message);
        }
    };
    let Some(pod) = shared.pods.by_name(namespace, pod_name) else {
        let message = format!("pod \"{pod_name}\" does not exist");
        return text(StatusCode::NOT_FOUND, &message);
    };
    if find_container(&pod, container).is_none() {
        let message = format!("container \"{container}\" not found in pod \"{pod_name}\"");
        return text(StatusCode::NOT_FOUND, &message);
    }
    let status = shared
        .statuses
        .get(pod.uid())
        .or_else(|| pod.status.clone())
        .unwrap_or_default();
    let id = match container_id(&status, pod_name, container, options.previous) {
        Ok(id) => id.rsplit("://").next().unwrap_or_default().to_owned(),
        Err(error) => return text(StatusCode::BAD_REQUEST, &error),
    };
    let found = match shared.runtime.container_status(&id).await {
        Ok(found) => found,
        Err(error) => {
            let message = format!(
                "failed to try resolving symlinks in path: unable to retrieve container logs for {}: {error}",
                shared.container_id(&id)
            );
            return text(StatusCode::BAD_REQUEST, &message);
        }
    };
    let runs = State::from_cri(found.state) == State::Running;
    let (watched, watched_id) = (shared.clone(), id.clone());
    let ended = async move {
        if !runs {
            return;
        }
        loop {
            tokio::time::sleep(LOOK).await;
            match watched.runtime.container_status(&watched_id).await {
                Ok(status) if State::from_cri(status.state) == State::Running => {}
                Err(error) if !error.is_not_found() => {}
                _ => return,
            }
        }
    };
    let pieces = logs::stream(PathBuf::from(found.log_path), options, ended);
    let frames = pieces.map_ok(Frame::data).map(|piece| piece.map_err(Into::into));
    let mut response = Response::new(BodyExt::boxed(StreamBody::new(frames)));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}

/// The container whose log is meant: the one that runs, else the last that ran.
fn container_id(status: &PodStatus, pod: &str, name: &str, previous: bool) -> Result<String, String> {
    let all = status
        .container_statuses
        .iter()
        .chain(&status.init_container_statuses)
        .chain(&status.ephemeral_container_statuses);
    let not_available = || format!("container \"{name}\" in pod \"{pod}\" is not available");
    let container: &ContainerStatus = all.flatten().find(|c| c.name == name).ok_or_else(not_available)?;
    let state = container.state.clone().unwrap_or_default();
    let last = container.last_state.as_ref().and_then(|s| s.terminated.as_ref());
    let last_id = last.and_then(|t| t.container_id.clone()).filter(|id| !id.is_empty());
    if previous {
        return last_id.ok_or_else(|| format!("previous terminated container \"{name}\" in pod \"{pod}\" not found"));
    }
    if state.running.is_some() {
        return container.container_id.clone().ok_or_else(not_available);
    }
    if let Some(terminated) = state.terminated {
        let own = terminated.container_id.filter(|id| !id.is_empty());
        return own
            .or(last_id)
            .ok_or_else(|| format!("container \"{name}\" in pod \"{pod}\" is terminated"));
    }
    if last.is_some() {
        return last_id.ok_or_else(|| format!("container \"{name}\" in pod \"{pod}\" is terminated"));
    }
    let start = format!("container \"{name}\" in pod \"{pod}\" is waiting to start");
    let Some(waiting) = state.waiting else {
        return Err(format!("{start} - no logs yet"));
    };
    let reason = waiting.reason.unwrap_or_default();
    Err(match reason.as_str() {
        "ErrImagePull" => format!("{start}: image can't be pulled"),
        "ImagePullBackOff" => format!("{start}: trying and failing to pull image"),
        _ => format!("{start}: {reason}"),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    #[test]
    fn the_running_container_is_meant_or_the_last_that_ran() {
        let id = |state: serde_json::Value, last: serde_json::Value, previous| {
            let status: PodStatus = serde_json::from_value(json!({"containerStatuses": [{
                "name": "c", "image": "", "imageID": "", "ready": false, "restartCount": 0,
                "containerID": "r://now", "state": state, "lastState": last}]}))
            .unwrap();
            container_id(&status, "p", "c", previous)
        };
        let ended = json!({"terminated": {"exitCode": 1, "containerID": "r://before"}});
        assert_eq!(id(json!({"running": {}}), json!({}), false).unwrap(), "r://now");
        assert_eq!(id(json!({"running": {}}), ended.clone(), true).unwrap(), "r://before");
        let waiting = json!({"waiting": {"reason": "CrashLoopBackOff"}});
        assert_eq!(id(waiting.clone(), ended, false).unwrap(), "r://before");
        assert_eq!(
            id(json!({"waiting": {"reason": "ImagePullBackOff"}}), json!({}), false).unwrap_err(),
            "container \"c\" in pod \"p\" is waiting to start: trying and failing to pull image"
        );
        assert_eq!(
            id(waiting, json!({}), true).unwrap_err(),
            "previous terminated container \"c\" in pod \"p\" not found"
        );
    }
}
