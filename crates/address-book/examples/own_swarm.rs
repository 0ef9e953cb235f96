//! An address book in a swarm of one's own: two nodes that meet because the book of one knows where the other lives.
//!
//! `cargo run -p bruit-address-book --example own_swarm`

#![allow(clippy::print_stdout, clippy::wildcard_enum_match_arm, reason = "an example")]

use bruit_address_book::{AddressBook, Behaviour, Conduct, Config, Endpoint, Seed};
use libp2p_swarm::{Swarm, SwarmEvent};
use libp2p_swarm_test::SwarmExt;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let config = Config { allow_private_addrs: true, ..Config::default() }.validate()?;
    let new_swarm = || {
        let (config, seed) = (config.clone(), Seed::from_number(1));
        Swarm::new_ephemeral_tokio(move |_| Behaviour::new(AddressBook::new(config, seed)))
    };
    let (mut alice, mut bob) = (new_swarm(), new_swarm());
    let (addr, _) = bob.listen().with_memory_addr_external().await;
    tokio::spawn(bob.loop_on_next());

    // Alice's book hears of an endpoint, and says whom to dial.
    alice.behaviour_mut().add_seed(Endpoint::from_multiaddr(&addr)?.0, None);
    let dial = alice.behaviour_mut().next_dial(|_| true).ok_or("the book knows nobody")?;
    alice.dial(dial)?;
    let bob = alice
        .wait(|event| match event {
            SwarmEvent::ConnectionEstablished { peer_id, .. } => Some(peer_id),
            _ => None,
        })
        .await;

    // What the application sees of Bob makes up his quality, and the book says how.
    alice.behaviour_mut().conduct(bob, Conduct::DeliveredFirst, 10);
    let (book, now) = (alice.behaviour().book(), alice.behaviour().now());
    for value in book.quality(&bob, now).parts {
        println!("{:<12} {:>6}", value.part.name(), value.points);
    }
    println!("{:<12} {:>6}", "together", book.quality(&bob, now).total);
    Ok(())
}
