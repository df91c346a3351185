//! Which parts of a range are taken. Upstream: pkg/controller/nodeipam/ipam/cidrset/cidr_set.go.

use std::collections::BTreeSet;

use super::cidr::Cidr;

/// The parts of equal size of one range, each taken or free.
#[derive(Debug)]
pub(super) struct CidrSet {
    cluster: Cidr,
    mask: u8,
    parts: u64,
    taken: BTreeSet<u64>,
    /// Where the search goes on: a released range is not handed out again at once.
    next: u64,
}

impl CidrSet {
    pub(super) fn new(cluster: Cidr, mask: u8) -> Self {
        // More parts than fit into 16 bits are never needed by one cluster of nodes in memory here,
        // and upstream caps the difference of the masks at 16 too.
        let parts = 1_u64 << (mask - cluster.prefix()).min(16);
        Self {
            cluster,
            mask,
            parts,
            taken: BTreeSet::new(),
            next: 0,
        }
    }

    /// Marks everything that overlaps `range` as taken.
    pub(super) fn occupy(&mut self, range: Cidr) {
        if let Some((first, last)) = self.cluster.overlapped_parts(self.mask, range) {
            self.taken.extend(first..=last.min(self.parts - 1));
        }
    }

    /// Marks everything that overlaps `range` as free.
    pub(super) fn release(&mut self, range: Cidr) {
        if let Some((first, last)) = self.cluster.overlapped_parts(self.mask, range) {
            (first..=last.min(self.parts - 1)).for_each(|index| {
                self.taken.remove(&index);
            });
        }
    }

    /// Takes a free part, `None` when all are taken.
    pub(super) fn next(&mut self) -> Option<Cidr> {
        let index = (self.next..self.parts)
            .chain(0..self.next)
            .find(|index| !self.taken.contains(index))?;
        self.taken.insert(index);
        self.next = (index + 1) % self.parts;
        Some(self.cluster.part(self.mask, index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cidr(text: &str) -> Cidr {
        text.parse().unwrap()
    }

    fn take(set: &mut CidrSet) -> Option<String> {
        set.next().map(|part| part.to_string())
    }

    #[test]
    fn parts_are_handed_out_in_order_and_once() {
        let mut set = CidrSet::new(cidr("10.244.0.0/22"), 24);
        set.occupy(cidr("10.244.1.0/24"));
        assert_eq!(take(&mut set).as_deref(), Some("10.244.0.0/24"));
        assert_eq!(take(&mut set).as_deref(), Some("10.244.2.0/24"));
        set.release(cidr("10.244.0.0/24"));
        assert_eq!(take(&mut set).as_deref(), Some("10.244.3.0/24"));
        assert_eq!(take(&mut set).as_deref(), Some("10.244.0.0/24"));
        assert_eq!(take(&mut set), None);
    }

    #[test]
    fn a_larger_range_takes_all_that_it_covers() {
        let mut set = CidrSet::new(cidr("10.0.0.0/16"), 24);
        set.occupy(cidr("10.0.0.0/9"));
        assert_eq!(take(&mut set), None);
        set.release(cidr("10.0.255.0/24"));
        assert_eq!(take(&mut set).as_deref(), Some("10.0.255.0/24"));
        set.occupy(cidr("192.168.0.0/16"));
        set.occupy(cidr("fd00::/64"));
    }

    #[test]
    fn ipv6_and_whole_ranges_work() {
        let mut set = CidrSet::new(cidr("fd00:1::/48"), 64);
        assert_eq!(take(&mut set).as_deref(), Some("fd00:1::/64"));
        assert_eq!(take(&mut set).as_deref(), Some("fd00:1:0:1::/64"));
        let mut one = CidrSet::new(cidr("10.1.2.0/24"), 24);
        assert_eq!(take(&mut one).as_deref(), Some("10.1.2.0/24"));
        assert_eq!(take(&mut one), None);
        assert!("10.0.0.0/33".parse::<Cidr>().is_err() && "x/8".parse::<Cidr>().is_err());
        assert_eq!(cidr("10.1.2.3/8").to_string(), "10.0.0.0/8");
    }
}
