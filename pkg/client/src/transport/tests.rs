#![allow(clippy::unwrap_used)]
use std::convert::Infallible;

use base64::Engine as _;
use http_body_util::BodyExt as _;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls_pki_types::PrivateKeyDer;

use super::*;
use crate::config::{Data, Token};

/// A CA, a server under it that counts connections and echoes who called, and client credentials.
struct Server {
    address: String,
    ca_pem: String,
    connections: Arc<AtomicUsize>,
    close: Arc<tokio::sync::Notify>,
    client_cert: String,
    client_key: KeyPair,
}

fn issuer() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

async fn server() -> Server {
    install_crypto_provider();
    let ca = issuer();
    let server_key = KeyPair::generate().unwrap();
    let names = vec!["kubernetes".to_owned(), "127.0.0.1".to_owned()];
    let server_cert = CertificateParams::new(names)
        .unwrap()
        .signed_by(&server_key, &ca)
        .unwrap();
    let client_key = KeyPair::generate().unwrap();
    let client_cert = CertificateParams::new(vec!["client".to_owned()])
        .unwrap()
        .signed_by(&client_key, &ca)
        .unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(ca.der().clone()).unwrap();
    let verifier = rustls::server::WebPkiClientVerifier::builder(Arc::new(roots))
        .allow_unauthenticated()
        .build()
        .unwrap();
    let mut config = rustls::ServerConfig::builder()
        .with_client_cert_verifier(verifier)
        .with_single_cert(
            vec![server_cert.der().clone()],
            PrivateKeyDer::try_from(server_key.serialize_der()).unwrap(),
        )
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let connections = Arc::new(AtomicUsize::new(0));
    let close = Arc::new(tokio::sync::Notify::new());
    let (count, closing) = (connections.clone(), close.clone());
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let Ok(stream) = acceptor.accept(tcp).await else {
                continue;
            };
            count.fetch_add(1, Ordering::SeqCst);
            let with_cert = stream.get_ref().1.peer_certificates().is_some();
            let close = closing.clone();
            tokio::spawn(async move {
                let service = service_fn(move |request: http::Request<Incoming>| async move {
                    let token = request
                        .headers()
                        .get(AUTHORIZATION)
                        .map_or("", |v| v.to_str().unwrap())
                        .to_owned();
                    let agent = request.headers()[USER_AGENT].to_str().unwrap().to_owned();
                    let body = format!("{} cert={with_cert} {token} {agent}", request.uri().path());
                    Ok::<_, Infallible>(http::Response::new(Full::new(Bytes::from(body))))
                });
                let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                let connection = builder.serve_connection(TokioIo::new(stream), service);
                tokio::select! {
                    _ = connection => {}
                    () = close.notified() => {}
                }
            });
        }
    });
    Server {
        address,
        ca_pem: ca.pem(),
        connections,
        close,
        client_cert: client_cert.pem(),
        client_key,
    }
}

impl Server {
    fn config(&self) -> Config {
        let mut config = Config::new(format!("https://{}", self.address)).with_user_agent("test");
        config.certificate_authority = Some(Data::Inline(self.ca_pem.clone().into_bytes()));
        config
    }
}

