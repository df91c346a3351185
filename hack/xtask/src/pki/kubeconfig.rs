//! Kubeconfigs with embedded client certificates, one per identity of the cluster.

use std::{net::IpAddr, path::Path};

use anyhow::Result;
use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{
    authority::{Authority, Leaf, Usage},
    write_private,
};

/// Writes every kubeconfig that does not exist yet. Subjects as kubeadm's
/// (cmd/kubeadm/app/phases/kubeconfig/kubeconfig.go getKubeConfigSpecs), except that `admin` is in
/// system:masters because no kubeadm runs to bind its group.
pub(super) fn write_all(dir: &Path, ca: &Authority, ip: IpAddr, port: u16, node: &str) -> Result<()> {
    let node_user = format!("system:node:{node}");
    let identities: [(&str, &str, &[&str]); 5] = [
        ("admin", "kubernetes-admin", &["system:masters"]),
        ("controller-manager", "system:kube-controller-manager", &[]),
        ("scheduler", "system:kube-scheduler", &[]),
        ("kube-proxy", "system:kube-proxy", &[]),
        ("kubelet", &node_user, &["system:nodes"]),
    ];
    let host = match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    };
    for (file, user, groups) in identities {
        let path = dir.join(format!("{file}.kubeconfig"));
        if path.exists() {
            continue;
        }
        let pair = ca.sign(&Leaf::new(user, groups, Usage::Client))?;
        let config = serde_json::json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "corten", "cluster": {
                "server": format!("https://{host}:{port}"),
                "certificate-authority-data": STANDARD.encode(ca.pem()),
            }}],
            "users": [{"name": user, "user": {
                "client-certificate-data": STANDARD.encode(pair.certificate),
                "client-key-data": STANDARD.encode(pair.key),
            }}],
            "contexts": [{"name": "corten", "context": {"cluster": "corten", "user": user}}],
            "current-context": "corten",
        });
        // JSON is YAML: every reader of kubeconfigs takes it.
        write_private(&path, &format!("{config:#}\n"))?;
    }
    Ok(())
}
