//! Opening: what the files say after whatever happened to the process that wrote them.
//!
//! One frame at most was being written when a process or a machine died, and it is the last. What is behind the last
//! whole frame is cut off if it looks like that; anything else that does not check out is damage, and is reported
//! with its place instead of being served or cut.

use std::io;
use std::num::NonZero;
use std::sync::Arc;
use std::thread;

use parking_lot::Mutex;

use super::disk::{Disk, DiskFile};
use super::frame::{ALIGNMENT, FRAME_HEADER, FrameHeader, SEGMENT_HEADER, SegmentHeader};
use super::hint::{self, Gathered, Heads};
use super::item::Item;
use super::segment::{Index, Segment, file_name, number_of};
use super::state::State;
use super::tail::{FIRST, Tail, read_frame};

/// Disks write this much at once or not at all.
const SECTOR: u64 = 512;
/// Bytes looked through at a time.
const WINDOW: usize = 1 << 20;
static ZEROS: [u8; 4 << 10] = [0; 4 << 10];

/// An opened log.
pub(super) struct Recovered {
    pub(super) index: Index,
    pub(super) tail: Tail,
    /// Sealed segments that have no hint yet.
    pub(super) unhinted: Vec<u64>,
    /// What was read of the records on the way.
    pub(super) heads: Vec<(SegmentHeader, Heads)>,
}

/// Opens the log on `disk`; makes one with the number `store` when there is none.
///
/// # Errors
/// When the disk fails, or holds what no crash can explain.
pub(super) fn open(disk: &dyn Disk, store: u64, allocate: u64) -> io::Result<Recovered> {
    let mut names = disk.list()?;
    for name in names.iter().filter(|name| name.ends_with(".tmp")) {
        disk.remove(name)?;
    }
    names.retain(|name| number_of(name).is_some());
    let mut numbers: Vec<u64> = names.iter().filter_map(|name| number_of(name)).collect();
    numbers.sort_unstable();
    // A roll-over, or the first start, that was not finished: nobody was told of anything in it.
    if let Some(last) = numbers.last().copied()
        && !begins(disk, last)?
    {
        disk.remove(&file_name(last))?;
        disk.sync_names()?;
        numbers.pop();
    }
    let Some(last) = numbers.pop() else {
        let header = SegmentHeader {
            number: 1,
            store,
            first_sequence: 1,
            cleaned: None,
        };
        let tail = Tail::create(disk, header, State::default(), &[], allocate)?;
        let index = Index(vec![Segment::new(header, tail.file.clone(), tail.end)]);
        return Ok(Recovered {
            index,
            tail,
            unhinted: vec![],
            heads: vec![],
        });
    };
    let Growing {
        segment: growing,
        tail,
        dead,
        heads: newest,
    } = tail(disk, last)?;
    let mut files = Vec::new();
    let mut replaced = 0;
    for number in numbers {
        if number <= replaced {
            // Written anew as part of an earlier one, whose name was changed before this one was removed.
            disk.remove(&file_name(number))?;
            disk.sync_names()?;
            continue;
        }
        let file = disk.open(&file_name(number))?;
        let header = header(&*file, number)?;
        if header.store != tail.header.store {
            return Err(damage(number, 0, "belongs to another store"));
        }
        replaced = header.cleaned.map_or(0, |cleaned| cleaned.upto);
        files.push((header, file));
    }
    let mut heads = Vec::new();
    let mut index = Index::default();
    let mut unhinted = Vec::new();
    for found in at_once(files, |(header, file)| sealed(disk, header, file)) {
        let Sealed {
            segment,
            heads: read,
            hinted,
        } = found?;
        if !hinted {
            unhinted.push(segment.header.number);
            if segment.end < segment.file.len()? {
                // Its successor was begun, and it was not yet cut to its length.
                segment.file.truncate(segment.end)?;
                segment.file.sync()?;
            }
        }
        heads.push((segment.header, read));
        index.0.push(segment);
    }
    heads.push((growing.header, newest));
    // The first may hold nothing yet.
    let in_order = |a: &Segment, b: &Segment| match (a.places.last(), b.places.first()) {
        (Some(last), Some(first)) => last.at < first.at,
        _ => true,
    };
    index.0.push(growing);
    for pair in index.0.windows(2) {
        if pair[0]
            .next_sequence
            .is_some_and(|next| next != pair[1].header.first_sequence)
        {
            return Err(damage(
                pair[0].header.number,
                pair[0].end,
                "frames are missing at its end",
            ));
        }
    }
    let filled: Vec<&Segment> = index.0.iter().filter(|segment| !segment.places.is_empty()).collect();
    if let Some(pair) = filled.windows(2).find(|pair| !in_order(pair[0], pair[1])) {
        return Err(damage(
            pair[1].header.number,
            FIRST,
            "its records are older than those before it",
        ));
    }
    index.kill(&dead);
    Ok(Recovered {
        index,
        tail,
        unhinted,
        heads,
    })
}

