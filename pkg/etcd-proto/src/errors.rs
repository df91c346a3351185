//! Error texts that etcd clients match on, with their gRPC codes.
//!
//! Clients compare the whole text, so each is spelled once, here, for the server that says it and the
//! client that recognises it. Source of the pairs: etcd `api/v3rpc/rpctypes/error.go`.

use tonic::{Code, Status};

/// One well-known error: its gRPC code and exact text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WireError {
    /// gRPC status code.
    pub code: Code,
    /// Exact status message.
    pub text: &'static str,
}

impl WireError {
    const fn new(code: Code, text: &'static str) -> Self {
        Self { code, text }
    }

    /// The status to answer with.
    pub fn status(self) -> Status {
        Status::new(self.code, self.text)
    }

    /// Whether `status` is this error: same code, same text.
    pub fn matches(self, status: &Status) -> bool {
        status.code() == self.code && status.message() == self.text
    }
}

impl From<WireError> for Status {
    fn from(error: WireError) -> Self {
        error.status()
    }
}

/// A request names no key.
pub const EMPTY_KEY: WireError = WireError::new(Code::InvalidArgument, "etcdserver: key is not provided");
/// `ignore_value` or `ignore_lease` on a key that does not exist.
pub const KEY_NOT_FOUND: WireError = WireError::new(Code::InvalidArgument, "etcdserver: key not found");
/// A value beside `ignore_value`.
pub const VALUE_PROVIDED: WireError = WireError::new(Code::InvalidArgument, "etcdserver: value is provided");
/// A lease beside `ignore_lease`.
pub const LEASE_PROVIDED: WireError = WireError::new(Code::InvalidArgument, "etcdserver: lease is provided");
/// More operations in a transaction than the server allows.
pub const TOO_MANY_OPS: WireError =
    WireError::new(Code::InvalidArgument, "etcdserver: too many operations in txn request");
/// A transaction would write a key twice.
pub const DUPLICATE_KEY: WireError =
    WireError::new(Code::InvalidArgument, "etcdserver: duplicate key given in txn request");
/// Unknown sort order or target.
pub const INVALID_SORT_OPTION: WireError = WireError::new(Code::InvalidArgument, "etcdserver: invalid sort option");
/// The revision asked for is below the compaction.
pub const COMPACTED: WireError = WireError::new(
    Code::OutOfRange,
    "etcdserver: mvcc: required revision has been compacted",
);
/// The revision asked for has not happened yet.
pub const FUTURE_REVISION: WireError = WireError::new(
    Code::OutOfRange,
    "etcdserver: mvcc: required revision is a future revision",
);
/// The quota is used up.
pub const NO_SPACE: WireError = WireError::new(Code::ResourceExhausted, "etcdserver: mvcc: database space exceeded");
/// No such lease.
pub const LEASE_NOT_FOUND: WireError = WireError::new(Code::NotFound, "etcdserver: requested lease not found");
/// The lease ID is taken.
pub const LEASE_EXISTS: WireError = WireError::new(Code::FailedPrecondition, "etcdserver: lease already exists");
/// A lease longer than 9,000,000,000 s.
pub const LEASE_TTL_TOO_LARGE: WireError = WireError::new(Code::OutOfRange, "etcdserver: too large lease TTL");
/// A watch stream was cut by the server.
pub const WATCH_CANCELED: WireError = WireError::new(Code::Cancelled, "etcdserver: watch canceled");
/// No such member.
pub const MEMBER_NOT_FOUND: WireError = WireError::new(Code::NotFound, "etcdserver: member not found");
/// Promotion of a member that is no learner.
pub const MEMBER_NOT_LEARNER: WireError = WireError::new(
    Code::FailedPrecondition,
    "etcdserver: can only promote a learner member",
);
/// Removal that would leave no quorum.
pub const MEMBER_NOT_ENOUGH_STARTED: WireError = WireError::new(
    Code::FailedPrecondition,
    "etcdserver: re-configuration failed due to not enough started members",
);
/// A request above the request size limit.
pub const REQUEST_TOO_LARGE: WireError = WireError::new(Code::InvalidArgument, "etcdserver: request is too large");
/// The server has too much to do.
pub const TOO_MANY_REQUESTS: WireError = WireError::new(Code::ResourceExhausted, "etcdserver: too many requests");
/// No root user yet, so authentication cannot be switched on.
pub const ROOT_USER_NOT_EXIST: WireError =
    WireError::new(Code::FailedPrecondition, "etcdserver: root user does not exist");
/// Authentication is off.
pub const AUTH_NOT_ENABLED: WireError =
    WireError::new(Code::FailedPrecondition, "etcdserver: authentication is not enabled");
/// No leader: retry.
pub const NO_LEADER: WireError = WireError::new(Code::Unavailable, "etcdserver: no leader");
/// Leadership cannot move to that member.
pub const BAD_LEADER_TRANSFEREE: WireError =
    WireError::new(Code::FailedPrecondition, "etcdserver: bad leader transferee");
/// The server is going down.
pub const STOPPED: WireError = WireError::new(Code::Unavailable, "etcdserver: server stopped");
/// The server gave up on the request; whether it was applied is unknown.
pub const TIMEOUT: WireError = WireError::new(Code::Unavailable, "etcdserver: request timed out");
/// The store found its data damaged.
pub const CORRUPT: WireError = WireError::new(Code::DataLoss, "etcdserver: corrupt cluster");
/// The feature does not exist in this server.
pub const NOT_CAPABLE: WireError = WireError::new(Code::FailedPrecondition, "etcdserver: not capable");
