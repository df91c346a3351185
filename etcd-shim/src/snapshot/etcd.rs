//! etcd's buckets: which of them hold what, read into records and written from them.
//! Source: etcd `server/storage/schema` (names, keys) and `server/storage/mvcc/kvstore.go` `restore`.

use std::fs::File;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use prost::Message as _;

use super::bolt::{Bolt, Bucket, Value};
use super::bolt_writer::Writer;
use super::content::{Part, Sink, filler};
use crate::kv_hash::{stored_key, stored_revision, stored_value};
use crate::mvcc::{Meta, Record, Revision};

/// Key of the revision below which history was given up, and of the one below which it is gone.
const SCHEDULED: &[u8] = b"scheduledCompactRev";
const FINISHED: &[u8] = b"finishedCompactRev";
/// Bytes of a revision.
const REVISION: usize = 17;

/// A row of the bucket `lease`. Source: etcd `server/lease/leasepb/lease.proto`.
#[derive(Clone, PartialEq, prost::Message)]
struct Lease {
    #[prost(int64, tag = "1")]
    id: i64,
    #[prost(int64, tag = "2")]
    ttl: i64,
    #[prost(int64, tag = "3")]
    remaining_ttl: i64,
}

/// What `etcdctl snapshot status` says of a database.
#[derive(Default)]
pub(super) struct Count {
    pub(super) hash: u32,
    pub(super) revision: i64,
    pub(super) keys: u64,
    pub(super) size: u64,
}

/// Reads a database of etcd.
///
/// # Errors
/// When it is damaged, or holds what this store cannot.
pub(super) fn read(file: &File, length: u64, sink: Sink<'_>) -> anyhow::Result<()> {
    let bolt = Bolt::open(file, length)?;
    let buckets = bolt.buckets()?;
    let bucket = |name: &str| {
        let found = buckets.iter().find(|(found, _)| found == name.as_bytes());
        found.map(|(_, bucket)| bucket)
    };
    let keys = bucket("key").context("the database has no bucket \"key\": it is no etcd's")?;
    let mut meta = Meta::default();
    if let Some(found) = bucket("meta") {
        meta = read_meta(&bolt, found).context("bucket meta")?;
    }
    let mut last = 0;
    let mut read_key = |key: Bytes, value: Value| {
        let part = record(&key, value).with_context(|| format!("bucket key, {}", hex(&key)))?;
        last = part.0.main();
        sink(Part::Record(part.0, part.1))
    };
    bolt.each(keys, &mut read_key)?;
    // etcd's compaction may take the newest revision away, which is then known from here alone.
    if let Some(compacted) = meta.compacted.filter(|compacted| *compacted > last) {
        let (at, record) = filler(compacted)?;
        sink(Part::Record(at, record))?;
    }
    if let Some(found) = bucket("lease") {
        bolt.each(found, &mut |_, value| {
            let lease = Lease::decode(bytes(value)?).context("bucket lease")?;
            sink(Part::Lease {
                id: lease.id,
                ttl: lease.ttl,
            })
        })?;
    }
    if let Some(found) = bucket("auth") {
        bolt.each(found, &mut |key, value| {
            if key == "authEnabled" && bytes(value)?.first() == Some(&1) {
                sink(Part::Note("authentication was on: users and roles are not taken over"))?;
            }
            Ok(())
        })?;
    }
    sink(Part::Meta(meta))
}

/// Counts as `etcdctl snapshot status` does: all pairs of all buckets.
///
/// # Errors
/// When the database is damaged.
pub(super) fn count(file: &File, length: u64) -> anyhow::Result<Count> {
    let bolt = Bolt::open(file, length)?;
    let mut count = Count {
        size: bolt.size(),
        ..Count::default()
    };
    for (name, bucket) in bolt.buckets()? {
        count.hash = crc32c::crc32c_append(count.hash, &name);
        bolt.each(&bucket, &mut |key, value| {
            count.hash = crc32c::crc32c_append(count.hash, &key);
            if let Value::Bytes(value) = value {
                count.hash = crc32c::crc32c_append(count.hash, &value);
            }
            if name == "key" {
                count.revision = revision(&key)?.0;
            }
            count.keys += 1;
            Ok(())
        })?;
    }
    Ok(count)
}

