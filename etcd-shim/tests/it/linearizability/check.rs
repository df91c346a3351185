//! Whether a history can have happened to one store that does one thing at a time, each between call and answer.
//!
//! Every answer names the store's revision, so the order of the writes is known but for those without an answer. What
//! is left to search is which of these made the revisions that nobody owns (after Wing and Gong; what has failed
//! once is remembered, after Lowe).

use std::collections::{BTreeMap, HashSet};

use super::history::{Action, Answer, Call, Pair, State};

/// The revision of a store nobody has written to.
const FIRST: i64 = 1;

/// What was checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) calls: usize,
    /// Calls without an answer.
    pub(crate) open: usize,
    /// Of these, how many were done.
    pub(crate) done: usize,
    pub(crate) revisions: i64,
}

/// Checks the history of a store that was empty at first.
///
/// # Errors
/// What cannot have happened.
pub(crate) fn check(calls: &[Call]) -> Result<Report, String> {
    let bounds = Bounds::of(calls);
    let mut search = Search::default();
    for call in calls {
        let floor = bounds.before(call.start);
        let Some(answer) = &call.answer else {
            let ceiling = bounds.after(call.end);
            search.open.push(Open {
                action: call.action,
                floor,
                ceiling,
            });
            continue;
        };
        search.last = search.last.max(answer.revision);
        if answer.wrote {
            if answer.revision <= floor {
                return Err(format!("revision {floor} was known before {call:?} began"));
            }
            if let Some((other, _)) = search.writes.insert(answer.revision, (call.action, answer)) {
                return Err(format!("two made revision {}: {other:?} and {call:?}", answer.revision));
            }
        } else if answer.revision < floor {
            return Err(format!("revision {floor} was known before {call:?} began"));
        } else {
            // What is read of the past is checked as soon as it has come: what has failed once would otherwise fail
            // for another past, too.
            let of = match call.action {
                Action::All { at } if at > 0 => at,
                _ => answer.revision,
            };
            if of > answer.revision {
                return Err(format!("a read of the future: {call:?}"));
            }
            search.reads.entry(of).or_default().push((call.action, answer));
        }
    }
    search.used = vec![false; search.open.len()];
    search.states = vec![State::new(); FIRST as usize + 1];
    search.reads_hold(FIRST)?;
    if !search.from(FIRST + 1) {
        let (at, mut why) = (search.farthest, search.why);
        let answered = |call: &&Call| {
            call.answer
                .as_ref()
                .is_some_and(|answer| (at - 1..=at + 1).contains(&answer.revision))
        };
        for call in calls.iter().filter(answered) {
            why += &format!("\n{call:?}");
        }
        for (number, open) in search.open.iter().enumerate() {
            let last = at - 30..=at + 30;
            if open.ceiling >= at && last.contains(&open.floor) || last.contains(&open.ceiling) {
                why += &format!("\nwithout an answer, number {number}: {open:?}");
            }
        }
        return Err(why);
    }
    Ok(Report {
        calls: calls.len(),
        open: search.open.len(),
        done: search.used.iter().filter(|used| **used).count(),
        revisions: search.last,
    })
}

/// What was known when.
struct Bounds {
    /// By time of the answer, the highest revision answered until then.
    highest: Vec<(u64, i64)>,
    /// By time of the call, the highest revision that a write before this and all later ones may have.
    lowest: Vec<(u64, i64)>,
}

impl Bounds {
    fn of(calls: &[Call]) -> Self {
        let answered = calls
            .iter()
            .filter_map(|call| Some((call.start, call.end, call.answer.as_ref()?)));
        let mut highest: Vec<(u64, i64)> = answered
            .clone()
            .map(|(_, end, answer)| (end, answer.revision))
            .collect();
        highest.sort_unstable();
        let mut most = FIRST;
        for (_, revision) in &mut highest {
            most = most.max(*revision);
            *revision = most;
        }
        let limit = |answer: &Answer| answer.revision - i64::from(answer.wrote);
        let mut lowest: Vec<(u64, i64)> = answered.map(|(start, _, answer)| (start, limit(answer))).collect();
        lowest.sort_unstable();
        let mut least = i64::MAX;
        for (_, revision) in lowest.iter_mut().rev() {
            least = least.min(*revision);
            *revision = least;
        }
        Self { highest, lowest }
    }

    /// The highest revision that was answered before `time`.
    fn before(&self, time: u64) -> i64 {
        let known = self.highest.partition_point(|(end, _)| *end < time);
        known.checked_sub(1).map_or(FIRST, |last| self.highest[last].1)
    }

