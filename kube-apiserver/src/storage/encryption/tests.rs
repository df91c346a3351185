#![allow(clippy::unwrap_used)]

mod store;

use std::path::{Path, PathBuf};

use super::kms::tests::Fake;
use super::*;
use crate::storage::memory::Memory;

const KEY: &str = "/registry/secrets/default/one";
/// 32 bytes, others, and 16.
const K1: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const K2: &str = "/wECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const K16: &str = "AAECAwQFBgcICQoLDA0ODw==";

/// A file of `(resources, providers)` as YAML.
fn file(lists: &[(&str, &[&str])]) -> String {
    let mut text = "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n".to_owned();
    for (resources, providers) in lists {
        text += &format!("- resources: [{resources}]\n  providers:\n");
        for provider in *providers {
            text += &format!("  - {provider}\n");
        }
    }
    text
}

fn key(provider: &str, name: &str, secret: &str) -> String {
    format!("{provider}: {{keys: [{{name: {name}, secret: {secret}}}]}}")
}

struct Setup {
    dir: tempfile::TempDir,
    encryption: Arc<Encryption>,
}

impl Setup {
    fn path(&self) -> PathBuf {
        self.dir.path().join("encryption.yaml")
    }

    async fn chain_at(&self, key: &str, stored: &[u8]) -> Result<Opened, String> {
        let path = key.strip_prefix("/registry/").unwrap();
        let chain = self.encryption.chain(path);
        let opened = chain.open(path, &Bytes::copy_from_slice(stored), key.as_bytes()).await;
        opened.map_err(|e| e.to_string())
    }

    /// The plain bytes and whether they are stale.
    async fn open(&self, stored: &[u8]) -> Result<(Bytes, bool), String> {
        let opened = self.chain_at(KEY, stored).await?;
        Ok((opened.bytes, opened.stale))
    }

    fn seal(&self, plain: &[u8]) -> Bytes {
        let chain = self.encryption.chain("secrets/default/one");
        let plain = Bytes::copy_from_slice(plain);
        chain.seal("secrets/default/one", &plain, KEY.as_bytes()).unwrap()
    }

    /// What a path's values begin with.
    fn kept(&self, path: &str) -> String {
        let chain = self.encryption.chain(path);
        let sealed = chain.seal(path, &Bytes::from("x"), b"k").unwrap();
        let text = String::from_utf8_lossy(&sealed).into_owned();
        text.splitn(6, ':').take(5).collect::<Vec<_>>().join(":")
    }
}

async fn try_setup(text: &str, socket: &dyn Fn(&Path)) -> Result<Setup, String> {
    setup_of(text, socket, false).await
}

async fn setup_of(text: &str, socket: &dyn Fn(&Path), reload: bool) -> Result<Setup, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("encryption.yaml");
    let at = dir.path().join("x.sock");
    std::fs::write(&path, text.replace("/x.sock", &at.display().to_string())).unwrap();
    socket(&at);
    let options = Options {
        path,
        reload,
        kms_v1: false,
    };
    let encryption = Encryption::start(options, "me", &CancellationToken::new()).await?;
    Ok(Setup { dir, encryption })
}

async fn setup(lists: &[(&str, &[&str])]) -> Setup {
    try_setup(&file(lists), &|_| {}).await.unwrap()
}

/// For Secrets.
async fn providers(providers: &[&str]) -> Setup {
    setup(&[("secrets", providers)]).await
}

