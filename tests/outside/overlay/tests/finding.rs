//! Nodes that know one seed each find each other.
#![allow(missing_docs, clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test")]

use bruit_peering::{Endpoint, NetworkId, Seed};
use libp2p::{Swarm, futures::StreamExt, swarm::SwarmEvent};
use outside_net::{in_time, listen, swarm};
use outside_overlay::{Behaviour, behaviour, couple};

fn node(number: u64) -> Swarm<Behaviour> {
    let (network, seed) = (NetworkId::new("outside").unwrap(), Seed::from_number(number));
    swarm(|key| behaviour(key.public().to_peer_id(), &network, &seed, true).unwrap())
}

async fn step(swarm: &mut Swarm<Behaviour>) {
    if let SwarmEvent::Behaviour(event) = swarm.select_next_some().await {
        couple(swarm.behaviour_mut(), event);
    }
}

#[tokio::test]
async fn who_knows_one_address_finds_all() {
    let (mut first, mut second, mut third) = (node(1), node(2), node(3));
    let mut at = Vec::new();
    for node in [&mut first, &mut second, &mut third] {
        at.push(Endpoint::from_multiaddr(&listen(node).await).unwrap().0);
    }
    // The third is not told of the second, nor the second of the third.
    assert!(second.behaviour_mut().peering.add_node(at[0].clone(), None));
    assert!(third.behaviour_mut().peering.add_node(at[0].clone(), None));
    in_time(async {
        while second.behaviour().peering.peers().count() < 2 || third.behaviour().peering.peers().count() < 2 {
            tokio::select! {
                () = step(&mut first) => {}
                () = step(&mut second) => {}
                () = step(&mut third) => {}
            }
        }
    })
    .await;
    for (node, others) in [(&second, [&first, &third]), (&third, [&first, &second])] {
        let peering = &node.behaviour().peering;
        assert!(others.iter().all(|other| peering.peers().any(|view| view.peer == *other.local_peer_id())));
    }
}
