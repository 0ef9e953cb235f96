use std::collections::BTreeSet;

use bruit_core::{Slot, Timestamp};

use super::{known_by::KnownBy, outcome::Tally, policy::ItemRoom, slab::Slab};
use crate::{Hop, HopKind, ItemId, ItemMessage, Policy, TopicConfig, ValidConfig};

/// What is charged for an item besides its body, in bytes.
const OVERHEAD_BYTES: usize = 256;

/// An item whose body is kept, because something may still happen to it.
#[derive(Debug)]
pub(super) struct HeldItem {
    /// The copy with the lowest round so far.
    pub(super) message: ItemMessage,
    /// Who brought it; `None` if it was published here.
    pub(super) from: Option<Slot>,
    /// Who sent a copy of it.
    pub(super) brought: KnownBy,
    /// Who has it, as far as is known: brought it, announced it, or was sent it.
    pub(super) known_by: KnownBy,
    /// To whom it was announced and who has not asked for it since.
    pub(super) told: KnownBy,
    /// Who asked for it before it could be sent.
    pub(super) wanted_by: KnownBy,
    pub(super) topic: TopicConfig,
    /// The topic's policy, or the one that it was published by.
    pub(super) policy: Policy,
    /// What its pushed copies say about their hop.
    pub(super) onward: Hop,
    pub(super) stage: Stage,
    /// Among which others of its stage it waits.
    standing: Standing,
    pub(super) until: Timestamp,
    /// When the policy's next step is due.
    pub(super) due: Option<Timestamp>,
    /// What it waits for.
    pub(super) missing: Vec<ItemId>,
    pub(super) tally: Tally,
    pub(super) is_finished: bool,
    /// Its id made a tree grow, or must not, because it was published here.
    pub(super) has_run_ahead: bool,
    /// When somebody first said that it has it, if that was before it came.
    pub(super) heard: Option<Timestamp>,
    /// Whether it was lacking.
    pub(super) lack: Lack,
    /// What its policy remembers of it.
    pub(super) room: ItemRoom,
}

/// Whether an item had to be asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Lack {
    /// It came by itself.
    #[default]
    None,
    /// It came because it was asked for.
    AskedFor,
    /// The same, and it was counted in this span.
    Counted {
        /// The number of the span.
        span: u32,
    },
    /// It was asked for in vain: it came by itself soon after.
    UnderWay,
}

impl HeldItem {
    pub(super) fn new(message: ItemMessage, from: Option<Slot>, topic: TopicConfig) -> Self {
        let brought = from.map(KnownBy::of).unwrap_or_default();
        let policy = policy_of(&message, from, &topic);
        let mut item = Self {
            message,
            from,
            known_by: brought.clone(),
            brought,
            told: KnownBy::default(),
            wanted_by: KnownBy::default(),
            policy,
            topic,
            onward: Hop::default(),
            stage: Stage::Spreading,
            standing: Standing::default(),
            until: Timestamp::MAX,
            due: None,
            missing: Vec::new(),
            tally: Tally::default(),
            is_finished: false,
            has_run_ahead: from.is_none(),
            heard: None,
            lack: Lack::default(),
            room: ItemRoom::default(),
        };
        item.lead_on();
        item
    }

    /// Whether its pushed copies would go beyond the limit of rounds.
    pub(super) const fn is_at_limit(&self) -> bool {
        self.onward.round > self.policy.rounds()
    }

    /// Its numbers so far.
    pub(super) fn tally_now(&self) -> Tally {
        Tally { reached: self.known_by.len(), ..self.tally }
    }

    /// A copy with fewer rounds came.
    pub(super) fn shorten(&mut self, round: u32) {
        self.message = self.message.on(Hop { round, ..self.message.hop().clone() });
        self.lead_on();
    }

    fn lead_on(&mut self) {
        let round = if self.from.is_some() { self.message.round().saturating_add(1) } else { 1 };
        self.onward = Hop { round, ..Hop::on_round(round) };
    }
}

/// The topic's policy. Its private beginning is for own items, and for those on their stem.
fn policy_of(message: &ItemMessage, from: Option<Slot>, topic: &TopicConfig) -> Policy {
    let is_stem = message.hop().kind == HopKind::Stem;
    let is_secret = matches!(topic.policy, Policy::Dandelion(_)) && (from.is_none() || is_stem)
        || matches!(topic.policy, Policy::Proxy(_)) && from.is_none();
    if is_secret { topic.policy } else { topic.policy.public() }
}

