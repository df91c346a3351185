//! Unified differences with three lines around each, as go-difflib draws them (`difflib.GetUnifiedDiffString`
//! without file names). Which of several equal lines is kept follows its matcher: the longest block first, lines
//! that occur too often in a long text left out of the search.

use std::collections::HashMap;
use std::ops::Range;

/// Lines shown around a change.
const CONTEXT: usize = 3;
/// Pairs of lines looked at, at most: with hostile texts difflib's search is cubic. What is left then counts as
/// replaced.
const PATIENCE: usize = 2_000_000;
/// From this many lines on, frequent lines start no block.
const LONG: usize = 200;

/// How to get from `old` to `new`; empty when they are equal.
pub(super) fn unified(old: &str, new: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.split('\n').collect(), new.split('\n').collect());
    let mut out = String::new();
    for group in groups(steps(&old, &new)) {
        let (Some(first), Some(last)) = (group.first(), group.last()) else {
            continue;
        };
        let ranges = (
            range(first.old.start, last.old.end),
            range(first.new.start, last.new.end),
        );
        out += &format!("@@ -{} +{} @@\n", ranges.0, ranges.1);
        for step in &group {
            let mut write = |sign: char, lines: &[&str]| {
                for line in lines {
                    out.push(sign);
                    out.push_str(line);
                    out.push('\n');
                }
            };
            if step.equal {
                write(' ', &old[step.old.clone()]);
            } else {
                write('-', &old[step.old.clone()]);
                write('+', &new[step.new.clone()]);
            }
        }
    }
    out
}

/// `formatRangeUnified`: the first line and how many; an empty range stands at the line before it.
fn range(start: usize, end: usize) -> String {
    match end - start {
        0 => format!("{start},0"),
        1 => format!("{}", start + 1),
        length => format!("{},{length}", start + 1),
    }
}

/// A stretch that is the same on both sides, or differs.
#[derive(Clone)]
struct Step {
    equal: bool,
    old: Range<usize>,
    new: Range<usize>,
}

/// `GetOpCodes`
fn steps(old: &[&str], new: &[&str]) -> Vec<Step> {
    let mut places: HashMap<&str, Vec<usize>> = HashMap::new();
    for (index, line) in new.iter().enumerate() {
        places.entry(line).or_default().push(index);
    }
    if new.len() >= LONG {
        let most = new.len() / 100 + 1;
        places.retain(|_, at| at.len() <= most);
    }
    let mut matcher = Matcher {
        old,
        new,
        places,
        looked: 0,
    };
    let mut blocks = matcher.blocks();
    blocks.push(Block {
        old: old.len(),
        new: new.len(),
        size: 0,
    });
    let mut out: Vec<Step> = vec![];
    let (mut i, mut j) = (0, 0);
    for block in blocks {
        if i < block.old || j < block.new {
            out.push(Step {
                equal: false,
                old: i..block.old,
                new: j..block.new,
            });
        }
        (i, j) = (block.old + block.size, block.new + block.size);
        // Blocks that touch are one.
        match out.last_mut().filter(|last| last.equal) {
            Some(last) => (last.old.end, last.new.end) = (i, j),
            None if block.size > 0 => out.push(Step {
                equal: true,
                old: block.old..i,
                new: block.new..j,
            }),
            None => {}
        }
    }
    out
}

/// Lines that are the same on both sides.
struct Block {
    old: usize,
    new: usize,
    size: usize,
}

struct Matcher<'a> {
    old: &'a [&'a str],
    new: &'a [&'a str],
    places: HashMap<&'a str, Vec<usize>>,
    /// Pairs of lines looked at.
    looked: usize,
}

