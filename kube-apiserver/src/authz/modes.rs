//! The authorizers that need no data: AlwaysAllow, AlwaysDeny and the privileged group.

use async_trait::async_trait;

use super::{Attributes, Authorizer, Decision};

/// `--authorization-mode=AlwaysAllow`.
pub(crate) struct AlwaysAllow;

/// `--authorization-mode=AlwaysDeny`.
pub(crate) struct AlwaysDeny;

/// Members of `system:masters` may do everything, whatever the modes say.
pub(crate) struct Privileged;

/// The group that bypasses all authorizers.
pub(crate) const MASTERS: &str = "system:masters";

#[async_trait]
impl Authorizer for AlwaysAllow {
    async fn authorize(&self, _: &Attributes<'_>) -> Decision {
        Decision::Allow(String::new())
    }
}

#[async_trait]
impl Authorizer for AlwaysDeny {
    async fn authorize(&self, _: &Attributes<'_>) -> Decision {
        Decision::NoOpinion("Everything is forbidden.".to_owned())
    }
}

#[async_trait]
impl Authorizer for Privileged {
    async fn authorize(&self, attrs: &Attributes<'_>) -> Decision {
        if attrs.user.groups.iter().any(|g| g == MASTERS) {
            Decision::Allow(String::new())
        } else {
            Decision::NoOpinion(String::new())
        }
    }
}
