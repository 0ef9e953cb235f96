//! Where policies plug in: what each is asked, and when. What they do it with stands in `verbs.rs` and `fetching.rs`.

use std::time::Duration;

use bruit_core::{Seed, Slot, Timestamp};

use super::{
    Engine,
    fetches::Timing,
    held::{Load, Stage},
};
use crate::{Announced, ControlMessage, Hop, HopKind, Policy, Topic};

mod chance;
mod choice;
mod dandelion;
mod diffusion;
mod infection;
mod neighbour_cast;
mod proxy;
mod pushes;
mod sqrt_announce;
mod tree;

pub(super) use choice::keep_random;
pub(super) use tree::{Announcers, Trees};

/// What every peer gets: the most that a tree waits for a body, see there.
const LAG_LEAST: Duration = Duration::from_millis(6);
/// The most that a slow peer gets: whoever is slower is no good parent.
const LAG_MOST: Duration = Duration::from_millis(500);
/// After so many copies in time, a little more than a third of what a slow one got is left: about so rarely a copy is asked for
/// in vain.
const LAG_KEPT_FOR: u32 = 64;

/// What a policy remembers of one item.
#[derive(Debug, Default)]
pub(super) enum ItemRoom {
    /// Nothing.
    #[default]
    Empty,
    /// It is on its stem.
    Stem,
    /// Whom it was announced to, and how they answered.
    Infection(infection::Attempts),
    /// Whom it goes to, and when.
    Diffusion(Vec<(Timestamp, Slot)>),
}

/// What policies remember beyond single items, empty until a topic uses them.
#[derive(Debug)]
pub(super) struct Rooms {
    pub(super) stems: dandelion::Stems,
    pub(super) choosing: infection::Choosing,
    lists: neighbour_cast::Lists,
    /// When all inbound peers get what waits for them by diffusion.
    inbound_at: Timestamp,
    pub(super) tree: Trees,
    pub(super) announcers: Announcers,
}

/// What policies remember of a peer.
#[derive(Debug, Default)]
pub(super) struct PeerRooms {
    /// How much of its items is on its stem here.
    stems: Load,
    /// Whom it names as its neighbours.
    neighbours: Option<neighbour_cast::NamedNeighbours>,
    /// It asked to be told of these, and for all there is at this moment last.
    wishes: Option<Box<infection::Wishes>>,
    /// How many ids it sent ahead of bodies that have not come.
    pub(super) ahead: u32,
    /// How long its answers took, in microseconds; 0 if there was none.
    answer_micros: u32,
    /// How long after their ids nearly all of its pushed copies come.
    lag: Duration,
}

impl PeerRooms {
    /// Nothing is remembered.
    pub(super) const fn new() -> Self {
        let stems = Load { items: 0, bytes: 0 };
        Self { stems, neighbours: None, wishes: None, ahead: 0, answer_micros: 0, lag: Duration::ZERO }
    }

    /// Notes how long an answer took: half of it counts.
    pub(super) fn answered_in(&mut self, elapsed: Duration) {
        let micros = u32::try_from(elapsed.as_micros()).unwrap_or(u32::MAX);
        self.answer_micros = if self.answer_micros == 0 { micros } else { self.answer_micros / 2 + micros / 2 };
    }

    /// A copy that it pushed, and did not have to ask for itself, came so long after its id. Where all are busy most come before
    /// their ids and a few long after, so it is the few that are remembered.
    pub(super) fn pushed_after(&mut self, gap: Duration) {
        let with_margin = gap.min(LAG_MOST) + gap.min(LAG_MOST) / 4;
        self.lag = with_margin.max(self.lag.saturating_sub(self.lag / LAG_KEPT_FOR)).min(LAG_MOST);
    }

    /// How long its copies are waited for, if longer than those of others.
    pub(super) fn lag(&self) -> Option<Duration> {
        (self.lag > LAG_LEAST).then_some(self.lag)
    }

    /// Whether it is as slow as nobody may be.
    pub(super) fn lags_too_much(&self) -> bool {
        self.lag() == Some(LAG_MOST)
    }

    /// How long an answer may take before another peer is asked, if it is known: a tenth more than usual, and 2 ms.
    pub(super) const fn patience(&self) -> Option<Duration> {
        match self.answer_micros {
            0 => None,
            micros => Some(Duration::from_micros(micros as u64 + micros as u64 / 10 + 2_000)),
        }
    }
}

