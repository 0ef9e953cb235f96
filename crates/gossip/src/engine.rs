use std::collections::BTreeSet;

use bruit_core::{ChaCha8Rng, Conduct, Seed, Slot, Timestamp};
use bytes::Bytes;
use rand::RngExt;

use self::{
    announcements::Announcements,
    fetches::Fetches,
    held::{Held, HeldItem, Stage},
    holding::Dependencies,
    outputs::Outputs,
    peers::Peers,
    policy::Rooms,
    seen::{Known, Seen, State},
    timers::Timers,
};
use crate::{
    Announcement, ControlMessage, Event, Item, ItemId, ItemMessage, Policy, Priority, ShortId, Signatures, Step, Topic,
    TopicConfig, ValidConfig, Why, config::ROUNDS_MAX,
};

mod announcements;
mod fetches;
mod fetching;
mod held;
mod holding;
mod intake;
mod known_by;
mod log;
mod outcome;
mod outputs;
mod peers;
mod policy;
mod rates;
mod seen;
mod slab;
mod stats;
mod subscriptions;
mod timers;
mod verbs;

pub use outcome::{
    AnnouncementReceived, ControlReceived, DependencyArrived, Finished, PeerConnected, Precheck, PublishError,
    Received, Refusal, Reported, SeenElsewhere, SubscribeError, Subscribed, Tally, Unsubscribed, Verdict,
};
pub use peers::{PeerClass, PeerTraits};
pub use stats::{Rounds, Stats};

/// How many deadlines one call of [`Engine::handle_timeout`] looks after.
const DEADLINES_PER_CALL: usize = 256;

/// The rules of gossip, without clock, sockets or tasks.
///
/// Facts: [`peer_connected`](Self::peer_connected), [`peer_disconnected`](Self::peer_disconnected),
/// [`peer_described`](Self::peer_described), [`self_described`](Self::self_described),
/// [`item_received`](Self::item_received), [`copy_received`](Self::copy_received),
/// [`precheck_failed`](Self::precheck_failed),
/// [`announcement_received`](Self::announcement_received), [`dependency_arrived`](Self::dependency_arrived),
/// [`control_received`](Self::control_received), [`mismatch_received`](Self::mismatch_received),
/// [`malformed_received`](Self::malformed_received), [`frame_refused`](Self::frame_refused),
/// [`announcement_refused`](Self::announcement_refused), [`control_refused`](Self::control_refused),
/// [`frames_lost`](Self::frames_lost),
/// [`peer_writable`](Self::peer_writable). Commands: [`publish`](Self::publish), [`publish_by`](Self::publish_by), [`report`](Self::report),
/// [`subscribe`](Self::subscribe), [`unsubscribe`](Self::unsubscribe). After each of them drain
/// [`poll_output`](Self::poll_output); between calls it is empty.
///
/// For a frame that came: parse it, and ask [`is_known`](Self::is_known). Of a known item only id and round are told
/// ([`copy_received`](Self::copy_received)); the body of an unknown one is checked against its id first.
#[derive(Debug)]
pub struct Engine {
    // What a duplicate needs comes first and together: most copies are duplicates, and where many engines share a processor
    // memory is what they cost.
    seen: Seen,
    peers: Peers,
    outputs: Outputs,
    timers: Timers,
    held: Held,
    stats: Stats,
    config: ValidConfig,
    subscriptions: BTreeSet<Topic>,
    targets: Vec<Slot>,
    dependencies: Dependencies,
    fetches: Fetches,
    rng: ChaCha8Rng,
    announcements: Announcements,
    rooms: Rooms,
    wanting: Vec<(Slot, ItemId)>,
    having: Vec<ItemId>,
    log: log::Log,
    short_id: ShortId,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send a message to a peer.
    Send {
        /// The peer.
        to: Slot,
        /// What.
        message: Message,
        /// How urgent it is among what waits for this peer.
        priority: Priority,
    },
    /// Stop reading the items of a peer.
    Pause {
        /// The peer.
        to: Slot,
    },
    /// Go on reading the items of a peer.
    Resume {
        /// The peer.
        to: Slot,
    },
    /// Tell the application.
    Event(Event<Slot>),
}

