use std::sync::Arc;

use bruit_core::{Endpoint, PeerId, Timestamp};
use bruit_stack::{
    addr_exchange::{
        PeerAddr, Request, answer_from_wire, answer_to_wire, neighbours_from_wire, neighbours_to_wire,
        request_from_wire, request_to_wire,
    },
    gossip,
    peering::{Goodbye, Hello},
    rpc::RpcMessage,
};
use bruit_wire::{Limited, Message, decode, encode, pb};

use crate::{Frame, Trace};

/// What goes from one node to another, by the connection that it belongs to.
#[derive(Clone, Debug)]
pub struct Letter {
    /// The connection: the number of the node that dialled, and a number of its own.
    pub connection: u64,
    /// What.
    pub content: Content,
}

/// What a letter says.
#[derive(Clone, Debug)]
pub enum Content {
    /// A dial; from where it comes.
    Dial(Endpoint),
    /// The dial leads to this peer.
    Accept(PeerId),
    /// The dial is not let in.
    Refuse,
    /// The connection stands; this peer dialled.
    Confirm(PeerId),
    /// The connection has ended.
    Close,
    /// A hello.
    Hello(Box<Hello>),
    /// The answer to a hello.
    HelloAnswer(Option<Box<Hello>>),
    /// A goodbye.
    Goodbye(Box<Goodbye>),
    /// A goodbye was read.
    GoodbyeHeard,
    /// Asks for addresses, so many at most.
    GetAddr(u32),
    /// The answer to that.
    Addrs(Arc<Vec<PeerAddr>>),
    /// Addresses, unasked.
    Told(Arc<Vec<PeerAddr>>),
    /// Asks whether somebody is there.
    Ping(u64),
    /// Somebody is.
    Pong(u64),
    /// Asks for neighbours.
    GetNeighbours,
    /// The answer to that.
    Neighbours(Arc<Vec<PeerId>>),
    /// Asks to be dialled there.
    DialBack(Endpoint),
    /// A frame of gossip.
    Gossip(gossip::Message),
    /// A frame of requests.
    Rpc(RpcMessage),
}

impl Content {
    const fn number(&self) -> u64 {
        match self {
            Self::Dial(_) => 0,
            Self::Accept(_) => 1,
            Self::Refuse => 2,
            Self::Confirm(_) => 3,
            Self::Close => 4,
            Self::Hello(_) => 5,
            Self::HelloAnswer(_) => 6,
            Self::Goodbye(_) => 7,
            Self::GoodbyeHeard => 8,
            Self::GetAddr(_) => 9,
            Self::Addrs(_) => 10,
            Self::Told(_) => 11,
            Self::Gossip(_) => 12,
            Self::Rpc(_) => 13,
            Self::Ping(_) => 14,
            Self::Pong(_) => 15,
            Self::GetNeighbours => 16,
            Self::Neighbours(_) => 17,
            Self::DialBack(_) => 18,
        }
    }

    fn encoded(&self) -> usize {
        match self {
            // A handshake is about so long; the rest are single packets of a transport.
            Self::Dial(_) | Self::Accept(_) | Self::Confirm(_) => 200,
            Self::Refuse | Self::Close | Self::GoodbyeHeard | Self::HelloAnswer(None) => 40,
            Self::Ping(_) | Self::Pong(_) | Self::GetNeighbours => 8,
            Self::Neighbours(peers) => neighbours_to_wire(peers).encoded_len(),
            Self::DialBack(endpoint) => request_to_wire(&Request::DialBack(endpoint.clone())).encoded_len(),
            Self::Hello(hello) | Self::HelloAnswer(Some(hello)) => hello.clone().into_wire().encoded_len(),
            Self::Goodbye(goodbye) => goodbye.clone().into_wire().encoded_len(),
            Self::GetAddr(_) => 8,
            Self::Addrs(addrs) => answer_to_wire(addrs).encoded_len(),
            Self::Told(addrs) => request_to_wire(&Request::Addr(addrs.to_vec())).encoded_len(),
            Self::Gossip(message) => message.encoded_len(),
            Self::Rpc(message) => message.encode().len(),
        }
    }

    fn through_wire(&self, now: Timestamp) -> Option<Self> {
        Some(match self {
            Self::Hello(hello) => Self::Hello(Box::new(hello_again(Hello::clone(hello))?)),
            Self::HelloAnswer(Some(hello)) => Self::HelloAnswer(Some(Box::new(hello_again(Hello::clone(hello))?))),
            Self::Goodbye(goodbye) => Self::Goodbye(Box::new(goodbye_again(Goodbye::clone(goodbye))?)),
            Self::GetAddr(count_max) => match request_again(&Request::GetAddr { count_max: *count_max })? {
                Request::GetAddr { count_max } => Self::GetAddr(count_max),
                Request::Addr(_) | Request::GetNeighbours | Request::DialBack(_) => return None,
            },
            Self::Addrs(addrs) => {
                let answer = decode_again(answer_to_wire(addrs))?;
                Self::Addrs(Arc::new(answer_from_wire(answer).value))
            }
            Self::Told(addrs) => match request_again(&Request::Addr(addrs.to_vec()))? {
                Request::Addr(addrs) => Self::Told(Arc::new(addrs)),
                Request::GetAddr { .. } | Request::GetNeighbours | Request::DialBack(_) => return None,
            },
            Self::Neighbours(peers) => {
                let answer = decode_again(neighbours_to_wire(peers))?;
                Self::Neighbours(Arc::new(neighbours_from_wire(answer)))
            }
            Self::DialBack(endpoint) => match request_again(&Request::DialBack(endpoint.clone()))? {
                Request::DialBack(endpoint) => Self::DialBack(endpoint),
                Request::GetAddr { .. } | Request::Addr(_) | Request::GetNeighbours => return None,
            },
            Self::Gossip(message) => Self::Gossip(message.through_wire(now)?),
            Self::Rpc(message) => Self::Rpc(RpcMessage::from_frame(decode_again(message.to_frame())?).ok()??),
            Self::Dial(_)
            | Self::Accept(_)
            | Self::Refuse
            | Self::Confirm(_)
            | Self::Close
            | Self::HelloAnswer(None)
            | Self::Ping(_)
            | Self::Pong(_)
            | Self::GetNeighbours
            | Self::GoodbyeHeard => self.clone(),
        })
    }
}

