//! kube-apiserver.

use std::process::ExitCode;

use component::{flags, logging, signals};
use kube_apiserver::{options, server};

#[global_allocator]
static ALLOCATOR: component::memory::Allocator = component::memory::Allocator;

fn main() -> ExitCode {
    let table = options::table();
    let values = flags::parse_or_exit(&table);
    logging::init(&logging::Config::from_values(&values));
    let options = match options::Options::from_values(&values) {
        Ok(options) => options,
        Err(errors) => {
            for e in errors {
                tracing::error!("{e}");
            }
            return ExitCode::FAILURE;
        }
    };
    values.warn_unused();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "cannot start the runtime");
            return ExitCode::FAILURE;
        }
    };
    let outcome = runtime.block_on(async { server::run(options, signals::shutdown_token(), None).await });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
