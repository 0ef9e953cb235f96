//! What the application and the operator ask for.

use std::{collections::BTreeMap, time::Duration};

use bruit_address_book::{
    AddressBook, Ban, BanSubject, Banned, BansFullError, Changes, Records, RestoreReport, Unbanned,
};
use bruit_core::{Endpoint, PeerId, Timestamp};
use bruit_gossip::{
    DependencyArrived, Explanation, ItemId, PublishError, Reported, SeenElsewhere, SubscribeError, Subscribed, Topic,
    Unsubscribed,
};
use bruit_peering::{GoodbyeReason, SlotClass};
use bytes::Bytes;
use libp2p_identity::Keypair;

use super::{Behaviour, Stopping};
use crate::{GoodbyeView, ObservedView, OwnAddrView, PeerView, StatusView};

/// How long what peers asked for is answered when this node stops. A guess: what is quick is done, and nobody waits for the rest.
const FINISHING_MAX: Duration = Duration::from_secs(1);

impl Behaviour {
    /// Names an address to start from: dialled when the book knows nobody.
    pub fn add_seed(&mut self, endpoint: Endpoint, peer: Option<PeerId>) -> bool {
        self.children.peering.add_seed(endpoint, peer)
    }

    /// Names a peer to be connected to for ever. It is never told to others.
    pub fn add_node(&mut self, endpoint: Endpoint, peer: Option<PeerId>) -> bool {
        let is_added = self.children.peering.add_node(endpoint.clone(), peer);
        if is_added {
            self.coupler.book_mut().mark_special_endpoint(endpoint);
            peer.into_iter().for_each(|peer| self.coupler.book_mut().mark_special(peer));
            self.children.exchange.forget_answers();
        }
        is_added
    }

    /// Takes a peer off the list of those to be connected to for ever.
    pub fn remove_node(&mut self, endpoint: &Endpoint) -> bool {
        let known = self.children.peering.engine().manual().find(|(named, _)| *named == endpoint);
        let peer = known.and_then(|(_, peer)| peer);
        self.coupler.book_mut().unmark_special_endpoint(endpoint);
        let is_removed = self.children.peering.remove_node(endpoint);
        let is_named = |peer| self.children.peering.engine().manual().any(|(_, named)| named == Some(peer));
        if let Some(peer) = peer.filter(|peer| !is_named(*peer)) {
            self.coupler.book_mut().unmark_special(&peer);
        }
        is_removed
    }

    /// Says goodbye to a peer; false if it is not connected.
    pub fn disconnect(&mut self, peer: PeerId) -> bool {
        self.children.peering.say_goodbye(peer, GoodbyeReason::Requested)
    }

    /// Bans, and says goodbye to all whom it concerns, as everybody who is connected from an address: for misconduct if a rule
    /// bans, by request if a person does, who owes nobody a reason. Peers that the operator named are spared, unless the operator
    /// bans them; who is only discouraged stays.
    pub fn ban(&mut self, ban: Ban) -> Result<Banned, BansFullError> {
        let now = self.clock.now();
        self.coupler.ban(ban, &mut self.children, now)
    }

    /// Lifts a ban.
    pub fn unban(&mut self, subject: BanSubject) -> Unbanned {
        self.coupler.book_mut().unban(subject)
    }

    /// Answers what was asked, for a second at most, and refuses what is new; then says goodbye to everybody and dials nobody any
    /// more. [`Event::Drained`](crate::Event::Drained) follows.
    pub fn stop(&mut self) {
        if self.stopping == Stopping::No {
            self.children.rpc.shut_down();
            if self.children.rpc.serving() > 0 {
                self.stopping = Stopping::Finishing(self.clock.now().after(FINISHING_MAX));
            } else {
                self.leave();
            }
            self.wake();
        }
    }

    /// Gives the key with which own addresses are signed when they are told, without it they are hearsay; and with which items are
    /// signed whose topics want it.
    pub fn sign_as(&mut self, key: Keypair) {
        self.children.gossip.sign_as(key.clone());
        self.children.exchange.sign_as(key);
    }

    /// How many connected peers say that they are connected to a peer.
    pub fn holders(&self, peer: &PeerId) -> usize {
        self.children.exchange.exchange().holders(peer)
    }

    /// The address book.
    pub const fn book(&self) -> &AddressBook {
        self.coupler.book()
    }

    /// What changed in the book since the last call.
    pub fn book_changes(&mut self) -> Changes {
        self.coupler.book_mut().changes()
    }

    /// Tells that what was stored is lost: [`book_changes`](Self::book_changes) names all of the book next.
    pub fn book_lost(&mut self) {
        self.coupler.book_mut().storage_lost();
    }

    /// Puts what was stored back into the book.
    pub fn book_restore(&mut self, records: Records) -> RestoreReport {
        let report = self.coupler.book_mut().restore(records, self.clock.now());
        self.children.peering.addresses_learned();
        report
    }

    /// Takes over what another book exported.
    pub fn book_import(&mut self, records: Records) -> RestoreReport {
        let report = self.coupler.book_mut().import(records, self.clock.now());
        self.children.peering.addresses_learned();
        report
    }

