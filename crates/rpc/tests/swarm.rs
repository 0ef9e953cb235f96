//! The translation: connections, lanes and streams, over memory transport.
#![allow(missing_docs, clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test")]

use std::{future::Future, num::NonZeroU64, time::Duration};

use bruit_link::{Frame, Links, Protocol};
use bruit_rpc::{
    Admission, Behaviour, CallError, CallOptions, Conduct, Config, EndCause, Event, Failure, Method, MethodName,
    NetworkId, PeerId, Refusal, RefusalKind, Request, Response, RpcMessage, Seed, StartError,
};
use bruit_wire::{BoundedCodec, FRAME_MAX, pb};
use bytes::Bytes;
use futures::StreamExt;
use libp2p_core::Multiaddr;
use libp2p_request_response::{self as request_response, ProtocolSupport};
use libp2p_swarm::{StreamProtocol, Swarm, SwarmEvent, dummy};
use libp2p_swarm_test::SwarmExt;

/// A test that waits longer than this has failed.
const PATIENCE: Duration = Duration::from_secs(20);

fn network() -> NetworkId {
    NetworkId::new("test").unwrap()
}

fn echo() -> MethodName {
    MethodName::new("echo").unwrap()
}

async fn node(seed: u64, admission: Admission) -> Swarm<Behaviour> {
    let config = Config::default().validate().unwrap();
    let behaviour = Behaviour::new(&network(), config, Seed::from_number(seed), admission);
    let mut swarm = Swarm::new_ephemeral_tokio(|_| behaviour);
    swarm.listen().with_memory_addr_external().await;
    swarm
}

/// What a server does with each request.
#[derive(Clone, Copy)]
enum Habit {
    Echoes,
    CannotSatisfy,
    Disconnects,
}

async fn server(seed: u64) -> Swarm<Behaviour> {
    let mut swarm = node(seed, Admission::Automatic).await;
    swarm.behaviour_mut().register(Method::idempotent("echo").unwrap()).unwrap();
    swarm
}

fn serve(mut swarm: Swarm<Behaviour>, habit: Habit) {
    tokio::spawn(async move {
        loop {
            if let SwarmEvent::Behaviour(Event::Request { from, ticket, payload, .. }) = swarm.select_next_some().await
            {
                let result = match habit {
                    Habit::Echoes => Ok(payload),
                    Habit::CannotSatisfy => Err(Refusal::cannot_satisfy("not here")),
                    Habit::Disconnects => {
                        swarm.disconnect_peer_id(from).unwrap();
                        continue;
                    }
                };
                // Who asked may have gone meanwhile.
                let _ = swarm.behaviour_mut().answer(ticket, result);
            }
        }
    });
}

/// A peer that speaks the protocol's frames as it likes.
async fn raw() -> Swarm<bruit_link::Behaviour> {
    let name = StreamProtocol::try_from_owned(network().protocol_name("rpc", 1)).unwrap();
    let protocol = Protocol { names: vec![name], lanes: 2 };
    let links = Links::new(protocol, bruit_link::Config::default().validate().unwrap(), Admission::Automatic);
    let mut swarm = Swarm::new_ephemeral_tokio(|_| bruit_link::Behaviour::new(links));
    swarm.listen().with_memory_addr_external().await;
    swarm
}

/// Sends frames as soon as the link is up, and then reads and says nothing.
fn run_raw(mut swarm: Swarm<bruit_link::Behaviour>, frames: Vec<Bytes>) {
    tokio::spawn(async move {
        loop {
            if let SwarmEvent::Behaviour(bruit_link::Event::Up { slot, .. }) = swarm.select_next_some().await {
                for frame in &frames {
                    let push = swarm.behaviour_mut().push(slot, Frame::new(0, frame.clone()));
                    assert_eq!(push, bruit_link::Push::Queued);
                }
            }
        }
    });
}

fn list() -> Bytes {
    RpcMessage::Methods(vec![echo()]).encode()
}

async fn patiently<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("what the test waits for does not come")
}

/// Waits until `wanted` gives something, and returns all events up to then as well.
async fn until<T>(
    swarm: &mut Swarm<Behaviour>,
    mut wanted: impl FnMut(&Event<PeerId>) -> Option<T>,
) -> (T, Vec<Event<PeerId>>) {
    let mut seen = Vec::new();
    let found = patiently(async {
        loop {
            if let SwarmEvent::Behaviour(event) = swarm.select_next_some().await {
                let found = wanted(&event);
                seen.push(event);
                if let Some(found) = found {
                    return found;
                }
            }
        }
    });
    (found.await, seen)
}

