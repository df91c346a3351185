//! What may stand in a stored object, and what tells its key from others.
//!
//! Upstream: `kmsv2/envelope.go` `ValidateEncryptedObject`, `generateCacheKey`.

use apimachinery::field::{Error, ErrorList, Path, aggregate};
use apimachinery::validation::{is_dns1123_label, is_dns1123_subdomain};
use aws_lc_rs::digest::{Context, SHA256};
use kms_proto::stored::{DekSourceType, EncryptedObject};

/// Bytes of all annotations together.
const ANNOTATIONS: usize = 32 * 1024;
/// Bytes of a key's id, and of a sealed key.
const ID: usize = 1024;

/// Why an object cannot be stored or used.
pub(super) fn validate(object: &EncryptedObject) -> Result<(), String> {
    let kind = object.encrypted_dek_source_type;
    if DekSourceType::try_from(kind).is_err() {
        return Err(format!("unknown encryptedDEKSourceType: {kind}"));
    }
    if object.encrypted_data.is_empty() {
        return Err("encrypted data is empty".to_owned());
    }
    validate_key(object)
}

/// The same of an object without its data.
pub(super) fn validate_key(object: &EncryptedObject) -> Result<(), String> {
    let source = object.encrypted_dek_source.len();
    let why = match source {
        0 => Some("encrypted DEK source is empty".to_owned()),
        1..=ID => None,
        _ => Some(format!(
            "encrypted DEK source is {source} bytes, which exceeds the max size of {ID}"
        )),
    };
    if let Some(why) = why {
        return Err(format!("failed to validate encrypted DEK source: {why}"));
    }
    validate_key_id(&object.key_id).map_err(|why| format!("failed to validate key id: {why}"))?;
    annotations(object).map_err(|why| format!("failed to validate annotations: {why}"))
}

/// Why a text is no id of a key.
pub(super) fn validate_key_id(id: &str) -> Result<(), String> {
    match id.len() {
        0 => Err("keyID is empty".to_owned()),
        1..=ID => Ok(()),
        long => Err(format!("keyID is {long} bytes, which exceeds the max size of {ID}")),
    }
}

fn annotations(object: &EncryptedObject) -> Result<(), String> {
    let path = Path::new("annotations");
    let mut wrong: Vec<String> = object
        .annotations
        .keys()
        .filter_map(|name| aggregate(&domain(&path, name)))
        .collect();
    let size: usize = object
        .annotations
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum();
    if size > ANNOTATIONS {
        wrong.push(format!(
            "total size of annotations is {size}, which exceeds the max size of {ANNOTATIONS}"
        ));
    }
    aggregate(&wrong).map_or(Ok(()), Err)
}

/// Upstream `validation.IsFullyQualifiedDomainName`.
fn domain(path: &Path, name: &str) -> ErrorList {
    if name.is_empty() {
        return vec![Error::required(path, "")];
    }
    let name = name.strip_suffix('.').unwrap_or(name);
    let wrong = is_dns1123_subdomain(name);
    if !wrong.is_empty() {
        return vec![Error::invalid(path, name, wrong.join(","))];
    }
    let labels: Vec<&str> = name.split('.').collect();
    if labels.len() < 2 {
        let why = "should be a domain with at least two segments separated by dots";
        return vec![Error::invalid(path, name, why)];
    }
    let wrong = labels.iter().flat_map(|label| {
        let wrong = is_dns1123_label(label);
        wrong.into_iter().map(|why| Error::invalid(path, *label, why))
    });
    wrong.collect()
}

/// Tells keys apart as they were sealed: two values with the same have the same key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::storage::encryption) struct CacheKey([u8; 32]);

impl CacheKey {
    /// Of a stored object's key.
    pub(super) fn of(object: &EncryptedObject) -> Self {
        let mut sum = Context::new(&SHA256);
        let mut part = |bytes: &[u8]| {
            sum.update(&(bytes.len() as u64).to_be_bytes());
            sum.update(bytes);
        };
        part(&object.encrypted_dek_source_type.to_be_bytes());
        part(&object.encrypted_dek_source);
        part(object.key_id.as_bytes());
        for (name, value) in &object.annotations {
            part(name.as_bytes());
            part(value);
        }
        let mut key = [0; 32];
        key.copy_from_slice(sum.finish().as_ref());
        CacheKey(key)
    }
}
