//! EventRateLimit: no flood of events.
//!
//! Upstream: `plugin/pkg/admission/eventratelimit`. Its configuration is demanded: there are no limits by default.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use apimachinery::field::{Error, Path, aggregate};
use apimachinery::status::{ApiError, reason};
use async_trait::async_trait;
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;

use super::config_file::{Configurations, Kind};
use super::{Attributes, Operation, Plugin};
use crate::objects::text;

const NAME: &str = "EventRateLimit";
const KINDS: [Kind; 1] = [("eventratelimit.admission.k8s.io/v1alpha1", "Configuration")];
const TYPES: [&str; 4] = ["Namespace", "Server", "SourceAndObject", "User"];
/// Buckets of one limit, unless the configuration says.
const CACHE_SIZE: usize = 4096;
/// What tells events of one source about one object from others.
const SOURCE_AND_OBJECT: [&str; 7] = [
    "/source/component",
    "/source/host",
    "/involvedObject/kind",
    "/involvedObject/namespace",
    "/involvedObject/name",
    "/involvedObject/uid",
    "/involvedObject/apiVersion",
];

/// Unlike other files it may say what nobody understands.
#[derive(Debug, Default, Deserialize)]
struct Configuration {
    #[serde(default)]
    limits: Option<Vec<Limit>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Limit {
    #[serde(default, rename = "type")]
    type_: String,
    #[serde(default)]
    qps: i32,
    #[serde(default)]
    burst: i32,
    #[serde(default)]
    cache_size: i32,
}

/// The limits of the configuration. Upstream: `validation.ValidateConfiguration`.
fn limits(all: &Configurations) -> Result<Vec<Limit>, String> {
    let told: Configuration = all.decode(NAME, &KINDS)?;
    let limits = told.limits.unwrap_or_default();
    let path = Path::new("limits");
    let mut errors = Vec::new();
    if limits.is_empty() {
        errors.push(Error::invalid(&path, &Value::Null, "must not be empty"));
    }
    for (i, limit) in limits.iter().enumerate() {
        let path = path.index(i);
        if !TYPES.contains(&limit.type_.as_str()) {
            errors.push(Error::not_supported(&path.child("type"), limit.type_.as_str(), &TYPES));
        }
        for (name, number) in [("burst", limit.burst), ("qps", limit.qps)] {
            if number <= 0 {
                errors.push(Error::invalid(&path.child(name), i64::from(number), "must be positive"));
            }
        }
        if limit.type_ != "Server" && limit.cache_size < 0 {
            let size = i64::from(limit.cache_size);
            errors.push(Error::invalid(&path.child("cacheSize"), size, "must not be negative"));
        }
    }
    match aggregate(&errors) {
        None => Ok(limits),
        Some(wrong) => Err(wrong),
    }
}

/// The plugin.
pub(crate) struct EventRateLimit(Vec<Enforcer>);

impl EventRateLimit {
    /// With the limits of its configuration. The error: what is wrong with that.
    pub(crate) fn new(all: &Configurations) -> Result<Self, String> {
        Ok(EventRateLimit(limits(all)?.into_iter().map(Enforcer::new).collect()))
    }
}

#[async_trait]
impl Plugin for EventRateLimit {
    fn handles(&self, operation: Operation) -> bool {
        matches!(operation, Operation::Create | Operation::Update)
    }

    async fn validate(&self, a: &Attributes<'_>, event: &Value) -> Result<(), ApiError> {
        // Those of events.k8s.io are of another kind.
        if !a.is("", "events", "") || a.ctx.dry_run {
            return Ok(());
        }
        let refused: Vec<String> = self.0.iter().filter_map(|one| one.refused(a, event)).collect();
        let Some(why) = aggregate(&refused) else {
            return Ok(());
        };
        let message = format!("Too many requests: {why}");
        Err(ApiError::generic(429, reason::TOO_MANY_REQUESTS, message))
    }
}

/// One limit with its buckets.
struct Enforcer {
    limit: Limit,
    buckets: Mutex<Buckets>,
}

impl Enforcer {
    fn new(limit: Limit) -> Self {
        let size = usize::try_from(limit.cache_size).unwrap_or(0);
        Enforcer {
            buckets: Mutex::new(Buckets {
                size: if size == 0 { CACHE_SIZE } else { size },
                ..Buckets::default()
            }),
            limit,
        }
    }