/// What goes to a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A copy of an item, for the lane `items`.
    Item(ItemMessage),
    /// Ids, for the lane `items`.
    Announce(Box<Announcement>),
    /// All else, for the lane `control`.
    Control(Box<ControlMessage>),
}

impl Engine {
    /// Makes an engine without peers and subscriptions.
    pub fn new(config: ValidConfig, seed: Seed) -> Self {
        Self {
            rng: seed.derive("gossip", 0).rng(),
            peers: Peers::default(),
            subscriptions: BTreeSet::new(),
            seen: Seen::new(&config),
            held: Held::new(&config),
            dependencies: Dependencies::default(),
            fetches: Fetches::default(),
            announcements: Announcements::default(),
            timers: Timers::default(),
            rooms: Rooms::new(&seed),
            short_id: ShortId::default(),
            targets: Vec::new(),
            wanting: Vec::new(),
            having: Vec::new(),
            log: log::Log::new(config.explain_steps_max),
            outputs: Outputs::default(),
            stats: Stats::default(),
            config,
        }
    }

    /// So many peers will be there soon: room for them is made at once.
    pub fn expect_peers(&mut self, count: usize) {
        self.peers.reserve(count.min(self.config.peers_max));
    }

    /// A peer is there: frames can be sent to it and come from it.
    pub fn peer_connected(&mut self, slot: Slot, now: Timestamp) -> PeerConnected {
        if slot.index() >= self.config.peers_max {
            return PeerConnected::NoRoom;
        }
        match self.peers.holder_of(slot) {
            Some(holder) if holder == slot => return PeerConnected::AlreadyThere,
            Some(holder) => self.peer_disconnected(holder, now),
            None => {}
        }
        self.peers.insert(slot);
        self.tell_subscriptions(slot);
        self.peer_came(now);
        self.list_changed(now);
        PeerConnected::Added
    }

    /// A peer is gone. What it brought stays; nothing about it is told any more.
    pub fn peer_disconnected(&mut self, slot: Slot, now: Timestamp) {
        if let Some(peer) = self.peers.remove(slot) {
            self.rests_no_more(slot, &peer.allowance);
            self.seen.peer_disconnected(slot);
            self.held.peer_disconnected(slot);
            self.announcements.peer_disconnected(slot);
            self.rooms.peer_disconnected(slot);
            self.fetches_lose(slot, now);
            self.rooms.stems.peer_gone(slot);
            self.peer_gone(slot, now);
            self.list_changed(now);
        }
    }

    /// What this node's peers call it in their lists of neighbours became known.
    pub const fn self_described(&mut self, short_id: ShortId) {
        self.short_id = short_id;
    }

    /// Something became known of a peer besides what gossip tells; it replaces what was known before.
    pub fn peer_described(&mut self, slot: Slot, traits: PeerTraits, now: Timestamp) {
        if self.peers.describe(slot, traits) {
            self.list_changed(now);
        }
    }

    /// A peer sent an item whose id is not its body's. The id is not marked: the true item may still come.
    pub fn mismatch_received(&mut self, from: Slot, _now: Timestamp) {
        self.stats.mismatches += 1;
        self.conduct(from, Conduct::BrokeProtocol);
    }

    /// A peer sent a frame that is no message of this protocol.
    pub fn malformed_received(&mut self, from: Slot, _now: Timestamp) {
        self.stats.malformed += 1;
        self.conduct(from, Conduct::BrokeProtocol);
    }

    /// A copy did not leave, because the peer's outbox is full. It is not tried again: other peers will bring the item.
    pub fn frame_refused(&mut self, to: Slot, id: ItemId, now: Timestamp) {
        self.log_at(now);
        self.stats.frames_refused += 1;
        if self.peers.contains(to) {
            self.log(&id, Step::NotSent { to });
            self.outputs.push_back(Output::Event(Event::FrameRefused { peer: to, id }));
        }
    }

