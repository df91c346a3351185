//! The index: which revision stands where. In memory, 16 bytes a record.

use std::io;
use std::sync::Arc;

use bytes::Bytes;

use super::disk::DiskFile;
use super::frame::SegmentHeader;
use super::recover;
use crate::mvcc::Revision;

/// Where a record stands in its segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Its revision.
    pub(super) at: Revision,
    /// Its first byte.
    pub(super) offset: u32,
    /// Its bytes; 0: nobody may ask for it any more, but it is still in the file.
    pub(super) length: u32,
}

/// One file of the log.
#[derive(Clone)]
pub(super) struct Segment {
    pub(super) header: SegmentHeader,
    pub(super) file: Arc<dyn DiskFile>,
    /// Where its last frame ends.
    pub(super) end: u64,
    /// The frame that must follow in the next segment, where that was found out.
    pub(super) next_sequence: Option<u64>,
    /// In order of revision, which is the order in the file.
    pub(super) places: Vec<Place>,
    /// Bytes of the records that somebody may ask for.
    pub(super) live: u64,
}

/// The segments in order; each holds later revisions than the one before.
#[derive(Default)]
pub(super) struct Index(pub(super) Vec<Segment>);

/// A record's bytes: from where on in which file, and how many.
#[derive(Clone)]
pub(super) struct Found {
    pub(super) segment: u64,
    pub(super) file: Arc<dyn DiskFile>,
    pub(super) offset: u64,
    pub(super) length: usize,
}

impl Found {
    /// Reads it.
    pub(super) fn read(&self) -> io::Result<Bytes> {
        let mut bytes = vec![0; self.length];
        self.file.read(&mut bytes, self.offset)?;
        Ok(bytes.into())
    }

    /// It is not what it must be.
    pub(super) fn damage(&self, why: &str) -> io::Error {
        recover::damage(self.segment, self.offset, why)
    }
}

/// `0000000000000001.seg`.
pub(super) fn file_name(number: u64) -> String {
    format!("{number:016x}.seg")
}

/// The number in a file's name.
pub(super) fn number_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".seg").filter(|digits| digits.len() == 16)?;
    u64::from_str_radix(digits, 16).ok()
}

impl Segment {
    /// A segment without records.
    pub(super) fn new(header: SegmentHeader, file: Arc<dyn DiskFile>, end: u64) -> Self {
        Segment {
            header,
            file,
            end,
            next_sequence: None,
            places: Vec::new(),
            live: 0,
        }
    }

    /// A record of this segment.
    pub(super) fn found(&self, place: &Place) -> Found {
        Found {
            segment: self.header.number,
            file: self.file.clone(),
            offset: u64::from(place.offset),
            length: place.length as usize,
        }
    }

    /// Adds a record behind all others.
    pub(super) fn push(&mut self, place: Place) {
        self.live += u64::from(place.length);
        self.places.push(place);
    }

    /// Forgets a record.
    fn kill(&mut self, at: Revision) {
        if let Ok(found) = self.places.binary_search_by_key(&at, |place| place.at) {
            self.live -= u64::from(std::mem::take(&mut self.places[found].length));
        }
    }

    /// Places somebody may ask for.
    pub(super) fn alive(&self) -> impl Iterator<Item = &Place> {
        self.places.iter().filter(|place| place.length > 0)
    }

    /// Revisions that are in the file for nothing.
    fn dead(&self) -> impl Iterator<Item = Revision> {
        self.places
            .iter()
            .filter(|place| place.length == 0)
            .map(|place| place.at)
    }
}

impl Index {
    fn segment_of(&self, at: Revision) -> Option<usize> {
        let begins_before = |segment: &Segment| segment.places.first().is_some_and(|first| first.at <= at);
        // Empty ones begin nowhere: the search takes them for early ones, and the way back leaves them out.
        let behind = |segment: &Segment| segment.places.is_empty() || begins_before(segment);
        let end = self.0.partition_point(behind);
        self.0[..end].iter().rposition(begins_before)
    }

    /// Where a record stands.
    pub(super) fn find(&self, at: Revision) -> Option<Found> {
        let segment = &self.0[self.segment_of(at)?];
        let place = segment.places.binary_search_by_key(&at, |place| place.at).ok()?;
        let place = segment.places[place];
        (place.length > 0).then(|| segment.found(&place))
    }

    /// Forgets records.
    pub(super) fn kill(&mut self, revisions: &[Revision]) {
        for at in revisions {
            if let Some(segment) = self.segment_of(*at) {
                self.0[segment].kill(*at);
            }
        }
    }

    /// Revisions that are in the files for nothing.
    pub(super) fn dead(&self) -> Vec<Revision> {
        self.0.iter().flat_map(Segment::dead).collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::engine::log::disk::Disk as _;
    use crate::engine::log::tests::fickle::Fickle;

    #[test]
    fn segments_without_records_are_in_nobodys_way() {
        let disk = Fickle::default();
        // Where in five segments the empty ones are.
        for empty in 0..32 {
            let mut index = Index::default();
            for number in 0..5 {
                let header = SegmentHeader {
                    number,
                    store: 1,
                    first_sequence: 1,
                    cleaned: None,
                };
                let mut segment = Segment::new(header, disk.create(&file_name(number)).unwrap(), 64);
                if empty & (1 << number) == 0 {
                    for sub in 0..2 {
                        segment.push(Place {
                            at: Revision::new(number as i64, sub),
                            offset: 64,
                            length: 1,
                        });
                    }
                }
                index.0.push(segment);
            }
            for number in 0..5 {
                let found = index.find(Revision::new(number as i64, 1)).map(|found| found.segment);
                let wanted = (empty & (1 << number) == 0).then_some(number);
                assert_eq!(found, wanted, "empty: {empty:05b}");
            }
        }
    }
}
