//! Unified differences with three lines around each, as go-difflib draws them (`difflib.GetUnifiedDiffString`
//! without file names). Which of several equal lines is kept follows its matcher: the longest block first, lines
//! that occur too often in a long text left out of the search.

use std::collections::HashMap;
use std::ops::Range;

/// Lines shown around a change.
const CONTEXT: usize = 3;
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
    let mut blocks = vec![];
    Matcher { old, new, places }.blocks(0..old.len(), 0..new.len(), &mut blocks);
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
}

impl Matcher<'_> {
    /// `GetMatchingBlocks`: the longest, and likewise before and behind it.
    fn blocks(&self, old: Range<usize>, new: Range<usize>, out: &mut Vec<Block>) {
        let block = self.longest(&old, &new);
        if block.size == 0 {
            return;
        }
        let (i, j, size) = (block.old, block.new, block.size);
        if old.start < i && new.start < j {
            self.blocks(old.start..i, new.start..j, out);
        }
        out.push(block);
        if i + size < old.end && j + size < new.end {
            self.blocks(i + size..old.end, j + size..new.end, out);
        }
    }

    /// `findLongestMatch`
    fn longest(&self, old: &Range<usize>, new: &Range<usize>) -> Block {
        let mut best = Block {
            old: old.start,
            new: new.start,
            size: 0,
        };
        // How long the match is that ends at this line of the new text.
        let mut lengths: HashMap<usize, usize> = HashMap::new();
        for i in old.clone() {
            let mut next = HashMap::new();
            for &j in self.places.get(self.old[i]).into_iter().flatten() {
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
