//! The log's readers before bytes that anybody may have written: for `fuzz.rs`.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use etcd_proto::etcdserverpb::{DeleteRangeRequest, PutRequest};
use parking_lot::{Mutex, RwLock};

use super::disk::{Disk, DiskFile};
use super::frame::{self, SEGMENT_HEADER, SegmentHeader, u32_at};
use super::item::HEAD;
use super::{Chore, Log, hint, segment};
use crate::engine::Engine as _;
use crate::engine::memory::Memory;
use crate::lease::Lessor;
use crate::mvcc::{Core, Records as _, Revision};
use crate::txn;

/// Segments as small as a frame: histories have many.
const SMALL: u64 = 2 << 10;

/// Files in memory. Nothing larger than a file is ever asked of it: who reads, has made room before.
#[derive(Default)]
struct Flat(Mutex<BTreeMap<String, Arc<File>>>);

#[derive(Default)]
struct File(RwLock<Vec<u8>>);

impl Disk for Flat {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.0.lock().keys().cloned().collect())
    }
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let file = Arc::new(File::default());
        self.0.lock().insert(name.to_owned(), file.clone());
        Ok(file)
    }
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.0.lock().get(name).ok_or(io::ErrorKind::NotFound)?.clone())
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut names = self.0.lock();
        let file = names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        names.insert(to.to_owned(), file);
        Ok(())
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        let gone = self.0.lock().remove(name);
        gone.map(drop).ok_or(io::ErrorKind::NotFound.into())
    }
    fn sync_names(&self) -> io::Result<()> {
        Ok(())
    }
}

impl DiskFile for File {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.read().len() as u64)
    }
    fn read(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        let bytes = self.0.read();
        // A few bytes of a header are no allocation.
        let room = buffer.len() <= bytes.len().max(SEGMENT_HEADER);
        assert!(room, "{} bytes for a file of {}", buffer.len(), bytes.len());
        let end = at
            .checked_add(buffer.len() as u64)
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        let from = bytes
            .get(at as usize..end as usize)
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(from);
        Ok(())
    }
    fn write(&self, new: &[u8], at: u64) -> io::Result<()> {
        let mut bytes = self.0.write();
        let end = at as usize + new.len();
        if bytes.len() < end {
            bytes.resize(end, 0);
        }
        bytes[at as usize..end].copy_from_slice(new);
        Ok(())
    }
    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
    fn allocate(&self, length: u64) -> io::Result<()> {
        self.truncate(length)
    }
    fn truncate(&self, length: u64) -> io::Result<()> {
        self.0.write().resize(length as usize, 0);
        Ok(())
    }
}

/// Opens a log of these files, reads all there is in every way, and tidies it up.
pub(crate) fn read_log(files: Vec<(String, Vec<u8>)>) {
    let disk = Flat::default();
    for (name, bytes) in files {
        disk.0.lock().insert(name, Arc::new(File(RwLock::new(bytes))));
    }
    let Ok((log, chores)) = Log::over(Arc::new(disk), SMALL) else {
        return;
    };
    let (mut core, mut all) = (core(), Vec::new());
    let from = Revision::from_raw(i64::MIN);
    let scanned = log.scan(from, false, &mut |at, record| {
        all.push(at);
        core.load(at, record);
    });
    if scanned.is_ok()
        && let Ok(found) = log.found()
    {
        core.loaded(found.meta);
        core.compact_step();
    }
    // What is damaged is reported: nothing more is asked.
    let _ = log.read(&all, true);
    let _ = log.scan(from, true, &mut |_, _| {});
    let _ = log.snapshot(&mut |_, _| true);
    let _ = log.shared.chore(Chore::Clean);
    let _ = chores.try_iter().try_for_each(|chore| log.shared.chore(chore));
    let _ = log.defragment();
}

fn core() -> Core {
    Core::new(Arc::new(Memory::default()), Arc::new(Mutex::new(Lessor::new(1))))
}

/// The bytes as a hint of a real segment. The first one says whether its checksum is made right.
pub(crate) fn read_hint(bytes: &[u8]) {
    let [right, bytes @ ..] = bytes else { return };
    let mut files = real();
    let idx = hint::file_name(1);
    let mut hint = bytes.to_vec();
    if right & 1 == 1 {
        let start = files
            .iter()
            .find(|(name, _)| *name == idx)
            .map(|(_, real)| real[..hint::START].to_vec());
        hint = [&start.unwrap_or_default()[..], bytes].concat();
        let checksum = crc32c::crc32c(&hint);
        hint.extend_from_slice(&checksum.to_le_bytes());
    }
    files.retain(|(name, _)| *name != idx && name != "snapshot");
    files.push((idx, hint));
    read_log(files);
}

