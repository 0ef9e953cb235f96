//! iroh-gossip in its own simulator, as the registry has it.

use std::{
    fmt::{self, Write},
    time::Instant,
};

use bytes::Bytes;
use iroh_gossip::proto::sim::{BootstrapMode, LatencyConfig, NetworkConfig, Simulator, SimulatorConfig};

use super::contest::{LATENCY_MS, Origin, Row, Scenario};

/// What a run showed, and how fast it was.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub(super) row: Row,
    pub(super) events_per_second: f64,
}

/// One scenario from one seed, as iroh-gossip's own suite makes it.
pub(super) fn run(scenario: Scenario, seed: u64) -> anyhow::Result<Run> {
    let [min, max] = LATENCY_MS;
    let latency = LatencyConfig::random_ms(min, max);
    let config = SimulatorConfig { rng_seed: seed, peers: scenario.nodes as usize, ..SimulatorConfig::default() };
    let mut simulator = Simulator::new(config, NetworkConfig { latency, ..NetworkConfig::default() });
    simulator.bootstrap(BootstrapMode::Single);
    let (events, started) = (events(&simulator)?, Instant::now());
    let single = simulator.random_peer();
    for round in 0..scenario.rounds {
        let from = match scenario.origin {
            Origin::Single => vec![single],
            Origin::Random => vec![simulator.random_peer()],
            Origin::Everybody => simulator.network.peer_ids().collect(),
        };
        let message = |from| (from, Bytes::from(format!("m{round} of {from}")));
        simulator.gossip_round(from.into_iter().map(message).collect());
    }
    let seconds = started.elapsed().as_secs_f64();
    let happened = self::events(&simulator)?.saturating_sub(events);
    let mean = simulator.round_stats_average().mean;
    let row = Row {
        redundancy: mean.rmr.into(),
        missed: mean.missed.into(),
        last_ms: mean.duration.as_secs_f64() * 1_000.0,
        last_hop: mean.ldh.into(),
    };
    Ok(Run { row, events_per_second: happened as f64 / seconds })
}

/// How much has happened to nodes. The simulator counts it, and says it in its debug form only, at the beginning.
fn events(simulator: &Simulator) -> anyhow::Result<u64> {
    let mut beginning = Beginning(String::new());
    // It ends with an error when it has enough.
    _ = write!(beginning, "{:?}", simulator.network);
    let (_, from_number) =
        beginning.0.split_once("tick: ").ok_or_else(|| anyhow::anyhow!("the simulator does not say its ticks"))?;
    let digits: String = from_number.chars().take_while(char::is_ascii_digit).collect();
    Ok(digits.parse()?)
}

/// The first bytes of what is written.
struct Beginning(String);

impl Write for Beginning {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.push_str(text);
        if self.0.len() < 512 { Ok(()) } else { Err(fmt::Error) }
    }
}
