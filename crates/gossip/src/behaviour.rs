#![allow(clippy::wildcard_enum_match_arm, reason = "libp2p's enums are non-exhaustive")]

use std::{
    collections::{BTreeSet, VecDeque},
    convert::Infallible,
    task::{Context, Poll, Waker},
};

use bruit_core::{Alarm, Clock, Conduct, NetworkId, PeerId, Seed, Slot, SlotMap, Timestamp};
use bruit_link::{Admission, Frame, Handler, HandlerEvent, Links, Protocol, Push};
use bytes::Bytes;
use libp2p_core::{Endpoint, Multiaddr, transport::PortUse};
use libp2p_swarm::{ConnectionDenied, ConnectionId, DialFailure, FromSwarm, NetworkBehaviour, StreamProtocol, ToSwarm};

use crate::{
    ControlMessage, DependencyArrived, Engine, Event, Explanation, Glance, Hop, Item, ItemId, ItemMessage, ItemsFrame,
    Keypair, Message, Moment, OpenError, Output, PeerClass, Policy, Precheck, Priority, PublishError, Reported, Sealer,
    SeenElsewhere, ShortId, Stats, SubscribeError, Subscribed, Topic, Unsubscribed, ValidConfig, Verdict,
};

mod precheck;
mod traits;

use precheck::Check;
use traits::KnownTraits;

const CONTROL: u32 = 0;
const ITEMS: u32 = 1;
const LANES: u32 = 2;
/// How many that left are still named. A guess: as many as there may be peers by default.
const DEPARTED_MAX: usize = 256;

/// Gossip in a swarm: speaks `/bruit/gossip/<network>/1`.
///
/// It carries frames between links and its [`Engine`], which decides everything.
#[derive(Debug)]
pub struct Behaviour {
    engine: Engine,
    links: Links,
    /// Who has which slot, as the engine knows it: events of links that are down already may still wait.
    names: SlotMap<PeerId>,
    /// Who had a slot lately, the newest last: what they brought is still to be explained.
    departed: VecDeque<(Slot, PeerId)>,
    traits: KnownTraits,
    sealer: Sealer,
    precheck: Check,
    key: Option<Keypair>,
    clock: Clock,
    alarm: Alarm,
    events: VecDeque<Event<PeerId>>,
    /// The head encoded last: the copies of one item follow each other.
    last_head: Option<(ItemId, Hop, Bytes)>,
    waker: Option<Waker>,
}

impl Behaviour {
    /// Makes the gossip of a network, without peers and subscriptions.
    ///
    /// With [`Admission::Automatic`] every connected peer that speaks the protocol takes part, and stays connected for it.
    /// With [`Admission::ByOwner`] only those do that [`admit`](Self::admit) names.
    pub fn new(network: &NetworkId, config: ValidConfig, seed: Seed, admission: Admission) -> Self {
        let name = network.protocol_name("gossip", 1);
        let name = StreamProtocol::try_from_owned(name).unwrap_or_else(|_| unreachable!("it begins with a slash"));
        let settings = bruit_link::Config {
            peers_max: config.peers_max,
            outbox_bytes_max: config.outbox_bytes_max,
            keep_alive: admission == Admission::Automatic,
            ..bruit_link::Config::default()
        };
        let settings =
            settings.validate().unwrap_or_else(|error| unreachable!("gossip's bounds are narrower: {error}"));
        Self {
            engine: Engine::new(config, seed),
            links: Links::new(Protocol { names: vec![name], lanes: LANES }, settings, admission),
            names: SlotMap::new(),
            departed: VecDeque::new(),
            traits: KnownTraits::default(),
            sealer: Sealer::new(network),
            precheck: Check::default(),
            key: None,
            clock: Clock::start(),
            alarm: Alarm::default(),
            events: VecDeque::new(),
            last_head: None,
            waker: None,
        }
    }

