//! Strategies of the batch group.

pub(crate) mod cron_job;
pub(crate) mod job;
