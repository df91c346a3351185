//! Emptying a namespace of one resource. Upstream: `deleteAllContentForGroupVersionResource`.

use client::{Api, Client, DeleteOptions, ListParams, PartialObjectMetadata, Result, discovery::Discovered};

use super::conditions::Findings;

/// Seconds until finalizers are worth another look (`finalizerEstimateSeconds`).
const FINALIZER_SECONDS: u64 = 15;

/// Deletes what there is and adds to `findings` what remains or went wrong.
pub(super) async fn delete(client: &Client, found: &Discovered, namespace: &str, findings: &mut Findings) {
    if let Err(error) = try_delete(client, found, namespace, findings).await {
        // A resource may vanish with its definition while its group is being listed.
        if !error.is_not_found() {
            findings.failures.push(error.chain());
        }
    }
}

async fn try_delete(client: &Client, found: &Discovered, namespace: &str, findings: &mut Findings) -> Result<()> {
    let api = Api::<PartialObjectMetadata>::of_resource(client.clone(), found.resource.clone(), Some(namespace));
    // Most resources have nothing here: one list tells, and spares the deletion.
    let before = api.list_all(&ListParams::default()).await?;
    if before.is_empty() {
        return Ok(());
    }
    let options = DeleteOptions {
        propagation_policy: Some("Background".to_owned()),
        ..DeleteOptions::default()
    };
    if found.supports(&["deletecollection"]) {
        api.delete_collection(&options, &ListParams::default()).await?;
    } else {
        for object in &before {
            let name = object.metadata.name.as_deref().unwrap_or_default();
            match api.delete(name, &options).await {
                Err(error) if !error.is_not_found() && !error.is_conflict() => return Err(error),
                _ => {}
            }
        }
    }
    let left = api.list_all(&ListParams::default()).await?;
    if left.is_empty() {
        return Ok(());
    }
    let resource = format!("{}.{}", found.resource.plural, found.resource.group);
    findings.remaining.insert(resource.clone(), left.len());
    let finalizers = left
        .iter()
        .flat_map(|object| object.metadata.finalizers.iter().flatten());
    let mut has_finalizers = false;
    for finalizer in finalizers {
        has_finalizers = true;
        *findings.finalizers.entry(finalizer.clone()).or_default() += 1;
    }
    // Only pods end gracefully.
    let grace = left
        .iter()
        .filter_map(|object| object.metadata.deletion_grace_period_seconds)
        .max()
        .unwrap_or(0);
    let estimate = match u64::try_from(grace) {
        Ok(grace) if grace > 0 => grace,
        _ if has_finalizers => FINALIZER_SECONDS,
        _ => {
            findings.failures.push(format!(
                "unexpected items still remain in namespace: {namespace} for gvr: {resource}"
            ));
            return Ok(());
        }
    };
    findings.look_again = Some(findings.look_again.unwrap_or(0).max(estimate));
    Ok(())
}
