//! The `nft` program: text in, done or refused.

use std::io;
use std::process::Stdio;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::conntrack::{self, Targets};
use crate::leftovers;

/// Why a text was not applied. None of it was: a text is one transaction.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NftError {
    /// The program cannot be started.
    #[error("cannot run nft (apt-get install nftables)")]
    Start(#[source] io::Error),
    /// It refused the text.
    #[error("nft failed: {0}")]
    Refused(String),
}

/// What the runner needs of the kernel; tests have another.
pub(crate) trait Kernel: Send + Sync + 'static {
    /// Applies `text`, all of it or nothing.
    fn apply(&self, text: &str) -> impl Future<Output = Result<(), NftError>> + Send;

    /// Forgets the UDP flows that end at none of their Service's endpoints; returns how many.
    fn forget(&self, targets: Targets) -> impl Future<Output = io::Result<usize>> + Send;

    /// Removes the rules of an iptables proxy that ran here before.
    fn remove_leftovers(&self) -> impl Future<Output = ()> + Send;
}

/// The kernel of this machine, in the network namespace of this process.
#[derive(Clone, Debug, Default)]
pub(crate) struct Nft;

impl Kernel for Nft {
    async fn forget(&self, targets: Targets) -> io::Result<usize> {
        tokio::task::spawn_blocking(move || conntrack::clean(&targets))
            .await
            .map_err(io::Error::other)?
    }

    async fn remove_leftovers(&self) {
        leftovers::remove().await;
    }

    async fn apply(&self, text: &str) -> Result<(), NftError> {
        let mut child = Command::new("nft")
            .args(["-f", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(NftError::Start)?;
        let mut stdin = child.stdin.take().expect("stdin was asked to be a pipe");
        let write = async {
            // It may stop reading at the first error, which it then tells.
            let _ = stdin.write_all(text.as_bytes()).await;
            drop(stdin);
        };
        let (output, ()) = tokio::join!(child.wait_with_output(), write);
        let output = output.map_err(NftError::Start)?;
        if output.status.success() {
            return Ok(());
        }
        let message = String::from_utf8_lossy(&output.stderr);
        Err(NftError::Refused(message.chars().take(2000).collect()))
    }
}
