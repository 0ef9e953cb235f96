#![allow(clippy::wildcard_enum_match_arm, reason = "libp2p's enums are non-exhaustive")]

use std::{
    collections::{BTreeMap, VecDeque},
    convert::Infallible,
    net::IpAddr,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bruit_core::{Alarm, Audience, Clock, Conduct, Endpoint, Multiaddr, NetGroup, PeerId, Timestamp};
use libp2p_core::{ConnectedPoint, Endpoint as Role, transport::PortUse};
use libp2p_swarm::{
    CloseConnection, ConnectionDenied, ConnectionId, DialError, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent,
    THandlerOutEvent, ToSwarm, dial_opts::DialOpts, dial_opts::PeerCondition, dummy,
};

use crate::{
    AddressBook, Ban, BanSubject, Banned, BansFullError, Candidate, Choice, Hearsay, QualityChange, Sample,
    SampleRules, Source, Wanted,
};

/// How many changes of quality one event tells. 64: a guess; whoever listens is not drowned by one busy second.
const CHANGES_PER_EVENT_MAX: usize = 64;
/// How long changes of quality gather. 1 s: a guess, soon enough for a person who watches.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// What the book tells the application.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Peers became better or worse; at most 64 a time.
    QualitiesChanged(Vec<QualityChange>),
}

/// An address book in a swarm that dials by itself.
///
/// Whoever is dialled by identity is dialled where the book knows it; what came of any dial, and where peers say they live,
/// is noted. Bans hold on every connection, before it is made where that is possible. What else peers do, the application tells.
///
/// # Security
/// Addresses that other behaviours tell of a peer, as identify does with up to a hundred at once, pass all checks of hearsay.
pub struct Behaviour {
    book: AddressBook,
    clock: Clock,
    alarm: Alarm,
    report_at: Option<Timestamp>,
    connections: BTreeMap<ConnectionId, (PeerId, Option<IpAddr>)>,
    actions: VecDeque<ToSwarm<Event, Infallible>>,
    waker: Option<Waker>,
}

#[derive(Debug, thiserror::Error)]
#[error("banned")]
struct BannedError;

impl Behaviour {
    /// Puts a book to work. Restore it before, and tell it its own identity.
    pub fn new(book: AddressBook) -> Self {
        Self {
            book,
            clock: Clock::start(),
            alarm: Alarm::default(),
            report_at: None,
            connections: BTreeMap::new(),
            actions: VecDeque::new(),
            waker: None,
        }
    }

    /// The book.
    pub const fn book(&self) -> &AddressBook {
        &self.book
    }

    /// The book, to be told or asked something.
    pub fn book_mut(&mut self) -> &mut AddressBook {
        self.wake();
        &mut self.book
    }

    /// The present moment, as the book sees it.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Tells of an endpoint that the operator or a trusted list names.
    pub fn add_seed(&mut self, endpoint: Endpoint, peer: Option<PeerId>) -> crate::Heard {
        let now = self.now();
        self.book.heard(Hearsay { peer, endpoint, last_seen: None, source: Source::Seed }, now)
    }

