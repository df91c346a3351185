#![allow(clippy::unwrap_used)]

use base64::Engine as _;
use http::HeaderValue;
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer as CertIssuer, KeyPair};
use rustls_pki_types::UnixTime;
use serde_json::{Value, json};

use super::cert_pool::Loaded;
use super::issuer::{Issuer, Named, TokenSpec, issue_token};
use super::keys::{SigningKey, public_keys};
use super::service_account::ServiceAccountTokens;
use super::*;
use crate::objects::memory::MemoryObjects;

fn now() -> i64 {
    1_800_000_000
}

fn ec_pem() -> String {
    KeyPair::generate().unwrap().serialize_pem()
}

fn rsa_pem() -> String {
    KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap().serialize_pem()
}

/// A CA and a leaf with the given subject.
fn chain(cn: &str, orgs: &[&str], days_ago: i64) -> (String, Vec<CertificateDer<'static>>) {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::new(vec![]).unwrap();
    ca.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    ca.distinguished_name.push(DnType::CommonName, "test-ca");
    let ca_cert = ca.self_signed(&ca_key).unwrap();
    let issuer = CertIssuer::new(ca, ca_key);
    let mut p = CertificateParams::new(vec![]).unwrap();
    p.distinguished_name = rcgen::DistinguishedName::new();
    p.distinguished_name.push(DnType::CommonName, cn);
    for o in orgs {
        p.distinguished_name.push(DnType::OrganizationName, *o);
    }
    p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    if days_ago > 0 {
        p.not_before = rcgen::date_time_ymd(2001, 1, 1);
        p.not_after = rcgen::date_time_ymd(2002, 1, 1);
    }
    let key = KeyPair::generate().unwrap();
    let leaf = p.signed_by(&key, &issuer).unwrap();
    (ca_cert.pem(), vec![leaf.der().clone()])
}

#[test]
fn a_certificate_names_user_and_group() {
    let (ca, leaf) = chain("jane", &["system:masters"], 0);
    let pool = Loaded::from_pem(ca).unwrap();
    let user = x509::check(&pool, &leaf, UnixTime::now()).unwrap().unwrap();
    assert_eq!(user.name, "jane");
    assert_eq!(user.groups, ["system:masters"]);
    assert!(user.extra[x509::CREDENTIAL_ID][0].starts_with("X509SHA256="));
}

#[test]
fn an_expired_or_foreign_certificate_is_refused() {
    let (ca, leaf) = chain("jane", &[], 1);
    let pool = Loaded::from_pem(ca).unwrap();
    assert!(
        x509::check(&pool, &leaf, UnixTime::now())
            .unwrap_err()
            .contains("verifying certificate")
    );
    let (_, other) = chain("jane", &[], 0);
    assert!(x509::check(&pool, &other, UnixTime::now()).is_err());
    assert!(Loaded::from_pem("junk".into()).is_err());
}

#[tokio::test]
async fn no_credentials_is_anonymous_and_bad_ones_are_401() {
    let mut a = Authenticator {
        anonymous: Anonymous {
            enabled: true,
            paths: vec![],
        },
        ..Default::default()
    };
    let user = a
        .authenticate("/", &mut HeaderMap::new(), &[], &mut vec![])
        .await
        .unwrap();
    assert_eq!(
        (user.name.as_str(), user.groups.as_slice()),
        (ANONYMOUS, [ALL_UNAUTHENTICATED.to_owned()].as_slice())
    );
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer nonsense"));
    let err = a.authenticate("/", &mut headers, &[], &mut vec![]).await.unwrap_err();
    assert_eq!((err.code, err.message.as_str()), (401, "Unauthorized"));
    a.anonymous.enabled = false;
    assert_eq!(
        a.authenticate("/", &mut HeaderMap::new(), &[], &mut vec![])
            .await
            .unwrap_err()
            .code,
        401
    );
}

fn world() -> Arc<MemoryObjects> {
    MemoryObjects::with(&[
        (
            "",
            "serviceaccounts",
            json!({"metadata":{"name":"sa","namespace":"ns","uid":"sa-uid"}}),
        ),
        (
            "",
            "pods",
            json!({"metadata":{"name":"p","namespace":"ns","uid":"pod-uid"},"spec":{"serviceAccountName":"sa","nodeName":"n1"}}),
        ),
        ("", "nodes", json!({"metadata":{"name":"n1","uid":"node-uid"}})),
    ])
}

