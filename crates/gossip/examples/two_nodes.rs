//! Two nodes on TCP, Noise and Yamux, one of which publishes three signed items: `cargo run -p bruit-gossip --example two_nodes`.
//!
//! It ends by itself, after the other node was delivered all three and has refused to relay one of them.
#![allow(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::{collections::BTreeMap, error::Error};

use bruit_gossip::{Admission, Behaviour, Config, Event, NetworkId, Seed, Signatures, Topic, TopicConfig, Verdict};
use futures::StreamExt;
use libp2p::{Swarm, SwarmBuilder, noise, swarm::SwarmEvent, tcp, yamux};

const HEADLINES: [&str; 3] = ["a stone fell into the water", "the moon is a cheese", "the rings grow wider"];

fn node(seed: u64) -> Result<Swarm<Behaviour>, Box<dyn Error>> {
    let news = TopicConfig { signatures: Signatures::Required, ..TopicConfig::default() };
    let config = Config { topics: BTreeMap::from([(Topic::new("news")?, news)]), ..Config::default() }.validate()?;
    let network = NetworkId::new("example")?;
    let swarm = SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(tcp::Config::default().nodelay(true), noise::Config::new, yamux::Config::default)?
        .with_behaviour(|key| {
            let mut gossip = Behaviour::new(&network, config, Seed::from_number(seed), Admission::Automatic);
            gossip.sign_as(key.clone());
            gossip
        })?
        .build();
    Ok(swarm)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let (mut alice, mut bob) = (node(1)?, node(2)?);
    let news = Topic::new("news")?;
    bob.behaviour_mut().subscribe(news.clone())?;
    bob.listen_on("/ip4/127.0.0.1/tcp/0".parse()?)?;

    let mut delivered = 0;
    while delivered < HEADLINES.len() {
        tokio::select! {
            event = alice.select_next_some() => {
                if let SwarmEvent::Behaviour(Event::PeerSubscribed { peer, topic }) = event {
                    println!("alice: {peer} wants {topic}");
                    for headline in HEADLINES {
                        alice.behaviour_mut().publish(topic.clone(), headline)?;
                    }
                }
            }
            event = bob.select_next_some() => {
                if let SwarmEvent::NewListenAddr { address, .. } = event {
                    alice.dial(address)?;
                } else if let SwarmEvent::Behaviour(Event::Item { id, author, payload, .. }) = event {
                    let is_news = !payload.ends_with(b"cheese");
                    let verdict = if is_news { Verdict::Accept } else { Verdict::Reject };
                    let (text, author) = (String::from_utf8_lossy(&payload), author.ok_or("it names no author")?);
                    println!("bob: {text:?}, signed by {author}: {verdict:?}");
                    bob.behaviour_mut().report(id, verdict);
                    delivered += 1;
                }
            }
        }
    }
    let stats = bob.behaviour().stats();
    println!("bob: {} items delivered, {} of them rejected", stats.delivered, stats.rejected);
    Ok(())
}