    /// An announcement did not leave, because the peer's outbox is full. Other peers will tell it.
    pub fn announcement_refused(&mut self, to: Slot, message: &Announcement, _now: Timestamp) {
        self.stats.frames_refused += 1;
        if self.peers.contains(to) {
            for announced in &message.items {
                // It may be told once more.
                let index = self.held_index(&announced.id);
                let item = index.and_then(|index| self.held.get_mut(index));
                item.into_iter().for_each(|item| item.told.remove(to));
            }
            let ids = message.items.len();
            self.outputs.push_back(Output::Event(Event::AnnouncementNotSent { peer: to, ids }));
        }
    }

    /// Frames that the outbox had taken did not arrive. Subscriptions may have been among them, so they are said again.
    pub fn frames_lost(&mut self, to: Slot, frames: u64, _now: Timestamp) {
        self.stats.frames_lost = self.stats.frames_lost.saturating_add(frames);
        if self.peers.contains(to) {
            self.outputs.push_back(Output::Event(Event::FramesLost { peer: to, frames }));
            self.repeat_subscriptions(to);
            self.ask_again(to);
        }
    }

    /// Makes an item as it is published here: with a nonce by chance and the topic's expiry.
    pub fn compose(&mut self, topic: Topic, payload: Bytes, now: Timestamp) -> Result<Item, PublishError> {
        let Some(config) = self.config.topic(&topic) else { return Err(PublishError::UnknownTopic(topic)) };
        let expires_at = now.after(config.expiry);
        Ok(Item { topic, author: None, nonce: self.rng.random(), expires_at, payload })
    }

    /// Publishes an item by its topic's policy. It is not delivered to this node's own application.
    pub fn publish(&mut self, message: ItemMessage, now: Timestamp) -> Result<ItemId, PublishError> {
        let Some(config) = self.config.topic(&message.item().topic).copied() else {
            return Err(PublishError::UnknownTopic(message.item().topic.clone()));
        };
        self.publish_as(message, config, now)
    }

    /// Publishes an item by a policy of its own. It decides what this node does; others relay it by the topic's.
    pub fn publish_by(&mut self, message: ItemMessage, policy: Policy, now: Timestamp) -> Result<ItemId, PublishError> {
        policy.validate()?;
        let Some(config) = self.config.topic(&message.item().topic).copied() else {
            return Err(PublishError::UnknownTopic(message.item().topic.clone()));
        };
        self.publish_as(message, TopicConfig { policy, ..config }, now)
    }

    fn publish_as(
        &mut self,
        message: ItemMessage,
        config: TopicConfig,
        now: Timestamp,
    ) -> Result<ItemId, PublishError> {
        let item = message.item();
        let (size, size_max) = (item.payload.len(), config.size_max);
        if size > size_max {
            return Err(PublishError::TooLarge { size, size_max });
        }
        if item.expires_at <= now || item.expires_at > latest_expiry(&config, now) {
            return Err(PublishError::Expiry);
        }
        let id = message.id();
        if self.is_known(&id) {
            return Err(PublishError::AlreadyKnown);
        }
        if config.signatures == Signatures::Required && !message.is_signed() {
            return Err(PublishError::Unsigned);
        }
        let rounds_max = config.policy.rounds_most();
        let mut item = HeldItem::new(message, None, config);
        self.choose_all(&item.message.item().topic, config.carry, &item.known_by);
        if self.targets.is_empty() {
            return Err(PublishError::NoPeers);
        }
        self.stats.published += 1;
        self.log_at(now);
        self.log(&id, Step::Published);
        if config.policy.is_one_shot() {
            self.remember(id, Known { state: State::Done, rounds_max }, None, now);
            self.relay_once(item);
            return Ok(id);
        }
        self.meet_announcers(&mut item, None, now);
        self.remember(id, Known { state: State::Done, rounds_max }, None, now);
        let index = self.keep(item, Stage::Spreading, now);
        self.spread(index, now);
        self.send_wants();
        Ok(id)
    }

