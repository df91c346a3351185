#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use tokio::sync::mpsc::error::TryRecvError;

use super::*;
use crate::storage::Memo;

/// What nobody can read.
const DARK: &str = "?";
/// What everybody panics over.
const FATAL: &str = "!";

/// Objects are `path=value,path=value`.
fn pairs(object: &str) -> impl Iterator<Item = (&str, &str)> {
    object.split(',').filter_map(|pair| pair.split_once('='))
}

fn text(bytes: &Bytes) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn event(key: &str, rev: i64, before: Option<&str>, now: Option<&str>) -> Event {
    let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    Event {
        key: key.into(),
        rev,
        value: now.map(bytes),
        prev: before.map(|b| (bytes(b), rev - 1)),
        memo: Arc::default(),
        prev_memo: Memo::default(),
    }
}

fn both(e: &Event) -> Vec<&str> {
    let before = e.prev.as_ref().map(|(bytes, _)| bytes);
    before.into_iter().chain(&e.value).map(text).collect()
}

/// A selection: all terms, and not that one pair.
#[derive(Clone, Default)]
struct Choice {
    terms: Vec<Term>,
    but: Option<(&'static str, &'static str)>,
    asked: Arc<AtomicUsize>,
    read: Arc<AtomicUsize>,
}

impl Choice {
    fn has(&self, object: &str) -> bool {
        let has = |term: &Term| pairs(object).any(|(k, v)| k == term.path && term.values.iter().any(|one| one == v));
        self.terms.iter().all(has) && !pairs(object).any(|pair| Some(pair) == self.but)
    }
}

impl Wanted for Choice {
    fn wants(&self, e: &Event) -> bool {
        self.asked.fetch_add(1, Ordering::Relaxed);
        assert!(!both(e).contains(&FATAL), "meant");
        both(e).into_iter().any(|object| object == DARK || self.has(object))
    }

    fn terms(&self) -> Vec<Term> {
        self.terms.clone()
    }

    fn values(&self, e: &Event, path: &str) -> Option<Vec<String>> {
        self.read.fetch_add(1, Ordering::Relaxed);
        assert!(!both(e).contains(&FATAL), "meant");
        let known = !both(e).contains(&DARK);
        let values = both(e).into_iter().flat_map(pairs).filter(|(k, _)| *k == path);
        known.then(|| values.map(|(_, v)| v.to_owned()).collect())
    }
}

fn term(path: &str, values: &[&str]) -> Term {
    Term {
        path: path.to_owned(),
        values: values.iter().map(|v| (*v).to_owned()).collect(),
    }
}

type Receiver = mpsc::Receiver<Result<WatchItem, StorageError>>;

fn add(listeners: &mut Listeners, prefix: &str, after: i64, room: usize, wanted: Option<Choice>) -> Receiver {
    let (tx, rx) = mpsc::channel(room);
    let wanted = wanted.map(|w| Box::new(w) as Box<dyn Wanted>);
    listeners.add(Listener::new(prefix, after, wanted, tx));
    rx
}

/// What has come, and whether more may.
fn drain(rx: &mut Receiver) -> (Vec<i64>, bool) {
    let mut revs = vec![];
    loop {
        match rx.try_recv() {
            Ok(Ok(WatchItem::Event(e))) => revs.push(e.rev),
            Ok(_) => {}
            Err(end) => return (revs, end == TryRecvError::Empty),
        }
    }
}

#[test]
fn a_watch_sees_its_folder_or_its_key() {
    for (prefix, key, seen) in [
        ("", "/r/a/n/1", true),
        ("/r/a/", "/r/a/n/1", true),
        ("/r/a/n/", "/r/a/n/1", true),
        ("/r/a/n/1", "/r/a/n/1", true),
        ("/r/a/n/1", "/r/a/n/12", false),
        ("/r/a/n", "/r/a/n/1", false),
        ("/r/b/", "/r/a/n/1", false),
        ("/r/a/n/1/", "/r/a/n/1", false),
    ] {
        assert_eq!(sees(prefix, key), seen, "{prefix} {key}");
        assert_eq!(prefixes(key).any(|p| p == prefix), seen, "{prefix} {key}");
    }
}

