//! CronJobs (pkg/registry/batch/cronjob/strategy.go).

use api::batch::v1::{defaults, validation, warnings};
use k8s_openapi::api::batch::v1::CronJob;

use crate::registry::strategies::rules::{Rules, Warnings, differ, first_generation, next_generation};
use crate::registry::strategy::Typed;

/// CronJobs.
pub(crate) static STRATEGY: Typed<Rules<CronJob>> = Typed(Rules {
    default: defaults::cron_job,
    prepare_create: |_, obj| {
        first_generation(obj);
        obj.status = Some(Default::default());
    },
    prepare_update: |_, new, old| {
        new.status.clone_from(&old.status);
        let changed = differ(&new.spec, &old.spec);
        next_generation(new, old, changed);
    },
    warnings: Warnings::Change(warnings::cron_job),
    status: Some(&STATUS),
    ..Rules::new(validation::cron_job_create, validation::cron_job_update)
});

/// `cronjobs/status`.
static STATUS: Typed<Rules<CronJob>> = Typed(Rules::updating(
    defaults::cron_job,
    |_, new, old| new.spec.clone_from(&old.spec),
    |new, old| api::meta::update(&new.metadata, &old.metadata),
));
