//! Global calls among peers of whom many are silent or lie: a model of a network, and what calls cost in it.
//!
//! 100 peers, 30 silent and 10 wrong; an answer takes 20 to 300 ms (log-normal, 5 to 95 %), drawn anew for each exchange. One call
//! after the other, at most 5 tries. A failing test prints its seed, which replays it.
#![allow(missing_docs, clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test")]

use std::{
    collections::BTreeMap,
    f64::consts::TAU,
    num::NonZeroU64,
    time::{Duration, SystemTime},
};

use bruit_core::{ChaCha8Rng, Seed, Slot, Timestamp};
use bruit_rpc::{CallOptions, Config, Engine, Event, MethodName, Output, Request, Response, RpcMessage, Verdict};
use bytes::Bytes;
use rand::Rng;

const PEERS: usize = 100;
const SILENT: usize = 30;
const WRONG: usize = 10;

#[derive(Clone, Copy, PartialEq)]
enum Habit {
    Honest,
    Silent,
    Wrong,
}

/// The first peers are silent, the next wrong, all others honest.
fn usual(peer: usize) -> Habit {
    match peer {
        0..SILENT => Habit::Silent,
        peer if peer < SILENT + WRONG => Habit::Wrong,
        _ => Habit::Honest,
    }
}

struct World {
    engine: Engine,
    chance: ChaCha8Rng,
    now: Timestamp,
    /// Answers under way, by when they come.
    under_way: BTreeMap<(Timestamp, NonZeroU64), (Slot, bool)>,
    asked: [u32; PEERS],
    figures: Figures,
}

#[derive(Default)]
struct Figures {
    calls: u32,
    ok: u32,
    believed: u32,
    wasted: u32,
    times: Vec<Duration>,
    oracle: Vec<Duration>,
}

impl Figures {
    fn wasted_per_call(&self) -> f64 {
        f64::from(self.wasted) / f64::from(self.calls)
    }

    fn p99_over_oracle(&mut self) -> f64 {
        let p99 = |times: &mut Vec<Duration>| {
            times.sort_unstable();
            times[times.len() * 99 / 100].as_secs_f64()
        };
        p99(&mut self.times) / p99(&mut self.oracle)
    }

    fn add(&mut self, other: Self) {
        self.calls += other.calls;
        self.ok += other.ok;
        self.believed += other.believed;
        self.wasted += other.wasted;
        self.times.extend(other.times);
        self.oracle.extend(other.oracle);
    }
}

impl World {
    fn new(seed: u64) -> Self {
        let seed = Seed::from_number(seed);
        let now = Timestamp::from_secs(1);
        let mut engine = Engine::new(Config::default().validate().unwrap(), seed.derive("engine", 0));
        for index in 0..PEERS {
            let slot = Slot::new(index as u32, 0);
            engine.peer_connected(slot, now);
            engine.message_received(slot, RpcMessage::Methods(vec![method()]), now);
        }
        let chance = seed.derive("latencies", 0).rng();
        Self { engine, chance, now, under_way: BTreeMap::new(), asked: [0; PEERS], figures: Figures::default() }
    }

