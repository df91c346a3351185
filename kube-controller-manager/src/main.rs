//! `kube-controller-manager`: parse, log, build, run, drain.

use std::process::ExitCode;

use kube_controller_manager::{Config, Options, flag_table, run};

#[global_allocator]
static ALLOCATOR: component::memory::Allocator = component::memory::Allocator;

#[tokio::main]
async fn main() -> ExitCode {
    let values = component::flags::parse_or_exit(&flag_table());
    component::logging::init(&component::logging::Config::from_values(&values));
    let options = Options::from_values(&values);
    values.warn_unused();
    let config = match Config::complete(options) {
        Ok(config) => config,
        Err(errors) => {
            for error in errors {
                tracing::error!("{error}");
            }
            return ExitCode::FAILURE;
        }
    };
    match run(config, component::signals::shutdown_token()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
