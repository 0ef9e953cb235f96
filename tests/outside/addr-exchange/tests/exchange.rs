//! Who dials asks for addresses, and gets what the other knows.
#![allow(missing_docs, clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test")]

use bruit_addr_exchange::{Audience, Endpoint, Event, PeerAddr, PeerId};
use libp2p::{futures::StreamExt, identify, swarm::SwarmEvent};
use outside_addr_exchange::{Behaviour, BehaviourEvent};
use outside_net::{in_time, listen, swarm};

#[tokio::test]
async fn addresses_are_asked_for_and_told() {
    let (mut alice, mut bob) = (swarm(|key| Behaviour::new(key, 1)), swarm(|key| Behaviour::new(key, 2)));
    let endpoint = Endpoint::tcp([9, 8, 7, 6].into(), 4_001);
    let known = PeerAddr::new(Some(PeerId::random()), vec![endpoint], None);
    let addr = listen(&mut bob).await;
    alice.dial(addr).unwrap();

    let (mut told, mut pinged, mut identified) = (None, false, false);
    in_time(async {
        while told.is_none() || !pinged || !identified {
            tokio::select! {
                event = alice.select_next_some() => match event {
                    SwarmEvent::Behaviour(BehaviourEvent::AddrExchange(Event::Received { peer, addrs, asked, dropped, .. })) => {
                        assert_eq!((&peer, asked, dropped), (bob.local_peer_id(), true, 0));
                        told = Some(addrs);
                    }
                    SwarmEvent::Behaviour(BehaviourEvent::Ping(ping)) => pinged = ping.result.is_ok(),
                    _ => {}
                },
                event = bob.select_next_some() => match event {
                    SwarmEvent::Behaviour(BehaviourEvent::AddrExchange(Event::Asked { request, audience, .. })) => {
                        assert_eq!(audience, Audience::Machine);
                        bob.behaviour_mut().addr_exchange.answer(request, vec![known.clone()]);
                    }
                    SwarmEvent::Behaviour(BehaviourEvent::Identify(identify::Event::Received { .. })) => identified = true,
                    _ => {}
                },
            }
        }
    })
    .await;
    assert_eq!(told, Some(vec![known]));
}
