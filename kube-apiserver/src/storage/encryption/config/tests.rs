#![allow(clippy::unwrap_used)]

use tokio_util::sync::CancellationToken;

use super::*;
use crate::storage::encryption::{Encryption, Options};

async fn say(text: &str, reload: bool) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    let options = Options {
        path: file.path().to_owned(),
        reload,
        kms_v1: false,
    };
    let answer = match Encryption::start(options, "", &CancellationToken::new()).await {
        Ok(_) => "ok".to_owned(),
        Err(why) => why,
    };
    answer.replace(&file.path().display().to_string(), "FILE")
}

#[tokio::test]
async fn configurations_are_refused_in_upstreams_words() {
    let mut cases = 0;
    for case in include_str!("cases.txt").split("\n## ").skip(1) {
        let (name, rest) = case.split_once('\n').unwrap();
        let (text, want) = rest.split_once(">> ").unwrap();
        let said = say(text, name.ends_with("-reload")).await.replace('\n', "\\n");
        assert_eq!(said, want.trim_end(), "{name}:\n{text}");
        cases += 1;
    }
    assert!(cases > 40, "{cases}");
}

#[tokio::test]
async fn files_that_are_none_are_refused() {
    let head = "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\n";
    let decoding = "error while parsing file: error decoding encryption provider configuration file \"FILE\": ";
    for (text, why) in [
        (
            String::new(),
            "error while parsing file: error while loading file: encryption provider configuration file \"FILE\" is empty"
                .to_owned(),
        ),
        ("resources: []".to_owned(), format!("{decoding}Object 'Kind' is missing")),
        (
            "apiVersion: v1\nkind: EncryptionConfiguration".to_owned(),
            format!("{decoding}no kind \"EncryptionConfiguration\" is registered for version \"v1\""),
        ),
        (
            format!("{head}resources: 7"),
            format!("{decoding}strict decoding error: invalid type: integer `7`, expected a sequence"),
        ),
        (
            format!("{head}resources: null"),
            "error while parsing file: resources: Required value: at least one resources is required".to_owned(),
        ),
    ] {
        assert_eq!(say(&text, false).await, why, "{text}");
    }
    let missing = load(Path::new("/nowhere/e.yaml"), false).unwrap_err();
    assert_eq!(
        missing,
        "error while loading file: error reading encryption provider configuration file \"/nowhere/e.yaml\": open /nowhere/e.yaml: no such file or directory"
    );
}

#[tokio::test]
async fn no_error_holds_a_key() {
    const SECRET: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let head = "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n- resources: [secrets]\n  providers:\n";
    for provider in [
        // Twice, of the wrong type, in the wrong place, misspelt, cut off.
        format!("- {{identity: {{}}, aescbc: {{keys: [{{name: a, secret: {SECRET}}}]}}}}"),
        format!("- {{aescbc: {{keys: {SECRET}}}}}"),
        format!("- {{aescbc: {{keys: [{SECRET}]}}}}"),
        format!("- {SECRET}"),
        format!("- {{aescbc: {{keys: [{{name: a, secrets: {SECRET}}}]}}}}"),
        format!("- {{secretbox: {{keys: [{{name: a, secret: {SECRET}AA}}]}}}}"),
        format!("- {{kms: {{cachesize: {SECRET}}}}}"),
        format!("- {{aescbc: {{keys: [{{name: a, secret: {SECRET}"),
        format!("- {{aescbc: {{keys: [{{name: a, secret: \"{SECRET}"),
        format!("- {{aescbc: {{keys: [{{name: a, secret: *{SECRET}}}]}}}}"),
    ] {
        let said = say(&format!("{head}  {provider}\n"), false).await;
        assert!(said.starts_with("error "), "{said}");
        assert!(!said.contains(&SECRET[..20]), "{said}");
    }
    let keys: Keys = serde_json::from_str(&format!(r#"{{"keys":[{{"name":"a","secret":"{SECRET}"}}]}}"#)).unwrap();
    assert_eq!(format!("{keys:?}"), "Keys { keys: [Name: a, Secret: [REDACTED]] }");
}
