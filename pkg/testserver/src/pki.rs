//! A CA, the server's certificate, the service account key, and kubeconfigs with embedded client
//! certificates.

use std::net::SocketAddr;
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};

/// The CA of one server.
pub(crate) struct Pki {
    issuer: Issuer<'static, KeyPair>,
    ca_pem: String,
}

impl Pki {
    /// Makes the CA and writes the server's files into `dir`.
    pub(crate) fn create(dir: &Path) -> anyhow::Result<Self> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "test-ca");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate()?;
        let ca = params.self_signed(&key)?;
        std::fs::write(dir.join("ca.crt"), ca.pem())?;
        std::fs::write(dir.join("ca.key"), key.serialize_pem())?;
        let ca_pem = ca.pem();
        let pki = Pki {
            issuer: Issuer::new(params, key),
            ca_pem,
        };

        let names = [
            "localhost",
            "kubernetes",
            "kubernetes.default",
            "127.0.0.1",
            "10.96.0.1",
        ];
        let mut server = CertificateParams::new(names.map(str::to_owned))?;
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let (cert, key) = pki.sign(&server)?;
        std::fs::write(dir.join("apiserver.crt"), cert)?;
        std::fs::write(dir.join("apiserver.key"), key)?;

        let tokens = KeyPair::generate()?;
        std::fs::write(dir.join("sa.key"), tokens.serialize_pem())?;
        std::fs::write(dir.join("sa.pub"), tokens.public_key_pem())?;
        Ok(pki)
    }

    fn sign(&self, params: &CertificateParams) -> anyhow::Result<(String, String)> {
        let key = KeyPair::generate()?;
        let cert = params.signed_by(&key, &self.issuer)?;
        Ok((cert.pem(), key.serialize_pem()))
    }

    /// Writes the kubeconfig of a user.
    pub(crate) fn user(&self, file: &Path, server: &SocketAddr, name: &str, organization: &str) -> anyhow::Result<()> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        if !organization.is_empty() {
            params.distinguished_name.push(DnType::OrganizationName, organization);
        }
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let (cert, key) = self.sign(&params)?;
        let stem = file.with_extension("");
        let (crt, keyfile, ca) = (
            stem.with_extension("crt"),
            stem.with_extension("key"),
            stem.with_extension("ca"),
        );
        std::fs::write(&crt, cert)?;
        std::fs::write(&keyfile, key)?;
        std::fs::write(&ca, &self.ca_pem)?;
        let text = format!(
            "apiVersion: v1\nkind: Config\nclusters:\n- name: test\n  cluster:\n    server: https://{server}\n    certificate-authority: {}\nusers:\n- name: {name}\n  user:\n    client-certificate: {}\n    client-key: {}\ncontexts:\n- name: test\n  context: {{cluster: test, user: {name}}}\ncurrent-context: test\n",
            ca.display(),
            crt.display(),
            keyfile.display(),
        );
        std::fs::write(file, text)?;
        Ok(())
    }
}
