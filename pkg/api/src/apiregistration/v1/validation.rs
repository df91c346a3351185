//! Validation of apiregistration.k8s.io/v1 (kube-aggregator `pkg/apis/apiregistration/validation/validation.go`).

use apimachinery::field::{Error, ErrorList, Path};
use apimachinery::validation::{is_dns1035_label, is_dns1123_subdomain, is_path_segment_name, is_valid_port};
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::{APIService, APIServiceSpec};

use crate::check::{invalid_each, list, one_of, required, text};
use crate::meta;

/// Highest priority of a group.
const GROUP_PRIORITY_MAX: i32 = 20000;
/// Highest priority of a version.
const VERSION_PRIORITY_MAX: i32 = 1000;

/// A new APIService (`ValidateAPIService`).
pub fn api_service_create(obj: &APIService) -> ErrorList {
    let mut errs = metadata(obj);
    let empty = APIServiceSpec::default();
    spec(&mut errs, obj.spec.as_ref().unwrap_or(&empty));
    errs
}

/// A changed APIService (`ValidateAPIServiceUpdate`).
pub fn api_service_update(new: &APIService, old: &APIService) -> ErrorList {
    let mut errs = meta::update_generic(&new.metadata, &old.metadata);
    errs.extend(api_service_create(new));
    errs
}

/// A changed status (`ValidateAPIServiceStatusUpdate`).
pub fn api_service_status_update(new: &APIService, old: &APIService) -> ErrorList {
    let mut errs = meta::update_generic(&new.metadata, &old.metadata);
    let conditions = new.status.as_ref().map(|s| list(&s.conditions)).unwrap_or_default();
    for (index, condition) in conditions.iter().enumerate() {
        let path = Path::new("status").child("conditions").index(index).child("status");
        one_of(&mut errs, &path, &condition.status, &["True", "False", "Unknown"]);
    }
    errs
}

/// The name is that of the version and its group.
fn metadata(obj: &APIService) -> ErrorList {
    let (version, group) = obj
        .spec
        .as_ref()
        .map_or(("", ""), |s| (text(&s.version), text(&s.group)));
    let wanted = format!("{version}.{group}");
    meta::create_generic(&obj.metadata, false, |name, _| {
        let wrong = is_path_segment_name(name);
        if wrong.is_empty() && name != wanted {
            return vec![format!("must be `spec.version+\".\"+spec.group`: {wanted:?}")];
        }
        wrong
    })
}

fn spec(errs: &mut ErrorList, spec: &APIServiceSpec) {
    let path = Path::new("spec");
    let (group, version) = (text(&spec.group), text(&spec.version));
    let at = path.child("group");
    if group.is_empty() && version != "v1" {
        let rule = "only v1 may have an empty group and it better be legacy kube";
        errs.push(Error::required(&at, rule));
    }
    if !group.is_empty() {
        invalid_each(errs, &at, group, is_dns1123_subdomain(group));
    }
    invalid_each(errs, &path.child("version"), version, is_dns1035_label(version));
    for (field, value, max) in [
        ("groupPriorityMinimum", spec.group_priority_minimum, GROUP_PRIORITY_MAX),
        ("versionPriority", spec.version_priority, VERSION_PRIORITY_MAX),
    ] {
        if !(1..=max).contains(&value) {
            let rule = format!("must be positive and less than {max}");
            errs.push(Error::invalid(&path.child(field), value, rule));
        }
    }
    let bundle = spec.ca_bundle.as_ref().map_or(0, |b| b.0.len());
    let insecure = spec.insecure_skip_tls_verify == Some(true);
    let insecure_path = path.child("insecureSkipTLSVerify");
    let Some(service) = &spec.service else {
        if bundle > 0 {
            let rule = "local APIServices may not have a caBundle";
            errs.push(Error::invalid(&path.child("caBundle"), format!("{bundle} bytes"), rule));
        }
        if insecure {
            let rule = "local APIServices may not have insecureSkipTLSVerify";
            errs.push(Error::invalid(&insecure_path, true, rule));
        }
        return;
    };
    let path = path.child("service");
    required(errs, &path.child("namespace"), text(&service.namespace));
    required(errs, &path.child("name"), text(&service.name));
    let port = service.port.unwrap_or(0);
    let messages = is_valid_port(i64::from(port));
    if !messages.is_empty() {
        let rule = format!("port is not valid: {}", messages.join(", "));
        errs.push(Error::invalid(&path.child("port"), port, rule));
    }
    if insecure && bundle > 0 {
        let rule = "may not be true if caBundle is present";
        errs.push(Error::invalid(&insecure_path, true, rule));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::apiregistration::v1::defaults::api_service as default;
    use crate::cases::{creates, updates};

    #[test]
    fn services_are_checked() {
        let base = json!({"metadata": {"name": "v1.example.com", "resourceVersion": "1"}, "spec": {
            "group": "example.com", "version": "v1", "groupPriorityMinimum": 1000, "versionPriority": 15,
            "service": {"name": "s", "namespace": "n"}, "caBundle": "AAAA"}});
        creates(
            &base,
            default,
            api_service_create,
            &[
                ("a good service", json!({}), &[]),
                (
                    "another name",
                    json!({"/metadata/name": "x"}),
                    &[
                        "metadata.name: Invalid value: \"x\": must be `spec.version+\".\"+spec.group`: \"v1.example.com\"",
                    ],
                ),
                (
                    "no group",
                    json!({"/metadata/name": "v2.", "/spec/group": "", "/spec/version": "v2"}),
                    &["spec.group: Required value: only v1 may have an empty group and it better be legacy kube"],
                ),
                (
                    "priorities out of bounds",
                    json!({"/spec/groupPriorityMinimum": 20001, "/spec/versionPriority": 0}),
                    &[
                        "spec.groupPriorityMinimum: Invalid value: 20001: must be positive and less than 20000",
                        "spec.versionPriority: Invalid value: 0: must be positive and less than 1000",
                    ],
                ),
                (
                    "a local service with trust",
                    json!({"/spec/service": null, "/spec/insecureSkipTLSVerify": true}),
                    &[
                        "spec.caBundle: Invalid value: \"3 bytes\": local APIServices may not have a caBundle",
                        "spec.insecureSkipTLSVerify: Invalid value: true: local APIServices may not have insecureSkipTLSVerify",
                    ],
                ),
                (
                    "a service of nowhere",
                    json!({"/spec/service": {"port": 70000}, "/spec/insecureSkipTLSVerify": true}),
                    &[
                        "spec.service.namespace: Required value",
                        "spec.service.name: Required value",
                        "spec.service.port: Invalid value: 70000: port is not valid: must be between 1 and 65535, inclusive",
                        "spec.insecureSkipTLSVerify: Invalid value: true: may not be true if caBundle is present",
                    ],
                ),
            ],
        );
        updates(
            &base,
            default,
            api_service_status_update,
            &[(
                "an unknown status",
                json!({"/status/conditions": [{"type": "Available", "status": "Maybe"}]}),
                &[
                    "status.conditions[0].status: Unsupported value: \"Maybe\": supported values: \"True\", \"False\", \"Unknown\"",
                ],
            )],
        );
    }
}
