//! Address book, address exchange and peering in a swarm of its own: nodes that know one another's seed find everybody.
#![allow(missing_docs, reason = "the event that the derive makes has none")]
#![allow(clippy::wildcard_enum_match_arm, reason = "an application looks at the events that it needs")]

use std::error::Error;

use bruit_addr_exchange::{Behaviour as Exchange, Event as Exchanged, NetworkId, PeerAddr, Seed};
use bruit_address_book::{AddressBook, Behaviour as Book};
use bruit_peering::{Behaviour as Peering, Event as Peered, Standing};
use libp2p::{PeerId, swarm::NetworkBehaviour};

use BehaviourEvent as Told;

/// Who is out there, how that travels, and who is connected.
#[derive(NetworkBehaviour)]
pub struct Behaviour {
    /// Who is out there; it learns from every dial of the swarm.
    pub book: Book,
    /// How that travels.
    pub exchange: Exchange,
    /// Who is connected.
    pub peering: Peering,
}

/// Makes the behaviours; private addresses are welcome only on a local network. The seed stays secret.
pub fn behaviour(own: PeerId, network: &NetworkId, seed: &Seed, local: bool) -> Result<Behaviour, Box<dyn Error>> {
    let book = bruit_address_book::Config { allow_private_addrs: local, ..Default::default() }.validate()?;
    let exchange = bruit_addr_exchange::Config { allow_private_addrs: local, ..Default::default() }.validate()?;
    let peering = bruit_peering::Config::default().validate(network.clone(), "outside/1")?;
    let mut book = AddressBook::new(book, seed.derive("book", 0));
    book.own_peer(own);
    let exchange = Exchange::new(network, exchange, seed.derive("exchange", 0));
    Ok(Behaviour { book: Book::new(book), exchange, peering: Peering::new(peering, own, seed.derive("peering", 0)) })
}

/// Passes on what one behaviour says to those whom it concerns.
pub fn couple(Behaviour { book, exchange, peering }: &mut Behaviour, event: Told) {
    match event {
        Told::Peering(Peered::PeerUp { peer, hello, remote, .. }) => {
            exchange.admit(&peer);
            book.hello_received(peer, &hello.listen, &remote);
        }
        Told::Peering(Peered::PeerDown { peer }) => exchange.dismiss(&peer),
        // Not every peer may be asked again so soon; then another one will be.
        Told::Peering(Peered::Met { peer }) => drop(exchange.ask(&peer)),
        Told::Peering(Peered::CandidatesWanted { count }) => {
            let choices = (0..count).map_while(|_| book.next_choice(|_| true));
            let dials = choices.map(|it| peering.dial(it.endpoint, it.peer, Standing::of(it.was_reached, it.source))).count();
            (dials < count).then(|| peering.candidates_exhausted());
        }
        Told::Exchange(Exchanged::Asked { request, audience, .. }) => {
            let told = book.sample(audience);
            let told = told.iter().map(|it| PeerAddr::new(it.peer, it.endpoints.to_vec(), Some(it.last_seen)));
            exchange.answer(request, told.collect());
        }
        Told::Exchange(Exchanged::Received { peer: told_by, addrs, .. }) => {
            addrs.into_iter().for_each(|it| book.heard_from(told_by, it.peer, it.endpoints, it.last_seen));
            peering.addresses_learned();
        }
        _ => {}
    }
}