async fn until_told(swarm: &mut Swarm<Behaviour>, peers: usize) {
    let mut told = 0;
    until(swarm, |event| {
        told += usize::from(matches!(event, Event::Told { methods, .. } if *methods == [echo()]));
        (told == peers).then_some(())
    })
    .await;
}

type Done = (Result<(PeerId, Bytes), CallError<PeerId>>, u32);

async fn until_done(swarm: &mut Swarm<Behaviour>) -> (Done, Vec<Event<PeerId>>) {
    until(swarm, |event| match event {
        Event::Done { result, tries, .. } => Some((result.clone().map(|answer| (answer.from, answer.payload)), *tries)),
        _ => None,
    })
    .await
}

fn conducts(events: &[Event<PeerId>]) -> Vec<(PeerId, Conduct)> {
    let conduct = |event: &Event<PeerId>| match event {
        Event::Conduct { peer, conduct } => Some((*peer, *conduct)),
        _ => None,
    };
    events.iter().filter_map(conduct).collect()
}

#[tokio::test]
async fn small_and_large_payloads_reach_one_peer_and_come_back() {
    let (mut client, mut server) = (node(1, Admission::Automatic).await, server(2).await);
    client.connect(&mut server).await;
    let id = *server.local_peer_id();
    serve(server, Habit::Echoes);
    until_told(&mut client, 1).await;
    for payload in [Bytes::from_static(b"small"), Bytes::from(vec![7; 192 * 1024])] {
        client.behaviour_mut().call_peer(&id, &echo(), payload.clone(), CallOptions::default()).unwrap();
        assert_eq!(until_done(&mut client).await.0, (Ok((id, payload)), 1));
    }
    assert_eq!(client.behaviour().peers_serving(&echo()), [id]);
    assert_eq!(client.behaviour().explain(&echo()).len(), 1);
    let stranger = PeerId::random();
    let refused = client.behaviour_mut().call_peer(&stranger, &echo(), Bytes::new(), CallOptions::default());
    assert_eq!(refused, Err(StartError::NotConnected));
}

/// Dials, and returns at the first moment at which the connection stands: nothing was negotiated on it yet.
async fn connect_only(client: &mut Swarm<Behaviour>, addr: Multiaddr) {
    client.dial(addr).unwrap();
    let stands =
        async { while !matches!(client.select_next_some().await, SwarmEvent::ConnectionEstablished { .. }) {} };
    patiently(stands).await;
}

#[tokio::test]
async fn a_call_right_after_the_connection_finds_who_serves_it() {
    for admission in [Admission::Automatic, Admission::ByOwner] {
        let (mut client, server) = (node(1, admission).await, server(2).await);
        let (id, addr) = (*server.local_peer_id(), server.external_addresses().next().unwrap().clone());
        serve(server, Habit::Echoes);
        connect_only(&mut client, addr).await;
        client.behaviour_mut().admit(id);
        let options = CallOptions::default();
        client.behaviour_mut().call(&echo(), Bytes::from_static(b"early"), options).unwrap();
        assert_eq!(until_done(&mut client).await.0, (Ok((id, Bytes::from_static(b"early"))), 1));
    }
}

#[tokio::test]
async fn a_call_ends_when_nobody_connected_speaks_the_protocol() {
    let (mut client, mut deaf) =
        (node(1, Admission::Automatic).await, Swarm::new_ephemeral_tokio(|_| dummy::Behaviour));
    let (_, addr) = deaf.listen().with_memory_addr_external().await;
    tokio::spawn(async move { while deaf.next().await.is_some() {} });
    connect_only(&mut client, addr).await;
    client.behaviour_mut().call(&echo(), Bytes::new(), CallOptions::default()).unwrap();
    let ((result, tries), _) = until_done(&mut client).await;
    assert_eq!((result.unwrap_err().cause, tries), (EndCause::NoPeer, 0));
}

#[tokio::test]
async fn a_global_call_goes_on_past_a_peer_that_cannot_satisfy() {
    let mut client = node(1, Admission::Automatic).await;
    let (mut poor, mut rich) = (server(2).await, server(3).await);
    client.connect(&mut poor).await;
    client.connect(&mut rich).await;
    let (poor_id, rich_id) = (*poor.local_peer_id(), *rich.local_peer_id());
    serve(poor, Habit::CannotSatisfy);
    serve(rich, Habit::Echoes);
    until_told(&mut client, 2).await;
    let options = CallOptions { pin: Some(poor_id), ..CallOptions::default() };
    client.behaviour_mut().call(&echo(), Bytes::from_static(b"x"), options).unwrap();
    let (done, events) = until_done(&mut client).await;
    assert_eq!(done, (Ok((rich_id, Bytes::from_static(b"x"))), 2));
    assert_eq!(conducts(&events)[0], (poor_id, Conduct::CouldNotSatisfy));

    let options = CallOptions { exclude: vec![rich_id], ..CallOptions::default() };
    client.behaviour_mut().call(&echo(), Bytes::new(), options).unwrap();
    let ((result, tries), _) = until_done(&mut client).await;
    let error = result.unwrap_err();
    assert_eq!((error.cause, error.may_have_run(), tries), (EndCause::Exhausted, false, 1));
    let failure = Failure::Refused(Refusal::cannot_satisfy("not here"));
    assert_eq!((error.tried[0].peer, &error.tried[0].failure), (poor_id, &failure));
}

