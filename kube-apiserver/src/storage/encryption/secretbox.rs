//! NaCl's secretbox, XSalsa20 and Poly1305: a random nonce of 24 bytes, the tag, the sealed text. Bound to nothing.
//!
//! Upstream: `apiserver/pkg/storage/value/encrypt/secretbox`. The cipher is RustCrypto's; aws-lc has none.

use crypto_secretbox::{AeadInPlace as _, KeyInit as _, Nonce, Tag, XSalsa20Poly1305};

use super::aes::random;
use super::chain::TransformError;
use super::keys::SHORT;

const NONCE: usize = XSalsa20Poly1305::NONCE_SIZE;
const TAG: usize = XSalsa20Poly1305::TAG_SIZE;

/// The cipher with its key, which is wiped when it goes.
pub(super) struct Secretbox(XSalsa20Poly1305);

impl Secretbox {
    /// With a key of 32 bytes.
    pub(super) fn new(key: &[u8]) -> Result<Self, TransformError> {
        XSalsa20Poly1305::new_from_slice(key).map(Secretbox).map_err(|_| {
            TransformError::new(format!(
                "expected key size 32 for secretbox provider, got {}",
                key.len()
            ))
        })
    }

    pub(super) fn open(&self, stored: &[u8]) -> Result<Vec<u8>, TransformError> {
        let parts = stored
            .split_at_checked(NONCE)
            .and_then(|(nonce, rest)| Some((nonce, rest.split_at_checked(TAG)?)));
        let Some((nonce, (tag, sealed))) = parts else {
            return Err(TransformError::new(SHORT));
        };
        let mut plain = sealed.to_vec();
        self.0
            .decrypt_in_place_detached(Nonce::from_slice(nonce), &[], &mut plain, Tag::from_slice(tag))
            // The words are upstream's, whatever they mean.
            .map_err(|_| TransformError::new("output array was not large enough for encryption"))?;
        Ok(plain)
    }

    pub(super) fn seal(&self, out: &mut Vec<u8>, plain: &[u8]) -> Result<(), TransformError> {
        let nonce = random::<NONCE>()?;
        let mut sealed = plain.to_vec();
        let tag = self
            .0
            .encrypt_in_place_detached(Nonce::from_slice(&*nonce), &[], &mut sealed)
            .map_err(|_| TransformError::new("the value is too long for secretbox"))?;
        out.extend_from_slice(&*nonce);
        out.extend_from_slice(&tag);
        out.extend_from_slice(&sealed);
        Ok(())
    }
}
