#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::{PeerAddr, PeerCerts, Server, Tls, full, handler, self_signed};

async fn answer(request: Request<Incoming>) -> Response<super::Body> {
    let certs = request.extensions().get::<PeerCerts>().map_or(0, |certs| certs.0.len());
    let peer = request.extensions().get::<PeerAddr>().is_some();
    Response::new(full(format!("{:?} certs={certs} peer={peer}", request.version())))
}

async fn start(tls: Tls) -> (SocketAddr, CancellationToken, tokio::task::JoinHandle<()>) {
    let server = Server::bind("127.0.0.1:0".parse().unwrap())
        .await
        .unwrap()
        .tls(tls)
        .grace(Duration::from_secs(5));
    let addr = server.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    let task = tokio::spawn(server.serve(handler(answer), shutdown.clone()));
    (addr, shutdown, task)
}

fn client_config(trusted_pem: &str, identity: Option<(String, String)>, alpn: &[u8]) -> Arc<rustls::ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(trusted_pem.as_bytes()).unwrap())
        .unwrap();
    let builder = rustls::ClientConfig::builder().with_root_certificates(roots);
    let mut config = match identity {
        Some((cert, key)) => builder
            .with_client_auth_cert(
                vec![CertificateDer::from_pem_slice(cert.as_bytes()).unwrap()],
                PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
            )
            .unwrap(),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![alpn.to_vec()];
    Arc::new(config)
}

