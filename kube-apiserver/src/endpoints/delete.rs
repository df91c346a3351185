//! DELETE of one object.

use apimachinery::meta;
use apimachinery::status::Result;
use axum::body::Body;
use http::{Response, StatusCode};
use serde_json::json;

use super::admit::Admit;
use super::{Call, codec, negotiate, respond};
use crate::admission::Operation;
use crate::registry::options::DeleteOptions;

/// Kinds whose DELETE answers with the object instead of a Status (upstream `ReturnDeletedObject`;
/// read off the reference OpenAPI document).
pub(super) const RETURNS_OBJECT: [(&str, &str); 16] = [
    ("", "persistentvolumeclaims"),
    ("", "persistentvolumes"),
    ("", "pods"),
    ("", "podtemplates"),
    ("", "resourcequotas"),
    ("", "serviceaccounts"),
    ("", "services"),
    ("resource.k8s.io", "deviceclasses"),
    ("resource.k8s.io", "resourceclaims"),
    ("resource.k8s.io", "resourceclaimtemplates"),
    ("resource.k8s.io", "resourceslices"),
    ("storage.k8s.io", "csidrivers"),
    ("storage.k8s.io", "csinodes"),
    ("storage.k8s.io", "storageclasses"),
    ("storage.k8s.io", "volumeattachments"),
    ("storage.k8s.io", "volumeattributesclasses"),
];

pub(super) async fn serve(mut call: Call) -> Result<Response<Body>> {
    let out = call.output()?;
    let options = options(&mut call).await?;
    let store = call.store()?;
    let admit = Admit::new(&call.api, &call.ctx, Operation::Delete);
    let (ctx, ns, name) = (&call.ctx, call.namespace(), call.ctx.info.name.as_str());
    let deleted = store.delete(ctx, ns, name, &options, &admit).await?;
    let (entry, gone) = (deleted.entry, deleted.gone);

    let row = call.row;
    // A cascading deletion that still waits is only accepted; other waiting objects answer 200.
    let code = if !gone && options.orphan_dependents == Some(false) {
        StatusCode::ACCEPTED
    } else {
        StatusCode::OK
    };
    if !gone || RETURNS_OBJECT.contains(&(row.group, row.plural)) {
        return respond::object(code, &out, &call.query, row, &entry);
    }
    let mut details = json!({"name": call.ctx.info.name, "kind": row.plural, "uid": meta::uid(&entry.value())});
    if !row.group.is_empty() {
        details["group"] = row.group.into();
    }
    let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details});
    respond::value(
        code,
        &negotiate::Output {
            view: Default::default(),
            ..out
        },
        &status,
    )
}

/// What is said to those who leave it to the kind (pkg/registry/batch/job/storage `deleteOptionWarnings`).
const JOBS_ORPHAN: &str = "child pods are preserved by default when jobs are deleted; \
    set propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress this warning";

/// Options come in the body, or else in the query.
pub(super) async fn options(call: &mut Call) -> Result<DeleteOptions> {
    let bytes = call.body().await?;
    let options = if bytes.is_empty() {
        DeleteOptions::from_query(&call.query)?
    } else {
        let format = negotiate::input(&call.head.headers)?;
        let v = codec::decode_options(format, &bytes, "DeleteOptions")?;
        DeleteOptions::from_body(&v)
    };
    options.validate()?;
    let silent = options.propagation_policy.is_none() && options.orphan_dependents.is_none();
    if silent && (call.row.group, call.row.plural) == ("batch", "jobs") {
        call.ctx.warn(JOBS_ORPHAN);
    }
    call.ctx.dry_run = options.dry_run;
    Ok(options)
}
