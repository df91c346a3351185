//! Hashes that name or mark objects: pod template hash, controller revision names, container hash.

use k8s_openapi::api::core::v1::PodTemplateSpec;
use serde_json::Value;

/// FNV-1a, 32 bits.
pub fn fnv32a(bytes: &[u8]) -> u32 {
    fnv32a_from(0x811c_9dc5, bytes)
}

/// FNV-1a, 32 bits, continued from an earlier sum.
pub fn fnv32a_from(state: u32, bytes: &[u8]) -> u32 {
    bytes
        .iter()
        .fold(state, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

/// Maps every byte into an alphabet without vowels and look-alikes, so that a hash makes a safe
/// name (apimachinery `pkg/util/rand` `SafeEncodeString`).
pub fn safe_encode(text: &str) -> String {
    text.bytes()
        .map(|b| char::from(ALPHABET[usize::from(b) % ALPHABET.len()]))
        .collect()
}

/// The `pod-template-hash` label: safe-encoded decimal FNV-1a 32 of the template and, if there is
/// one, the collision count (little endian, as upstream's `ComputeHash` in
/// `pkg/controller/controller_utils.go` adds it).
///
/// Upstream hashes a Go dump of the struct, which no other program can reproduce; the hash here is
/// over canonical JSON (object keys sorted, absent fields left out). Nobody compares the two:
/// a Deployment finds its ReplicaSet by template equality, not by hash.
pub fn template_hash(template: &PodTemplateSpec, collision_count: Option<i32>) -> String {
    let value = serde_json::to_value(template).unwrap_or(Value::Null);
    value_hash(&value, collision_count)
}

/// [`template_hash`] over any JSON value; also the suffix of ControllerRevision names.
pub fn value_hash(value: &Value, collision_count: Option<i32>) -> String {
    let mut hash = fnv32a(canonical_json(value).as_bytes());
    if let Some(count) = collision_count {
        // Upstream writes 8 bytes: the count as uint32 little endian, then zeros.
        let mut bytes = [0_u8; 8];
        bytes[..4].copy_from_slice(&count.to_le_bytes());
        hash = fnv32a_from(hash, &bytes);
    }
    safe_encode(&hash.to_string())
}

/// Compact JSON with the keys of every object in byte order and without nulls.
pub fn canonical_json(value: &Value) -> String {
    let mut out = String::new();
    write_canonical(value, &mut out);
    out
}

fn write_canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().filter(|(_, v)| !v.is_null()).collect();
            entries.sort_by(|a, b| a.0.cmp(b.0));
            out.push('{');
            for (i, (key, item)) in entries.into_iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push(':');
                write_canonical(item, out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_canonical(item, out);
            }
            out.push(']');
        }
        other => out.push_str(&other.to_string()),
    }
}

/// The container hash a kubelet keeps in the `io.kubernetes.container.hash` annotation: lower hex
/// FNV-1a 32 over the text Go prints for the byte slice of `{"image":..,"name":..}`.
///
/// It must equal upstream's bit for bit, or a swapped-in kubelet restarts every container
/// (`pkg/kubelet/container/helpers.go` `HashContainer`; the tests have what real kubelets wrote).
pub fn container_hash(name: &str, image: &str) -> String {
    let json = format!(
        "{{\"image\":{},\"name\":{}}}",
        go_json_string(image),
        go_json_string(name)
    );
    let mut text = String::from("([]uint8)[");
    for (i, byte) in json.bytes().enumerate() {
        if i > 0 {
            text.push(' ');
        }
        text.push_str(&byte.to_string());
    }
    text.push(']');
    format!("{:x}", fnv32a(text.as_bytes()))
}

/// A JSON string as Go's `json.Marshal` writes it: like serde's, but `<`, `>`, `&` and the two
/// Unicode line separators are escaped.
pub fn go_json_string(text: &str) -> String {
    Value::from(text)
        .to_string()
        .replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn container_hash_equals_the_measured_vectors() {
        assert_eq!(container_hash("c1", "local/agn:1"), "a2524f91");
        let image = "registry.k8s.io/kube-apiserver:v1.36.2";
        assert_eq!(container_hash("kube-apiserver", image), "fcc274bb");
    }

    #[test]
    fn fnv_sums_equal_the_published_vectors() {
        assert_eq!(fnv32a(b""), 0x811c_9dc5);
        assert_eq!(fnv32a(b"foobar"), 0xbf9c_f968);
    }

    #[test]
    fn safe_encoding_uses_only_the_safe_alphabet() {
        assert_eq!(safe_encode("0123456789"), "456789bcdf");
        assert!(safe_encode("anything-at/all").bytes().all(|b| ALPHABET.contains(&b)));
    }

    #[test]
    fn template_hash_ignores_key_order_and_changes_with_content_and_collisions() {
        let a: Value = serde_json::from_str(r#"{"a":1,"b":{"c":2,"d":null}}"#).unwrap_or_default();
        let b: Value = serde_json::from_str(r#"{"b":{"c":2},"a":1}"#).unwrap_or_default();
        assert_eq!(value_hash(&a, None), value_hash(&b, None));
        assert_ne!(value_hash(&a, None), value_hash(&json!({"a": 2}), None));
        assert_ne!(value_hash(&a, None), value_hash(&a, Some(1)));
        assert_ne!(value_hash(&a, Some(1)), value_hash(&a, Some(2)));
    }
}
