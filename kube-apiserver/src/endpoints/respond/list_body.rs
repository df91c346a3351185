//! The body of a list, made chunk by chunk as the client reads it: never one big buffer.

use std::convert::Infallible;

use axum::body::Body;
use bytes::Bytes;

use crate::endpoints::codec::Gzip;

/// Bytes per chunk, about: at least one write to the client.
const CHUNK: usize = 256 << 10;

/// Encoded items and what stands around them.
pub(super) struct ListBody {
    /// Before the first item.
    pub(super) head: Vec<u8>,
    /// The items as their versions share them.
    pub(super) items: Vec<Bytes>,
    /// Writes what stands before an item: of its place in the list and its length.
    pub(super) before: fn(&mut Vec<u8>, usize, usize),
    /// Behind the last item.
    pub(super) end: &'static [u8],
}

impl ListBody {
    /// Bytes of the whole, without what stands between the items.
    fn size(&self) -> usize {
        self.head.len() + self.items.iter().map(Bytes::len).sum::<usize>() + self.end.len()
    }

    /// The body, compressed if that is wanted and worth it, and whether it is.
    pub(super) fn stream(self, gzip: bool) -> (Body, bool) {
        let mut gzip = Gzip::worth(self.size()).filter(|_| gzip);
        let compressed = gzip.is_some();
        let chunks = self.chunks().map(move |(chunk, last)| match (&mut gzip, last) {
            (None, _) => chunk.into(),
            (Some(gzip), false) => gzip.piece(&chunk),
            (Some(_), true) => {
                let rest = gzip.take().map(|mut gzip| [gzip.piece(&chunk), gzip.end()].concat());
                rest.unwrap_or_default().into()
            }
        });
        let stream = futures::stream::iter(chunks.map(Ok::<Bytes, Infallible>));
        (Body::from_stream(stream), compressed)
    }

    /// The chunks, and whether each is the last.
    fn chunks(self) -> impl Iterator<Item = (Vec<u8>, bool)> + Send {
        let (mut start, mut next) = (Some(self.head), 0);
        std::iter::from_fn(move || {
            let mut chunk = start.take()?;
            while let Some(item) = self.items.get(next) {
                // Room for the items that fill the chunk; the last of them may be of any size.
                if chunk.capacity() < CHUNK && next + 1 < self.items.len() {
                    chunk.reserve(CHUNK + item.len());
                }
                (self.before)(&mut chunk, next, item.len());
                chunk.extend_from_slice(item);
                next += 1;
                if chunk.len() >= CHUNK {
                    start = Some(Vec::new());
                    return Some((chunk, false));
                }
            }
            chunk.extend_from_slice(self.end);
            Some((chunk, true))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_the_whole_in_pieces_of_bounded_size() {
        for (count, size) in [(0, 0), (1, 1), (1, 3 * CHUNK), (1000, 3000), (CHUNK + 5, 1), (3, CHUNK)] {
            let body = ListBody {
                head: b"head[".to_vec(),
                items: vec![Bytes::from(vec![b'x'; size]); count],
                before: |out, index, _| out.extend_from_slice(if index > 0 { b"," } else { b"" }),
                end: b"]",
            };
            let want = format!("head[{}]", vec!["x".repeat(size); count].join(","));
            let chunks: Vec<_> = body.chunks().collect();
            let last: Vec<bool> = chunks.iter().map(|(_, last)| *last).collect();
            assert!(
                last.iter().rev().skip(1).all(|last| !last) && last.ends_with(&[true]),
                "{count} {size}"
            );
            assert!(chunks.iter().all(|(chunk, _)| chunk.len() <= CHUNK + size + 6));
            let all: Vec<u8> = chunks.into_iter().flat_map(|(chunk, _)| chunk).collect();
            assert_eq!(all, want.as_bytes(), "{count} {size}");
        }
    }
}
