//! Generated names and UIDs (upstream: apiserver `storage/names/generate.go`, apimachinery `util/rand`).

use rand::Rng;

/// Letters and digits that never spell a word.
const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
const SUFFIX: usize = 5;
const MAX_BASE: usize = 63 - SUFFIX;

/// The `generateName` base cut to 58 bytes plus five random characters.
pub fn generate_name(base: &str) -> String {
    generate_name_with(base, &mut rand::rng())
}

/// As [`generate_name`], with the randomness given.
pub fn generate_name_with(base: &str, random: &mut impl Rng) -> String {
    let mut end = base.len().min(MAX_BASE);
    while !base.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{}", &base[..end], random_suffix_with(SUFFIX, random))
}

/// As [`random_suffix`], with the randomness given.
pub fn random_suffix_with(len: usize, random: &mut impl Rng) -> String {
    (0..len)
        .map(|_| char::from(ALPHABET[random.random_range(0..ALPHABET.len())]))
        .collect()
}

/// Maps every character into the safe alphabet; used for hashes in names (upstream: `rand.SafeEncodeString`).
pub fn safe_encode(text: &str) -> String {
    text.bytes()
        .map(|byte| char::from(ALPHABET[usize::from(byte) % ALPHABET.len()]))
        .collect()
}

/// A new random UID (UUID version 4).
pub fn new_uid() -> String {
    uuid::Uuid::new_v4().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_names_fit_a_label() {
        assert_eq!(generate_name("pod-").len(), 9);
        assert_eq!(generate_name(&"a".repeat(100)).len(), 63);
        assert!(crate::validation::is_dns1123_label(&generate_name("pod-")).is_empty());
    }

    #[test]
    fn encoding_is_upstreams() {
        assert_eq!(safe_encode("0123456789"), "456789bcdf");
        assert_eq!(new_uid().len(), 36);
    }
}
