//! The address book at Bitcoin Core's own bench workload, and with a million entries. The peer's figures are those that Bitcoin
//! Core published for its address manager (pull requests 18722, 22974 and 29578), measured on its authors' machines.

use std::{
    hint::black_box,
    net::{Ipv4Addr, Ipv6Addr},
    time::Instant,
};

use bruit_address_book::{
    AddressBook, Audience, Config, Endpoint, Hearsay, NetGroup, PeerId, SampleRules, Seed, Source, Succeeded,
    Timestamp, Wanted,
};
use serde::Serialize;
use serde_json::json;

const SOURCES: u32 = 64;
const ADDRS_PER_SOURCE: u32 = 256;
const MANY: u32 = 1_000_000;
const ANSWER: usize = 2_500;
/// How many peers are marked as reached in one turn.
const GOOD: u32 = 2_048;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How often each thing is measured; the least counts, since whatever else a machine does only adds.
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u32).range(1..=100))]
    repeat: u32,
    /// Prints one line of JSON instead of a table.
    #[arg(long)]
    json: bool,
}

/// Each figure, the name it has in the results, and what is aimed at.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Figures {
    add_ns: f64,
    select_ns: f64,
    select_1m_ns: f64,
    getaddr_us: f64,
    good_ns: f64,
    bytes_per_entry: f64,
}

const AIMS: Figures = Figures {
    add_ns: 800.0,
    select_ns: 40.0,
    select_1m_ns: 120.0,
    getaddr_us: 25.0,
    good_ns: 1_000.0,
    bytes_per_entry: 96.0,
};

