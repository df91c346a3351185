//! What the parts of a running kubelet share. No behaviour of its own.

use std::path::PathBuf;
use std::sync::Arc;

use client::Client;
use client::events::Recorder;
use client::store::Reader;
use k8s_openapi::api::core::v1::{Pod, Service};
use parking_lot::RwLock;
use tokio::sync::mpsc;

use crate::node::Facts;
use crate::options::Config;
use crate::pods::PodExt;
use crate::pods::manager::PodManager;
use crate::probes::Probes;
use crate::resources::cgroups::Cgroups;
use crate::runtime::Runtime;
use crate::runtime::backoff::Backoff;
use crate::runtime::image::Images;
use crate::runtime::resize::Given;
use crate::status::StatusManager;
use crate::status::reasons::Reasons;
use crate::volumes::objects::Objects;
use crate::volumes::tokens::Tokens;

/// Something that makes a pod worth another look.
#[derive(Debug, Clone)]
pub(crate) enum Poke {
    /// Its containers changed in the runtime.
    Runtime(String),
    /// A probe changed its mind.
    Probe(String),
    /// An object it refers to changed.
    Object(String),
    /// Its worker has finished everything.
    Finished(String),
}

/// See the module's text.
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) runtime: Arc<dyn Runtime>,
    /// `containerd`, as it begins container identifiers in the API.
    pub(crate) runtime_name: String,
    pub(crate) client: Option<Client>,
    pub(crate) recorder: Recorder,
    pub(crate) pods: PodManager,
    pub(crate) statuses: Arc<StatusManager>,
    pub(crate) probes: Arc<Probes>,
    pub(crate) cgroups: Cgroups,
    pub(crate) objects: Arc<Objects>,
    pub(crate) tokens: Tokens,
    pub(crate) services: Option<Reader<Service>>,
    pub(crate) images: Images,
    pub(crate) crash_backoff: Backoff,
    pub(crate) reasons: Reasons,
    pub(crate) given: Given,
    pub(crate) facts: Facts,
    /// Why pods with a network of their own cannot start yet.
    pub(crate) network: RwLock<Result<(), String>>,
    pub(crate) pokes: mpsc::UnboundedSender<Poke>,
}

impl Shared {
    /// `<root>/pods/<uid>`.
    pub(crate) fn pod_dir(&self, uid: &str) -> PathBuf {
        self.config.root_dir.join("pods").join(uid)
    }

    /// `/var/log/pods/<namespace>_<name>_<uid>`.
    pub(crate) fn log_dir(&self, pod: &Pod) -> PathBuf {
        let name = format!("{}_{}_{}", pod.namespace(), pod.name(), pod.uid());
        PathBuf::from(&self.config.file.pod_logs_dir).join(name)
    }

    /// Where links to the logs of containers are.
    pub(crate) fn log_links(&self) -> PathBuf {
        crate::runtime::log_files::links(&self.config.file.pod_logs_dir)
    }

    /// `containerd://<id>`.
    pub(crate) fn container_id(&self, id: &str) -> String {
        format!("{}://{id}", self.runtime_name)
    }

    /// Asks for another look at a pod.
    pub(crate) fn poke(&self, poke: Poke) {
        // The loop ends before its senders only when the kubelet stops.
        let _ = self.pokes.send(poke);
    }

    /// Services whose variables a pod gets (upstream: kubelet_pods.go `getServiceEnvVarMap`).
    pub(crate) fn services_for(&self, pod: &Pod) -> Vec<Arc<Service>> {
        let Some(reader) = &self.services else {
            return Vec::new();
        };
        let links = pod.spec().enable_service_links.unwrap_or(true);
        let mut services: Vec<Arc<Service>> = Vec::new();
        if links {
            services.extend(reader.list_namespace(pod.namespace()));
        }
        let master = reader.get("default", "kubernetes");
        if let Some(master) = master
            && !services
                .iter()
                .any(|s| s.metadata.name.as_deref() == Some("kubernetes"))
        {
            services.push(master);
        }
        services.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
        services
    }
}
