//! Static pods: one manifest per file of a directory (upstream: pkg/kubelet/config/{file,common}.go).

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Pod, Toleration};
use k8s_openapi::jiff::Timestamp;
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Change;
use crate::pods::{CONFIG_HASH, CONFIG_SEEN, CONFIG_SOURCE, PodExt};

/// Tells of the pods in `directory`, on every change in it and every `period`.
pub(crate) fn watch(
    directory: PathBuf,
    node: String,
    period: Duration,
    changes: mpsc::UnboundedSender<Change>,
    shutdown: CancellationToken,
) {
    let (wake, mut woken) = mpsc::channel(1);
    listen(directory.clone(), wake);
    tokio::spawn(async move {
        let mut known: HashMap<PathBuf, Arc<Pod>> = HashMap::new();
        rescan(&directory, &node, &mut known, &changes);
        let _ = changes.send(Change::Synced);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(period) => {}
                Some(()) = woken.recv() => {}
            }
            rescan(&directory, &node, &mut known, &changes);
        }
    });
}

/// A thread that waits in the kernel for changes; it ends when nobody listens any more.
fn listen(directory: PathBuf, wake: mpsc::Sender<()>) {
    let thread = std::thread::Builder::new().name("static-pods".to_owned());
    let spawned = thread.spawn(move || {
        let interest = WatchFlags::CREATE
            | WatchFlags::CLOSE_WRITE
            | WatchFlags::MOVED_TO
            | WatchFlags::MOVED_FROM
            | WatchFlags::DELETE;
        let watch = inotify::init(CreateFlags::CLOEXEC)
            .and_then(|fd| inotify::add_watch(&fd, &directory, interest).map(|_| fd));
        let fd = match watch {
            Ok(fd) => fd,
            Err(error) => {
                tracing::debug!(%error, directory = %directory.display(), "cannot watch; will only rescan");
                return;
            }
        };
        let mut buffer = vec![0u8; 4096];
        loop {
            match rustix::io::read(&fd, &mut buffer) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(_) => return,
            }
            if let Err(mpsc::error::TrySendError::Closed(())) = wake.try_send(()) {
                return;
            }
        }
    });
    if let Err(error) = spawned {
        tracing::warn!(%error, "cannot watch the directory of static pods");
    }
}

fn rescan(
    directory: &Path,
    node: &str,
    known: &mut HashMap<PathBuf, Arc<Pod>>,
    changes: &mpsc::UnboundedSender<Change>,
) {
    let found = read_all(directory, node, known);
    let mut gone = Vec::new();
    known.retain(|path, old| match found.get(path) {
        Some(new) if new.metadata.uid == old.metadata.uid => true,
        _ => {
            gone.push(old.clone());
            false
        }
    });
    for pod in gone {
        let _ = changes.send(Change::Gone(pod));
    }
    for (path, pod) in found {
        known.entry(path).or_insert_with(|| {
            let _ = changes.send(Change::Set(pod.clone()));
            pod
        });
    }
}

/// The pods of all files. A file that cannot be read keeps the pod it last had.
fn read_all(directory: &Path, node: &str, known: &HashMap<PathBuf, Arc<Pod>>) -> HashMap<PathBuf, Arc<Pod>> {
    let mut files: Vec<PathBuf> = match std::fs::metadata(directory) {
        Ok(metadata) if metadata.is_file() => vec![directory.to_path_buf()],
        _ => std::fs::read_dir(directory)
            .into_iter()
            .flatten()
            .flatten()
            .filter(|entry| !entry.file_name().to_string_lossy().starts_with('.'))
            .map(|entry| entry.path())
            .filter(|path| path.is_file())
            .collect(),
    };
    files.sort();
    let mut pods: HashMap<PathBuf, Arc<Pod>> = HashMap::new();
    for path in files {
        match read(&path, node) {
            Ok(pod) => {
                pods.insert(path, Arc::new(pod));
            }
            Err(error) => {
                tracing::error!(path = %path.display(), %error, "Could not process manifest file");
                if let Some(old) = known.get(&path) {
                    pods.insert(path, old.clone());
                }
            }
        }
    }
    pods
}

fn read(path: &Path, node: &str) -> Result<Pod, String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    decode(&text, &path.to_string_lossy(), node)
}

