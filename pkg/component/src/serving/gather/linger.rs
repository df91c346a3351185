//! Whether a connection waits a turn before it sends, for what other tasks are about to give it.

/// Turns that are waited at most before what is there is sent.
const TURNS: u8 = 8;
/// Ends of turns at which nothing is waited for, at most, after waiting was in vain.
const PAUSE: u16 = 255;

/// Many answers of one connection are often made at the same time, by tasks of their own: the first one wakes the
/// connection before the others are done. Waiting a turn of the scheduler lets them share a system call. Where that is
/// in vain, a client that asks one thing at a time, it is tried ever more rarely.
#[derive(Debug, Default)]
pub(super) struct Linger {
    /// Turns waited so far.
    turns: u8,
    /// Something came while waiting.
    came: bool,
    /// Ends of turns until it is tried again, and how many that will be after the next time in vain.
    pause: u16,
    next_pause: u16,
}

impl Linger {
    /// Asked at the end of a turn: whether to wait one more. `written`: something was written in the turn.
    pub(super) fn wait(&mut self, written: bool) -> bool {
        if self.turns == 0 {
            if !written {
                return false;
            }
            if self.pause > 0 {
                self.pause -= 1;
                return false;
            }
            self.turns = 1;
            return true;
        }
        self.came |= written;
        if written && self.turns < TURNS {
            self.turns += 1;
            return true;
        }
        self.next_pause = if self.came {
            0
        } else {
            (2 * self.next_pause + 1).min(PAUSE)
        };
        self.pause = self.next_pause;
        self.turns = 0;
        self.came = false;
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_waits_as_long_as_something_comes_and_not_forever() {
        let mut linger = Linger::default();
        assert!(!linger.wait(false), "nothing to send");
        for _ in 0..3 {
            assert!(linger.wait(true));
            assert!(linger.wait(true));
            assert!(!linger.wait(false));
        }
        let waited = (0..100).take_while(|_| linger.wait(true)).count();
        assert_eq!(waited, usize::from(TURNS));
    }

    #[test]
    fn what_is_in_vain_is_tried_ever_more_rarely() {
        let mut linger = Linger::default();
        let mut tries = 0;
        for _ in 0..2000 {
            if linger.wait(true) {
                tries += 1;
                assert!(!linger.wait(false));
            }
        }
        assert!((8..=16).contains(&tries), "{tries} of 2000");
        // Something comes again: it is worth it again.
        let found = (0..=PAUSE).any(|_| linger.wait(true));
        assert!(found && linger.wait(true) && !linger.wait(false) && linger.wait(true));
    }
}
