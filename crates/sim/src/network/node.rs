use std::time::Duration;

use bruit_core::{Endpoint, PeerId, Scope, Timestamp, scope_of};

use super::{Content, Host, Internet, Letter, bot::Bot};
use crate::{Net, Node, Port};

/// What lives at a place of the internet.
pub enum NetworkNode {
    /// A node with all engines.
    Host(Box<Host>),
    /// Somebody who plays by rules of their own.
    Bot(Box<Bot>),
}

/// What a node is called for.
#[derive(Clone, Debug)]
pub enum Signal {
    /// It begins to look for others.
    Join,
    /// A dial had no answer for too long.
    DialOverdue {
        /// Which connection.
        connection: u64,
    },
    /// The handshake with whom a dial led to is over.
    Handshaken {
        /// Which connection.
        connection: u64,
        /// Who is there.
        peer: PeerId,
    },
    /// A request for addresses had no answer for too long.
    AskOverdue {
        /// Who was asked.
        peer: PeerId,
        /// When.
        asked: Timestamp,
    },
    /// It publishes an item.
    Publish {
        /// At which of the moments at which some do.
        moment: u32,
    },
    /// A bot does what it does.
    Act,
}

/// How long a dial waits for an answer: libp2p's default for a connection.
pub(super) const DIAL_TIMEOUT: Duration = Duration::from_secs(10);

impl NetworkNode {
    /// The node with engines, if it is one.
    pub fn host(&self) -> Option<&Host> {
        match self {
            Self::Host(host) => Some(host),
            Self::Bot(_) => None,
        }
    }

    pub(super) fn host_mut(&mut self) -> Option<&mut Host> {
        match self {
            Self::Host(host) => Some(host),
            Self::Bot(_) => None,
        }
    }
}

impl Node for NetworkNode {
    type Message = Letter;
    type Signal = Signal;
    type Tally = Internet;

    fn started(&mut self, _: &mut Net<Self>) {}

    fn received(&mut self, from: Port, letter: Letter, net: &mut Net<Self>) {
        match self {
            Self::Host(host) => host.received(from.0, letter, net),
            Self::Bot(bot) => bot.received(from.0, letter, net),
        }
    }

    fn called(&mut self, signal: Signal, net: &mut Net<Self>) {
        match self {
            Self::Host(host) => host.called(signal, net),
            Self::Bot(bot) => bot.called(&signal, net),
        }
    }

    fn next_timeout(&self) -> Option<Timestamp> {
        self.host().and_then(Host::next_timeout)
    }

    fn timed_out(&mut self, net: &mut Net<Self>) {
        if let Self::Host(host) = self {
            host.timed_out(net);
        }
    }
}

/// Sends a letter to a node; it sees from whom.
pub(super) fn send(to: u32, connection: u64, content: Content, net: &mut Net<NetworkNode>) {
    let from = Port(net.here());
    net.send_to(to, from, Letter { connection, content });
}

/// Dials an endpoint; nobody may be there. The number of the connection.
pub(super) fn dial(endpoint: &Endpoint, net: &mut Net<NetworkNode>) -> u64 {
    net.tally.connections += 1;
    net.tally.reserved_dials += u64::from(endpoint.ip().is_some_and(|ip| scope_of(ip) != Scope::Global));
    let connection = net.tally.connections;
    let from = net.tally.place(net.here()).and_then(|place| place.endpoint.ip());
    let port = 32_768 + (connection % 28_000) as u16;
    if let (Some(to), Some(ip)) = (net.tally.at(endpoint), from) {
        send(to, connection, Content::Dial(Endpoint::tcp(ip, port)), net);
    }
    net.call_at(net.now().after(DIAL_TIMEOUT), Signal::DialOverdue { connection });
    connection
}
