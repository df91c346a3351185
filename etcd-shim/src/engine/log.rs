//! The engine that is a log: segments of frames, one flush a commit; an index in memory; values on disk only.
//!
//! The format and its invariants are in `docs/format.md`. Start with `tail.rs` (how it grows), then `recover.rs`
//! (what a crash leaves), then `clean.rs` (how space comes back).

mod clean;
mod disk;
mod frame;
mod hint;
pub(crate) mod hostile;
mod item;
mod recover;
mod segment;
mod snapshot;
mod state;
mod tail;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use bytes::{Bytes, BytesMut};
use parking_lot::{Mutex, RwLock};

use self::disk::{Directory, Disk};
use self::frame::SegmentHeader;
use self::hint::Heads;
use self::item::Item;
use self::segment::{Found as Located, Index, Place, Segment};
pub(crate) use self::snapshot::{is_segment, read_snapshot};
use self::tail::Tail;
use super::{Engine, Found, Size};
use crate::mvcc::{Batch, EngineError, Record, Records, Revision};

/// A segment is sealed once it is this long.
const SEGMENT_BYTES: u64 = 64 << 20;
/// Hundredths of a segment that may be garbage before it is written anew.
const TOLERATED_GARBAGE: u64 = 50;
/// Records this near to each other are read at once.
const GAP: u64 = 16 << 10;
/// Records in memory at once while all are visited.
const SCAN: usize = 1024;
/// Bytes read at once, unless one record is larger.
const READ: usize = 512 << 10;

/// An open log.
pub(crate) struct Log {
    shared: Arc<Shared>,
    tail: Mutex<Tail>,
    /// What opening read of the records, by segment: the first visit of all heads need not read it again.
    heads: Mutex<BTreeMap<u64, (SegmentHeader, Heads)>>,
    /// `None` only while it is dropped.
    chores: Option<mpsc::Sender<Chore>>,
    thread: Option<JoinHandle<()>>,
    // Held while the store is open: a second process must not write the same files. Dropped last.
    _lock: Option<File>,
}

/// What the thread beside the commits has, too.
struct Shared {
    disk: Arc<dyn Disk>,
    index: RwLock<Index>,
    segment_bytes: u64,
    /// Held while files are written anew.
    cleaning: Mutex<()>,
    stopping: AtomicBool,
}

/// A record to be read.
struct Wanted {
    /// Which of all that are wanted.
    order: usize,
    at: Revision,
    place: Located,
}

/// What is done beside the commits.
enum Chore {
    /// A segment has ended.
    Seal(u64),
    /// Records have died.
    Clean,
}

impl Log {
    /// Opens the log in `directory`/log, creating both if they are missing. The directory is made 0700.
    pub(crate) fn open(directory: &Path) -> Result<Self, EngineError> {
        let lock = super::lock(directory)?;
        super::refuse_other(directory, super::SQLITE)?;
        let io = |error: io::Error| EngineError::new("open data directory", error);
        let path = directory.join(super::LOG);
        std::fs::create_dir_all(&path).map_err(io)?;
        // The name of the new directory must be durable before what is in it counts.
        File::open(directory).and_then(|parent| parent.sync_all()).map_err(io)?;
        let (mut log, chores) = Self::over(Arc::new(Directory::new(&path)), SEGMENT_BYTES)
            .map_err(|error| EngineError::new("open log", error))?;
        log._lock = Some(lock);
        let shared = log.shared.clone();
        let thread = std::thread::Builder::new().name("log-chores".into());
        let thread = thread.spawn(move || work(&chores, &shared.stopping, |chore| shared.chore(chore)));
        log.thread = Some(thread.map_err(|error| EngineError::new("start the thread for chores", error))?);
        Ok(log)
    }

    /// The log on a disk, and what it leaves for [`Shared::chore`].
    fn over(disk: Arc<dyn Disk>, segment_bytes: u64) -> io::Result<(Self, mpsc::Receiver<Chore>)> {
        let opened = recover::open(&*disk, rand::random(), segment_bytes)?;
        let (chores, list) = mpsc::channel();
        let heads = opened.heads.into_iter();
        let heads = heads.map(|(header, heads)| (header.number, (header, heads)));
        let log = Log {
            shared: Arc::new(Shared {
                disk,
                index: RwLock::new(opened.index),
                segment_bytes,
                cleaning: Mutex::new(()),
                stopping: AtomicBool::new(false),
            }),
            tail: Mutex::new(opened.tail),
            heads: Mutex::new(heads.collect()),
            chores: Some(chores),
            thread: None,
            _lock: None,
        };
        let unhinted = opened.unhinted.into_iter().map(Chore::Seal);
        unhinted.chain([Chore::Clean]).for_each(|chore| log.leave(chore));
        Ok((log, list))
    }

