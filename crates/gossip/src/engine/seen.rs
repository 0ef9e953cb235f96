use std::{collections::VecDeque, time::Duration};

use bruit_core::{LookupMap, Slot, Timestamp};

use crate::{Config, ItemId, SeenEviction};

/// What is remembered of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) state: State,
    pub(super) rounds_max: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Awaits something: a verdict, or a copy with rounds left. The number finds it among the held ones.
    Held(u32),
    /// Relayed, ignored, or seen elsewhere: nothing more happens.
    Done,
    /// Rejected by the application.
    Rejected,
}

/// Ids seen, for `keep` each, at most `entries_max`.
///
/// By [`SeenEviction::Quotas`] each owner (this node, the departed peers together, and every connected peer) has a queue of what
/// it brought first. When the set is full, the owner of the longest queue loses its oldest id. By [`SeenEviction::Fifo`] all share
/// one queue.
///
/// # Security
/// By quotas a flood of unique ids flushes the ids of its own sender first, so it cannot make honest items come back.
#[derive(Debug)]
pub(super) struct Seen {
    /// What was asked for or put last: most copies are of the newest item.
    latest: Option<(ItemId, Known)>,
    entries: LookupMap<ItemId, Known>,
    owners: Owners,
    sweep_next: usize,
    entries_max: usize,
    keep: Duration,
    eviction: SeenEviction,
}

/// The queues of owners by their number; those that never brought anything take no memory.
#[derive(Debug)]
struct Owners {
    queues: Vec<(usize, Queue)>,
    /// The number after the highest one so far.
    end: usize,
}

/// What an owner brought first, each id with the moment until which it is remembered.
type Queue = VecDeque<(Timestamp, ItemId)>;

const LOCAL: usize = 0;
const DEPARTED: usize = 1;
const FIRST_PEER: usize = 2;

