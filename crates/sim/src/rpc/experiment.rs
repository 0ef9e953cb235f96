use std::time::Duration;

use bruit_core::Seed;
use bruit_rpc::{Engine, ValidConfig};
use rand::seq::SliceRandom;

use super::node::{Calls, Load, Role, RpcNode};
use crate::{Fault, Figures, Latency, Links, Overlay, START, TraceHash, TraceLines, Wire, World};

/// Calls of one node among peers of whom some are silent or lie.
pub(super) struct Experiment {
    pub(super) peers: u32,
    pub(super) silent: u32,
    pub(super) wrong: u32,
    pub(super) turncoats: u32,
    pub(super) behaves_for: u32,
    pub(super) warm_up: u32,
    pub(super) calls: u32,
    pub(super) round_trip: Latency,
    pub(super) engine: ValidConfig,
    pub(super) links: Links,
    pub(super) wire: Wire,
    pub(super) lines: Option<TraceLines>,
    pub(super) seed: Seed,
}

const SERIAL: Load = Load { hedge: false, every: None };
const HEDGED: Load = Load { hedge: true, every: None };
const OPEN: Load = Load { hedge: false, every: Some(Duration::from_millis(100)) };
/// How long half of the peers are cut off, and how long each measurement before and after takes, in seconds.
const CUT_SECS: u64 = 60;
const CALLER: u32 = 0;

impl Experiment {
    /// All four parts: without hedging, with it, with turncoats, and over a partition.
    pub(super) fn run(&self) -> (Figures, Vec<TraceHash>, Vec<String>) {
        let mut figures = Figures::default();
        let mut traces = Vec::new();
        let mut believed = 0;
        for (part, load) in [("plain", SERIAL), ("hedged", HEDGED)] {
            let mut world = self.world(part, &self.roles(0));
            let cold = self.calls(&mut world, self.warm_up, load);
            let warm = self.calls(&mut world, self.calls, load);
            believed += cold.believed + warm.believed;
            figures.share("success", warm.ok.into(), warm.made.into());
            if load.hedge {
                figures.mean("p99_over_oracle", percentile(&warm.times) as f64 / percentile(&warm.draws).max(1) as f64);
                figures.share("wasted_per_call_hedged", warm.wasted.into(), warm.made.into());
            } else {
                figures.share("cold_success", cold.ok.into(), cold.made.into());
                figures.share("cold_wasted_per_call", cold.wasted.into(), cold.made.into());
                figures.share("wasted_per_call", warm.wasted.into(), warm.made.into());
                figures.share("requests_per_call", warm.requests.into(), warm.made.into());
            }
            world.net().traffic().count_in(&mut figures);
            traces.push(world.trace());
        }
        if self.turncoats > 0 {
            let (world, lied) = self.turn(&mut figures);
            believed += lied;
            traces.push(world.trace());
        }
        let (world, lied) = self.heal(&mut figures);
        believed += lied;
        traces.push(world.trace());
        figures.count("false_accepted", believed.into());
        let broken = (believed > 0).then(|| format!("{believed} false answers were accepted"));
        (figures, traces, broken.into_iter().collect())
    }

    /// The share of turncoats, as a multiple of an even one: before they lie, and after.
    fn turn(&self, figures: &mut Figures) -> (World<RpcNode>, u32) {
        let mut world = self.world("turncoats", &self.roles(self.turncoats));
        let even = f64::from(self.turncoats) / f64::from(self.peers);
        let over_even = |calls: &Calls| f64::from(calls.to_turncoats) / f64::from(calls.requests.max(1)) / even;
        let before = self.calls(&mut world, self.behaves_for, SERIAL);
        figures.most("turncoats_before", over_even(&before));
        // In the next part the count of calls begins anew, so that no turncoat counts as behaving any more.
        let after = self.calls_from(&mut world, self.behaves_for, self.behaves_for, SERIAL);
        figures.most("turncoats_after", over_even(&after));
        (world, before.believed + after.believed)
    }

