//! Whom global calls choose, in the long run.
#![allow(missing_docs, clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test")]

use std::{num::NonZeroU64, time::Duration};

use bruit_core::{Seed, Slot, Timestamp};
use bruit_rpc::{
    CallOptions, Config, Engine, Event, MethodName, Output, Refusal, Request, Response, RpcMessage, Verdict,
};
use bytes::Bytes;

const PEERS: usize = 20;
const SEEDS: u64 = 5;

/// What a peer does with a request.
#[derive(Clone, Copy)]
enum Habit {
    Answers(u64),
    Lies,
    IsSilent,
    CannotSatisfy,
}

struct World {
    engine: Engine,
    now: Timestamp,
    asked: [u32; PEERS],
}

impl World {
    fn new(seed: u64) -> Self {
        let config = Config { try_timeout: Duration::from_secs(1), ..Config::default() };
        let now = Timestamp::from_secs(1);
        let mut engine = Engine::new(config.validate().unwrap(), Seed::from_number(seed));
        for index in 0..PEERS {
            let slot = Slot::new(index as u32, 0);
            engine.peer_connected(slot, now);
            engine.message_received(slot, RpcMessage::Methods(vec![method()]), now);
        }
        Self { engine, now, asked: [0; PEERS] }
    }

    /// Makes calls one after the other, and counts who was asked.
    fn calls(&mut self, count: usize, habit: impl Fn(usize) -> Habit) {
        self.asked = [0; PEERS];
        for _ in 0..count {
            let options = CallOptions { validate: true, ..CallOptions::idempotent() };
            self.engine.call(&method(), Bytes::new(), options, self.now).unwrap();
            while self.engine.calls_pending() > 0 {
                self.turn(&habit);
            }
            while self.engine.poll_output().is_some() {}
        }
    }

    fn turn(&mut self, habit: &impl Fn(usize) -> Habit) {
        let Some(output) = self.engine.poll_output() else {
            self.now = self.engine.next_timeout().unwrap();
            self.engine.handle_timeout(self.now);
            return;
        };
        match output {
            Output::Send { to, message: RpcMessage::Request(Request { number: Some(number), .. }), .. } => {
                self.asked[to.index()] += 1;
                self.act(to, number, habit(to.index()));
            }
            Output::Event(Event::Answered { call, payload, .. }) => {
                let verdict = if payload.is_empty() { Verdict::Invalid } else { Verdict::Good };
                self.engine.verdict(call, verdict, self.now).unwrap();
            }
            _ => {}
        }
    }

    fn act(&mut self, peer: Slot, number: NonZeroU64, habit: Habit) {
        let result = match habit {
            Habit::IsSilent => return,
            Habit::Answers(millis) => {
                self.now = self.now.after(Duration::from_millis(millis));
                Ok(Bytes::from_static(b"truth"))
            }
            Habit::Lies => Ok(Bytes::new()),
            Habit::CannotSatisfy => Err(Refusal::cannot_satisfy("")),
        };
        self.engine.message_received(peer, RpcMessage::Response(Response { number, result, chunks: 0 }), self.now);
    }

    fn share(&self, peer: usize) -> f64 {
        f64::from(self.asked[peer]) / f64::from(self.asked.iter().sum::<u32>())
    }
}

fn method() -> MethodName {
    MethodName::new("get").unwrap()
}

#[test]
fn peers_that_answer_alike_are_asked_alike() {
    for seed in 0..SEEDS {
        let mut world = World::new(seed);
        world.calls(10_000, |_| Habit::Answers(50));
        for peer in 0..PEERS {
            assert!((0.035..0.065).contains(&world.share(peer)), "seed {seed}: {:?}", world.asked);
        }
    }
}

#[test]
fn who_lies_is_silent_or_cannot_satisfy_falls_to_the_floor_and_is_still_asked() {
    for (seed, habit) in [Habit::Lies, Habit::IsSilent, Habit::CannotSatisfy].into_iter().enumerate() {
        let mut world = World::new(seed as u64);
        world.calls(10_000, |peer| if peer == 0 { habit } else { Habit::Answers(50) });
        let share = world.share(0);
        assert!((0.000_1..0.02).contains(&share), "seed {seed}: {share}");
    }
}

#[test]
fn who_behaves_and_then_lies_soon_has_less_than_its_even_share() {
    for seed in 0..SEEDS {
        let mut world = World::new(seed);
        world.calls(1_000, |peer| Habit::Answers(if peer == 0 { 5 } else { 80 }));
        let earned = world.share(0);
        assert!(earned < 2.0 / PEERS as f64, "seed {seed}: fast answers alone earned {earned}");
        world.calls(1_000, |peer| if peer == 0 { Habit::Lies } else { Habit::Answers(80) });
        assert!(world.share(0) < 0.5 / PEERS as f64, "seed {seed}: {}", world.share(0));
    }
}

#[test]
fn the_slow_are_asked_less_than_the_fast() {
    for seed in 0..SEEDS {
        let mut world = World::new(seed);
        world.calls(10_000, |peer| Habit::Answers(if peer < PEERS / 2 { 20 } else { 600 }));
        let fast: f64 = (0..PEERS / 2).map(|peer| world.share(peer)).sum();
        assert!((0.7..0.95).contains(&fast), "seed {seed}: {fast}");
    }
}

#[test]
fn who_recovers_is_found_again() {
    let mut world = World::new(1);
    world.calls(2_000, |peer| if peer < 5 { Habit::IsSilent } else { Habit::Answers(50) });
    world.calls(20_000, |_| Habit::Answers(50));
    let share: f64 = (0..5).map(|peer| world.share(peer)).sum();
    assert!(share > 0.1, "{share}");
}