impl Seen {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            latest: None,
            entries: LookupMap::new(),
            owners: Owners { queues: Vec::new(), end: FIRST_PEER },
            sweep_next: 0,
            entries_max: config.seen_entries_max,
            keep: config.seen_keep,
            eviction: config.seen_eviction,
        }
    }

    pub(super) fn get(&self, id: &ItemId) -> Option<Known> {
        match &self.latest {
            Some((latest, known)) if latest == id => Some(*known),
            Some(_) | None => self.entries.get(id).copied(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn set(&mut self, id: &ItemId, state: State) {
        if self.latest.is_some_and(|(latest, known)| latest == *id && known.state == state) {
            return;
        }
        if let Some(known) = self.entries.get_mut(id) {
            known.state = state;
            self.latest = Some((*id, *known));
        }
    }

    /// Remembers a new id, brought by a peer or by this node. Returns what had to be forgotten for it before its time.
    pub(super) fn insert(
        &mut self,
        id: ItemId,
        known: Known,
        from: Option<Slot>,
        now: Timestamp,
    ) -> Option<(ItemId, Known)> {
        let owner = match (self.eviction, from) {
            (SeenEviction::Fifo, _) | (SeenEviction::Quotas, None) => LOCAL,
            (SeenEviction::Quotas, Some(slot)) => FIRST_PEER + slot.index(),
        };
        self.owners.end = self.owners.end.max(owner + 1);
        self.sweep(owner, now);
        self.sweep(self.sweep_next, now);
        self.sweep_next = (self.sweep_next + 1) % self.owners.end;
        let forgotten = if self.entries.len() >= self.entries_max { self.forget_one() } else { None };
        self.entries.insert(id, known);
        self.latest = Some((id, known));
        if let Some(queue) = self.owners.queue_of(owner) {
            queue.push_back((now.after(self.keep), id));
        }
        forgotten
    }

    pub(super) fn peer_disconnected(&mut self, slot: Slot) {
        let Some(queue) = self.owners.get_mut(FIRST_PEER + slot.index()) else { return };
        let mut left = std::mem::take(queue);
        if let Some(departed) = self.owners.queue_of(DEPARTED) {
            departed.append(&mut left);
        }
    }

    fn sweep(&mut self, owner: usize, now: Timestamp) {
        let Some(queue) = self.owners.get_mut(owner) else { return };
        for _ in 0..2 {
            let Some((until, id)) = queue.front() else { return };
            if *until > now {
                return;
            }
            self.entries.remove(id);
            self.latest.take_if(|(latest, _)| latest == id);
            queue.pop_front();
        }
    }

    fn forget_one(&mut self) -> Option<(ItemId, Known)> {
        let (_, longest) = self.owners.queues.iter_mut().max_by_key(|(_, queue)| queue.len())?;
        let (_, id) = longest.pop_front()?;
        self.latest.take_if(|(latest, _)| *latest == id);
        self.entries.remove(&id).map(|known| (id, known))
    }
}

impl Owners {
    fn get_mut(&mut self, owner: usize) -> Option<&mut Queue> {
        let place = self.queues.binary_search_by_key(&owner, |(number, _)| *number).ok()?;
        self.queues.get_mut(place).map(|(_, queue)| queue)
    }

    fn queue_of(&mut self, owner: usize) -> Option<&mut Queue> {
        if let Err(place) = self.queues.binary_search_by_key(&owner, |(number, _)| *number) {
            self.queues.reserve_exact(1 + self.queues.len() / 2);
            self.queues.insert(place, (owner, Queue::with_capacity(1)));
        }
        self.get_mut(owner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DONE: Known = Known { state: State::Done, rounds_max: 6 };

    fn id(number: u32) -> ItemId {
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&number.to_le_bytes());
        ItemId::new(bytes)
    }

    fn seen(entries_max: usize) -> Seen {
        Seen::new(&Config { seen_entries_max: entries_max, seen_keep: Duration::from_secs(10), ..Config::default() })
    }

    fn fifo(entries_max: usize, seen_keep: Duration) -> Seen {
        let seen_eviction = SeenEviction::Fifo;
        Seen::new(&Config { seen_entries_max: entries_max, seen_keep, seen_eviction, ..Config::default() })
    }

    #[test]
    fn by_fifo_the_oldest_of_all_goes_whoever_brought_it_and_nothing_else() {
        let mut seen = fifo(3, Duration::MAX);
        let now = Timestamp::from_secs(1);
        for (number, from) in [(1, None), (2, Some(Slot::new(7, 0))), (3, Some(Slot::new(1, 0)))] {
            assert_eq!(seen.insert(id(number), DONE, from, now), None);
        }
        seen.peer_disconnected(Slot::new(7, 0));
        let much_later = Timestamp::from_secs(1_000_000_000);
        for number in 4..100 {
            let forgotten = seen.insert(id(number), DONE, Some(Slot::new(number % 5, 0)), much_later);
            assert_eq!(forgotten, Some((id(number - 3), DONE)));
            assert_eq!(seen.len(), 3);
        }
    }

    #[test]
    fn by_fifo_ids_leave_after_their_time_too() {
        let mut seen = fifo(100, Duration::from_secs(10));
        seen.insert(id(0), DONE, Some(Slot::new(3, 0)), Timestamp::from_secs(0));
        seen.insert(id(1), DONE, Some(Slot::new(4, 0)), Timestamp::from_secs(9));
        seen.insert(id(2), DONE, None, Timestamp::from_secs(11));
        assert_eq!([0, 1, 2].map(|n| seen.get(&id(n)).is_some()), [false, true, true]);
    }

    #[test]
    fn ids_leave_after_their_time() {
        let mut seen = seen(100);
        for number in 0..3 {
            seen.insert(id(number), DONE, None, Timestamp::from_secs(u64::from(number)));
        }
        seen.insert(id(9), DONE, None, Timestamp::from_secs(11));
        assert_eq!([0, 1, 2, 9].map(|n| seen.get(&id(n)).is_some()), [false, false, true, true]);
    }

    #[test]
    fn a_flood_flushes_its_own_senders_ids_first_also_over_several_connections() {
        let mut seen = seen(100);
        let [honest, attacker] = [Slot::new(0, 0), Slot::new(1, 0)];
        let now = Timestamp::from_secs(1);
        for number in 0..30 {
            seen.insert(id(number), DONE, Some(honest), now);
        }
        for number in 1_000..11_000 {
            seen.insert(id(number), DONE, Some(attacker), now);
            if number % 50 == 0 {
                seen.peer_disconnected(attacker);
            }
            assert!(seen.len() <= 100);
        }
        assert!((0..30).all(|number| seen.get(&id(number)).is_some()));
        assert_eq!(seen.get(&id(1_000)), None);
    }

    #[test]
    fn a_full_set_tells_what_it_forgets() {
        let mut seen = seen(2);
        let held = Known { state: State::Held(7), rounds_max: 6 };
        let now = Timestamp::from_secs(1);
        assert_eq!(seen.insert(id(1), held, None, now), None);
        assert_eq!(seen.insert(id(2), DONE, None, now), None);
        assert_eq!(seen.insert(id(3), DONE, None, now), Some((id(1), held)));
    }
}
