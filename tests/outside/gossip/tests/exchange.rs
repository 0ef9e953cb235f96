//! An item travels from one node to another.
#![allow(missing_docs, clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test")]

use bruit_gossip::{Event, Reported, Topic, Verdict};
use libp2p::{futures::StreamExt, identify, swarm::SwarmEvent};
use outside_gossip::{Behaviour, BehaviourEvent};
use outside_net::{in_time, listen, swarm};

#[tokio::test]
async fn an_item_travels() {
    let (mut alice, mut bob) = (swarm(|key| Behaviour::new(key, 1)), swarm(|key| Behaviour::new(key, 2)));
    let news = Topic::new("news").unwrap();
    bob.behaviour_mut().gossip.subscribe(news.clone()).unwrap();
    let addr = listen(&mut bob).await;
    alice.dial(addr).unwrap();

    let (mut published, mut delivered, mut pinged, mut identified) = (None, None, false, false);
    in_time(async {
        while delivered.is_none() || !pinged || !identified {
            tokio::select! {
                event = alice.select_next_some() => match event {
                    SwarmEvent::Behaviour(BehaviourEvent::Gossip(Event::PeerSubscribed { peer, topic })) => {
                        assert_eq!((&peer, &topic), (bob.local_peer_id(), &news));
                        published = Some(alice.behaviour_mut().gossip.publish(topic, "a stone fell").unwrap());
                    }
                    SwarmEvent::Behaviour(BehaviourEvent::Ping(ping)) => pinged = ping.result.is_ok(),
                    _ => {}
                },
                event = bob.select_next_some() => match event {
                    SwarmEvent::Behaviour(BehaviourEvent::Gossip(Event::Item { id, from, payload, .. })) => {
                        assert_eq!((&from, &payload[..]), (alice.local_peer_id(), &b"a stone fell"[..]));
                        assert_eq!(bob.behaviour_mut().gossip.report(id, Verdict::Accept), Reported::Relayed);
                        delivered = Some(id);
                    }
                    SwarmEvent::Behaviour(BehaviourEvent::Identify(identify::Event::Received { .. })) => identified = true,
                    _ => {}
                },
            }
        }
    })
    .await;
    assert_eq!(delivered, published);
}
