//! Can any order of facts break the rules? Held after every step:
//! 1. no answer is longer than `addrs_per_answer_max`, nor than the peer asked for;
//! 2. with `once`, no peer gets a second answer on a connection after one of at least `small_answer`;
//! 3. all answers to one audience are the same for 18 to 30 hours, unless the book doubled or the first was small;
//! 4. unasked addresses taken from one peer stay within the bucket: its start, and a tenth a second;
//! 5. a peer is not asked while a request to it is under way, and never when it dialled us;
//! 6. taken and dropped add up to what was told;
//! 7. equal inputs give equal outputs;
//! 8. whom this node dialled gets answers below `small_answer` only.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
    time::Duration,
};

use bruit_addr_exchange::{
    Asked, BookSize, Config, Confirm, Connected, Endpoint, Exchange, Link, Output, PeerAddr, Seed, Timestamp,
};
use proptest::prelude::*;

const SMALL: usize = 4;
const ANSWER_MAX: usize = 9;
const TAKEN_MAX: usize = 12;

#[derive(Clone, Debug)]
enum Step {
    Connected(u8, bool),
    Disconnected(u8),
    Asked(u8, u32),
    Sampled(u8, u32, u8),
    Polled,
    Answered(u8, u8),
    Failed(u8),
    Unasked(u8, u8),
    BookCounted(BookSize),
    Passed(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let peer = 0..4_u8;
    prop_oneof![
        (peer.clone(), any::<bool>()).prop_map(|(peer, dialled)| Step::Connected(peer, dialled)),
        peer.clone().prop_map(Step::Disconnected),
        (peer.clone(), 0..20_u32).prop_map(|(peer, count)| Step::Asked(peer, count)),
        (peer.clone(), any::<u32>(), 0..20_u8).prop_map(|(peer, first, count)| Step::Sampled(peer, first, count)),
        Just(Step::Polled),
        (peer.clone(), 0..20_u8).prop_map(|(peer, count)| Step::Answered(peer, count)),
        peer.clone().prop_map(Step::Failed),
        (peer, 0..20_u8).prop_map(|(peer, count)| Step::Unasked(peer, count)),
        (0..50_usize, 0..50_usize).prop_map(|(entries, reached)| Step::BookCounted(BookSize { entries, reached })),
        prop_oneof![0..100_u64, 0..40_000_u64].prop_map(Step::Passed),
    ]
}

fn addrs(first: u32, count: u8) -> Vec<PeerAddr> {
    let endpoint = |number: u32| Endpoint::tcp(Ipv4Addr::from_bits(number).into(), 1);
    (0..u32::from(count)).map(|number| PeerAddr::new(None, vec![endpoint(first.wrapping_add(number))], None)).collect()
}

#[derive(Default)]
struct Model {
    dialled: BTreeMap<u8, bool>,
    pending: BTreeMap<u8, usize>,
    served: BTreeSet<u8>,
    in_flight: BTreeSet<u8>,
    unasked: BTreeMap<u8, (Timestamp, u64)>,
    book: BookSize,
    cached: Option<Cached>,
}

struct Cached {
    made: Timestamp,
    addrs: Vec<PeerAddr>,
    book: BookSize,
}

impl Model {
    fn disconnected(&mut self, peer: u8) {
        self.dialled.remove(&peer);
        self.pending.remove(&peer);
        self.served.remove(&peer);
        self.in_flight.remove(&peer);
    }

    fn check_asked(&mut self, peer: u8, count_max: u32, asked: &Asked, now: Timestamp) {
        let count_max = if count_max == 0 { ANSWER_MAX } else { ANSWER_MAX.min(count_max as usize) };
        let hours = self.cached.as_ref().map(|cached| now.since(cached.made).as_secs() / 3_600);
        if !matches!(asked, Asked::Refused(_)) {
            assert!(!self.served.contains(&peer), "2: a second answer");
            assert!(self.dialled.contains_key(&peer), "answered who is not connected");
        }
        match asked {
            Asked::Cached(answer) => {
                assert_eq!(self.dialled.get(&peer), Some(&false), "8");
                let cached = self.cached.as_ref().expect("3: an answer that should be forgotten");
                assert!(hours.is_some_and(|hours| hours <= 30), "3: a stale answer");
                assert_eq!(&answer[..], &cached.addrs[..count_max.min(cached.addrs.len())], "1 and 3");
                self.served.insert(peer);
            }
            Asked::Needed(_) => {
                assert!(hours.is_none_or(|hours| hours >= 18), "3: another answer too early");
                self.pending.insert(peer, count_max);
            }
            Asked::Refused(_) => {}
        }
    }

