//! Is the translation right? Two swarms over memory transport, and a stranger who breaks rules.

#![allow(clippy::unwrap_used, reason = "a test")]

use bruit_addr_exchange::{
    Admission, AskError, AskWhom, Behaviour, Conduct, Config, Endpoint, Event, FailReason, NetworkId, PeerAddr, PeerId,
    Request, Seed, request_to_wire,
};
use bruit_wire::pb;
use futures::{AsyncReadExt, AsyncWriteExt, StreamExt, channel::mpsc};
use libp2p_request_response::{self as request_response, Codec, ProtocolSupport};
use libp2p_swarm::{Swarm, SwarmEvent};
use libp2p_swarm_test::SwarmExt;

fn network() -> NetworkId {
    NetworkId::new("test").unwrap()
}

fn node(config: Config) -> Swarm<Behaviour> {
    let config = config.validate().unwrap();
    Swarm::new_ephemeral_tokio(|_| Behaviour::new(&network(), config, Seed::from_number(1)))
}

fn addrs(count: u16) -> Vec<PeerAddr> {
    let endpoint = |port| Endpoint::tcp([1, 2, 3, 4].into(), port);
    (1..=count).map(|port| PeerAddr::new(None, vec![endpoint(port)], None)).collect()
}

/// Lets `dialler` connect to `listener`.
async fn connect<A, B>(dialler: &mut Swarm<A>, listener: &mut Swarm<B>)
where
    A: libp2p_swarm::NetworkBehaviour + Send,
    A::ToSwarm: std::fmt::Debug,
    B: libp2p_swarm::NetworkBehaviour + Send,
    B::ToSwarm: std::fmt::Debug,
{
    listener.listen().with_memory_addr_external().await;
    dialler.connect(listener).await;
}

/// Runs both until the first has said `count` events; events of the second are answered with `sample`.
async fn events_of(
    first: &mut Swarm<Behaviour>,
    second: &mut Swarm<Behaviour>,
    sample: &[PeerAddr],
    count: usize,
) -> Vec<Event> {
    let mut events = Vec::new();
    while events.len() < count {
        futures::select! {
            event = first.select_next_some() => {
                if let SwarmEvent::Behaviour(event) = event {
                    events.push(event);
                }
            }
            event = second.select_next_some() => {
                if let SwarmEvent::Behaviour(Event::Asked { request, .. }) = event {
                    second.behaviour_mut().answer(request, sample.to_vec());
                }
            }
        }
    }
    events
}

fn received(peer: PeerId, addrs: Vec<PeerAddr>) -> Event {
    Event::Received { peer, addrs, asked: true, dropped: 0, may_relay: false }
}

#[tokio::test]
async fn the_dialler_asks_and_is_answered_once() {
    let (mut dialler, mut listener) = (node(Config::default()), node(Config::default()));
    connect(&mut dialler, &mut listener).await;
    let peer = *listener.local_peer_id();
    let sample = addrs(40);
    assert_eq!(events_of(&mut dialler, &mut listener, &sample, 1).await, [received(peer, sample.clone())]);
    dialler.behaviour_mut().ask(&peer).unwrap();
    assert_eq!(events_of(&mut dialler, &mut listener, &sample, 1).await, [received(peer, vec![])]);
}

#[tokio::test]
async fn a_small_answer_is_followed_by_another_request() {
    let config = Config { ask_small_secs: 1, small_answer_pause_secs: 0, ..Config::default() };
    let (mut dialler, mut listener) = (node(config.clone()), node(config));
    connect(&mut dialler, &mut listener).await;
    let peer = *listener.local_peer_id();
    let events = events_of(&mut dialler, &mut listener, &addrs(2), 2).await;
    assert_eq!(events, [received(peer, addrs(2)), received(peer, addrs(2))]);
}

#[tokio::test]
async fn an_asker_is_not_told_of_itself() {
    let (mut dialler, mut listener) = (node(Config::default()), node(Config::default()));
    connect(&mut dialler, &mut listener).await;
    let asker = PeerAddr { peer: Some(*dialler.local_peer_id()), ..addrs(1).remove(0) };
    let mut sample = addrs(2);
    sample.push(asker);
    let peer = *listener.local_peer_id();
    assert_eq!(events_of(&mut dialler, &mut listener, &sample, 1).await, [received(peer, addrs(2))]);
}

#[tokio::test]
async fn who_is_not_admitted_is_not_asked_and_who_is_not_connected_cannot_be() {
    let by_owner = Config { admission: Admission::ByOwner, ..Config::default() };
    let (mut dialler, mut listener) = (node(by_owner), node(Config::default()));
    connect(&mut dialler, &mut listener).await;
    let peer = *listener.local_peer_id();
    assert!(dialler.behaviour_mut().ask(&PeerId::random()).is_err());
    assert!(dialler.behaviour_mut().announce(&PeerId::random(), addrs(1)).is_err());
    dialler.behaviour_mut().admit(&peer);
    assert_eq!(events_of(&mut dialler, &mut listener, &addrs(40), 1).await, [received(peer, addrs(40))]);
}