fn unhex(text: &str) -> Vec<u8> {
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

#[tokio::test]
async fn what_upstream_stored_is_read() {
    let mut rows = 0;
    let lines = include_str!("tests/vectors.tsv")
        .lines()
        .filter(|l| !l.starts_with('#'));
    for line in lines {
        let [provider, plain, stored] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("three columns: {line}")
        };
        let s = try_setup(&file(&[("secrets", &[provider])]), &|at| Fake::new().listen(at))
            .await
            .unwrap();
        let (plain, stored) = (unhex(plain), unhex(stored));
        // A key instead of a seed would be written otherwise now.
        let stale = provider.contains("plain-dek");
        assert_eq!(s.open(&stored).await, Ok((plain.clone().into(), stale)), "{provider}");
        rows += 1;

        // In another place, and damaged: an error where the cipher can tell, and never a panic.
        let bound = provider.contains("gcm") || provider.contains("kms");
        let elsewhere = s.chain_at("/registry/secrets/default/two", &stored).await;
        assert_eq!(elsewhere.is_err(), bound, "{provider}");
        let telling = bound || provider.contains("secretbox");
        for i in 0..stored.len() {
            let cut = s.open(&stored[..i]).await;
            let mut changed = stored.clone();
            changed[i] ^= 1;
            let changed = s.open(&changed).await;
            // Annotations are the plugin's to check, which this one does not.
            let harmless = |said: &Result<(Bytes, bool), String>| {
                provider.contains("kms") && said.as_ref().is_ok_and(|(read, _)| *read == plain)
            };
            if telling {
                assert!(cut.is_err() || harmless(&cut), "{provider} cut at {i}");
                assert!(changed.is_err() || harmless(&changed), "{provider} changed at {i}");
            }
        }
    }
    assert_eq!(rows, 30);
}

#[tokio::test]
async fn values_of_any_length_come_back() {
    for provider in [
        key("aescbc", "a", K1),
        key("aescbc", "a", K16),
        key("aesgcm", "a", K1),
        key("aesgcm", "a", K16),
        key("secretbox", "a", K1),
        "identity: {}".to_owned(),
        "kms: {apiVersion: v2, name: a, endpoint: 'unix:///x.sock'}".to_owned(),
    ] {
        let text = file(&[("secrets", &[&provider])]);
        let s = try_setup(&text, &|at| Fake::new().listen(at)).await.unwrap();
        for length in (0..70).chain([4096, 1 << 20]) {
            let plain = vec![7; length];
            let stored = s.seal(&plain);
            assert_eq!(s.open(&stored).await, Ok((plain.into(), false)), "{provider} {length}");
            // Never twice the same.
            assert_eq!(s.seal(&[7; 9]) == s.seal(&[7; 9]), provider.starts_with("identity"));
        }
    }
}

#[tokio::test]
async fn a_key_that_is_added_first_writes_and_the_old_ones_read() {
    let old = providers(&[&key("aescbc", "one", K1)]).await;
    let stored = old.seal(b"x");
    let two = format!("aescbc: {{keys: [{{name: two, secret: {K2}}}, {{name: one, secret: {K1}}}]}}");
    for both in [
        vec![two],
        vec![key("aescbc", "two", K2), key("aescbc", "one", K1)],
        // The same name for another key: both are tried.
        vec![key("aescbc", "one", K2), key("aescbc", "one", K1)],
        vec![key("secretbox", "a", K2), key("aescbc", "one", K1)],
        vec!["identity: {}".to_owned(), key("aescbc", "one", K1)],
    ] {
        let both: Vec<&str> = both.iter().map(String::as_str).collect();
        let s = providers(&both).await;
        assert_eq!(s.open(&stored).await, Ok(("x".into(), true)), "{both:?}");
        let new = s.seal(b"x");
        assert_eq!(s.open(&new).await, Ok(("x".into(), false)), "{both:?}");
        assert!(old.open(&new).await.is_err(), "{both:?}");
    }
    // Plain text is read behind a provider only if that is said.
    let s = providers(&[&key("aescbc", "one", K1), "identity: {}"]).await;
    assert_eq!(s.open(b"{}").await, Ok(("{}".into(), true)));
}