    /// Publishes bytes under a topic, with a nonce by chance and the topic's expiry.
    pub fn publish(&mut self, topic: Topic, payload: impl Into<Bytes>) -> Result<ItemId, PublishError> {
        let item = self.engine.compose(topic, payload.into(), self.clock.now())?;
        self.publish_item(item)
    }

    /// Publishes an item whose fields the caller has chosen. Equal items have equal ids and travel once.
    pub fn publish_item(&mut self, item: Item) -> Result<ItemId, PublishError> {
        let message = self.seal(item);
        self.command(|engine, now| engine.publish(message, now))
    }

    /// Publishes bytes by a policy of their own. It decides what this node does; others relay them by the topic's.
    pub fn publish_by(
        &mut self,
        topic: Topic,
        payload: impl Into<Bytes>,
        policy: Policy,
    ) -> Result<ItemId, PublishError> {
        let item = self.engine.compose(topic, payload.into(), self.clock.now())?;
        let message = self.seal(item);
        self.command(|engine, now| engine.publish_by(message, policy, now))
    }

    /// Gives the key with which items are signed whose topics want it; this node is their author.
    pub fn sign_as(&mut self, key: Keypair) {
        self.key = Some(key);
    }

    fn seal(&self, mut item: Item) -> ItemMessage {
        let Some(key) = self.key.as_ref().filter(|_| self.engine.is_to_be_signed(&item.topic)) else {
            return self.sealer.seal(item, self.moment());
        };
        item.author.get_or_insert_with(|| key.public().to_peer_id());
        let message = self.sealer.seal(item, self.moment());
        // What cannot be signed the engine refuses.
        message.signed_by(key).unwrap_or(message)
    }

    /// Something came that items may be held for: those that lack nothing else can be judged.
    pub fn dependency_arrived(&mut self, id: ItemId) -> DependencyArrived {
        self.command(|engine, now| engine.dependency_arrived(id, now))
    }

    /// Wants the items of a topic from now on.
    pub fn subscribe(&mut self, topic: Topic) -> Result<Subscribed, SubscribeError> {
        self.command(|engine, _| engine.subscribe(topic))
    }

    /// Wants the items of a topic no longer.
    pub fn unsubscribe(&mut self, topic: &Topic) -> Unsubscribed {
        self.command(|engine, _| engine.unsubscribe(topic))
    }

    /// Judges an item that [`Event::Item`] brought. After the deadline it has no effect.
    pub fn report(&mut self, id: ItemId, verdict: Verdict) -> Reported {
        self.command(|engine, now| engine.report(id, verdict, now))
    }

    /// Marks an item that came by another way than gossip: copies that come are duplicates, and it is not relayed.
    pub fn seen_elsewhere(&mut self, id: ItemId) -> SeenElsewhere {
        self.command(|engine, now| engine.seen_elsewhere(id, now))
    }

    /// Lets a connected peer take part; for [`Admission::ByOwner`].
    pub fn admit(&mut self, peer: PeerId) {
        self.links.admit(peer);
        self.wake();
    }

    /// Lets a peer take part no longer.
    pub fn dismiss(&mut self, peer: PeerId) {
        self.links.dismiss(peer);
        self.wake();
    }

    /// Keeps a peer connected although nothing else uses its connections, or not.
    pub fn set_keep_alive(&mut self, peer: PeerId, on: bool) {
        self.links.set_keep_alive(peer, on);
    }

    /// Says who this node is to its peers. Policies that compare lists of neighbours need it.
    pub fn identify(&mut self, local: &PeerId) {
        self.engine.self_described(ShortId::of(&local.to_bytes()));
    }

    /// Always pushes to a peer what is pushed to some, on top of them, or not; also later, when it connects.
    pub fn set_special(&mut self, peer: PeerId, on: bool) {
        self.traits.set_special(peer, on);
        self.describe(peer);
    }