#[tokio::test]
async fn a_peer_that_disconnects_in_a_call_is_followed_by_another() {
    let mut client = node(1, Admission::Automatic).await;
    let (mut leaver, mut stayer) = (server(2).await, server(3).await);
    client.connect(&mut leaver).await;
    client.connect(&mut stayer).await;
    let (leaver_id, stayer_id) = (*leaver.local_peer_id(), *stayer.local_peer_id());
    serve(leaver, Habit::Disconnects);
    serve(stayer, Habit::Echoes);
    until_told(&mut client, 2).await;
    let options = || CallOptions { pin: Some(leaver_id), ..CallOptions::idempotent() };
    client.behaviour_mut().call(&echo(), Bytes::new(), options()).unwrap();
    assert_eq!(until_done(&mut client).await.0, (Ok((stayer_id, Bytes::new())), 2));
    assert_eq!(client.behaviour().peers_serving(&echo()), [stayer_id]);
    let refused = client.behaviour_mut().call_peer(&leaver_id, &echo(), Bytes::new(), CallOptions::default());
    assert_eq!(refused, Err(StartError::NotConnected));
}

#[tokio::test]
async fn a_lost_try_names_the_peer_although_it_is_gone() {
    let mut client = node(1, Admission::Automatic).await;
    let mut leaver = server(2).await;
    client.connect(&mut leaver).await;
    let leaver_id = *leaver.local_peer_id();
    serve(leaver, Habit::Disconnects);
    until_told(&mut client, 1).await;
    client.behaviour_mut().call(&echo(), Bytes::new(), CallOptions::default()).unwrap();
    let ((result, _), _) = until_done(&mut client).await;
    let error = result.unwrap_err();
    assert_eq!((error.cause, error.may_have_run()), (EndCause::NotRepeatable, true));
    assert_eq!((error.tried[0].peer, &error.tried[0].failure), (leaver_id, &Failure::Lost));
}

#[tokio::test]
async fn a_peer_that_comes_back_is_not_asked_again_in_the_same_call() {
    let mut client = node(1, Admission::Automatic).await;
    let (mut leaver, mut silent) = (server(2).await, raw().await);
    client.connect(&mut leaver).await;
    client.connect(&mut silent).await;
    let (leaver_id, silent_id) = (*leaver.local_peer_id(), *silent.local_peer_id());
    let addr = leaver.external_addresses().next().unwrap().clone();
    serve(leaver, Habit::Disconnects);
    run_raw(silent, vec![list()]);
    until_told(&mut client, 2).await;
    let options = CallOptions { pin: Some(leaver_id), ..CallOptions::idempotent() };
    client.behaviour_mut().call(&echo(), Bytes::new(), options).unwrap();
    let closed = async { while !matches!(client.select_next_some().await, SwarmEvent::ConnectionClosed { .. }) {} };
    patiently(closed).await;
    client.dial(addr).unwrap();
    until_told(&mut client, 1).await;
    assert_eq!(client.behaviour().peers_serving(&echo()).len(), 2);
    client.disconnect_peer_id(silent_id).unwrap();
    let ((result, tries), _) = until_done(&mut client).await;
    let error = result.unwrap_err();
    let tried: Vec<PeerId> = error.tried.iter().map(|tried| tried.peer).collect();
    assert_eq!((tried, tries, error.cause), (vec![leaver_id, silent_id], 2, EndCause::Exhausted));
}

