//! Watches the clock and ends leases when their time has come.

use std::sync::Arc;

use tokio::time::{Instant, sleep_until};

use crate::store::Store;
use crate::txn;

/// Leases ended at a time, so that their deletions do not fill a whole batch of the committer.
const AT_A_TIME: usize = 100;

/// Runs until the store stops.
pub(crate) async fn expire(store: Arc<Store>) {
    loop {
        let changed = store.lease_changed.notified();
        let next = store.lessor().lock().next_deadline();
        match next {
            None => tokio::select! {
                () = changed => continue,
                () = store.stopped() => return,
            },
            Some(deadline) => tokio::select! {
                () = changed => continue,
                () = sleep_until(deadline) => {}
                () = store.stopped() => return,
            },
        }
        let now = Instant::now();
        let expired = store.lessor().lock().expired(now, AT_A_TIME);
        for id in expired {
            let revoke = move |core: &mut crate::mvcc::Core| {
                // A keep-alive may have come first.
                if core.lessor().lock().has_expired(id, now) {
                    let _ = txn::lease_revoke(core, id);
                }
            };
            if store.write(revoke).await.is_err() {
                return;
            }
        }
    }
}
