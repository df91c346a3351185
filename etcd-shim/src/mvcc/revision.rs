//! A revision: which transaction (main), and which change within it (sub).

/// Position of one change in the store's history. Both parts share one integer, so that it orders as
/// (main, sub) does, is the primary key on disk, and takes 8 bytes in the index of every key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct Revision(i64);

const SUB_BITS: u32 = 20;

impl Revision {
    /// Highest sub revision: one transaction changes at most one key more than this.
    pub(crate) const MAX_SUB: i64 = (1 << SUB_BITS) - 1;
    /// Highest main revision: 8.8 trillion transactions, 28 years at 10,000 a second.
    pub(crate) const MAX_MAIN: i64 = (1 << (63 - SUB_BITS)) - 1;

    /// Change number `sub` of transaction `main`.
    pub(crate) fn new(main: i64, sub: i64) -> Self {
        debug_assert!((0..=Self::MAX_MAIN).contains(&main) && (0..=Self::MAX_SUB).contains(&sub));
        Self((main << SUB_BITS) | sub)
    }

    /// The transaction: what clients call the revision.
    pub(crate) fn main(self) -> i64 {
        self.0 >> SUB_BITS
    }

    /// The change within the transaction, from 0.
    pub(crate) fn sub(self) -> i64 {
        self.0 & Self::MAX_SUB
    }

    /// As stored on disk.
    pub(crate) fn raw(self) -> i64 {
        self.0
    }

    /// From disk.
    pub(crate) fn from_raw(raw: i64) -> Self {
        Self(raw)
    }
}

impl std::fmt::Debug for Revision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.main(), self.sub())
    }
}