#[tokio::test]
async fn values_that_are_nobodys_are_refused_in_upstreams_words() {
    let gcm = providers(&[&key("aesgcm", "one", K1)]).await;
    let stored = gcm.seal(b"x");
    for (all, stored, why) in [
        (vec![key("aesgcm", "one", K1)], &b"{}"[..], "no matching prefix found"),
        (vec!["identity: {}".to_owned()], &stored, "no matching prefix found"),
        (vec![key("secretbox", "one", K1)], &stored, "no matching prefix found"),
        (
            vec![key("aesgcm", "one", K2)],
            &stored,
            "cipher: message authentication failed",
        ),
        (
            vec![key("aesgcm", "two", K1)],
            &stored,
            "no matching key was found for the provided AES transformer",
        ),
        (
            vec![key("secretbox", "one", K1)],
            b"k8s:enc:secretbox:v1:two:",
            "no matching key was found for the provided Secretbox transformer",
        ),
        (
            vec![key("aesgcm", "two", K1), key("aesgcm", "one", K2)],
            &stored,
            "[no matching key was found for the provided AES transformer, cipher: message authentication failed]",
        ),
        (
            vec![key("aescbc", "one", K1)],
            b"k8s:enc:aescbc:v1:one:0123456789abcdef",
            "invalid PKCS7 data (empty or not padded)",
        ),
        (
            vec![key("aescbc", "one", K1)],
            b"k8s:enc:aescbc:v1:one:0123456789abcdef0",
            "the stored data is not a multiple of the block size",
        ),
        (
            vec![key("aescbc", "one", K1)],
            b"k8s:enc:aescbc:v1:one:0123456789abcde",
            "the stored data was shorter than the required size",
        ),
    ] {
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let said = providers(&all).await.open(stored).await;
        assert_eq!(said, Err(why.to_owned()), "{all:?}");
    }
    // Of a resource of which nothing is said.
    let said = gcm.chain_at("/registry/configmaps/default/one", &stored).await;
    assert_eq!(said, Err(NOT_PLAIN.to_owned()));
}

#[tokio::test]
async fn the_narrowest_rule_counts() {
    let named = |name: &str| key("aesgcm", name, K1);
    let (pods, apps, core, rest) = (named("pods"), named("apps"), named("core"), named("rest"));
    let s = setup(&[
        ("events", &["identity: {}"]),
        ("pods, deployments.apps", &[&pods]),
        ("'*.apps'", &[&apps]),
        ("'*.'", &[&core]),
        ("'*.*'", &[&rest]),
    ])
    .await;
    for (path, name) in [
        ("events/ns/a", ""),
        ("pods/ns/a", "pods"),
        ("deployments/ns/a", "pods"),
        ("replicasets/ns/a", "apps"),
        ("secrets/ns/a", "core"),
        ("services/endpoints/ns/a", "core"),
        ("minions/a", "core"),
        ("jobs/ns/a", "rest"),
        ("example.com/pandas/ns/a", "rest"),
        // What no migration could write again.
        ("ranges/serviceips", ""),
        ("masterleases/10.0.0.1", ""),
    ] {
        let want = if name.is_empty() {
            "x".to_owned()
        } else {
            format!("k8s:enc:aesgcm:v1:{name}")
        };
        assert_eq!(s.kept(path), want, "{path}");
    }
}

#[tokio::test]
async fn a_file_that_changes_counts_once_it_is_right() {
    let s = providers(&[&key("aesgcm", "one", K1)]).await;
    let stored = s.seal(b"x");
    assert_eq!(s.encryption.look().await, Ok(false));
    std::fs::write(s.path(), "nonsense").unwrap();
    assert!(s.encryption.look().await.is_err());
    assert_eq!(s.open(&stored).await, Ok(("x".into(), false)));

    let (two, one) = (key("aesgcm", "two", K2), key("aesgcm", "one", K1));
    std::fs::write(s.path(), file(&[("secrets", &[&two, &one])])).unwrap();
    assert_eq!(s.encryption.look().await, Ok(true));
    assert_eq!(s.encryption.look().await, Ok(false));
    assert_eq!(s.open(&stored).await, Ok(("x".into(), true)));
    assert!(s.seal(b"x").starts_with(b"k8s:enc:aesgcm:v1:two:"));
}

