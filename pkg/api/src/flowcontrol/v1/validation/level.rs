//! Priority levels.

use apimachinery::field::{Error, ErrorList, Path};
use k8s_openapi::api::flowcontrol::v1::{
    LimitResponse, LimitedPriorityLevelConfiguration, PriorityLevelConfiguration, PriorityLevelConfigurationSpec,
    QueuingConfiguration,
};

use super::mandatory;
use super::schema::condition_types;
use crate::check::{equal, list, one_of, text, to_value};
use crate::internal;
use crate::meta;

/// What only a retired version used (`PriorityLevelPreserveZeroConcurrencySharesKey`).
const ZERO_SHARES: &str = "flowcontrol.k8s.io/v1beta3-preserve-zero-concurrency-shares";
/// Most queues (`priorityLevelConfigurationQueuingMaxQueues`).
const QUEUES_MAX: i32 = 10_000_000;
/// Most bits of a hash that dealing queues may take (`shufflesharding.MaxHashBits`).
const HASH_BITS_MAX: i64 = 60;

/// A new level (`ValidatePriorityLevelConfiguration`).
pub fn priority_level_configuration_create(obj: &PriorityLevelConfiguration) -> ErrorList {
    let mut errs = meta::create(&obj.metadata, false, meta::name_subdomain);
    if obj
        .metadata
        .annotations
        .as_ref()
        .is_some_and(|a| a.contains_key(ZERO_SHARES))
    {
        let rule = format!("annotation '{ZERO_SHARES}' is forbidden");
        errs.push(Error::forbidden(&Path::new("metadata").child("annotations"), rule));
    }
    let (empty, path) = (PriorityLevelConfigurationSpec::default(), Path::new("spec"));
    let (spec, name) = (obj.spec.as_ref().unwrap_or(&empty), text(&obj.metadata.name));
    level_spec(&mut errs, spec, name, &path);
    if let Some(wanted) = mandatory::priority_level(name) {
        let mut have = spec.clone();
        let mut except = "";
        if name == "exempt" {
            have.exempt = None;
            except = " except the 'spec.exempt' field";
        }
        if !equal(&to_value(&have), &wanted) {
            let rule = format!("spec of '{name}'{except} must equal the fixed value");
            let value = internal::shown("flowcontrol.PriorityLevelConfigurationSpec", spec);
            errs.push(Error::invalid(&path, value, rule));
        }
    }
    conditions(&mut errs, obj);
    errs
}

/// A changed level: the same rules (`ValidateUpdate` of the strategy).
pub fn priority_level_configuration_update(
    new: &PriorityLevelConfiguration,
    _old: &PriorityLevelConfiguration,
) -> ErrorList {
    priority_level_configuration_create(new)
}

/// A changed status (`ValidatePriorityLevelConfigurationStatusUpdate`).
pub fn priority_level_configuration_status_update(
    new: &PriorityLevelConfiguration,
    _old: &PriorityLevelConfiguration,
) -> ErrorList {
    let mut errs = ErrorList::new();
    conditions(&mut errs, new);
    errs
}

fn conditions(errs: &mut ErrorList, obj: &PriorityLevelConfiguration) {
    let all = obj.status.as_ref().map(|s| list(&s.conditions)).unwrap_or_default();
    condition_types(errs, all.iter().map(|c| text(&c.type_)));
}

/// `ValidatePriorityLevelConfigurationSpec`.
fn level_spec(errs: &mut ErrorList, spec: &PriorityLevelConfigurationSpec, name: &str, path: &Path) {
    let type_ = spec.type_.as_str();
    if (name == "exempt") != (type_ == "Exempt") {
        let rule = "must be 'Exempt' if and only if `name` is 'exempt'";
        errs.push(Error::invalid(&path.child("type"), type_, rule));
    }
    let (limited, exempt) = (path.child("limited"), path.child("exempt"));
    match type_ {
        "Exempt" => {
            if spec.limited.is_some() {
                errs.push(Error::forbidden(&limited, "must be nil if the type is not Limited"));
            }
            if let Some(part) = &spec.exempt {
                shares(errs, part.nominal_concurrency_shares, &exempt);
                percent(errs, part.lendable_percent, &exempt);
            }
        }
        "Limited" => {
            if spec.exempt.is_some() {
                errs.push(Error::forbidden(&exempt, "must be nil if the type is Limited"));
            }
            match &spec.limited {
                None => errs.push(Error::required(&limited, "must not be empty when type is Limited")),
                Some(part) => limits(errs, part, &limited),
            }
        }
        other => one_of(errs, &path.child("type"), other, &["Exempt", "Limited"]),
    }
}