    /// An item came by another way than gossip, such as a request: copies that come are duplicates. It is not relayed.
    pub fn seen_elsewhere(&mut self, id: ItemId, now: Timestamp) -> SeenElsewhere {
        if self.is_known(&id) {
            return SeenElsewhere::AlreadySeen;
        }
        self.remember(id, Known { state: State::Done, rounds_max: ROUNDS_MAX }, None, now);
        SeenElsewhere::Marked
    }

    /// Whether the items of a topic are to be signed.
    pub fn is_to_be_signed(&self, topic: &Topic) -> bool {
        self.config.topic(topic).is_some_and(|config| config.signatures == Signatures::Required)
    }

    /// Whether the id of an item is known, so that a copy of it need not be checked.
    pub fn is_known(&self, id: &ItemId) -> bool {
        self.seen.get(id).is_some()
    }

    /// Whether an id was announced, and its item is not here yet.
    pub fn is_looked_for(&self, id: &ItemId) -> bool {
        self.fetches.index_of(id).is_some()
    }

    /// Whether a peer is connected.
    pub fn is_connected(&self, slot: Slot) -> bool {
        self.peers.contains(slot)
    }

    /// How many peers are connected.
    pub fn peer_count(&self) -> usize {
        self.peers.len()
    }

    /// How many ids are remembered.
    pub fn seen_count(&self) -> usize {
        self.seen.len()
    }

    /// How many items await a verdict.
    pub const fn pending_count(&self) -> usize {
        self.held.pending().items
    }

    /// How many bytes await a verdict.
    pub const fn pending_bytes(&self) -> usize {
        self.held.pending().bytes
    }

    /// What was done since the start.
    pub const fn stats(&self) -> &Stats {
        &self.stats
    }

    /// What is to be done next.
    #[inline]
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called.
    pub fn next_timeout(&self) -> Option<Timestamp> {
        self.held.next_deadline().into_iter().chain(self.timers.next()).min()
    }

    fn conduct(&mut self, peer: Slot, conduct: Conduct) {
        if self.peers.contains(peer) {
            self.outputs.push_back(Output::Event(Event::Conduct { peer, conduct }));
        }
    }

    /// Pushes an item that is not kept to the peers that its policy chooses; returns how many.
    fn push(&mut self, item: &HeldItem) -> u32 {
        let topic = &item.message.item().topic;
        self.choose_all(topic, item.topic.carry, &item.known_by);
        self.narrow(&item.policy, item.topic.choice);
        let (copy, priority) = (item.message.on(item.onward.clone()), item.topic.priority);
        let targets = std::mem::take(&mut self.targets);
        for to in targets.iter().copied() {
            self.flush_announcements_to(to);
            self.log_push(&copy.id(), to, copy.round(), Why::of(&item.policy));
        }
        let pushes = targets.len();
        self.outputs.push_copies(targets, copy, priority);
        self.stats.pushes += pushes as u64;
        self.stats.pushes_per_item_max = self.stats.pushes_per_item_max.max(pushes as u64);
        u32::try_from(pushes).unwrap_or(u32::MAX)
    }

    fn remember(&mut self, id: ItemId, known: Known, from: Option<Slot>, now: Timestamp) {
        if let Some(index) = self.fetches.index_of(&id) {
            self.end_fetch(index, now);
        }
        let Some((forgotten, known)) = self.seen.insert(id, known, from, now) else { return };
        self.stats.forgotten_early += 1;
        if let State::Held(index) = known.state {
            self.forget_held(forgotten, index, now);
        }
    }
}

/// The latest expiry that an item of a topic may have: the publisher's clock may be ahead by as much as an item lives.
fn latest_expiry(config: &TopicConfig, now: Timestamp) -> Timestamp {
    now.after(config.expiry.saturating_mul(2))
}

#[cfg(test)]
mod tests;