/// An announced id, who announced it, and what is known of it.
#[derive(Debug)]
pub(super) struct HeardOf<'a> {
    pub(super) from: Slot,
    pub(super) topic: &'a Topic,
    pub(super) announced: &'a Announced,
    pub(super) is_ahead: bool,
    /// Nobody had announced it before.
    pub(super) is_first: bool,
}

impl Rooms {
    pub(super) fn new(seed: &Seed) -> Self {
        Self {
            stems: dandelion::Stems::default(),
            choosing: infection::Choosing::default(),
            lists: neighbour_cast::Lists::default(),
            inbound_at: Timestamp::default(),
            tree: Trees::new(seed.keyed_hash(b"root")),
            announcers: Announcers::default(),
        }
    }

    pub(super) fn peer_disconnected(&mut self, slot: Slot) {
        self.tree.peer_disconnected(slot);
        self.announcers.peer_disconnected(slot);
    }
}

impl Policy {
    /// Whether all is done when an item was pushed: nothing of it is kept.
    pub(super) const fn is_one_shot(&self) -> bool {
        match self {
            Self::Fanout { .. } | Self::All { .. } | Self::One { .. } => true,
            Self::Flood { delay } => delay.is_zero(),
            Self::SqrtAnnounce(_)
            | Self::Infection(_)
            | Self::NeighbourCast(_)
            | Self::Diffusion { .. }
            | Self::Proxy(_)
            | Self::Dandelion(_)
            | Self::Tree(_) => false,
        }
    }

    /// When an announced item is asked for; `None` if announcements mean nothing to the policy.
    pub(super) fn timing(&self) -> Option<Timing> {
        let fixed = |wait, per_source| Some(Timing { wait, per_source, blame: per_source });
        match &self.public() {
            Self::SqrtAnnounce(settings) => fixed(settings.wait, settings.per_source),
            Self::Infection(settings) => fixed(Duration::ZERO, settings.timeout),
            Self::NeighbourCast(settings) => fixed(Duration::ZERO, settings.step.saturating_mul(3)),
            Self::Tree(_) => Some(Timing {
                wait: Duration::from_millis(3),
                per_source: Duration::from_millis(80),
                blame: Duration::from_secs(5),
            }),
            Self::Dandelion(_)
            | Self::Proxy(_)
            | Self::Fanout { .. }
            | Self::All { .. }
            | Self::One { .. }
            | Self::Flood { .. }
            | Self::Diffusion { .. } => None,
        }
    }
}

impl Engine {
    /// An item was published here or accepted, and is held: its policy takes its first steps.
    pub(super) fn spread(&mut self, index: u32, now: Timestamp) {
        let Some(policy) = self.held.get(index).map(|item| item.policy) else { return };
        if !policy.is_private() {
            self.answer_waiting(index, now);
        }
        match policy {
            Policy::Fanout { .. } | Policy::All { .. } | Policy::One { .. } => self.push_once(index, now),
            Policy::Flood { delay } if delay.is_zero() => self.push_once(index, now),
            Policy::Flood { delay } => self.set_due(index, now.after(delay)),
            Policy::SqrtAnnounce(_) => self.spread_by_sqrt(index, now),
            Policy::Diffusion { mean } => self.spread_by_diffusion(index, mean, now),
            Policy::Proxy(settings) => self.spread_by_proxy(index, &settings, now),
            Policy::Dandelion(settings) => self.spread_by_dandelion(index, &settings, now),
            Policy::Infection(settings) => self.spread_by_infection(index, &settings, now),
            Policy::NeighbourCast(settings) => self.spread_by_neighbour_cast(index, &settings, now),
            Policy::Tree(_) => self.spread_on_tree(index, now),
        }
    }

    /// The moment that a policy set for an item with [`set_due`](Self::set_due) has come.
    pub(super) fn item_due(&mut self, index: u32, now: Timestamp) {
        let Some(policy) = self.held.get(index).map(|item| item.policy) else { return };
        match policy {
            Policy::Flood { .. } => self.push_once(index, now),
            Policy::NeighbourCast(_) => self.neighbour_cast_due(index, now),
            Policy::Infection(settings) => self.infection_due(index, &settings, now),
            Policy::Diffusion { .. } => self.diffusion_due(index, now),
            Policy::Proxy(_) | Policy::Dandelion(_) => self.go_public(index, 1, now),
            Policy::Fanout { .. }
            | Policy::All { .. }
            | Policy::One { .. }
            | Policy::SqrtAnnounce(_)
            | Policy::Tree(_) => {}
        }
    }