    /// For the thread beside. Where there is none (tests), nobody misses it.
    fn leave(&self, chore: Chore) {
        if let Some(chores) = &self.chores {
            let _ = chores.send(chore);
        }
    }

    /// Ends the segment that grows and begins the next.
    fn roll(&self, tail: &mut Tail) -> io::Result<()> {
        let header = SegmentHeader {
            number: tail.header.number + 1,
            first_sequence: tail.sequence + 1,
            cleaned: None,
            ..tail.header
        };
        let dead = self.shared.index.read().dead();
        let next = Tail::create(
            &*self.shared.disk,
            header,
            tail.state.clone(),
            &dead,
            self.shared.segment_bytes,
        )?;
        let segment = Segment::new(header, next.file.clone(), next.end);
        self.shared.index.write().0.push(segment);
        let old = std::mem::replace(tail, next);
        self.leave(Chore::Seal(old.header.number));
        Ok(())
    }

    fn append(&self, batch: &Batch) -> io::Result<()> {
        let mut tail = self.tail.lock();
        if tail.end >= self.shared.segment_bytes {
            self.roll(&mut tail)?;
        }
        let added = tail.commit(batch)?;
        let mut index = self.shared.index.write();
        if let Some(growing) = index.0.last_mut() {
            added.places.into_iter().for_each(|place| growing.push(place));
            growing.end = added.end;
        }
        index.kill(&batch.removed);
        drop(index);
        if !batch.removed.is_empty() {
            self.leave(Chore::Clean);
        }
        Ok(())
    }

    /// Reads records, near ones at once.
    fn fetch(wanted: &mut [Wanted], values: bool) -> io::Result<Vec<(usize, Record)>> {
        wanted.sort_unstable_by_key(|one| (one.place.segment, one.place.offset));
        let mut out = Vec::with_capacity(wanted.len());
        let mut rest = &*wanted;
        while let Some(Wanted { place: first, .. }) = rest.first() {
            let mut end = first.offset;
            let near = rest.iter().take_while(|Wanted { place, .. }| {
                let next = place.offset + place.length as u64;
                let fits = end == first.offset
                    || place.segment == first.segment
                        && place.offset <= end + GAP
                        && next - first.offset <= READ as u64;
                if fits {
                    end = end.max(next);
                }
                fits
            });
            let count = near.count();
            let mut bytes = BytesMut::zeroed((end - first.offset) as usize);
            first.file.read(&mut bytes, first.offset)?;
            let bytes = bytes.freeze();
            for Wanted { order, at, place } in &rest[..count] {
                let from = (place.offset - first.offset) as usize;
                let record = proved(&bytes.slice(from..from + place.length), *at, values);
                out.push((*order, record.map_err(|why| place.damage(why))?));
            }
            rest = &rest[count..];
        }
        Ok(out)
    }

    /// The first segment that has live records from `from` on, with only those.
    fn some(&self, from: Revision) -> Option<Segment> {
        let index = self.shared.index.read();
        index.0.iter().find_map(|segment| {
            let places: Vec<Place> = segment.alive().filter(|place| place.at >= from).copied().collect();
            let mut some = Segment::new(segment.header, segment.file.clone(), segment.end);
            some.places = places;
            (!some.places.is_empty()).then_some(some)
        })
    }

    /// The heads of a segment's records as of some moment, if that costs less than to read it.
    fn heads(&self, header: &SegmentHeader) -> Option<Heads> {
        let read = self.heads.lock().remove(&header.number);
        // It may have been written anew meanwhile.
        let read = read.filter(|(of, _)| of == header).map(|(_, heads)| heads);
        read.or_else(|| Some(hint::load(&*self.shared.disk, header)?.heads))
    }

    fn visit(&self, from: Revision, values: bool, visit: &mut dyn FnMut(Revision, Record)) -> io::Result<()> {
        let mut from = Some(from);
        while let Some(segment) = from.and_then(|from| self.some(from)) {
            let mut places = &segment.places[..];
            let heads = if values { None } else { self.heads(&segment.header) };
            for head in heads.iter().flat_map(Heads::iter) {
                match places.split_first() {
                    Some((first, rest)) if first.at == head.place.at => {
                        visit(first.at, head.record);
                        places = rest;
                    }
                    Some((first, _)) if first.at > head.place.at => {}
                    _ => break,
                }
            }
            // All, or what was added since.
            for some in places.chunks(SCAN) {
                let wanted = some.iter().enumerate().map(|(order, place)| Wanted {
                    order,
                    at: place.at,
                    place: segment.found(place),
                });
                let mut wanted: Vec<Wanted> = wanted.collect();
                // Places are in order of revision.
                let read = Self::fetch(&mut wanted, values)?;
                for ((_, record), place) in read.into_iter().zip(some) {
                    visit(place.at, record);
                }
            }
            let last = segment.places.last().map(|place| place.at.raw());
            from = last.and_then(|last| last.checked_add(1)).map(Revision::from_raw);
        }
        Ok(())
    }
}