fn shares(errs: &mut ErrorList, shares: Option<i32>, path: &Path) {
    if let Some(shares) = shares.filter(|s| *s < 0) {
        let path = path.child("nominalConcurrencyShares");
        errs.push(Error::invalid(&path, shares, "must be a non-negative integer"));
    }
}

fn percent(errs: &mut ErrorList, percent: Option<i32>, path: &Path) {
    if let Some(percent) = percent.filter(|p| !(0..=100).contains(p)) {
        let rule = "must be between 0 and 100, inclusive";
        errs.push(Error::invalid(&path.child("lendablePercent"), percent, rule));
    }
}

/// `ValidateLimitedPriorityLevelConfiguration`.
fn limits(errs: &mut ErrorList, limited: &LimitedPriorityLevelConfiguration, path: &Path) {
    shares(errs, limited.nominal_concurrency_shares, path);
    let (empty, at) = (LimitResponse::default(), path.child("limitResponse"));
    let response = limited.limit_response.as_ref().unwrap_or(&empty);
    let queuing_path = at.child("queuing");
    match (response.type_.as_str(), &response.queuing) {
        ("Reject", Some(_)) => {
            let rule = "must be nil if limited.limitResponse.type is not Limited";
            errs.push(Error::forbidden(&queuing_path, rule));
        }
        ("Reject", None) => {}
        ("Queue", None) => {
            let rule = "must not be empty if limited.limitResponse.type is Limited";
            errs.push(Error::required(&queuing_path, rule));
        }
        ("Queue", Some(queuing)) => self::queuing(errs, queuing, &queuing_path),
        (other, _) => one_of(errs, &at.child("type"), other, &["Queue", "Reject"]),
    }
    percent(errs, limited.lendable_percent, path);
    if let Some(percent) = limited.borrowing_limit_percent.filter(|p| *p < 0) {
        let rule = "if specified, must be a non-negative integer";
        errs.push(Error::invalid(&path.child("borrowingLimitPercent"), percent, rule));
    }
}

/// `ValidatePriorityLevelQueuingConfiguration`.
fn queuing(errs: &mut ErrorList, queuing: &QueuingConfiguration, path: &Path) {
    let length = queuing.queue_length_limit.unwrap_or(0);
    let (queues, hand) = (queuing.queues.unwrap_or(0), queuing.hand_size.unwrap_or(0));
    let mut refuse = |field: &str, value: i32, rule: String| {
        errs.push(Error::invalid(&path.child(field), value, rule));
    };
    let positive = || "must be positive".to_string();
    if length <= 0 {
        refuse("queueLengthLimit", length, positive());
    }
    if queues <= 0 {
        refuse("queues", queues, positive());
    } else if queues > QUEUES_MAX {
        refuse("queues", queues, format!("must not be greater than {QUEUES_MAX}"));
    }
    // `shufflesharding.RequiredEntropyBits`.
    let bits = (f64::from(queues).log2() * f64::from(hand)).ceil() as i64;
    if hand <= 0 {
        refuse("handSize", hand, positive());
    } else if hand > queues {
        refuse(
            "handSize",
            hand,
            format!("should not be greater than queues ({queues})"),
        );
    } else if bits > HASH_BITS_MAX {
        let rule = format!(
            "required entropy bits of deckSize {queues} and handSize {hand} should not be greater than {HASH_BITS_MAX}"
        );
        refuse("handSize", hand, rule);
    }
}
