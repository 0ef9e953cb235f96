//! Each limit at one below, at, and one above it; `limits.toml` names them.

#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

use std::{net::Ipv4Addr, time::Duration};

use bruit_addr_exchange::{
    Ask, AskRefusal, AskWhom, Asked, Audience, Config, Confirm, Connected, DialBack, Endpoint, Exchange, Link,
    NeighboursFor, Output, OwnAnnounce, PeerAddr, PeerHello, PeerId, Seed, Timestamp,
};

mod answering;
mod asking;
mod locating;
mod passing_on;
mod taking;

const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;
const DIALLED: bool = true;
const DIALLED_US: bool = false;

fn at(secs: u64) -> Timestamp {
    Timestamp::from_secs(1_800_000_000 + secs)
}

/// Settings with which nothing happens but what a test wants.
fn quiet() -> Config {
    Config {
        ask: AskWhom::Nobody,
        confirm: Confirm::Off,
        neighbours_secs: None,
        own_announce: OwnAnnounce::Never,
        ..Config::default()
    }
}

fn seeded(config: Config, seed: u64) -> Exchange<u16> {
    Exchange::new(config.validate().unwrap(), Seed::from_number(seed))
}

fn exchange(config: Config) -> Exchange<u16> {
    seeded(config, 1)
}

/// A peer in a part of the internet of its own.
fn host(peer: u16) -> Ipv4Addr {
    Ipv4Addr::from_bits(0x1400_0001 + u32::from(peer) * 65_536)
}

fn connect(exchange: &mut Exchange<u16>, peer: u16, is_dialled: bool, now: Timestamp) -> Connected {
    exchange.peer_connected(peer, Link { is_dialled, seen_at: Endpoint::tcp(host(peer).into(), 4_001) }, now)
}

/// An exchange with one peer since `at(0)`.
fn with_one(config: Config, is_dialled: bool) -> Exchange<u16> {
    let mut exchange = exchange(config);
    connect(&mut exchange, 1, is_dialled, at(0));
    exchange
}

fn with_many(config: Config, peers: u16) -> Exchange<u16> {
    let mut exchange = exchange(config);
    (1..=peers).for_each(|peer| assert_eq!(connect(&mut exchange, peer, DIALLED_US, at(0)), Connected::Added));
    exchange
}

fn outputs(exchange: &mut Exchange<u16>, now: Timestamp) -> Vec<Output<u16>> {
    std::iter::from_fn(|| exchange.poll_output(now)).collect()
}

fn addr(number: usize, last_seen: Option<Timestamp>) -> PeerAddr {
    PeerAddr::new(None, vec![Endpoint::tcp(Ipv4Addr::from_bits(0x0101_0000 + number as u32).into(), 1)], last_seen)
}

fn addrs(count: usize) -> Vec<PeerAddr> {
    (0..count).map(|number| addr(number, None)).collect()
}

/// Whom addresses are told, and how many.
fn told(exchange: &mut Exchange<u16>, now: Timestamp) -> Vec<(u16, usize)> {
    let told = |output| if let Output::Announce { to, addrs } = output { Some((to, addrs.len())) } else { None };
    outputs(exchange, now).into_iter().filter_map(told).collect()
}

/// Of many spans drawn the shortest is `secs` less a `part`th, and the longest as much more; both to a hundredth of the room.
fn assert_around(secs: u64, part: u32, drawn: impl Fn(u64) -> Duration) {
    let spans: Vec<Duration> = (0..1_000).map(drawn).collect();
    let (middle, width) = (Duration::from_secs(secs), Duration::from_secs(secs) / part);
    let near = width / 50;
    let (shortest, longest) = (*spans.iter().min().unwrap(), *spans.iter().max().unwrap());
    assert!(middle - width <= shortest && shortest <= middle - width + near, "{shortest:?} of {middle:?}");
    assert!(middle + width - near <= longest && longest <= middle + width, "{longest:?} of {middle:?}");
}
