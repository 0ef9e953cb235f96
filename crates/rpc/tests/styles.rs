//! Styles of calls in a swarm: streamed answers, inline methods, and lanes that do not wait for each other. By order and counts,
//! never by time.
#![allow(missing_docs, clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test")]

use std::time::Duration;

use bruit_rpc::{
    Admission, Behaviour, CallId, CallOptions, Config, Event, Method, MethodName, NetworkId, Seed, Ticket,
};
use bytes::Bytes;
use futures::StreamExt;
use libp2p_swarm::{Swarm, SwarmEvent};
use libp2p_swarm_test::SwarmExt;

const PATIENCE: Duration = Duration::from_secs(20);
const PART: usize = 128 * 1024;
/// 4 MiB.
const PARTS: u8 = 32;

fn method(name: &str) -> MethodName {
    MethodName::new(name).unwrap()
}

async fn node(number: u64) -> Swarm<Behaviour> {
    let config = Config { stream_window: 512 * 1024, ..Config::default() };
    let network = NetworkId::new("styles").unwrap();
    let behaviour =
        Behaviour::new(&network, config.validate().unwrap(), Seed::from_number(number), Admission::Automatic);
    let mut swarm = Swarm::new_ephemeral_tokio(|_| behaviour);
    swarm.listen().with_memory_addr_external().await;
    swarm
}

/// A server of `file`, in parts of 128 KiB, and of `ping`, at once.
async fn server() -> Swarm<Behaviour> {
    let mut swarm = node(1).await;
    swarm.behaviour_mut().register(Method::idempotent("file").unwrap()).unwrap();
    swarm.behaviour_mut().register_inline(Method::idempotent("ping").unwrap(), |_, payload| Ok(payload)).unwrap();
    swarm
}

/// Sends what there is room for; the number of the next part.
fn send_parts(behaviour: &mut Behaviour, ticket: Ticket, mut next: u8) -> u8 {
    while next < PARTS && behaviour.send_chunk(ticket, vec![next; PART].into()).is_ok() {
        next += 1;
    }
    if next == PARTS {
        behaviour.answer(ticket, Ok(Bytes::new())).unwrap();
        next += 1;
    }
    next
}

fn serve(mut swarm: Swarm<Behaviour>) {
    tokio::spawn(async move {
        let mut next = 0;
        loop {
            match swarm.select_next_some().await {
                SwarmEvent::Behaviour(Event::Request { ticket, wants_stream, .. }) => {
                    assert!(wants_stream);
                    next = send_parts(swarm.behaviour_mut(), ticket, 0);
                }
                SwarmEvent::Behaviour(Event::Room { ticket, .. }) => {
                    next = send_parts(swarm.behaviour_mut(), ticket, next);
                }
                _ => {}
            }
        }
    });
}

async fn next(swarm: &mut Swarm<Behaviour>) -> Event<bruit_rpc::PeerId> {
    let event = async {
        loop {
            if let SwarmEvent::Behaviour(event) = swarm.select_next_some().await {
                return event;
            }
        }
    };
    tokio::time::timeout(PATIENCE, event).await.expect("what the test waits for does not come")
}

/// A client that knows what its server serves.
async fn client_of(server: &mut Swarm<Behaviour>) -> Swarm<Behaviour> {
    let mut client = node(2).await;
    client.connect(server).await;
    client
}

async fn told(client: &mut Swarm<Behaviour>) {
    while !matches!(next(client).await, Event::Told { methods, .. } if methods.len() == 2) {}
}

fn streamed() -> CallOptions<bruit_rpc::PeerId> {
    CallOptions { stream: true, ..CallOptions::idempotent() }
}

#[tokio::test]
async fn an_answer_of_4_mib_comes_in_chunks_as_its_reader_takes_them() {
    let mut server = server().await;
    let mut client = client_of(&mut server).await;
    serve(server);
    told(&mut client).await;
    let call = client.behaviour_mut().call(&method("file"), Bytes::new(), streamed()).unwrap();
    let mut parts = Vec::new();
    loop {
        match next(&mut client).await {
            Event::Chunk { payload, .. } => {
                assert!(payload.len() == PART && payload.iter().all(|byte| *byte == payload[0]));
                parts.push(payload[0]);
                client.behaviour_mut().chunk_taken(call).unwrap();
            }
            Event::Done { result, .. } => {
                result.unwrap();
                break;
            }
            _ => {}
        }
    }
    assert_eq!(parts, (0..PARTS).collect::<Vec<u8>>());
}

#[tokio::test]
async fn fault_a_reader_that_takes_nothing_holds_up_nobody_else() {
    let mut server = server().await;
    let mut client = client_of(&mut server).await;
    serve(server);
    told(&mut client).await;
    let stuck = client.behaviour_mut().call(&method("file"), Bytes::new(), streamed()).unwrap();
    let ping = |client: &mut Swarm<Behaviour>| -> CallId {
        client.behaviour_mut().call(&method("ping"), Bytes::from_static(b"?"), CallOptions::idempotent()).unwrap()
    };
    let mut chunks = 0;
    while chunks < 3 {
        chunks += usize::from(matches!(next(&mut client).await, Event::Chunk { .. }));
    }
    for _ in 0..200 {
        let wanted = ping(&mut client);
        loop {
            match next(&mut client).await {
                Event::Done { call, result, .. } => {
                    assert_eq!(call, wanted, "the answer that nobody takes does not end");
                    assert_eq!(result.unwrap().payload, "?");
                    break;
                }
                Event::Chunk { .. } => chunks += 1,
                _ => {}
            }
        }
    }
    assert_eq!(chunks, 3, "512 KiB are granted, and a chunk counts a little more than its bytes");
    client.behaviour_mut().cancel(stuck).unwrap();
    assert!(matches!(next(&mut client).await, Event::Done { call, result: Err(_), .. } if call == stuck));
}

#[tokio::test]
async fn small_calls_overtake_a_large_answer() {
    let mut server = server().await;
    let mut client = client_of(&mut server).await;
    serve(server);
    told(&mut client).await;
    let large = client.behaviour_mut().call(&method("file"), Bytes::new(), streamed()).unwrap();
    let small: Vec<CallId> = (0..20)
        .map(|_| client.behaviour_mut().call(&method("ping"), Bytes::new(), CallOptions::idempotent()).unwrap())
        .collect();
    let mut ended = Vec::new();
    while ended.len() < 21 {
        match next(&mut client).await {
            Event::Done { call, result, .. } => {
                result.unwrap();
                ended.push(call);
            }
            Event::Chunk { call, .. } => client.behaviour_mut().chunk_taken(call).unwrap(),
            _ => {}
        }
    }
    assert_eq!(ended.last(), Some(&large));
    assert_eq!(ended[..20], small);
}