    fn refused(&self, a: &Attributes<'_>, event: &Value) -> Option<String> {
        let key = match self.limit.type_.as_str() {
            "Namespace" => a.namespace().to_owned(),
            "User" => a.ctx.user.name.clone(),
            "SourceAndObject" => SOURCE_AND_OBJECT.iter().map(|part| text(event, part)).collect(),
            _ => String::new(),
        };
        let accepted = self.buckets.lock().take(&key, &self.limit, Instant::now());
        (!accepted).then(|| format!("limit reached on type {} for key {key}", self.limit.type_))
    }
}

/// Token buckets by key; the one that was used longest ago makes room for a new one.
#[derive(Default)]
struct Buckets {
    size: usize,
    by_key: HashMap<String, Bucket>,
    by_use: BTreeMap<u64, String>,
    uses: u64,
}

struct Bucket {
    tokens: f64,
    filled: Instant,
    used: u64,
}

impl Buckets {
    fn take(&mut self, key: &str, limit: &Limit, now: Instant) -> bool {
        self.uses += 1;
        let burst = f64::from(limit.burst);
        if !self.by_key.contains_key(key)
            && self.by_key.len() >= self.size
            && let Some((_, oldest)) = self.by_use.pop_first()
        {
            self.by_key.remove(&oldest);
        }
        let bucket = self.by_key.entry(key.to_owned()).or_insert(Bucket {
            tokens: burst,
            filled: now,
            used: 0,
        });
        self.by_use.remove(&bucket.used);
        self.by_use.insert(self.uses, key.to_owned());
        bucket.used = self.uses;
        let passed: Duration = now - bucket.filled;
        bucket.tokens = burst.min(bucket.tokens + passed.as_secs_f64() * f64::from(limit.qps));
        bucket.filled = now;
        let accepted = bucket.tokens >= 1.0;
        if accepted {
            bucket.tokens -= 1.0;
        }
        accepted
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    fn limit(burst: i32, cache_size: i32) -> Limit {
        Limit {
            type_: "Namespace".to_owned(),
            qps: 2,
            burst,
            cache_size,
        }
    }

    #[test]
    fn a_bucket_empties_and_fills_again() {
        let mut buckets = Buckets {
            size: 2,
            ..Buckets::default()
        };
        let (start, limit) = (Instant::now(), limit(2, 0));
        let after = |millis| start + Duration::from_millis(millis);
        let steps = [
            (0, "a", true),
            (0, "a", true),
            (0, "a", false),
            (0, "b", true),
            (500, "a", true),
            (500, "a", false),
            (60_000, "a", true),
            (60_000, "a", true),
            (60_000, "a", false),
            // A third bucket takes the place of b, which is new afterwards; that takes the place of a.
            (60_000, "c", true),
            (60_000, "b", true),
            (60_000, "b", true),
            (60_000, "b", false),
            (60_000, "a", true),
        ];
        for (i, (millis, key, accepted)) in steps.into_iter().enumerate() {
            assert_eq!(buckets.take(key, &limit, after(millis)), accepted, "step {i}");
        }
    }

    #[tokio::test]
    async fn every_limit_is_asked() {
        let plugin = EventRateLimit(
            ["Server", "Namespace", "SourceAndObject"]
                .map(|type_| {
                    Enforcer::new(Limit {
                        type_: type_.to_owned(),
                        ..limit(1, 0)
                    })
                })
                .into(),
        );
        let mut ctx = crate::request::RequestContext::internal_for("create", "", "v1", "events", "ns", "e");
        let event = json!({"source": {"component": "c"}, "involvedObject": {"name": "o"}});
        let ask = async |ctx: &crate::request::RequestContext| {
            let attrs = Attributes {
                ctx,
                operation: Operation::Create,
                old: None,
            };
            plugin.validate(&attrs, &event).await
        };
        ask(&ctx).await.unwrap();
        let error = ask(&ctx).await.unwrap_err();
        let wanted = "Too many requests: [limit reached on type Server for key , \
            limit reached on type Namespace for key ns, limit reached on type SourceAndObject for key co]";
        assert_eq!((error.code, error.message.as_str()), (429, wanted));
        ctx.dry_run = true;
        ask(&ctx).await.unwrap();
    }

    #[test]
    fn limits_are_demanded_and_may_be_beside_what_nobody_understands() {
        let telling = |limits: Value| {
            let value = json!({"apiVersion": KINDS[0].0, "kind": KINDS[0].1, "limits": limits, "more": 1});
            limits_of(&Configurations::telling(NAME, value))
        };
        for (limits, wanted) in [
            (json!([{"type": "User", "qps": 1, "burst": 2, "more": 1}]), Ok(1)),
            (Value::Null, Err("limits: Invalid value: null: must not be empty")),
            (
                json!([{"type": "Server", "cacheSize": -1}, {"type": "Pod", "qps": 1, "burst": 1, "cacheSize": -1}]),
                Err(
                    "[limits[0].burst: Invalid value: 0: must be positive, limits[0].qps: Invalid value: 0: must be \
                    positive, limits[1].type: Unsupported value: \"Pod\": supported values: \"Namespace\", \"Server\", \
                    \"SourceAndObject\", \"User\", limits[1].cacheSize: Invalid value: -1: must not be negative]",
                ),
            ),
        ] {
            assert_eq!(telling(limits), wanted.map_err(str::to_owned));
        }
        let other = Configurations::telling(NAME, json!({"apiVersion": "v1", "kind": "Pod"}));
        let unknown = "no kind \"Pod\" is registered for version \"v1\" in scheme";
        assert_eq!(limits_of(&other), Err(unknown.to_owned()));
        assert!(limits_of(&Configurations::default()).is_err());
    }

    fn limits_of(all: &Configurations) -> Result<usize, String> {
        limits(all).map(|limits| limits.len())
    }
}
