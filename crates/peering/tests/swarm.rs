//! The translation: two or three swarms over memory transport.
#![allow(missing_docs, clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test")]

use std::{io, time::Duration};

use bruit_core::{Endpoint, NetGroup, NetworkId, PeerId, Seed};
use bruit_peering::{Behaviour, Config, DialFailure, Event, GoodbyeReason, SlotClass, Standing, Strangeness};
use bruit_wire::{BoundedCodec, Limited, pb};
use futures::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, StreamExt as _, channel::mpsc};
use libp2p_request_response as request_response;
use libp2p_swarm::{NetworkBehaviour, Swarm, SwarmEvent};
use libp2p_swarm_test::SwarmExt as _;

const TOLD: Standing = Standing::Told(NetGroup::V4(1));

fn config() -> Config {
    Config { backoff_base: Duration::from_millis(10), refused_linger: Duration::from_millis(50), ..Config::default() }
}

fn node(network: &str, config: Config) -> Swarm<Behaviour> {
    let network = NetworkId::new(network).unwrap();
    Swarm::new_ephemeral_tokio(|key| {
        let valid = config.validate(network, "test/1").unwrap();
        Behaviour::new(valid, key.public().to_peer_id(), Seed::from_number(1))
    })
}

async fn listening<B>(swarm: &mut Swarm<B>) -> Endpoint
where
    B: NetworkBehaviour + Send,
    B::ToSwarm: std::fmt::Debug,
{
    swarm.listen_on("/memory/0".parse().unwrap()).unwrap();
    loop {
        if let SwarmEvent::NewListenAddr { address, .. } = swarm.next_swarm_event().await {
            swarm.add_external_address(address.clone());
            return Endpoint::from_multiaddr(&address).unwrap().0;
        }
    }
}

/// Runs all others until one says the wanted thing.
async fn until<T>(
    swarm: &mut Swarm<Behaviour>,
    others: &mut [&mut Swarm<Behaviour>],
    mut wanted: impl FnMut(&Event) -> Option<T>,
) -> T {
    let other_events = async {
        futures::future::join_all(others.iter_mut().map(|other| drive(other))).await;
        std::future::pending::<()>().await;
    };
    let found = async {
        loop {
            if let SwarmEvent::Behaviour(event) = swarm.next_swarm_event().await
                && let Some(found) = wanted(&event)
            {
                return found;
            }
        }
    };
    tokio::select! {
        found = found => found,
        () = other_events => unreachable!("the others never end"),
    }
}

async fn drive(swarm: &mut Swarm<Behaviour>) {
    loop {
        swarm.next_swarm_event().await;
    }
}

fn up(event: &Event) -> Option<(PeerId, SlotClass)> {
    match event {
        Event::PeerUp { peer, class, .. } => Some((*peer, *class)),
        _ => None,
    }
}

#[tokio::test]
async fn both_sides_give_each_other_a_slot_and_part_with_a_goodbye() {
    let (mut ada, mut bob) = (node("test", config()), node("test", config()));
    let at_bob = listening(&mut bob).await;
    let _ = ada.behaviour_mut().dial(at_bob, None, TOLD);
    let (ada_up, bob_up) = (until(&mut ada, &mut [], up), until(&mut bob, &mut [], up));
    let (ada_up, bob_up) = futures::join!(ada_up, bob_up);
    assert_eq!(ada_up, (*bob.local_peer_id(), SlotClass::Outbound));
    assert_eq!(bob_up, (*ada.local_peer_id(), SlotClass::Inbound));

    let ada_id = *ada.local_peer_id();
    assert!(bob.behaviour_mut().say_goodbye(ada_id, GoodbyeReason::Requested));
    let down = |event: &Event| matches!(event, Event::PeerDown { .. }).then_some(());
    until(&mut ada, &mut [&mut bob], down).await;
    let cause = format!("{:?}", ada.behaviour().departures().next().unwrap().cause);
    assert!(cause.contains("Received") && cause.contains("Requested"), "{cause}");
}

#[tokio::test]
async fn a_full_node_sends_the_newcomer_elsewhere() {
    let full = Config { inbound_max: 1, ..config() };
    let (mut ada, mut bob, mut eve) = (node("test", config()), node("test", full), node("test", config()));
    let at_bob = listening(&mut bob).await;
    listening(&mut ada).await;
    let _ = ada.behaviour_mut().dial(at_bob.clone(), None, TOLD);
    until(&mut ada, &mut [&mut bob], up).await;

    let _ = eve.behaviour_mut().dial(at_bob, None, TOLD);
    let refused = |event: &Event| match event {
        Event::Refused { alternatives, .. } => Some(alternatives.clone()),
        _ => None,
    };
    let alternatives = until(&mut eve, &mut [&mut bob, &mut ada], refused).await;
    assert_eq!(alternatives.iter().map(|known| known.peer).collect::<Vec<_>>(), vec![*ada.local_peer_id()]);
    assert_eq!(bob.behaviour().held(SlotClass::Inbound), 1);
}

