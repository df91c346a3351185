//! What a cluster allows its pods: one word for the process, as `--allow-privileged` says it.
//!
//! Upstream: `pkg/capabilities` (`Setup`, `Get`), which is process-wide, too: validation is asked from everywhere.

use std::sync::atomic::{AtomicBool, Ordering};

static PRIVILEGED: AtomicBool = AtomicBool::new(true);

/// Sets whether pods may have privileged containers; they may unless told otherwise.
pub fn allow_privileged(allow: bool) {
    PRIVILEGED.store(allow, Ordering::Relaxed);
}

/// Whether pods may have privileged containers.
#[must_use]
pub fn privileged() -> bool {
    PRIVILEGED.load(Ordering::Relaxed)
}
