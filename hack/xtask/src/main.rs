//! The project's own tool: everything that a script cannot do well. One file per subcommand.
//!
//! It is not part of a cluster: nothing here runs once the components are up.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod image;
mod pki;
mod schema;
mod tidy;

/// Tasks of the Corten tree.
#[derive(Parser)]
#[command(name = "xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Create a cluster's certificates, keys and kubeconfigs, as kubeadm names them.
    Pki(pki::Args),
    /// Write an image archive from files of this machine.
    Image(image::Args),
    /// Write the schema table of the API types from the crates' sources and the overlay.
    Schema(schema::Args),
    /// Check the tree: dependency direction, file budgets, crate manifests.
    Tidy(tidy::Args),
}

fn main() -> ExitCode {
    let result = match Cli::parse().task {
        Task::Pki(args) => pki::run(&args),
        Task::Image(args) => image::run(&args),
        Task::Schema(args) => schema::run(&args),
        Task::Tidy(args) => tidy::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
