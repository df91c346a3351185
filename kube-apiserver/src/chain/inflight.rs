//! How many requests run at once: reads and writes apart, long-running ones and masters free.
//!
//! Upstream: `apiserver/pkg/server/filters/maxinflight.go`, in the place of priority and fairness: its objects are
//! served and decide nothing here.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::header::{HeaderValue, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS};
use http::{Response, StatusCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::endpoints::respond;
use crate::request::RequestContext;

/// Longest wait for a slot, unless there is no queue.
const PATIENCE: Duration = Duration::from_secs(15);

/// The two limits.
pub(crate) struct Inflight {
    reads: Option<Arc<Semaphore>>,
    writes: Option<Arc<Semaphore>>,
    patience: Duration,
}

impl Inflight {
    /// `--max-requests-inflight`, `--max-mutating-requests-inflight`; 0 is no limit. `queue`: who finds no slot waits
    /// for one (`--enable-priority-and-fairness`).
    pub(crate) fn new(reads: usize, writes: usize, queue: bool) -> Self {
        let limit = |n: usize| (n > 0).then(|| Arc::new(Semaphore::new(n)));
        Inflight {
            reads: limit(reads),
            writes: limit(writes),
            patience: if queue { PATIENCE } else { Duration::ZERO },
        }
    }

    /// Waits for a slot; `None` when none is needed. `free`: the request is none of those that are counted.
    pub(super) async fn enter(&self, ctx: &RequestContext, free: bool) -> Result<Option<OwnedSemaphorePermit>, Full> {
        if free || ctx.user.groups.iter().any(|g| g == "system:masters") {
            return Ok(None);
        }
        let limit = if matches!(ctx.info.verb.as_str(), "get" | "list" | "watch") {
            &self.reads
        } else {
            &self.writes
        };
        let Some(limit) = limit else { return Ok(None) };
        match tokio::time::timeout(self.patience, limit.clone().acquire_owned()).await {
            Ok(Ok(slot)) => Ok(Some(slot)),
            _ => Err(Full),
        }
    }
}

/// There is no slot, or none came in time.
#[derive(Debug)]
pub(super) struct Full;

/// The answer to [`Full`]. Upstream: `filters/priority-and-fairness.go` `tooManyRequests`; it is no Status.
pub(super) fn refusal() -> Response<Body> {
    let text = "Too many requests, please try again later.\n";
    let mut response = respond::bytes(StatusCode::TOO_MANY_REQUESTS, "text/plain; charset=utf-8", text);
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::request::UserInfo;

    #[test]
    fn a_refusal_is_a_text_that_says_when_to_come_back() {
        let refusal = refusal();
        let said = [http::header::CONTENT_TYPE, RETRY_AFTER].map(|name| refusal.headers()[name].to_str().unwrap());
        assert_eq!(
            (refusal.status().as_u16(), said),
            (429, ["text/plain; charset=utf-8", "1"])
        );
    }

    #[tokio::test(start_paused = true)]
    async fn who_finds_no_slot_waits_only_where_there_is_a_queue() {
        let get = RequestContext::internal_for("get", "", "v1", "pods", "n", "p");
        let get = RequestContext {
            user: UserInfo::new("jane", &[]),
            ..get
        };
        for (queue, waits) in [(true, 15), (false, 0)] {
            let inflight = Inflight::new(1, 0, queue);
            let _slot = inflight.enter(&get, false).await.unwrap();
            let begun = tokio::time::Instant::now();
            assert!(inflight.enter(&get, false).await.is_err());
            assert_eq!(begun.elapsed().as_secs(), waits);
            let write = RequestContext::internal_for("create", "", "v1", "pods", "n", "");
            assert!(inflight.enter(&write, false).await.unwrap().is_none(), "0 is no limit");
            assert!(
                inflight.enter(&get, true).await.unwrap().is_none(),
                "some requests are free"
            );
        }
    }
}
