//! The checker itself: it takes right histories and refuses wrong ones.

use super::check::check;
use super::history::{Action, Answer, Call, Pair, State};

const OPEN: Option<(i64, bool, State)> = None;

fn pair(value: u64, created: i64, modified: i64, version: i64) -> Pair {
    Pair {
        value,
        created,
        modified,
        version,
    }
}

fn state<const N: usize>(pairs: [(u8, Pair); N]) -> State {
    pairs.into_iter().collect()
}

fn call(action: Action, start: u64, end: u64, answer: Option<(i64, bool, State)>) -> Call {
    let answer = answer.map(|(revision, wrote, found)| Answer { revision, wrote, found });
    Call {
        action,
        start,
        end,
        answer,
    }
}

fn put(key: u8, value: u64) -> Action {
    Action::Put { key, value }
}

const GET: Action = Action::Get { key: 0 };
const ALL: Action = Action::All { at: 0 };

#[test]
fn what_can_have_happened_is_taken() {
    let one = pair(1, 2, 2, 1);
    let two = pair(2, 2, 3, 2);
    let first = call(put(0, 1), 0, 9, Some((2, true, state([]))));
    let right: Vec<Vec<Call>> = vec![
        vec![],
        // A read beside a write sees the one or the other.
        vec![first.clone(), call(GET, 1, 2, Some((1, false, state([]))))],
        vec![first.clone(), call(GET, 1, 2, Some((2, false, state([(0, one)]))))],
        // A write without an answer was done, or was not.
        vec![
            first.clone(),
            call(put(0, 2), 10, 20, OPEN),
            call(GET, 21, 22, Some((3, false, state([(0, two)])))),
        ],
        vec![
            first.clone(),
            call(put(0, 2), 10, 20, OPEN),
            call(GET, 21, 22, Some((2, false, state([(0, one)])))),
        ],
        // Of two deletions without an answer one was done before the put; the first choice is the wrong one.
        vec![
            first.clone(),
            call(Action::Delete { key: 0 }, 10, 40, OPEN),
            call(put(0, 5), 10, 40, OPEN),
            call(put(0, 6), 10, 40, OPEN),
            call(ALL, 41, 42, Some((5, false, state([(0, pair(5, 5, 5, 1))])))),
        ],
        // The past stays as it was.
        vec![
            first.clone(),
            call(put(0, 2), 10, 11, Some((3, true, state([(0, one)])))),
            call(Action::All { at: 2 }, 12, 13, Some((3, false, state([(0, one)])))),
        ],
        // The order of open writes that nothing is left of but in the past; the first choice is the wrong one.
        vec![
            call(put(0, 1), 0, 9, OPEN),
            call(put(0, 2), 0, 9, OPEN),
            call(put(0, 3), 0, 9, OPEN),
            call(put(0, 4), 0, 9, OPEN),
            call(ALL, 10, 11, Some((5, false, state([(0, pair(4, 2, 5, 4))])))),
            call(
                Action::All { at: 2 },
                12,
                13,
                Some((5, false, state([(0, pair(2, 2, 2, 1))]))),
            ),
            call(
                Action::All { at: 3 },
                12,
                13,
                Some((5, false, state([(0, pair(1, 2, 3, 2))]))),
            ),
            call(
                Action::All { at: 4 },
                12,
                13,
                Some((5, false, state([(0, pair(3, 2, 4, 3))]))),
            ),
        ],
        // An update that is not due reads.
        vec![
            first,
            call(
                Action::Update {
                    key: 0,
                    expected: 7,
                    value: 3,
                },
                10,
                11,
                Some((2, false, state([(0, one)]))),
            ),
        ],
    ];
    for (number, calls) in right.iter().enumerate() {
        check(calls).unwrap_or_else(|why| panic!("history {number}: {why}"));
    }
}

