//! AES as values are stored under it: GCM, CBC, and GCM under a key of each value's own.
//!
//! Upstream: `apiserver/pkg/storage/value/encrypt/aes`. The ciphers are aws-lc's.

use aws_lc_rs::aead::{self, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::cipher::{AES_128, AES_192, AES_256, DecryptingKey, DecryptionContext, EncryptingKey, UnboundCipherKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::{hkdf, rand};
use zeroize::Zeroizing;

use super::chain::TransformError;
use super::keys::SHORT;

/// Bytes of a block, and of CBC's first vector.
const BLOCK: usize = 16;
/// Bytes of a derived key, of what it is derived by, and the fewest of a seed.
pub(super) const SEED: usize = 32;

/// What Go says when a tag is wrong.
const WRONG: &str = "cipher: message authentication failed";
/// Without random numbers nothing is written.
const NO_RANDOMNESS: &str = "unable to read sufficient random bytes";

fn key_size(key: &[u8]) -> TransformError {
    TransformError::new(format!("crypto/aes: invalid key size {}", key.len()))
}

/// AES-GCM: a random nonce of 12 bytes, the sealed text, its tag. Bound to the place of the value.
pub(super) struct Gcm(LessSafeKey);

impl Gcm {
    /// With a key of 16, 24 or 32 bytes.
    pub(super) fn new(key: &[u8]) -> Result<Self, TransformError> {
        let algorithm = match key.len() {
            16 => &aead::AES_128_GCM,
            24 => &aead::AES_192_GCM,
            32 => &aead::AES_256_GCM,
            _ => return Err(key_size(key)),
        };
        let key = UnboundKey::new(algorithm, key).map_err(|_| key_size(key))?;
        Ok(Gcm(LessSafeKey::new(key)))
    }

    pub(super) fn open(&self, stored: &[u8], about: &[u8]) -> Result<Vec<u8>, TransformError> {
        let (nonce, sealed) = stored
            .split_at_checked(NONCE_LEN)
            .ok_or_else(|| TransformError::new(SHORT))?;
        let wrong = |_: Unspecified| TransformError::new(WRONG);
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(wrong)?;
        let mut plain = sealed.to_vec();
        let length = self
            .0
            .open_in_place(nonce, Aad::from(about), &mut plain)
            .map_err(wrong)?
            .len();
        plain.truncate(length);
        Ok(plain)
    }

    pub(super) fn seal(&self, out: &mut Vec<u8>, plain: &[u8], about: &[u8]) -> Result<(), TransformError> {
        let failed = |_: Unspecified| TransformError::new("failed to write nonce for AES-GCM");
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).map_err(failed)?;
        out.extend_from_slice(&nonce);
        let start = out.len();
        out.reserve(plain.len() + self.0.algorithm().tag_len());
        out.extend_from_slice(plain);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self
            .0
            .seal_in_place_separate_tag(nonce, Aad::from(about), &mut out[start..])
            .map_err(failed)?;
        out.extend_from_slice(tag.as_ref());
        Ok(())
    }
}

/// AES-CBC with the padding of PKCS#7 behind a random first vector. Bound to nothing, and nothing tells that it was
/// changed: upstream offers it for what is stored so already.
pub(super) struct Cbc {
    write: EncryptingKey,
    read: DecryptingKey,
}

impl Cbc {
    /// With a key of 16, 24 or 32 bytes.
    pub(super) fn new(key: &[u8]) -> Result<Self, TransformError> {
        let algorithm = match key.len() {
            16 => &AES_128,
            24 => &AES_192,
            32 => &AES_256,
            _ => return Err(key_size(key)),
        };
        let unbound = || UnboundCipherKey::new(algorithm, key);
        let both = || {
            Ok::<_, Unspecified>(Cbc {
                write: EncryptingKey::cbc(unbound()?)?,
                read: DecryptingKey::cbc(unbound()?)?,
            })
        };
        both().map_err(|_| key_size(key))
    }

    pub(super) fn open(&self, stored: &[u8]) -> Result<Vec<u8>, TransformError> {
        let Some((first, sealed)) = stored.split_first_chunk::<BLOCK>() else {
            return Err(TransformError::new(SHORT));
        };
        if !sealed.len().is_multiple_of(BLOCK) {
            return Err(TransformError::new(
                "the stored data is not a multiple of the block size",
            ));
        }
        let mut plain = sealed.to_vec();
        let first = DecryptionContext::Iv128(FixedLength::from(first));
        self.read
            .decrypt(&mut plain, first)
            .map_err(|_| TransformError::new("invalid padding on input"))?;
        let padding = usize::from(plain.last().copied().unwrap_or_default());
        let length = plain.len().checked_sub(padding).filter(|_| padding > 0);
        let Some(length) = length else {
            return Err(TransformError::new("invalid PKCS7 data (empty or not padded)"));
        };
        if plain[length..].iter().any(|byte| usize::from(*byte) != padding) {
            return Err(TransformError::new("invalid padding on input"));
        }
        plain.truncate(length);
        Ok(plain)
    }

    pub(super) fn seal(&self, out: &mut Vec<u8>, plain: &[u8]) -> Result<(), TransformError> {
        let failed = |_: Unspecified| TransformError::new(NO_RANDOMNESS);
        let padding = BLOCK - plain.len() % BLOCK;
        let mut sealed = Vec::with_capacity(plain.len() + padding);
        sealed.extend_from_slice(plain);
        sealed.resize(plain.len() + padding, padding as u8);
        let first = self.write.encrypt(&mut sealed).map_err(failed)?;
        let first: &[u8] = (&first).try_into().map_err(failed)?;
        out.extend_from_slice(first);
        out.extend_from_slice(&sealed);
        Ok(())
    }
}

/// AES-GCM under a key that HKDF makes of a seed and 32 random bytes, which come first: as if the nonce were that much
/// longer, so that one seed does for any number of values.
///
/// Upstream keeps derived keys for ten minutes (`aes/cache.go`); deriving one costs less than looking after that.
pub(super) struct Derived(hkdf::Prk);

impl Derived {
    /// With a seed of at least [`SEED`] bytes.
    pub(super) fn new(seed: &[u8]) -> Result<Self, TransformError> {
        /// The longest that aws-lc takes; upstream's are of 32.
        const LONGEST: usize = 64;
        if !(SEED..=LONGEST).contains(&seed.len()) {
            let why = format!("invalid seed length {} used for key generation", seed.len());
            return Err(TransformError::new(why));
        }
        Ok(Derived(hkdf::Prk::new_less_safe(hkdf::HKDF_SHA256, seed)))
    }

    fn key(&self, info: &[u8]) -> Result<Gcm, TransformError> {
        let failed = |_: Unspecified| TransformError::new("failed to KDF expand seed with info");
        let mut key = Zeroizing::new([0; SEED]);
        let parts = [info];
        let derived = self.0.expand(&parts, hkdf::HKDF_SHA256).map_err(failed)?;
        derived.fill(&mut *key).map_err(failed)?;
        Gcm::new(&*key)
    }

    pub(super) fn open(&self, stored: &[u8], about: &[u8]) -> Result<Vec<u8>, TransformError> {
        let (info, rest) = stored
            .split_at_checked(SEED)
            .ok_or_else(|| TransformError::new(SHORT))?;
        self.key(info)?.open(rest, about)
    }

    pub(super) fn seal(&self, out: &mut Vec<u8>, plain: &[u8], about: &[u8]) -> Result<(), TransformError> {
        let info = random::<SEED>()?;
        out.extend_from_slice(&*info);
        self.key(&*info)?.seal(out, plain, about)
    }
}

/// Random bytes that are wiped when they go.
pub(super) fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, TransformError> {
    let mut bytes = Zeroizing::new([0; N]);
    rand::fill(&mut *bytes).map_err(|_| TransformError::new(NO_RANDOMNESS))?;
    Ok(bytes)
}
