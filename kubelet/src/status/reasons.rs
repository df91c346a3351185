//! Why containers that should run do not (upstream: pkg/kubelet/reason_cache.go).

use std::collections::HashMap;

use parking_lot::Mutex;

/// Reason and message by pod UID and container name.
#[derive(Default)]
pub(crate) struct Reasons {
    entries: Mutex<HashMap<(String, String), (String, String)>>,
}

impl Reasons {
    pub(crate) fn set(&self, uid: &str, container: &str, reason: &str, message: &str) {
        let key = (uid.to_owned(), container.to_owned());
        self.entries.lock().insert(key, (reason.to_owned(), message.to_owned()));
    }

    pub(crate) fn clear(&self, uid: &str, container: &str) {
        self.entries.lock().remove(&(uid.to_owned(), container.to_owned()));
    }

    pub(crate) fn get(&self, uid: &str, container: &str) -> Option<(String, String)> {
        self.entries
            .lock()
            .get(&(uid.to_owned(), container.to_owned()))
            .cloned()
    }

    /// Forgets a pod.
    pub(crate) fn forget(&self, uid: &str) {
        self.entries.lock().retain(|(own, _), _| own != uid);
    }
}
