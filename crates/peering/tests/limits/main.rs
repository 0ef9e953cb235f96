//! Each limit at one below, at, and one above it; `limits.toml` names them.

#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

use std::{net::Ipv4Addr, time::Duration};

use bruit_core::{Endpoint, NetGroup, NetworkId, PeerId, Seed, Timestamp};
use bruit_peering::{
    Config, DepartureCause, DialFailure, DialOutcome, Engine, Event, Goodbye, GoodbyeReason, Hearing, Hello,
    HelloFailure, Intent, Origin, Output, SeedStage, SlotClass, Standing, Strangeness,
};

mod dialling;
mod hearing;
mod seeding;
mod slots;
mod staying;
mod strangers;

const T: Timestamp = Timestamp::from_secs(1_800_000_000);
const TOLD: Standing = Standing::Told(NetGroup::V4(1));
const MICRO: Duration = Duration::from_micros(1);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

fn peer(number: u16) -> PeerId {
    let mut bytes = vec![0, 36, 8, 1, 18, 32];
    bytes.extend(number.to_be_bytes().repeat(16));
    PeerId::from_bytes(&bytes).unwrap()
}

/// Where a peer listens: in a part of the internet of its own.
fn at(number: u16) -> Endpoint {
    Endpoint::tcp(Ipv4Addr::from_bits(0x1400_0001 + u32::from(number) * 65_536).into(), 4_001)
}

/// Of one group with all others of this function.
fn neighbour(number: u16) -> Endpoint {
    Endpoint::tcp([99, 9, number as u8, 1].into(), 4_001)
}

/// Settings with which nothing happens but what a test wants.
fn quiet() -> Config {
    Config { outbound_target: 0, quiet_target: 0, feeler_interval: Duration::ZERO, ..Config::default() }
}

fn seeded(config: Config, seed: u64) -> Engine<u32> {
    let valid = config.validate(NetworkId::new("test").unwrap(), "test").unwrap();
    Engine::new(valid, peer(0), Seed::from_number(seed))
}

fn engine(config: Config) -> Engine<u32> {
    seeded(config, 1)
}

fn hello(number: u16) -> Hello {
    Hello { network: "test".into(), listen: vec![at(number)], ..Hello::default() }
}

/// A peer comes from an address, and says hello; returns whether it has a slot.
fn came_from(engine: &mut Engine<u32>, number: u16, from: Endpoint, now: Timestamp) -> bool {
    engine.connection_established(number.into(), peer(number), Origin::Accepted(from), now);
    engine.hello_received(peer(number), hello(number), now);
    engine.is_held(&peer(number))
}

fn came(engine: &mut Engine<u32>, number: u16, now: Timestamp) -> bool {
    came_from(engine, number, at(number), now)
}

fn dial(engine: &mut Engine<u32>, number: u16, now: Timestamp) -> DialOutcome {
    engine.dial(at(number), Some(peer(number)), TOLD, now)
}

/// A dial that began leads to its peer, which answers the hello; returns with which intent it was greeted.
fn answered(engine: &mut Engine<u32>, number: u16, now: Timestamp) -> Intent {
    engine.connection_established(number.into(), peer(number), Origin::Dialled(at(number)), now);
    let said = outputs(engine).into_iter();
    let intents =
        said.filter_map(|output| if let Output::SendHello { hello, .. } = output { Some(hello.intent) } else { None });
    let intent = intents.last().unwrap();
    engine.hello_answered(peer(number), hello(number), now);
    intent
}

/// An engine that has dialled so many peers, all of which stayed.
fn with_outbound(config: Config, count: u16, seed: u64) -> Engine<u32> {
    let mut engine = seeded(config, seed);
    for number in 1..=count {
        assert_eq!(dial(&mut engine, number, T), DialOutcome::Started);
        answered(&mut engine, number, T);
    }
    outputs(&mut engine);
    engine
}

fn outputs(engine: &mut Engine<u32>) -> Vec<Output<u32>> {
    std::iter::from_fn(|| engine.poll_output()).collect()
}

/// What is said and told when it is that late.
fn later(engine: &mut Engine<u32>, now: Timestamp) -> Vec<Output<u32>> {
    engine.handle_timeout(now);
    outputs(engine)
}

fn goodbyes(outputs: &[Output<u32>]) -> Vec<&Goodbye> {
    let said = outputs.iter();
    said.filter_map(|output| if let Output::SendGoodbye { goodbye, .. } = output { Some(goodbye) } else { None })
        .collect()
}

/// When the first output comes that a test waits for, while all peers answer their pings.
fn when(engine: &mut Engine<u32>, is_it: impl Fn(&Output<u32>) -> bool) -> Timestamp {
    let mut now = T;
    for _ in 0..100_000 {
        let outputs = later(engine, now);
        if outputs.iter().any(&is_it) {
            return now;
        }
        for output in outputs {
            if let Output::SendPing { peer, number } = output {
                engine.pong_received(peer, number, now);
            }
        }
        now = engine.next_timeout().unwrap().max(now);
    }
    panic!("it has not come by {now}");
}

/// One microsecond before a moment, then, and one after.
fn around(moment: Timestamp) -> [Timestamp; 3] {
    [moment.before(MICRO), moment, moment.after(MICRO)]
}

/// Of many spans drawn the shortest is a quarter less than `middle`, and the longest as much more; both to a hundredth of the room.
fn assert_a_quarter_around(middle: Duration, drawn: impl Fn(u64) -> Duration) {
    let spans: Vec<Duration> = (0..500).map(drawn).collect();
    let (width, near) = (middle / 4, middle / 200);
    let (shortest, longest) = (*spans.iter().min().unwrap(), *spans.iter().max().unwrap());
    assert!(middle - width <= shortest && shortest <= middle - width + near, "{shortest:?} of {middle:?}");
    assert!(middle + width - near <= longest && longest <= middle + width, "{longest:?} of {middle:?}");
}
