//! Requests in, answers or [`Error`]s out. Knows HTTP and `Status`; knows no kinds (see [`crate::api`]).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Status, StatusDetails};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::codec;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::rate_limit::TokenBucket;
use crate::transport::{Body, Transport};

/// Tries of a request that is answered with 429 or 5xx and a Retry-After. Upstream: client-go `rest.Request` 10.
const MAX_RETRIES: u32 = 10;

/// A client of one apiserver. Clones share the connection.
#[derive(Clone, Debug)]
pub struct Client {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    transport: Arc<Transport>,
    limiter: Option<TokenBucket>,
    timeout: Duration,
    config: Config,
}

impl Client {
    /// Checks the configuration and loads the credentials; nothing is dialled yet.
    pub fn new(config: Config) -> Result<Self> {
        let transport = Transport::new(&config)?;
        let limiter = (config.qps > 0.0).then(|| TokenBucket::new(f64::from(config.qps), config.burst));
        Ok(Client {
            inner: Arc::new(Inner {
                transport,
                limiter,
                timeout: config.timeout,
                config,
            }),
        })
    }

    /// The configuration the client was made of.
    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    /// Closes idle and shared connections; the next request makes a new one.
    pub fn close_connections(&self) {
        self.inner.transport.close_connections();
    }

    /// Sends a request whose URI is a path with query and returns the answer whatever its status; the body
    /// streams. No retry, no time limit (the caller has its own).
    pub async fn request_raw(&self, request: Request<Bytes>) -> Result<Response<Body>> {
        if let Some(limiter) = &self.inner.limiter {
            limiter.wait().await;
        }
        let method = request.method().clone();
        let sent = self.inner.transport.send(request).await;
        crate::metrics::request(
            sent.as_ref().ok().map(Response::status),
            &method,
            self.inner.transport.authority(),
        );
        sent
    }

    /// Sends a request and returns the whole body of a 2xx answer; others become [`Error::Api`]. Answers that
    /// say when to come back are retried.
    pub async fn send(&self, request: Request<Bytes>) -> Result<Bytes> {
        let mut tries = 0;
        loop {
            tries += 1;
            let (code, headers, body) = self.exchange(clone_request(&request)).await?;
            if code.is_success() {
                return Ok(body);
            }
            let error = status_error(code, &headers, &body);
            let wait = match (code, &error) {
                (StatusCode::TOO_MANY_REQUESTS, _) => retry_after(&headers),
                (c, _) if c.is_server_error() => retry_after(&headers),
                _ => None,
            };
            match wait {
                Some(seconds) if tries < MAX_RETRIES => {
                    tracing::debug!(%code, seconds, uri = %request.uri(), "the apiserver asks to come back later");
                    tokio::time::sleep(Duration::from_secs(seconds)).await;
                }
                _ => return Err(error),
            }
        }
    }

    async fn exchange(&self, request: Request<Bytes>) -> Result<(StatusCode, http::HeaderMap, Bytes)> {
        let limit = self.inner.timeout;
        let whole = async {
            let response = self.request_raw(request).await?;
            let (parts, body) = response.into_parts();
            let bytes = body.collect().await.map_err(|e| Error::Transport(e.into()))?.to_bytes();
            Ok((parts.status, parts.headers, bytes))
        };
        tokio::time::timeout(limit, whole)
            .await
            .map_err(|_| Error::Timeout(limit))?
    }

    /// GET of a path, decoded.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        codec::decode(
            &self
                .send(build(Method::GET, path, codec::ACCEPT, None, Bytes::new())?)
                .await?,
        )
    }

    /// GET of a path with an `Accept` of its own, as bytes.
    pub async fn get_bytes(&self, path: &str, accept: &str) -> Result<Bytes> {
        self.send(build(Method::GET, path, accept, None, Bytes::new())?).await
    }

    /// A request with a JSON body, its answer decoded.
    pub async fn exchange_json<I: Serialize + ?Sized, O: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &I,
    ) -> Result<O> {
        let body = codec::encode(body)?;
        let request = build(method, path, codec::ACCEPT, Some(codec::CONTENT_TYPE), body)?;
        codec::decode(&self.send(request).await?)
    }
}

/// A request for a path.
pub(crate) fn build(
    method: Method,
    path: &str,
    accept: &str,
    content_type: Option<&'static str>,
    body: Bytes,
) -> Result<Request<Bytes>> {
    let mut builder = Request::builder().method(method).uri(path).header(ACCEPT, accept);
    if let Some(content_type) = content_type {
        builder = builder.header(CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    builder
        .body(body)
        .map_err(|e| Error::InvalidRequest(format!("{path:?}: {e}")))
}

/// The error of an answer that is not 2xx: its `Status`, or one made up from code and text.
/// Upstream: client-go `rest.Request.transformResponse`, apimachinery `NewGenericServerResponse`.
pub(crate) fn status_error(code: StatusCode, headers: &http::HeaderMap, body: &[u8]) -> Error {
    if let Ok(mut status) = serde_json::from_slice::<Status>(body)
        && status.status.as_deref() == Some("Failure")
    {
        status.code.get_or_insert(i32::from(code.as_u16()));
        return Error::Api(Box::new(status));
    }
    let reason = match code.as_u16() {
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "NotFound",
        405 => "MethodNotAllowed",
        406 => "NotAcceptable",
        409 => "Conflict",
        410 => "Gone",
        413 => "RequestEntityTooLarge",
        415 => "UnsupportedMediaType",
        422 => "Invalid",
        429 => "TooManyRequests",
        500 => "InternalError",
        503 => "ServiceUnavailable",
        504 => "Timeout",
        400 => "BadRequest",
        _ => "Unknown",
    };
    let text = String::from_utf8_lossy(&body[..body.len().min(2048)]);
    let text = text.trim();
    let message = if text.is_empty() {
        format!("the server answered {code}")
    } else {
        text.to_owned()
    };
    let details = retry_after(headers).map(|seconds| StatusDetails {
        retry_after_seconds: i32::try_from(seconds).ok(),
        ..StatusDetails::default()
    });
    Error::Api(Box::new(Status {
        code: Some(i32::from(code.as_u16())),
        reason: Some(reason.to_owned()),
        message: Some(message),
        status: Some("Failure".to_owned()),
        details,
        ..Status::default()
    }))
}

fn retry_after(headers: &http::HeaderMap) -> Option<u64> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()
}

fn clone_request(request: &Request<Bytes>) -> Request<Bytes> {
    let mut copy = Request::new(request.body().clone());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    copy
}