/// A watcher as the naive would serve it.
struct Model {
    prefix: &'static str,
    after: i64,
    room: usize,
    wanted: Option<Choice>,
    rx: Receiver,
    told: Vec<i64>,
    open: bool,
}

impl Model {
    fn tell(&mut self, e: &Event) {
        let fatal = both(e).contains(&FATAL);
        let wants = self.wanted.as_ref().is_none_or(|w| fatal || w.wants(e));
        if self.open && e.rev > self.after && sees(self.prefix, &e.key) && wants {
            self.open = self.told.len() < self.room;
            if self.open {
                self.told.push(e.rev);
            }
        }
    }
}

fn choice(rng: &mut StdRng) -> Option<Choice> {
    const PATHS: [&str; 3] = ["a", "b", "c"];
    const VALUES: [&str; 5] = ["", "1", "2", "3", "4"];
    let terms = (0..rng.random_range(0..3)).map(|_| {
        let values = (0..rng.random_range(1..4)).map(|_| *VALUES.choose(rng).unwrap());
        let values: Vec<_> = values.collect();
        term(PATHS.choose(rng).unwrap(), &values)
    });
    let choice = Choice {
        terms: terms.collect(),
        but: rng.random_bool(0.2).then_some(("c", "1")),
        ..Default::default()
    };
    rng.random_bool(0.9).then_some(choice)
}

fn object(rng: &mut StdRng) -> String {
    match rng.random_range(0..400) {
        0..8 => DARK.to_owned(),
        8 => FATAL.to_owned(),
        _ => {
            let paths = ["a", "b", "c"].into_iter().filter(|_| rng.random_bool(0.7));
            let paths: Vec<_> = paths.collect();
            let value = |rng: &mut StdRng| rng.random_range(0..5u8).to_string().replace('0', "");
            let pairs: Vec<_> = paths.iter().map(|path| format!("{path}={}", value(rng))).collect();
            pairs.join(",")
        }
    }
}

#[test]
fn who_is_found_is_who_would_want_it_if_all_were_asked() {
    const PREFIXES: [&str; 7] = ["", "/r/", "/r/a/", "/r/a/n/", "/r/a/m/", "/r/b/", "/r/a/n/1"];
    const KEYS: [&str; 6] = ["/r/a/n/1", "/r/a/n/12", "/r/a/m/1", "/r/b/1", "/r/b/n/1", "/q/a/1"];
    for seed in 0..40 {
        let rng = &mut StdRng::seed_from_u64(seed);
        let mut listeners = Listeners::default();
        let mut models: Vec<Model> = vec![];
        let mut now: HashMap<&str, String> = HashMap::new();
        for rev in 1..150 {
            for _ in 0..rng.random_range(0..3) {
                let (prefix, after) = (*PREFIXES.choose(rng).unwrap(), rev - 1 + rng.random_range(0..3));
                let room = if rng.random_bool(0.1) { 2 } else { 200 };
                let wanted = choice(rng);
                let rx = add(&mut listeners, prefix, after, room, wanted.clone());
                models.push(Model {
                    prefix,
                    after,
                    room,
                    wanted,
                    rx,
                    told: vec![],
                    open: true,
                });
            }
            if rng.random_bool(0.2) && !models.is_empty() {
                // One goes; it is forgotten when it would be told of something.
                models.swap_remove(rng.random_range(0..models.len()));
            }
            let key = *KEYS.choose(rng).unwrap();
            let next = rng.random_bool(0.8).then(|| object(rng));
            let before = now.remove(key);
            let e = event(key, rev, before.as_deref(), next.as_deref());
            now.extend(next.map(|next| (key, next)));
            listeners.tell(&e);
            models.iter_mut().for_each(|model| model.tell(&e));
        }
        for model in &mut models {
            assert_eq!(drain(&mut model.rx), (model.told.clone(), model.open), "seed {seed}");
        }
        listeners.progress(150);
        assert_eq!(
            listeners.all.len(),
            models.iter().filter(|m| m.open).count(),
            "seed {seed}"
        );
        drop(models);
        listeners.progress(151);
        assert!(
            listeners.all.is_empty() && listeners.folders.is_empty(),
            "seed {seed}: something is left"
        );
    }
}

