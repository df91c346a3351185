//! etcd's database file, written from pairs that come in order: leaves, then the branches above them, then the meta pages.
//! The reader, and the source of the format, is `bolt.rs`.

use std::fs::File;
use std::io::{BufWriter, Seek as _, SeekFrom, Write as _};

use super::bolt::{
    BRANCH_PAGE, BUCKET_LEAF, FREELIST_PAGE, HEADER, LEAF_PAGE, MAGIC, META, META_PAGE, VERSION, checksum,
};

/// Bytes of a page.
const PAGE: usize = 4096;
/// Where the list of free pages stands, which is empty.
const FREELIST: u64 = 2;

/// A database being written.
pub(super) struct Writer {
    file: BufWriter<File>,
    /// Number of the next page.
    next: u64,
    /// Names and roots of the buckets that are written.
    buckets: Vec<(Vec<u8>, u64)>,
}

/// One element of a page.
struct Element {
    flags: u32,
    key: Vec<u8>,
    value: Vec<u8>,
}

/// A bucket being written.
pub(super) struct BucketWriter<'a> {
    writer: &'a mut Writer,
    name: Vec<u8>,
    leaf: Vec<Element>,
    bytes: usize,
    /// First key and number of each leaf.
    leaves: Vec<(Vec<u8>, u64)>,
}

impl Writer {
    /// Begins in an empty file.
    ///
    /// # Errors
    /// The disk's.
    pub(super) fn new(file: File) -> std::io::Result<Self> {
        let mut file = BufWriter::new(file);
        // Meta pages and the list of free pages are written last.
        file.seek(SeekFrom::Start(3 * PAGE as u64))?;
        Ok(Self {
            file,
            next: 3,
            buckets: Vec::new(),
        })
    }

    /// Begins a bucket; the names come in order.
    pub(super) fn bucket(&mut self, name: &str) -> BucketWriter<'_> {
        BucketWriter {
            writer: self,
            name: name.into(),
            leaf: Vec::new(),
            bytes: HEADER,
            leaves: Vec::new(),
        }
    }

    /// Ends it: nothing is durable yet.
    ///
    /// # Errors
    /// The disk's.
    pub(super) fn finish(mut self) -> std::io::Result<File> {
        let buckets = std::mem::take(&mut self.buckets);
        let elements: Vec<Element> = buckets
            .into_iter()
            .map(|(key, root)| Element {
                flags: BUCKET_LEAF,
                key,
                value: [root.to_le_bytes(), [0; 8]].concat(),
            })
            .collect();
        let root = self.leaf_page(&elements)?;
        self.file.seek(SeekFrom::Start(0))?;
        for transaction in 0..2_u64 {
            let mut meta = Vec::with_capacity(META + 8);
            for number in [MAGIC, VERSION, PAGE as u32, 0] {
                meta.extend_from_slice(&number.to_le_bytes());
            }
            for number in [root, 0, FREELIST, self.next, transaction] {
                meta.extend_from_slice(&number.to_le_bytes());
            }
            meta.extend_from_slice(&checksum(&meta).to_le_bytes());
            self.page_bytes(header(transaction, META_PAGE, 0, 0), &meta)?;
        }
        self.page_bytes(header(FREELIST, FREELIST_PAGE, 0, 0), &[])?;
        self.file.into_inner().map_err(std::io::IntoInnerError::into_error)
    }

    /// Writes a header and what follows it, filled up to whole pages.
    fn page_bytes(&mut self, header: [u8; HEADER], body: &[u8]) -> std::io::Result<()> {
        self.file.write_all(&header)?;
        self.file.write_all(body)?;
        let length = HEADER + body.len();
        let rest = length.next_multiple_of(PAGE) - length;
        self.file.write_all(&vec![0; rest])
    }

    fn add_page(&mut self, kind: u16, count: usize, body: &[u8]) -> std::io::Result<u64> {
        let pages = (HEADER + body.len()).div_ceil(PAGE) as u64;
        let id = self.next;
        let overflow = u32::try_from(pages - 1).map_err(std::io::Error::other)?;
        let count = u16::try_from(count).map_err(std::io::Error::other)?;
        self.page_bytes(header(id, kind, count, overflow), body)?;
        self.next += pages;
        Ok(id)
    }

    fn leaf_page(&mut self, elements: &[Element]) -> std::io::Result<u64> {
        let mut body = Vec::new();
        let mut data = Vec::new();
        for (number, element) in elements.iter().enumerate() {
            let position = (elements.len() - number) * HEADER + data.len();
            for length in [element.flags as usize, position, element.key.len(), element.value.len()] {
                let length = u32::try_from(length).map_err(std::io::Error::other)?;
                body.extend_from_slice(&length.to_le_bytes());
            }
            data.extend_from_slice(&element.key);
            data.extend_from_slice(&element.value);
        }
        body.append(&mut data);
        self.add_page(LEAF_PAGE, elements.len(), &body)
    }

    fn branch_page(&mut self, children: &[(Vec<u8>, u64)]) -> std::io::Result<u64> {
        let mut body = Vec::new();
        let mut data = Vec::new();
        for (number, (key, child)) in children.iter().enumerate() {
            let position = (children.len() - number) * HEADER + data.len();
            for length in [position, key.len()] {
                let length = u32::try_from(length).map_err(std::io::Error::other)?;
                body.extend_from_slice(&length.to_le_bytes());
            }
            body.extend_from_slice(&child.to_le_bytes());
            data.extend_from_slice(key);
        }
        body.append(&mut data);
        self.add_page(BRANCH_PAGE, children.len(), &body)
    }
}

