//! A server under load.

use std::net::ToSocketAddrs as _;

use anyhow::Context as _;
use apimachinery::codec::proto;
use bytes::Bytes;
use client::{Client, Config};
use http::{Method, Request};
use http_body_util::BodyExt as _;
use serde_json::Value;

/// How bodies are written, both ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Text.
    Json,
    /// Kubernetes' own: what upstream's components speak.
    Protobuf,
}

impl Format {
    fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Protobuf => "application/vnd.kubernetes.protobuf",
        }
    }

    /// An object as a body.
    pub(crate) fn body(self, object: &Value) -> anyhow::Result<Bytes> {
        Ok(match self {
            Self::Json => Bytes::from(object.to_string()),
            Self::Protobuf => proto::encode_object(api::schema(), object)?.into(),
        })
    }
}

/// A server: how to reach it and what its processes are.
pub(crate) struct Target {
    pub(crate) name: &'static str,
    pub(crate) client: Client,
    pub(crate) pids: Vec<u32>,
    pub(crate) namespace: String,
    pub(crate) format: Format,
}

/// An answer, its body read.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) bytes: usize,
    /// Kept only when it is no success.
    pub(crate) text: String,
}

impl Target {
    /// Reads the kubeconfig and makes sure that the server is on this machine.
    pub(crate) fn new(name: &'static str, kubeconfig: &str, pids: &[u32], format: Format) -> anyhow::Result<Self> {
        let config = Config::from_kubeconfig(kubeconfig).with_context(|| format!("kubeconfig {kubeconfig}"))?;
        must_be_local(&config.server)?;
        crate::process::cpu(pids)?;
        let config = config.with_user_agent("bench").with_rate_limit(0.0, 0);
        Ok(Self {
            name,
            client: Client::new(config)?,
            pids: pids.to_vec(),
            namespace: format!("bench-{}", std::process::id()),
            format,
        })
    }

    /// Sends a request in the target's format and counts the answer.
    pub(crate) async fn send(&self, method: Method, path: &str, body: Bytes) -> anyhow::Result<Answer> {
        self.exchange(method, path, body, self.format, |_| {}).await
    }

    /// The items of a collection.
    pub(crate) async fn items(&self, path: &str) -> anyhow::Result<Vec<Value>> {
        let mut text = Vec::new();
        let answer = self
            .exchange(Method::GET, path, Bytes::new(), Format::Json, |data| {
                text.extend_from_slice(data)
            })
            .await?;
        anyhow::ensure!(answer.status == 200, "status {}: {}", answer.status, answer.text.trim());
        let mut list: Value = serde_json::from_slice(&text)?;
        match list["items"].take() {
            Value::Array(items) => Ok(items),
            other => anyhow::bail!("items: {other}"),
        }
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        format: Format,
        mut read: impl FnMut(&[u8]),
    ) -> anyhow::Result<Answer> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("accept", format.media_type());
        if !body.is_empty() {
            request = request.header("content-type", format.media_type());
        }
        let response = self.client.request_raw(request.body(body)?).await?;
        let status = response.status().as_u16();
        let mut body = response.into_body();
        let mut answer = Answer {
            status,
            bytes: 0,
            text: String::new(),
        };
        while let Some(frame) = body.frame().await {
            if let Ok(data) = frame.map_err(|error| anyhow::anyhow!("body: {error}"))?.into_data() {
                answer.bytes += data.len();
                read(&data);
                if status >= 300 && answer.text.len() < 4096 {
                    answer.text.push_str(&String::from_utf8_lossy(&data));
                }
            }
        }
        Ok(answer)
    }
}

pub(crate) fn must_be_local(server: &str) -> anyhow::Result<()> {
    let authority = server
        .split("://")
        .last()
        .unwrap_or(server)
        .split('/')
        .next()
        .unwrap_or_default();
    let authority = if authority.rsplit(']').next().is_some_and(|tail| tail.contains(':')) {
        authority.to_owned()
    } else {
        format!("{authority}:443")
    };
    let addresses: Vec<_> = authority
        .to_socket_addrs()
        .with_context(|| format!("address of {server}"))?
        .collect();
    anyhow::ensure!(
        !addresses.is_empty()
            && addresses
                .iter()
                .all(|address| address.ip().is_loopback() || is_ours(address.ip())),
        "{server} is not on this machine; bench loads local servers only"
    );
    Ok(())
}

/// True when an address is one of this machine's: a socket can be bound to it.
fn is_ours(ip: std::net::IpAddr) -> bool {
    std::net::UdpSocket::bind((ip, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn only_servers_on_this_machine_are_loaded() {
        for local in ["https://127.0.0.1:6443", "https://[::1]:6443/", "http://127.0.0.1"] {
            assert!(super::must_be_local(local).is_ok(), "{local}");
        }
        assert!(super::must_be_local("https://192.0.2.1:6443").is_err());
    }
}