impl Figures {
    fn list(&self) -> [(&'static str, f64); 6] {
        [
            ("add_ns", self.add_ns),
            ("select_ns", self.select_ns),
            ("select_1m_ns", self.select_1m_ns),
            ("getaddr_us", self.getaddr_us),
            ("good_ns", self.good_ns),
            ("bytes_per_entry", self.bytes_per_entry),
        ]
    }
}

/// Measures everything; false when an aim is missed.
pub(crate) fn run(args: &Args) -> anyhow::Result<bool> {
    let (many, many_bytes) = many()?;
    let mut many = many;
    let mut runs: Vec<Figures> = Vec::new();
    for turn in 1..=args.repeat {
        let mut book = book(Config::default())?;
        let add_ns = fill(&mut book);
        let run = Figures {
            add_ns,
            select_ns: select(&mut book, 200_000),
            select_1m_ns: select(&mut many, 200_000),
            getaddr_us: getaddr(&mut book)?,
            good_ns: good(&mut book)?,
            bytes_per_entry: many_bytes,
        };
        eprintln!("{turn}/{} {run:.0?}", args.repeat);
        runs.push(run);
    }
    let ours = least(&runs);
    let missed: Vec<&str> = ours
        .list()
        .into_iter()
        .zip(AIMS.list())
        .filter(|((_, ours), (_, aim))| ours > aim)
        .map(|((name, _), _)| name)
        .collect();
    if args.json {
        // Of 1 M entries Bitcoin Core published nothing.
        let peer = json!({
            "name": "Bitcoin Core, as published", "add_ns": 10_500.0, "select_ns": 227.0, "getaddr_us": 387.0, "good_ns": 10_000.0,
        });
        let ratio = json!({
            "add": 10_500.0 / ours.add_ns, "select": 227.0 / ours.select_ns, "getaddr": 387.0 / ours.getaddr_us,
            "good": 10_000.0 / ours.good_ns,
        });
        print_line(&json!({
            "ours": ours, "peer": peer, "ratio": ratio, "aims": AIMS, "missed": missed, "runs": args.repeat,
            "entries_1m": many.len(),
        }));
    } else {
        for ((name, ours), (_, aim)) in ours.list().into_iter().zip(AIMS.list()) {
            print_line(&format!(
                "{name:<16} {ours:>10.1}   aim {aim:>6.0}   {}",
                if ours > aim { "missed" } else { "held" }
            ));
        }
    }
    Ok(missed.is_empty())
}

#[allow(clippy::print_stdout, reason = "the result is what the program prints")]
fn print_line(line: &dyn std::fmt::Display) {
    println!("{line}");
}

fn now() -> Timestamp {
    Timestamp::from_secs(1_800_000_000)
}

fn book(config: Config) -> anyhow::Result<AddressBook> {
    Ok(AddressBook::new(config.validate()?, Seed::from_number(1)))
}

fn peer(number: u32) -> anyhow::Result<PeerId> {
    let mut bytes = vec![0, 36, 8, 1, 18, 32];
    bytes.extend(number.to_le_bytes().into_iter().cycle().take(32));
    Ok(PeerId::from_bytes(&bytes)?)
}

/// An IPv6 address as Bitcoin Core's bench makes them: each in a group of its own.
fn endpoint(source: u32, number: u32) -> Endpoint {
    let mixed = u128::from(source * ADDRS_PER_SOURCE + number).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    let bits = (0x2 << 124) | (mixed >> 4);
    let ip = Ipv6Addr::from_bits(if bits >> 96 == 0x2001_0db8 { bits ^ (1 << 96) } else { bits });
    let ip = if matches!(ip.segments(), [0x2001 | 0x2002 | 0x3fff, ..]) {
        Ipv6Addr::from_bits(ip.to_bits() ^ (1 << 123))
    } else {
        ip
    };
    Endpoint::tcp(ip.into(), 8_333)
}

fn source(number: u32, teller: PeerId) -> Source {
    Source::Peer { peer: teller, group: NetGroup::V6(0x2400_0000 + number) }
}

/// Adds 64 x 256 addresses; nanoseconds each. Addresses and tellers are made beforehand.
fn fill(book: &mut AddressBook) -> f64 {
    let news: Vec<Hearsay> = (0..SOURCES)
        .flat_map(|told_by| {
            let teller = peer(1_000_000 + told_by).ok();
            (0..ADDRS_PER_SOURCE).filter_map(move |number| {
                let source = source(told_by, teller?);
                Some(Hearsay { peer: None, endpoint: endpoint(told_by, number), last_seen: Some(now()), source })
            })
        })
        .collect();
    let count = news.len();
    let started = started();
    for hearsay in news {
        black_box(book.heard(hearsay, now()));
    }
    nanos(started) / count as f64
}

fn select(book: &mut AddressBook, count: u32) -> f64 {
    let started = started();
    for _ in 0..count {
        black_box(book.select(Wanted::Any, |_| true, now()));
    }
    nanos(started) / f64::from(count)
}

/// One answer of 2,500; microseconds.
fn getaddr(book: &mut AddressBook) -> anyhow::Result<f64> {
    const TURNS: u32 = 20;
    let rules = SampleRules { most: ANSWER, ..SampleRules::default() };
    let mut told = 0;
    let mut nanoseconds = 0.0;
    for _ in 0..TURNS {
        let started = started();
        let sample = black_box(book.sample(rules, Audience::Internet, now()));
        nanoseconds += nanos(started);
        told = sample.len();
    }
    anyhow::ensure!(told == ANSWER, "an answer names {told}");
    Ok(nanoseconds / f64::from(TURNS) / 1_000.0)
}

/// Marks endpoints as reached, each with an identity of its own; nanoseconds each.
fn good(book: &mut AddressBook) -> anyhow::Result<f64> {
    let chosen: Vec<(Endpoint, PeerId)> = book
        .entries(now())
        .step_by(7)
        .take(GOOD as usize)
        .zip(0..)
        .map(|(entry, number)| Ok::<_, anyhow::Error>((entry.endpoint, peer(number)?)))
        .collect::<Result<_, _>>()?;
    let started = started();
    let mut tried = 0_u32;
    for (endpoint, peer) in &chosen {
        tried += u32::from(book.dial_succeeded(endpoint, *peer, now()) == Succeeded::Tried);
    }
    let nanoseconds = nanos(started) / chosen.len() as f64;
    anyhow::ensure!(u64::from(tried) * 2 > chosen.len() as u64, "only {tried} became tried");
    Ok(nanoseconds)
}

/// A book of a million entries from many groups, and how many bytes its tables take for each.
fn many() -> anyhow::Result<(AddressBook, f64)> {
    let mut book = book(Config { new_buckets: 32_768, ..Config::default() })?;
    let mut number = 0;
    while book.len() < MANY as usize {
        anyhow::ensure!(number < 4 * MANY, "only {} entries fit", book.len());
        let ip = Ipv4Addr::from_bits(number.wrapping_mul(0x9e37_79b1).wrapping_add(0x0b00_0000));
        let hearsay = Hearsay {
            peer: None,
            endpoint: Endpoint::tcp(ip.into(), 4_001),
            last_seen: Some(now()),
            source: Source::Peer { peer: peer(number % 4_096)?, group: NetGroup::V4((number % 4_096) as u16) },
        };
        black_box(book.heard(hearsay, now()));
        number += 1;
    }
    let bytes = book.table_bytes() as f64 / book.len() as f64;
    // Nothing waits to be stored, as in a node that stores once in an interval.
    drop(book.changes());
    Ok((book, bytes))
}

fn started() -> Instant {
    Instant::now()
}

fn nanos(started: Instant) -> f64 {
    started.elapsed().as_secs_f64() * 1e9
}

fn least(runs: &[Figures]) -> Figures {
    let of = |figure: fn(&Figures) -> f64| runs.iter().map(figure).min_by(f64::total_cmp).unwrap_or_default();
    Figures {
        add_ns: of(|run| run.add_ns),
        select_ns: of(|run| run.select_ns),
        select_1m_ns: of(|run| run.select_1m_ns),
        getaddr_us: of(|run| run.getaddr_us),
        good_ns: of(|run| run.good_ns),
        bytes_per_entry: of(|run| run.bytes_per_entry),
    }
}