#[tokio::test(start_paused = true)]
async fn a_file_is_looked_at_each_minute() {
    let one = key("aesgcm", "one", K1);
    let s = setup_of(&file(&[("secrets", &[&one])]), &|_| {}, true).await.unwrap();
    assert!(s.encryption.has_check() && s.encryption.reloads());
    assert_eq!(s.encryption.check().await, Ok(()));
    std::fs::write(s.path(), "nonsense").unwrap();
    tokio::time::sleep(Duration::from_secs(70)).await;
    assert!(s.seal(b"x").starts_with(b"k8s:enc:aesgcm:v1:one:"));
    std::fs::write(s.path(), file(&[("secrets", &[&key("aesgcm", "two", K2), &one])])).unwrap();
    // What was wrong is looked at again sooner.
    tokio::time::sleep(Duration::from_secs(59)).await;
    assert!(s.seal(b"x").starts_with(b"k8s:enc:aesgcm:v1:two:"));
    let text = component::metrics::text();
    let reloads = "apiserver_encryption_config_controller_automatic_reloads_total{apiserver_id_hash=\"sha256:";
    for status in ["failure", "success"] {
        let counted = text
            .lines()
            .find(|l| l.starts_with(reloads) && l.contains(&format!("status=\"{status}\"")));
        assert!(counted.is_some(), "{status}");
    }
}

#[tokio::test]
async fn plugins_are_checked_by_their_number() {
    let text = file(&[(
        "secrets",
        &[
            "kms: {apiVersion: v2, name: a, endpoint: 'unix:///x.sock', timeout: 100ms}",
            "kms: {apiVersion: v2, name: b, endpoint: 'unix:///y.sock', timeout: 100ms}",
        ],
    )]);
    let s = try_setup(&text, &|at| Fake::new().listen(at)).await.unwrap();
    assert!(s.encryption.has_check() && !s.encryption.reloads());
    assert_eq!(
        s.encryption.check().await.unwrap_err(),
        "kms-provider-1: failed to perform status section of the healthz check for KMS Provider b, error: rpc error: code = DeadlineExceeded desc = context deadline exceeded"
    );
    assert!(!providers(&["identity: {}"]).await.encryption.has_check());
}

#[tokio::test]
async fn values_are_counted_by_their_provider_and_how_it_went() {
    let s = setup(&[("limitranges", &["identity: {}", &key("aesgcm", "one", K1)])]).await;
    let (path, about) = ("limitranges/default/one", b"k");
    let chain = s.encryption.chain(path);
    let stored = chain.seal(path, &Bytes::from("x"), about).unwrap();
    chain.open(path, &stored, about).await.unwrap();
    for bad in ["k8s:enc:aesgcm:v1:one:x", "k8s:enc:other:v1:one:x"] {
        chain.open(path, &Bytes::from(bad), about).await.unwrap_err();
    }
    // Of what has no rule nothing is counted.
    let plain = "podtemplates/default/one";
    s.encryption.chain(plain).seal(plain, &stored, about).unwrap();
    let text = component::metrics::text();
    let counted = |resource: &str| {
        let start = format!("apiserver_storage_transformation_operations_total{{resource=\"{resource}\",");
        let lines = text.lines().filter_map(|line| line.strip_prefix(&start));
        let mut lines: Vec<_> = lines.filter_map(|line| line.split_once("} ")).collect();
        lines.sort_unstable();
        lines.into_iter().map(|(labels, _)| labels).collect::<Vec<_>>()
    };
    assert_eq!(
        counted("limitranges"),
        [
            "status=\"OK\",transformation_type=\"from_storage\",transformer_prefix=\"identity\"",
            "status=\"OK\",transformation_type=\"to_storage\",transformer_prefix=\"\"",
            "status=\"unknown-non-grpc\",transformation_type=\"from_storage\",transformer_prefix=\"k8s:enc:aesgcm:v1:\"",
            "status=\"unknown-non-grpc\",transformation_type=\"from_storage\",transformer_prefix=\"unknown\"",
        ]
    );
    assert!(counted("podtemplates").is_empty());
}
