//! Tokens: a kubelet asks for those of the pods that run on it, for audiences that these pods name.

use apimachinery::field::aggregate;
use apimachinery::status::ApiError;
use serde_json::Value;

use super::{NodeRestriction, listed, needed};
use crate::admission::Attributes;
use crate::authz::Union;
use crate::objects::{Objects, items, text};
use crate::request::RequestInfo;

pub(super) async fn token(
    plugin: &NodeRestriction,
    node: &str,
    a: &Attributes<'_>,
    obj: &Value,
) -> Result<(), ApiError> {
    let no = |why: &str| Err(a.forbidden(obj, why));
    let bound = obj.pointer("/spec/boundObjectRef").unwrap_or(&Value::Null);
    if text(bound, "/kind") != "Pod" || text(bound, "/apiVersion") != "v1" || text(bound, "/name").is_empty() {
        return no("node requested token not bound to a pod");
    }
    let uid = text(bound, "/uid");
    if uid.is_empty() {
        return no("node requested token with a pod binding without a uid");
    }
    let name = text(bound, "/name");
    let pod = needed(&*plugin.objects, "pods", a, obj, (a.namespace(), name)).await?;
    if uid != text(&pod, "/metadata/uid") {
        return no(&format!(
            "the UID in the bound object reference ({uid}) does not match the UID in record. The object might have been deleted and then recreated"
        ));
    }
    if text(&pod, "/spec/nodeName") != node {
        return no("node requested token bound to a pod scheduled on a different node");
    }
    let audience = match items(obj, "/spec/audiences") {
        [] => "",
        [one] => one.as_str().unwrap_or_default(),
        _ => return no("node may only request 0 or 1 audiences"),
    };
    match uses_audience(&*plugin.objects, &pod, audience).await {
        Ok(true) => return Ok(()),
        Ok(false) => {}
        // What cannot be looked up is not decided by permissions.
        Err(why) => return no(&format!("error validating audience {audience:?}: {why}")),
    }
    if may_ask_for(&plugin.authorizer, a, audience).await {
        return Ok(());
    }
    let user = &a.ctx.user.name;
    let why = format!(
        "audience {audience:?} not found in pod spec volume, {user} is not authorized to request tokens for this audience"
    );
    Err(a.forbidden(obj, why))
}

/// Whether a projected token of the pod has this audience, or the driver of one of its CSI volumes asks for it
/// (`podReferencesAudience`). The error: nothing that could be looked up has it, and this could not.
async fn uses_audience(objects: &dyn Objects, pod: &Value, audience: &str) -> Result<bool, String> {
    let mut failures: Vec<String> = vec![];
    for volume in items(pod, "/spec/volumes") {
        let projected = items(volume, "/projected/sources").iter();
        let mut tokens = projected.filter_map(|source| source.get("serviceAccountToken"));
        if tokens.any(|token| text(token, "/audience") == audience) {
            return Ok(true);
        }
        match driver_has_audience(objects, pod, volume, audience).await {
            Ok(true) => return Ok(true),
            Ok(false) => {}
            Err(e) => failures.push(e.message),
        }
    }
    match aggregate(&failures) {
        None => Ok(false),
        Some(failures) => Err(failures),
    }
}

async fn driver_has_audience(
    objects: &dyn Objects,
    pod: &Value,
    volume: &Value,
    audience: &str,
) -> Result<bool, ApiError> {
    let driver = driver(objects, pod, volume).await?;
    if driver.is_empty() {
        return Ok(false);
    }
    let driver = listed(objects, ("storage.k8s.io", "csidrivers"), "", &driver).await?;
    let mut requests = items(&driver, "/spec/tokenRequests").iter();
    Ok(requests.any(|request| text(request, "/audience") == audience))
}

/// The CSI driver behind a volume, empty when there is none. (Upstream also translates volumes of drivers that were
/// once in its tree.)
async fn driver(objects: &dyn Objects, pod: &Value, volume: &Value) -> Result<String, ApiError> {
    let ns = text(pod, "/metadata/namespace");
    let claim = if volume.pointer("/ephemeral/volumeClaimTemplate").is_some() {
        format!("{}-{}", text(pod, "/metadata/name"), text(volume, "/name"))
    } else if volume.get("persistentVolumeClaim").is_some() {
        text(volume, "/persistentVolumeClaim/claimName").to_owned()
    } else {
        return Ok(text(volume, "/csi/driver").to_owned());
    };
    let claim = listed(objects, ("", "persistentvolumeclaims"), ns, &claim).await?;
    let name = text(&claim, "/spec/volumeName");
    let volume = listed(objects, ("", "persistentvolumes"), "", name).await?;
    Ok(text(&volume, "/spec/csi/driver").to_owned())
}

/// Permission for an audience that no volume names.
async fn may_ask_for(authorizer: &Union, a: &Attributes<'_>, audience: &str) -> bool {
    let info = RequestInfo {
        verb: "request-serviceaccounts-token-audience".to_owned(),
        api_version: "v1".to_owned(),
        namespace: a.namespace().to_owned(),
        resource: audience.to_owned(),
        name: a.ctx.info.name.clone(),
        is_resource: true,
        ..Default::default()
    };
    authorizer.allows(&a.ctx.user, &info).await
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::objects::memory::MemoryObjects;

    #[tokio::test]
    async fn what_cannot_be_looked_up_is_said_unless_another_volume_has_the_audience() {
        let objects = MemoryObjects::with(&[
            (
                "",
                "persistentvolumeclaims",
                json!({"metadata":{"name":"bound","namespace":"ns"},"spec":{"volumeName":"pv"}}),
            ),
            (
                "",
                "persistentvolumeclaims",
                json!({"metadata":{"name":"unbound","namespace":"ns"},"spec":{}}),
            ),
            (
                "",
                "persistentvolumes",
                json!({"metadata":{"name":"pv"},"spec":{"csi":{"driver":"d"}}}),
            ),
            (
                "storage.k8s.io",
                "csidrivers",
                json!({"metadata":{"name":"d"},"spec":{"tokenRequests":[{"audience":"vault"}]}}),
            ),
        ]);
        let claim = |name: &str| json!({"name": "v", "persistentVolumeClaim": {"claimName": name}});
        let csi = |driver: &str| json!({"name": "v", "csi": {"driver": driver}});
        let ephemeral = json!({"name": "e", "ephemeral": {"volumeClaimTemplate": {}}});
        for (volumes, want) in [
            (vec![claim("bound")], Ok(true)),
            (vec![claim("gone"), claim("bound")], Ok(true)),
            (vec![json!({"name": "v", "emptyDir": {}})], Ok(false)),
            (
                vec![claim("gone"), claim("gone")],
                Err("persistentvolumeclaim \"gone\" not found"),
            ),
            (vec![claim("unbound")], Err("persistentvolume \"\" not found")),
            (vec![ephemeral], Err("persistentvolumeclaim \"p-e\" not found")),
            (
                vec![csi("x"), claim("gone")],
                Err("[csidriver.storage.k8s.io \"x\" not found, persistentvolumeclaim \"gone\" not found]"),
            ),
        ] {
            let pod = json!({"metadata": {"name": "p", "namespace": "ns"}, "spec": {"volumes": volumes}});
            let got = uses_audience(&*objects, &pod, "vault").await;
            assert_eq!(got, want.map_err(str::to_owned), "{pod}");
        }
    }
}
