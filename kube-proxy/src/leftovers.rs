//! Rules of upstream's iptables mode, left on the node by a proxy that ran here before: they would still
//! rewrite packets. What to remove is decided by [`removal`], pure.
//! Names are upstream's: `pkg/proxy/iptables/proxier.go`.

use std::io::ErrorKind;
use std::process::Stdio;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// Variants of the tools that may be installed beside each other.
const TOOLS: [&str; 6] = [
    "iptables-nft",
    "ip6tables-nft",
    "iptables-legacy",
    "ip6tables-legacy",
    "iptables",
    "ip6tables",
];
/// Chains of the proxy; others that begin with KUBE- are the kubelet's.
const CHAINS: [&str; 9] = [
    "KUBE-SERVICES",
    "KUBE-EXTERNAL-SERVICES",
    "KUBE-NODEPORTS",
    "KUBE-POSTROUTING",
    "KUBE-MARK-MASQ",
    "KUBE-FORWARD",
    "KUBE-PROXY-FIREWALL",
    "KUBE-PROXY-CANARY",
    "KUBE-NODE-PORT",
];
/// And those that begin so: one per Service or endpoint.
const PREFIXES: [&str; 7] = [
    "KUBE-SVC-",
    "KUBE-SVL-",
    "KUBE-SEP-",
    "KUBE-FW-",
    "KUBE-EXT-",
    "KUBE-XLB-",
    "KUBE-LOAD-",
];

/// Removes them with every variant of the tools that is installed. Failures are logged: our own rules
/// are in place whatever comes of it.
pub(crate) async fn remove() {
    for tool in TOOLS {
        let saved = match Command::new(format!("{tool}-save")).stdin(Stdio::null()).output().await {
            Ok(output) => String::from_utf8_lossy(&output.stdout).into_owned(),
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => {
                tracing::warn!(tool, %error, "cannot look for rules of an iptables proxy");
                continue;
            }
        };
        let Some(removal) = removal(&saved) else { continue };
        match restore(tool, &removal).await {
            Ok(()) => tracing::info!(tool, "removed the rules of an iptables proxy"),
            Err(error) => tracing::warn!(tool, %error, "rules of an iptables proxy are not removed"),
        }
    }
}

async fn restore(tool: &str, text: &str) -> std::io::Result<()> {
    let mut child = Command::new(format!("{tool}-restore"))
        .arg("--noflush")
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut stdin = child.stdin.take().expect("stdin was asked to be a pipe");
    stdin.write_all(text.as_bytes()).await?;
    drop(stdin);
    let output = child.wait_with_output().await?;
    if output.status.success() {
        return Ok(());
    }
    Err(std::io::Error::other(
        String::from_utf8_lossy(&output.stderr).into_owned(),
    ))
}

/// What `iptables-restore --noflush` must read to undo the proxy's part of what `iptables-save` wrote;
/// `None` if there is no such part.
pub(crate) fn removal(saved: &str) -> Option<String> {
    let mut text = String::new();
    let mut table = "";
    let (mut jumps, mut chains) = (Vec::new(), Vec::new());
    for line in saved.lines() {
        if let Some(name) = line.strip_prefix('*') {
            table = name;
        } else if let Some(chain) = line.strip_prefix(':').and_then(|line| line.split(' ').next()) {
            if ours(chain) {
                chains.push(chain);
            }
        } else if let Some(rule) = line.strip_prefix("-A ") {
            let mut words = rule.split(' ');
            let from = words.next().unwrap_or_default();
            let to = words
                .skip_while(|word| !matches!(*word, "-j" | "-g"))
                .nth(1)
                .unwrap_or_default();
            // Rules within our chains go with them.
            if ours(to) && !ours(from) {
                jumps.push(rule);
            }
        } else if line == "COMMIT" {
            if !chains.is_empty() {
                text.push_str(&format!("*{table}\n"));
                // Named, a chain is emptied; empty and not jumped to, it can be removed.
                chains
                    .iter()
                    .for_each(|chain| text.push_str(&format!(":{chain} - [0:0]\n")));
                jumps.iter().for_each(|rule| text.push_str(&format!("-D {rule}\n")));
                chains.iter().for_each(|chain| text.push_str(&format!("-X {chain}\n")));
                text.push_str("COMMIT\n");
            }
            (jumps, chains) = (Vec::new(), Vec::new());
        }
    }
    (!text.is_empty()).then_some(text)
}

fn ours(chain: &str) -> bool {
    CHAINS.contains(&chain) || PREFIXES.iter().any(|prefix| chain.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_proxys_chains_go_and_the_kubelets_and_others_stay() {
        let saved = "# Generated\n*mangle\n:PREROUTING ACCEPT [0:0]\n:KUBE-IPTABLES-HINT - [0:0]\nCOMMIT\n*nat\n\
            :PREROUTING ACCEPT [1:60]\n:KUBE-KUBELET-CANARY - [0:0]\n:KUBE-SERVICES - [0:0]\n:KUBE-SVC-X - [0:0]\n:CNI-1 - [0:0]\n\
            -A PREROUTING -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES\n-A PREROUTING -j CNI-1\n\
            -A KUBE-SERVICES -d 10.96.0.1/32 -j KUBE-SVC-X\nCOMMIT\n";
        assert_eq!(
            removal(saved).unwrap(),
            "*nat\n:KUBE-SERVICES - [0:0]\n:KUBE-SVC-X - [0:0]\n\
            -D PREROUTING -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES\n\
            -X KUBE-SERVICES\n-X KUBE-SVC-X\nCOMMIT\n"
        );
    }

    #[test]
    fn a_clean_node_is_left_alone() {
        assert_eq!(
            removal("*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -j CNI-1\nCOMMIT\n"),
            None
        );
    }
}
