//! The `nft` program: text in, done or refused.

use std::process::Stdio;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// Why a text was not applied. None of it was: a text is one transaction.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NftError {
    /// The program cannot be started.
    #[error("cannot run nft (apt-get install nftables)")]
    Start(#[source] std::io::Error),
    /// It refused the text.
    #[error("nft failed: {0}")]
    Refused(String),
}

/// Runs texts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Nft;

impl Nft {
    /// Applies `text`, all of it or nothing.
    pub(crate) async fn run(&self, text: &str) -> Result<(), NftError> {
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