/// What an item is held for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// A verdict.
    Pending,
    /// What it depends on, or the application's second verdict.
    Withheld,
    /// A copy with rounds left.
    AtLimit,
    /// Its policy's steps, and those who ask for it.
    Spreading,
}

/// Who goes first when those that spread are too many.
///
/// # Security
/// Peers can make a node hold as much as they like of theirs, so own items, and above all secret ones, go last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    /// An item of somebody else that anybody may have. All items of other stages.
    #[default]
    Common,
    /// A public item that was published here.
    Own,
    /// An item of somebody else on its stem.
    Stem,
    /// A secret item that was published here.
    OwnStem,
}

impl Standing {
    const fn of(item: &HeldItem) -> Self {
        match (item.stage, item.policy.is_private(), item.from) {
            (Stage::Pending | Stage::Withheld | Stage::AtLimit, ..) | (_, false, Some(_)) => Self::Common,
            (_, false, None) => Self::Own,
            (_, true, Some(_)) => Self::Stem,
            (_, true, None) => Self::OwnStem,
        }
    }
}

/// Four stages, the last one with four standings.
const QUEUES: usize = 7;

impl Stage {
    /// Whether it counts as awaiting a verdict.
    pub(super) const fn is_undecided(self) -> bool {
        match self {
            Self::Pending | Self::Withheld => true,
            Self::AtLimit | Self::Spreading => false,
        }
    }
}

/// The items that are held, with one deadline each, limited in count and bytes.
#[derive(Debug)]
pub(super) struct Held {
    items: Slab<HeldItem>,
    /// Empty until something is held: most nodes never hold anything where items are pushed once.
    queues: Box<[Queue]>,
    pending: Load,
    config: ValidConfig,
}

/// The items of one stage and standing in the order of their deadlines.
#[derive(Debug, Default)]
struct Queue {
    deadlines: BTreeSet<(Timestamp, u32)>,
    bytes: usize,
}

/// How much awaits a verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Load {
    pub(super) items: usize,
    pub(super) bytes: usize,
}

impl Load {
    pub(super) fn of(message: &ItemMessage) -> Self {
        Self { items: 1, bytes: bytes_of(message) }
    }

    pub(super) const fn add(&mut self, other: Self) {
        self.items = self.items.saturating_add(other.items);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }

    pub(super) const fn subtract(&mut self, other: Self) {
        self.items = self.items.saturating_sub(other.items);
        self.bytes = self.bytes.saturating_sub(other.bytes);
    }

    /// Whether this is more than one `part`-th of what the configuration allows.
    pub(super) fn exceeds(&self, part: usize, config: &ValidConfig) -> bool {
        self.items > config.pending_items_max / part || self.bytes > config.pending_bytes_max / part
    }
}

fn bytes_of(message: &ItemMessage) -> usize {
    message.body_len().saturating_add(OVERHEAD_BYTES)
}

impl Held {
    pub(super) fn new(config: &ValidConfig) -> Self {
        Self { items: Slab::default(), queues: Box::default(), pending: Load::default(), config: config.clone() }
    }