/// Whether a segment's header and first frame are whole.
fn begins(disk: &dyn Disk, number: u64) -> io::Result<bool> {
    let file = disk.open(&file_name(number))?;
    let length = file.len()?;
    if let Ok(header) = header(&*file, number)
        && let Some(first) = read_frame(&*file, FIRST, length)?
        && first.sequence == header.first_sequence
        && first.is_state
    {
        return Ok(true);
    }
    match whole_frame_behind(&*file, 0, length, 0)? {
        None => Ok(false),
        Some(at) => Err(damage(
            number,
            0,
            &format!("does not begin as a segment, but has a frame at {at}"),
        )),
    }
}

fn header(file: &dyn DiskFile, number: u64) -> io::Result<SegmentHeader> {
    let mut bytes = [0; SEGMENT_HEADER];
    file.read(&mut bytes, 0)?;
    let header = SegmentHeader::decode(&bytes).map_err(|why| damage(number, 0, &why))?;
    if header.number != number {
        return Err(damage(number, 0, "has the header of another segment"));
    }
    Ok(header)
}

/// The segment that grows, as it was found.
struct Growing {
    segment: Segment,
    tail: Tail,
    /// What the log holds for nothing.
    dead: Vec<crate::mvcc::Revision>,
    heads: Heads,
}

fn tail(disk: &dyn Disk, number: u64) -> io::Result<Growing> {
    let file = disk.open(&file_name(number))?;
    let (header, length) = (header(&*file, number)?, file.len()?);
    let mut segment = Segment::new(header, file.clone(), FIRST);
    let mut state = State::default();
    let mut dead = Vec::new();
    let mut heads = Gathered::default();
    let mut sequence = header.first_sequence;
    let mut at = FIRST;
    while let Some(frame) = read_frame(&*file, at, length).map_err(|why| damage(number, at, &why.to_string()))? {
        if frame.sequence != sequence || frame.is_state != (at == FIRST) {
            return Err(damage(number, at, "a frame out of order"));
        }
        segment
            .take(&frame, &mut heads)
            .map_err(|why| damage(number, at, why))?;
        for item in &frame.items {
            state.apply(item);
            if let Item::Removed(revisions) = item {
                dead.extend_from_slice(revisions);
            }
        }
        sequence += 1;
        at = frame.next;
    }
    cut(&*file, number, at, length, sequence)?;
    let tail = Tail {
        header,
        file,
        end: at,
        sequence: sequence - 1,
        state,
        broken: false,
    };
    Ok(Growing {
        segment,
        tail,
        dead,
        heads: heads.done(),
    })
}

/// Makes what is behind the last whole frame zeros, if it is the frame that was being written.
fn cut(file: &dyn DiskFile, number: u64, at: u64, length: u64, expected: u64) -> io::Result<()> {
    let Some(last) = last_nonzero(file, at, length)? else {
        return Ok(());
    };
    if let Some(behind) = whole_frame_behind(file, at, length, expected)? {
        return Err(damage(
            number,
            at,
            &format!("a damaged frame; another one follows at {behind}"),
        ));
    }
    let mut bytes = [0; FRAME_HEADER];
    let announced = match file.read(&mut bytes, at) {
        Ok(()) => FrameHeader::decode(&bytes).map(|header| (at + FRAME_HEADER as u64).saturating_add(header.length)),
        Err(_) => None,
    };
    let end = announced.unwrap_or(at + FRAME_HEADER as u64).max(last + 1);
    if end <= length && !has_empty_sector(file, at, end)? {
        return Err(damage(
            number,
            at,
            "a frame that was written, but does not match its checksum",
        ));
    }
    tracing::warn!(
        segment = number,
        at,
        bytes = last + 1 - at,
        "a write that was not finished is cut off"
    );
    let mut from = at;
    while from <= last {
        let some = (last + 1 - from).min(WINDOW as u64);
        file.write(&vec![0; some as usize], from)?;
        from += some;
    }
    file.sync()
}

/// Whether a sector, or the part of one, between two places is all zeros: the disk had not got to it.
fn has_empty_sector(file: &dyn DiskFile, from: u64, to: u64) -> io::Result<bool> {
    let mut at = from;
    while at < to {
        let end = ((at / SECTOR + 1) * SECTOR).min(to);
        let mut bytes = vec![0; (end - at) as usize];
        file.read(&mut bytes, at)?;
        if bytes.iter().all(|byte| *byte == 0) {
            return Ok(true);
        }
        at = end;
    }
    Ok(false)
}