#[tokio::test]
async fn unasked_addresses_are_taken_up_to_the_limit() {
    let quiet = Config { ask: AskWhom::Nobody, ..Config::default() };
    let (mut sender, mut taker) = (node(quiet.clone()), node(quiet));
    connect(&mut sender, &mut taker).await;
    let (from, to) = (*sender.local_peer_id(), *taker.local_peer_id());
    sender.behaviour_mut().announce(&to, addrs(11)).unwrap();
    let expected = Event::Received { peer: from, addrs: addrs(5), asked: false, dropped: 5, may_relay: true };
    assert_eq!(events_of(&mut taker, &mut sender, &[], 1).await, [expected]);
    sender.behaviour_mut().announce(&to, addrs(1)).unwrap();
    let expected = Event::Received { peer: from, addrs: vec![], asked: false, dropped: 1, may_relay: true };
    assert_eq!(events_of(&mut taker, &mut sender, &[], 1).await, [expected]);
}

#[tokio::test]
async fn a_peer_that_takes_nothing_is_not_told_more() {
    let (mut sender, mut taker) = (node(Config::default()), node(Config::default()));
    connect(&mut taker, &mut sender).await;
    let to = *taker.local_peer_id();
    for _ in 0..=10 {
        sender.behaviour_mut().announce(&to, addrs(1)).unwrap();
    }
    assert_eq!(sender.behaviour_mut().announce(&to, addrs(1)), Err(AskError::Busy));
}

#[tokio::test]
async fn what_a_peer_is_told_meanwhile_reaches_it_in_one_message() {
    let quiet = Config { ask: AskWhom::Nobody, ..Config::default() };
    let (mut sender, mut taker) = (node(quiet.clone()), node(quiet));
    connect(&mut sender, &mut taker).await;
    let (from, to) = (*sender.local_peer_id(), *taker.local_peer_id());
    for addr in addrs(3) {
        sender.behaviour_mut().announce(&to, vec![addr]).unwrap();
    }
    let told = |addrs| Event::Received { peer: from, addrs, asked: false, dropped: 0, may_relay: true };
    let expected = [told(addrs(1)), told(addrs(3)[1..].to_vec())];
    assert_eq!(events_of(&mut taker, &mut sender, &[], 2).await, expected);
}

#[tokio::test]
async fn so_many_messages_are_under_way_to_one_peer() {
    let (mut sender, mut taker) = (node(Config::default()), node(Config::default()));
    connect(&mut taker, &mut sender).await;
    let to = *taker.local_peer_id();
    let pushed = (0..4).map(|_| sender.behaviour_mut().push(&to, addrs(1)));
    assert_eq!(pushed.collect::<Vec<_>>(), [Ok(()), Ok(()), Err(AskError::Busy), Err(AskError::Busy)]);
}

/// Speaks frames of its own making: whole requests, and whole answers, prefix included. A request without a byte never ends,
/// and is told of when its stream is open.
#[derive(Clone, Default)]
struct Raw {
    unending: Option<mpsc::UnboundedSender<()>>,
}

impl Codec for Raw {
    type Protocol = String;
    type Request = Vec<u8>;
    type Response = Vec<u8>;

    async fn read_request<T: futures::AsyncRead + Unpin + Send>(
        &mut self,
        _: &String,
        io: &mut T,
    ) -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        io.read_to_end(&mut bytes).await?;
        Ok(bytes)
    }

    async fn read_response<T: futures::AsyncRead + Unpin + Send>(
        &mut self,
        protocol: &String,
        io: &mut T,
    ) -> std::io::Result<Vec<u8>> {
        self.read_request(protocol, io).await
    }

    async fn write_request<T: futures::AsyncWrite + Unpin + Send>(
        &mut self,
        _: &String,
        io: &mut T,
        bytes: Vec<u8>,
    ) -> std::io::Result<()> {
        if let Some(unending) = self.unending.as_ref().filter(|_| bytes.is_empty()) {
            io.flush().await?;
            unending.unbounded_send(()).map_err(std::io::Error::other)?;
            std::future::pending::<()>().await;
        }
        io.write_all(&bytes).await
    }

    async fn write_response<T: futures::AsyncWrite + Unpin + Send>(
        &mut self,
        protocol: &String,
        io: &mut T,
        bytes: Vec<u8>,
    ) -> std::io::Result<()> {
        self.write_request(protocol, io, bytes).await
    }
}

type Stranger = Swarm<request_response::Behaviour<Raw>>;

fn stranger() -> Stranger {
    stranger_with(Raw::default())
}

fn stranger_with(raw: Raw) -> Stranger {
    let protocol = (network().protocol_name("addr", 1), ProtocolSupport::Full);
    let config = request_response::Config::default();
    Swarm::new_ephemeral_tokio(|_| request_response::Behaviour::with_codec(raw, [protocol], config))
}

