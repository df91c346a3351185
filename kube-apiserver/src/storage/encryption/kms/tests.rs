#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use kms_proto::v2::key_management_service_server::{KeyManagementService, KeyManagementServiceServer};
use kms_proto::v2::{DecryptResponse, EncryptRequest, EncryptResponse, StatusRequest, StatusResponse};
use parking_lot::Mutex;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::{Code, Request, Response, Status};

use super::*;
use crate::storage::encryption::id_hash;

/// A plugin that seals K as `sealed by <key id>:` and K in base64.
#[derive(Clone)]
pub(in crate::storage::encryption) struct Fake(Arc<Mutex<Script>>);

/// What it says.
pub(in crate::storage::encryption) struct Script {
    pub(in crate::storage::encryption) key_id: String,
    /// What it claims to have sealed with, when that is not `key_id`.
    pub(in crate::storage::encryption) sealed_by: Option<String>,
    pub(in crate::storage::encryption) healthz: String,
    pub(in crate::storage::encryption) version: String,
    pub(in crate::storage::encryption) annotations: BTreeMap<String, Vec<u8>>,
    /// It never answers.
    pub(in crate::storage::encryption) hangs: bool,
    /// It refuses to open keys.
    pub(in crate::storage::encryption) refuses: bool,
    /// How often it was asked to open one.
    pub(in crate::storage::encryption) asked: usize,
}

impl Default for Script {
    fn default() -> Self {
        Script {
            key_id: "key-1".to_owned(),
            sealed_by: None,
            healthz: "ok".to_owned(),
            version: "v2".to_owned(),
            annotations: [("local.kek.example.com".to_owned(), vec![0, 1])].into(),
            hangs: false,
            refuses: false,
            asked: 0,
        }
    }
}

impl Fake {
    pub(in crate::storage::encryption) fn new() -> Self {
        Fake(Arc::default())
    }

    pub(in crate::storage::encryption) fn say(&self, change: impl FnOnce(&mut Script)) {
        change(&mut self.0.lock());
    }

    pub(in crate::storage::encryption) fn asked(&self) -> usize {
        self.0.lock().asked
    }

    /// Listens, until the test ends.
    pub(in crate::storage::encryption) fn listen(&self, socket: &Path) {
        let listener = tokio::net::UnixListener::bind(socket).unwrap();
        let server = tonic::transport::Server::builder().add_service(KeyManagementServiceServer::new(self.clone()));
        tokio::spawn(server.serve_with_incoming(UnixListenerStream::new(listener)));
    }

    async fn take_time(&self) {
        let hangs = self.0.lock().hangs;
        if hangs {
            std::future::pending::<()>().await;
        }
    }
}

#[tonic::async_trait]
impl KeyManagementService for Fake {
    async fn status(&self, _: Request<StatusRequest>) -> Result<Response<StatusResponse>, Status> {
        self.take_time().await;
        let script = self.0.lock();
        Ok(Response::new(StatusResponse {
            version: script.version.clone(),
            healthz: script.healthz.clone(),
            key_id: script.key_id.clone(),
        }))
    }

    async fn encrypt(&self, request: Request<EncryptRequest>) -> Result<Response<EncryptResponse>, Status> {
        self.take_time().await;
        let script = self.0.lock();
        let key_id = script.sealed_by.clone().unwrap_or(script.key_id.clone());
        let sealed = format!("sealed by {key_id}:{}", STANDARD.encode(&request.get_ref().plaintext));
        Ok(Response::new(EncryptResponse {
            ciphertext: sealed.into_bytes(),
            key_id,
            annotations: script.annotations.clone(),
        }))
    }

    async fn decrypt(&self, request: Request<DecryptRequest>) -> Result<Response<DecryptResponse>, Status> {
        self.0.lock().asked += 1;
        self.take_time().await;
        let script = self.0.lock();
        let request = request.into_inner();
        let sealed = String::from_utf8(request.ciphertext).unwrap_or_default();
        let key = sealed.strip_prefix(&format!("sealed by {}:", request.key_id));
        let key = key
            .filter(|_| !script.refuses)
            .and_then(|key| STANDARD.decode(key).ok());
        match key {
            Some(plaintext) => Ok(Response::new(DecryptResponse { plaintext })),
            None => Err(Status::failed_precondition("not sealed here")),
        }
    }
}

