//! Servers to test against.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use etcd_proto::etcdserverpb::StatusRequest;
use etcd_proto::etcdserverpb::maintenance_client::MaintenanceClient;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};

/// A running server; it ends with this value.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    _stop: Stop,
}

enum Stop {
    Task { _guard: tokio_util::sync::DropGuard },
    Process { _child: Process, _directory: TempDir },
}

/// A process that is killed with this value.
pub(crate) struct Process(pub(crate) Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// This server, in this process, in memory.
pub(crate) async fn shim() -> Running {
    shim_with(etcd_shim::Config::default()).await
}

pub(crate) async fn shim_with(mut config: etcd_shim::Config) -> Running {
    config.client_listeners = vec![etcd_shim::Listen {
        address: "127.0.0.1:0".into(),
        tls: config.tls.is_some(),
    }];
    let server = etcd_shim::Server::start(config).await.unwrap();
    let address = server.client_addresses()[0];
    let shutdown = CancellationToken::new();
    tokio::spawn(server.run(shutdown.clone()));
    Running {
        address,
        _stop: Stop::Task {
            _guard: shutdown.drop_guard(),
        },
    }
}

/// etcd itself.
pub(crate) async fn etcd() -> Running {
    let program = ["/usr/bin/etcd", "/usr/local/bin/etcd"]
        .into_iter()
        .find(|path| Path::new(path).exists());
    let program = program.expect("etcd is not installed: apt-get install etcd-server");
    let directory = tempfile::tempdir().unwrap();
    let (client, peer) = (free_address(), free_address());
    let child = Command::new(program)
        .args(["--data-dir", directory.path().to_str().unwrap()])
        .args(["--listen-client-urls", &format!("http://{client}")])
        .args(["--advertise-client-urls", &format!("http://{client}")])
        .args(["--listen-peer-urls", &format!("http://{peer}")])
        .args(["--initial-advertise-peer-urls", &format!("http://{peer}")])
        .args(["--initial-cluster", &format!("default=http://{peer}")])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let running = Running {
        address: client,
        _stop: Stop::Process {
            _child: Process(child),
            _directory: directory,
        },
    };
    wait_until_up(&running.address).await;
    running
}

impl Running {
    pub(crate) fn channel(&self) -> Channel {
        channel(&self.address)
    }
}

pub(crate) fn channel(address: &SocketAddr) -> Channel {
    Endpoint::from_shared(format!("http://{address}"))
        .unwrap()
        .connect_lazy()
}

/// Asks until it answers.
pub(crate) async fn wait_until_up(address: &SocketAddr) {
    let mut client = MaintenanceClient::new(channel(address));
    let up = async {
        while client.status(StatusRequest {}).await.is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), up)
        .await
        .expect("the server does not answer");
}

pub(crate) fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}
