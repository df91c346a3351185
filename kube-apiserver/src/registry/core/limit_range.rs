//! LimitRanges (pkg/registry/core/limitrange/strategy.go).

use api::core::v1::{defaults, validation};
use k8s_openapi::api::core::v1::LimitRange;

use crate::registry::strategies::rules::Rules;
use crate::registry::strategy::Typed;

/// LimitRanges.
pub(crate) static STRATEGY: Typed<Rules<LimitRange>> = Typed(Rules {
    default: defaults::limit_range,
    prepare_create: |_, obj| {
        // Upstream names what has no name.
        if obj.metadata.name.as_ref().is_none_or(String::is_empty) {
            obj.metadata.name = Some(apimachinery::names::new_uid());
        }
    },
    create_on_update: true,
    ..Rules::new(validation::limit_range, |new, old| {
        let mut errs = api::meta::update(&new.metadata, &old.metadata);
        errs.extend(validation::limit_range(new));
        errs
    })
});
