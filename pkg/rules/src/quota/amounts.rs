//! Arithmetic on lists of amounts (staging/src/k8s.io/apiserver/pkg/quota/v1/resources.go).

use apimachinery::quantity::Quantity;

use crate::resources::ResourceList;

/// What `now` is above `before`, never below nothing: what an object gives back by a change is counted by the
/// controller (`SubtractWithNonNegativeResult`).
pub fn growth(now: &ResourceList, before: &ResourceList) -> ResourceList {
    let mut growth: ResourceList = before.keys().map(|name| (name.clone(), Quantity::ZERO)).collect();
    for (name, amount) in now {
        let more = before.get(name).map_or(*amount, |before| *amount - *before);
        growth.insert(name.clone(), if more.sign() > 0 { more } else { Quantity::ZERO });
    }
    growth
}

/// The amounts that are not nothing (`RemoveZeros`).
pub fn without_zeros(list: &ResourceList) -> ResourceList {
    only(list, |name| list.get(name).is_some_and(|amount| !amount.is_zero()))
}

/// The amounts of some names (`Mask`).
pub fn only(list: &ResourceList, names: impl Fn(&str) -> bool) -> ResourceList {
    let kept = list.iter().filter(|(name, _)| names(name));
    kept.map(|(name, amount)| (name.clone(), *amount)).collect()
}

/// The names whose amount is more than `hard` allows; what `hard` does not name is free (`LessThanOrEqual`).
pub fn beyond<'a>(list: &'a ResourceList, hard: &ResourceList) -> Vec<&'a str> {
    let beyond = list
        .iter()
        .filter(|(name, amount)| hard.get(*name).is_some_and(|most| *amount > most));
    beyond.map(|(name, _)| name.as_str()).collect()
}

/// `cpu=1,pods=2` (apiserver resourcequota `prettyPrint`).
pub fn describe(list: &ResourceList) -> String {
    let parts: Vec<String> = list.iter().map(|(name, amount)| format!("{name}={amount}")).collect();
    parts.join(",")
}
