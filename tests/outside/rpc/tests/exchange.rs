//! A call is answered.
#![allow(missing_docs, clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test")]

use bruit_rpc::{Bytes, CallOptions, Event, Method, MethodName};
use libp2p::{futures::StreamExt, identify, swarm::SwarmEvent};
use outside_net::{in_time, listen, swarm};
use outside_rpc::{Behaviour, BehaviourEvent};

#[tokio::test]
async fn a_call_is_answered() {
    let (mut client, mut server) = (swarm(|key| Behaviour::new(key, 1)), swarm(|key| Behaviour::new(key, 2)));
    server.behaviour_mut().rpc.register(Method::idempotent("double").unwrap()).unwrap();
    let double = MethodName::new("double").unwrap();
    let addr = listen(&mut server).await;
    client.dial(addr).unwrap();

    let (mut started, mut answered, mut pinged, mut identified) = (None, None, false, false);
    in_time(async {
        while answered.is_none() || !pinged || !identified {
            tokio::select! {
                event = client.select_next_some() => match event {
                    SwarmEvent::Behaviour(BehaviourEvent::Rpc(Event::Told { methods, .. })) if methods.contains(&double) => {
                        let rpc = &mut client.behaviour_mut().rpc;
                        started = Some(rpc.call(&double, Bytes::from_static(&[21]), CallOptions::idempotent()).unwrap());
                    }
                    SwarmEvent::Behaviour(BehaviourEvent::Rpc(Event::Done { call, result, tries })) => {
                        let answer = result.unwrap();
                        assert_eq!((&answer.from, &answer.payload[..], tries), (server.local_peer_id(), &[42][..], 1));
                        answered = Some(call);
                    }
                    SwarmEvent::Behaviour(BehaviourEvent::Ping(ping)) => pinged = ping.result.is_ok(),
                    _ => {}
                },
                event = server.select_next_some() => match event {
                    SwarmEvent::Behaviour(BehaviourEvent::Rpc(Event::Request { ticket, payload, .. })) => {
                        let doubled: Vec<u8> = payload.iter().map(|byte| 2 * byte).collect();
                        server.behaviour_mut().rpc.answer(ticket, Ok(doubled.into())).unwrap();
                    }
                    SwarmEvent::Behaviour(BehaviourEvent::Identify(identify::Event::Received { .. })) => identified = true,
                    _ => {}
                },
            }
        }
    })
    .await;
    assert_eq!(answered, started);
}