#[tokio::test]
async fn sending_and_cancelling_reach_the_peer() {
    let (mut client, mut server) = (node(1, Admission::Automatic).await, server(2).await);
    client.connect(&mut server).await;
    let id = *server.local_peer_id();
    tokio::spawn(async move {
        loop {
            if let SwarmEvent::Behaviour(Event::Told { .. }) = client.select_next_some().await {
                let calls = client.behaviour_mut();
                calls.send(&id, &echo(), Bytes::from_static(b"one way")).unwrap();
                let call = calls.call(&echo(), Bytes::new(), CallOptions::default()).unwrap();
                calls.cancel(call).unwrap();
            }
        }
    });
    let (cancelled, events) = until(&mut server, |event| match event {
        Event::Cancelled { ticket, .. } => Some(*ticket),
        _ => None,
    })
    .await;
    let requests: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::Request { ticket, wants_answer, .. } => Some((*ticket == cancelled, *wants_answer)),
            _ => None,
        })
        .collect();
    assert_eq!(requests, [(false, false), (true, true)]);
}

#[tokio::test]
async fn who_is_not_admitted_is_neither_asked_nor_served() {
    let (mut client, mut server) = (node(1, Admission::ByOwner).await, server(2).await);
    client.connect(&mut server).await;
    let id = *server.local_peer_id();
    serve(server, Habit::Echoes);
    client.behaviour_mut().call(&echo(), Bytes::new(), CallOptions::default()).unwrap();
    let ((result, _), events) = until_done(&mut client).await;
    assert_eq!((result.unwrap_err().cause, events.len()), (EndCause::NoPeer, 1));
    client.behaviour_mut().admit(id);
    until_told(&mut client, 1).await;
    client.behaviour_mut().call(&echo(), Bytes::new(), CallOptions::default()).unwrap();
    assert_eq!(until_done(&mut client).await.0, (Ok((id, Bytes::new())), 1));
    client.behaviour_mut().dismiss(id);
    client.behaviour_mut().call_peer(&id, &echo(), Bytes::new(), CallOptions::default()).unwrap_err();
}

#[tokio::test]
async fn fault_silent_peer_times_out_and_the_next_answers() {
    let (mut client, mut silent, mut honest) = (node(1, Admission::Automatic).await, raw().await, server(2).await);
    client.connect(&mut silent).await;
    client.connect(&mut honest).await;
    let (silent_id, honest_id) = (*silent.local_peer_id(), *honest.local_peer_id());
    run_raw(silent, vec![list()]);
    serve(honest, Habit::Echoes);
    until_told(&mut client, 2).await;
    let options =
        CallOptions { pin: Some(silent_id), try_timeout: Some(Duration::from_millis(50)), ..CallOptions::idempotent() };
    client.behaviour_mut().call(&echo(), Bytes::from_static(b"x"), options).unwrap();
    let (done, events) = until_done(&mut client).await;
    assert_eq!(done, (Ok((honest_id, Bytes::from_static(b"x"))), 2));
    assert_eq!(conducts(&events)[0], (silent_id, Conduct::TimedOut));
    assert!(client.is_connected(&silent_id), "a time-out closes nothing");
}

#[tokio::test]
async fn fault_unasked_answer() {
    let (mut client, mut liar, mut honest) = (node(1, Admission::Automatic).await, raw().await, server(2).await);
    client.connect(&mut honest).await;
    let honest_id = *honest.local_peer_id();
    serve(honest, Habit::Echoes);
    until_told(&mut client, 1).await;
    client.connect(&mut liar).await;
    let liar_id = *liar.local_peer_id();
    let invented = |number| {
        let (number, result) = (NonZeroU64::new(number).unwrap(), Ok(Bytes::from_static(b"invented")));
        RpcMessage::Response(Response { number, result, chunks: 0 }).encode()
    };
    run_raw(liar, (1..=3).map(invented).collect());
    let mut accused = 0;
    until(&mut client, |event| {
        if let Event::Conduct { peer, conduct } = event {
            assert_eq!((*peer, *conduct), (liar_id, Conduct::BrokeProtocol));
            accused += 1;
        }
        (accused == 3).then_some(())
    })
    .await;
    client.behaviour_mut().call(&echo(), Bytes::from_static(b"truth"), CallOptions::default()).unwrap();
    assert_eq!(until_done(&mut client).await.0, (Ok((honest_id, Bytes::from_static(b"truth"))), 1));
    assert_eq!(client.behaviour().stats().unasked, 3);
}