impl Matcher<'_> {
    /// `GetMatchingBlocks`: the longest, and likewise before and behind it; in order.
    fn blocks(&mut self) -> Vec<Block> {
        let mut out = vec![];
        let mut left = vec![(0..self.old.len(), 0..self.new.len())];
        while let Some((old, new)) = left.pop() {
            let block = self.longest(&old, &new);
            if block.size == 0 {
                continue;
            }
            let (i, j) = (block.old + block.size, block.new + block.size);
            for (old, new) in [(old.start..block.old, new.start..block.new), (i..old.end, j..new.end)] {
                if !old.is_empty() && !new.is_empty() {
                    left.push((old, new));
                }
            }
            out.push(block);
        }
        out.sort_unstable_by_key(|block| block.old);
        out
    }

    /// `findLongestMatch`
    fn longest(&mut self, old: &Range<usize>, new: &Range<usize>) -> Block {
        let mut best = Block {
            old: old.start,
            new: new.start,
            size: 0,
        };
        // How long the match is that ends at this line of the new text.
        let mut lengths: HashMap<usize, usize> = HashMap::new();
        for i in old.clone() {
            let mut next = HashMap::new();
            let places = self.places.get(self.old[i]).map_or(&[][..], Vec::as_slice);
            self.looked += 1 + places.len();
            if self.looked > PATIENCE {
                break;
            }
            for &j in places {
                if new.contains(&j) {
                    let before = j.checked_sub(1).and_then(|j| lengths.get(&j));
                    let size = before.copied().unwrap_or(0) + 1;
                    next.insert(j, size);
                    if size > best.size {
                        best = Block {
                            old: i + 1 - size,
                            new: j + 1 - size,
                            size,
                        };
                    }
                }
            }
            lengths = next;
        }
        while best.old > old.start && best.new > new.start && self.old[best.old - 1] == self.new[best.new - 1] {
            (best.old, best.new, best.size) = (best.old - 1, best.new - 1, best.size + 1);
        }
        while best.old + best.size < old.end
            && best.new + best.size < new.end
            && self.old[best.old + best.size] == self.new[best.new + best.size]
        {
            best.size += 1;
        }
        best
    }
}

/// `GetGroupedOpCodes`: changes that are near each other, with what is around them.
fn groups(mut steps: Vec<Step>) -> Vec<Vec<Step>> {
    let tail = |range: &Range<usize>| range.start.max(range.end.saturating_sub(CONTEXT))..range.end;
    let head = |range: &Range<usize>| range.start..range.end.min(range.start + CONTEXT);
    if let Some(first) = steps.first_mut().filter(|s| s.equal) {
        (first.old, first.new) = (tail(&first.old), tail(&first.new));
    }
    if let Some(last) = steps.last_mut().filter(|s| s.equal) {
        (last.old, last.new) = (head(&last.old), head(&last.new));
    }
    let (mut out, mut group): (Vec<Vec<Step>>, Vec<Step>) = (vec![], vec![]);
    for mut step in steps {
        if step.equal && step.old.len() > 2 * CONTEXT {
            group.push(Step {
                equal: true,
                old: head(&step.old),
                new: head(&step.new),
            });
            out.push(std::mem::take(&mut group));
            (step.old, step.new) = (tail(&step.old), tail(&step.new));
        }
        group.push(step);
    }
    if group.iter().any(|step| !step.equal) {
        out.push(group);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_texts_cost_neither_time_nor_stack() {
        // Every other line is changed, and half of the rest is the same: as many blocks as can be.
        let text = |changed: &str| -> Vec<String> {
            let line = |n: usize| match n % 4 {
                0 => format!("{changed} {n}"),
                2 => format!("line {n}"),
                _ => format!("often {}", n % 400),
            };
            (0..40_000).map(line).collect()
        };
        let (old, new) = (text("old"), text("new"));
        let lines = |text: &'_ [String]| text.iter().map(String::as_str).collect::<Vec<_>>().join("\n");
        let (old, new) = (lines(&old), lines(&new));
        let thread = std::thread::Builder::new().stack_size(256 << 10);
        let drawn = thread.spawn(move || {
            let (old_lines, new_lines): (Vec<&str>, Vec<&str>) = (old.split('\n').collect(), new.split('\n').collect());
            let mut places: HashMap<&str, Vec<usize>> = HashMap::new();
            for (index, line) in new_lines.iter().enumerate() {
                places.entry(line).or_default().push(index);
            }
            let mut matcher = Matcher {
                old: &old_lines,
                new: &new_lines,
                places,
                looked: 0,
            };
            let blocks = matcher.blocks();
            // The last look may go one line beyond; each range that is left costs one more.
            let ranges = 2 * blocks.len() + 1;
            assert!(
                matcher.looked <= PATIENCE + new_lines.len() + ranges,
                "{}",
                matcher.looked
            );
            unified(&old, &new)
        });
        let drawn = drawn.expect("a thread").join().expect("no overflow");
        // Whatever was not found to be the same is shown as replaced: nothing is lost.
        let count = |sign: char| drawn.lines().filter(|l| l.starts_with(sign)).count();
        assert_eq!(count('-'), count('+'));
    }

    #[test]
    fn short_texts_are_searched_to_the_end() {
        assert_eq!(unified("a\nb\nc", "a\nx\nc"), "@@ -1,3 +1,3 @@\n a\n-b\n+x\n c\n");
        assert_eq!(unified("a\nb", "a\nb"), "");
    }
}
