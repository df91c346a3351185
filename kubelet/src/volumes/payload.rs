//! The files of volumes that are made of API objects (upstream: pkg/volume/{configmap,secret,
//! projected,downwardapi}).

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    ConfigMap, DownwardAPIVolumeFile, KeyToPath, Pod, Secret, ServiceAccountTokenProjection, Volume,
};

use super::atomic::{File, Files};
use crate::downward::{self, Addresses};
use crate::pods::PodExt;
use crate::shared::Shared;

/// Permission bits of files whose volume says nothing.
const DEFAULT_MODE: i32 = 0o644;

/// The files of `volume`.
pub(super) async fn of_volume(shared: &Shared, pod: &Pod, volume: &Volume) -> Result<Files, String> {
    let source = Source { shared, pod };
    let mut files = Files::new();
    if let Some(map) = &volume.config_map {
        let mode = map.default_mode.unwrap_or(DEFAULT_MODE);
        let optional = map.optional == Some(true);
        source
            .config_map(&map.name, map.items.as_deref(), optional, mode, &mut files)
            .await?;
    } else if let Some(secret) = &volume.secret {
        let mode = secret.default_mode.unwrap_or(DEFAULT_MODE);
        let optional = secret.optional == Some(true);
        let name = secret.secret_name.as_deref().unwrap_or_default();
        source
            .secret(name, secret.items.as_deref(), optional, mode, &mut files)
            .await?;
    } else if let Some(downward) = &volume.downward_api {
        let mode = downward.default_mode.unwrap_or(DEFAULT_MODE);
        source.downward(downward.items.as_deref(), mode, &mut files)?;
    } else if let Some(projected) = &volume.projected {
        let mode = projected.default_mode.unwrap_or(DEFAULT_MODE);
        for part in projected.sources.iter().flatten() {
            if let Some(map) = &part.config_map {
                let optional = map.optional == Some(true);
                source
                    .config_map(&map.name, map.items.as_deref(), optional, mode, &mut files)
                    .await?;
            }
            if let Some(secret) = &part.secret {
                let optional = secret.optional == Some(true);
                source
                    .secret(&secret.name, secret.items.as_deref(), optional, mode, &mut files)
                    .await?;
            }
            if let Some(downward) = &part.downward_api {
                source.downward(downward.items.as_deref(), mode, &mut files)?;
            }
            if let Some(token) = &part.service_account_token {
                source.token(token, mode, &mut files).await?;
            }
            if part.cluster_trust_bundle.is_some() || part.pod_certificate.is_some() {
                return Err("clusterTrustBundle and podCertificate projections are not supported yet".to_owned());
            }
        }
    }
    Ok(files)
}

struct Source<'a> {
    shared: &'a Shared,
    pod: &'a Pod,
}