#[tokio::test]
async fn fault_garbage_rpc_frame() {
    let (mut client, mut liar, mut honest) = (node(1, Admission::Automatic).await, raw().await, server(2).await);
    client.connect(&mut honest).await;
    client.connect(&mut liar).await;
    let (liar_id, honest_id) = (*liar.local_peer_id(), *honest.local_peer_id());
    serve(honest, Habit::Echoes);
    let garbage = [&[3, 0x0a, 0x05, 0x01][..], &[1, 0xff], &[2, 0x1a, 0x00]];
    run_raw(liar, garbage.iter().map(|frame| Bytes::copy_from_slice(frame)).chain([list()]).collect());
    let mut told = 0;
    let (_, events) = until(&mut client, |event| {
        told += usize::from(matches!(event, Event::Told { .. }));
        (told == 2).then_some(())
    })
    .await;
    let broke = (liar_id, Conduct::BrokeProtocol);
    assert_eq!(conducts(&events), [broke, broke, broke]);
    assert_eq!(client.behaviour().stats().garbage, 3);
    client.behaviour_mut().call_peer(&honest_id, &echo(), Bytes::new(), CallOptions::default()).unwrap();
    assert_eq!(until_done(&mut client).await.0, (Ok((honest_id, Bytes::new())), 1));
}

type ForeignCodec = BoundedCodec<pb::RpcFrame, pb::RpcFrame>;

fn foreign_client() -> Swarm<request_response::Behaviour<ForeignCodec>> {
    let name = network().protocol_name("rpc-call", 1);
    let codec = BoundedCodec::new(FRAME_MAX, FRAME_MAX);
    let protocols = [(name, ProtocolSupport::Outbound)];
    Swarm::new_ephemeral_tokio(|_| {
        request_response::Behaviour::with_codec(codec, protocols, request_response::Config::default())
    })
}

/// Makes one call on a substream of its own; `None` when the stream ends without an answer.
async fn foreign_call(
    client: &mut Swarm<request_response::Behaviour<ForeignCodec>>,
    peer: &PeerId,
    frame: pb::RpcFrame,
) -> Option<pb::RpcFrame> {
    client.behaviour_mut().send_request(peer, Ok(frame));
    patiently(async {
        loop {
            match client.select_next_some().await {
                SwarmEvent::Behaviour(request_response::Event::Message {
                    message: request_response::Message::Response { response, .. },
                    ..
                }) => return Some(response.unwrap()),
                SwarmEvent::Behaviour(request_response::Event::OutboundFailure { .. }) => return None,
                _ => {}
            }
        }
    })
    .await
}

fn request(number: u64, method: &str) -> pb::RpcFrame {
    let (number, method) = (NonZeroU64::new(number), MethodName::new(method).unwrap());
    let payload = Bytes::from_static(b"from afar");
    RpcMessage::Request(Request { number, method, timeout: None, stream_credit: 0, payload }).to_frame()
}

#[tokio::test]
async fn a_foreign_client_calls_on_a_substream_of_its_own() {
    let (mut client, mut server) = (foreign_client(), server(1).await);
    client.connect(&mut server).await;
    let id = *server.local_peer_id();
    serve(server, Habit::Echoes);
    for number in [0, 7, 7, u64::MAX] {
        let frame = foreign_call(&mut client, &id, request(number, "echo")).await.unwrap();
        let Some(pb::rpc_frame::Kind::Response(response)) = frame.kind else { panic!("{frame:?}") };
        assert_eq!((response.call, response.status), (number, pb::RpcStatus::Ok.into()));
        assert_eq!(response.payload, "from afar");
    }
    let frame = foreign_call(&mut client, &id, request(1, "unknown")).await.unwrap();
    let Ok(Some(RpcMessage::Response(response))) = RpcMessage::from_frame(frame) else { panic!("a response") };
    assert_eq!(response.result, Err(Refusal::new(RefusalKind::NoSuchMethod, "")));
}

#[tokio::test]
async fn fault_a_foreign_client_that_is_not_admitted_or_talks_nonsense_gets_no_answer() {
    let (mut client, mut server) = (foreign_client(), node(1, Admission::ByOwner).await);
    server.behaviour_mut().register(Method::idempotent("echo").unwrap()).unwrap();
    client.connect(&mut server).await;
    let (server_id, client_id) = (*server.local_peer_id(), *client.local_peer_id());
    let answer = tokio::select! {
        answer = foreign_call(&mut client, &server_id, request(1, "echo")) => answer,
        (event, _) = until(&mut server, |event| Some(event.clone())) => panic!("{event:?}"),
    };
    assert_eq!(answer, None);
    server.behaviour_mut().admit_client(client_id);
    let nonsense = RpcMessage::Cancel(NonZeroU64::MIN).to_frame();
    let (answer, accused) = tokio::join!(
        foreign_call(&mut client, &server_id, nonsense),
        until(&mut server, |event| match event {
            Event::Conduct { peer, conduct } => Some((*peer, *conduct)),
            _ => None,
        })
    );
    assert_eq!((answer, accused.0), (None, (client_id, Conduct::BrokeProtocol)));
    serve(server, Habit::Echoes);
    assert!(foreign_call(&mut client, &server_id, request(1, "echo")).await.is_some());
}