async fn get(addr: SocketAddr, config: Arc<rustls::ClientConfig>, h2: bool) -> String {
    let stream = TcpStream::connect(addr).await.unwrap();
    let stream = tokio_rustls::TlsConnector::from(config)
        .connect(ServerName::try_from("localhost").unwrap(), stream)
        .await
        .unwrap();
    let request = Request::get("https://localhost/")
        .header("host", "localhost")
        .body(Empty::<bytes::Bytes>::new())
        .unwrap();
    let response = if h2 {
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
                .await
                .unwrap();
        tokio::spawn(connection);
        sender.send_request(request).await.unwrap()
    } else {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .unwrap();
        tokio::spawn(connection);
        sender.send_request(request).await.unwrap()
    };
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

fn tempfile_dir(of: &str) -> std::path::PathBuf {
    let dir = std::env::temp_dir().join(format!("corten-tls-{of}-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

#[tokio::test]
async fn both_protocols_are_served_and_an_unknown_client_certificate_is_passed_on() {
    let (cert, key) = self_signed(&["localhost".into()]).unwrap();
    let (addr, shutdown, task) = start(Tls::from_pem(cert.clone(), key).unwrap()).await;
    assert_eq!(
        get(addr, client_config(&cert, None, b"h2"), true).await,
        "HTTP/2.0 certs=0 peer=true"
    );
    assert_eq!(
        get(addr, client_config(&cert, None, b"http/1.1"), false).await,
        "HTTP/1.1 certs=0 peer=true"
    );
    let stranger = self_signed(&["stranger".into()]).unwrap();
    assert_eq!(
        get(addr, client_config(&cert, Some(stranger), b"h2"), true).await,
        "HTTP/2.0 certs=1 peer=true"
    );
    shutdown.cancel();
    task.await.unwrap();
}

#[tokio::test]
async fn a_changed_certificate_file_is_served_without_restart() {
    let dir = tempfile_dir("reload");
    let (cert_path, key_path) = (dir.join("tls.crt"), dir.join("tls.key"));
    let write = |pair: &(String, String), age: u64| {
        for (path, text) in [(&cert_path, &pair.0), (&key_path, &pair.1)] {
            std::fs::write(path, text).unwrap();
            let file = std::fs::File::options().write(true).open(path).unwrap();
            file.set_modified(std::time::SystemTime::now() - Duration::from_secs(age))
                .unwrap();
        }
    };
    let (old, new) = (
        self_signed(&["localhost".into()]).unwrap(),
        self_signed(&["localhost".into()]).unwrap(),
    );
    write(&old, 60);
    let tls = Tls::from_files(&cert_path, &key_path).unwrap();
    write(&new, 0);
    tls.look_now();
    let (addr, shutdown, task) = start(tls).await;
    assert!(
        get(addr, client_config(&new.0, None, b"h2"), true)
            .await
            .starts_with("HTTP/2.0")
    );
    shutdown.cancel();
    task.await.unwrap();
    std::fs::remove_dir_all(&dir).unwrap();
}

#[tokio::test]
async fn flags_choose_certificates_by_name_and_the_least_version() {
    let dir = tempfile_dir("flags");
    let pair = |file: &str, pair: &(String, String)| {
        std::fs::write(dir.join(format!("{file}.crt")), &pair.0).unwrap();
        std::fs::write(dir.join(format!("{file}.key")), &pair.1).unwrap();
    };
    let (default, named) = (
        self_signed(&["other".into()]).unwrap(),
        self_signed(&["localhost".into()]).unwrap(),
    );
    pair("named", &named);
    let given = format!("{0}/named.crt,{0}/named.key:localhost", dir.display());
    let table = crate::flags::Table::new(
        "x",
        "tls-sni-cert-key\t\tnamedCertKey\t\tacts\ntls-min-version\t\tstring\t\tacts\ntls-cipher-suites\t\tstringSlice\t\tacts",
    );
    let flags = |args: &[&str]| {
        let mut errors = vec![];
        let flags = super::TlsFlags::from_values(&table.parse(args.iter().copied()).unwrap(), &mut errors);
        (flags, errors)
    };
    let (rules, errors) = flags(&[
        "--tls-sni-cert-key",
        &given,
        "--tls-min-version=VersionTLS12",
        // Nothing that our library has: TLS 1.3 alone is left.
        "--tls-cipher-suites=TLS_RSA_WITH_AES_128_CBC_SHA",
    ]);
    assert_eq!(errors, [] as [&str; 0]);
    let tls = Tls::from_pem(default.0, default.1).unwrap().with_flags(&rules).unwrap();
    let (addr, shutdown, task) = start(tls).await;
    let answer = get(addr, client_config(&named.0, None, b"h2"), true).await;
    assert!(answer.starts_with("HTTP/2.0"), "{answer}");
    shutdown.cancel();
    task.await.unwrap();
    std::fs::remove_dir_all(&dir).unwrap();

    let (_, errors) = flags(&["--tls-min-version=SSL", "--tls-cipher-suites=ROT13"]);
    assert_eq!(
        errors,
        [
            "unknown tls version \"SSL\"",
            "Cipher suite ROT13 not supported or doesn't exist"
        ]
    );
    for (text, why) in [
        ("a,b:", "empty names list is not allowed"),
        ("a", "expected comma separated certificate and key file paths"),
    ] {
        let e = table.parse(["--tls-sni-cert-key", text]).unwrap_err().to_string();
        assert_eq!(
            e,
            format!("invalid argument \"{text}\" for \"--tls-sni-cert-key\" flag: {why}")
        );
    }
}

#[tokio::test]
async fn a_client_can_be_told_to_go_away() {
    let (cert, key) = self_signed(&["localhost".into()]).unwrap();
    let server = Server::bind_shared(
        "127.0.0.1:0".parse().unwrap(),
        super::Sharing {
            address: true,
            port: true,
        },
    )
    .await
    .unwrap();
    let addr = server.local_addr().unwrap();
    let second = Server::bind_shared(
        addr,
        super::Sharing {
            address: false,
            port: true,
        },
    )
    .await;
    drop(second.expect("the port is shared"));
    let shutdown = CancellationToken::new();
    let service = handler(|_| async {
        let mut response = Response::new(full("bye"));
        response.extensions_mut().insert(super::GoAway);
        response
    });
    let task = tokio::spawn(
        server
            .tls(Tls::from_pem(cert.clone(), key).unwrap())
            .serve(service, shutdown.clone()),
    );
    let stream = TcpStream::connect(addr).await.unwrap();
    let stream = tokio_rustls::TlsConnector::from(client_config(&cert, None, b"h2"))
        .connect(ServerName::try_from("localhost").unwrap(), stream)
        .await
        .unwrap();
    let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .unwrap();
    let connection = tokio::spawn(connection);
    let request = Request::get("https://localhost/")
        .body(Empty::<bytes::Bytes>::new())
        .unwrap();
    let response = sender.send_request(request).await.unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "bye");
    // The server closes the connection, although we still hold it.
    tokio::time::timeout(Duration::from_secs(10), connection)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    shutdown.cancel();
    task.await.unwrap();
}

#[test]
fn a_pair_made_at_start_is_kept() {
    use std::os::unix::fs::PermissionsExt as _;

    use super::self_signed::in_directory;

    let at = tempfile_dir("self-signed").join("deeper");
    let (cert, key) = in_directory(&at, "apiserver", &["a".to_owned()]).unwrap();
    assert_eq!((&cert, &key), (&at.join("apiserver.crt"), &at.join("apiserver.key")));
    assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    let first = std::fs::read(&cert).unwrap();
    in_directory(&at, "apiserver", &["b".to_owned()]).unwrap();
    assert_eq!(std::fs::read(&cert).unwrap(), first);
    std::fs::remove_file(&cert).unwrap();
    assert!(in_directory(&at, "apiserver", &[]).is_err(), "half a pair is no pair");
    std::fs::remove_dir_all(at.parent().unwrap()).unwrap();
}
