//! The kubeconfig file format (`v1 Config`): clusters, users and contexts by name.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use serde::Deserialize;

use crate::config::{Config, ConfigError, Data, Token};

/// A parsed kubeconfig. Upstream: client-go `clientcmd/api/v1.Config`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Kubeconfig {
    /// Name of the context used when none is asked for.
    pub current_context: String,
    /// Servers.
    #[serde(deserialize_with = "null_default")]
    pub clusters: Vec<NamedCluster>,
    /// Identities.
    #[serde(deserialize_with = "null_default")]
    pub users: Vec<NamedUser>,
    /// Pairs of the two.
    #[serde(deserialize_with = "null_default")]
    pub contexts: Vec<NamedContext>,
    /// The file this was read from.
    #[serde(skip)]
    pub path: PathBuf,
}

/// A server and its name.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct NamedCluster {
    /// Name contexts refer to.
    pub name: String,
    /// The server.
    #[serde(deserialize_with = "null_default")]
    pub cluster: Cluster,
}

/// An identity and its name.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct NamedUser {
    /// Name contexts refer to.
    pub name: String,
    /// The identity.
    #[serde(deserialize_with = "null_default")]
    pub user: User,
}

/// A context and its name.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct NamedContext {
    /// Name `current-context` refers to.
    pub name: String,
    /// The context.
    #[serde(deserialize_with = "null_default")]
    pub context: Context,
}

/// A server.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Cluster {
    /// Address.
    pub server: String,
    /// Name expected in the server's certificate.
    pub tls_server_name: Option<String>,
    /// Do not verify the server's certificate.
    pub insecure_skip_tls_verify: bool,
    /// File with the authorities.
    pub certificate_authority: Option<PathBuf>,
    /// The authorities, base64 of PEM.
    pub certificate_authority_data: Option<String>,
}

/// An identity.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct User {
    /// File with the certificate chain.
    pub client_certificate: Option<PathBuf>,
    /// The certificate chain, base64 of PEM.
    pub client_certificate_data: Option<String>,
    /// File with the key.
    pub client_key: Option<PathBuf>,
    /// The key, base64 of PEM.
    pub client_key_data: Option<String>,
    /// Bearer token.
    pub token: Option<String>,
    /// File with the bearer token (wins over `token`).
    #[serde(rename = "tokenFile")]
    pub token_file: Option<PathBuf>,
    /// Basic authentication's user.
    pub username: Option<String>,
    /// Basic authentication's password.
    pub password: Option<String>,
    /// Credential plugin; not supported, so present only to be refused.
    pub exec: Option<serde_json::Value>,
}

impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("User")
            .field("client_certificate", &self.client_certificate)
            .finish_non_exhaustive()
    }
}

/// Which user on which cluster.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Context {
    /// Name of the cluster.
    pub cluster: String,
    /// Name of the user.
    pub user: String,
    /// Default namespace.
    pub namespace: Option<String>,
}

