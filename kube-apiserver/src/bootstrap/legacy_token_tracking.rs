//! ConfigMap `kube-system/kube-apiserver-legacy-service-account-token-tracking`: since when the use of
//! legacy service account tokens is written down. Their cleaner counts from this day.
//!
//! Upstream: `pkg/controlplane/controller/legacytokentracking`.

use apimachinery::status::ApiError;
use serde_json::json;

use crate::objects::{Objects, find, text};

const NAME: &str = "kube-apiserver-legacy-service-account-token-tracking";

/// Creates the ConfigMap with today's date, or mends a date that is none.
pub(crate) async fn reconcile(objects: &dyn Objects) -> Result<(), ApiError> {
    let today = apimachinery::time::now().strftime("%Y-%m-%d").to_string();
    let result = match find(objects, "", "configmaps", "kube-system", NAME).await? {
        None => {
            let object = json!({
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": NAME, "namespace": "kube-system"},
                "data": {"since": today},
            });
            objects.create("", "configmaps", "kube-system", object).await
        }
        Some(have) if text(&have, "/data/since").parse::<jiff::civil::Date>().is_ok() => return Ok(()),
        Some(have) => {
            let mut new = (*have).clone();
            new["data"]["since"] = json!(today);
            objects.update("", "configmaps", "kube-system", new).await
        }
    };
    match result {
        // Another server did the same.
        Err(e) if !e.is_already_exists() && !e.is_conflict() => Err(e),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::memory::MemoryObjects;

    #[tokio::test]
    async fn the_first_day_is_kept_and_a_broken_one_mended() {
        let objects = MemoryObjects::default();
        let get = || async { objects.get("", "configmaps", "kube-system", NAME).await.expect("there") };
        reconcile(&objects).await.expect("created");
        let mut first = (*get().await).clone();
        first["data"]["since"] = json!("2020-01-02");
        objects.put("", "configmaps", first.clone());
        reconcile(&objects).await.expect("left alone");
        assert_eq!(get().await["data"]["since"], "2020-01-02");
        first["data"]["since"] = json!("yesterday");
        objects.put("", "configmaps", first);
        reconcile(&objects).await.expect("mended");
        assert_ne!(get().await["data"]["since"], "yesterday");
    }
}