#[test]
fn a_change_asks_only_those_who_have_what_it_had_or_has_and_reads_a_path_once() {
    let mut listeners = Listeners::default();
    let base = Choice::default();
    let mut all = vec![];
    for number in 0..1000 {
        let prefix = if number % 2 == 0 { "/r/a/" } else { "/r/a/n/" };
        let terms = vec![term("app", &[&number.to_string()])];
        all.push(add(
            &mut listeners,
            prefix,
            0,
            10,
            Some(Choice { terms, ..base.clone() }),
        ));
    }
    listeners.tell(&event("/r/a/n/1", 1, Some("app=7,b=1"), Some("app=8,b=1")));
    listeners.tell(&event("/r/a/m/1", 2, Some("app=7"), Some("app=8")));
    listeners.tell(&event("/r/b/n/1", 3, Some("app=7"), Some("app=8")));
    listeners.tell(&event("/r/a/n/1", 4, Some("app=8"), Some("app=8")));
    assert_eq!(drain(&mut all[7]), (vec![1], true));
    assert_eq!(drain(&mut all[8]), (vec![1, 2, 4], true));
    assert_eq!(base.asked.load(Ordering::Relaxed), 4);
    assert_eq!(base.read.load(Ordering::Relaxed), 3);
}

#[test]
fn a_term_that_all_have_sorts_nobody_when_another_does() {
    let mut listeners = Listeners::default();
    let base = Choice::default();
    let mut all = vec![];
    for number in 0..1000 {
        let terms = vec![term("kind", &["Pod"]), term("uid", &[&number.to_string()])];
        all.push(add(
            &mut listeners,
            "/r/e/",
            0,
            10,
            Some(Choice { terms, ..base.clone() }),
        ));
    }
    listeners.tell(&event("/r/e/n/1", 1, None, Some("kind=Pod,uid=500")));
    assert_eq!(drain(&mut all[500]), (vec![1], true));
    assert!(base.asked.load(Ordering::Relaxed) <= 3, "{:?}", base.asked);
}

#[test]
fn a_change_that_cannot_be_read_is_told_to_all_and_ends_nobody() {
    let mut listeners = Listeners::default();
    let mut all = vec![];
    for value in ["1", "2"] {
        let terms = vec![term("app", &[value])];
        all.push(add(
            &mut listeners,
            "/r/a/",
            0,
            10,
            Some(Choice {
                terms,
                ..Choice::default()
            }),
        ));
    }
    listeners.tell(&event("/r/a/1", 1, None, Some(DARK)));
    listeners.tell(&event("/r/a/1", 2, Some(DARK), Some(FATAL)));
    listeners.tell(&event("/r/a/2", 3, None, Some("app=2")));
    assert_eq!(drain(&mut all[0]), (vec![1, 2], true));
    assert_eq!(drain(&mut all[1]), (vec![1, 2, 3], true));
}

#[test]
fn whose_own_question_panics_is_told_and_the_others_as_ever() {
    struct Broken;
    impl Wanted for Broken {
        fn wants(&self, _: &Event) -> bool {
            panic!("its own fault")
        }
        fn terms(&self) -> Vec<Term> {
            vec![term("app", &["1"])]
        }
        fn values(&self, _: &Event, _: &str) -> Option<Vec<String>> {
            panic!("its own fault")
        }
    }
    let mut listeners = Listeners::default();
    let (tx, mut broken) = mpsc::channel(10);
    listeners.add(Listener::new("/r/a/", 0, Some(Box::new(Broken)), tx));
    let terms = vec![term("app", &["2"])];
    let mut sound = add(
        &mut listeners,
        "/r/a/",
        0,
        10,
        Some(Choice {
            terms,
            ..Choice::default()
        }),
    );
    listeners.tell(&event("/r/a/1", 1, None, Some("app=1")));
    listeners.tell(&event("/r/a/2", 2, None, Some("app=2")));
    // Of the second it is told when it was the one to read for all.
    let (told, open) = drain(&mut broken);
    assert!(open && told.starts_with(&[1]), "{told:?}");
    assert_eq!(drain(&mut sound), (vec![2], true));
}