impl Kubeconfig {
    /// Reads and parses a file.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&text, path)
    }

    /// Parses text; `path` is what relative paths in it are relative to.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let parse = |message: String| ConfigError::Parse {
            path: path.to_owned(),
            message,
        };
        if text.trim().is_empty() {
            return Ok(Kubeconfig {
                path: path.to_owned(),
                ..Self::default()
            });
        }
        // Straight into the types, so that a token of digits stays text.
        let mut config: Kubeconfig = serde_saphyr::from_str(text).map_err(|e| parse(e.to_string()))?;
        config.path = path.to_owned();
        Ok(config)
    }

    /// The configuration of a context (the current one for `None`).
    pub fn to_config(&self, context: Option<&str>) -> Result<Config, ConfigError> {
        let name = context.unwrap_or(&self.current_context);
        let invalid = |message: String| ConfigError::Invalid(message);
        if self.contexts.is_empty() && self.clusters.is_empty() {
            return Err(invalid("no configuration has been provided".into()));
        }
        let context = self
            .contexts
            .iter()
            .find(|c| c.name == name)
            .map(|c| &c.context)
            .ok_or_else(|| invalid(format!("context {name:?} does not exist")))?;
        let cluster = self
            .clusters
            .iter()
            .find(|c| c.name == context.cluster)
            .map(|c| &c.cluster)
            .ok_or_else(|| invalid(format!("cluster {:?} does not exist", context.cluster)))?;
        let no_user = User::default();
        let user = match self.users.iter().find(|u| u.name == context.user) {
            Some(user) => &user.user,
            None if context.user.is_empty() => &no_user,
            None => return Err(invalid(format!("user {:?} does not exist", context.user))),
        };
        if cluster.server.is_empty() {
            return Err(invalid(format!("no server found for cluster {:?}", context.cluster)));
        }
        if user.exec.is_some() {
            return Err(invalid(format!(
                "user {:?} uses an exec credential plugin, which is not supported",
                context.user
            )));
        }
        let mut config = Config::new(cluster.server.trim_end_matches('/'));
        config.tls_server_name = cluster.tls_server_name.clone().filter(|n| !n.is_empty());
        config.insecure_skip_tls_verify = cluster.insecure_skip_tls_verify;
        config.certificate_authority = self.data(
            "certificate-authority-data",
            cluster.certificate_authority_data.as_deref(),
            cluster.certificate_authority.as_deref(),
        )?;
        config.client_certificate = self.data(
            "client-certificate-data",
            user.client_certificate_data.as_deref(),
            user.client_certificate.as_deref(),
        )?;
        config.client_key = self.data(
            "client-key-data",
            user.client_key_data.as_deref(),
            user.client_key.as_deref(),
        )?;
        if config.client_certificate.is_some() != config.client_key.is_some() {
            return Err(invalid(format!(
                "client-key-data or client-key must be specified together with the client certificate for {}",
                context.user
            )));
        }
        config.token = match (&user.token_file, &user.token) {
            (Some(file), _) if !file.as_os_str().is_empty() => Some(Token::File(self.resolve(file))),
            (_, Some(token)) if !token.is_empty() => Some(Token::Inline(token.clone())),
            _ => None,
        };
        if let Some(name) = user.username.clone().filter(|u| !u.is_empty()) {
            config.basic = Some((name, user.password.clone().unwrap_or_default()));
        }
        config.namespace = context.namespace.clone().filter(|n| !n.is_empty());
        Ok(config)
    }

    fn data(&self, field: &str, inline: Option<&str>, file: Option<&Path>) -> Result<Option<Data>, ConfigError> {
        if let Some(text) = inline.filter(|t| !t.is_empty()) {
            let compact: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
            let bytes = base64::engine::general_purpose::STANDARD
                .decode(compact)
                .map_err(|e| ConfigError::Invalid(format!("{field}: {e}")))?;
            return Ok(Some(Data::Inline(bytes)));
        }
        Ok(file
            .filter(|f| !f.as_os_str().is_empty())
            .map(|f| Data::File(self.resolve(f))))
    }

    fn resolve(&self, path: &Path) -> PathBuf {
        match self.path.parent() {
            Some(dir) if path.is_relative() => dir.join(path),
            _ => path.to_owned(),
        }
    }
}

/// Kubeconfigs say `clusters: null` for "none".
fn null_default<'de, D: serde::Deserializer<'de>, T: Default + Deserialize<'de>>(d: D) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(d)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const TEXT: &str = r#"
apiVersion: v1
kind: Config
current-context: a@k
preferences: {}
clusters:
- name: k
  cluster: {server: "https://127.0.0.1:6443/", certificate-authority-data: "Q0E=", tls-server-name: kubernetes}
users:
- name: a
  user: {client-certificate: pki/a.crt, client-key: /abs/a.key}
- name: t
  user: {token: old, tokenFile: tok}
contexts:
- name: a@k
  context: {cluster: k, user: a, namespace: "n"}
- name: t@k
  context: {cluster: k, user: t}
- name: bad
  context: {cluster: k, user: nobody}
"#;

    #[test]
    fn current_context_is_resolved_and_paths_are_relative_to_the_file() {
        let config = Kubeconfig::parse(TEXT, Path::new("/etc/k/conf"))
            .unwrap()
            .to_config(None)
            .unwrap();
        assert_eq!(config.server, "https://127.0.0.1:6443");
        assert_eq!(config.certificate_authority, Some(Data::Inline(b"CA".to_vec())));
        assert_eq!(config.client_certificate, Some(Data::File("/etc/k/pki/a.crt".into())));
        assert_eq!(config.client_key, Some(Data::File("/abs/a.key".into())));
        assert_eq!(config.tls_server_name.as_deref(), Some("kubernetes"));
        assert_eq!(config.namespace.as_deref(), Some("n"));
    }

    #[test]
    fn token_file_wins_over_token_and_missing_user_is_an_error() {
        let kubeconfig = Kubeconfig::parse(TEXT, Path::new("/etc/k/conf")).unwrap();
        assert_eq!(
            kubeconfig.to_config(Some("t@k")).unwrap().token,
            Some(Token::File("/etc/k/tok".into()))
        );
        assert!(kubeconfig.to_config(Some("bad")).is_err());
        assert!(kubeconfig.to_config(Some("none")).is_err());
        assert!(Kubeconfig::parse("", Path::new("x")).unwrap().to_config(None).is_err());
        let nulls = "clusters: null\ncontexts: null\n";
        assert!(
            Kubeconfig::parse(nulls, Path::new("x"))
                .unwrap()
                .to_config(None)
                .is_err()
        );
    }
}
