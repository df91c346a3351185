//! One table per kind, in `tables/`: what upstream's strategies say of objects that are wrong in one place.
//! A file begins with a `base` object; a case is a new object, or with `old` a change of a stored one.

use apimachinery::codec::json::conform;
use apimachinery::field::ErrorList;
use k8s_openapi::api as k8s;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::table;

/// Checks a new object, or a changed one beside the stored.
type Check = fn(&Value, Option<&Value>) -> ErrorList;

fn checked<T: DeserializeOwned>(
    new: &Value,
    old: Option<&Value>,
    default: fn(&mut T),
    create: fn(&T) -> ErrorList,
    update: fn(&T, &T) -> ErrorList,
) -> ErrorList {
    let decoded = |value: &Value| {
        let kind = |field: &str| value[field].as_str().expect("a base says what it is");
        let ty = crate::schema().kind_of_object(kind("apiVersion"), kind("kind"));
        let object = conform(crate::schema(), ty.expect("a kind of the table"), value).expect("the kind's types");
        let mut object: T = serde_json::from_value(object.object).expect("an object of the kind");
        default(&mut object);
        object
    };
    match old {
        None => create(&decoded(new)),
        Some(old) => update(&decoded(new), &decoded(old)),
    }
}

/// Rows `file: type, defaults, create, update`.
macro_rules! kinds {
    ($($file:literal: $kind:ty, $default:expr, $create:expr, $update:expr;)*) => {
        const KINDS: &[(&str, &str, Check)] = &[$((
            $file,
            include_str!(concat!("tables/", $file, ".txt")),
            |new, old| checked::<$kind>(new, old, $default, $create, $update),
        )),*];
    };
}

mod rules {
    pub(super) use crate::core::v1::{defaults as core_defaults, validation as core};
    pub(super) use crate::events::v1::validation as events;
}
use rules::{core, core_defaults, events};

use crate::{apps, autoscaling, coordination, discovery, networking, node, rbac, resource, scheduling, storage};