fn proved(bytes: &Bytes, at: Revision, values: bool) -> Result<Record, &'static str> {
    match item::record(bytes, values)? {
        (found, record, _) if found == at => Ok(record),
        _ => Err("another record"),
    }
}

fn work(list: &mpsc::Receiver<Chore>, stopping: &AtomicBool, run: impl Fn(Chore) -> io::Result<()>) {
    while let Ok(chore) = list.recv() {
        if stopping.load(Ordering::Relaxed) {
            return;
        }
        // Whatever goes wrong, nothing is lost: the files are as they were, only larger.
        match catch_unwind(AssertUnwindSafe(|| run(chore))) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "the log cannot be tidied up"),
            Err(_) => tracing::error!("tidying the log up panicked"),
        }
    }
}

impl Shared {
    fn chore(&self, chore: Chore) -> io::Result<()> {
        match chore {
            Chore::Seal(number) => self.seal(number),
            Chore::Clean => self.clean(TOLERATED_GARBAGE),
        }
    }

    fn seal(&self, number: u64) -> io::Result<()> {
        let _alone = self.cleaning.lock();
        let found = {
            let index = self.index.read();
            let segment = index.0.iter().find(|segment| segment.header.number == number);
            segment.map(|segment| (segment.header, segment.file.clone(), segment.end))
        };
        match found {
            Some((header, file, end)) => clean::seal(&*self.disk, header, &file, end),
            None => Ok(()),
        }
    }

    /// Writes segments anew until none has more garbage than tolerated.
    fn clean(&self, tolerated: u64) -> io::Result<()> {
        let _alone = self.cleaning.lock();
        while !self.stopping.load(Ordering::Relaxed) {
            let chosen = clean::choose(&self.index.read(), tolerated, self.segment_bytes);
            let Some(job) = chosen else { return Ok(()) };
            let anew = job.run(&*self.disk)?;
            let made = anew
                .as_ref()
                .map(|segment| (segment.header, segment.file.clone(), segment.end));
            job.finish(&mut self.index.write(), anew);
            if let Some((header, file, end)) = made {
                clean::seal(&*self.disk, header, &file, end)?;
            }
        }
        Ok(())
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        // The lock must not go before the last write.
        self.shared.stopping.store(true, Ordering::Relaxed);
        drop(self.chores.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Records for Log {
    fn read(&self, revisions: &[Revision], values: bool) -> Result<Vec<Option<Record>>, EngineError> {
        let mut wanted: Vec<Wanted> = {
            let index = self.shared.index.read();
            let found = revisions.iter().enumerate().filter_map(|(order, at)| {
                let place = index.find(*at)?;
                Some(Wanted { order, at: *at, place })
            });
            found.collect()
        };
        let mut out = vec![None; revisions.len()];
        let read = Self::fetch(&mut wanted, values).map_err(|error| EngineError::new("read records", error))?;
        for (order, record) in read {
            out[order] = Some(record);
        }
        Ok(out)
    }
}

impl Engine for Log {
    fn commit(&self, batch: &Batch) -> Result<(), EngineError> {
        self.append(batch).map_err(|error| EngineError::new("commit", error))
    }

    fn scan(&self, from: Revision, values: bool, visit: &mut dyn FnMut(Revision, Record)) -> Result<(), EngineError> {
        self.visit(from, values, visit)
            .map_err(|error| EngineError::new("scan records", error))
    }

    fn found(&self) -> Result<Found, EngineError> {
        Ok(self.tail.lock().state.found())
    }

    fn number(&self, name: &str, make: &mut dyn FnMut(Option<i64>) -> i64) -> Result<i64, EngineError> {
        let mut tail = self.tail.lock();
        let value = make(tail.state.numbers.get(name).copied());
        let item = Item::Number {
            name: name.to_owned(),
            value,
        };
        tail.add(&item)
            .map_err(|error| EngineError::new("update number", error))?;
        if let Some(growing) = self.shared.index.write().0.last_mut() {
            growing.end = tail.end;
        }
        Ok(value)
    }

    fn size(&self) -> Result<Size, EngineError> {
        let index = self.shared.index.read();
        Ok(Size {
            total: index.0.iter().map(|segment| segment.end).sum(),
            in_use: index.0.iter().map(|segment| segment.live).sum(),
        })
    }

    fn defragment(&self) -> Result<(), EngineError> {
        self.shared
            .clean(0)
            .map_err(|error| EngineError::new("defragment", error))
    }

    fn snapshot(&self, sink: &mut dyn FnMut(u64, Vec<u8>) -> bool) -> Result<(), EngineError> {
        let copy = snapshot::Copy::of(self);
        copy.send(sink)
            .map_err(|error| EngineError::new("copy for snapshot", error))
    }
}