    pub(super) const fn pending(&self) -> Load {
        self.pending
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    /// How much waits for what it depends on.
    pub(super) fn withheld(&self) -> Load {
        let [_, Queue { deadlines, bytes }, ..] = &*self.queues else { return Load::default() };
        Load { items: deadlines.len(), bytes: *bytes }
    }

    pub(super) fn get(&self, index: u32) -> Option<&HeldItem> {
        self.items.get(index)
    }

    /// An item; its stage and deadline are changed by [`move_to`](Self::move_to) only.
    pub(super) fn get_mut(&mut self, index: u32) -> Option<&mut HeldItem> {
        self.items.get_mut(index)
    }

    /// Until when an item is held that comes to a stage now.
    pub(super) fn until(&self, stage: Stage, now: Timestamp) -> Timestamp {
        now.after(match stage {
            Stage::Pending => self.config.verdict_timeout,
            Stage::Withheld => self.config.hold_timeout,
            Stage::AtLimit => self.config.held_for,
            Stage::Spreading => self.config.serve_for,
        })
    }

    /// Holds an item in a stage, until the stage's time has passed, and says under which number.
    pub(super) fn insert(&mut self, mut item: HeldItem, stage: Stage, now: Timestamp) -> u32 {
        (item.stage, item.until) = (stage, self.until(stage, now));
        let index = self.items.insert(item);
        self.enter(index);
        index
    }

    /// Moves an item to a stage, until the stage's time has passed, and returns that moment.
    pub(super) fn move_to(&mut self, index: u32, stage: Stage, now: Timestamp) -> Option<Timestamp> {
        let until = self.until(stage, now);
        self.leave(index);
        let item = self.items.get_mut(index)?;
        (item.stage, item.until) = (stage, until);
        self.enter(index);
        Some(until)
    }

    /// Has an item spread by another policy from now on.
    pub(super) fn spread_by(&mut self, index: u32, policy: Policy) -> Option<&mut HeldItem> {
        self.leave(index);
        self.items.get_mut(index)?.policy = policy;
        self.enter(index);
        self.items.get_mut(index)
    }

    pub(super) fn remove(&mut self, index: u32) -> Option<HeldItem> {
        self.leave(index);
        self.items.remove(index)
    }

    /// Of the items at their limit, or of those that spread, one to let go of, as long as they are too many: never the
    /// newest, and of others the oldest of the least standing.
    pub(super) fn excess(&self, newest: u32) -> Option<u32> {
        let [_, _, at_limit, spreading @ ..] = &*self.queues else { return None };
        let bounds = [
            (std::slice::from_ref(at_limit), self.config.held_bytes_max, self.config.pending_items_max),
            (spreading, self.config.serve_bytes_max, usize::MAX),
        ];
        bounds.into_iter().find_map(|(queues, bytes_max, items_max)| {
            let bytes: usize = queues.iter().map(|queue| queue.bytes).sum();
            let items: usize = queues.iter().map(|queue| queue.deadlines.len()).sum();
            let is_too_much = bytes > bytes_max || items > items_max;
            let mut all = queues.iter().flat_map(|queue| &queue.deadlines).map(|(_, index)| *index);
            is_too_much.then(|| all.find(|index| *index != newest))?
        })
    }

    /// The newest of what spreads or is served, the oldest of them first.
    pub(super) fn newest_spreading(&self, count: usize) -> Vec<u32> {
        let [_, _, _, queues @ ..] = &*self.queues else { return Vec::new() };
        let newest = queues.iter().flat_map(|queue| queue.deadlines.iter().rev().take(count));
        let mut newest: Vec<(Timestamp, u32)> = newest.copied().collect();
        newest.sort_unstable();
        let excess = newest.len().saturating_sub(count);
        newest.into_iter().skip(excess).map(|(_, index)| index).collect()
    }

    pub(super) fn next_deadline(&self) -> Option<Timestamp> {
        self.next().map(|(until, _)| until)
    }

    /// An item whose time has come.
    pub(super) fn due(&self, now: Timestamp) -> Option<u32> {
        self.next().filter(|(until, _)| *until <= now).map(|(_, index)| index)
    }

    pub(super) fn peer_disconnected(&mut self, slot: Slot) {
        for item in self.items.iter_mut() {
            for row in [&mut item.brought, &mut item.known_by, &mut item.told, &mut item.wanted_by] {
                row.remove(slot);
            }
        }
    }

    fn next(&self) -> Option<(Timestamp, u32)> {
        if self.items.is_empty() {
            return None;
        }
        self.queues.iter().filter_map(|queue| queue.deadlines.first().copied()).min()
    }

    fn enter(&mut self, index: u32) {
        let Some(item) = self.items.get_mut(index) else { return };
        item.standing = Standing::of(item);
        let (place, load) = (place(item), Load::of(&item.message));
        if self.queues.is_empty() {
            self.queues = std::iter::repeat_with(Queue::default).take(QUEUES).collect();
        }
        if let Some(queue) = self.queues.get_mut(place) {
            queue.deadlines.insert((item.until, index));
            queue.bytes += load.bytes;
        }
        if item.stage.is_undecided() {
            self.pending.add(load);
        }
    }

    fn leave(&mut self, index: u32) {
        let Some(item) = self.items.get(index) else { return };
        let load = Load::of(&item.message);
        if let Some(queue) = self.queues.get_mut(place(item)) {
            queue.deadlines.remove(&(item.until, index));
            queue.bytes -= load.bytes;
        }
        if item.stage.is_undecided() {
            self.pending.subtract(load);
        }
    }
}

/// The queue of an item.
const fn place(item: &HeldItem) -> usize {
    item.stage as usize + item.standing as usize
}
