//! The kubelet binary: flags, logging, then the library.

use std::process::ExitCode;

use kubelet::options::{self, Options};

#[global_allocator]
static ALLOCATOR: component::memory::Allocator = component::memory::Allocator;

fn main() -> ExitCode {
    let values = component::flags::parse_or_exit(&options::table());
    let options = Options::from_values(&values);
    component::logging::init(&component::logging::Config::from_values(&values));
    values.warn_unused();
    component::serving::install_crypto_provider();
    let config = match options.validate() {
        Ok(config) => config,
        Err(errors) => {
            for error in errors {
                tracing::error!("command failed: {error}");
            }
            return ExitCode::FAILURE;
        }
    };
    let started = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let outcome = started.map_err(anyhow::Error::from).and_then(|runtime| {
        let outcome = runtime.block_on(async {
            let shutdown = component::signals::shutdown_token();
            kubelet::run(config, shutdown).await
        });
        runtime.shutdown_timeout(std::time::Duration::from_secs(1));
        outcome
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("command failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}