    /// Whom to dial next, for `Swarm::dial`: nobody who is connected, banned or not `eligible`.
    pub fn next_dial(&mut self, eligible: impl Fn(&Candidate<'_>) -> bool) -> Option<DialOpts> {
        let choice = self.next_choice(eligible)?;
        let addr = choice.endpoint.to_multiaddr();
        Some(match choice.peer {
            Some(peer) => DialOpts::peer_id(peer)
                .condition(PeerCondition::DisconnectedAndNotDialing)
                .addresses(vec![addr])
                .build(),
            None => DialOpts::unknown_peer_id().address(addr).build(),
        })
    }

    /// Whom to dial next, for who dials in a way of its own: nobody who is connected, banned or not `eligible`.
    pub fn next_choice(&mut self, eligible: impl Fn(&Candidate<'_>) -> bool) -> Option<Choice> {
        let now = self.now();
        let connections = &self.connections;
        let is_connected = |peer: &PeerId| connections.values().any(|(connected, _)| connected == peer);
        let is_eligible = |candidate: &Candidate<'_>| !candidate.peer.is_some_and(is_connected) && eligible(candidate);
        self.book.select_explained(Wanted::Any, is_eligible, now).map(|(choice, _)| choice)
    }

    /// Tells where a connected peer says that it listens itself; `seen_at` is where it was dialled, or from where it came.
    pub fn hello_received(&mut self, peer: PeerId, listens_at: &[Endpoint], seen_at: &Endpoint) {
        let now = self.now();
        self.book.hello_received(peer, listens_at, seen_at, now);
    }

    /// Tells what a connected peer says of another. Its own address is what the source's group is made of.
    pub fn heard_from(
        &mut self,
        told_by: PeerId,
        peer: Option<PeerId>,
        endpoints: impl IntoIterator<Item = Endpoint>,
        last_seen: Option<Timestamp>,
    ) {
        let now = self.now();
        let source = Source::Peer { peer: told_by, group: self.group_of_connected(&told_by) };
        for endpoint in endpoints {
            self.book.heard(Hearsay { peer, endpoint, last_seen, source }, now);
        }
    }

    /// Draws what to tell somebody who asks from `audience`, by the default rules.
    pub fn sample(&mut self, audience: Audience) -> Sample {
        let now = self.now();
        self.book.sample(SampleRules::default(), audience, now)
    }

    /// Tells what the application saw of a peer, `count` times.
    pub fn conduct(&mut self, peer: PeerId, conduct: Conduct, count: u32) {
        let now = self.now();
        self.book.conduct(peer, conduct, count, now);
        self.report_soon(now);
    }

    /// Tells what the application thinks of a peer, in thousandths of a point.
    pub fn judged(&mut self, peer: PeerId, points: i32) {
        let now = self.now();
        self.book.judged(peer, points, now);
        self.report_soon(now);
    }

    /// Bans, and closes all connections that the ban concerns; special peers are spared.
    pub fn ban(&mut self, ban: Ban) -> Result<Banned, BansFullError> {
        let now = self.now();
        let banned = self.book.ban(ban, now)?;
        for (connection, (peer, ip)) in &self.connections {
            let is_meant = match ban.subject {
                BanSubject::Peer(banned) => banned == *peer,
                BanSubject::Ip(_) | BanSubject::Net(_) => ip.is_some_and(|ip| ban.subject.holds_ip(ip)),
            };
            if is_meant && self.book.is_barred(Some(peer), *ip, now) {
                let connection = CloseConnection::One(*connection);
                self.actions.push_back(ToSwarm::CloseConnection { peer_id: *peer, connection });
            }
        }
        self.wake();
        Ok(banned)
    }

    fn admit(&self, peer: Option<&PeerId>, addr: &Multiaddr) -> Result<(), ConnectionDenied> {
        let endpoint = Endpoint::from_multiaddr(addr).ok().map(|(endpoint, _)| endpoint);
        let ip =
            endpoint.filter(|endpoint| !self.book.is_special_endpoint(endpoint)).and_then(|endpoint| endpoint.ip());
        if self.book.is_barred(peer, ip, self.now()) { Err(ConnectionDenied::new(BannedError)) } else { Ok(()) }
    }

    fn connected(&mut self, id: ConnectionId, peer: PeerId, point: &ConnectedPoint, failed: &[Multiaddr]) {
        let now = self.now();
        failed.iter().for_each(|addr| self.failed(addr, now));
        let remote = endpoint_of(point.get_remote_address());
        self.connections.insert(id, (peer, remote.as_ref().and_then(Endpoint::ip)));
        if let Some(endpoint) = remote.filter(|_| point.is_dialer()) {
            self.book.dial_succeeded(&endpoint, peer, now);
        }
        self.book.connected(peer, now);
        self.report_soon(now);
    }

    fn disconnected(&mut self, id: ConnectionId, peer: PeerId, remaining: usize) {
        self.connections.remove(&id);
        if remaining == 0 {
            let now = self.now();
            self.book.disconnected(&peer, now);
            self.report_soon(now);
        }
    }

    fn dial_ended(&mut self, error: &DialError) {
        let now = self.now();
        match error {
            DialError::Transport(failed) => failed.iter().for_each(|(addr, _)| self.failed(addr, now)),
            DialError::WrongPeerId { obtained, address } => {
                if let Some(endpoint) = endpoint_of(address) {
                    self.book.wrong_identity(&endpoint, *obtained, now);
                }
            }
            DialError::LocalPeerId { address } => endpoint_of(address).into_iter().for_each(|own| {
                self.book.own_endpoint(own);
            }),
            _ => {}
        }
        self.report_soon(now);
    }

    fn failed(&mut self, addr: &Multiaddr, now: Timestamp) {
        if let Some(endpoint) = endpoint_of(addr) {
            self.book.dial_failed(&endpoint, now);
        }
    }

    fn told(&mut self, peer: PeerId, addr: &Multiaddr) {
        let Some(endpoint) = endpoint_of(addr) else { return };
        let now = self.now();
        let source = Source::Peer { peer, group: self.group_of_connected(&peer) };
        self.book.heard(Hearsay { peer: Some(peer), endpoint, last_seen: Some(now), source }, now);
    }

    fn group_of_connected(&self, peer: &PeerId) -> NetGroup {
        let seen_from = self.connections.values().find(|(connected, _)| connected == peer).and_then(|(_, ip)| *ip);
        seen_from.map_or(NetGroup::Local, NetGroup::of_ip)
    }

    fn report_soon(&mut self, now: Timestamp) {
        self.report_at.get_or_insert_with(|| now.after(REPORT_INTERVAL));
        self.wake();
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

fn endpoint_of(addr: &Multiaddr) -> Option<Endpoint> {
    Endpoint::from_multiaddr(addr).ok().map(|(endpoint, _)| endpoint)
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Event;

    fn handle_pending_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        // Who comes from a banned address may be a special peer: only its identity, which comes later, can tell.
        if self.book.has_specials() { Ok(()) } else { self.admit(None, remote) }
    }

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.admit(Some(&peer), remote).map(|()| dummy::ConnectionHandler)
    }

    fn handle_pending_outbound_connection(
        &mut self,
        _: ConnectionId,
        maybe_peer: Option<PeerId>,
        addresses: &[Multiaddr],
        _: Role,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        addresses.iter().try_for_each(|addr| self.admit(maybe_peer.as_ref(), addr))?;
        let now = self.now();
        let known = maybe_peer.map_or_else(Vec::new, |peer| self.book.endpoints_of(&peer));
        let known: Vec<Multiaddr> = known.iter().map(Endpoint::to_multiaddr).collect();
        let known: Vec<Multiaddr> =
            known.into_iter().filter(|addr| self.admit(maybe_peer.as_ref(), addr).is_ok()).collect();
        for endpoint in addresses.iter().chain(&known).filter_map(endpoint_of) {
            self.book.dial_started(&endpoint, now);
        }
        Ok(known)
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        addr: &Multiaddr,
        _: Role,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.admit(Some(&peer), addr).map(|()| dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(made) => {
                self.connected(made.connection_id, made.peer_id, made.endpoint, made.failed_addresses);
            }
            FromSwarm::ConnectionClosed(closed) => {
                self.disconnected(closed.connection_id, closed.peer_id, closed.remaining_established);
            }
            FromSwarm::DialFailure(failure) => self.dial_ended(failure.error),
            FromSwarm::NewListenAddr(own) => endpoint_of(own.addr).into_iter().for_each(|own| {
                self.book.own_endpoint(own);
            }),
            FromSwarm::ExternalAddrConfirmed(own) => endpoint_of(own.addr).into_iter().for_each(|own| {
                self.book.own_endpoint(own);
            }),
            FromSwarm::NewExternalAddrOfPeer(told) => self.told(told.peer_id, told.addr),
            _ => {}
        }
    }

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        match event {}
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        if let Some(action) = self.actions.pop_front() {
            return Poll::Ready(action);
        }
        let now = self.now();
        if self.alarm.poll_until(cx, self.report_at, now).is_ready() {
            let changes = self.book.quality_changes(CHANGES_PER_EVENT_MAX, now);
            self.report_at = (changes.len() == CHANGES_PER_EVENT_MAX).then(|| now.after(REPORT_INTERVAL));
            if !changes.is_empty() {
                return Poll::Ready(ToSwarm::GenerateEvent(Event::QualitiesChanged(changes)));
            }
        }
        self.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}
