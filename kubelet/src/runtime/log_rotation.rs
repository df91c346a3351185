//! Keeps the logs of containers from filling the disk (upstream: pkg/kubelet/logs/container_log_manager.go).
//!
//! `0.log` becomes `0.log.<time>`, older ones are compressed to `0.log.<time>.gz`, and the runtime is
//! told to open a new `0.log`.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use apimachinery::quantity::Quantity;
use k8s_openapi::jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::State;
use crate::shared::Shared;

/// How often sizes are looked at (upstream: `containerLogMonitorInterval`).
const PERIOD: Duration = Duration::from_secs(10);

/// Rotates logs until `shutdown`.
pub(crate) async fn run(shared: Arc<Shared>, shutdown: CancellationToken) {
    let limit = shared
        .config
        .file
        .container_log_max_size
        .parse::<Quantity>()
        .map_or(0, |q| q.value());
    let Ok(limit) = u64::try_from(limit) else { return };
    let keep = usize::try_from(shared.config.file.container_log_max_files)
        .unwrap_or(5)
        .max(2);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(PERIOD) => {}
        }
        if limit > 0 && any_larger(Path::new(&shared.config.file.pod_logs_dir), limit) {
            rotate_all(&shared, limit, keep).await;
        }
    }
}

/// Whether any log is above the limit, by looking at files only: the runtime is not asked for nothing.
fn any_larger(directory: &Path, limit: u64) -> bool {
    let below = |path: &Path| std::fs::read_dir(path).into_iter().flatten().flatten();
    below(directory)
        .flat_map(|pod| below(&pod.path()))
        .flat_map(|container| below(&container.path()))
        .filter(|file| file.file_name().to_string_lossy().ends_with(".log"))
        .any(|file| file.metadata().is_ok_and(|m| m.len() > limit))
}

async fn rotate_all(shared: &Shared, limit: u64, keep: usize) {
    for container in shared.runtime.list_containers(None).await.unwrap_or_default() {
        if State::from_cri(container.state) != State::Running {
            continue;
        }
        let Ok(status) = shared.runtime.container_status(&container.id).await else {
            continue;
        };
        let path = PathBuf::from(status.log_path);
        if !std::fs::metadata(&path).is_ok_and(|m| m.len() > limit) {
            continue;
        }
        let old = path.clone();
        let rotated = tokio::task::spawn_blocking(move || rotate(&old, keep, Timestamp::now())).await;
        let rotated = match rotated {
            Ok(Ok(rotated)) => rotated,
            Ok(Err(error)) => {
                tracing::warn!(%error, path = %path.display(), "cannot rotate the log");
                continue;
            }
            Err(_) => continue,
        };
        if let Err(error) = shared.runtime.reopen_log(&container.id).await {
            tracing::warn!(%error, container = %container.id, "the runtime cannot reopen the log");
            let _ = std::fs::rename(rotated, &path);
        }
    }
}

/// Compresses older parts, removes the oldest, and moves the log away; returns where to.
fn rotate(path: &Path, keep: usize, now: Timestamp) -> io::Result<PathBuf> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let directory = path.parent().ok_or_else(|| io::Error::other("a log has a directory"))?;
    let mut parts: Vec<PathBuf> = std::fs::read_dir(directory)?
        .flatten()
        .map(|entry| entry.path())
        .filter(|p| {
            p.file_name()
                .is_some_and(|n| n.to_string_lossy().starts_with(&format!("{name}.")))
        })
        .collect();
    parts.sort();
    // The log itself and the part it is about to become count as well.
    while parts.len() + 2 > keep {
        std::fs::remove_file(parts.remove(0))?;
    }
    for part in parts.iter().filter(|p| p.extension().is_none_or(|e| e != "gz")) {
        compress(part)?;
    }
    let stamp = now
        .to_zoned(k8s_openapi::jiff::tz::TimeZone::UTC)
        .strftime("%Y%m%d-%H%M%S");
    let rotated = directory.join(format!("{name}.{stamp}"));
    std::fs::rename(path, &rotated)?;
    Ok(rotated)
}

fn compress(path: &Path) -> io::Result<()> {
    let mut from = std::fs::File::open(path)?;
    let temporary = PathBuf::from(format!("{}.tmp", path.display()));
    let mut to = flate2::write::GzEncoder::new(std::fs::File::create(&temporary)?, flate2::Compression::default());
    io::copy(&mut from, &mut to)?;
    to.finish()?.sync_all()?;
    std::fs::rename(temporary, format!("{}.gz", path.display()))?;
    std::fs::remove_file(path)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn parts_are_compressed_and_the_oldest_go() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("0.log");
        for second in 0..4 {
            std::fs::write(&log, "x").unwrap();
            rotate(&log, 3, Timestamp::from_second(1_000_000 + second).unwrap()).unwrap();
        }
        let mut names: Vec<String> = std::fs::read_dir(directory.path())
            .unwrap()
            .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        assert_eq!(names, ["0.log.19700112-134642.gz", "0.log.19700112-134643"]);
    }
}