const ABOUT: &[u8] = b"/registry/secrets/default/one";
/// Longer than a plugin takes that is there, however busy the machine is.
const LONG: Duration = Duration::from_secs(20);

struct Setup {
    fake: Fake,
    socket: PathBuf,
    probe: Arc<Probe>,
    envelope: Envelope,
    _dir: tempfile::TempDir,
}

/// A provider whose plugin does not listen yet.
fn setup_with(timeout: Duration, now: fn() -> Timestamp) -> Setup {
    setup_named("a", timeout, now)
}

fn setup_named(name: &str, timeout: Duration, now: fn() -> Timestamp) -> Setup {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("kms.sock");
    let plugin = plugin::Plugin::new(name, &format!("unix://{}", socket.display()), timeout).unwrap();
    let probe = Arc::new(Probe::new(plugin, "me").with_clock(now));
    Setup {
        fake: Fake::new(),
        socket,
        envelope: Envelope::new(probe.clone()),
        probe,
        _dir: dir,
    }
}

impl Setup {
    async fn check(&self) -> Result<(), String> {
        self.probe.forget().await;
        self.probe.check().await
    }

    fn seal(&self, plain: &[u8]) -> Result<Vec<u8>, String> {
        let mut out = vec![];
        self.envelope.seal(&mut out, plain, ABOUT).map_err(|e| e.to_string())?;
        Ok(out)
    }

    async fn open(&self, stored: &[u8]) -> Result<(Vec<u8>, bool), String> {
        let opened = self.envelope.open(stored, ABOUT).await.map_err(|e| e.to_string())?;
        Ok((opened.bytes.to_vec(), opened.stale))
    }

    /// The same plugin with nothing known of it: a server that was started again.
    async fn again(&self) -> Envelope {
        let endpoint = format!("unix://{}", self.socket.display());
        let plugin = plugin::Plugin::new(self.probe.name(), &endpoint, LONG).unwrap();
        let probe = Probe::new(plugin, "me");
        probe.check().await.unwrap();
        Envelope::new(Arc::new(probe))
    }
}

async fn setup() -> Setup {
    let setup = setup_with(LONG, Timestamp::now);
    setup.fake.listen(&setup.socket);
    setup.check().await.unwrap();
    setup
}

#[tokio::test]
async fn a_key_is_opened_once_for_all_values() {
    let s = setup().await;
    let stored: Vec<_> = (0..5u8).map(|i| s.seal(&[i]).unwrap()).collect();
    let again = s.again().await;
    for (i, stored) in stored.iter().enumerate() {
        assert_eq!(s.open(stored).await.unwrap(), (vec![i as u8], false));
        let opened = again.open(stored, ABOUT).await.unwrap();
        assert_eq!((opened.bytes.as_ref(), opened.stale), (&[i as u8][..], false));
    }
    // Who wrote need not ask.
    assert_eq!(s.fake.asked(), 1);
}

#[tokio::test]
async fn another_key_of_the_plugin_makes_values_stale() {
    let s = setup().await;
    let old = s.seal(b"x").unwrap();
    s.fake.say(|script| script.key_id = "key-2".to_owned());
    assert_eq!(s.open(&old).await.unwrap(), (b"x".to_vec(), false));
    s.check().await.unwrap();
    assert_eq!(s.open(&old).await.unwrap(), (b"x".to_vec(), true));
    let new = s.seal(b"x").unwrap();
    assert_eq!(s.open(&new).await.unwrap(), (b"x".to_vec(), false));
    assert_eq!(EncryptedObject::decode(&*new).unwrap().key_id, "key-2");
    // Asked again, the same key keeps its seed.
    s.check().await.unwrap();
    let source = |stored: &[u8]| EncryptedObject::decode(stored).unwrap().encrypted_dek_source;
    assert_eq!(source(&s.seal(b"y").unwrap()), source(&new));
}

#[tokio::test]
async fn a_plugin_that_is_down_is_given_up() {
    let s = setup_with(Duration::from_millis(100), Timestamp::now);
    let why = s.check().await.unwrap_err();
    assert_eq!(
        why,
        "failed to perform status section of the healthz check for KMS Provider a, error: rpc error: code = DeadlineExceeded desc = context deadline exceeded"
    );
    assert_eq!(s.seal(b"x").unwrap_err(), "got unexpected nil transformer");
}

