//! What one manager of slices has written and its cache has yet to show. Without it the next look at a Service, which
//! may come before the watch has told of the last write, would make a second slice beside the first.
//!
//! Upstream: staging endpointslice/util/endpointslice_tracker.go.

use std::collections::HashMap;
use std::sync::Arc;

use client::informer::Event;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use parking_lot::Mutex;

/// The generation that a slice has since our last write; `None` once we have deleted it.
type Written = Option<i64>;

/// Writes of slices, by key of the Service and UID of the slice.
#[derive(Default)]
pub(super) struct Tracker(Mutex<HashMap<String, HashMap<String, Written>>>);

impl Tracker {
    /// A slice of the Service is now as given. Upstream: `Update`.
    pub(super) fn wrote(&self, service: &str, slice: &EndpointSlice) {
        self.note(service, slice, Some(generation(slice)));
    }

    /// We are about to delete a slice of the Service. To be said before the request, because the watch may be faster
    /// than its answer. Upstream: `ExpectDeletion`.
    pub(super) fn deletes(&self, service: &str, slice: &EndpointSlice) {
        self.note(service, slice, None);
    }

    /// The deletion of a slice has failed: the cache may keep it. Unless the watch has told since that it is gone, as when
    /// the answer got lost: nothing would ever show it again.
    pub(super) fn keeps(&self, service: &str, slice: &EndpointSlice) {
        let mut services = self.0.lock();
        let known = services.get_mut(service).and_then(|slices| slices.get_mut(&uid(slice)));
        if let Some(written) = known {
            *written = Some(generation(slice));
        }
    }

    fn note(&self, service: &str, slice: &EndpointSlice, written: Written) {
        let mut services = self.0.lock();
        services
            .entry(service.to_owned())
            .or_default()
            .insert(uid(slice), written);
    }

    /// Nothing is known of a slice any more.
    pub(super) fn forget_slice(&self, service: &str, slice: &EndpointSlice) -> Option<Written> {
        let mut services = self.0.lock();
        let slices = services.get_mut(service)?;
        let known = slices.remove(&uid(slice));
        if slices.is_empty() {
            services.remove(service);
        }
        known
    }

    /// The Service is gone, or has no slices of ours any more. Upstream: `DeleteService`.
    pub(super) fn forget(&self, service: &str) {
        self.0.lock().remove(service);
    }

    /// The news tells no more than what we did ourselves. Upstream: `ShouldSync`, `HandleDeletion`.
    pub(super) fn is_own(&self, service: &str, event: &Event<EndpointSlice>) -> bool {
        let slice = event.object();
        if matches!(event, Event::Deleted(_)) {
            return self.forget_slice(service, slice) == Some(None);
        }
        let services = self.0.lock();
        let known = services.get(service).and_then(|slices| slices.get(&uid(slice)));
        known
            .copied()
            .flatten()
            .is_some_and(|written| written >= generation(slice))
    }

    /// The cache is behind what we wrote: a slice is older there, or there still, or not there yet.
    /// Upstream: `StaleSlices`.
    pub(super) fn is_stale(&self, service: &str, cached: &[Arc<EndpointSlice>]) -> bool {
        let services = self.0.lock();
        let Some(slices) = services.get(service) else {
            return false;
        };
        let cached: HashMap<String, &EndpointSlice> = cached.iter().map(|slice| (uid(slice), &**slice)).collect();
        slices.iter().any(|(uid, written)| match (written, cached.get(uid)) {
            (Some(written), Some(cached)) => generation(cached) < *written,
            (Some(_), None) => true,
            // A finalizer may keep it for as long as it likes.
            (None, Some(cached)) => cached.metadata.deletion_timestamp.is_none(),
            (None, None) => false,
        })
    }
}

fn uid(slice: &EndpointSlice) -> String {
    slice.metadata.uid.clone().unwrap_or_default()
}

fn generation(slice: &EndpointSlice) -> i64 {
    slice.metadata.generation.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
    use k8s_openapi::jiff::Timestamp;

    use super::*;

    const SERVICE: &str = "ns/web";

    fn slice(uid: &str, generation: i64) -> Arc<EndpointSlice> {
        Arc::new(EndpointSlice {
            metadata: ObjectMeta {
                uid: Some(uid.to_owned()),
                generation: Some(generation),
                ..ObjectMeta::default()
            },
            ..EndpointSlice::default()
        })
    }

    #[test]
    fn a_cache_is_stale_while_it_lacks_a_write() {
        let tracker = Tracker::default();
        assert!(
            !tracker.is_stale(SERVICE, &[slice("a", 1)]),
            "what others wrote is news"
        );
        tracker.wrote(SERVICE, &slice("a", 2));
        // cached slices, stale
        let cases = [
            (vec![], true),
            (vec![slice("a", 1)], true),
            (vec![slice("a", 2)], false),
            (vec![slice("a", 3), slice("b", 1)], false),
        ];
        for (cached, stale) in cases {
            assert_eq!(tracker.is_stale(SERVICE, &cached), stale, "{cached:?}");
        }
        assert!(!tracker.is_stale("ns/other", &[]));
        tracker.deletes(SERVICE, &slice("a", 2));
        assert!(tracker.is_stale(SERVICE, &[slice("a", 2)]));
        assert!(!tracker.is_stale(SERVICE, &[]));
        let mut kept_by_a_finalizer = (*slice("a", 3)).clone();
        kept_by_a_finalizer.metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
        assert!(!tracker.is_stale(SERVICE, &[Arc::new(kept_by_a_finalizer)]));
        tracker.wrote(SERVICE, &slice("c", 1));
        tracker.forget(SERVICE);
        assert!(!tracker.is_stale(SERVICE, &[]));
    }

    #[test]
    fn a_deletion_by_somebody_else_is_news_and_leaves_nothing_to_wait_for() {
        let tracker = Tracker::default();
        tracker.wrote(SERVICE, &slice("a", 1));
        assert!(tracker.is_own(SERVICE, &Event::Added(slice("a", 1))));
        assert!(!tracker.is_own(SERVICE, &Event::Added(slice("a", 2))));
        assert!(!tracker.is_own(SERVICE, &Event::Deleted(slice("a", 2))));
        assert!(!tracker.is_stale(SERVICE, &[]));
    }

    #[test]
    fn the_watch_may_tell_of_our_deletion_before_its_answer_comes() {
        let tracker = Tracker::default();
        tracker.deletes(SERVICE, &slice("a", 1));
        assert!(tracker.is_own(SERVICE, &Event::Deleted(slice("a", 1))));
        assert!(tracker.0.lock().is_empty(), "nothing is kept of what is gone");
    }

    #[test]
    fn a_failed_deletion_leaves_the_slice_unless_the_watch_has_told_that_it_is_gone() {
        let tracker = Tracker::default();
        for (gone, stale_with, stale_without) in [(false, false, true), (true, false, false)] {
            tracker.deletes(SERVICE, &slice("a", 1));
            if gone {
                assert!(tracker.is_own(SERVICE, &Event::Deleted(slice("a", 1))));
            }
            tracker.keeps(SERVICE, &slice("a", 1));
            assert_eq!(tracker.is_stale(SERVICE, &[slice("a", 1)]), stale_with, "{gone}");
            assert_eq!(tracker.is_stale(SERVICE, &[]), stale_without, "{gone}");
        }
    }
}
