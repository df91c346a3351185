//! etcd's database file, read: a B+tree of pages (bbolt). Nothing is believed: every place and length is checked
//! against the file's before anything is read or allocated, and no page is visited twice in one tree.
//! Source of the format: go.etcd.io/bbolt `internal/common/{page,meta,bucket,inode}.go`.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;

/// Marks a meta page.
pub(super) const MAGIC: u32 = 0xED0C_DAED;
/// Version of the format.
pub(super) const VERSION: u32 = 2;
/// Bytes of a page's header, and of an element's.
pub(super) const HEADER: usize = 16;
/// Bytes of a bucket's value: its root page and a counter.
pub(super) const BUCKET: usize = 16;
/// Bytes of what a meta page holds, before its checksum.
pub(super) const META: usize = 56;
/// Kinds of pages.
pub(super) const BRANCH_PAGE: u16 = 0x01;
pub(super) const LEAF_PAGE: u16 = 0x02;
pub(super) const META_PAGE: u16 = 0x04;
pub(super) const FREELIST_PAGE: u16 = 0x10;
/// An element of a leaf that is a bucket.
pub(super) const BUCKET_LEAF: u32 = 0x01;
/// Levels of a tree: each level of a real one has many children.
const DEEPEST: usize = 32;

/// An open database file.
pub(super) struct Bolt<'a> {
    file: &'a File,
    page_size: u64,
    /// Number of pages in use.
    pages: u64,
    root: Bucket,
}

/// A tree in the file.
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    root: u64,
    /// A small one stands in its parent's leaf.
    inline: Option<Bytes>,
}

/// What a key of a bucket has.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Bytes(Bytes),
    Bucket(Bucket),
}

/// What is done with each pair of a bucket.
type Visit<'a> = &'a mut dyn FnMut(Bytes, Value) -> anyhow::Result<()>;

impl<'a> Bolt<'a> {
    /// Whether a file begins as one of these does.
    pub(super) fn begins(start: &[u8]) -> bool {
        start.len() >= HEADER + 4 && u32_at(start, HEADER) == MAGIC
    }

    /// Reads the newer of the two meta pages of a file that has `length` bytes.
    ///
    /// # Errors
    /// When both are damaged, or the file is shorter than they say.
    pub(super) fn open(file: &'a File, length: u64) -> anyhow::Result<Self> {
        let first = meta(file, 0, length);
        // The second stands where the first says; if that one is damaged, wherever a page may begin.
        let sizes: Vec<u64> = match &first {
            Some(meta) => vec![meta.page_size],
            None => (9..=16).map(|bits| 1 << bits).collect(),
        };
        let second = sizes
            .into_iter()
            .find_map(|size| meta(file, size, length).filter(|meta| meta.page_size == size));
        let metas = [first, second].into_iter().flatten();
        let newest = metas.max_by_key(|meta| meta.transaction);
        let meta = newest.context("both of the database's meta pages are damaged")?;
        let needed = meta.pages.checked_mul(meta.page_size);
        ensure!(
            needed.is_some_and(|needed| needed <= length),
            "the database is cut off: {} pages of {} bytes do not fit in {length} bytes",
            meta.pages,
            meta.page_size
        );
        Ok(Self {
            file,
            page_size: meta.page_size,
            pages: meta.pages,
            root: Bucket {
                root: meta.root,
                inline: None,
            },
        })
    }

    /// Bytes in use.
    pub(super) fn size(&self) -> u64 {
        self.pages * self.page_size
    }

    /// The buckets of the database, by name.
    ///
    /// # Errors
    /// When the file cannot be read or is damaged.
    pub(super) fn buckets(&self) -> anyhow::Result<Vec<(Bytes, Bucket)>> {
        let mut found = Vec::new();
        self.each(&self.root, &mut |name, value| {
            let Value::Bucket(bucket) = value else {
                bail!("the database has a value where only buckets may be");
            };
            found.push((name, bucket));
            Ok(())
        })?;
        Ok(found)
    }

    /// Visits the pairs of a bucket in the order of their keys.
    ///
    /// # Errors
    /// When the file cannot be read or is damaged, or the visitor's own.
    pub(super) fn each(&self, bucket: &Bucket, visit: Visit<'_>) -> anyhow::Result<()> {
        let mut walk = Walk {
            bolt: self,
            seen: vec![0; usize::try_from(self.pages.div_ceil(64))?],
            last: None,
        };
        match &bucket.inline {
            Some(page) => walk.leaf(page, visit).context("an inline bucket"),
            None => walk.page(bucket.root, 0, visit),
        }
    }
}

struct Meta {
    page_size: u64,
    root: u64,
    pages: u64,
    transaction: u64,
}

