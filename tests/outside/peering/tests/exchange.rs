//! A named peer is dialled, greeted, and left with a word.
#![allow(missing_docs, clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test")]

use bruit_peering::{DepartureCause, Endpoint, Event, Goodbye, GoodbyeReason, SlotClass};
use libp2p::{futures::StreamExt, identify, swarm::SwarmEvent};
use outside_net::{in_time, listen, swarm};
use outside_peering::{Behaviour, BehaviourEvent};

#[tokio::test]
async fn a_named_peer_is_greeted_and_left() {
    let (mut alice, mut bob) = (swarm(|key| Behaviour::new(key, 1)), swarm(|key| Behaviour::new(key, 2)));
    let (endpoint, _) = Endpoint::from_multiaddr(&listen(&mut bob).await).unwrap();
    assert!(alice.behaviour_mut().peering.add_node(endpoint.clone(), None));

    let (mut is_up, mut said, mut left, mut pinged, mut identified) = (false, false, false, false, false);
    in_time(async {
        while !left {
            tokio::select! {
                event = alice.select_next_some() => match event {
                    SwarmEvent::Behaviour(BehaviourEvent::Peering(Event::PeerUp { peer, class, hello, .. })) => {
                        assert_eq!((&peer, class), (bob.local_peer_id(), SlotClass::Manual));
                        assert_eq!((&hello.agent[..], &hello.listen), ("outside/1", &vec![endpoint.clone()]));
                        is_up = true;
                    }
                    SwarmEvent::Behaviour(BehaviourEvent::Ping(ping)) => pinged = ping.result.is_ok(),
                    _ => {}
                },
                event = bob.select_next_some() => match event {
                    SwarmEvent::Behaviour(BehaviourEvent::Peering(Event::PeerDown { peer })) => {
                        assert_eq!(&peer, alice.local_peer_id());
                        left = true;
                    }
                    SwarmEvent::Behaviour(BehaviourEvent::Identify(identify::Event::Received { .. })) => identified = true,
                    _ => {}
                },
            }
            if is_up && pinged && identified && !said {
                said = alice.behaviour_mut().peering.say_goodbye(*bob.local_peer_id(), GoodbyeReason::Requested);
            }
        }
    })
    .await;
    let causes: Vec<_> = bob.behaviour().peering.departures().map(|departure| &departure.cause).collect();
    assert_eq!(causes, [&DepartureCause::Received(Goodbye::because(GoodbyeReason::Requested))]);
}