    /// The present moment, as the engines see it.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// All connected peers.
    pub fn peers(&self) -> Vec<PeerView> {
        let now = self.clock.now();
        let views = self.children.peering.peers().map(|view| {
            let hello = view.hello.unwrap_or_default();
            let topics = self.children.gossip.topics_of(&view.peer);
            PeerView {
                peer: view.peer,
                class: view.class,
                remote: view.remote,
                listen: hello.listen,
                agent: hello.agent,
                latency_micros: view.latency.map(|took| u64::try_from(took.as_micros()).unwrap_or(u64::MAX)),
                connected_secs: now.since(view.since).as_secs(),
                quality: self.coupler.book().quality(&view.peer, now).total,
                topics: topics.into_iter().flatten().map(ToString::to_string).collect(),
            }
        });
        views.collect()
    }

    /// Who left and why, newest first.
    pub fn goodbyes(&self) -> Vec<GoodbyeView> {
        let now = self.clock.now();
        let mut views: Vec<_> =
            self.children.peering.departures().map(|departure| GoodbyeView::of(departure, now)).collect();
        views.reverse();
        views
    }

    /// The node's state in numbers.
    pub fn status(&self) -> StatusView {
        let peering = &self.children.peering;
        let settings = peering.engine().settings();
        let mut observed: BTreeMap<Endpoint, Vec<PeerId>> = BTreeMap::new();
        for view in peering.peers() {
            if let Some(endpoint) = view.hello.and_then(|hello| hello.observed) {
                observed.entry(endpoint).or_default().push(view.peer);
            }
        }
        let counts = self.coupler.book().counts();
        StatusView {
            peer: self.local,
            network: self.config.network.to_string(),
            listen: self.listen.clone(),
            observed: observed.into_iter().map(|(endpoint, witnesses)| ObservedView { endpoint, witnesses }).collect(),
            own: self.children.exchange.own_views().into_iter().map(OwnAddrView::of).collect(),
            outbound: peering.held(SlotClass::Outbound),
            quiet: peering.held(SlotClass::Quiet),
            outbound_target: settings.outbound_target,
            inbound: peering.held(SlotClass::Inbound),
            inbound_max: settings.inbound_max,
            manual: peering.held(SlotClass::Manual),
            dialling: peering.engine().dials().count(),
            book_entries: counts.new + counts.tried,
            book_tried: counts.tried,
        }
    }

    /// Publishes a payload under a topic.
    pub fn publish(&mut self, topic: Topic, payload: Bytes) -> Result<ItemId, PublishError> {
        self.children.gossip.publish(topic, payload)
    }

    /// Wants the items of a topic.
    pub fn subscribe(&mut self, topic: Topic) -> Result<Subscribed, SubscribeError> {
        self.children.gossip.subscribe(topic)
    }

    /// Wants the items of a topic no longer.
    pub fn unsubscribe(&mut self, topic: &Topic) -> Unsubscribed {
        self.children.gossip.unsubscribe(topic)
    }

    /// Says what the application thinks of an item.
    pub fn report(&mut self, id: ItemId, verdict: bruit_gossip::Verdict) -> Reported {
        self.children.gossip.report(id, verdict)
    }

    /// Says that what items may depend on has come, by whatever way.
    pub fn dependency_arrived(&mut self, id: ItemId) -> DependencyArrived {
        self.children.gossip.dependency_arrived(id)
    }

    /// Says that an item came by another way: copies that come by gossip are duplicates.
    pub fn seen_elsewhere(&mut self, id: ItemId) -> SeenElsewhere {
        self.children.gossip.seen_elsewhere(id)
    }

    /// Says which half of gossip's mixed choices a peer belongs to, also later, when it connects.
    pub fn set_gossip_class(&mut self, peer: PeerId, class: bruit_gossip::PeerClass) {
        self.children.gossip.set_class(peer, class);
    }

    /// What gossip did since the start.
    pub const fn gossip_stats(&self) -> &bruit_gossip::Stats {
        self.children.gossip.stats()
    }

    /// Who brought an item first, to whom it went and why; `None` if nothing is known of it.
    pub fn explain(&self, id: &ItemId) -> Option<Explanation<Option<PeerId>>> {
        self.children.gossip.explain(id)
    }

    /// The protocol for requests: methods are registered, called and answered there.
    pub const fn rpc(&mut self) -> &mut bruit_rpc::Behaviour {
        &mut self.children.rpc
    }

    /// What rpc did since the start.
    pub fn rpc_stats(&self) -> bruit_rpc::Stats {
        self.children.rpc.stats()
    }

    /// Sets what the application thinks of a peer, in thousandths of a point; bounded and fading as every part of quality.
    pub fn judge_peer(&mut self, peer: PeerId, points: i32) {
        let now = self.clock.now();
        self.coupler.book_mut().judged(peer, points, now);
        self.coupler.judge(peer, &mut self.children, now);
    }

    /// How long the oldest connection may still take to drain after [`stop`](Self::stop).
    pub fn drain_time(&self) -> Duration {
        self.children.peering.engine().settings().refused_linger
    }
}
