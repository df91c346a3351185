//! Names of this group: pools, drivers, attributes, identities of devices.

use apimachinery::field::{BadValue, Error, ErrorList, Path};
use apimachinery::validation::{is_c_identifier, is_dns1123_subdomain};

use crate::check::invalid_each;
use crate::core::v1::validation::csi_driver_name;

/// Longest identifier of an attribute or capacity (`DeviceMaxIDLength`).
const ID_MAX: usize = 32;
/// Longest domain of an attribute or capacity (`DeviceMaxDomainLength`).
const DOMAIN_MAX: usize = 63;
/// Longest key of an attribute or capacity that an error shows in full.
pub(super) const KEY_MAX: usize = DOMAIN_MAX + 1 + ID_MAX;
/// Longest pool name (`PoolNameMaxLength`).
const POOL_MAX: usize = 253;

/// `validatePoolName`.
pub(super) fn pool(errs: &mut ErrorList, name: &str, path: &Path) {
    if name.is_empty() {
        errs.push(Error::required(path, ""));
        return;
    }
    if name.len() > POOL_MAX {
        errs.push(Error::too_long(path, POOL_MAX));
    }
    for part in name.split('/') {
        invalid_each(errs, path, part, is_dns1123_subdomain(part));
    }
}

/// `validateUID`: the normalised form of RFC 4122.
pub(super) fn uid(errs: &mut ErrorList, uid: &str, path: &Path) {
    if let Some(why) = uuid_error(uid) {
        errs.push(Error::invalid(path, uid, format!("error validating uid: {why}")));
    } else if uid.len() != 36 || uid.bytes().any(|b| b.is_ascii_uppercase()) {
        let rule = "uid must be in RFC 4122 normalized form, `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx` with lowercase hexadecimal characters";
        errs.push(Error::invalid(path, uid, rule));
    }
}

/// What `uuid.Validate` (github.com/google/uuid) says: it takes URNs, braces and the form without dashes.
fn uuid_error(text: &str) -> Option<String> {
    const WRONG: &str = "invalid UUID format";
    let hex = |part: &[u8]| part.iter().all(u8::is_ascii_hexdigit);
    let bytes = text.as_bytes();
    let core = match bytes.len() {
        36 => bytes,
        45 if bytes[..9].eq_ignore_ascii_case(b"urn:uuid:") => &bytes[9..],
        45 => {
            let prefix = String::from_utf8_lossy(&bytes[..9]);
            return Some(format!("invalid urn prefix: {prefix:?}"));
        }
        38 if bytes[0] == b'{' && bytes[37] == b'}' => &bytes[1..37],
        38 => return Some("invalid bracketed UUID format".to_string()),
        32 => return (!hex(bytes)).then(|| WRONG.to_string()),
        other => return Some(format!("invalid UUID length: {other}")),
    };
    let parts: Vec<&[u8]> = core.split(|b| *b == b'-').collect();
    let well = parts.iter().map(|p| p.len()).eq([8, 4, 4, 4, 12]) && parts.iter().all(|p| hex(p));
    (!well).then(|| WRONG.to_string())
}

/// `validateQualifiedName`: an identifier, with or without a domain. More than one slash passes, as upstream.
pub(super) fn qualified(errs: &mut ErrorList, name: &str, path: &Path) {
    let parts: Vec<&str> = name.split('/').collect();
    match parts[..] {
        [id] => identifier(errs, id, path),
        [domain, id] => {
            if domain.is_empty() {
                errs.push(Error::invalid(path, "", "the domain must not be empty"));
            } else {
                csi_driver_name(errs, domain, path);
            }
            if id.is_empty() {
                errs.push(Error::invalid(path, "", "the name must not be empty"));
            } else {
                identifier(errs, id, path);
            }
        }
        _ => {}
    }
}

/// `validateFullyQualifiedName`: the domain must be there.
pub(super) fn fully_qualified(errs: &mut ErrorList, name: &str, path: &Path) {
    qualified(errs, name, path);
    if !name.contains('/') {
        let rule = "a fully qualified name must be a domain and a name separated by a slash";
        errs.push(Error::invalid(path, BadValue::named(name), rule));
    }
}

/// `validateCIdentifier`.
fn identifier(errs: &mut ErrorList, id: &str, path: &Path) {
    if id.len() > ID_MAX {
        errs.push(Error::too_long(path, ID_MAX));
    }
    invalid_each(errs, path, id, is_c_identifier(id));
}

/// `truncateIfTooLong`: the middle of a long key is left out of a path.
pub(super) fn truncated(key: &str, max: usize) -> String {
    let max = max.max(16);
    if key.len() <= max {
        return key.to_string();
    }
    let rest = max - "...".len();
    let (head, tail) = (
        &key.as_bytes()[..rest.div_ceil(2)],
        &key.as_bytes()[key.len() - rest / 2..],
    );
    format!("{}...{}", String::from_utf8_lossy(head), String::from_utf8_lossy(tail))
}

/// Which device, and which share of it (`structured.SharedDeviceID`).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeviceId {
    driver: String,
    pool: String,
    device: String,
    share: String,
}

impl DeviceId {
    /// `MakeSharedDeviceID`.
    pub fn new(driver: &str, pool: &str, device: &str, share: Option<&String>) -> Self {
        DeviceId {
            driver: driver.to_string(),
            pool: pool.to_string(),
            device: device.to_string(),
            share: share.cloned().unwrap_or_default(),
        }
    }
}

impl From<DeviceId> for BadValue {
    fn from(id: DeviceId) -> Self {
        let quote = apimachinery::field::quote;
        BadValue::Raw(format!(
            "{{\"Driver\":{},\"Pool\":{},\"Device\":{},\"ShareID\":{}}}",
            quote(&id.driver),
            quote(&id.pool),
            quote(&id.device),
            quote(&id.share)
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_keys_lose_their_middle() {
        assert_eq!(truncated("short", 5), "short");
        assert_eq!(truncated("abcdefghijklmnopqrstuvwxyz", 5), "abcdefg...uvwxyz");
    }

    #[test]
    fn uids_are_read_as_the_uuid_library_does() {
        let cases = [
            ("0f2e7a2a-8b4f-4a39-9d3c-6b1a6f0c1d2e", None),
            ("{0f2e7a2a-8b4f-4a39-9d3c-6b1a6f0c1d2e}", None),
            ("x", Some("invalid UUID length: 1")),
            ("0f2e7a2a-8b4f-4a39-9d3c-6b1a6f0c1d2g", Some("invalid UUID format")),
            (
                "(0f2e7a2a-8b4f-4a39-9d3c-6b1a6f0c1d2e}",
                Some("invalid bracketed UUID format"),
            ),
        ];
        for (text, want) in cases {
            assert_eq!(uuid_error(text).as_deref(), want, "{text}");
        }
    }
}
