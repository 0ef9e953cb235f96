//! What the book proposes is dialled, and the book learns who lives there and who answers.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

use std::time::{SystemTime, UNIX_EPOCH};

use bruit_address_book::{AddressBook, Config, Endpoint, Heard, Hearsay, Seed, Source, Table, Timestamp};
use libp2p::{futures::StreamExt, ping, swarm::SwarmEvent};
use outside_address_book::{dial, learn};
use outside_net::{in_time, listen, swarm};

fn now() -> Timestamp {
    Timestamp::from_secs(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs())
}

#[tokio::test]
async fn what_the_book_proposes_is_dialled() {
    let (mut alice, mut bob) = (swarm(|_| ping::Behaviour::default()), swarm(|_| ping::Behaviour::default()));
    let config = Config { allow_private_addrs: true, ..Config::default() };
    let mut book = AddressBook::new(config.validate().unwrap(), Seed::from_number(1));
    let (endpoint, _) = Endpoint::from_multiaddr(&listen(&mut bob).await).unwrap();
    let news = Hearsay { peer: None, endpoint: endpoint.clone(), last_seen: None, source: Source::Seed };
    assert_eq!(book.heard(news, now()), Heard::Added);
    let before = book.quality(bob.local_peer_id(), now());

    assert_eq!(dial(&mut alice, &mut book, now()), Some(endpoint.clone()));
    in_time(async {
        loop {
            tokio::select! {
                event = alice.select_next_some() => {
                    learn(&mut book, &endpoint, &event, now());
                    if matches!(event, SwarmEvent::Behaviour(ping::Event { result: Ok(_), .. })) {
                        break;
                    }
                }
                _ = bob.select_next_some() => {}
            }
        }
    })
    .await;
    let entry = book.entry(&endpoint, now()).unwrap();
    assert_eq!((entry.peer, entry.table), (Some(*bob.local_peer_id()), Table::Tried));
    assert_ne!(book.quality(bob.local_peer_id(), now()), before);
}