async fn get(transport: &Arc<Transport>, path: &str) -> Result<String> {
    let response = transport
        .send(http::Request::get(path).body(Bytes::new()).unwrap())
        .await?;
    let body = response.into_body().collect().await.unwrap().to_bytes();
    Ok(String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn concurrent_requests_share_one_connection_and_a_broken_one_is_replaced() {
    let server = server().await;
    let transport = Transport::new(&server.config()).unwrap();
    let answers = futures::future::join_all((0..40).map(|i| {
        let transport = transport.clone();
        async move { get(&transport, &format!("/p{i}")).await.unwrap() }
    }))
    .await;
    assert!(
        answers[7].starts_with("/p7 cert=false  test/v1.36.2 (linux/"),
        "{}",
        answers[7]
    );
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
    server.close.notify_waiters();
    // The end of the connection may reach us during a request: one may fail, the next must not.
    let _ = get(&transport, "/again").await;
    assert!(get(&transport, "/again").await.is_ok());
    assert_eq!(server.connections.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn client_certificates_work_with_pkcs8_and_sec1_keys() {
    let server = server().await;
    let pkcs8 = server.client_key.serialize_der();
    // The OCTET STRING at the end of a PKCS#8 document of an EC key is the SEC1 key.
    let at = pkcs8
        .windows(5)
        .position(|w| w[0] == 0x04 && w[2] == 0x30 && w[4] == 0x02)
        .unwrap();
    let sec1 = base64::engine::general_purpose::STANDARD.encode(&pkcs8[at + 2..]);
    let sec1 = format!("-----BEGIN EC PRIVATE KEY-----\n{sec1}\n-----END EC PRIVATE KEY-----\n");
    for key in [server.client_key.serialize_pem(), sec1] {
        let mut config = server.config();
        config.client_certificate = Some(Data::Inline(server.client_cert.clone().into_bytes()));
        config.client_key = Some(Data::Inline(key.into_bytes()));
        let answer = get(&Transport::new(&config).unwrap(), "/x").await.unwrap();
        assert!(answer.starts_with("/x cert=true"), "{answer}");
    }
}

#[tokio::test]
async fn an_unknown_authority_is_refused_unless_told_not_to_look() {
    let server = server().await;
    let mut config = server.config();
    config.certificate_authority = Some(Data::Inline(issuer().pem().into_bytes()));
    let refused = get(&Transport::new(&config).unwrap(), "/x").await.unwrap_err();
    assert!(matches!(refused, Error::Connect { .. }), "{refused:?}");
    config.insecure_skip_tls_verify = true;
    assert!(get(&Transport::new(&config).unwrap(), "/x").await.is_ok());
    let mut config = server.config();
    config.tls_server_name = Some("kubernetes".into());
    assert!(get(&Transport::new(&config).unwrap(), "/x").await.is_ok());
    config.tls_server_name = Some("other".into());
    assert!(get(&Transport::new(&config).unwrap(), "/x").await.is_err());
}

#[tokio::test]
async fn tokens_are_sent_and_a_shared_one_is_waited_for() {
    let server = server().await;
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("token"), "from-file\n").unwrap();
    let mut config = server.config();
    config.token = Some(Token::File(dir.path().join("token")));
    assert!(
        get(&Transport::new(&config).unwrap(), "/x")
            .await
            .unwrap()
            .contains("Bearer from-file")
    );
    let shared = crate::config::SharedToken::default();
    config.token = Some(Token::Shared(shared.clone()));
    let transport = Transport::new(&config).unwrap();
    let waiting = tokio::spawn(async move { get(&transport, "/x").await.unwrap() });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    shared.set("late".into());
    assert!(waiting.await.unwrap().contains("Bearer late"));
}

#[tokio::test]
async fn rotated_client_certificates_are_used_by_new_connections_and_half_a_rotation_by_none() {
    let server = server().await;
    let dir = tempfile::tempdir().unwrap();
    let (cert, key) = (dir.path().join("c.crt"), dir.path().join("c.key"));
    std::fs::write(&cert, &server.client_cert).unwrap();
    std::fs::write(&key, server.client_key.serialize_pem()).unwrap();
    let mut config = server.config();
    config.client_certificate = Some(Data::File(cert.clone()));
    config.client_key = Some(Data::File(key.clone()));
    let transport = Transport::new(&config).unwrap();
    get(&transport, "/x").await.unwrap();
    std::fs::write(&cert, "half written").unwrap();
    get(&transport, "/x").await.unwrap();
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
    // The same certificate in other bytes is enough to be new.
    std::fs::write(&cert, format!("{}\n", server.client_cert)).unwrap();
    assert!(get(&transport, "/x").await.unwrap().contains("cert=true"));
    assert_eq!(server.connections.load(Ordering::SeqCst), 2);
}