#[tokio::test]
async fn fault_another_network_is_stopped() {
    let (mut ada, mut bob) = (node("test", config()), node("other", config()));
    let at_bob = listening(&mut bob).await;
    let _ = ada.behaviour_mut().dial(at_bob, None, TOLD);
    let stranger = |event: &Event| match event {
        Event::Stranger { reason, .. } => Some(*reason),
        Event::PeerUp { .. } => panic!("a stranger got a slot"),
        _ => None,
    };
    assert_eq!(until(&mut ada, &mut [&mut bob], stranger).await, Strangeness::OtherProtocol);
}

#[tokio::test]
async fn fault_another_identity_answers() {
    let (mut ada, mut bob) = (node("test", config()), node("test", config()));
    let at_bob = listening(&mut bob).await;
    let expected = *node("test", config()).local_peer_id();
    let _ = ada.behaviour_mut().dial(at_bob, Some(expected), TOLD);
    let failed = |event: &Event| match event {
        Event::DialFailed { reason, .. } => Some(reason.clone()),
        _ => None,
    };
    let reason = until(&mut ada, &mut [&mut bob], failed).await;
    assert_eq!(reason, DialFailure::WrongIdentity { found: *bob.local_peer_id() });
}

#[tokio::test]
async fn a_node_does_not_keep_a_connection_to_itself() {
    let mut ada = node("test", config());
    let own = listening(&mut ada).await;
    ada.behaviour_mut().add_seed(own, None);
    assert!(ada.behaviour().engine().dials().next().is_none(), "it dials its own address");
}

/// Speaks the protocol with requests of any type.
type Raw<Request> = request_response::Behaviour<BoundedCodec<Request, pb::PeeringResponse>>;

fn raw<Request: Limited + std::fmt::Debug + 'static>() -> Swarm<Raw<Request>> {
    Swarm::new_ephemeral_tokio(|_| {
        let protocol = [("/bruit/peering/test/1".to_owned(), request_response::ProtocolSupport::Full)];
        Raw::with_codec(BoundedCodec::new(65_536, 65_536), protocol, request_response::Config::default())
    })
}

#[tokio::test]
async fn fault_a_peer_that_stalls_after_the_handshake_is_let_go() {
    let patience = Config { hello_timeout: Duration::from_millis(100), ..config() };
    let (mut ada, mut staller) = (node("test", patience), raw::<pb::PeeringRequest>());
    let at_staller = listening(&mut staller).await;
    // It takes the hello and never answers: the request, with its channel, is kept for ever.
    let stalling = async {
        let mut kept = Vec::new();
        loop {
            kept.push(staller.next_swarm_event().await);
        }
    };
    let _ = ada.behaviour_mut().dial(at_staller, None, TOLD);
    let silent = until(&mut ada, &mut [], |event| match event {
        Event::Stranger { reason, .. } => Some(*reason),
        _ => None,
    });
    tokio::select! {
        reason = silent => assert_eq!(reason, Strangeness::Silent),
        () = stalling => {}
    }
}

#[tokio::test]
async fn fault_a_hello_that_is_none_is_misconduct() {
    let (mut ada, mut liar) = (node("test", config()), raw::<pb::Item>());
    let at_ada = listening(&mut ada).await;
    let dial = at_ada.to_multiaddr();
    liar.dial(dial).unwrap();
    let ada_id = *ada.local_peer_id();
    let lying = async {
        loop {
            if let SwarmEvent::ConnectionEstablished { .. } = liar.next_swarm_event().await {
                // As a request of peering, the topic is a hello that is cut off.
                let garbage = pb::Item { topic: "zzzz".into(), ..Default::default() };
                liar.behaviour_mut().send_request(&ada_id, Ok(garbage));
            }
        }
    };
    let caught = until(&mut ada, &mut [], |event| matches!(event, Event::Misconduct { .. }).then_some(()));
    tokio::select! {
        () = caught => assert_eq!(ada.behaviour().held(SlotClass::Inbound), 0),
        () = lying => {}
    }
}