impl Source<'_> {
    async fn config_map(
        &self,
        name: &str,
        items: Option<&[KeyToPath]>,
        optional: bool,
        mode: i32,
        files: &mut Files,
    ) -> Result<(), String> {
        let namespace = self.pod.namespace();
        match self.shared.objects.config_map(namespace, name).await? {
            Some(map) => {
                let whose = format!("configmap {namespace}/{name}");
                choose(&config_map_data(&map), items, optional, mode, &whose, files)
            }
            None if optional => Ok(()),
            None => Err(format!("configmap \"{name}\" not found")),
        }
    }

    async fn secret(
        &self,
        name: &str,
        items: Option<&[KeyToPath]>,
        optional: bool,
        mode: i32,
        files: &mut Files,
    ) -> Result<(), String> {
        let namespace = self.pod.namespace();
        match self.shared.objects.secret(namespace, name).await? {
            Some(secret) => {
                let whose = format!("secret {namespace}/{name}");
                choose(&secret_data(&secret), items, optional, mode, &whose, files)
            }
            None if optional => Ok(()),
            None => Err(format!("secret \"{name}\" not found")),
        }
    }

    fn downward(&self, items: Option<&[DownwardAPIVolumeFile]>, mode: i32, files: &mut Files) -> Result<(), String> {
        for item in items.into_iter().flatten() {
            let value = if let Some(field) = &item.field_ref {
                downward::field(self.pod, &field.field_path, &Addresses::default())?
            } else if let Some(resource) = &item.resource_field_ref {
                let node = self.shared.facts.allocatable_for_pods();
                downward::resource(self.pod, None, resource, node)?
            } else {
                continue;
            };
            let mode = item.mode.unwrap_or(mode);
            files.insert(item.path.clone(), file(value.into_bytes(), mode));
        }
        Ok(())
    }

    async fn token(&self, token: &ServiceAccountTokenProjection, mode: i32, files: &mut Files) -> Result<(), String> {
        let Some(client) = &self.shared.client else {
            return Err("no apiserver to ask for a service account token".to_owned());
        };
        let audience = token.audience.as_deref().unwrap_or_default();
        let seconds = token.expiration_seconds.unwrap_or(3600);
        let text = self.shared.tokens.get(client, self.pod, audience, seconds).await?;
        let context = self.pod.spec().security_context.as_ref();
        let group = context.and_then(|c| c.fs_group);
        let owner = common_user(self.pod);
        let mode = if group.is_some() || owner.is_some() {
            0o600
        } else {
            mode
        };
        files.insert(
            token.path.clone(),
            File {
                owner,
                ..file(text.into_bytes(), mode)
            },
        );
        Ok(())
    }
}

/// The user all containers of the pod run as, if they say so and agree (upstream: pkg/volume/util
/// `FsUserFrom`).
fn common_user(pod: &Pod) -> Option<u32> {
    let of_pod = pod.spec().security_context.as_ref().and_then(|c| c.run_as_user);
    let mut common = None;
    for container in pod.spec().containers.iter().chain(pod.init_containers()) {
        let own = container.security_context.as_ref().and_then(|c| c.run_as_user);
        let user = own.or(of_pod)?;
        if common.is_some_and(|c| c != user) {
            return None;
        }
        common = Some(user);
    }
    common.and_then(|user| u32::try_from(user).ok())
}

fn config_map_data(map: &ConfigMap) -> BTreeMap<String, Vec<u8>> {
    let text = map
        .data
        .iter()
        .flatten()
        .map(|(k, v)| (k.clone(), v.clone().into_bytes()));
    let binary = map.binary_data.iter().flatten().map(|(k, v)| (k.clone(), v.0.clone()));
    text.chain(binary).collect()
}

fn secret_data(secret: &Secret) -> BTreeMap<String, Vec<u8>> {
    secret
        .data
        .iter()
        .flatten()
        .map(|(k, v)| (k.clone(), v.0.clone()))
        .collect()
}

/// All keys, or those the items name.
fn choose(
    data: &BTreeMap<String, Vec<u8>>,
    items: Option<&[KeyToPath]>,
    optional: bool,
    mode: i32,
    whose: &str,
    files: &mut Files,
) -> Result<(), String> {
    let items = items.unwrap_or_default();
    if items.is_empty() {
        files.extend(data.iter().map(|(key, value)| (key.clone(), file(value.clone(), mode))));
        return Ok(());
    }
    for item in items {
        match data.get(&item.key) {
            Some(value) => {
                let mode = item.mode.unwrap_or(mode);
                files.insert(item.path.clone(), file(value.clone(), mode));
            }
            None if optional => {}
            None => {
                let kind = whose.split(' ').next().unwrap_or_default();
                return Err(format!("{kind} references non-existent {kind} key: {}", item.key));
            }
        }
    }
    Ok(())
}

fn file(content: Vec<u8>, mode: i32) -> File {
    File {
        content,
        mode: u32::try_from(mode).unwrap_or(0o644) & 0o7777,
        owner: None,
    }
}
