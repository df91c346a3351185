//! Which objects the pods of a node refer to.
//!
//! Upstream keeps a directed graph (`plugin/pkg/auth/authorizer/node/graph.go`); here each pod holds
//! its references and each node its pods, because a node has few pods and questions name the node.

use std::collections::{HashMap, HashSet};

use api::core::v1::MIRROR_ANNOTATION;
use apimachinery::meta;
use parking_lot::RwLock;
use serde_json::Value;

use crate::objects::{items, text};

/// What an edge of the graph leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Ref {
    /// A Secret.
    Secret,
    /// A ConfigMap.
    ConfigMap,
    /// A PersistentVolumeClaim.
    Claim,
    /// A PersistentVolume.
    Volume,
    /// A ResourceClaim.
    ResourceClaim,
    /// A VolumeAttachment.
    Attachment,
    /// A ServiceAccount.
    ServiceAccount,
    /// The pod itself.
    Pod,
}

/// The resources the graph is fed with, by (group, resource, field selector): pods of no node lead nowhere.
pub(crate) const RESOURCES: [(&str, &str, &str); 3] = [
    ("", "pods", "spec.nodeName!="),
    ("", "persistentvolumes", ""),
    ("storage.k8s.io", "volumeattachments", ""),
];

/// The graph.
#[derive(Default)]
pub(crate) struct Graph {
    state: RwLock<State>,
}

type Key = (String, String);

#[derive(Default)]
struct State {
    pods: HashMap<Key, Pod>,
    by_node: HashMap<String, HashSet<Key>>,
    /// Volume name -> claim and secrets.
    volumes: HashMap<String, Volume>,
    /// Attachment name -> node.
    attachments: HashMap<String, String>,
}

struct Pod {
    node: String,
    /// Names in the pod's namespace.
    refs: HashSet<(Ref, String)>,
}

struct Volume {
    claim: Key,
    secrets: HashSet<Key>,
}

impl Graph {
    /// Feeds one change: the object's new state, or `None` when it is gone.
    pub(crate) fn apply(&self, resource: &str, namespace: &str, name: &str, obj: Option<&Value>) {
        let mut state = self.state.write();
        match resource {
            "pods" => state.set_pod((namespace.to_owned(), name.to_owned()), obj.and_then(pod)),
            "persistentvolumes" => match obj.and_then(volume) {
                Some(v) => drop(state.volumes.insert(name.to_owned(), v)),
                None => drop(state.volumes.remove(name)),
            },
            "volumeattachments" => match obj.map(|o| text(o, "/spec/nodeName").to_owned()) {
                Some(node) => drop(state.attachments.insert(name.to_owned(), node)),
                None => drop(state.attachments.remove(name)),
            },
            _ => {}
        }
    }

    /// Whether something on `node` leads to the object.
    pub(crate) fn has_path(&self, node: &str, to: Ref, namespace: &str, name: &str) -> bool {
        let state = self.state.read();
        match to {
            Ref::Attachment => return state.attachments.get(name).is_some_and(|n| n == node),
            Ref::Pod => {
                return state
                    .pods
                    .get(&(namespace.to_owned(), name.to_owned()))
                    .is_some_and(|p| p.node == node);
            }
            Ref::Volume => {
                return state
                    .volumes
                    .get(name)
                    .is_some_and(|v| state.uses(node, Ref::Claim, &v.claim.0, &v.claim.1));
            }
            _ => {}
        }
        if state.uses(node, to, namespace, name) {
            return true;
        }
        // A secret may also be reached through a volume whose claim a pod uses.
        to == Ref::Secret
            && state
                .volumes
                .values()
                .filter(|v| v.secrets.iter().any(|(ns, n)| ns == namespace && n == name))
                .any(|v| state.uses(node, Ref::Claim, &v.claim.0, &v.claim.1))
    }
}

impl State {
    fn uses(&self, node: &str, to: Ref, namespace: &str, name: &str) -> bool {
        let Some(pods) = self.by_node.get(node) else {
            return false;
        };
        let wanted = (to, name.to_owned());
        pods.iter()
            .filter(|k| k.0 == namespace)
            .any(|k| self.pods.get(k).is_some_and(|p| p.refs.contains(&wanted)))
    }

