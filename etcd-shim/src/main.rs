//! `etcd-shim`: an etcd that keeps its data in one local file.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: component::memory::Allocator = component::memory::Allocator;

#[tokio::main]
async fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    if words.next().as_deref() == Some("snapshot") {
        return match etcd_shim::snapshot(words.collect()).await {
            Ok(text) => print(&text),
            Err(error) => {
                eprintln!("Error: {error:#}");
                ExitCode::FAILURE
            }
        };
    }
    if let Some(text) = etcd_shim::version_requested() {
        return print(&text);
    }
    let values = component::flags::parse_or_exit(&etcd_shim::flags());
    let (values, unknown) = match etcd_shim::from_config_file(values) {
        Ok(found) => found,
        Err(error) => {
            eprintln!("Error: {error}");
            return ExitCode::FAILURE;
        }
    };
    component::logging::init(&etcd_shim::logging(&values));
    for name in unknown {
        tracing::warn!(name, "the configuration file has a name that is no flag");
    }
    let config = match etcd_shim::config(&values) {
        Ok(config) => config,
        Err(errors) => {
            for error in errors {
                tracing::error!("{error}");
            }
            return ExitCode::from(1);
        }
    };
    values.warn_unused();
    match etcd_shim::run(config, component::signals::shutdown_token()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn print(text: &str) -> ExitCode {
    use std::io::Write;
    // A closed pipe is the reader's choice.
    let _ = std::io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}