    /// The highest revision of a write that was over at `time`, by what was answered to calls made later.
    fn after(&self, time: u64) -> i64 {
        let first = self.lowest.partition_point(|(start, _)| *start <= time);
        self.lowest.get(first).map_or(i64::MAX, |(_, revision)| *revision)
    }
}

/// A write without an answer, and between which revisions it was done, if it was.
#[derive(Debug)]
struct Open {
    action: Action,
    floor: i64,
    ceiling: i64,
}

#[derive(Default)]
struct Search<'a> {
    writes: BTreeMap<i64, (Action, &'a Answer)>,
    reads: BTreeMap<i64, Vec<(Action, &'a Answer)>>,
    open: Vec<Open>,
    used: Vec<bool>,
    /// By revision, as far as it has come.
    states: Vec<State>,
    last: i64,
    /// From where it cannot be done.
    failed: HashSet<(i64, Vec<bool>, State)>,
    /// Of the way that came farthest.
    why: String,
    farthest: i64,
}

impl Search<'_> {
    /// Whether the rest can have happened, from this revision on.
    fn from(&mut self, first: i64) -> bool {
        let mut revision = first;
        while revision <= self.last {
            let before = &self.states[revision as usize - 1];
            let Some((action, answer)) = self.writes.get(&revision) else {
                return self.somebody(revision);
            };
            let step = match after(before, *action, revision) {
                Some(after) if found(before, *action) == answer.found => {
                    self.states.push(after);
                    self.reads_hold(revision)
                }
                _ => Err(format!("{action:?} -> {answer:?}, but before it was {before:?}")),
            };
            if let Err(why) = step {
                return self.fail(revision, why);
            }
            revision += 1;
        }
        true
    }

    /// The same where nobody says who made `revision`.
    fn somebody(&mut self, revision: i64) -> bool {
        let before = self.states[revision as usize - 1].clone();
        let here = (revision, self.used.clone(), before.clone());
        if self.failed.contains(&here) {
            return false;
        }
        for number in 0..self.open.len() {
            let Open { action, floor, ceiling } = self.open[number];
            if self.used[number] || revision <= floor || revision > ceiling {
                continue;
            }
            let Some(after) = after(&before, action, revision) else {
                continue;
            };
            self.used[number] = true;
            self.states.push(after);
            match self.reads_hold(revision) {
                Ok(()) if self.from(revision + 1) => return true,
                Ok(()) => {}
                Err(why) => drop(self.fail(revision, why)),
            }
            self.used[number] = false;
            self.states.truncate(revision as usize);
        }
        self.failed.insert(here);
        self.fail(
            revision,
            format!("nobody can have made revision {revision} of {before:?}"),
        )
    }

    fn fail(&mut self, revision: i64, why: String) -> bool {
        // What was found first says more than that nothing else was left.
        if revision > self.farthest {
            (self.farthest, self.why) = (revision, why);
        }
        false
    }

    /// Whether what was read at a revision is what there was.
    fn reads_hold(&self, revision: i64) -> Result<(), String> {
        let now = &self.states[revision as usize];
        for (action, answer) in self.reads.get(&revision).into_iter().flatten() {
            // What would have written, had it been done, must have written.
            let idle = after(now, *action, revision).is_none_or(|after| after == *now);
            if !idle || found(now, *action) != answer.found {
                return Err(format!("{action:?} -> {answer:?}, but it was {now:?}"));
            }
        }
        Ok(())
    }
}

/// What an action is told of a state.
fn found(state: &State, action: Action) -> State {
    match action {
        Action::All { .. } => state.clone(),
        Action::Put { key, .. } | Action::Delete { key } | Action::Update { key, .. } | Action::Get { key } => {
            state.get(&key).map(|pair| (key, *pair)).into_iter().collect()
        }
    }
}

/// What a write makes of a state at a revision; `None`: it writes nothing.
fn after(state: &State, action: Action, revision: i64) -> Option<State> {
    let mut after = state.clone();
    let (key, value) = match action {
        Action::Put { key, value } => (key, value),
        Action::Update { key, expected, value } => {
            let is = state.get(&key).map_or(0, |pair| pair.modified);
            (is == expected).then_some((key, value))?
        }
        Action::Delete { key } => {
            after.remove(&key)?;
            return Some(after);
        }
        Action::Get { .. } | Action::All { .. } => return None,
    };
    let before = state.get(&key);
    let pair = Pair {
        value,
        created: before.map_or(revision, |pair| pair.created),
        modified: revision,
        version: before.map_or(1, |pair| pair.version + 1),
    };
    after.insert(key, pair);
    Some(after)
}
