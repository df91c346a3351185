//! `xtask pki`: the certificates and kubeconfigs of one cluster, under the names and with the subjects that kubeadm
//! gives them. What exists is kept, so a second run adds only what is missing.

use std::{fs, net::IpAddr, os::unix::fs::OpenOptionsExt, path::Path, path::PathBuf};

use anyhow::{Context, Result};

mod authority;
mod kubeconfig;

use authority::{Authority, Leaf, Usage};

/// Where the files go and which names the serving certificates carry.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// State directory: certificates go to DIR/pki, kubeconfigs to DIR.
    #[arg(long)]
    dir: PathBuf,
    /// Name of the node.
    #[arg(long)]
    node: String,
    /// Addresses at which the API server and etcd are reached; the first one goes into kubeconfigs.
    #[arg(long, required = true)]
    ip: Vec<IpAddr>,
    /// First address of the Service range: the `kubernetes` Service.
    #[arg(long, default_value = "10.96.0.1")]
    service_ip: IpAddr,
    /// Port of the API server.
    #[arg(long, default_value_t = 6443)]
    port: u16,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let pki = args.dir.join("pki");
    fs::create_dir_all(pki.join("etcd")).with_context(|| format!("creating {}", pki.display()))?;

    let cluster = Authority::load_or_create(&pki.join("ca"), "kubernetes")?;
    let front_proxy = Authority::load_or_create(&pki.join("front-proxy-ca"), "front-proxy-ca")?;
    let etcd = Authority::load_or_create(&pki.join("etcd/ca"), "etcd-ca")?;

    for (authority, path, leaf) in leaves(args, &cluster, &front_proxy, &etcd) {
        authority.issue(&pki.join(path), &leaf)?;
    }
    service_account_pair(&pki)?;
    kubeconfig::write_all(&args.dir, &cluster, args.ip[0], args.port, &args.node)
}

type Row<'a> = (&'a Authority, &'static str, Leaf);

/// kubeadm's leaf certificates (cmd/kubeadm/app/phases/certs/certlist.go).
fn leaves<'a>(args: &Args, cluster: &'a Authority, front_proxy: &'a Authority, etcd: &'a Authority) -> Vec<Row<'a>> {
    let addresses = args.ip.iter().map(IpAddr::to_string);
    let mut api_names: Vec<String> = vec![args.node.clone(), args.service_ip.to_string()];
    api_names.extend(
        [
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
            "kubernetes.default.svc.cluster.local",
        ]
        .map(str::to_owned),
    );
    api_names.extend(addresses.clone());
    api_names.extend(["localhost", "127.0.0.1"].map(str::to_owned));
    let mut etcd_names = vec![args.node.clone()];
    etcd_names.extend(["localhost", "127.0.0.1"].map(str::to_owned));
    etcd_names.extend(addresses);

    let serving = |name: &str, usage, names: &[String]| Leaf::new(name, &[], usage).with_names(names);
    vec![
        (
            cluster,
            "apiserver",
            serving("kube-apiserver", Usage::Server, &api_names),
        ),
        (
            cluster,
            "apiserver-kubelet-client",
            Leaf::new("kube-apiserver-kubelet-client", &[], Usage::Client),
        ),
        (
            front_proxy,
            "front-proxy-client",
            Leaf::new("front-proxy-client", &[], Usage::Client),
        ),
        (etcd, "etcd/server", serving(&args.node, Usage::Both, &etcd_names)),
        (etcd, "etcd/peer", serving(&args.node, Usage::Both, &etcd_names)),
        (
            etcd,
            "etcd/healthcheck-client",
            Leaf::new("kube-etcd-healthcheck-client", &[], Usage::Client),
        ),
        (
            etcd,
            "apiserver-etcd-client",
            Leaf::new("kube-apiserver-etcd-client", &[], Usage::Client),
        ),
    ]
}

/// `sa.key` signs service-account tokens, `sa.pub` verifies them.
fn service_account_pair(pki: &Path) -> Result<()> {
    let private = pki.join("sa.key");
    if private.exists() {
        return Ok(());
    }
    let key = rcgen::KeyPair::generate()?;
    write_private(&private, &key.serialize_pem())?;
    write_public(&pki.join("sa.pub"), &key.public_key_pem())
}

/// Writes a file that only its owner may read.
fn write_private(path: &Path, text: &str) -> Result<()> {
    write(path, text, 0o600)
}

fn write_public(path: &Path, text: &str) -> Result<()> {
    write(path, text, 0o644)
}

fn write(path: &Path, text: &str, mode: u32) -> Result<()> {
    use std::io::Write as _;
    fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(|| format!("writing {}", path.display()))
}
