//! `kube-proxy`: makes Service addresses work on this node.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: component::memory::Allocator = component::memory::Allocator;

#[tokio::main]
async fn main() -> ExitCode {
    let values = component::flags::parse_or_exit(&kube_proxy::flags());
    component::logging::init(&component::logging::Config::from_values(&values));
    let action = match kube_proxy::options(&values) {
        Ok(action) => action,
        Err(errors) => {
            for error in errors {
                tracing::error!("{error}");
            }
            return ExitCode::FAILURE;
        }
    };
    values.warn_unused();
    match kube_proxy::run(action, component::signals::shutdown_token()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
