//! What an event of one engine means for the others: pure functions, no state, no order of their own.
//!
//! Whoever drives several engines passes each of their events through here and carries out the commands that come back, in
//! their order. Events that mean something to the application only give no command.

#![allow(clippy::wildcard_enum_match_arm, reason = "the events of peering are non-exhaustive")]

use bruit_addr_exchange::PeerAddr;
use bruit_address_book::Source;
use bruit_core::{Conduct, Endpoint, PeerId};
use bruit_peering::{DialFailure, KnownPeer, SlotClass, Strangeness};

/// Unasked addresses are passed on only from messages of at most so many peers: Bitcoin Core's figure.
pub const RELAYED_PEERS_MAX: usize = 10;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Let a peer take part in gossip, rpc and address exchange.
    Admit(PeerId),
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
    /// Ask a peer for addresses.
    AskForAddrs(PeerId),
    /// Ask some peer for addresses.
    AskAnybodyForAddrs,
    /// Tell a few peers of addresses unasked.
    Announce {
        /// The addresses.
        addrs: Vec<PeerAddr>,
        /// Who is not told.
        except: PeerId,
    },
}

/// What an event of peering means.
pub fn of_peering(event: &bruit_peering::Event) -> Vec<Command> {
    use bruit_peering::Event;
    match event {
        Event::PeerUp { peer, class, hello, remote } => peer_up(*peer, *class, &hello.listen, remote),
        Event::PeerDown { peer } => vec![Command::Dismiss(*peer), Command::BookDisconnected(*peer)],
        Event::CandidatesWanted { count } => vec![Command::Propose(*count)],
        Event::Starved => vec![Command::AskAnybodyForAddrs],
        Event::DialStarted { endpoint, .. } => vec![Command::BookDialStarted(endpoint.clone())],
        Event::DialSucceeded { endpoint, peer } => vec![Command::BookDialSucceeded(endpoint.clone(), *peer)],
        Event::DialFailed { endpoint, reason, .. } => dial_failed(endpoint, reason).into_iter().collect(),
        Event::Refused { peer, remote, alternatives } => {
            let addrs = alternatives.iter().map(known).collect();
            let source = Source::Peer { peer: *peer, group: remote.group() };
            vec![Command::BookHeard { addrs, source, relay: false }, Command::AskForAddrs(*peer)]
        }
        Event::Turned { peer, listen, remote } => {
            let addrs = vec![PeerAddr { peer: Some(*peer), endpoints: listen.clone(), last_seen: None }];
            vec![Command::BookHeard {
                addrs,
                source: Source::Peer { peer: *peer, group: remote.group() },
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

fn peer_up(peer: PeerId, class: SlotClass, listen: &[Endpoint], seen_at: &Endpoint) -> Vec<Command> {
    let listen = listen.to_vec();
    let told = PeerAddr { peer: Some(peer), endpoints: listen.clone(), last_seen: None };
    let mut commands = vec![Command::Admit(peer), Command::BookConnected { peer, listen, seen_at: seen_at.clone() }];
    match class {
        // The exchange asks whom it is admitted to, if we dialled them.
        SlotClass::Outbound | SlotClass::Manual => {}
        SlotClass::Inbound if told.endpoints.is_empty() => {}
        SlotClass::Inbound => commands.push(Command::Announce { addrs: vec![told], except: peer }),
    }
    commands
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
    PeerAddr { peer: Some(known.peer), endpoints: known.endpoints.clone(), last_seen: known.last_seen }
}

/// What a conduct that a protocol reports means.
pub fn of_conduct(peer: PeerId, conduct: Conduct) -> Command {
    Command::BookConduct(peer, conduct)
}

/// What addresses that a peer told mean.
pub fn of_addrs(source: Source, addrs: Vec<PeerAddr>, asked: bool) -> Command {
    let relay = !asked && addrs.len() <= RELAYED_PEERS_MAX;
    Command::BookHeard { addrs, source, relay }
}
