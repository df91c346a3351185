//! Which events become a new object, which raise the count of one, and which are dropped. Pure but for the clock
//! of the token bucket.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event;
use tokio::time::Instant;

use crate::rate_limit::TokenBucket;

/// Upstream: `defaultAggregateMaxEvents`, `defaultAggregateIntervalInSeconds`, `defaultSpamBurst`, `defaultSpamQPS`,
/// `maxLruCacheEntries`.
const AGGREGATE_AFTER: usize = 10;
const AGGREGATE_INTERVAL: Duration = Duration::from_secs(600);
const SPAM_BURST: u32 = 25;
const SPAM_PER_SECOND: f64 = 1.0 / 300.0;
const MAX_ENTRIES: usize = 4096;

/// An event to send.
#[derive(Debug)]
pub(super) struct Correlated {
    pub(super) event: Event,
    /// Name of the stored event to patch instead of creating one.
    pub(super) update: Option<String>,
    key: String,
}

#[derive(Debug)]
struct Similar {
    messages: HashSet<String>,
    last: Instant,
}

#[derive(Debug)]
struct Known {
    name: String,
    namespace: Option<String>,
    count: i32,
    first: Timestamp,
    used: u64,
}

/// The memory of what was sent.
#[derive(Debug, Default)]
pub(super) struct Correlator {
    spam: HashMap<String, TokenBucket>,
    similar: HashMap<String, Similar>,
    known: HashMap<String, Known>,
    clock: u64,
}

impl Correlator {
    /// The event to send for an event, `None` when the object is too chatty.
    pub(super) fn correlate(&mut self, mut event: Event) -> Option<Correlated> {
        let about = object_key(&event);
        if self.spam.len() > MAX_ENTRIES {
            self.spam.clear();
        }
        let bucket = self
            .spam
            .entry(about.clone())
            .or_insert_with(|| TokenBucket::new(SPAM_PER_SECOND, SPAM_BURST));
        if !bucket.try_take() {
            return None;
        }
        let kind = format!(
            "{about}|{}|{}",
            event.type_.as_deref().unwrap_or_default(),
            event.reason.as_deref().unwrap_or_default()
        );
        let message = event.message.clone().unwrap_or_default();
        let key = if self.aggregates(&kind, &message) {
            event.message = Some(format!("(combined from similar events): {message}"));
            kind
        } else {
            format!("{kind}|{message}")
        };
        self.clock += 1;
        let mut update = None;
        if let Some(known) = self.known.get_mut(&key) {
            known.used = self.clock;
            event.count = Some(known.count + 1);
            event.first_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(known.first));
            event.metadata.name = Some(known.name.clone());
            event.metadata.namespace = known.namespace.clone();
            update = Some(known.name.clone());
        }
        Some(Correlated { event, update, key })
    }

    /// Remembers what the server stored.
    pub(super) fn stored(&mut self, sent: &Correlated, stored: Event) {
        if self.known.len() >= MAX_ENTRIES {
            // The oldest half goes; cheaper than an exact LRU and as good here.
            let limit = self.clock.saturating_sub(MAX_ENTRIES as u64 / 2);
            self.known.retain(|_, known| known.used > limit);
        }
        let known = Known {
            name: stored.metadata.name.unwrap_or_default(),
            namespace: stored.metadata.namespace,
            count: sent.event.count.unwrap_or(1),
            first: sent.event.first_timestamp.as_ref().map_or_else(Timestamp::now, |t| t.0),
            used: self.clock,
        };
        self.known.insert(sent.key.clone(), known);
    }

    /// Whether so many different messages came lately that they are counted as one event.
    fn aggregates(&mut self, kind: &str, message: &str) -> bool {
        let now = Instant::now();
        if self.similar.len() > MAX_ENTRIES {
            self.similar.clear();
        }
        let similar = self.similar.entry(kind.to_owned()).or_insert_with(|| Similar {
            messages: HashSet::new(),
            last: now,
        });
        if now.duration_since(similar.last) > AGGREGATE_INTERVAL {
            similar.messages.clear();
        }
        similar.last = now;
        similar.messages.insert(message.to_owned());
        if similar.messages.len() < AGGREGATE_AFTER {
            return false;
        }
        // Keep the set from growing while it stays above the limit.
        let drop = similar.messages.iter().find(|m| *m != message).cloned();
        if let Some(drop) = drop {
            similar.messages.remove(&drop);
        }
        true
    }
}

fn object_key(event: &Event) -> String {
    let source = event.source.clone().unwrap_or_default();
    let about = &event.involved_object;
    [
        source.component,
        source.host,
        about.kind.clone(),
        about.namespace.clone(),
        about.name.clone(),
        about.uid.clone(),
        about.field_path.clone(),
    ]
    .map(Option::unwrap_or_default)
    .join("|")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn event(reason: &str, message: &str) -> Event {
        let mut event = Event {
            reason: Some(reason.into()),
            message: Some(message.into()),
            ..Event::default()
        };
        event.metadata.name = Some(format!("pod.{message}"));
        event.count = Some(1);
        event.involved_object.name = Some("pod".into());
        event
    }

    fn pass(correlator: &mut Correlator, e: Event) -> Option<(i32, bool, String)> {
        let sent = correlator.correlate(e)?;
        let answer = (
            sent.event.count.unwrap(),
            sent.update.is_some(),
            sent.event.message.clone().unwrap(),
        );
        let stored = sent.event.clone();
        correlator.stored(&sent, stored);
        Some(answer)
    }

    #[tokio::test(start_paused = true)]
    async fn equal_events_raise_the_count() {
        let mut c = Correlator::default();
        assert_eq!(pass(&mut c, event("R", "m")), Some((1, false, "m".into())));
        assert_eq!(pass(&mut c, event("R", "m")), Some((2, true, "m".into())));
        assert_eq!(pass(&mut c, event("S", "m")), Some((1, false, "m".into())));
    }

    #[tokio::test(start_paused = true)]
    async fn many_similar_events_are_combined() {
        let mut c = Correlator::default();
        for n in 0..9 {
            assert_eq!(pass(&mut c, event("R", &n.to_string())).unwrap().2, n.to_string());
        }
        assert_eq!(
            pass(&mut c, event("R", "x")).unwrap(),
            (1, false, "(combined from similar events): x".into())
        );
        assert_eq!(
            pass(&mut c, event("R", "y")).unwrap(),
            (2, true, "(combined from similar events): y".into())
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_chatty_object_is_muted_until_the_bucket_refills() {
        let mut c = Correlator::default();
        let sent = (0..40).filter(|_| pass(&mut c, event("R", "m")).is_some()).count();
        assert_eq!(sent, 25);
        tokio::time::advance(Duration::from_secs(301)).await;
        assert!(pass(&mut c, event("R", "m")).is_some());
        assert!(pass(&mut c, event("R", "m")).is_none());
    }
}
