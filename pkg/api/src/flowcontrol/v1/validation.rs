//! Validation of flowcontrol.apiserver.k8s.io/v1 (pkg/apis/flowcontrol/validation/validation.go).

mod level;
mod mandatory;
mod schema;

pub use level::{
    priority_level_configuration_create, priority_level_configuration_status_update,
    priority_level_configuration_update,
};
pub use schema::{flow_schema_create, flow_schema_status_update, flow_schema_update};

#[cfg(test)]
mod tests;
