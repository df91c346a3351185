//! Service accounts whose pods may use only the Secrets that the account lists (annotation
//! `kubernetes.io/enforce-mountable-secrets`). Upstream: `serviceaccount/admission.go` `limitSecretReferences`.

use apimachinery::meta;
use serde_json::Value;

use crate::objects::{items, text};

const ENFORCE: &str = "kubernetes.io/enforce-mountable-secrets";
/// What Go's `strconv.ParseBool` takes for true.
const TRUE: [&str; 6] = ["1", "t", "T", "TRUE", "true", "True"];

/// Why a pod uses more than its account lists; `ephemeral`: only its ephemeral containers are looked at.
pub(super) fn beyond(account: &Value, pod: &Value, ephemeral: bool) -> Option<String> {
    if !meta::annotation(account, ENFORCE).is_some_and(|value| TRUE.contains(&value)) {
        return None;
    }
    let listed = |list: &str, name: &str| items(account, list).iter().any(|s| text(s, "/name") == name);
    let account_name = meta::name(account);
    let refused = |what: String, name: &str| {
        (!listed("/secrets", name)).then(|| {
            format!("{what} secret.secretName=\"{name}\" is not allowed because service account {account_name} does not reference that secret")
        })
    };
    let container = |container: &Value, kind: &str| {
        let own = text(container, "/name");
        let from_key = items(container, "/env").iter().find_map(|env| {
            let key = env.pointer("/valueFrom/secretKeyRef")?;
            let what = format!("{kind} {own} with envVar {} referencing", text(env, "/name"));
            refused(what, text(key, "/name"))
        });
        from_key.or_else(|| {
            items(container, "/envFrom").iter().find_map(|env| {
                let secret = env.get("secretRef")?;
                refused(format!("{kind} {own} with envFrom referencing"), text(secret, "/name"))
            })
        })
    };
    let containers = |list: &str, kind: &str| items(pod, list).iter().find_map(|c| container(c, kind));
    if ephemeral {
        return containers("/spec/ephemeralContainers", "ephemeral container");
    }
    let volumes = || {
        items(pod, "/spec/volumes").iter().find_map(|volume| {
            let secret = volume.get("secret")?;
            refused("volume with".to_owned(), text(secret, "/secretName"))
        })
    };
    let pulls = || {
        let all = items(pod, "/spec/imagePullSecrets").iter().enumerate();
        let mut names = all.map(|(at, secret)| (at, text(secret, "/name")));
        names.find(|(_, name)| !listed("/imagePullSecrets", name)).map(|(at, name)| {
            format!("imagePullSecrets[{at}].name=\"{name}\" is not allowed because service account {account_name} does not reference that imagePullSecret")
        })
    };
    volumes()
        .or_else(|| containers("/spec/initContainers", "init container"))
        .or_else(|| containers("/spec/containers", "container"))
        .or_else(pulls)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_account_that_enforces_its_list_lets_pods_use_no_other_secrets() {
        let account = |enforce: &str| {
            json!({"metadata": {"name": "a", "annotations": {ENFORCE: enforce}}, "secrets": [{"name": "mine"}],
                "imagePullSecrets": [{"name": "pull"}]})
        };
        let env = |secret: &str| json!([{"name": "E", "valueFrom": {"secretKeyRef": {"name": secret, "key": "k"}}}]);
        let tail = "is not allowed because service account a does not reference that secret";
        for (spec, why) in [
            (json!({"volumes": [{"secret": {"secretName": "mine"}}], "imagePullSecrets": [{"name": "pull"}]}), None),
            (
                json!({"volumes": [{"secret": {"secretName": "x"}}]}),
                Some(format!("volume with secret.secretName=\"x\" {tail}")),
            ),
            (
                json!({"initContainers": [{"name": "i", "envFrom": [{"secretRef": {"name": "x"}}]}]}),
                Some(format!("init container i with envFrom referencing secret.secretName=\"x\" {tail}")),
            ),
            (
                json!({"containers": [{"name": "c", "env": env("x")}]}),
                Some(format!("container c with envVar E referencing secret.secretName=\"x\" {tail}")),
            ),
            (
                json!({"imagePullSecrets": [{"name": "x"}]}),
                Some(
                    "imagePullSecrets[0].name=\"x\" is not allowed because service account a does not reference that imagePullSecret"
                        .to_owned(),
                ),
            ),
        ] {
            let pod = json!({"spec": spec});
            assert_eq!(beyond(&account("true"), &pod, false), why);
            assert_eq!(beyond(&account("no"), &pod, false), None);
        }
        let debugged = json!({"spec": {"ephemeralContainers": [{"name": "e", "env": env("x")}]}});
        assert!(beyond(&account("1"), &debugged, true).is_some());
    }
}
