//! Environment variables and the downward API's field paths.

use apimachinery::field::{Error, ErrorList, Path};
use apimachinery::validation as rules;
use k8s_openapi::api::core::v1::{
    EnvFromSource, EnvVar, FileKeySelector, ObjectFieldSelector, PodSpec, ResourceFieldSelector,
};

use super::container;
use crate::check::{dns_label, invalid_each, list, no_backsteps, qualified_name, quantity, required, text};
use crate::meta;

/// `ValidateEnv`.
pub(super) fn env(errs: &mut ErrorList, vars: &[EnvVar], path: &Path) {
    for (index, var) in vars.iter().enumerate() {
        let path = path.index(index);
        if var.name.is_empty() {
            errs.push(Error::required(&path.child("name"), ""));
        } else {
            let messages = rules::is_relaxed_env_var_name(&var.name);
            invalid_each(errs, &path.child("name"), &var.name, messages);
        }
        value_from(errs, var, &path.child("valueFrom"));
    }
}

/// `validateEnvVarValueFrom`.
fn value_from(errs: &mut ErrorList, var: &EnvVar, path: &Path) {
    let Some(source) = &var.value_from else { return };
    let mut sources = 0;
    if let Some(field) = &source.field_ref {
        sources += 1;
        field_ref(errs, field, &ENV_FIELDS, &path.child("fieldRef"));
    }
    if let Some(resource) = &source.resource_field_ref {
        sources += 1;
        resource_field_ref(errs, resource, false, &path.child("resourceFieldRef"));
    }
    if let Some(key) = &source.config_map_key_ref {
        sources += 1;
        key_ref(errs, &key.name, &key.key, &path.child("configMapKeyRef"));
    }
    if let Some(key) = &source.secret_key_ref {
        sources += 1;
        key_ref(errs, &key.name, &key.key, &path.child("secretKeyRef"));
    }
    if let Some(file) = &source.file_key_ref {
        sources += 1;
        file_key(errs, file, &path.child("fileKeyRef"));
    }
    let rule = if sources == 0 {
        "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
    } else if !text(&var.value).is_empty() {
        "may not be specified when `value` is not empty"
    } else if sources > 1 {
        "may not have more than one field specified at a time"
    } else {
        return;
    };
    errs.push(Error::invalid(path, "", rule));
}

/// `validateFileKeySelector`.
fn file_key(errs: &mut ErrorList, file: &FileKeySelector, path: &Path) {
    if file.key.is_empty() {
        errs.push(Error::required(&path.child("key"), ""));
    } else {
        let messages = rules::is_relaxed_env_var_name(&file.key);
        invalid_each(errs, &path.child("key"), &file.key, messages);
    }
    if file.volume_name.is_empty() {
        errs.push(Error::required(&path.child("volumeName"), ""));
    } else {
        dns_label(errs, &path.child("volumeName"), &file.volume_name);
    }
    required(errs, &path.child("path"), &file.path);
    no_backsteps(errs, &path.child("path"), &file.path);
}

/// Files of variables are in empty directories of the pod (`validateFileKeyRefVolumes`).
pub(super) fn file_key_volumes(errs: &mut ErrorList, spec: &PodSpec, path: &Path) {
    container::visit(spec, path, |c, path| {
        for (index, var) in list(&c.env).iter().enumerate() {
            let Some(file) = var.value_from.as_ref().and_then(|v| v.file_key_ref.as_ref()) else {
                continue;
            };
            let path = path.child("env").index(index).child("valueFrom").child("fileKeyRef");
            let path = path.child("volumeName");
            let name = file.volume_name.as_str();
            match list(&spec.volumes).iter().rfind(|v| v.name == name) {
                None => errs.push(Error::not_found(&path, name)),
                Some(v) if v.empty_dir.is_none() => {
                    let rule = "referenced volume must be of type emptyDir";
                    errs.push(Error::invalid(&path, name, rule));
                }
                Some(_) => {}
            }
        }
    });
}

/// `validateConfigMapKeySelector`, `validateSecretKeySelector`.
fn key_ref(errs: &mut ErrorList, name: &str, key: &str, path: &Path) {
    invalid_each(errs, &path.child("name"), name, meta::name_subdomain(name, false));
    if key.is_empty() {
        errs.push(Error::required(&path.child("key"), ""));
    } else {
        invalid_each(errs, &path.child("key"), key, rules::is_config_map_key(key));
    }
}