    fn check_sampled(&mut self, peer: u8, mut sample: Vec<PeerAddr>, answer: &[PeerAddr], now: Timestamp) {
        let Some(count_max) = self.pending.remove(&peer) else {
            assert_eq!(answer, [], "1: nobody asked");
            return;
        };
        sample.truncate(ANSWER_MAX);
        if sample.len() >= SMALL && self.dialled.get(&peer) == Some(&true) {
            assert_eq!(answer, [], "8");
            self.served.insert(peer);
            return;
        }
        assert_eq!(answer, &sample[..count_max.min(sample.len())], "1");
        if sample.len() >= SMALL {
            self.served.insert(peer);
            self.cached = Some(Cached { made: now, addrs: sample, book: self.book });
        }
    }

    fn check_unasked(&mut self, peer: u8, taken: usize, now: Timestamp) {
        let Some((since, sum)) = self.unasked.get_mut(&peer).filter(|_| self.dialled.contains_key(&peer)) else {
            assert_eq!(taken, 0, "4: who is not connected");
            return;
        };
        *sum += taken as u64;
        assert!(*sum <= 5 + now.since(*since).as_secs() / 10, "4: a flood was taken");
    }
}

fn run(steps: &[Step]) -> Vec<String> {
    let config = Config {
        small_answer: SMALL,
        addrs_per_answer_max: ANSWER_MAX,
        addrs_per_answer_min: ANSWER_MAX,
        addrs_taken_max: TAKEN_MAX,
        neighbours_secs: None,
        confirm: Confirm::Off,
        ..Config::default()
    };
    let mut exchange: Exchange<u8> =
        Exchange::new(config.validate().expect("the settings make sense"), Seed::from_number(3));
    let mut model = Model::default();
    let mut now = Timestamp::from_secs(1_800_000_000);
    let mut log = Vec::new();
    for step in steps {
        match *step {
            Step::Connected(peer, is_dialled) => {
                let connected = exchange.peer_connected(
                    peer,
                    Link { is_dialled, seen_at: Endpoint::tcp([1, 1, 1, 1].into(), 1) },
                    now,
                );
                if connected == Connected::Added {
                    model.dialled.insert(peer, is_dialled);
                    model.unasked.insert(peer, (now, 0));
                }
            }
            Step::Disconnected(peer) => {
                exchange.peer_disconnected(peer, now);
                model.disconnected(peer);
            }
            Step::Asked(peer, count_max) => {
                let asked = exchange.asked(peer, count_max, now);
                model.check_asked(peer, count_max, &asked, now);
                log.push(format!("{asked:?}"));
            }
            Step::Sampled(peer, first, count) => {
                let answer = exchange.sampled(peer, addrs(first, count), now);
                model.check_sampled(peer, addrs(first, count), &answer, now);
                log.push(format!("{answer:?}"));
            }
            Step::Polled => {
                while let Some(output) = exchange.poll_output(now) {
                    let Output::Ask(peer) = output else { panic!("{output:?}") };
                    assert_eq!(model.dialled.get(&peer), Some(&true), "5: asked who dialled us");
                    assert!(model.in_flight.insert(peer), "5: asked twice");
                    log.push(format!("ask {peer} then {:?}", exchange.next_timeout(now)));
                }
                assert!(exchange.next_timeout(now).is_none_or(|at| at > now));
            }
            Step::Answered(peer, count) if model.in_flight.remove(&peer) => {
                let taken = exchange.answer_received(peer, addrs(7, count), now);
                assert!(taken.addrs.len() <= TAKEN_MAX);
                assert_eq!(taken.addrs.len() + taken.dropped, usize::from(count), "6");
            }
            Step::Failed(peer) if model.in_flight.remove(&peer) => exchange.ask_failed(peer, now),
            Step::Answered(..) | Step::Failed(_) => {}
            Step::Unasked(peer, count) => {
                let taken = exchange.unasked_received(peer, addrs(7, count), now);
                assert_eq!(taken.addrs.len() + taken.dropped, usize::from(count), "6");
                model.check_unasked(peer, taken.addrs.len(), now);
                log.push(format!("{}", taken.addrs.len()));
            }
            Step::BookCounted(book) => {
                exchange.book_counted(book);
                model.book = book;
                let has_doubled = |cached: &Cached| {
                    let BookSize { entries, reached } = cached.book;
                    entries > 0 && book.entries >= entries * 2 || reached > 0 && book.reached >= reached * 2
                };
                model.cached = model.cached.take().filter(|cached| !has_doubled(cached));
            }
            Step::Passed(secs) => now = now.after(Duration::from_secs(secs)),
        }
    }
    log
}

proptest! {
    #[test]
    fn any_order_of_facts_keeps_the_rules(steps in prop::collection::vec(step(), 1..120)) {
        let log = run(&steps);
        prop_assert_eq!(log, run(&steps), "7: equal inputs");
    }
}
