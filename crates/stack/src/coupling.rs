//! What an event of one engine means for the others: pure functions, no state, no order of their own.
//!
//! Whoever drives several engines passes each of their events through here and carries out the commands that come back, in
//! their order. Events that mean something to the application only give no command.

#![allow(clippy::wildcard_enum_match_arm, reason = "the events of peering are non-exhaustive")]

use bruit_addr_exchange::{PeerAddr, PeerHello};
use bruit_address_book::Source;
use bruit_core::{Conduct, Endpoint, NetGroup, PeerId};
use bruit_peering::{DialFailure, Hello, Intent, KnownPeer, SlotClass, Strangeness};

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Let a peer take part in gossip, rpc and address exchange.
    Admit(PeerId),
    /// Let a peer take part in gossip and rpc: no addresses are exchanged with it.
    AdmitQuietly(PeerId),
    /// Let it take part no longer.
    Dismiss(PeerId),
    /// Tell the book that a peer is connected, and where it says it listens.
    BookConnected {
        /// The peer.
        peer: PeerId,
        /// Where it says it listens.
        listen: Vec<Endpoint>,
        /// Where it is seen.
        seen_at: Endpoint,
    },
    /// Tell the book that a peer is connected no longer.
    BookDisconnected(PeerId),
    /// Tell the book that a dial began.
    BookDialStarted(Endpoint),
    /// Tell the book that a dial led to a peer.
    BookDialSucceeded(Endpoint, PeerId),
    /// Tell the book that a dial failed.
    BookDialFailed(Endpoint),
    /// Tell the book that an endpoint is our own.
    BookOwnEndpoint(Endpoint),
    /// Tell the book that somebody else was there.
    BookWrongIdentity {
        /// Where.
        endpoint: Endpoint,
        /// Who was there.
        found: PeerId,
    },
    /// Tell the book what an exchange said about a peer.
    BookConduct(PeerId, Conduct),
    /// Tell the book of addresses, and look for peers to dial if some are new.
    BookHeard {
        /// The addresses.
        addrs: Vec<PeerAddr>,
        /// Who told.
        source: Source,
        /// Whether new ones are passed on.
        relay: bool,
    },
    /// Propose so many peers to dial.
    Propose(usize),
    /// Dial some of the peers that a full one named.
    DialAlternatives {
        /// Whom it named.
        named: Vec<PeerAddr>,
        /// Where it was dialled.
        by: Endpoint,
    },
    /// Test an address that was only heard of.
    Feel,
    /// Ask a peer for addresses.
    AskForAddrs(PeerId),
    /// Ask some peer for addresses.
    AskAnybodyForAddrs,
    /// Tell the exchange what a peer's hello says about places.
    Locate {
        /// The peer.
        peer: PeerId,
        /// What it says.
        hello: PeerHello,
    },
    /// Never name a peer to others from now on.
    Hide(PeerId),
    /// Part from a peer that is not to be kept.
    Part(PeerId),
}

/// What an event of peering means. The groups of endpoints are the book's.
pub fn of_peering(event: &bruit_peering::Event, group_of: impl Fn(&Endpoint) -> NetGroup) -> Vec<Command> {
    use bruit_peering::Event;
    match event {
        Event::PeerUp { peer, class, hello, remote } => peer_up(*peer, *class, hello, remote),
        Event::PeerDown { peer } => vec![Command::Dismiss(*peer), Command::BookDisconnected(*peer)],
        Event::Named { peer } => vec![Command::Hide(*peer)],
        Event::CandidatesWanted { count } => vec![Command::Propose(*count)],
        Event::FeelerWanted => vec![Command::Feel],
        Event::Met { peer } => vec![Command::AskForAddrs(*peer)],
        Event::Starved => vec![Command::AskAnybodyForAddrs],
        Event::DialStarted { endpoint, .. } => vec![Command::BookDialStarted(endpoint.clone())],
        Event::DialSucceeded { endpoint, peer } => vec![Command::BookDialSucceeded(endpoint.clone(), *peer)],
        Event::DialFailed { endpoint, reason, .. } => dial_failed(endpoint, reason).into_iter().collect(),
        Event::Refused { peer, remote, alternatives } => {
            let addrs: Vec<_> = alternatives.iter().map(known).collect();
            let source = Source::Peer { peer: *peer, group: group_of(remote) };
            let heard = Command::BookHeard { addrs: addrs.clone(), source, relay: false };
            vec![heard, Command::DialAlternatives { named: addrs, by: remote.clone() }, Command::AskForAddrs(*peer)]
        }
        Event::Turned { peer, listen, remote } => {
            let addrs = vec![PeerAddr::new(Some(*peer), listen.clone(), None)];
            vec![Command::BookHeard {
                addrs,
                source: Source::Peer { peer: *peer, group: group_of(remote) },
                relay: false,
            }]
        }
        Event::Stranger { endpoint: Some(endpoint), reason, .. } => match reason {
            Strangeness::WrongNetwork | Strangeness::OtherProtocol | Strangeness::Silent => {
                vec![Command::BookDialFailed(endpoint.clone())]
            }
        },
        Event::Misconduct { peer } => vec![Command::BookConduct(*peer, Conduct::BrokeProtocol)],
        _ => Vec::new(),
    }
}

/// Whom the exchange asks, and whether it tries where the peer listens, is its own affair; with quiet peers there is none.
fn peer_up(peer: PeerId, class: SlotClass, hello: &Hello, seen_at: &Endpoint) -> Vec<Command> {
    let listen = hello.listen.clone();
    let places = PeerHello { listens_at: listen.clone(), sees_us_at: hello.observed.clone() };
    let connected = Command::BookConnected { peer, listen, seen_at: seen_at.clone() };
    if class == SlotClass::Quiet || hello.intent == Intent::Quiet {
        return vec![Command::AdmitQuietly(peer), connected];
    }
    vec![Command::Admit(peer), connected, Command::Locate { peer, hello: places }]
}

fn dial_failed(endpoint: &Endpoint, reason: &DialFailure) -> Option<Command> {
    let endpoint = endpoint.clone();
    match reason {
        DialFailure::OwnAddress => Some(Command::BookOwnEndpoint(endpoint)),
        DialFailure::WrongIdentity { found } => Some(Command::BookWrongIdentity { endpoint, found: *found }),
        DialFailure::Unreachable | DialFailure::HungUp => Some(Command::BookDialFailed(endpoint)),
        DialFailure::Denied => None,
    }
}

fn known(known: &KnownPeer) -> PeerAddr {
    PeerAddr::new(Some(known.peer), known.endpoints.clone(), known.last_seen)
}

/// What a conduct that a protocol reports means.
pub fn of_conduct(peer: PeerId, conduct: Conduct) -> Command {
    Command::BookConduct(peer, conduct)
}

/// What addresses that a peer told mean.
pub const fn of_addrs(source: Source, addrs: Vec<PeerAddr>, relay: bool) -> Command {
    Command::BookHeard { addrs, source, relay }
}

/// What trying an endpoint of a connected peer means.
pub fn of_trial(peer: PeerId, endpoint: Endpoint, is_reached: bool) -> Command {
    if is_reached { Command::BookDialSucceeded(endpoint, peer) } else { Command::BookDialFailed(endpoint) }
}