    /// Says which half of a mixed choice a peer belongs to, also later, when it connects.
    pub fn set_class(&mut self, peer: PeerId, class: PeerClass) {
        self.traits.set_class(peer, class);
        self.describe(peer);
    }

    /// Has the application look at every unknown copy before its body is hashed. What was announced is hashed first, so that
    /// nobody settles a debt by sending something else.
    ///
    /// The check runs where the swarm is polled: it should take no longer than hashing would.
    pub fn set_precheck(&mut self, check: impl FnMut(&Glance) -> Precheck + Send + 'static) {
        self.precheck = Check::new(check);
    }

    /// What was done since the start.
    pub const fn stats(&self) -> &Stats {
        self.engine.stats()
    }

    /// Who brought an item first, to whom it went and why; `None` if nothing is known of it. Who left long ago has no name.
    pub fn explain(&self, id: &ItemId) -> Option<Explanation<Option<PeerId>>> {
        let departed = |slot| self.departed.iter().rev().find(|(was, _)| *was == slot).map(|(_, peer)| *peer);
        let name = |slot| self.names.get(slot).copied().or_else(|| departed(slot));
        self.engine.explain(id).map(|explanation| explanation.map_peers(name))
    }

    /// The rules at work, to look at.
    pub const fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The topics that a peer wants; `None` if it does not take part.
    pub fn topics_of(&self, peer: &PeerId) -> Option<&BTreeSet<Topic>> {
        self.engine.topics_of(self.links.slot(peer)?)
    }

    /// The clock on which items expire and deadlines are told.
    pub const fn clock(&self) -> Clock {
        self.clock
    }

    fn command<T>(&mut self, call: impl FnOnce(&mut Engine, Timestamp) -> T) -> T {
        let result = self.tell(call);
        self.wake();
        result
    }

