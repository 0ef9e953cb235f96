//! An engine of one's own in the simulator: whoever hears the rumour first tells three neighbours.
#![allow(clippy::print_stdout, reason = "an example")]

use std::time::Duration;

use bruit_core::{ChaCha8Rng, Seed, Timestamp};
use bruit_sim::{Frame, Latency, Links, Net, Node, Overlay, Port, START, Trace, World};
use rand::RngExt;

#[derive(Clone)]
struct Rumour;

struct Gossip {
    rng: ChaCha8Rng,
    has_heard: bool,
}

impl Gossip {
    fn hear(&mut self, net: &mut Net<Self>) {
        if std::mem::replace(&mut self.has_heard, true) {
            return;
        }
        net.tally += 1;
        for _ in 0..3 {
            net.send(Port(self.rng.random_range(0..net.degree())), Rumour);
        }
    }
}

impl Node for Gossip {
    type Message = Rumour;
    type Signal = ();
    /// How many have heard it.
    type Tally = u32;

    fn started(&mut self, _: &mut Net<Self>) {}

    fn received(&mut self, _: Port, _: Rumour, net: &mut Net<Self>) {
        self.hear(net);
    }

    fn called(&mut self, (): (), _: &mut Net<Self>) {}
}

impl Frame for Rumour {
    fn encoded_len(&self) -> usize {
        32
    }

    fn kind(&self) -> &'static str {
        "rumour"
    }

    fn trace(&self, _: &mut Trace) {}

    fn through_wire(&self, _: Timestamp) -> Option<Self> {
        Some(Self)
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let seed = Seed::from_number(1);
    let overlay = Overlay::random(100_000, 8, &seed)?;
    let [min, max] = [10, 50].map(Duration::from_millis);
    let links = Links::of(Latency::Uniform { min, max });
    let gossip = |node| Gossip { rng: seed.derive("gossip", u64::from(node)).rng(), has_heard: false };
    let mut world = World::linked(&overlay, links, 0, &seed, START, gossip);
    world.with(0, Gossip::hear);
    world.run_until(START.after(Duration::from_secs(10)));
    println!("{} of {} have heard it; trace {}", world.tally(), overlay.nodes(), world.trace());
    Ok(())
}
