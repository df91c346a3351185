//! The `Authorization` header, with tokens re-read from their file.

use std::time::{Duration, Instant};

use base64::Engine as _;
use http::HeaderValue;
use parking_lot::Mutex;

use crate::config::{Config, ConfigError, Token};

/// How long a token read from a file is used. Upstream: client-go `NewCachedFileTokenSource`, 1 minute less leeway.
const TOKEN_LIFE: Duration = Duration::from_secs(50);

/// How long a request waits for the first shared token.
const FIRST_TOKEN: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(super) struct Authorization {
    source: Option<Token>,
    fixed: Option<HeaderValue>,
    cached: Mutex<Option<(Instant, HeaderValue)>>,
}

impl Authorization {
    pub(super) fn new(config: &Config) -> Self {
        let fixed = match (&config.token, &config.basic) {
            (Some(Token::Inline(token)), _) => bearer(token),
            (None, Some((user, password))) => {
                let text = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
                sensitive(&format!("Basic {text}"))
            }
            _ => None,
        };
        Authorization {
            source: config.token.clone(),
            fixed,
            cached: Mutex::new(None),
        }
    }

    /// Waits for a shared token that is not there yet, but not for ever: then the server's refusal says it best.
    pub(super) async fn ready(&self) {
        if let Some(Token::Shared(token)) = &self.source {
            let _ = tokio::time::timeout(FIRST_TOKEN, token.ready()).await;
        }
    }

    pub(super) fn header(&self) -> Result<Option<HeaderValue>, ConfigError> {
        let path = match &self.source {
            Some(Token::File(path)) => path,
            Some(Token::Shared(token)) => {
                let token = token.get();
                return Ok((!token.is_empty()).then(|| bearer(&token)).flatten());
            }
            _ => return Ok(self.fixed.clone()),
        };
        let mut cached = self.cached.lock();
        if let Some((read, value)) = &*cached
            && read.elapsed() < TOKEN_LIFE
        {
            return Ok(Some(value.clone()));
        }
        match std::fs::read_to_string(path) {
            Ok(text) => {
                let value = bearer(text.trim()).ok_or(ConfigError::Pem { what: "bearer token" })?;
                *cached = Some((Instant::now(), value.clone()));
                Ok(Some(value))
            }
            // A token that was good a minute ago is better than none.
            Err(error) => match &*cached {
                Some((_, value)) => {
                    tracing::warn!(path = %path.display(), %error, "cannot re-read the token file");
                    Ok(Some(value.clone()))
                }
                None => Err(ConfigError::Read {
                    path: path.clone(),
                    source: error,
                }),
            },
        }
    }
}

fn bearer(token: &str) -> Option<HeaderValue> {
    sensitive(&format!("Bearer {token}"))
}

fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}