fn authenticator(pem: &str, objects: Arc<MemoryObjects>) -> ServiceAccountTokens {
    ServiceAccountTokens {
        keys: Arc::new(public_keys(pem.as_bytes()).unwrap()),
        issuers: vec!["https://issuer".into()],
        api_audiences: vec!["api".into()],
        objects,
        lookup: true,
        now,
    }
}

fn spec() -> TokenSpec {
    TokenSpec {
        namespace: "ns".into(),
        service_account: Named {
            name: "sa".into(),
            uid: "sa-uid".into(),
        },
        pod: Some(Named {
            name: "p".into(),
            uid: "pod-uid".into(),
        }),
        node: Some(Named {
            name: "n1".into(),
            uid: "node-uid".into(),
        }),
        audiences: vec!["api".into(), "other".into()],
        issued_at: now(),
        expires_in: 3600,
        id: "id-1".into(),
        ..Default::default()
    }
}

fn issuer(pem: &str) -> Issuer {
    Issuer {
        key: SigningKey::from_pem(pem.as_bytes()).unwrap(),
        url: "https://issuer".into(),
    }
}

#[tokio::test]
async fn a_token_we_sign_is_a_token_we_accept() {
    for pem in [ec_pem(), rsa_pem()] {
        let token = issue_token(&issuer(&pem), &spec()).unwrap();
        let sa = authenticator(&pem, world());
        let proven = sa.authenticate(&token, &["api".to_owned()]).await.unwrap().unwrap();
        assert_eq!(proven.audiences, ["api"]);
        assert_eq!(proven.user.name, "system:serviceaccount:ns:sa");
        assert_eq!(proven.user.uid, "sa-uid");
        assert_eq!(
            proven.user.groups,
            ["system:serviceaccounts", "system:serviceaccounts:ns"]
        );
        assert_eq!(proven.user.extra["authentication.kubernetes.io/pod-name"], ["p"]);
        assert_eq!(proven.user.extra["authentication.kubernetes.io/pod-uid"], ["pod-uid"]);
        assert_eq!(proven.user.extra["authentication.kubernetes.io/node-name"], ["n1"]);
        assert_eq!(proven.user.extra[x509::CREDENTIAL_ID], ["JTI=id-1"]);
    }
}

#[tokio::test]
async fn tokens_that_no_longer_hold_are_refused() {
    let pem = ec_pem();
    let at = |f: &dyn Fn(&mut TokenSpec)| {
        let mut s = spec();
        f(&mut s);
        issue_token(&issuer(&pem), &s).unwrap()
    };
    let sa = authenticator(&pem, world());
    let api = ["api".to_owned()];
    for (why, token) in [
        ("expired", at(&|s| s.issued_at -= 3600 + 61)),
        ("not valid yet", at(&|s| s.issued_at += 61)),
        ("audiences", at(&|s| s.audiences = vec!["other".into()])),
        (
            "gone",
            at(&|s| {
                s.pod = Some(Named {
                    name: "p".into(),
                    uid: "older".into(),
                })
            }),
        ),
        (
            "gone",
            at(&|s| {
                s.pod = Some(Named {
                    name: "q".into(),
                    uid: "pod-uid".into(),
                })
            }),
        ),
        ("gone", at(&|s| s.service_account.uid = "older".into())),
        ("signature", issue_token(&issuer(&ec_pem()), &spec()).unwrap()),
    ] {
        let err = sa.authenticate(&token, &api).await.unwrap_err();
        assert!(err.contains(why), "{why}: {err}");
    }
    let foreign = Issuer {
        key: SigningKey::from_pem(pem.as_bytes()).unwrap(),
        url: "https://elsewhere".into(),
    };
    let token = issue_token(&foreign, &spec()).unwrap();
    assert_eq!(sa.authenticate(&token, &api).await, Ok(None));
    assert_eq!(sa.authenticate("abc.def", &api).await, Ok(None));
}

#[tokio::test]
async fn whatever_is_not_looked_up_for_tokens_of_secrets_a_bound_token_ends_with_its_pod() {
    let pem = ec_pem();
    let mut gone = spec();
    gone.pod = Some(Named {
        name: "gone".into(),
        uid: "pod-uid".into(),
    });
    let token = issue_token(&issuer(&pem), &gone).unwrap();
    let sa = ServiceAccountTokens {
        lookup: false,
        ..authenticator(&pem, world())
    };
    let error = sa.authenticate(&token, &["api".to_owned()]).await.unwrap_err();
    assert!(error.contains("gone"), "{error}");
}