fn header(id: u64, kind: u16, count: u16, overflow: u32) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[..8].copy_from_slice(&id.to_le_bytes());
    header[8..10].copy_from_slice(&kind.to_le_bytes());
    header[10..12].copy_from_slice(&count.to_le_bytes());
    header[12..].copy_from_slice(&overflow.to_le_bytes());
    header
}

impl BucketWriter<'_> {
    /// Adds a pair; the keys come in order.
    ///
    /// # Errors
    /// The disk's.
    pub(super) fn put(&mut self, key: Vec<u8>, value: Vec<u8>) -> std::io::Result<()> {
        let length = HEADER + key.len() + value.len();
        if !self.leaf.is_empty() && self.bytes + length > PAGE {
            self.end_leaf()?;
        }
        self.bytes += length;
        self.leaf.push(Element { flags: 0, key, value });
        Ok(())
    }

    fn end_leaf(&mut self) -> std::io::Result<()> {
        let leaf = std::mem::take(&mut self.leaf);
        self.bytes = HEADER;
        let id = self.writer.leaf_page(&leaf)?;
        let first = leaf.into_iter().next().map(|element| element.key);
        self.leaves.push((first.unwrap_or_default(), id));
        Ok(())
    }

    /// Ends the bucket.
    ///
    /// # Errors
    /// The disk's.
    pub(super) fn end(mut self) -> std::io::Result<()> {
        if !self.leaf.is_empty() || self.leaves.is_empty() {
            self.end_leaf()?;
        }
        let mut level = std::mem::take(&mut self.leaves);
        while level.len() > 1 {
            let mut above = Vec::new();
            let mut rest = &level[..];
            while !rest.is_empty() {
                let mut bytes = HEADER;
                let fits = rest.iter().take_while(|(key, _)| {
                    bytes += HEADER + key.len();
                    bytes <= PAGE
                });
                // Two at least, or it would never end.
                let count = fits.count().max(2).min(rest.len());
                let id = self.writer.branch_page(&rest[..count])?;
                above.push((rest[0].0.clone(), id));
                rest = &rest[count..];
            }
            level = above;
        }
        let root = level[0].1;
        self.writer.buckets.push((self.name, root));
        Ok(())
    }
}
