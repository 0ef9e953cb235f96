//! What the book proposes is dialled, and the book learns who lives there and who answers.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

use std::time::{SystemTime, UNIX_EPOCH};

use bruit_address_book::{Endpoint, Heard, Part, Seed, Table, Timestamp};
use libp2p::{futures::StreamExt, ping, swarm::SwarmEvent};
use outside_address_book::{BehaviourEvent, behaviour, book, dial, learn, start_from};
use outside_net::{in_time, listen, swarm};

fn now() -> Timestamp {
    Timestamp::from_secs(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() + 1)
}

#[tokio::test]
async fn what_the_book_proposes_is_dialled() {
    let mut alice = swarm(|key| behaviour(key.public().to_peer_id(), Seed::from_number(1), true).unwrap());
    let mut bob = swarm(|_| ping::Behaviour::default());
    let (endpoint, _) = Endpoint::from_multiaddr(&listen(&mut bob).await).unwrap();
    assert!(!dial(&mut alice).unwrap());
    assert_eq!(start_from(&mut alice, endpoint.clone()), Heard::Added);
    assert!(dial(&mut alice).unwrap());
    in_time(async {
        loop {
            tokio::select! {
                event = alice.select_next_some() => {
                    learn(&mut alice, &event);
                    if matches!(event, SwarmEvent::Behaviour(BehaviourEvent::Ping(ping::Event { result: Ok(_), .. }))) {
                        break;
                    }
                }
                _ = bob.select_next_some() => {}
            }
        }
    })
    .await;
    let entry = book(&alice).entry(&endpoint, now()).unwrap();
    assert_eq!((entry.peer, entry.table), (Some(*bob.local_peer_id()), Table::Tried));
    let quality = book(&alice).quality(bob.local_peer_id(), now());
    assert!(quality.parts.iter().any(|value| value.part == Part::Rpc && value.points > 0));
    assert_eq!(quality.parts.iter().map(|value| value.points).sum::<i32>(), quality.total);
}