    fn latency(&mut self) -> Duration {
        let uniform = |rng: &mut ChaCha8Rng| ((rng.next_u64() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
        let (one, two) = (uniform(&mut self.chance), uniform(&mut self.chance));
        let normal = (-2.0 * one.ln()).sqrt() * (TAU * two).cos();
        let (low, high) = (0.020_f64.ln(), 0.300_f64.ln());
        Duration::from_secs_f64(((low + high) / 2.0 + normal * (high - low) / (2.0 * 1.645)).exp())
    }

    fn calls(&mut self, count: u32, hedge: bool, habit: impl Fn(usize) -> Habit) -> Figures {
        self.asked = [0; PEERS];
        self.figures = Figures::default();
        for _ in 0..count {
            let oracle = self.latency();
            self.figures.oracle.push(oracle);
            self.figures.calls += 1;
            let started = self.now;
            let options = CallOptions { validate: true, hedge: Some(hedge), ..CallOptions::idempotent() };
            self.engine.call(&method(), Bytes::new(), options, self.now).unwrap();
            while self.engine.calls_pending() > 0 {
                self.turn(&habit);
            }
            while let Some(output) = self.engine.poll_output() {
                self.act(output, &habit);
            }
            self.figures.times.push(self.now.since(started));
        }
        std::mem::take(&mut self.figures)
    }

    fn turn(&mut self, habit: &impl Fn(usize) -> Habit) {
        match self.engine.poll_output() {
            Some(output) => self.act(output, habit),
            None => self.wait(),
        }
    }

    fn act(&mut self, output: Output, habit: &impl Fn(usize) -> Habit) {
        match output {
            Output::Send { to, message: RpcMessage::Request(Request { number: Some(number), .. }), .. } => {
                self.asked[to.index()] += 1;
                let habit = habit(to.index());
                self.figures.wasted += u32::from(habit != Habit::Honest);
                let at = self.now.after(self.latency());
                if habit != Habit::Silent {
                    self.under_way.insert((at, number), (to, habit == Habit::Honest));
                }
            }
            Output::Event(Event::Answered { call, payload, .. }) => {
                let verdict = if payload.is_empty() { Verdict::Invalid } else { Verdict::Good };
                self.engine.verdict(call, verdict, self.now).unwrap();
            }
            Output::Event(Event::Done { result: Ok(answer), .. }) => {
                self.figures.ok += 1;
                self.figures.believed += u32::from(answer.payload.is_empty());
            }
            _ => {}
        }
    }

    fn wait(&mut self) {
        let due = self.engine.next_timeout().unwrap();
        let comes = self.under_way.first_key_value().map(|(key, _)| *key).filter(|(at, _)| *at <= due);
        let Some((at, number)) = comes else {
            self.now = due;
            self.engine.handle_timeout(due);
            return;
        };
        let (from, is_true) = self.under_way.remove(&(at, number)).unwrap();
        self.now = self.now.max(at);
        let payload = if is_true { Bytes::from_static(b"truth") } else { Bytes::new() };
        let response = Response { number, result: Ok(payload), chunks: 0 };
        self.engine.message_received(from, RpcMessage::Response(response), self.now);
    }

    fn share(&self, peers: std::ops::Range<usize>) -> f64 {
        f64::from(self.asked[peers].iter().sum::<u32>()) / f64::from(self.asked.iter().sum::<u32>())
    }
}

fn method() -> MethodName {
    MethodName::new("get").unwrap()
}

/// Seeds that differ each time: what holds, holds for all of them.
fn seeds(count: u64) -> Vec<u64> {
    let first = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64;
    (0..count).map(|n| first.wrapping_add(n)).collect()
}

#[test]
fn after_200_calls_hardly_a_try_is_wasted_and_no_lie_believed() {
    let seeds = seeds(5);
    let (mut cold, mut warm) = (Figures::default(), Figures::default());
    for seed in &seeds {
        let mut world = World::new(*seed);
        cold.add(world.calls(200, false, usual));
        warm.add(world.calls(5_000, false, usual));
    }
    let wasted = warm.wasted_per_call();
    println!("cold: {} of {} calls, {} wasted each", cold.ok, cold.calls, cold.wasted_per_call());
    println!("warm: {} of {} calls, {wasted} wasted each", warm.ok, warm.calls);
    assert!(wasted <= 0.005, "{wasted} tries a call are wasted; seeds {seeds:?}");
    assert!(f64::from(warm.ok) >= 0.999_9 * f64::from(warm.calls), "{} of {}; seeds {seeds:?}", warm.ok, warm.calls);
    assert!(f64::from(cold.ok) >= 0.97 * f64::from(cold.calls), "{} of {}; seeds {seeds:?}", cold.ok, cold.calls);
    assert_eq!((cold.believed, warm.believed), (0, 0), "seeds {seeds:?}");
}

#[test]
fn with_a_hedge_the_slowest_calls_take_as_long_as_of_who_knows_the_best_peer() {
    let seeds = seeds(5);
    let mut warm = Figures::default();
    for seed in &seeds {
        let mut world = World::new(*seed);
        world.calls(200, true, usual);
        warm.add(world.calls(5_000, true, usual));
    }
    let ratio = warm.p99_over_oracle();
    println!("p99 {ratio} of an oracle's, {} wasted each", warm.wasted_per_call());
    assert!(ratio <= 1.3, "{ratio}; seeds {seeds:?}");
    assert_eq!((warm.ok, warm.believed), (warm.calls, 0), "seeds {seeds:?}");
}

#[test]
fn fault_who_behaves_for_1000_calls_and_then_lies_has_at_most_twice_an_even_share() {
    const TURNCOATS: usize = 10;
    for seed in seeds(3) {
        let mut world = World::new(seed);
        let before = world.calls(1_000, false, |peer| if peer < TURNCOATS { Habit::Honest } else { usual(peer) });
        assert_eq!(before.believed, 0);
        let share = world.share(0..TURNCOATS);
        let even = TURNCOATS as f64 / PEERS as f64;
        assert!(share <= 2.0 * even, "{share} before they lie; seed {seed}");
        let after = world.calls(1_000, false, |peer| if peer < TURNCOATS { Habit::Wrong } else { usual(peer) });
        let share = world.share(0..TURNCOATS);
        assert!(share <= even, "{share} while they lie; seed {seed}");
        assert_eq!((after.ok, after.believed), (after.calls, 0), "seed {seed}");
    }
}

#[test]
fn fault_one_honest_peer_of_ten_is_enough() {
    for (seed, lies) in seeds(6).into_iter().zip([Habit::Silent, Habit::Wrong].into_iter().cycle()) {
        let mut world = World::new(seed);
        let habit = |peer| if peer % 10 == 0 { Habit::Honest } else { lies };
        world.calls(300, false, habit);
        let figures = world.calls(1_000, false, habit);
        assert_eq!(figures.believed, 0, "seed {seed}");
        assert!(f64::from(figures.ok) >= 0.99 * f64::from(figures.calls), "{} ok; seed {seed}", figures.ok);
    }
}