#[test]
fn tokens_of_another_time_are_refused() {
    let sa = authenticator(&ec_pem(), world());
    for (claims, wanted) in [
        (json!({"iat": now() + 60, "nbf": now() + 60, "exp": now() - 60}), Ok(())),
        (json!({"exp": now() - 61}), Err("has expired")),
        (json!({"nbf": now() + 61}), Err("is not valid yet")),
        (json!({"iat": now() + 61}), Err("is issued in the future")),
    ] {
        let wanted = wanted.map_err(|why| format!("service account token {why}"));
        assert_eq!(sa.check_times(&claims), wanted, "{claims}");
    }
}

#[tokio::test]
async fn token_requests_default_bind_and_extend() {
    let pem = ec_pem();
    let requests = token_request::TokenRequests {
        issuer: Some(issuer(&pem)),
        api_audiences: vec!["api".into()],
        max_seconds: None,
        extend: true,
        objects: world(),
        now,
    };
    let ctx = crate::request::RequestContext::internal();
    let body = json!({"kind":"TokenRequest","spec":{"expirationSeconds":3607,"boundObjectRef":{"kind":"Pod","apiVersion":"v1","name":"p"}}});
    let out = requests.create(&ctx, "ns", "sa", body).await.unwrap();
    assert_eq!(out["spec"]["audiences"], json!(["api"]));
    let claims = super::jwt::Unverified::parse(out["status"]["token"].as_str().unwrap())
        .unwrap()
        .verify(&public_keys(pem.as_bytes()).unwrap())
        .unwrap();
    assert_eq!(claims["kubernetes.io"]["warnafter"], json!(now() + 3607));
    assert_eq!(claims["exp"], json!(now() + 24 * 365 * 3600));
    assert_eq!(claims["kubernetes.io"]["node"], json!({"name":"n1","uid":"node-uid"}));
    assert_eq!(out["status"]["expirationTimestamp"], json!("2027-01-15T09:00:07Z"));

    for (body, code, text) in [
        (
            json!({"spec":{"expirationSeconds":599}}),
            422,
            "may not specify a duration less than 10 minutes",
        ),
        (
            json!({"spec":{"boundObjectRef":{"kind":"Pod","name":"nope"}}}),
            404,
            "not found",
        ),
        (
            json!({"spec":{"boundObjectRef":{"kind":"Pod","name":"p","uid":"x"}}}),
            409,
            "does not match the UID in record",
        ),
        (
            json!({"spec":{"boundObjectRef":{"kind":"Service","apiVersion":"v1","name":"p"}}}),
            400,
            "cannot bind token to object of type /v1, Kind=Service",
        ),
        (
            json!({"metadata":{"name":"other"},"spec":{}}),
            422,
            "metadata.name: Invalid value: \"other\": must match the service account name if specified",
        ),
        (
            json!({"metadata":{"namespace":"other"},"spec":{}}),
            422,
            "metadata.namespace: Invalid value: \"other\": must match the service account namespace if specified",
        ),
        (
            json!({"metadata":{"uid":"other"},"spec":{}}),
            409,
            "the UID in the token request (other) does not match the UID of the service account (",
        ),
    ] {
        let err = requests.create(&ctx, "ns", "sa", body).await.unwrap_err();
        assert_eq!(err.code, code, "{}", err.message);
        assert!(err.message.contains(text), "{}", err.message);
    }
}

#[tokio::test]
async fn a_token_lives_no_longer_than_the_server_allows() {
    let requests = token_request::TokenRequests {
        issuer: Some(issuer(&ec_pem())),
        api_audiences: vec!["api".into(), "other".into()],
        max_seconds: Some(3600),
        extend: true,
        objects: world(),
        now,
    };
    let ctx = crate::request::RequestContext::internal();
    let body = json!({"spec":{"expirationSeconds":7200,"audiences":["other"]}});
    let out = requests.create(&ctx, "ns", "sa", body).await.unwrap();
    assert_eq!(out["spec"]["expirationSeconds"], json!(3600));
    assert_eq!(out["spec"]["audiences"], json!(["other"]));
    assert_eq!(
        *ctx.warnings.lock(),
        ["requested expiration of 7200 seconds shortened to 3600 seconds"]
    );
}

