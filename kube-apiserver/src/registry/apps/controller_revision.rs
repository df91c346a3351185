//! ControllerRevisions (pkg/registry/apps/controllerrevision/strategy.go).

use api::apps::v1::validation;
use k8s_openapi::api::apps::v1::ControllerRevision;

use crate::registry::strategies::rules::Rules;
use crate::registry::strategy::Typed;

/// ControllerRevisions.
pub(crate) static STRATEGY: Typed<Rules<ControllerRevision>> = Typed(Rules::new(
    validation::controller_revision_create,
    validation::controller_revision_update,
));