#[test]
fn what_cannot_have_happened_is_refused() {
    let one = pair(1, 2, 2, 1);
    let first = call(put(0, 1), 0, 9, Some((2, true, state([]))));
    let update = |value| Action::Update {
        key: 0,
        expected: 2,
        value,
    };
    let wrong: Vec<(&str, Vec<Call>)> = vec![
        (
            "a stale read",
            vec![first.clone(), call(GET, 10, 11, Some((1, false, state([]))))],
        ),
        (
            "a lost write",
            vec![first.clone(), call(GET, 10, 11, Some((2, false, state([]))))],
        ),
        (
            "a value nobody wrote",
            vec![
                first.clone(),
                call(GET, 10, 11, Some((2, false, state([(0, pair(9, 2, 2, 1))])))),
            ],
        ),
        (
            "a read of the future",
            vec![
                call(GET, 0, 1, Some((2, false, state([(0, one)])))),
                call(put(0, 1), 2, 3, Some((2, true, state([])))),
            ],
        ),
        (
            "two writes of one revision",
            vec![first.clone(), call(put(1, 2), 0, 9, Some((2, true, state([]))))],
        ),
        (
            "a revision that went back",
            vec![
                call(put(0, 1), 0, 1, Some((3, true, state([])))),
                call(put(1, 1), 2, 3, Some((2, true, state([])))),
            ],
        ),
        (
            "two updates of one revision",
            vec![
                first.clone(),
                call(update(2), 10, 20, Some((3, true, state([(0, one)])))),
                call(update(3), 10, 20, Some((4, true, state([(0, one)])))),
            ],
        ),
        (
            "an update that was due and was not done",
            vec![
                first.clone(),
                call(update(2), 10, 20, Some((2, false, state([(0, one)])))),
            ],
        ),
        (
            "half of the keys of one moment, half of another",
            vec![
                first.clone(),
                call(put(1, 2), 10, 11, Some((3, true, state([])))),
                call(put(0, 3), 12, 13, Some((4, true, state([(0, one)])))),
                call(
                    ALL,
                    12,
                    13,
                    Some((3, false, state([(0, pair(3, 2, 4, 2)), (1, pair(2, 3, 3, 1))]))),
                ),
            ],
        ),
        (
            "a revision nobody made",
            vec![first.clone(), call(GET, 10, 11, Some((3, false, state([(0, one)]))))],
        ),
        (
            "an open write seen, and then no more",
            vec![
                first.clone(),
                call(put(0, 2), 10, 20, OPEN),
                call(GET, 21, 22, Some((3, false, state([(0, pair(2, 2, 3, 2))])))),
                call(GET, 23, 24, Some((3, false, state([(0, one)])))),
            ],
        ),
        (
            "a write of a server that is gone",
            vec![
                first.clone(),
                call(put(1, 7), 10, 11, OPEN),
                call(GET, 12, 13, Some((2, false, state([(0, one)])))),
                call(ALL, 14, 15, Some((3, false, state([(0, one), (1, pair(7, 3, 3, 1))])))),
            ],
        ),
        (
            "one open write done twice",
            vec![
                first.clone(),
                call(put(0, 2), 10, 20, OPEN),
                call(GET, 21, 22, Some((4, false, state([(0, pair(2, 2, 4, 3))])))),
            ],
        ),
        (
            "a wrong version",
            vec![
                first.clone(),
                call(GET, 10, 11, Some((2, false, state([(0, pair(1, 2, 2, 2))])))),
            ],
        ),
        (
            "a deletion of what was not there",
            vec![call(Action::Delete { key: 0 }, 0, 1, Some((2, true, state([]))))],
        ),
        (
            "a deletion that missed what was there",
            vec![
                first.clone(),
                call(Action::Delete { key: 0 }, 10, 11, Some((2, false, state([])))),
            ],
        ),
        (
            "a past that changed",
            vec![
                first,
                call(put(0, 2), 10, 11, Some((3, true, state([(0, one)])))),
                call(
                    Action::All { at: 2 },
                    12,
                    13,
                    Some((3, false, state([(0, pair(2, 2, 3, 2))]))),
                ),
            ],
        ),
    ];
    for (name, calls) in &wrong {
        assert!(check(calls).is_err(), "{name} was taken");
    }
}