    /// How many requests a second there are after half of the peers were cut off, at most, over how many there were before.
    fn heal(&self, figures: &mut Figures) -> (World<RpcNode>, u32) {
        let mut world = self.world("partition", &self.roles(0));
        let cold = self.calls(&mut world, self.warm_up, SERIAL);
        let begin = world.now().since(START).as_secs() + 1;
        let rate = 10 * u32::try_from(4 * CUT_SECS).unwrap_or(u32::MAX);
        *world.tally_mut() = Calls { wanted: rate, ..Calls::default() };
        world.with(CALLER, |node, net| node.begin(OPEN, net));
        let at = |secs: u64| START.after(Duration::from_secs(begin + secs));
        world.run_until(at(CUT_SECS));
        let groups = (0..=self.peers).map(|node| u8::from(node > self.peers / 2)).collect();
        world.fault(&Fault::Partition { groups });
        world.run_until(at(2 * CUT_SECS));
        world.fault(&Fault::Heal);
        world.run_until(at(4 * CUT_SECS));
        let by_second = &world.tally().by_second;
        let rate_of = |second: u64| f64::from(by_second.get(&second).copied().unwrap_or(0));
        let steady = (begin + 1..begin + CUT_SECS).map(rate_of).sum::<f64>() / (CUT_SECS - 1) as f64;
        let healed = begin + 2 * CUT_SECS;
        let peak = (healed..healed + CUT_SECS).map(rate_of).fold(0.0, f64::max);
        figures.most("heal_peak_over_steady", peak / steady.max(1.0));
        let believed = cold.believed + world.tally().believed;
        (world, believed)
    }

    fn calls(&self, world: &mut World<RpcNode>, count: u32, load: Load) -> Calls {
        self.calls_from(world, 0, count, load)
    }

    /// Makes calls one after the other, numbered from `first`; returns what was counted.
    fn calls_from(&self, world: &mut World<RpcNode>, first: u32, count: u32, load: Load) -> Calls {
        *world.tally_mut() = Calls { made: first, wanted: first + count, ..Calls::default() };
        world.with(CALLER, |node, net| node.begin(load, net));
        while world.tally().times.len() < count as usize {
            world.run_until(world.now().after(Duration::from_secs(10)));
        }
        let mut calls = std::mem::take(world.tally_mut());
        calls.made -= first;
        calls
    }

    fn world(&self, part: &str, roles: &[Role]) -> World<RpcNode> {
        let seed = self.seed.derive(part, 0);
        let star = (1..=self.peers).map(|peer| (CALLER, peer));
        let overlay = Overlay::of_edges(self.peers + 1, star).expect("a star has no wrong edges");
        let links = self.links.clone();
        let mut world = World::linked(&overlay, links, Calls::default(), &seed, START, |number| {
            let role = roles.get(number as usize).copied().unwrap_or(Role::Honest);
            let engine = Engine::new(self.engine.clone(), seed.derive("engine", number.into()));
            let chance = seed.derive("answers", number.into()).rng();
            RpcNode::new(engine, role, SERIAL, self.round_trip.clone(), chance)
        });
        world.set_wire(self.wire);
        world.set_lines(self.lines.clone());
        world.run_until(START.after(self.links.latency.longest()).after(Duration::from_secs(1)));
        world
    }

    fn roles(&self, turncoats: u32) -> Vec<Role> {
        let kinds =
            [(self.silent, Role::Silent), (self.wrong, Role::Wrong), (turncoats, Role::Turncoat(self.behaves_for))];
        let mut roles: Vec<Role> =
            kinds.iter().flat_map(|(count, role)| std::iter::repeat_n(*role, *count as usize)).collect();
        roles.resize(self.peers as usize, Role::Honest);
        roles.shuffle(&mut self.seed.derive("roles", 0).rng());
        roles.insert(CALLER as usize, Role::Caller);
        roles
    }
}

fn percentile(times: &[u64]) -> u64 {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() * 99 / 100).copied().unwrap_or(0)
}