impl Frame for Letter {
    fn encoded_len(&self) -> usize {
        self.content.encoded()
    }

    fn kind(&self) -> &'static str {
        match &self.content {
            Content::Dial(_) | Content::Accept(_) | Content::Refuse | Content::Confirm(_) | Content::Close => "connect",
            Content::Hello(_)
            | Content::HelloAnswer(_)
            | Content::Goodbye(_)
            | Content::GoodbyeHeard
            | Content::Ping(_)
            | Content::Pong(_) => "peering",
            Content::GetAddr(_)
            | Content::Addrs(_)
            | Content::Told(_)
            | Content::GetNeighbours
            | Content::Neighbours(_)
            | Content::DialBack(_) => "addrs",
            Content::Gossip(message) => message.kind(),
            Content::Rpc(_) => "rpc",
        }
    }

    fn trace(&self, trace: &mut Trace) {
        trace.note(b'l', &[self.connection, self.content.number()]);
        match &self.content {
            Content::Addrs(addrs) | Content::Told(addrs) => {
                for addr in addrs.iter() {
                    let peer = addr.peer.map(|peer| peer.to_bytes()).unwrap_or_default();
                    trace.note(b'a', &[peer.len() as u64, addr.endpoints.len() as u64]);
                    trace.note_bytes(&peer);
                }
            }
            Content::Gossip(message) => message.trace(trace),
            Content::Rpc(message) => trace.note_bytes(&message.encode()),
            Content::Hello(hello) | Content::HelloAnswer(Some(hello)) => {
                trace.note(b'h', &[hello.listen.len() as u64, u64::from(hello.refused.is_some())]);
            }
            Content::Dial(_)
            | Content::Accept(_)
            | Content::Refuse
            | Content::Confirm(_)
            | Content::Close
            | Content::HelloAnswer(None)
            | Content::Goodbye(_)
            | Content::GoodbyeHeard
            | Content::Ping(_)
            | Content::Pong(_)
            | Content::GetNeighbours
            | Content::Neighbours(_)
            | Content::DialBack(_)
            | Content::GetAddr(_) => {}
        }
    }

    fn tell(&self, line: &mut String) {
        *line += &format!("connection {}  ", self.connection);
        match &self.content {
            Content::Dial(from) => *line += &format!("dial from {from}"),
            Content::Accept(peer) => *line += &format!("leads to {peer}"),
            Content::Refuse => *line += "refused",
            Content::Confirm(peer) => *line += &format!("stands, from {peer}"),
            Content::Close => *line += "closed",
            Content::Hello(_) => *line += "hello",
            Content::HelloAnswer(answer) => {
                let refused = answer.as_ref().and_then(|hello| hello.refused.as_ref());
                *line +=
                    &refused.map_or_else(|| "hello back".to_owned(), |goodbye| format!("no: {:?}", goodbye.reason));
            }
            Content::Goodbye(goodbye) => *line += &format!("goodbye: {:?}", goodbye.reason),
            Content::GoodbyeHeard => *line += "goodbye heard",
            Content::GetAddr(count) => *line += &format!("asks for {count} addresses"),
            Content::Addrs(addrs) => *line += &format!("answers with {} addresses", addrs.len()),
            Content::Told(addrs) => *line += &format!("tells {} addresses", addrs.len()),
            Content::Ping(_) => *line += "ping",
            Content::Pong(_) => *line += "pong",
            Content::GetNeighbours => *line += "asks for neighbours",
            Content::Neighbours(peers) => *line += &format!("names {} neighbours", peers.len()),
            Content::DialBack(endpoint) => *line += &format!("asks to be dialled at {endpoint}"),
            Content::Gossip(message) => message.tell(line),
            Content::Rpc(message) => message.tell(line),
        }
    }

    fn through_wire(&self, now: Timestamp) -> Option<Self> {
        Some(Self { connection: self.connection, content: self.content.through_wire(now)? })
    }
}

fn hello_again(hello: Hello) -> Option<Hello> {
    let kind = Some(pb::peering_request::Kind::Hello(hello.into_wire()));
    match decode_again(pb::PeeringRequest { kind })?.kind? {
        pb::peering_request::Kind::Hello(hello) => Some(Hello::from_wire(hello)),
        pb::peering_request::Kind::Goodbye(_) | pb::peering_request::Kind::Ping(_) => None,
    }
}

fn goodbye_again(goodbye: Goodbye) -> Option<Goodbye> {
    let kind = Some(pb::peering_request::Kind::Goodbye(goodbye.into_wire()));
    match decode_again(pb::PeeringRequest { kind })?.kind? {
        pb::peering_request::Kind::Goodbye(goodbye) => Some(Goodbye::from_wire(goodbye)),
        pb::peering_request::Kind::Hello(_) | pb::peering_request::Kind::Ping(_) => None,
    }
}

fn request_again(request: &Request) -> Option<Request> {
    request_from_wire(decode_again(request_to_wire(request))?).map(|read| read.value)
}

fn decode_again<M: Limited>(message: M) -> Option<M> {
    decode(encode(&message)).ok()
}