kinds! {
    "configmaps": k8s::core::v1::ConfigMap, |_| {}, core::config_map_create, core::config_map_update;
    "controllerrevisions": k8s::apps::v1::ControllerRevision, |_| {},
        apps::v1::validation::controller_revision_create, apps::v1::validation::controller_revision_update;
    "csidrivers": k8s::storage::v1::CSIDriver, storage::v1::defaults::csi_driver,
        storage::v1::validation::csi_driver_create, storage::v1::validation::csi_driver_update;
    "endpoints": k8s::core::v1::Endpoints, core_defaults::endpoints, core::endpoints_create, core::endpoints_update;
    "endpointslices": k8s::discovery::v1::EndpointSlice, discovery::v1::defaults::endpoint_slice,
        discovery::v1::validation::endpoint_slice_create, discovery::v1::validation::endpoint_slice_update;
    "events": k8s::core::v1::Event, core_defaults::event,
        |obj| events::event_create(obj, false), |new, old| events::event_update(new, old, false);
    "horizontalpodautoscalers": k8s::autoscaling::v2::HorizontalPodAutoscaler,
        autoscaling::v2::defaults::horizontal_pod_autoscaler,
        autoscaling::v2::validation::horizontal_pod_autoscaler_create,
        autoscaling::v2::validation::horizontal_pod_autoscaler_update;
    "ingresses": k8s::networking::v1::Ingress, networking::v1::defaults::ingress,
        networking::v1::validation::ingress_create, networking::v1::validation::ingress_update;
    "ipaddresses": k8s::networking::v1::IPAddress, |_| {},
        networking::v1::validation::ip_address_create, networking::v1::validation::ip_address_update;
    "jobs": k8s::batch::v1::Job, crate::batch::v1::defaults::job,
        crate::batch::v1::validation::job_create, crate::batch::v1::validation::job_update;
    "leases": k8s::coordination::v1::Lease, |_| {},
        coordination::v1::validation::lease_create, coordination::v1::validation::lease_update;
    "limitranges": k8s::core::v1::LimitRange, core_defaults::limit_range, core::limit_range,
        |new, _| core::limit_range(new);
    "namespaces": k8s::core::v1::Namespace, core_defaults::namespace, core::namespace_create, core::namespace_update;
    "namespaces.finalize": k8s::core::v1::Namespace, core_defaults::namespace, |_| vec![],
        core::namespace_finalize_update;
    "nodes": k8s::core::v1::Node, core_defaults::node, core::node_create, core::node_update;
    "nodes.status": k8s::core::v1::Node, core_defaults::node, |_| vec![], core::node_status_update;
    "persistentvolumeclaims": k8s::core::v1::PersistentVolumeClaim, core_defaults::persistent_volume_claim,
        core::persistent_volume_claim_create, core::persistent_volume_claim_update;
    "persistentvolumeclaims.status": k8s::core::v1::PersistentVolumeClaim, core_defaults::persistent_volume_claim,
        |_| vec![], core::persistent_volume_claim_status_update;
    "persistentvolumes": k8s::core::v1::PersistentVolume, core_defaults::persistent_volume,
        core::persistent_volume_create, core::persistent_volume_update;
    "pods.ephemeralcontainers": k8s::core::v1::Pod, core_defaults::pod, |_| vec![],
        core::pod_ephemeral_containers_update;
    "pods.gated": k8s::core::v1::Pod, core_defaults::pod, core::pod_create, core::pod_update;
    "pods.resize": k8s::core::v1::Pod, core_defaults::pod, |_| vec![], |new, old| core::pod_resize(new, old, None);
    "pods.status": k8s::core::v1::Pod, core_defaults::pod, |_| vec![], core::pod_status_update;
    "pods.update": k8s::core::v1::Pod, core_defaults::pod, core::pod_create, core::pod_update;
    "priorityclasses": k8s::scheduling::v1::PriorityClass, scheduling::v1::defaults::priority_class,
        scheduling::v1::validation::priority_class_create, scheduling::v1::validation::priority_class_update;
    "replicationcontrollers": k8s::core::v1::ReplicationController, core_defaults::replication_controller,
        core::replication_controller_create, core::replication_controller_update;
    "replicationcontrollers.status": k8s::core::v1::ReplicationController, core_defaults::replication_controller,
        |_| vec![], core::replication_controller_status_update;
    "resourceclaims": k8s::resource::v1::ResourceClaim, resource::v1::defaults::resource_claim,
        resource::v1::validation::resource_claim_create, resource::v1::validation::resource_claim_update;
    "resourcequotas": k8s::core::v1::ResourceQuota, core_defaults::resource_quota,
        core::resource_quota_create, core::resource_quota_update;
    "rolebindings": k8s::rbac::v1::RoleBinding, rbac::v1::defaults::role_binding,
        rbac::v1::validation::role_binding_create, rbac::v1::validation::role_binding_update;
    "runtimeclasses": k8s::node::v1::RuntimeClass, |_| {},
        node::v1::validation::runtime_class_create, node::v1::validation::runtime_class_update;
    "secrets": k8s::core::v1::Secret, core_defaults::secret, core::secret_create, core::secret_update;
    "services": k8s::core::v1::Service, core_defaults::service, core::service_create, core::service_update;
    "services.status": k8s::core::v1::Service, core_defaults::service, |_| vec![], core::service_status_update;
}

#[test]
fn objects_that_are_wrong_are_refused_in_upstreams_words() {
    let mut wrong = String::new();
    let mut invalid = 0;
    for (file, text, check) in KINDS {
        match table::objects(text, *check) {
            Ok(count) => invalid += count,
            Err(difference) => wrong += &format!("{file}\n{difference}"),
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
    assert!(invalid >= 300, "{invalid}");
}
