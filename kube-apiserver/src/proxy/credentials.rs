//! The TLS towards kubelets, rebuilt when the files it came from change: certificates rotate under a
//! running server. Upstream: client-go's `transport` with `ReloadTLSFiles`.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;
use rustls::ClientConfig;

use super::{NodesConfig, connect};

/// How often the files are looked at, at most, and only when someone connects.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// The present configurations.
pub(super) struct Credentials {
    config: NodesConfig,
    state: Mutex<State>,
}

struct State {
    looked: Instant,
    stamp: Vec<Option<SystemTime>>,
    verified: Arc<ClientConfig>,
    unverified: Arc<ClientConfig>,
}

impl State {
    fn read(config: &NodesConfig) -> anyhow::Result<Self> {
        let stamp = stamp(config);
        Ok(State {
            looked: Instant::now(),
            stamp,
            verified: Arc::new(connect::kubelet_tls(config)?),
            unverified: Arc::new(connect::unverified_kubelet_tls(config)?),
        })
    }
}

impl Credentials {
    /// Reads the files.
    pub(super) fn new(config: &NodesConfig) -> anyhow::Result<Self> {
        Ok(Credentials {
            config: config.clone(),
            state: Mutex::new(State::read(config)?),
        })
    }

    /// For a kubelet whose certificate is verified, if there is an authority, or not looked at.
    pub(super) fn current(&self, verify: bool) -> Arc<ClientConfig> {
        let mut state = self.state.lock();
        if state.looked.elapsed() >= LOOK_EVERY {
            self.look(&mut state);
        }
        if verify {
            state.verified.clone()
        } else {
            state.unverified.clone()
        }
    }

    fn look(&self, state: &mut State) {
        state.looked = Instant::now();
        if stamp(&self.config) == state.stamp {
            return;
        }
        match State::read(&self.config) {
            Ok(fresh) => *state = fresh,
            // Half-written rotation: the old ones stay until the files fit together.
            Err(error) => tracing::warn!("cannot reload the credentials for kubelets: {error:#}"),
        }
    }
}

fn stamp(config: &NodesConfig) -> Vec<Option<SystemTime>> {
    [&config.ca, &config.cert, &config.key]
        .into_iter()
        .flatten()
        .map(|path| std::fs::metadata(path).and_then(|m| m.modified()).ok())
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn rotated_files_are_taken_and_broken_ones_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let config = NodesConfig {
            cert: Some(dir.path().join("crt")),
            key: Some(dir.path().join("key")),
            ..Default::default()
        };
        let write = |age: u64| {
            let pair = rcgen::generate_simple_self_signed(vec!["a".to_owned()]).unwrap();
            let at = SystemTime::now() - Duration::from_secs(age);
            for (path, text) in [
                (&config.cert, pair.cert.pem()),
                (&config.key, pair.signing_key.serialize_pem()),
            ] {
                let path = path.as_ref().unwrap();
                std::fs::write(path, text).unwrap();
                std::fs::File::options()
                    .write(true)
                    .open(path)
                    .unwrap()
                    .set_modified(at)
                    .unwrap();
            }
        };
        write(100);
        let credentials = Credentials::new(&config).unwrap();
        let first = credentials.current(true);
        let look = || {
            credentials.look(&mut credentials.state.lock());
            credentials.current(true)
        };
        assert!(Arc::ptr_eq(&first, &look()));
        write(50);
        let second = look();
        assert!(!Arc::ptr_eq(&first, &second));
        std::fs::write(config.cert.as_ref().unwrap(), "half").unwrap();
        assert!(Arc::ptr_eq(&second, &look()));
    }
}