    /// Another copy of an item that spreads came; who sent it is known to have it already.
    pub(super) fn spreading_copy_received(&mut self, index: u32, _from: Slot, hop: &Hop, now: Timestamp) {
        let Some(policy) = self.held.get(index).map(|item| item.policy) else { return };
        match policy {
            Policy::Dandelion(_) if hop.kind == HopKind::Stem => self.go_public(index, 1, now),
            Policy::Proxy(_) | Policy::Dandelion(_) => self.seen_in_public(index, hop.round, now),
            Policy::Fanout { .. }
            | Policy::All { .. }
            | Policy::One { .. }
            | Policy::Flood { .. }
            | Policy::SqrtAnnounce(_)
            | Policy::Infection(_)
            | Policy::NeighbourCast(_)
            | Policy::Diffusion { .. }
            | Policy::Tree(_) => {}
        }
    }

    /// An item that is held was announced; who has it is known to have it already.
    pub(super) fn held_announced(&mut self, index: u32, heard: &HeardOf<'_>, now: Timestamp) {
        let Some((policy, stage)) = self.held.get(index).map(|item| (item.policy, item.stage)) else { return };
        match policy {
            // A tree grows by the id alone, whatever becomes of the item.
            Policy::Tree(_) => self.tree_id_heard(&policy, heard, now),
            _ if stage != Stage::Spreading => {}
            Policy::Fanout { .. }
            | Policy::All { .. }
            | Policy::One { .. }
            | Policy::Flood { .. }
            | Policy::SqrtAnnounce(_)
            | Policy::Infection(_)
            | Policy::NeighbourCast(_)
            | Policy::Diffusion { .. } => {}
            // An id alone proves nothing: whoever says it may want to end the embargo of an item that it swallowed, or to
            // see who has it.
            Policy::Proxy(_) | Policy::Dandelion(_) => {}
        }
    }

    /// A peer has an item that was announced to it already; that it has it is noted.
    pub(super) fn have_received(&mut self, index: u32, from: Slot, now: Timestamp) {
        let Some(policy) = self.held.get(index).map(|item| item.policy) else { return };
        match policy {
            Policy::Infection(settings) => self.had_it(index, from, &settings, now),
            Policy::Fanout { .. }
            | Policy::All { .. }
            | Policy::One { .. }
            | Policy::Flood { .. }
            | Policy::SqrtAnnounce(_)
            | Policy::NeighbourCast(_)
            | Policy::Diffusion { .. }
            | Policy::Proxy(_)
            | Policy::Dandelion(_)
            | Policy::Tree(_) => {}
        }
    }

    /// A peer asked for an item that was announced to it, and it was sent.
    pub(super) fn want_answered(&mut self, index: u32, to: Slot, now: Timestamp) {
        let Some(policy) = self.held.get(index).map(|item| item.policy) else { return };
        match policy {
            Policy::Infection(settings) => self.infected(index, to, &settings, now),
            Policy::Fanout { .. }
            | Policy::All { .. }
            | Policy::One { .. }
            | Policy::Flood { .. }
            | Policy::SqrtAnnounce(_)
            | Policy::NeighbourCast(_)
            | Policy::Diffusion { .. }
            | Policy::Proxy(_)
            | Policy::Dandelion(_)
            | Policy::Tree(_) => {}
        }
    }

    /// A peer said something that only policies understand: `adopt`, `drop`, `neighbours`, `choose`, `unchoose`, `pull`.
    pub(super) fn policy_control_received(&mut self, from: Slot, message: &ControlMessage, now: Timestamp) {
        self.tree_control_received(from, message);
        self.choices_received(from, message, now);
        self.list_received(from, message);
    }

    /// An id whose item is not here was announced, for the first time or again; the fetch is timed already.
    pub(super) fn fetch_heard(&mut self, fetch: u32, policy: &Policy, heard: &HeardOf<'_>, now: Timestamp) {
        match policy {
            Policy::Tree(_) => self.tree_fetch_heard(fetch, policy, heard, now),
            Policy::Infection(settings) if !heard.is_first => self.have_soon(heard.announced.id, settings),
            Policy::Fanout { .. }
            | Policy::All { .. }
            | Policy::One { .. }
            | Policy::Flood { .. }
            | Policy::SqrtAnnounce(_)
            | Policy::Infection(_)
            | Policy::NeighbourCast(_)
            | Policy::Diffusion { .. }
            | Policy::Proxy(_)
            | Policy::Dandelion(_) => {}
        }
    }
}

#[cfg(test)]
mod tests;
