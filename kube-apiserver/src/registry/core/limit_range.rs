//! LimitRanges (pkg/registry/core/limitrange/strategy.go).

use api::core::v1::{defaults, validation};
use k8s_openapi::api::core::v1::LimitRange;

use crate::registry::strategies::rules::Rules;
use crate::registry::strategy::Typed;

/// LimitRanges.
pub(crate) static STRATEGY: Typed<Rules<LimitRange>> = Typed(Rules {
    default: defaults::limit_range,
    create_on_update: true,
    ..Rules::new(validation::limit_range, |new, old| {
        let mut errs = api::meta::update(&new.metadata, &old.metadata);
        errs.extend(validation::limit_range(new));
        errs
    })
});