fn last_nonzero(file: &dyn DiskFile, from: u64, length: u64) -> io::Result<Option<u64>> {
    let mut end = length;
    let mut window = vec![0; length.saturating_sub(from).min(WINDOW as u64) as usize];
    while end > from {
        let start = end.saturating_sub(WINDOW as u64).max(from);
        let bytes = &mut window[..(end - start) as usize];
        file.read(bytes, start)?;
        let mut behind = bytes.len();
        // Nearly all of it is zeros: comparing is much faster than looking at each byte.
        for piece in bytes.rchunks(ZEROS.len()) {
            behind -= piece.len();
            if piece != &ZEROS[..piece.len()] {
                let last = piece.iter().rposition(|byte| *byte != 0);
                return Ok(last.map(|last| start + (behind + last) as u64));
            }
        }
        end = start;
    }
    Ok(None)
}

/// Where a whole frame of at least this sequence begins, behind `from`.
fn whole_frame_behind(file: &dyn DiskFile, from: u64, length: u64, sequence: u64) -> io::Result<Option<u64>> {
    let mut at = (from + 1).next_multiple_of(ALIGNMENT);
    while at + FRAME_HEADER as u64 <= length {
        let some = (length - at).min((WINDOW + FRAME_HEADER) as u64);
        let mut bytes = vec![0; some as usize];
        file.read(&mut bytes, at)?;
        for offset in (0..=bytes.len() - FRAME_HEADER).step_by(ALIGNMENT as usize) {
            let mut header = [0; FRAME_HEADER];
            header.copy_from_slice(&bytes[offset..offset + FRAME_HEADER]);
            let behind = at + offset as u64;
            if FrameHeader::decode(&header).is_some_and(|header| header.sequence >= sequence)
                && matches!(read_frame(file, behind, length), Ok(Some(_)))
            {
                return Ok(Some(behind));
            }
        }
        at += ((bytes.len() - FRAME_HEADER) as u64 / ALIGNMENT + 1) * ALIGNMENT;
    }
    Ok(None)
}

/// Does the same with each of many on as many threads as there are processors. The answers are in their order.
fn at_once<T: Send, R: Send>(all: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(all.len());
    let left = Mutex::new(all.into_iter().enumerate());
    let done = Mutex::new(Vec::new());
    let some = || {
        loop {
            // The lock must not be held during the work.
            let next = left.lock().next();
            let Some((number, one)) = next else { return };
            let answer = work(one);
            done.lock().push((number, answer));
        }
    };
    thread::scope(|scope| {
        (1..threads).for_each(|_| drop(scope.spawn(some)));
        some();
    });
    let mut done = done.into_inner();
    done.sort_unstable_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, answer)| answer).collect()
}

/// A segment nothing is added to any more.
struct Sealed {
    segment: Segment,
    heads: Heads,
    /// It had a hint.
    hinted: bool,
}

fn sealed(disk: &dyn Disk, header: SegmentHeader, file: Arc<dyn DiskFile>) -> io::Result<Sealed> {
    let length = file.len()?;
    if let Some(hint) = hint::load(disk, &header).filter(|hint| hint.end == length) {
        let mut segment = Segment::new(header, file, hint.end);
        segment.live = hint.places.iter().map(|place| u64::from(place.length)).sum();
        segment.places = hint.places;
        return Ok(Sealed {
            segment,
            heads: hint.heads,
            hinted: true,
        });
    }
    let (segment, heads) = read_segment(header, file)?;
    Ok(Sealed {
        segment,
        heads,
        hinted: false,
    })
}

/// Reads all frames of a sealed segment.
///
/// # Errors
/// When the file cannot be read or is damaged.
pub(super) fn read_segment(header: SegmentHeader, file: Arc<dyn DiskFile>) -> io::Result<(Segment, Heads)> {
    let (number, length) = (header.number, file.len()?);
    if header.cleaned.is_some_and(|cleaned| cleaned.length != length) {
        return Err(damage(number, length, "the file has not the length it was made with"));
    }
    let mut segment = Segment::new(header, file.clone(), FIRST);
    let mut heads = Gathered::default();
    let mut expected = header.first_sequence;
    while let Some(frame) = read_frame(&*file, segment.end, length)? {
        let at = segment.end;
        if frame.sequence != expected {
            return Err(damage(number, at, "a frame out of order"));
        }
        segment
            .take(&frame, &mut heads)
            .map_err(|why| damage(number, at, why))?;
        expected += 1;
    }
    if last_nonzero(&*file, segment.end, length)?.is_some() {
        return Err(damage(number, segment.end, "a damaged frame"));
    }
    segment.next_sequence = header.cleaned.is_none().then_some(expected);
    Ok((segment, heads.done()))
}

/// What was found where it cannot be.
pub(super) fn damage(number: u64, at: u64, why: &str) -> io::Error {
    let text = format!("{} at byte {at}: {why}", file_name(number));
    io::Error::new(io::ErrorKind::InvalidData, text)
}
