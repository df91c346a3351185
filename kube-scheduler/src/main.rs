//! kube-scheduler: the process.

use kube_scheduler::{Options, options};

#[global_allocator]
static ALLOCATOR: component::memory::Allocator = component::memory::Allocator;

fn main() -> std::process::ExitCode {
    let values = component::flags::parse_or_exit(&options::table());
    component::logging::init(&component::logging::Config::from_values(&values));
    let options = Options::from_values(&values);
    values.warn_unused();
    match start(options) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("command failed: {error:#}");
            std::process::ExitCode::FAILURE
        }
    }
}

fn start(options: Options) -> anyhow::Result<()> {
    let only_writes = options.only_writes();
    let config = options.complete()?;
    if only_writes {
        return Ok(());
    }
    tracing::info!(
        version = component::version::GIT_VERSION,
        "Starting Kubernetes Scheduler"
    );
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let shutdown = component::signals::shutdown_token();
        kube_scheduler::run(config, shutdown).await
    })
}
