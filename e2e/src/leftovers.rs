//! What a deleted namespace may have left behind: containers, rules, keys, volumes.

use std::{fs, process::Command};

use crate::cluster::{Cluster, command_output};

/// Everything that still names the namespace or one of the pods, one line each.
pub fn of_namespace(cluster: &Cluster, namespace: &str, pod_uids: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    let containers = cluster.containers("io.kubernetes.pod.namespace", namespace);
    found.extend(containers.into_iter().map(|id| format!("container {id}")));
    let rules = command_output(
        Command::new("nft").args(["list", "ruleset"]),
        "apt-get install nftables",
    );
    let rules = String::from_utf8_lossy(&rules.stdout).into_owned();
    found.extend(
        rules
            .lines()
            .filter(|line| line.contains(namespace))
            .map(|line| format!("rule {}", line.trim())),
    );
    found.extend(
        cluster
            .keys("/registry/")
            .into_iter()
            .filter(|key| key.contains(namespace))
            .map(|key| format!("key {key}")),
    );
    for uid in pod_uids {
        let dir = cluster.state().join("kubelet/pods").join(uid);
        if fs::exists(&dir).unwrap_or(true) {
            found.push(format!("directory {}", dir.display()));
        }
    }
    found
}
