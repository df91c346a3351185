//! Watches: who hears of which change, in order, none twice, none missing.
//!
//! [`Hub`] gets every durable change once and hands it to the mailboxes of the streams that watch the
//! key. A stream whose mailbox is full is not waited for: its watcher leaves the hub and catches up from
//! history ([`Session`]), exactly as a watcher does that starts in the past. `rpc/watch.rs` moves bytes.

mod event;
mod hub;
mod mailbox;
mod ring;
mod session;
#[cfg(test)]
mod tests;

pub(crate) use self::event::Event;
pub(crate) use self::hub::{Hub, Joined, Watcher};
pub(crate) use self::mailbox::{Item, Mailbox};
pub(crate) use self::session::Session;
