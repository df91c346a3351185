//! Validation of batch/v1 (pkg/apis/batch/validation/validation.go).

mod cron_job;
mod indexes;
mod job;
mod job_policy;
mod job_status;
mod schedule;

pub use cron_job::{cron_job_create, cron_job_update};
pub use job::{job_create, job_update};
pub use job_status::job_status_update;

#[cfg(test)]
mod tests;
