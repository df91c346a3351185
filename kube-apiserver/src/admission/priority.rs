//! Priority: priorityClassName becomes the number the scheduler compares.
//!
//! Upstream: `plugin/pkg/admission/priority/admission.go`.

use std::sync::Arc;

use apimachinery::status::ApiError;
use async_trait::async_trait;
use serde_json::{Value, json};

use super::{Attributes, Operation, Plugin, World};
use crate::objects::{Objects, find, text};

const GROUP: &str = "scheduling.k8s.io";
const DEFAULT_POLICY: &str = "PreemptLowerPriority";

/// The plugin.
pub(crate) struct Priority {
    objects: Arc<dyn Objects>,
}

impl Priority {
    /// Looks priority classes up in `world`.
    pub(crate) fn new(world: &World) -> Self {
        Priority {
            objects: world.objects.clone(),
        }
    }

    /// The class marked as global default; of several the one with the lowest value.
    async fn default_class(&self) -> Result<Option<Arc<Value>>, ApiError> {
        let all = self.objects.list(GROUP, "priorityclasses", "").await?;
        Ok(all
            .into_iter()
            .filter(|c| c["globalDefault"].as_bool() == Some(true))
            .min_by_key(|c| c["value"].as_i64().unwrap_or(0)))
    }

    async fn admit_pod(&self, a: &Attributes<'_>, pod: &mut Value) -> Result<(), ApiError> {
        if a.operation == Operation::Update {
            if let Some(old) = a.old {
                for field in ["priority", "preemptionPolicy"] {
                    if pod["spec"].get(field).is_none()
                        && let Some(v) = old["spec"].get(field)
                    {
                        pod["spec"][field] = v.clone();
                    }
                }
            }
            return Ok(());
        }
        let name = text(pod, "/spec/priorityClassName").to_owned();
        let class = if name.is_empty() {
            self.default_class().await?
        } else {
            let found = find(&*self.objects, GROUP, "priorityclasses", "", &name).await?;
            Some(found.ok_or_else(|| a.forbidden(pod, format!("no PriorityClass with name {name} was found")))?)
        };
        let value = class.as_ref().and_then(|c| c["value"].as_i64()).unwrap_or(0);
        let policy = class
            .as_ref()
            .map(|c| text(c, "/preemptionPolicy"))
            .filter(|p| !p.is_empty())
            .unwrap_or(DEFAULT_POLICY)
            .to_owned();
        if let Some(c) = class.filter(|_| name.is_empty()) {
            pod["spec"]["priorityClassName"] = json!(text(&c, "/metadata/name"));
        }
        if let Some(given) = pod["spec"]["priority"].as_i64().filter(|g| *g != value) {
            return Err(a.forbidden(pod, format!(
                "the integer value of priority ({given}) must not be provided in pod spec; priority admission controller computed {value} from the given PriorityClass name"
            )));
        }
        let given_policy = text(pod, "/spec/preemptionPolicy").to_owned();
        if !given_policy.is_empty() && given_policy != policy {
            return Err(a.forbidden(pod, format!(
                "the string value of PreemptionPolicy ({given_policy}) must not be provided in pod spec; priority admission controller computed {policy} from the given PriorityClass name"
            )));
        }
        pod["spec"]["priority"] = json!(value);
        pod["spec"]["preemptionPolicy"] = json!(policy);
        Ok(())
    }
}

#[async_trait]
impl Plugin for Priority {
    fn handles(&self, operation: Operation) -> bool {
        matches!(operation, Operation::Create | Operation::Update)
    }

    async fn admit(&self, a: &Attributes<'_>, obj: &mut Value) -> Result<(), ApiError> {
        if a.is("", "pods", "") {
            self.admit_pod(a, obj).await
        } else {
            Ok(())
        }
    }

    async fn validate(&self, a: &Attributes<'_>, obj: &Value) -> Result<(), ApiError> {
        if !a.is(GROUP, "priorityclasses", "") || obj["globalDefault"].as_bool() != Some(true) {
            return Ok(());
        }
        if let Some(other) = self.default_class().await?
            && text(&other, "/metadata/name") != text(obj, "/metadata/name")
        {
            return Err(a.forbidden(
                obj,
                format!(
                    "PriorityClass {} is already marked as default. Only one default can exist",
                    text(&other, "/metadata/name")
                ),
            ));
        }
        Ok(())
    }
}
