//! AlwaysPullImages: nobody starts a private image by its mere presence on a node.
//!
//! Upstream: `plugin/pkg/admission/alwayspullimages/admission.go`.

use apimachinery::field::{Error, Path, aggregate};
use apimachinery::status::ApiError;
use async_trait::async_trait;
use serde_json::{Value, json};

use super::{Attributes, Operation, Plugin};
use crate::objects::{items, text};

const CONTAINERS: [&str; 3] = ["initContainers", "containers", "ephemeralContainers"];
const ALWAYS: &str = "Always";

/// The plugin.
pub(crate) struct AlwaysPullImages;

#[async_trait]
impl Plugin for AlwaysPullImages {
    fn handles(&self, operation: Operation) -> bool {
        matches!(operation, Operation::Create | Operation::Update)
    }

    async fn admit(&self, a: &Attributes<'_>, pod: &mut Value) -> Result<(), ApiError> {
        if !concerns(a, pod) {
            return Ok(());
        }
        let mut each = |list: &str, change: fn(&mut Value)| {
            let all = pod["spec"].get_mut(list).and_then(Value::as_array_mut);
            all.into_iter().flatten().for_each(change);
        };
        for list in CONTAINERS {
            each(list, |container| container["imagePullPolicy"] = json!(ALWAYS));
        }
        each("volumes", |volume| {
            if let Some(image) = volume.get_mut("image").filter(|image| image.is_object()) {
                image["pullPolicy"] = json!(ALWAYS);
            }
        });
        Ok(())
    }

    async fn validate(&self, a: &Attributes<'_>, pod: &Value) -> Result<(), ApiError> {
        if !concerns(a, pod) {
            return Ok(());
        }
        let mut wrong = Vec::new();
        let mut check = |path: Path, policy: &str| {
            if policy != ALWAYS {
                wrong.push(a.forbidden(pod, Error::not_supported(&path, policy, &[ALWAYS])).message);
            }
        };
        let spec = Path::new("spec");
        for list in CONTAINERS {
            for (i, container) in items(pod, &format!("/spec/{list}")).iter().enumerate() {
                let path = spec.child(list).index(i).child("imagePullPolicy");
                check(path, text(container, "/imagePullPolicy"));
            }
        }
        for (i, volume) in items(pod, "/spec/volumes").iter().enumerate() {
            if volume.get("image").is_some_and(Value::is_object) {
                let path = spec.child("volumes").index(i).child("image").child("pullPolicy");
                check(path, text(volume, "/image/pullPolicy"));
            }
        }
        // Upstream hands on a list of errors, which is no status.
        match aggregate(&wrong) {
            None => Ok(()),
            Some(wrong) => Err(ApiError::generic(500, "", wrong)),
        }
    }
}

/// Pods, and their updates that bring other images.
fn concerns(a: &Attributes<'_>, pod: &Value) -> bool {
    let images = |pod| {
        CONTAINERS
            .iter()
            .flat_map(move |list| items(pod, &format!("/spec/{list}")))
            .map(|container| text(container, "/image"))
    };
    let brings = |old| images(pod).any(|image| images(old).all(|had| had != image));
    a.is("", "pods", "") && (a.operation != Operation::Update || a.old.is_some_and(brings))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::request::RequestContext;

    #[tokio::test]
    async fn new_images_are_always_pulled() {
        let ctx = RequestContext::internal_for("create", "", "v1", "pods", "ns", "p");
        let pod = |image: &str| {
            json!({"spec": {"containers": [{"name": "c", "image": image, "imagePullPolicy": "Never"}],
                "initContainers": [{"name": "i", "image": "a"}],
                "volumes": [{"name": "v", "image": {"reference": "r"}}, {"name": "e", "emptyDir": {}}]}})
        };
        let mut attrs = Attributes {
            ctx: &ctx,
            operation: Operation::Create,
            old: None,
        };
        let mut new = pod("a");
        AlwaysPullImages.admit(&attrs, &mut new).await.unwrap();
        let spec = &new["spec"];
        for policy in [
            &spec["containers"][0]["imagePullPolicy"],
            &spec["initContainers"][0]["imagePullPolicy"],
            &spec["volumes"][0]["image"]["pullPolicy"],
        ] {
            assert_eq!(policy, ALWAYS);
        }
        assert_eq!(spec["volumes"][1], json!({"name": "e", "emptyDir": {}}));
        AlwaysPullImages.validate(&attrs, &new).await.unwrap();

        let mut changed = pod("a");
        changed["spec"]["volumes"] = json!([]);
        changed["spec"]["initContainers"] = json!([]);
        let error = AlwaysPullImages.validate(&attrs, &changed).await.unwrap_err();
        let wanted = "pods \"p\" is forbidden: spec.containers[0].imagePullPolicy: Unsupported value: \"Never\": \
            supported values: \"Always\"";
        assert_eq!((error.code, error.message.as_str()), (500, wanted));

        // Pods that run keep their policy until their image changes.
        let old = pod("a");
        attrs = Attributes {
            operation: Operation::Update,
            old: Some(&old),
            ..attrs
        };
        for (image, policy) in [("a", "Never"), ("b", ALWAYS)] {
            let mut new = pod(image);
            AlwaysPullImages.admit(&attrs, &mut new).await.unwrap();
            assert_eq!(new["spec"]["containers"][0]["imagePullPolicy"], policy, "{image}");
        }
    }
}
