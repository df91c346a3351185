//! Defaults of rbac.authorization.k8s.io/v1 (pkg/apis/rbac/v1/defaults.go).

use k8s_openapi::api::rbac::v1::{ClusterRoleBinding, RoleBinding, RoleRef, Subject};

use crate::core::v1::defaults::or;

/// The group of roles, users and groups.
pub const GROUP: &str = "rbac.authorization.k8s.io";

/// `SetDefaults_RoleBinding`.
pub fn role_binding(obj: &mut RoleBinding) {
    reference(&mut obj.role_ref);
    obj.subjects.iter_mut().flatten().for_each(subject);
}

/// `SetDefaults_ClusterRoleBinding`.
pub fn cluster_role_binding(obj: &mut ClusterRoleBinding) {
    reference(&mut obj.role_ref);
    obj.subjects.iter_mut().flatten().for_each(subject);
}

fn reference(reference: &mut RoleRef) {
    or(&mut reference.api_group, GROUP);
}

/// `SetDefaults_Subject`: service accounts are in the core group, users and groups in this one.
fn subject(subject: &mut Subject) {
    if matches!(subject.kind.as_str(), "User" | "Group") {
        or(&mut subject.api_group, GROUP);
    }
}