#[tokio::test]
async fn a_plugin_that_comes_up_while_a_call_waits_is_asked() {
    let s = setup_with(LONG, Timestamp::now);
    let up = async {
        s.probe.plugin().missed().await;
        s.fake.listen(&s.socket);
    };
    let (answer, ()) = tokio::join!(s.check(), up);
    assert_eq!(answer, Ok(()));
    let stored = s.seal(b"x").unwrap();
    assert_eq!(s.open(&stored).await.unwrap(), (b"x".to_vec(), false));
}

#[tokio::test]
async fn a_plugin_that_hangs_is_cut_off_and_not_asked_for_each_value() {
    let s = setup().await;
    let stored = s.seal(b"x").unwrap();
    let slow = setup_with(Duration::from_millis(500), Timestamp::now);
    slow.fake.listen(&slow.socket);
    slow.check().await.unwrap();
    slow.fake.say(|script| script.hangs = true);
    for _ in 0..20 {
        let why = slow.open(&stored).await.unwrap_err();
        assert_eq!(
            why,
            "failed to decrypt DEK, error: rpc error: code = DeadlineExceeded desc = context deadline exceeded"
        );
    }
    assert_eq!(slow.fake.asked(), 1);
}

#[tokio::test]
async fn a_plugin_that_refuses_a_key_says_why() {
    let s = setup().await;
    let stored = s.seal(b"x").unwrap();
    let again = s.again().await;
    s.fake.say(|script| script.refuses = true);
    let why = again.open(&stored, ABOUT).await.unwrap_err();
    assert_eq!(why.call(), Some(Code::FailedPrecondition));
    assert_eq!(
        why.to_string(),
        "failed to decrypt DEK, error: rpc error: code = FailedPrecondition desc = not sealed here"
    );
}

#[tokio::test]
async fn an_ill_plugin_lets_values_be_written_for_three_minutes() {
    static NOW: AtomicI64 = AtomicI64::new(1_700_000_000);
    let s = setup_with(LONG, || Timestamp::from_second(NOW.load(Ordering::SeqCst)).unwrap());
    s.fake.listen(&s.socket);
    s.check().await.unwrap();
    // Well again and again: for ever.
    NOW.fetch_add(170, Ordering::SeqCst);
    s.check().await.unwrap();
    NOW.fetch_add(170, Ordering::SeqCst);
    let stored = s.seal(b"x").unwrap();
    s.fake.say(|script| script.key_id = String::new());
    assert_eq!(
        s.check().await.unwrap_err(),
        "kmsv2 Provider a is not healthy, error: got invalid KMSv2 KeyID hash \"\": keyID is empty"
    );
    NOW.fetch_add(11, Ordering::SeqCst);
    let why = s.seal(b"x").unwrap_err();
    let hash = id_hash("key-1");
    assert_eq!(
        why,
        format!(
            "encryptedDEKSource with keyID hash \"{hash}\" expired at 2023-11-14T22:19:10Z (current time is 2023-11-14T22:19:11Z)"
        )
    );
    assert_eq!(s.open(&stored).await.unwrap(), (b"x".to_vec(), false));
}

#[tokio::test]
async fn what_a_plugin_says_is_checked() {
    type Change = fn(&mut Script);
    let cases: [(Change, &str); 8] = [
        (
            |s| s.healthz = "dying".to_owned(),
            "got unexpected healthz status: dying",
        ),
        (|s| s.version = "v1".to_owned(), "expected KMSv2 API version v2, got v1"),
        (
            |s| s.version = "v2beta1".to_owned(),
            "KMSv2 API version should not change after the initial status response version v2, got v2beta1",
        ),
        (
            |s| s.key_id = "k".repeat(1025),
            "keyID is 1025 bytes, which exceeds the max size of 1024",
        ),
        (
            |s| {
                s.key_id = "key-2".to_owned();
                s.sealed_by = Some("key-3".to_owned());
            },
            "errState=<nil>, errGen=<nil>, statusKeyIDHash=",
        ),
        (
            |s| {
                s.key_id = "key-2".to_owned();
                s.annotations = [("a".to_owned(), vec![])].into();
            },
            "errGen=failed to validate annotations: annotations: Invalid value: \"a\": should be a domain with at least two segments separated by dots",
        ),
        (
            |s| {
                s.key_id = "key-2".to_owned();
                s.annotations = [("a.b".to_owned(), vec![0; 32 * 1024])].into();
            },
            "errGen=failed to validate annotations: total size of annotations is 32771, which exceeds the max size of 32768",
        ),
        (
            |s| {
                s.key_id = "key-2".to_owned();
                s.sealed_by = Some("x".repeat(1000));
            },
            "errGen=failed to validate encrypted DEK source: encrypted DEK source is 1055 bytes, which exceeds the max size of 1024",
        ),
    ];
    for (change, part) in cases {
        let s = setup().await;
        let before = s.seal(b"x").unwrap();
        s.fake.say(change);
        let why = s.check().await.unwrap_err();
        assert!(why.starts_with("kmsv2 Provider a is not healthy, error: "), "{why}");
        assert!(why.contains(part), "{why}");
        // It goes on with the key it has.
        assert_eq!(s.open(&before).await.unwrap(), (b"x".to_vec(), false));
        s.seal(b"y").unwrap();
    }
}