/// Runs both until the node has said `count` events and the stranger has heard `answers`; it answers requests with `answer`.
async fn with_stranger(
    node: &mut Swarm<Behaviour>,
    stranger: &mut Stranger,
    answer: &[u8],
    (count, answers): (usize, usize),
) -> (Vec<Event>, Vec<Vec<u8>>) {
    let (mut events, mut heard) = (Vec::new(), Vec::new());
    while events.len() < count || heard.len() < answers {
        futures::select! {
            event = node.select_next_some() => {
                if let SwarmEvent::Behaviour(event) = event {
                    events.push(event);
                }
            }
            event = stranger.select_next_some() => {
                let SwarmEvent::Behaviour(request_response::Event::Message { message, .. }) = event else { continue };
                match message {
                    request_response::Message::Request { channel, .. } => {
                        stranger.behaviour_mut().send_response(channel, answer.to_vec()).unwrap();
                    }
                    request_response::Message::Response { response, .. } => heard.push(response),
                }
            }
        }
    }
    (events, heard)
}

#[tokio::test]
async fn fault_oversized_addr_answer() {
    let (mut node, mut stranger) = (node(Config::default()), stranger());
    connect(&mut node, &mut stranger).await;
    let peer = *stranger.local_peer_id();
    // Promises a frame of 256 KiB and one byte.
    let (events, _) = with_stranger(&mut node, &mut stranger, &[0x81, 0x80, 0x10], (2, 0)).await;
    let conduct = Event::Conduct { peer, conduct: Conduct::BrokeProtocol };
    assert_eq!(events, [conduct, Event::AskFailed { peer, reason: FailReason::Unreadable }]);
    assert!(node.is_connected(&peer));
}

#[tokio::test]
async fn fault_garbage_addr_request() {
    let (mut node, mut stranger) = (node(Config::default()), stranger());
    connect(&mut stranger, &mut node).await;
    let (peer, node_id) = (*stranger.local_peer_id(), *node.local_peer_id());
    stranger.behaviour_mut().send_request(&node_id, vec![3, 0xff, 0xff, 0xff]);
    let (events, heard) = with_stranger(&mut node, &mut stranger, &[], (1, 1)).await;
    assert_eq!(events, [Event::Conduct { peer, conduct: Conduct::BrokeProtocol }]);
    assert_eq!(heard, [vec![0]]);
    // An honest request afterwards is served.
    let request = pb::ExchangeRequest { kind: Some(pb::exchange_request::Kind::GetAddr(pb::GetAddr { count_max: 1 })) };
    stranger.behaviour_mut().send_request(&node_id, bruit_wire::frame(&request).to_vec());
    let (events, _) = with_stranger(&mut node, &mut stranger, &[], (1, 0)).await;
    let [Event::Asked { request, .. }] = events[..] else { panic!("{events:?}") };
    node.behaviour_mut().answer(request, addrs(3));
    let (events, heard) = with_stranger(&mut node, &mut stranger, &[], (0, 1)).await;
    assert_eq!((events, heard[0].len() > 1), (vec![], true));
}

#[tokio::test]
async fn fault_silent_addr_listener() {
    let config = Config { timeout_secs: 1, ..Config::default() };
    let (mut node, mut stranger) = (node(config), stranger());
    connect(&mut node, &mut stranger).await;
    let peer = *stranger.local_peer_id();
    let mut held = Vec::new();
    let mut events = Vec::new();
    while events.len() < 2 {
        futures::select! {
            event = node.select_next_some() => {
                if let SwarmEvent::Behaviour(event) = event {
                    events.push(event);
                }
            }
            event = stranger.select_next_some() => held.push(event),
        }
    }
    let conduct = Event::Conduct { peer, conduct: Conduct::TimedOut };
    assert_eq!(events, [conduct, Event::AskFailed { peer, reason: FailReason::TimedOut }]);
    assert!(node.is_connected(&peer));
    assert!(node.behaviour_mut().ask(&peer).is_ok());
}

#[tokio::test]
async fn fault_requests_that_never_end_hold_so_many_streams_and_no_more() {
    for (count, is_heard) in [(6, true), (7, true), (8, false)] {
        let (sender, mut begun) = mpsc::unbounded();
        let mut node = node(Config { timeout_secs: 600, ..Config::default() });
        let mut stranger = stranger_with(Raw { unending: Some(sender) });
        connect(&mut stranger, &mut node).await;
        let node_id = *node.local_peer_id();
        let mut open = 0;
        (0..count).for_each(|_| _ = stranger.behaviour_mut().send_request(&node_id, Vec::new()));
        while open < count {
            futures::select! {
                () = begun.select_next_some() => open += 1,
                _ = node.select_next_some() => {}
                _ = stranger.select_next_some() => {}
            }
        }
        let request = request_to_wire(&Request::GetAddr { count_max: 1 });
        stranger.behaviour_mut().send_request(&node_id, bruit_wire::frame(&request).to_vec());
        let was_heard = loop {
            futures::select! {
                event = node.select_next_some() => {
                    if let SwarmEvent::Behaviour(Event::Asked { .. }) = event {
                        break true;
                    }
                }
                event = stranger.select_next_some() => {
                    if let SwarmEvent::Behaviour(_) = event {
                        break false;
                    }
                }
            }
        };
        assert_eq!(was_heard, is_heard, "beside {count} streams");
    }
}
