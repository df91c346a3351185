//! Client certificates.

use std::path::Path;
use std::sync::Arc;

use etcd_proto::etcdserverpb::StatusRequest;
use etcd_proto::etcdserverpb::maintenance_client::MaintenanceClient;
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tonic::transport::Endpoint;

use crate::endpoint::shim_with;

fn authority(name: &str) -> (String, Issuer<'static, KeyPair>) {
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    let key = KeyPair::generate().unwrap();
    let cert = params.self_signed(&key).unwrap().pem();
    (cert, Issuer::new(params, key))
}

fn leaf(issuer: &Issuer<'static, KeyPair>) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".into()]).unwrap();
    (params.signed_by(&key, issuer).unwrap().pem(), key.serialize_pem())
}

fn write(directory: &Path, name: &str, text: &str) -> std::path::PathBuf {
    let path = directory.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

fn client_tls(ca: &str, identity: Option<(String, String)>) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(ca.as_bytes()).unwrap())
        .unwrap();
    let builder = ClientConfig::builder().with_root_certificates(roots);
    let mut config = match identity {
        Some((cert, key)) => {
            let cert = CertificateDer::from_pem_slice(cert.as_bytes()).unwrap();
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
            builder.with_client_auth_cert(vec![cert], key).unwrap()
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    Arc::new(config)
}

#[tokio::test]
async fn only_clients_with_a_certificate_of_the_ca_get_in() {
    let directory = tempfile::tempdir().unwrap();
    let (ca, issuer) = authority("etcd-ca");
    let (cert, key) = leaf(&issuer);
    let tls = etcd_shim::TlsFiles {
        cert: write(directory.path(), "server.crt", &cert),
        key: write(directory.path(), "server.key", &key),
        client_ca: Some(write(directory.path(), "ca.crt", &ca)),
        tls13_only: false,
        cipher_suites: Vec::new(),
    };
    let server = shim_with(etcd_shim::Config {
        tls: Some(tls),
        ..Default::default()
    })
    .await;
    let address = server.address;
    let ask = |identity: Option<(String, String)>| {
        let tls = client_tls(&ca, identity);
        async move {
            let connect = tower::service_fn(move |_| {
                let tls = tokio_rustls::TlsConnector::from(tls.clone());
                async move {
                    let stream = tokio::net::TcpStream::connect(address).await?;
                    let name = ServerName::try_from("localhost").unwrap();
                    Ok::<_, std::io::Error>(TokioIo::new(tls.connect(name, stream).await?))
                }
            });
            let channel = Endpoint::from_static("http://localhost").connect_with_connector_lazy(connect);
            MaintenanceClient::new(channel).status(StatusRequest {}).await
        }
    };
    let answer = ask(Some(leaf(&issuer))).await.unwrap().into_inner();
    assert_eq!(answer.version, etcd_shim::VERSION);
    assert!(ask(None).await.is_err());
    let (_, stranger) = authority("somebody");
    assert!(ask(Some(leaf(&stranger))).await.is_err());
}