    fn tell<T>(&mut self, call: impl FnOnce(&mut Engine, Timestamp) -> T) -> T {
        let now = self.clock.now();
        let result = call(&mut self.engine, now);
        while let Some(output) = self.engine.poll_output() {
            self.carry_out(output, now);
        }
        result
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn describe(&mut self, peer: PeerId) {
        let traits = self.traits.of(&peer);
        if let Some(slot) = self.links.slot(&peer) {
            self.tell(|engine, now| engine.peer_described(slot, traits, now));
        }
    }

    fn moment(&self) -> Moment {
        Moment { now: self.clock.now(), wall: Clock::wall() }
    }

    fn carry_out(&mut self, output: Output, now: Timestamp) {
        match output {
            Output::Send { to, message: Message::Item(message), priority } => {
                if let Push::Full(_) = self.push_item(to, &message, priority, now) {
                    self.engine.frame_refused(to, message.id(), now);
                }
            }
            Output::Send { to, message: Message::Announce(message), priority } => {
                let frame = Frame { priority: of_link(priority), ..Frame::new(ITEMS, message.frame()) };
                if let Push::Full(_) = self.links.push(to, frame, now) {
                    self.engine.announcement_refused(to, &message, now);
                }
            }
            Output::Send { to, message: Message::Control(message), priority } => {
                let frame = Frame { priority: of_link(priority), ..Frame::new(CONTROL, message.frame()) };
                if let Push::Full(_) = self.links.push(to, frame, now) {
                    self.engine.control_refused(to, *message, now);
                }
            }
            Output::Pause { to } => self.links.pause(to, ITEMS),
            Output::Resume { to } => self.links.resume(to, ITEMS),
            Output::Event(event) => self.events.extend(event.map_peer(|slot| self.names.get(slot).copied())),
        }
    }

    fn push_item(&mut self, to: Slot, message: &ItemMessage, priority: Priority, now: Timestamp) -> Push {
        let id = message.id();
        let head = match &self.last_head {
            Some((last_id, last_hop, head)) if *last_id == id && last_hop == message.hop() => head.clone(),
            _ => message.head(),
        };
        self.last_head = Some((id, message.hop().clone(), head.clone()));
        let frame = Frame {
            lane: ITEMS,
            priority: of_link(priority),
            expires: Some(message.item().expires_at),
            head,
            body: Some(message.body().clone()),
            replace_key: None,
        };
        self.links.push(to, frame, now)
    }

    fn on_link_event(&mut self, event: bruit_link::Event) {
        use bruit_link::Event as Link;
        match event {
            Link::Up { slot, peer } => {
                self.names.insert(slot, peer);
                let _ = self.tell(|engine, now| engine.peer_connected(slot, now));
                self.describe(peer);
            }
            Link::Down { slot, peer, frames_lost } => {
                self.tell(|engine, now| {
                    engine.peer_disconnected(slot, now);
                    engine.frames_lost(slot, frames_lost, now);
                });
                self.names.remove(slot);
                if self.departed.len() >= DEPARTED_MAX {
                    self.departed.pop_front();
                }
                self.departed.push_back((slot, peer));
                if frames_lost > 0 {
                    self.events.push_back(Event::FramesLost { peer, frames: frames_lost });
                }
            }
            Link::Frames { slot, lane: CONTROL, frames } => {
                frames.into_iter().for_each(|frame| self.on_control_frame(slot, frame));
            }
            Link::Frames { slot, frames, .. } => {
                let moment = self.moment();
                frames.into_iter().for_each(|frame| self.on_item_frame(slot, frame, moment));
            }
            Link::Writable { slot, .. } => self.tell(|engine, now| engine.peer_writable(slot, now)),
            Link::Lost { slot, frames, .. } => self.tell(|engine, now| engine.frames_lost(slot, frames, now)),
            Link::Broken { slot, peer, .. } if !self.names.contains(slot) => {
                self.events.push_back(Event::Conduct { peer, conduct: Conduct::BrokeProtocol });
            }
            Link::Broken { slot, .. } => self.tell(|engine, now| engine.malformed_received(slot, now)),
        }
    }

    fn on_control_frame(&mut self, from: Slot, frame: Bytes) {
        self.tell(|engine, now| match ControlMessage::decode(frame) {
            Ok(message) => _ = engine.control_received(from, message, now),
            Err(_) => engine.malformed_received(from, now),
        });
    }

    fn on_item_frame(&mut self, from: Slot, frame: Bytes, moment: Moment) {
        let Ok(ItemsFrame { item, announcement }) = ItemsFrame::decode(frame) else {
            return self.tell(|engine, now| engine.malformed_received(from, now));
        };
        if let Some(announcement) = announcement {
            self.tell(|engine, now| _ = engine.announcement_received(from, announcement, now));
        }
        let Some(frame) = item else { return };
        if self.engine.is_known(&frame.id) {
            let _outcome = self.tell(|engine, now| engine.copy_received(from, frame.id, frame.hop, now));
            return;
        }
        let (id, bytes, said) = (frame.id, frame.body_len(), self.precheck.of(&frame));
        if said != Precheck::Pass && !self.engine.is_looked_for(&id) {
            return self.tell(|engine, now| _ = engine.precheck_failed(from, id, bytes, said, now));
        }
        let opened = self.sealer.open(frame, moment);
        self.tell(|engine, now| match opened {
            Ok(_) if said != Precheck::Pass => _ = engine.precheck_failed(from, id, bytes, said, now),
            Ok(message) => _ = engine.item_received(from, message, now),
            Err(OpenError::Mismatch) => engine.mismatch_received(from, now),
            Err(OpenError::Malformed(_)) => engine.malformed_received(from, now),
        });
    }
}

const fn of_link(priority: Priority) -> bruit_link::Priority {
    match priority {
        Priority::High => bruit_link::Priority::High,
        Priority::Normal => bruit_link::Priority::Normal,
        Priority::Low => bruit_link::Priority::Low,
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = Handler;
    type ToSwarm = Event<PeerId>;

    fn handle_established_inbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<Handler, ConnectionDenied> {
        self.links.handle_established_connection(id, peer)
    }

    fn handle_established_outbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<Handler, ConnectionDenied> {
        self.traits.dialled(peer);
        self.links.handle_established_connection(id, peer)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match &event {
            FromSwarm::ConnectionClosed(closed) if closed.remaining_established == 0 => {
                self.traits.gone(&closed.peer_id)
            }
            FromSwarm::DialFailure(DialFailure { peer_id: Some(peer), .. }) if self.links.slot(peer).is_none() => {
                self.traits.gone(peer);
            }
            _ => {}
        }
        self.links.on_swarm_event(event);
    }

    fn on_connection_handler_event(&mut self, peer: PeerId, id: ConnectionId, event: HandlerEvent) {
        self.links.on_connection_handler_event(peer, id, event);
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<Event<PeerId>, Infallible>> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Poll::Ready(ToSwarm::GenerateEvent(event));
            }
            if let Poll::Ready(event) = self.links.poll(cx) {
                self.on_link_event(event);
            } else if self.alarm.poll_until(cx, self.engine.next_timeout(), self.clock.now()).is_ready() {
                self.tell(Engine::handle_timeout);
            } else {
                self.waker = Some(cx.waker().clone());
                return Poll::Pending;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, TopicConfig};

    fn behaviour() -> Behaviour {
        let config = Config { other_topics: Some(TopicConfig::default()), ..Config::default() };
        let network = NetworkId::new("test").unwrap();
        Behaviour::new(&network, config.validate().unwrap(), Seed::from_number(1), Admission::ByOwner)
    }

    #[test]
    fn what_came_before_a_link_went_down_is_told_with_its_sender() {
        let mut behaviour = behaviour();
        let (slot, peer, topic) = (Slot::new(3, 0), PeerId::random(), Topic::new("news").unwrap());
        behaviour.subscribe(topic.clone()).unwrap();
        let item = behaviour.engine.compose(topic, "last words".into(), behaviour.clock.now()).unwrap();
        let message = behaviour.sealer.seal(item, behaviour.moment());
        let frame = bruit_wire::encode(&bruit_wire::pb::ItemFrame {
            id: Bytes::copy_from_slice(message.id().as_bytes()),
            round: 1,
            body: message.body().clone(),
            ..Default::default()
        });
        // The links know nothing of this slot: as after a dismissal, while their events still wait.
        behaviour.on_link_event(bruit_link::Event::Up { slot, peer });
        behaviour.on_link_event(bruit_link::Event::Frames { slot, lane: ITEMS, frames: vec![frame.clone()] });
        behaviour.on_link_event(bruit_link::Event::Down { slot, peer, frames_lost: 0 });
        behaviour.on_link_event(bruit_link::Event::Frames { slot, lane: ITEMS, frames: vec![frame] });
        let told: Vec<_> = behaviour.events.iter().collect();
        assert!(matches!(told[..], [Event::Item { from, .. }] if *from == peer), "{told:?}");
        assert_eq!(behaviour.explain(&message.id()).unwrap().brought_by(), Some(&Some(peer)));
    }

    #[test]
    fn so_many_that_left_are_still_named() {
        let mut behaviour = behaviour();
        for generation in 0..=DEPARTED_MAX as u32 {
            let (slot, peer) = (Slot::new(0, generation), PeerId::random());
            behaviour.on_link_event(bruit_link::Event::Up { slot, peer });
            behaviour.on_link_event(bruit_link::Event::Down { slot, peer, frames_lost: 0 });
        }
        let [first, ..] = behaviour.departed.make_contiguous() else { panic!("nobody") };
        assert_eq!((first.0, behaviour.departed.len()), (Slot::new(0, 1), DEPARTED_MAX));
    }
}