/// The bytes as the payloads of frames, all checksums made right; the first says which is the state, and the like.
pub(crate) fn read_payloads(bytes: &[u8]) {
    let [mode, bytes @ ..] = bytes else { return };
    let header = SegmentHeader {
        number: 1,
        store: 1,
        first_sequence: 1,
        cleaned: None,
    };
    let mut file = header.encode().to_vec();
    for (number, payload) in bytes.split(|byte| *byte == frame::END).enumerate() {
        let mut out = frame::begin();
        let mut payload = payload.to_vec();
        mend(&mut payload);
        out.extend_from_slice(&payload);
        frame::finish(&mut out, number as u64 + 1, number == 0);
        file.extend_from_slice(&out);
    }
    let mut files = vec![(segment::file_name(1), file)];
    if mode & 1 == 1 {
        // It is sealed: a real one follows.
        let next = SegmentHeader {
            number: 2,
            first_sequence: u64::from(mode >> 1),
            ..header
        };
        let mut state = frame::begin();
        frame::finish(&mut state, next.first_sequence, true);
        files.push((segment::file_name(2), [&next.encode()[..], &state].concat()));
    }
    read_log(files);
}

/// Makes the checksums of all records right.
fn mend(payload: &mut [u8]) {
    let mut at = 0;
    while let Some(kind) = payload.get(at) {
        let rest = &payload[at..];
        let length = match kind {
            1 if rest.len() >= HEAD => {
                let (key, value) = (u32_at(rest, 12) as usize, u32_at(rest, 16) as usize);
                let Some(record) = payload.get_mut(at..at + HEAD + key + value) else {
                    return;
                };
                let of_value = crc32c::crc32c(&record[HEAD + key..]);
                record[8..12].copy_from_slice(&of_value.to_le_bytes());
                let of_head = crc32c::crc32c(&record[8..HEAD + key]);
                record[4..8].copy_from_slice(&of_head.to_le_bytes());
                record.len()
            }
            2 if rest.len() >= 5 => 5 + 8 * u32_at(rest, 1) as usize,
            3 => 17,
            4..=6 => 9,
            7 if rest.len() >= 2 => 10 + usize::from(rest[1]),
            _ => return,
        };
        at += length;
    }
}

/// The files of a small log, with segments that grow, are sealed and were written anew, and hints; and as `snapshot`
/// its snapshot without the SHA-256.
pub(crate) fn real() -> Vec<(String, Vec<u8>)> {
    let disk = Arc::new(Flat::default());
    // Nothing fails on this disk.
    let Ok((log, chores)) = Log::over(disk.clone(), SMALL) else {
        return Vec::new();
    };
    let log = Arc::new(log);
    let mut core = Core::new(log.clone(), Arc::new(Mutex::new(Lessor::new(1))));
    let _ = log.number("term", &mut |old| old.unwrap_or(0) + 1);
    for number in 0..60usize {
        if number % 8 == 7 {
            let _ = core.compact(core.revision() - 3);
        }
        let (key, range_end) = (format!("key{}", number % 7).into(), Bytes::new());
        let _ = match number % 9 {
            0 => txn::lease_grant(&mut core, 1 + number as i64, 60, tokio::time::Instant::now()).map(drop),
            5 => {
                let request = DeleteRangeRequest {
                    key,
                    range_end,
                    prev_kv: false,
                };
                txn::delete_range(&mut core, request).map(drop)
            }
            _ => {
                let request = PutRequest {
                    key,
                    value: vec![b'v'; (number * 37) % 300].into(),
                    lease: i64::from(number % 9 == 1),
                    ..PutRequest::default()
                };
                txn::put(&mut core, request).map(drop)
            }
        };
        core.compact_step();
        let _ = log.commit(&core.take_batch());
    }
    let _ = chores.try_iter().try_for_each(|chore| log.shared.chore(chore));
    let mut snapshot = Vec::new();
    let _ = log.snapshot(&mut |_, piece| {
        snapshot.extend(piece);
        true
    });
    let names = disk.0.lock();
    let files = names.iter().map(|(name, file)| (name.clone(), file.0.read().clone()));
    files.chain([("snapshot".to_owned(), snapshot)]).collect()
}
