//! Compressed bodies (upstream `responsewriters/writers.go` `deferredResponseWriter`).

use std::io::Write as _;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

/// Upstream's `defaultGzipThresholdBytes`: smaller bodies are sent as they are.
const THRESHOLD: usize = 128 * 1024;

/// A body on its way through gzip, piece by piece.
pub(crate) struct Gzip(GzEncoder<Vec<u8>>);

impl Gzip {
    /// A compressor for a body of this size, if it is worth one. The level is upstream's.
    pub(crate) fn worth(size: usize) -> Option<Self> {
        (size > THRESHOLD).then(|| Gzip(GzEncoder::new(Vec::new(), Compression::new(1))))
    }

    /// Takes a piece; what comes out so far.
    pub(crate) fn piece(&mut self, bytes: &[u8]) -> Bytes {
        // Writing to memory does not fail.
        let _ = self.0.write_all(bytes);
        std::mem::take(self.0.get_mut()).into()
    }

    /// The rest, with the trailer.
    pub(crate) fn end(self) -> Bytes {
        self.0.finish().unwrap_or_default().into()
    }
}
