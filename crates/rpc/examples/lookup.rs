//! A key-value lookup that some peers serve, asked globally: `cargo run -p bruit-rpc --example lookup`.
//!
//! Three peers hold a part of the keys each, and say so when they do not have one. The client names no peer: each call finds its
//! way to one that knows.
#![allow(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::{collections::BTreeMap, error::Error};

use bruit_rpc::{Admission, Behaviour, CallOptions, Config, Event, Method, MethodName, NetworkId, Refusal, Seed};
use libp2p_swarm::{Swarm, SwarmEvent};
use libp2p_swarm_test::SwarmExt;

const SHARDS: [&[(&str, &str)]; 3] = [
    &[("ada", "analytical engine"), ("alan", "universal machine")],
    &[("barbara", "substitution"), ("edsger", "shortest path")],
    &[("grace", "compiler"), ("leslie", "logical clock")],
];

fn node(number: u64) -> Result<Swarm<Behaviour>, Box<dyn Error>> {
    let (network, config) = (NetworkId::new("lookup")?, Config::default().validate()?);
    let behaviour = Behaviour::new(&network, config, Seed::from_number(number), Admission::Automatic);
    Ok(Swarm::new_ephemeral_tokio(|_| behaviour))
}

/// A peer that knows some keys, and answers at once.
async fn server(number: u64, known: &[(&'static str, &'static str)]) -> Result<Swarm<Behaviour>, Box<dyn Error>> {
    let known: BTreeMap<_, _> = known.iter().map(|(key, value)| (key.as_bytes(), *value)).collect();
    let mut swarm = node(number)?;
    swarm.behaviour_mut().register_inline(Method::idempotent("lookup")?, move |_, key| {
        known.get(&key[..]).map(|value| (*value).into()).ok_or_else(|| Refusal::cannot_satisfy("unknown key"))
    })?;
    swarm.listen().with_memory_addr_external().await;
    Ok(swarm)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut client = node(0)?;
    for (number, known) in (1..).zip(SHARDS) {
        let mut server = server(number, known).await?;
        client.connect(&mut server).await;
        tokio::spawn(server.loop_on_next());
    }
    let lookup = MethodName::new("lookup")?;
    while client.behaviour().peers_serving(&lookup).len() < SHARDS.len() {
        client.next_swarm_event().await;
    }
    let mut keys = BTreeMap::new();
    for key in ["ada", "edsger", "grace", "nobody"] {
        keys.insert(client.behaviour_mut().call(&lookup, key.into(), CallOptions::idempotent())?, key);
    }
    while !keys.is_empty() {
        if let SwarmEvent::Behaviour(Event::Done { call, result, tries }) = client.next_swarm_event().await {
            let key = keys.remove(&call).unwrap_or_default();
            match result {
                Ok(answer) => {
                    println!("{key}: {} (peers asked: {tries})", String::from_utf8_lossy(&answer.payload));
                }
                Err(error) => println!("{key}: {error}"),
            }
        }
    }
    Ok(())
}