    fn set_pod(&mut self, key: Key, new: Option<Pod>) {
        if let Some(old) = self.pods.remove(&key)
            && let Some(set) = self.by_node.get_mut(&old.node)
        {
            set.remove(&key);
            if set.is_empty() {
                self.by_node.remove(&old.node);
            }
        }
        if let Some(p) = new {
            self.by_node.entry(p.node.clone()).or_default().insert(key.clone());
            self.pods.insert(key, p);
        }
    }
}

/// A pod that is bound to a node, with all it refers to (upstream `VisitPodSecretNames`,
/// `VisitPodConfigmapNames`). Mirror pods refer to nothing: a node could invent them.
fn pod(obj: &Value) -> Option<Pod> {
    let node = text(obj, "/spec/nodeName");
    if node.is_empty() {
        return None;
    }
    let mut refs = HashSet::new();
    if meta::annotation(obj, MIRROR_ANNOTATION).is_none() {
        collect(obj, &mut refs);
    }
    Some(Pod {
        node: node.to_owned(),
        refs,
    })
}

fn collect(obj: &Value, refs: &mut HashSet<(Ref, String)>) {
    let mut add = |to: Ref, name: &str| {
        if !name.is_empty() {
            refs.insert((to, name.to_owned()));
        }
    };
    let pod_name = text(obj, "/metadata/name");
    add(Ref::ServiceAccount, text(obj, "/spec/serviceAccountName"));
    for s in items(obj, "/spec/imagePullSecrets") {
        add(Ref::Secret, text(s, "/name"));
    }
    for list in ["/spec/containers", "/spec/initContainers", "/spec/ephemeralContainers"] {
        for c in items(obj, list) {
            for e in items(c, "/envFrom") {
                add(Ref::Secret, text(e, "/secretRef/name"));
                add(Ref::ConfigMap, text(e, "/configMapRef/name"));
            }
            for e in items(c, "/env") {
                add(Ref::Secret, text(e, "/valueFrom/secretKeyRef/name"));
                add(Ref::ConfigMap, text(e, "/valueFrom/configMapKeyRef/name"));
            }
        }
    }
    for v in items(obj, "/spec/volumes") {
        add(Ref::Secret, text(v, "/secret/secretName"));
        add(Ref::ConfigMap, text(v, "/configMap/name"));
        add(Ref::Claim, text(v, "/persistentVolumeClaim/claimName"));
        if v.get("ephemeral").is_some() {
            add(Ref::Claim, &format!("{pod_name}-{}", text(v, "/name")));
        }
        for s in items(v, "/projected/sources") {
            add(Ref::Secret, text(s, "/secret/name"));
            add(Ref::ConfigMap, text(s, "/configMap/name"));
        }
        for driver in ["cephfs", "flexVolume", "rbd", "scaleIO", "iscsi", "storageos"] {
            add(Ref::Secret, text(v, &format!("/{driver}/secretRef/name")));
        }
        add(Ref::Secret, text(v, "/azureFile/secretName"));
        add(Ref::Secret, text(v, "/csi/nodePublishSecretRef/name"));
    }
    for c in items(obj, "/spec/resourceClaims") {
        add(Ref::ResourceClaim, text(c, "/resourceClaimName"));
    }
    for c in items(obj, "/status/resourceClaimStatuses") {
        add(Ref::ResourceClaim, text(c, "/resourceClaimName"));
    }
    add(
        Ref::ResourceClaim,
        text(obj, "/status/extendedResourceClaimStatus/resourceClaimName"),
    );
}

fn volume(obj: &Value) -> Option<Volume> {
    let claim = (
        text(obj, "/spec/claimRef/namespace").to_owned(),
        text(obj, "/spec/claimRef/name").to_owned(),
    );
    if claim.1.is_empty() {
        return None;
    }
    let mut secrets = HashSet::new();
    let mut add = |pointer: &str| {
        let name = text(obj, &format!("{pointer}/name"));
        if !name.is_empty() {
            let ns = Some(text(obj, &format!("{pointer}/namespace")))
                .filter(|n| !n.is_empty())
                .unwrap_or(&claim.0);
            secrets.insert((ns.to_owned(), name.to_owned()));
        }
    };
    for p in [
        "controllerPublishSecretRef",
        "nodePublishSecretRef",
        "nodeStageSecretRef",
        "nodeExpandSecretRef",
        "controllerExpandSecretRef",
    ] {
        add(&format!("/spec/csi/{p}"));
    }
    for d in ["cephfs", "flexVolume", "rbd", "scaleIO", "iscsi", "storageos"] {
        add(&format!("/spec/{d}/secretRef"));
    }
    Some(Volume { claim, secrets })
}
