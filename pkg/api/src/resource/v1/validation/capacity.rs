//! Capacity of a device and how shares of it may be asked for.

use apimachinery::field::{BadValue, Error, ErrorList, Path};
use apimachinery::quantity::Quantity;
use k8s_openapi::api::resource::v1::{CapacityRequestPolicy, CapacityRequestPolicyRange, DeviceCapacity};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as RawQuantity;

use crate::check::{limited_set, list, quantity};

/// `CapacityRequestPolicyDiscreteMaxOptions`.
const OPTIONS_MAX: usize = 10;

/// `validateMultiAllocatableDeviceCapacity` for a `shared` device, `validateSingleAllocatableDeviceCapacity`
/// for others.
pub(super) fn request_policy(errs: &mut ErrorList, capacity: &DeviceCapacity, shared: bool, path: &Path) {
    let Some(policy) = &capacity.request_policy else { return };
    let path = path.child("requestPolicy");
    if !shared {
        errs.push(Error::forbidden(&path, "allowMultipleAllocations must be true"));
        return;
    }
    let max = quantity(&capacity.value);
    let values = list(&policy.valid_values);
    match (&policy.valid_range, values.is_empty()) {
        (Some(_), false) => errs.push(Error::forbidden(
            &path,
            r#"exactly one policy can be specified, cannot specify "validValues" and "validRange" at the same time"#,
        )),
        (None, false) => {
            if let Some(default) = default_of(errs, policy, "validValues", &path) {
                valid_values(errs, default, max, values, &path.child("validValues"));
            }
        }
        (Some(range), true) => {
            if let Some(default) = default_of(errs, policy, "validRange", &path) {
                valid_range(errs, default, max, range, &path.child("validRange"));
            }
        }
        (None, true) => {}
    }
}

/// The default that a list of values or a range asks for.
fn default_of(errs: &mut ErrorList, policy: &CapacityRequestPolicy, what: &str, path: &Path) -> Option<Quantity> {
    if policy.default.is_none() {
        let rule = format!("required when {what} is defined");
        errs.push(Error::required(&path.child("default"), rule));
    }
    policy.default.as_ref().map(quantity)
}

/// `validateRequestPolicyValidValues`.
fn valid_values(errs: &mut ErrorList, default: Quantity, max: Quantity, values: &[RawQuantity], path: &Path) {
    for (index, pair) in values.windows(2).enumerate() {
        let (before, after) = (quantity(&pair[0]), quantity(&pair[1]));
        if above(before, after) {
            let rule = "values must be sorted in ascending order";
            errs.push(Error::invalid(&path.index(index + 1), after.to_string(), rule));
        }
    }
    let mut found = false;
    let check = |errs: &mut ErrorList, option: &RawQuantity, path: &Path| {
        let option = quantity(option);
        if above(option, max) {
            let rule = format!("option is larger than capacity value: {max}");
            errs.push(Error::invalid(path, option.to_string(), rule));
        }
        found |= option.nano_units() == default.nano_units();
    };
    limited_set(errs, path, values, OPTIONS_MAX, check, |v| Whole(quantity(v).value()));
    if !found {
        let rule = "default value is not valid according to the requestPolicy";
        errs.push(Error::invalid(path, default.to_string(), rule));
    }
}

/// An amount in whole units, by which upstream compares options (`quantityKey`); printed as a text.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Whole(i64);

impl From<Whole> for BadValue {
    fn from(whole: Whole) -> Self {
        BadValue::Text(whole.0.to_string())
    }
}

/// `validateRequestPolicyRange`.
fn valid_range(
    errs: &mut ErrorList,
    default: Quantity,
    capacity: Quantity,
    range: &CapacityRequestPolicyRange,
    path: &Path,
) {
    let mut refuse = |field: &str, value: Quantity, rule: String| {
        errs.push(Error::invalid(&path.child(field), value.to_string(), rule));
    };
    if range.min.0.is_empty() {
        errs.push(Error::required(
            &path.child("min"),
            "required when validRange is defined",
        ));
        return;
    }
    let min = quantity(&range.min);
    if above(min, capacity) {
        refuse("min", min, format!("min is larger than capacity value: {capacity}"));
    }
    if above(min, default) {
        refuse("min", default, format!("default is less than min: {min}"));
    }
    let max = range.max.as_ref().map(quantity);
    if let Some(max) = max {
        if above(min, max) {
            refuse("max", min, format!("min is larger than max: {max}"));
        }
        if above(max, capacity) {
            refuse("max", max, format!("max is larger than capacity value: {capacity}"));
        }
        if above(default, max) {
            refuse("max", default, format!("default is more than max: {max}"));
        }
    }
    let Some(step) = range.step.as_ref().map(quantity) else {
        return;
    };
    let added = min.add(step);
    if above(added, capacity) {
        refuse(
            "step",
            step,
            format!("one step {added} is larger than capacity value: {capacity}"),
        );
    }
    for value in [Some(default), max].into_iter().flatten() {
        // Upstream divides by zero here; a step of nothing matches nothing but the minimum.
        let distance = value.value() - min.value();
        if step.value() == 0 && distance != 0 || step.value() != 0 && distance % step.value() != 0 {
            refuse(
                "step",
                value,
                format!("value is not a multiple of a given step ({step}) from ({min})"),
            );
        }
    }
}

fn above(a: Quantity, b: Quantity) -> bool {
    a.nano_units() > b.nano_units()
}
