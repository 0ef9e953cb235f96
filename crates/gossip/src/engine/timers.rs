use std::collections::BTreeSet;

use bruit_core::{Slot, Timestamp};

/// What a moment was waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Deadline {
    /// The next step of a held item's policy.
    Item(u32),
    /// The next source of an item that was announced.
    Fetch(u32),
    /// Peers are asked to announce to this node.
    Choosing,
    /// This node's list of neighbours is told.
    Lists,
    /// Ids that wait to be announced.
    Announcements,
    /// Whether this node is busy, and who announces to it.
    Announcers,
    /// A peer that brought more than its rate is read again.
    Rest(Slot),
}

/// All deadlines but those of [`Held`](super::held::Held). Who sets one remembers its moment, to take it back.
#[derive(Debug, Default)]
pub(super) struct Timers {
    queue: BTreeSet<(Timestamp, Deadline)>,
}

impl Timers {
    /// Sets a deadline in the place of an earlier one for the same thing.
    pub(super) fn replace(&mut self, old: Option<Timestamp>, new: Option<Timestamp>, deadline: Deadline) {
        if let Some(at) = old {
            self.queue.remove(&(at, deadline));
        }
        if let Some(at) = new {
            self.queue.insert((at, deadline));
        }
    }

    pub(super) fn next(&self) -> Option<Timestamp> {
        self.queue.first().map(|(at, _)| *at)
    }

    /// Takes out a deadline whose time has come.
    pub(super) fn pop_due(&mut self, now: Timestamp) -> Option<Deadline> {
        self.next().filter(|at| *at <= now)?;
        self.queue.pop_first().map(|(_, deadline)| deadline)
    }
}