/// A manifest as a static pod of `node`.
fn decode(text: &str, path: &str, node: &str) -> Result<Pod, String> {
    let value = component::config_file::parse(text)?;
    if value["apiVersion"] != "v1" || value["kind"] != "Pod" {
        return Err("invalid pod: want apiVersion v1, kind Pod".to_owned());
    }
    let mut pod: Pod = serde_json::from_value(value).map_err(|error| error.to_string())?;
    let uid = match pod.metadata.uid.take().filter(|uid| !uid.is_empty()) {
        Some(uid) => uid,
        None => {
            let mut hash = Sha256::new();
            hash.update(serde_json::to_vec(&pod).map_err(|error| error.to_string())?);
            hash.update(format!("host:{node}file:{path}"));
            hash.finalize()[..16].iter().map(|byte| format!("{byte:02x}")).collect()
        }
    };
    let metadata = &mut pod.metadata;
    let name = metadata
        .name
        .take()
        .filter(|n| !n.is_empty())
        .ok_or("name is required")?;
    metadata.name = Some(format!("{name}-{}", node.to_lowercase()));
    metadata.namespace = metadata
        .namespace
        .take()
        .filter(|n| !n.is_empty())
        .or(Some("default".to_owned()));
    metadata.deletion_timestamp = None;
    let annotations = metadata.annotations.get_or_insert_default();
    annotations.insert(CONFIG_SOURCE.to_owned(), "file".to_owned());
    annotations.insert(CONFIG_HASH.to_owned(), uid.clone());
    annotations.insert(CONFIG_SEEN.to_owned(), Timestamp::now().to_string());
    metadata.uid = Some(uid);
    let spec = pod.spec.as_mut().ok_or("spec is required")?;
    spec.node_name = Some(node.to_owned());
    let tolerations = spec.tolerations.get_or_insert_default();
    let tolerates_all = |t: &Toleration| {
        t.effect.as_deref() == Some("NoExecute") && t.operator.as_deref() == Some("Exists") && t.key.is_none()
    };
    if !tolerations.iter().any(tolerates_all) {
        tolerations.push(Toleration {
            operator: Some("Exists".to_owned()),
            effect: Some("NoExecute".to_owned()),
            ..Toleration::default()
        });
    }
    api::core::v1::defaults::pod(&mut pod);
    refuse_references(&pod)?;
    let errors = api::core::v1::validation::pod_create(&pod);
    if !errors.is_empty() {
        let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
        return Err(format!("invalid pod: [{}]", texts.join(", ")));
    }
    pod.status = Some(k8s_openapi::api::core::v1::PodStatus {
        phase: Some("Pending".to_owned()),
        ..Default::default()
    });
    Ok(pod)
}

/// A static pod may not refer to objects of the API (upstream: pkg/api/pod `HasAPIObjectReference`).
fn refuse_references(pod: &Pod) -> Result<(), String> {
    let references = crate::volumes::objects::References::of(pod);
    let refused = |what: &str| Err(format!("static pods can not reference {what}"));
    let spec = pod.spec();
    if !references.config_maps.is_empty() {
        return refused("configmaps");
    }
    if !references.secrets.is_empty() {
        return refused("secrets");
    }
    if spec
        .service_account_name
        .as_deref()
        .is_some_and(|name| !name.is_empty())
    {
        return refused("serviceaccounts");
    }
    if spec
        .volumes
        .iter()
        .flatten()
        .any(|v| v.persistent_volume_claim.is_some())
    {
        return refused("persistentvolumeclaims");
    }
    if spec.resource_claims.as_ref().is_some_and(|claims| !claims.is_empty()) {
        return refused("resourceclaims");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const WEB: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec: {containers: [{name: c, image: i}]}\n";

    #[test]
    fn manifest_becomes_a_pod_of_the_node_with_a_stable_uid() {
        let pod = decode(WEB, "/m/web.yaml", "n1").unwrap();
        assert_eq!((pod.name(), pod.namespace()), ("web-n1", "default"));
        assert!(pod.is_static() && !pod.is_mirror());
        assert_eq!(pod.uid().len(), 32);
        assert_eq!(pod.uid(), decode(WEB, "/m/web.yaml", "n1").unwrap().uid());
        assert_ne!(
            pod.uid(),
            decode(&WEB.replace("image: i", "image: j"), "/m/web.yaml", "n1")
                .unwrap()
                .uid()
        );
        let container = &pod.spec().containers[0];
        assert_eq!(
            container.termination_message_path.as_deref(),
            Some("/dev/termination-log")
        );
    }

    #[test]
    fn references_to_api_objects_are_refused() {
        let text = WEB.replace("spec: {", "spec: {volumes: [{name: v, secret: {secretName: s}}], ");
        assert_eq!(
            decode(&text, "/m", "n").unwrap_err(),
            "static pods can not reference secrets"
        );
        assert!(decode("kind: Service\napiVersion: v1\n", "/m", "n").is_err());
    }

    #[test]
    fn directory_changes_become_events() {
        let directory = tempfile::tempdir().unwrap();
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let mut known = HashMap::new();
        let path = directory.path().join("web.yaml");
        std::fs::write(&path, WEB).unwrap();
        std::fs::write(directory.path().join(".hidden"), WEB).unwrap();
        rescan(directory.path(), "n", &mut known, &sender);
        assert!(matches!(receiver.try_recv().unwrap(), Change::Set(_)));
        rescan(directory.path(), "n", &mut known, &sender);
        assert!(receiver.try_recv().is_err());
        std::fs::write(&path, "broken: [").unwrap();
        rescan(directory.path(), "n", &mut known, &sender);
        assert!(receiver.try_recv().is_err(), "a broken file keeps its pod");
        std::fs::remove_file(&path).unwrap();
        rescan(directory.path(), "n", &mut known, &sender);
        assert!(matches!(receiver.try_recv().unwrap(), Change::Gone(_)));
    }
}