#[tokio::test]
async fn bootstrap_tokens_follow_their_secret() {
    let b64 = |s: &str| base64::engine::general_purpose::STANDARD.encode(s);
    let secret = |expiration: &str| {
        json!({"metadata":{"name":"bootstrap-token-abcdef","namespace":"kube-system"},"type":"bootstrap.kubernetes.io/token",
            "data":{"token-id":b64("abcdef"),"token-secret":b64("0123456789abcdef"),"usage-bootstrap-authentication":b64("true"),
                    "auth-extra-groups":b64("system:bootstrappers:kubeadm:default-node-token"),"expiration":b64(expiration)}})
    };
    for (expiration, ok) in [("2100-01-01T00:00:00Z", true), ("2020-01-01T00:00:00Z", false)] {
        let tokens = bootstrap_token::BootstrapTokens {
            objects: MemoryObjects::with(&[("", "secrets", secret(expiration))]),
            now,
        };
        let got = tokens.authenticate("abcdef.0123456789abcdef", &[]).await.unwrap();
        assert_eq!(got.is_some(), ok);
        if let Some(p) = got {
            assert_eq!(p.user.name, "system:bootstrap:abcdef");
            assert_eq!(
                p.user.groups,
                [
                    "system:bootstrappers",
                    "system:bootstrappers:kubeadm:default-node-token"
                ]
            );
        }
        assert_eq!(tokens.authenticate("abcdef.0123456789abcdeX", &[]).await, Ok(None));
        assert_eq!(tokens.authenticate("abcdef.1123456789abcdef", &[]).await, Ok(None));
    }
}

#[test]
fn all_pem_forms_of_keys_are_read() {
    let key = KeyPair::generate().unwrap();
    assert_eq!(
        public_keys(key.public_key_pem().as_bytes()).unwrap()[0].id,
        public_keys(key.serialize_pem().as_bytes()).unwrap()[0].id
    );
    let rsa = KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let keys = public_keys(rsa.public_key_pem().as_bytes()).unwrap();
    assert_eq!(keys[0].algorithm.name(), "RS256");
    assert_eq!(keys[0].jwk()["e"], json!("AQAB"));
    let meta = oidc_discovery::Metadata::new("https://issuer", "", "10.0.0.1:6443", &keys).unwrap();
    let doc: Value = serde_json::from_slice(&meta.configuration).unwrap();
    assert_eq!(doc["jwks_uri"], json!("https://10.0.0.1:6443/openid/v1/jwks"));
    assert!(oidc_discovery::Metadata::new("kubernetes", "", "x", &keys).is_none());
}

#[test]
fn front_proxies_name_users_only_with_their_certificate() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("front-proxy-ca.crt");
    let (ca, proxy) = chain("front-proxy-client", &[], 0);
    std::fs::write(&file, ca).unwrap();
    let strings = |l: &[&str]| l.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
    let mut rh = request_header::RequestHeader {
        pool: Arc::new(cert_pool::CertPool::load(&file).unwrap()),
        allowed_names: strings(&["front-proxy-client"]),
        username_headers: strings(&["X-Remote-User"]),
        uid_headers: strings(&["X-Remote-Uid"]),
        group_headers: strings(&["X-Remote-Group"]),
        extra_prefixes: strings(&["X-Remote-Extra-"]),
    };
    let mut headers = HeaderMap::new();
    headers.insert("x-remote-user", HeaderValue::from_static("ann"));
    headers.append("x-remote-group", HeaderValue::from_static("a"));
    headers.append("x-remote-group", HeaderValue::from_static("b"));
    headers.insert("x-remote-extra-acme.com%2fproject", HeaderValue::from_static("p"));
    let user = rh.authenticate(&headers, &proxy).unwrap().unwrap();
    assert_eq!(
        (user.name.as_str(), user.groups.as_slice()),
        ("ann", strings(&["a", "b"]).as_slice())
    );
    assert_eq!(user.extra["acme.com/project"], ["p"]);
    let (_, foreign) = chain("front-proxy-client", &[], 0);
    assert!(rh.authenticate(&headers, &foreign).is_err());
    assert_eq!(rh.authenticate(&headers, &[]), Ok(None));
    rh.allowed_names = strings(&["other"]);
    assert!(
        rh.authenticate(&headers, &proxy)
            .unwrap_err()
            .contains("is not in the allowed list")
    );
    rh.strip(&mut headers);
    assert!(headers.is_empty());
}