fn read_meta(bolt: &Bolt<'_>, bucket: &Bucket) -> anyhow::Result<Meta> {
    let mut meta = Meta::default();
    bolt.each(bucket, &mut |key, value| {
        let place = match &key[..] {
            SCHEDULED => &mut meta.compacted,
            FINISHED => &mut meta.compaction_finished,
            _ => return Ok(()),
        };
        *place = Some(revision(&bytes(value)?)?.0);
        Ok(())
    })?;
    // A database that was compacted long ago may have only the second.
    meta.compacted = meta.compacted.max(meta.compaction_finished);
    Ok(meta)
}

fn record(key: &[u8], value: Value) -> anyhow::Result<(Revision, Record)> {
    let (main, sub) = revision(key)?;
    ensure!(
        (0..=Revision::MAX_SUB).contains(&sub),
        "revision {main}/{sub}: one transaction changes at most {} keys here",
        Revision::MAX_SUB + 1
    );
    let is_tombstone = match &key[REVISION..] {
        [] => false,
        b"t" => true,
        _ => anyhow::bail!("neither a revision nor a tombstone's"),
    };
    let found = etcd_proto::mvccpb::KeyValue::decode(bytes(value)?)?;
    if !is_tombstone && found.key.is_empty() {
        // What `etcdutl snapshot restore --bump-revision` writes.
        return filler(main);
    }
    ensure!(
        is_tombstone || found.mod_revision == main,
        "holds what was written at revision {}",
        found.mod_revision
    );
    let record = if is_tombstone {
        Record {
            key: found.key,
            ..Record::default()
        }
    } else {
        Record {
            key: found.key,
            create_revision: found.create_revision,
            version: found.version,
            lease: found.lease,
            value: found.value,
        }
    };
    Ok((Revision::new(main, sub), record))
}

fn revision(bytes: &[u8]) -> anyhow::Result<(i64, i64)> {
    let number = |at: usize| {
        let eight = bytes.get(at..at + 8).and_then(|eight| <[u8; 8]>::try_from(eight).ok());
        eight.map(i64::from_be_bytes)
    };
    let (Some(main), Some(b'_'), Some(sub)) = (number(0), bytes.get(8), number(9)) else {
        anyhow::bail!("no revision");
    };
    ensure!(
        (0..=Revision::MAX_MAIN).contains(&main) && sub >= 0,
        "revision {main}/{sub} is out of range"
    );
    Ok((main, sub))
}

fn bytes(value: Value) -> anyhow::Result<Bytes> {
    match value {
        Value::Bytes(bytes) => Ok(bytes),
        Value::Bucket(_) => anyhow::bail!("a bucket where a value must be"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().take(32).map(|byte| format!("{byte:02x}")).collect()
}

/// Writes a database that `etcdctl snapshot restore` reads. `parts` hands over what it is made of: the records in order.
///
/// # Errors
/// Of `parts`, and the disk's.
pub(super) fn write(file: File, parts: &mut dyn FnMut(Sink<'_>) -> anyhow::Result<()>) -> anyhow::Result<File> {
    let mut writer = Writer::new(file)?;
    let (mut leases, mut meta) = (Vec::new(), Meta::default());
    for name in ["alarm", "auth", "authRoles", "authUsers", "cluster"] {
        writer.bucket(name).end()?;
    }
    let mut keys = writer.bucket("key");
    parts(&mut |part| {
        match part {
            Part::Record(at, record) => keys.put(stored_key(at, &record), stored_value(at, &record))?,
            Part::Lease { id, ttl } => leases.push((id, ttl)),
            Part::Meta(found) => meta = found,
            Part::Note(_) => {}
        }
        Ok(())
    })?;
    keys.end()?;
    // As their keys order them.
    leases.sort_unstable_by_key(|(id, _)| id.cast_unsigned());
    let mut bucket = writer.bucket("lease");
    for (id, ttl) in leases {
        let lease = Lease {
            id,
            ttl,
            remaining_ttl: 0,
        };
        bucket.put(id.to_be_bytes().to_vec(), lease.encode_to_vec())?;
    }
    bucket.end()?;
    for name in ["members", "members_removed"] {
        writer.bucket(name).end()?;
    }
    let mut bucket = writer.bucket("meta");
    for (name, revision) in [(FINISHED, meta.compaction_finished), (SCHEDULED, meta.compacted)] {
        if let Some(revision) = revision {
            bucket.put(name.to_vec(), stored_revision(revision, 0))?;
        }
    }
    bucket.end()?;
    Ok(writer.finish()?)
}