/// `ValidateEnvFrom`.
pub(super) fn env_from(errs: &mut ErrorList, sources: &[EnvFromSource], path: &Path) {
    for (index, source) in sources.iter().enumerate() {
        let list_path = path;
        let path = path.index(index);
        let prefix = text(&source.prefix);
        if !prefix.is_empty() {
            let messages = rules::is_relaxed_env_var_name(prefix);
            invalid_each(errs, &path.child("prefix"), prefix, messages);
        }
        let mut count = 0;
        for (field, name) in [
            ("configMapRef", source.config_map_ref.as_ref().map(|r| &r.name)),
            ("secretRef", source.secret_ref.as_ref().map(|r| &r.name)),
        ] {
            let Some(name) = name else { continue };
            count += 1;
            let path = path.child(field).child("name");
            if name.is_empty() {
                errs.push(Error::required(&path, ""));
            } else {
                invalid_each(errs, &path, name, meta::name_subdomain(name, true));
            }
        }
        let rule = match count {
            0 => "must specify one of: `configMapRef` or `secretRef`",
            1 => continue,
            _ => "may not have more than one field specified at a time",
        };
        errs.push(Error::invalid(list_path, "", rule));
    }
}

/// Fields an environment variable may show (`validEnvDownwardAPIFieldPathExpressions`).
pub(super) const ENV_FIELDS: [&str; 9] = [
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];

/// Fields a downward API file may show (`validVolumeDownwardAPIFieldPathExpressions`).
pub(super) const VOLUME_FIELDS: [&str; 5] = [
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
];

/// Field labels that are known at all (pkg/apis/core/pods `ConvertDownwardAPIFieldLabel`).
const KNOWN_FIELDS: [&str; 14] = [
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.serviceAccountName",
    "spec.schedulerName",
    "status.phase",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];

/// `validateObjectFieldSelector`.
pub(super) fn field_ref(errs: &mut ErrorList, field: &ObjectFieldSelector, allowed: &[&str], path: &Path) {
    let version = text(&field.api_version);
    if version.is_empty() {
        errs.push(Error::required(&path.child("apiVersion"), ""));
        return;
    }
    let label = field.field_path.as_str();
    if label.is_empty() {
        errs.push(Error::required(&path.child("fieldPath"), ""));
        return;
    }
    let subscript = label.strip_suffix("']").and_then(|rest| rest.split_once("['"));
    let problem = if version != "v1" {
        Some(format!("unsupported pod version: {version}"))
    } else if let Some((base, _)) = subscript {
        (base != "metadata.annotations" && base != "metadata.labels")
            .then(|| format!("field label does not support subscript: {label}"))
    } else {
        // spec.host is the old name of spec.nodeName.
        (!KNOWN_FIELDS.contains(&label) && label != "spec.host").then(|| format!("field label not supported: {label}"))
    };
    if let Some(problem) = problem {
        let rule = format!("error converting fieldPath: {problem}");
        errs.push(Error::invalid(&path.child("fieldPath"), label, rule));
        return;
    }
    match subscript {
        Some(("metadata.annotations", key)) => qualified_name(errs, path, &key.to_lowercase()),
        Some((_, key)) => qualified_name(errs, path, key),
        None => {
            let label = if label == "spec.host" { "spec.nodeName" } else { label };
            crate::check::text_of(errs, &path.child("fieldPath"), label, allowed);
        }
    }
}

/// Resources that can be shown (`validContainerResourceFieldPathExpressions`).
const RESOURCE_FIELDS: [&str; 6] = [
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
];

const SIZES: [&str; 13] = [
    "1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei",
];

/// `validateContainerResourceFieldSelector`; a volume must name the container.
pub(super) fn resource_field_ref(errs: &mut ErrorList, r: &ResourceFieldSelector, volume: bool, path: &Path) {
    let name = r.resource.as_str();
    let huge = name.starts_with("requests.hugepages-") || name.starts_with("limits.hugepages-");
    if volume && text(&r.container_name).is_empty() {
        errs.push(Error::required(&path.child("containerName"), ""));
    } else if name.is_empty() {
        errs.push(Error::required(&path.child("resource"), ""));
    } else if !huge {
        crate::check::text_of(errs, &path.child("resource"), name, &RESOURCE_FIELDS);
    }
    let Some(divisor) = r.divisor.as_ref().map(quantity).filter(|d| !d.is_zero()) else {
        return;
    };
    let divisor = divisor.to_string();
    let (allowed, what): (&[&str], _) = match name.split_once('.').map(|(_, resource)| resource) {
        Some("cpu") => (&["1m", "1"], "cpu"),
        Some("memory") => (&SIZES, "memory"),
        Some("ephemeral-storage") => (&SIZES, "local ephemeral storage"),
        _ if huge => (&SIZES, "hugepages"),
        _ => return,
    };
    if !allowed.contains(&divisor.as_str()) {
        let values = if what == "cpu" {
            "1m and 1".to_string()
        } else {
            SIZES.join(", ")
        };
        let rule = format!("only divisor's values {values} are supported with the {what} resource");
        errs.push(Error::invalid(&path.child("divisor"), name, rule));
    }
}