/// The meta page at a place, if there is a whole one.
fn meta(file: &File, at: u64, length: u64) -> Option<Meta> {
    let mut bytes = [0; HEADER + META + 8];
    if at + bytes.len() as u64 > length || file.read_exact_at(&mut bytes, at).is_err() {
        return None;
    }
    let meta = &bytes[HEADER..];
    let page_size = u32_at(meta, 8);
    let right = u32_at(meta, 0) == MAGIC
        && u32_at(meta, 4) == VERSION
        && page_size.is_power_of_two()
        && (512..=65536).contains(&page_size)
        && u64_at(meta, META) == checksum(&meta[..META]);
    right.then(|| Meta {
        page_size: u64::from(page_size),
        root: u64_at(meta, 16),
        pages: u64_at(meta, 40),
        transaction: u64_at(meta, 48),
    })
}

/// One way through a tree.
struct Walk<'a> {
    bolt: &'a Bolt<'a>,
    /// A bit for each page.
    seen: Vec<u64>,
    last: Option<Bytes>,
}

impl Walk<'_> {
    fn page(&mut self, id: u64, depth: usize, visit: Visit<'_>) -> anyhow::Result<()> {
        let page = self.read(id)?;
        match u16_at(&page, 8) {
            LEAF_PAGE => self.leaf(&page, visit).with_context(|| format!("page {id}")),
            BRANCH_PAGE => {
                ensure!(depth < DEEPEST, "page {id}: the tree is too deep");
                let count = usize::from(u16_at(&page, 10));
                ensure!(
                    HEADER + count * HEADER <= page.len(),
                    "page {id}: more elements than fit"
                );
                for number in 0..count {
                    self.page(u64_at(&page, HEADER + number * HEADER + 8), depth + 1, visit)?;
                }
                Ok(())
            }
            kind => bail!("page {id}: kind {kind:#x} where a tree was expected"),
        }
    }

    /// A page with the pages it runs over into.
    fn read(&mut self, id: u64) -> anyhow::Result<Bytes> {
        let Bolt {
            file, page_size, pages, ..
        } = *self.bolt;
        ensure!(
            (2..pages).contains(&id),
            "page {id} is named, but there are only {pages}"
        );
        let mut header = [0; HEADER];
        file.read_exact_at(&mut header, id * page_size)?;
        let overflow = u64::from(u32_at(&header, 12));
        ensure!(u64_at(&header, 0) == id, "page {id} has the header of another");
        ensure!(id + overflow < pages, "page {id} runs over the end of the file");
        for page in id..=id + overflow {
            let (word, bit) = ((page / 64) as usize, 1 << (page % 64));
            ensure!(self.seen[word] & bit == 0, "page {page} is in the tree twice");
            self.seen[word] |= bit;
        }
        let mut bytes = vec![0; usize::try_from((overflow + 1) * page_size)?];
        file.read_exact_at(&mut bytes, id * page_size)?;
        Ok(bytes.into())
    }

    fn leaf(&mut self, page: &Bytes, visit: Visit<'_>) -> anyhow::Result<()> {
        ensure!(
            page.len() >= HEADER && u16_at(page, 8) == LEAF_PAGE,
            "no leaf where one must be"
        );
        let count = usize::from(u16_at(page, 10));
        for number in 0..count {
            let at = HEADER + number * HEADER;
            let element = page.get(at..at + HEADER).context("more elements than fit")?;
            let [flags, position, key, value] = [0, 4, 8, 12].map(|at| u32_at(element, at));
            // None of the three is above 4 GiB: no overflow in 64 bits.
            let key_at = at + position as usize;
            let value_at = key_at + key as usize;
            let end = value_at + value as usize;
            ensure!(
                key_at >= at + HEADER && end <= page.len(),
                "element {number} lies outside of its page"
            );
            let (key, value) = (page.slice(key_at..value_at), page.slice(value_at..end));
            ensure!(
                self.last.as_ref().is_none_or(|last| *last < key),
                "the keys are not in order at element {number}"
            );
            self.last = Some(key.clone());
            let value = match flags {
                0 => Value::Bytes(value),
                BUCKET_LEAF => Value::Bucket(bucket(&value)?),
                other => bail!("element {number} is of an unknown kind {other:#x}"),
            };
            visit(key, value)?;
        }
        Ok(())
    }
}

fn bucket(value: &Bytes) -> anyhow::Result<Bucket> {
    ensure!(value.len() >= BUCKET, "a bucket that is too short");
    let root = u64_at(value, 0);
    Ok(Bucket {
        root,
        inline: (root == 0).then(|| value.slice(BUCKET..)),
    })
}

/// FNV-1a, as the meta pages carry it.
pub(super) fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(array(bytes, at))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array(bytes, at))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array(bytes, at))
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}
