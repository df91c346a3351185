//! A disk in memory that loses power: what was not flushed is kept, lost or torn as luck has it.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use crate::engine::log::disk::{Disk, DiskFile};

const SECTOR: usize = 512;

#[derive(Default)]
pub(in crate::engine::log) struct Fickle(Arc<Mutex<World>>);

#[derive(Default)]
struct World {
    names: BTreeMap<String, Shared>,
    durable_names: BTreeMap<String, Shared>,
    /// Changes of names that were not flushed.
    changes: Vec<Rename>,
    operations: usize,
    /// What was read: of which file, from where, how much.
    reads: Vec<(String, u64, usize)>,
    /// The operation in which the power goes.
    fails_at: Option<usize>,
    /// The operation that fails, without consequences for others.
    fails_once_at: Option<usize>,
    /// No file can grow.
    full: bool,
}

type Shared = Arc<Mutex<Bytes>>;

#[derive(Default)]
struct Bytes {
    now: Vec<u8>,
    durable: Vec<u8>,
}

#[derive(Clone)]
enum Rename {
    Set(String, Shared),
    Gone(String),
}

struct Open {
    world: Arc<Mutex<World>>,
    name: String,
    bytes: Shared,
}

impl World {
    /// Counts an operation that changes something; an error once the power is gone.
    fn tick(&mut self) -> io::Result<()> {
        self.operations += 1;
        match self.fails_at {
            Some(at) if self.operations > at => Err(io::Error::other("the power is gone")),
            _ if self.fails_once_at == Some(self.operations - 1) => Err(io::Error::other("a bad moment")),
            _ => Ok(()),
        }
    }

    fn change(&mut self, change: Rename) {
        change.clone().apply(&mut self.names);
        self.changes.push(change);
    }
}

impl Rename {
    fn apply(self, names: &mut BTreeMap<String, Shared>) {
        match self {
            Rename::Set(name, bytes) => drop(names.insert(name, bytes)),
            Rename::Gone(name) => drop(names.remove(&name)),
        }
    }
}

impl Fickle {
    /// The power goes in operation `at`.
    pub(super) fn failing_at(at: usize) -> Self {
        let disk = Fickle::default();
        disk.0.lock().fails_at = Some(at);
        disk
    }

    /// Operation `at` fails, and no other.
    pub(super) fn failing_once_at(at: usize) -> Self {
        let disk = Fickle::default();
        disk.0.lock().fails_once_at = Some(at);
        disk
    }

    /// Whether files can grow no more.
    pub(super) fn full(&self, full: bool) {
        self.0.lock().full = full;
    }

    /// Operations that changed something.
    pub(super) fn operations(&self) -> usize {
        self.0.lock().operations
    }

    /// What was read since the last call: of which file, from where, how much.
    pub(super) fn take_reads(&self) -> Vec<(String, u64, usize)> {
        std::mem::take(&mut self.0.lock().reads)
    }

    /// What is on the disk when the power is back.
    pub(super) fn after_crash(&self, luck: u64) -> Fickle {
        let mut luck = StdRng::seed_from_u64(luck);
        let world = self.0.lock();
        let mut names = world.durable_names.clone();
        let kept = luck.random_range(0..=world.changes.len());
        for change in &world.changes[..kept] {
            change.clone().apply(&mut names);
        }
        let names: BTreeMap<String, Shared> = names
            .into_iter()
            .map(|(name, bytes)| {
                let left = bytes.lock().survive(&mut luck);
                (name, Arc::new(Mutex::new(left)))
            })
            .collect();
        Fickle(Arc::new(Mutex::new(World {
            durable_names: names.clone(),
            names,
            ..World::default()
        })))
    }

    /// The files.
    pub(super) fn files(&self) -> Vec<(String, Vec<u8>)> {
        let world = self.0.lock();
        world
            .names
            .iter()
            .map(|(name, bytes)| (name.clone(), bytes.lock().now.clone()))
            .collect()
    }

