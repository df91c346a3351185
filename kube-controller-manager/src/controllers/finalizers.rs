//! The finalizer that keeps an object while it is used; what the protection controllers share.

use client::controller::Outcome;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// The finalizers that an object needs: the one given is added while the object lives, removed when
/// it is being deleted and not used. `None` when they are as they should be. They are written by an
/// update of the object as it was seen (the controllers' roles have no `patch`, as upstream's; and its
/// resourceVersion makes it a compare-and-swap, because others edit the list too).
pub(super) fn protected(meta: &ObjectMeta, finalizer: &str, used: bool) -> Option<Vec<String>> {
    let current = meta.finalizers.clone().unwrap_or_default();
    let has = current.iter().any(|name| name == finalizer);
    match (meta.deletion_timestamp.is_some(), has) {
        (true, true) if !used => Some(current.into_iter().filter(|name| name != finalizer).collect()),
        (false, false) => Some(current.into_iter().chain([finalizer.to_owned()]).collect()),
        _ => None,
    }
}

/// What came of the write. A conflict or the end of the object brings the key back, or needs nothing.
pub(super) fn written<K>(result: client::Result<K>) -> anyhow::Result<Outcome> {
    match result {
        Err(error) if !error.is_not_found() && !error.is_conflict() => Err(error.into()),
        _ => Ok(Outcome::Done),
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Time, jiff::Timestamp};

    use super::*;

    #[test]
    fn finalizer_comes_with_life_and_goes_with_the_last_use() {
        let meta = |deleting: bool, finalizers: &[&str]| ObjectMeta {
            deletion_timestamp: deleting.then_some(Time(Timestamp::UNIX_EPOCH)),
            finalizers: Some(finalizers.iter().map(|&name| name.to_owned()).collect()),
            ..ObjectMeta::default()
        };
        let wanted = |deleting, finalizers: &[&str], used| protected(&meta(deleting, finalizers), "f", used);
        let names = |names: &[&str]| Some(names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>());
        assert_eq!(wanted(false, &["x"], false), names(&["x", "f"]));
        assert_eq!(wanted(false, &["f"], false), None);
        assert_eq!(wanted(true, &["x", "f"], true), None);
        assert_eq!(wanted(true, &["x", "f"], false), names(&["x"]));
        assert_eq!(wanted(true, &["x"], false), None);
    }
}
