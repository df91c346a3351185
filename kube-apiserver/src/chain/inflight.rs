//! How many requests run at once: reads and writes apart, long-running ones and masters free.
//!
//! Upstream: `apiserver/pkg/server/filters/maxinflight.go`. (Priority and fairness comes later.)

use std::sync::Arc;
use std::time::Duration;

use apimachinery::status::{ApiError, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::request::RequestContext;

/// Longest wait for a slot.
const PATIENCE: Duration = Duration::from_secs(15);

/// The two limits.
pub(crate) struct Inflight {
    reads: Option<Arc<Semaphore>>,
    writes: Option<Arc<Semaphore>>,
}

impl Inflight {
    /// `--max-requests-inflight`, `--max-mutating-requests-inflight`; 0 is no limit.
    pub(crate) fn new(reads: usize, writes: usize) -> Self {
        let limit = |n: usize| (n > 0).then(|| Arc::new(Semaphore::new(n)));
        Inflight {
            reads: limit(reads),
            writes: limit(writes),
        }
    }

    /// Waits for a slot; `None` when none is needed. 429 when too many wait too long.
    pub(super) async fn enter(&self, ctx: &RequestContext, long: bool) -> Result<Option<OwnedSemaphorePermit>> {
        if long || ctx.user.groups.iter().any(|g| g == "system:masters") {
            return Ok(None);
        }
        let limit = if matches!(ctx.info.verb.as_str(), "get" | "list" | "watch") {
            &self.reads
        } else {
            &self.writes
        };
        let Some(limit) = limit else { return Ok(None) };
        match tokio::time::timeout(PATIENCE, limit.clone().acquire_owned()).await {
            Ok(Ok(slot)) => Ok(Some(slot)),
            _ => Err(ApiError::too_many_requests(
                "Too many requests, please try again later.",
                1,
            )),
        }
    }
}