    /// A disk with these files.
    pub(super) fn with(files: Vec<(String, Vec<u8>)>) -> Fickle {
        let shared = |now: Vec<u8>| {
            Arc::new(Mutex::new(Bytes {
                durable: now.clone(),
                now,
            }))
        };
        let names: BTreeMap<String, Shared> = files.into_iter().map(|(name, now)| (name, shared(now))).collect();
        Fickle(Arc::new(Mutex::new(World {
            durable_names: names.clone(),
            names,
            ..World::default()
        })))
    }
}

impl Bytes {
    /// Each sector that was not flushed is the new or the old one; the length is one of the two.
    fn survive(&self, luck: &mut StdRng) -> Bytes {
        let length = if luck.random() {
            self.now.len()
        } else {
            self.durable.len()
        };
        let mut left = vec![0; length];
        for (number, sector) in left.chunks_mut(SECTOR).enumerate() {
            let from = if luck.random() { &self.now } else { &self.durable };
            let start = number * SECTOR;
            let end = (start + sector.len()).min(from.len());
            if start < end {
                sector[..end - start].copy_from_slice(&from[start..end]);
            }
        }
        Bytes {
            durable: left.clone(),
            now: left,
        }
    }
}

impl Disk for Fickle {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.0.lock().names.keys().cloned().collect())
    }
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let mut world = self.0.lock();
        world.tick()?;
        let bytes = Shared::default();
        world.change(Rename::Set(name.to_owned(), bytes.clone()));
        Ok(Arc::new(Open {
            world: self.0.clone(),
            name: name.to_owned(),
            bytes,
        }))
    }
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let world = self.0.lock();
        let bytes = world.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::new(Open {
            world: self.0.clone(),
            name: name.to_owned(),
            bytes: bytes.clone(),
        }))
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut world = self.0.lock();
        world.tick()?;
        let bytes = world.names.get(from).cloned().ok_or(io::ErrorKind::NotFound)?;
        world.change(Rename::Gone(from.to_owned()));
        world.change(Rename::Set(to.to_owned(), bytes));
        Ok(())
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        let mut world = self.0.lock();
        world.tick()?;
        if !world.names.contains_key(name) {
            return Err(io::ErrorKind::NotFound.into());
        }
        world.change(Rename::Gone(name.to_owned()));
        Ok(())
    }
    fn sync_names(&self) -> io::Result<()> {
        let mut world = self.0.lock();
        world.tick()?;
        world.durable_names = world.names.clone();
        world.changes.clear();
        Ok(())
    }
}

impl Open {
    /// Whether there is room for it to be so long.
    fn room(&self, length: usize) -> io::Result<()> {
        if self.world.lock().full && self.bytes.lock().now.len() < length {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }
}

impl DiskFile for Open {
    fn len(&self) -> io::Result<u64> {
        Ok(self.bytes.lock().now.len() as u64)
    }
    fn read(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        self.world.lock().reads.push((self.name.clone(), at, buffer.len()));
        let bytes = self.bytes.lock();
        let from = bytes.now.get(at as usize..at as usize + buffer.len());
        buffer.copy_from_slice(from.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
    fn write(&self, new: &[u8], at: u64) -> io::Result<()> {
        self.room(at as usize + new.len())?;
        let failed = self.world.lock().tick();
        let mut bytes = self.bytes.lock();
        let end = at as usize + new.len();
        if bytes.now.len() < end {
            bytes.now.resize(end, 0);
        }
        // The write in which the power goes has reached the cache: some of it may have reached the disk.
        bytes.now[at as usize..end].copy_from_slice(new);
        failed
    }
    fn sync(&self) -> io::Result<()> {
        self.world.lock().tick()?;
        let mut bytes = self.bytes.lock();
        bytes.durable = bytes.now.clone();
        Ok(())
    }
    fn allocate(&self, length: u64) -> io::Result<()> {
        self.truncate(length)
    }
    fn truncate(&self, length: u64) -> io::Result<()> {
        self.room(length as usize)?;
        self.world.lock().tick()?;
        self.bytes.lock().now.resize(length as usize, 0);
        Ok(())
    }
}
