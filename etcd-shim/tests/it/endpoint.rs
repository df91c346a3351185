//! Servers to test against.

use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};

/// A running server; it ends with this value.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    _stop: Stop,
}

enum Stop {
    Task {
        _guard: tokio_util::sync::DropGuard,
        _directory: Option<TempDir>,
    },
    Process {
        _child: Process,
        _directory: TempDir,
    },
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

/// This server, in this process, in a directory that goes with it.
pub(crate) async fn shim_on_disk(engine: etcd_shim::EngineKind) -> Running {
    let directory = tempfile::tempdir().unwrap();
    let config = etcd_shim::Config {
        data_dir: Some(directory.path().to_owned()),
        engine: Some(engine),
        ..Default::default()
    };
    let mut running = shim_with(config).await;
    if let Stop::Task { _directory: place, .. } = &mut running._stop {
        *place = Some(directory);
    }
    running
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
            _directory: None,
        },
    }
}

/// etcd itself.
pub(crate) async fn etcd() -> Running {
    etcd_over(tempfile::tempdir().unwrap()).await
}

/// etcd itself, over the data in a directory's `data`.
pub(crate) async fn etcd_over(directory: TempDir) -> Running {
    let program = ["/usr/bin/etcd", "/usr/local/bin/etcd"]
        .into_iter()
        .find(|path| Path::new(path).exists());
    let program = program.expect("etcd is not installed: apt-get install etcd-server");
    // Nothing dials the peer's address of a single member: port 0 would do, were it not compared.
    let peer = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut child = Command::new(program)
        .args(["--data-dir", directory.path().join("data").to_str().unwrap()])
        .args(["--listen-client-urls", "http://127.0.0.1:0"])
        .args(["--advertise-client-urls", "http://127.0.0.1:0"])
        .args(["--listen-peer-urls", &format!("http://{peer}")])
        .args(["--initial-advertise-peer-urls", &format!("http://{peer}")])
        .args(["--initial-cluster", &format!("default=http://{peer}")])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let address = announced(&mut child, "serving insecure client requests on ").await;
    Running {
        address,
        _stop: Stop::Process {
            _child: Process(child),
            _directory: directory,
        },
    }
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

/// The address that follows `mark` in what the process logs; the rest of the log is thrown away.
pub(crate) async fn announced(child: &mut Child, mark: &'static str) -> SocketAddr {
    let log = child.stderr.take().expect("stderr was asked to be a pipe");
    let (found, address) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let mut found = Some(found);
        // To the end: a full pipe would stop the server.
        for line in BufReader::new(log).lines().map_while(Result::ok) {
            let Some((_, rest)) = line.split_once(mark) else {
                continue;
            };
            let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.' && c != ':');
            if let (Ok(address), Some(found)) = (rest[..end.unwrap_or(rest.len())].parse(), found.take()) {
                // Nobody waits for it any more when the test has failed.
                let _ = found.send(address);
            }
        }
    });
    tokio::time::timeout(std::time::Duration::from_secs(30), address)
        .await
        .expect("the server does not say that it serves")
        .expect("the server ended before it served")
}
