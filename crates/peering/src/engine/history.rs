//! Who left, and why.

use bruit_core::{BoundedQueue, PeerId, Timestamp};

use super::{Engine, Origin, SlotClass, State};
use crate::{Departure, DepartureCause};

/// The last departures, of those who were dialled and of those who came apart: whoever likes may come and leave as often as he
/// likes.
#[derive(Debug)]
pub(super) struct History {
    dialled: BoundedQueue<Departure>,
    came: BoundedQueue<Departure>,
}

impl History {
    pub(super) const fn new(max: usize) -> Self {
        Self { dialled: BoundedQueue::new(max), came: BoundedQueue::new(max) }
    }

    fn add(&mut self, departure: Departure) {
        let of_its_kind = if departure.was_dialled { &mut self.dialled } else { &mut self.came };
        of_its_kind.push_over_oldest(departure);
    }

    fn oldest_first(&self) -> impl Iterator<Item = &Departure> {
        let (mut dialled, mut came) = (self.dialled.iter().peekable(), self.came.iter().peekable());
        std::iter::from_fn(move || match (dialled.peek(), came.peek()) {
            (Some(one), Some(other)) if one.at <= other.at => dialled.next(),
            (Some(_), None) => dialled.next(),
            (_, _) => came.next(),
        })
    }
}

impl<C: Copy + Ord> Engine<C> {
    /// Who left and why, oldest first.
    pub fn departures(&self) -> impl Iterator<Item = &Departure> {
        self.history.oldest_first()
    }

    /// Remembers that a peer leaves, before its slot is taken away.
    pub(super) fn depart(&mut self, peer: PeerId, cause: DepartureCause, now: Timestamp) {
        let was_dialled = self.peers.get(&peer).is_none_or(|known| match known.state {
            State::Held(class) => class != SlotClass::Inbound,
            State::Greeting { .. } | State::Leaving { .. } => {
                known.connections.iter().any(|(_, origin)| Origin::is_dialled(origin))
            }
        });
        self.history.add(Departure { peer, at: now, was_dialled, cause });
    }
}