#[tokio::test]
async fn fault_a_peer_that_asks_without_end_gets_few_answers_and_is_sent_away() {
    let (mut ada, mut flooder) = (node("test", config()), raw::<pb::PeeringRequest>());
    let ada_id = *ada.local_peer_id();
    flooder.dial(listening(&mut ada).await.to_multiaddr()).unwrap();
    let kinds = [
        pb::peering_request::Kind::Hello(pb::Hello { network: "test".into(), ..Default::default() }),
        pb::peering_request::Kind::Ping(pb::Ping {}),
    ];
    let mut requests = (0..1_000).map(|number| Ok(pb::PeeringRequest { kind: Some(kinds[number % 2].clone()) }));
    let mut answers = 0;
    loop {
        tokio::select! {
            event = ada.select_next_some() => {
                if let SwarmEvent::Behaviour(Event::Misconduct { .. }) = event {
                    break;
                }
            }
            event = flooder.select_next_some() => {
                if let SwarmEvent::Behaviour(request_response::Event::Message {
                    message: request_response::Message::Response { .. }, ..
                }) = event {
                    answers += 1;
                }
                // One after the other: no stream is closed for being one too many.
                if matches!(event, SwarmEvent::ConnectionEstablished { .. } | SwarmEvent::Behaviour(
                    request_response::Event::Message { message: request_response::Message::Response { .. }, .. }
                    | request_response::Event::OutboundFailure { .. }
                )) {
                    let request = requests.next().expect("a thousand requests were no misconduct");
                    flooder.behaviour_mut().send_request(&ada_id, request);
                }
            }
        }
    }
    assert!((8..16).contains(&answers), "{answers} answers");
    assert_eq!(ada.behaviour().held(SlotClass::Inbound), 0);
}

/// Writes requests as they are; one without a byte opens its stream, is told of, and never ends.
#[derive(Clone)]
struct Unending(mpsc::UnboundedSender<()>);

impl request_response::Codec for Unending {
    type Protocol = String;
    type Request = Vec<u8>;
    type Response = Vec<u8>;

    async fn read_request<T: AsyncRead + Unpin + Send>(&mut self, _: &String, io: &mut T) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        io.read_to_end(&mut bytes).await?;
        Ok(bytes)
    }

    async fn read_response<T: AsyncRead + Unpin + Send>(&mut self, name: &String, io: &mut T) -> io::Result<Vec<u8>> {
        self.read_request(name, io).await
    }

    async fn write_request<T>(&mut self, _: &String, io: &mut T, bytes: Vec<u8>) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        if bytes.is_empty() {
            io.flush().await?;
            self.0.unbounded_send(()).map_err(io::Error::other)?;
            std::future::pending::<()>().await;
        }
        io.write_all(&bytes).await
    }

    async fn write_response<T>(&mut self, name: &String, io: &mut T, bytes: Vec<u8>) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        self.write_request(name, io, bytes).await
    }
}

#[tokio::test]
async fn fault_messages_that_never_end_hold_so_many_streams_and_no_more() {
    for (count, is_heard) in [(6, true), (7, true), (8, false)] {
        let mut ada = node("test", Config { hello_timeout: Duration::from_secs(600), ..config() });
        let (begin, mut begun) = mpsc::unbounded();
        let mut stranger = Swarm::new_ephemeral_tokio(|_| {
            let protocol = [("/bruit/peering/test/1".to_owned(), request_response::ProtocolSupport::Full)];
            request_response::Behaviour::with_codec(Unending(begin), protocol, request_response::Config::default())
        });
        let ada_id = *ada.local_peer_id();
        stranger.dial(listening(&mut ada).await.to_multiaddr()).unwrap();
        let garbage = vec![1, 0xff];
        let mut open = 0;
        let was_heard = loop {
            tokio::select! {
                _ = begun.next() => {
                    open += 1;
                    if open == count {
                        stranger.behaviour_mut().send_request(&ada_id, garbage.clone());
                    }
                }
                event = ada.select_next_some() => {
                    if let SwarmEvent::Behaviour(Event::Misconduct { .. }) = event {
                        break true;
                    }
                }
                event = stranger.select_next_some() => match event {
                    SwarmEvent::ConnectionEstablished { .. } => {
                        (0..count).for_each(|_| _ = stranger.behaviour_mut().send_request(&ada_id, Vec::new()));
                    }
                    SwarmEvent::Behaviour(request_response::Event::OutboundFailure { .. }) => break false,
                    _ => {}
                },
            }
        };
        assert_eq!(was_heard, is_heard, "beside {count} streams");
    }
}