#[tokio::test]
async fn stored_objects_are_checked() {
    let s = setup().await;
    let good = EncryptedObject::decode(&*s.seal(b"x").unwrap()).unwrap();
    type Change = fn(&mut EncryptedObject);
    let cases: [(Change, &str); 5] = [
        (|o| o.encrypted_data.clear(), "encrypted data is empty"),
        (|o| o.encrypted_dek_source_type = 7, "unknown encryptedDEKSourceType: 7"),
        (|o| o.key_id.clear(), "failed to validate key id: keyID is empty"),
        (
            |o| o.encrypted_dek_source.clear(),
            "failed to validate encrypted DEK source: encrypted DEK source is empty",
        ),
        // A seed is no key.
        (
            |o| o.encrypted_dek_source_type = 0,
            "cipher: message authentication failed",
        ),
    ];
    for (change, why) in cases {
        let mut object = good.clone();
        change(&mut object);
        assert_eq!(s.open(&object.encode_to_vec()).await.unwrap_err(), why);
    }
    let wire = "proto: cannot parse invalid wire-format data";
    assert_eq!(s.open(b"\xff\xff").await.unwrap_err(), wire);
}

#[tokio::test]
async fn calls_and_keys_are_measured() {
    let s = setup_named("measured", LONG, Timestamp::now);
    s.fake.listen(&s.socket);
    s.check().await.unwrap();
    let stored = s.seal(b"x").unwrap();
    s.again().await.open(&stored, ABOUT).await.unwrap();
    s.fake.say(|script| script.key_id = String::new());
    s.check().await.unwrap_err();
    let text = component::metrics::text();
    let of = |name: &str| format!("apiserver_envelope_encryption_{name}");
    let call = |method: &str, times: usize| {
        format!(
            "{}{{grpc_status_code=\"OK\",method_name=\"/v2.KeyManagementService/{method}\",provider_name=\"measured\"}} {times}",
            of("kms_operations_latency_seconds_count")
        )
    };
    let key = id_hash("key-1");
    let used = |way: &str| {
        format!(
            "{}{{apiserver_id_hash=\"me\",key_id_hash=\"{key}\",provider_name=\"measured\",transformation_type=\"{way}\"}} 1",
            of("key_id_hash_total")
        )
    };
    for line in [
        call("Status", 3),
        call("Encrypt", 2),
        call("Decrypt", 1),
        used(FROM_STORAGE),
        used(TO_STORAGE),
        format!(
            "{}{{error=\"empty\",provider_name=\"measured\"}} 1",
            of("invalid_key_id_from_status_total")
        ),
        format!("{}{{provider_name=\"measured\"}} 1", of("dek_source_cache_size")),
    ] {
        assert!(text.lines().any(|one| one == line), "{line} is not in\n{text}");
    }
    for (name, labels) in [
        (
            "key_id_hash_last_timestamp_seconds",
            format!("apiserver_id_hash=\"me\",key_id_hash=\"{key}\""),
        ),
        (
            "key_id_hash_status_last_timestamp_seconds",
            format!("apiserver_id_hash=\"me\",key_id_hash=\"{key}\""),
        ),
    ] {
        let start = format!("{}{{{labels},provider_name=\"measured\"", of(name));
        assert!(
            text.lines().any(|one| one.starts_with(&start)),
            "{start} is not in\n{text}"
        );
    }
}
