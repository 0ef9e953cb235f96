//! Which seed addresses are asked: several at the start, since one that lies must not be all that a newcomer hears.

use bruit_core::{Endpoint, NetGroup, PeerId, Timestamp};
use rand::seq::SliceRandom;

use super::{DialOutcome, Engine, Event, Named, Origin, Peer, Purpose, SlotClass, State, is_connected};
use crate::SeedStage;

/// How far a seed address has been asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// Not yet.
    No,
    /// A dial was begun.
    Dialled,
    /// Somebody was found there then.
    Met(Timestamp),
    /// It has told what it knows, or nothing came of it.
    Done,
}

impl<C: Copy + Ord> Engine<C> {
    /// Says that no more candidates are known. Seed addresses are tried: at the start several at once, in groups of their own as
    /// far as there are any, the first to stay with and the others to be asked only; after that one at a time.
    pub fn candidates_exhausted(&mut self, now: Timestamp) {
        if self.wanted() == 0 {
            return;
        }
        self.seeding.exhausted();
        let mut is_any_started = false;
        for seed in self.seeds_to_ask() {
            if self.dialling.under_way.len() >= self.config().dials_max {
                break;
            }
            let endpoint = seed.endpoint.clone();
            let purpose = if self.is_staying_with_a_seed() { Purpose::Visit } else { Purpose::Fill };
            match self.start_dial(seed, purpose, None, now) {
                DialOutcome::Started => {
                    self.dialling.seed_dialled(&endpoint);
                    is_any_started = true;
                }
                DialOutcome::UnderWay => {}
                DialOutcome::Connected | DialOutcome::BackingOff | DialOutcome::Forbidden => {
                    self.dialling.seed_asked(&endpoint);
                }
                DialOutcome::Enough => break,
            }
        }
        let patience = self.config().refill_interval_max;
        if is_any_started {
            self.dialling.seeds_rest(now.after(patience));
            return;
        }
        let seed = self.dialling.next_seed(
            |named| is_connected(&self.peers, &self.dialled_at, &named.endpoint, named.peer),
            patience,
            &mut self.rng,
            now,
        );
        let purpose = if self.config().seeds_one_shot { Purpose::Visit } else { Purpose::Fill };
        let started = seed.map(|seed| self.start_dial(seed, purpose, None, now));
        if started != Some(DialOutcome::Started) {
            self.tell(Event::Starved);
        }
    }

    /// Says that a source of seed addresses has none: the next source is not kept waiting for it.
    pub fn seeds_lacking(&mut self, stage: SeedStage) {
        self.seeding.lacks(stage);
    }

    /// Says that a source of seed addresses has been given some, or others, by the operator: it is used as at the start.
    pub fn seeds_given(&mut self, stage: SeedStage, now: Timestamp) {
        self.seeding.has_been_given(stage, now);
    }

    /// Says that a peer has told what it knows: if it is a seed, it has been asked. One that had no slot for us and was asked all the
    /// same is left at once: others wait for the place that is taken there.
    pub fn addresses_told(&mut self, peer: PeerId) {
        let dialled = self.dialled_endpoints(peer);
        for endpoint in &dialled {
            self.dialling.seed_asked(endpoint);
        }
        let is_over = |known: &Peer<C>| known.is_leaving() && known.hello.is_none();
        if !dialled.is_empty() && self.peers.get(&peer).is_some_and(is_over) {
            self.close(peer);
        }
    }

    /// Whether seed addresses are left that are to be asked before what others told is all there is to choose from.
    pub fn is_asking_seeds(&self, now: Timestamp) -> bool {
        let patience = self.config().hello_timeout;
        let is_open = |seed: &&Named| match seed.asked {
            Asked::No => true,
            Asked::Dialled => self.is_being_greeted(&seed.endpoint),
            Asked::Met(at) => now.since(at) < patience,
            Asked::Done => false,
        };
        let open = self.dialling.seeds.iter().filter(is_open).count();
        let asked = self.dialling.seeds.len().saturating_sub(open);
        open > 0 && asked < self.config().seeds_asked_min
    }

    /// Whether a dial of it is under way or its peer has not answered yet. Looked up, not remembered: a dial may end as a second
    /// connection to a peer that is here already, or to one that is not let in, and then nobody is waited for.
    fn is_being_greeted(&self, endpoint: &Endpoint) -> bool {
        let is_greeting = |known: &Peer<C>| {
            let is_there = |(_, origin): &(C, Origin)| origin.is_dialled() && origin.endpoint() == endpoint;
            matches!(known.state, State::Greeting { .. }) && known.connections.iter().any(is_there)
        };
        self.dialling.under_way.contains_key(endpoint) || self.peers.values().any(is_greeting)
    }

    /// Stays with one only, or every node would hold on to all seeds.
    fn is_staying_with_a_seed(&self) -> bool {
        self.config().seeds_one_shot
            || self.held(SlotClass::Outbound) > 0
            || self.dialling.under_way.values().any(|dial| dial.purpose == Purpose::Fill)
    }

    /// Seeds nobody has asked yet, by chance, distinct groups first.
    fn seeds_to_ask(&mut self) -> Vec<Named> {
        let (mut open, asked): (Vec<&Named>, Vec<&Named>) =
            self.dialling.seeds.iter().partition(|seed| seed.asked == Asked::No);
        let missing = self.valid.config.seeds_asked_min.saturating_sub(asked.len());
        let mut groups: Vec<NetGroup> = asked.iter().map(|seed| seed.endpoint.group()).collect();
        open.shuffle(&mut self.rng);
        let (mut first, mut later) = (Vec::new(), Vec::new());
        for seed in open {
            let group = seed.endpoint.group();
            if groups.contains(&group) {
                later.push(seed.clone());
            } else {
                groups.push(group);
                first.push(seed.clone());
            }
        }
        first.into_iter().chain(later).take(missing).collect()
    }
}
