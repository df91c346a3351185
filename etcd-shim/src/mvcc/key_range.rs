//! The keys a request names.

use bytes::Bytes;

/// One key, or all keys from one on up to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum KeyRange {
    /// Just this key.
    One(Bytes),
    /// From `start` on; up to, without, `end`; `None`: to the last key there is.
    Span {
        /// First key.
        start: Bytes,
        /// First key behind the range.
        end: Option<Bytes>,
    },
}

impl KeyRange {
    /// From a request's pair: an empty `range_end` names one key, a single zero byte everything from
    /// `key` on (etcd `server/etcdserver/txn/util.go` `mkGteRange`).
    pub(crate) fn from_wire(key: Bytes, range_end: Bytes) -> Self {
        match &range_end[..] {
            [] => Self::One(key),
            [0] => Self::Span { start: key, end: None },
            _ => Self::Span {
                start: key,
                end: Some(range_end),
            },
        }
    }

    /// Whether `key` is meant.
    pub(crate) fn contains(&self, key: &[u8]) -> bool {
        match self {
            Self::One(one) => one == key,
            Self::Span { start, end } => key >= &start[..] && end.as_ref().is_none_or(|end| key < &end[..]),
        }
    }
}
