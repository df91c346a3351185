//! Taking back the space of what nobody may ask for any more, a segment or a few neighbours at a time.
//!
//! What is dead is written in the tail alone (`State`), so a sealed segment may lose its dead records at any moment
//! and in any order: nothing comes back. Old names go durably before the index forgets what they held.

use std::io;
use std::sync::Arc;

use super::disk::{self, Disk, DiskFile};
use super::frame::{self, Cleaned, FRAME_HEADER, SegmentHeader};
use super::hint;
use super::segment::{Index, Place, Segment, file_name};
use super::tail::FIRST;

/// Payload of a frame of a segment that is written anew, about.
const FRAME: usize = 1 << 20;

/// Segments to write anew as one, as they were when it began.
pub(super) struct Job(Vec<Segment>);

/// The first run of sealed segments that holds more for nothing than `tolerated` hundredths, with the neighbours that
/// fit in beside what is left of it.
pub(super) fn choose(index: &Index, tolerated: u64, segment_bytes: u64) -> Option<Job> {
    let sealed = &index.0[..index.0.len().saturating_sub(1)];
    let wasteful = |segment: &Segment| {
        let records: u64 = segment.end.saturating_sub(FIRST);
        let garbage = records.saturating_sub(segment.live);
        // The envelope is no garbage: a segment written anew must not be chosen again.
        garbage * 100 > records * tolerated && segment.places.iter().any(|place| place.length == 0)
    };
    let first = sealed.iter().position(wasteful)?;
    let mut live = 0;
    let run = sealed[first..].iter().take_while(|segment| {
        live += segment.live;
        std::ptr::eq(*segment, &sealed[first]) || live <= segment_bytes / 2
    });
    Some(Job(run.cloned().collect()))
}

impl Job {
    /// Writes the segments anew. Afterwards the old names are gone, durably; the answer replaces them in the index
    /// ([`Job::finish`]), `None` when nothing was left of them.
    pub(super) fn run(&self, disk: &dyn Disk) -> io::Result<Option<Segment>> {
        let numbers = || self.0.iter().map(|segment| segment.header.number);
        let anew = if self.0.iter().all(|segment| segment.live == 0) {
            None
        } else {
            Some(self.write(disk)?)
        };
        for number in numbers() {
            if anew.is_none() || Some(number) != numbers().next() {
                disk::remove(disk, &file_name(number))?;
            }
            // A hint is of one file: it would not be believed of another.
            let _ = disk.remove(&hint::file_name(number));
        }
        disk.sync_names()?;
        Ok(anew)
    }

    fn write(&self, disk: &dyn Disk) -> io::Result<Segment> {
        let segment = disk::replace(disk, &file_name(self.0[0].header.number), |file| self.copy(file))?;
        disk.sync_names()?;
        Ok(segment)
    }

    fn copy(&self, file: Arc<dyn DiskFile>) -> io::Result<Segment> {
        let (first, last) = (self.0[0].header, self.0[self.0.len() - 1].header);
        let mut segment = Segment::new(first, file.clone(), FIRST);
        let mut frame = frame::begin();
        let mut sequence = first.first_sequence;
        let mut flush = |frame: &mut Vec<u8>, segment: &mut Segment| -> io::Result<()> {
            // Not the whole small state: what is written anew never becomes the end of the log.
            frame::finish(frame, sequence, false);
            file.write(frame, segment.end)?;
            sequence += 1;
            segment.end += frame.len() as u64;
            *frame = frame::begin();
            Ok(())
        };
        for old in &self.0 {
            for place in old.alive() {
                let found = old.found(place);
                let bytes = found.read()?;
                super::proved(&bytes, place.at, true).map_err(|why| found.damage(why))?;
                let offset = u32::try_from(segment.end + frame.len() as u64).map_err(io::Error::other)?;
                frame.extend_from_slice(&bytes);
                segment.push(Place { offset, ..*place });
                if frame.len() >= FRAME {
                    flush(&mut frame, &mut segment)?;
                }
            }
        }
        if frame.len() > FRAME_HEADER {
            flush(&mut frame, &mut segment)?;
        }
        segment.header = SegmentHeader {
            cleaned: Some(Cleaned {
                upto: last
                    .cleaned
                    .map_or(last.number, |cleaned| cleaned.upto.max(last.number)),
                length: segment.end,
            }),
            ..first
        };
        file.write(&segment.header.encode(), 0)?;
        Ok(segment)
    }

    /// Puts what was written in the place of what was read, without what has died meanwhile.
    pub(super) fn finish(self, index: &mut Index, anew: Option<Segment>) {
        let numbers: Vec<u64> = self.0.iter().map(|segment| segment.header.number).collect();
        let is_old = |segment: &Segment| numbers.contains(&segment.header.number);
        let Some(at) = index.0.iter().position(is_old) else {
            return;
        };
        let old: Vec<Segment> = index.0.extract_if(.., |segment| is_old(segment)).collect();
        let Some(mut anew) = anew else { return };
        let now_dead = |place: &Place| {
            let holder = old.iter().find_map(|segment| {
                let found = segment.places.binary_search_by_key(&place.at, |place| place.at).ok()?;
                Some(segment.places[found].length)
            });
            holder == Some(0)
        };
        for place in &mut anew.places {
            if now_dead(place) {
                anew.live -= u64::from(std::mem::take(&mut place.length));
            }
        }
        index.0.insert(at, anew);
    }
}

/// Cuts a segment that was just sealed to its length and makes its hint.
pub(super) fn seal(disk: &dyn Disk, header: SegmentHeader, file: &Arc<dyn DiskFile>, end: u64) -> io::Result<()> {
    file.truncate(end)?;
    file.sync()?;
    let (_, heads) = super::recover::read_segment(header, file.clone())?;
    hint::store(disk, &header, end, &heads)
}
