//! Files of one volume that would lie in each other's place (`warningsForOverlappingVirtualPaths`).

use apimachinery::field::quote;
use k8s_openapi::api::core::v1::{DownwardAPIVolumeFile, KeyToPath, Volume, VolumeProjection};

use crate::check::{list, text};

/// A path in a volume, and what it comes from when that is not the only source.
#[derive(Clone, PartialEq)]
struct File {
    path: String,
    source: String,
}

impl File {
    fn shown(&self) -> String {
        match self.source.as_str() {
            "" => quote(&self.path),
            source => format!("{} ({source})", quote(&self.path)),
        }
    }

    /// Whether one is the other or a directory on the way to it.
    fn overlaps(&self, other: &File) -> bool {
        if self.path.is_empty() || other.path.is_empty() {
            return false;
        }
        let (a, b) = (format!("{}/", self.path), format!("{}/", other.path));
        a.starts_with(&b) || b.starts_with(&a)
    }
}

pub(super) fn overlapping(out: &mut Vec<String>, volumes: &[Volume]) {
    for volume in volumes {
        let mut one = |files: Vec<File>, what: String| {
            let mut seen = vec![];
            add(out, &mut seen, files, &volume.name, &what);
        };
        if let Some(source) = &volume.config_map {
            one(keys(&source.items, ""), format!("ConfigMap {}", quote(&source.name)));
        }
        if let Some(source) = &volume.secret {
            let name = quote(text(&source.secret_name));
            one(keys(&source.items, ""), format!("Secret {name}"));
        }
        if let Some(source) = &volume.downward_api {
            one(fields(&source.items, ""), "DownwardAPI".to_string());
        }
        let sources = volume.projected.as_ref().map_or(&[][..], |p| list(&p.sources));
        let mut seen = vec![];
        for source in sources {
            if *source == VolumeProjection::default() {
                out.push(format!(
                    "volume {} (Projected) has no sources provided",
                    quote(&volume.name)
                ));
                continue;
            }
            add(out, &mut seen, projected(source), &volume.name, "Projected");
        }
    }
}

/// Compares files with those before them, and keeps them.
fn add(out: &mut Vec<String>, seen: &mut Vec<File>, files: Vec<File>, volume: &str, what: &str) {
    for mut file in files {
        file.path.truncate(file.path.trim_end_matches('/').len());
        for other in seen.iter().filter(|other| file.overlaps(other)) {
            out.push(format!(
                "volume {} ({what}): overlapping paths: {} with {}",
                quote(volume),
                file.shown(),
                other.shown()
            ));
        }
        seen.push(file);
    }
}

fn projected(source: &VolumeProjection) -> Vec<File> {
    let file = |path: &str, source: String| File {
        path: path.to_string(),
        source,
    };
    if let Some(s) = source.config_map.as_ref().filter(|s| s.items.is_some()) {
        keys(&s.items, &format!("ConfigMap {}", quote(&s.name)))
    } else if let Some(s) = source.secret.as_ref().filter(|s| s.items.is_some()) {
        keys(&s.items, &format!("Secret {}", quote(&s.name)))
    } else if let Some(s) = source.downward_api.as_ref().filter(|s| s.items.is_some()) {
        fields(&s.items, "DownwardAPI")
    } else if let Some(s) = &source.service_account_token {
        vec![file(&s.path, "ServiceAccountToken".to_string())]
    } else if let Some(s) = &source.cluster_trust_bundle {
        let name = s.name.as_deref().unwrap_or(text(&s.signer_name));
        vec![file(&s.path, format!("ClusterTrustBundle {}", quote(name)))]
    } else if let Some(s) = &source.pod_certificate {
        let parts = [
            (text(&s.certificate_chain_path), "PodCertificate chain"),
            (text(&s.key_path), "PodCertificate key"),
            (text(&s.credential_bundle_path), "PodCertificate credential bundle"),
        ];
        let given = parts.into_iter().filter(|(path, _)| !path.is_empty());
        given.map(|(path, what)| file(path, what.to_string())).collect()
    } else {
        vec![]
    }
}

fn keys(items: &Option<Vec<KeyToPath>>, source: &str) -> Vec<File> {
    files(list(items).iter().map(|i| i.path.as_str()), source)
}

fn fields(items: &Option<Vec<DownwardAPIVolumeFile>>, source: &str) -> Vec<File> {
    files(list(items).iter().map(|i| i.path.as_str()), source)
}

fn files<'a>(paths: impl Iterator<Item = &'a str>, source: &str) -> Vec<File> {
    let source = source.to_string();
    let file = |path: &str| File {
        path: path.to_string(),
        source: source.clone(),
    };
    paths.map(file).collect()
}
