use std::net::Ipv4Addr;

use bruit_core::Endpoint;

use super::*;
use crate::{AnswersPerConnection, AskWhom, Config, Confirm, OwnAnnounce};

mod announcing;
mod locating;
mod neighbours;
mod probing;
mod records;

const DIALLED: bool = true;
const DIALLED_US: bool = false;

fn hello(listens_at: Option<Endpoint>, sees_us_at: Option<Endpoint>) -> PeerHello {
    PeerHello { listens_at: listens_at.into_iter().collect(), sees_us_at }
}

/// A peer in a part of the internet of its own.
fn host(peer: u8) -> Ipv4Addr {
    Ipv4Addr::new(20, peer, 0, 1)
}

fn link(peer: u8, is_dialled: bool) -> Link {
    Link { is_dialled, seen_at: Endpoint::tcp(host(peer).into(), 4_001) }
}

fn connect(exchange: &mut Exchange<u8>, peer: u8, is_dialled: bool, now: Timestamp) {
    assert_eq!(exchange.peer_connected(peer, link(peer, is_dialled), now), Connected::Added);
}

/// Everything that is to be done now.
fn outputs(exchange: &mut Exchange<u8>, now: Timestamp) -> Vec<Output<u8>> {
    std::iter::from_fn(|| exchange.poll_output(now)).collect()
}

fn asks(exchange: &mut Exchange<u8>, now: Timestamp) -> Vec<u8> {
    let ask = |output| if let Output::Ask(peer) = output { Some(peer) } else { None };
    outputs(exchange, now).into_iter().filter_map(ask).collect()
}

/// Only asks and answers.
fn plain() -> Config {
    Config { confirm: Confirm::Off, neighbours_secs: None, own_announce: OwnAnnounce::Never, ..Config::default() }
}

fn at(secs: u64) -> Timestamp {
    Timestamp::from_secs(1_000_000 + secs)
}

fn exchange(config: Config) -> Exchange<u8> {
    Exchange::new(config.validate().unwrap(), Seed::from_number(1))
}

fn addrs(count: u32) -> Vec<PeerAddr> {
    let endpoint = |number| Endpoint::tcp(Ipv4Addr::from_bits(0x0101_0000 + number).into(), 1);
    (0..count).map(|number| PeerAddr::new(None, vec![endpoint(number)], None)).collect()
}

const fn book(entries: usize, reached: usize) -> BookSize {
    BookSize { entries, reached }
}

#[test]
fn a_peer_is_answered_once_and_the_next_one_from_the_cache() {
    let mut exchange = exchange(plain());
    exchange.book_counted(book(100, 20));
    for peer in [1, 2, 3] {
        connect(&mut exchange, peer, DIALLED_US, at(0));
    }
    assert_eq!(exchange.asked(1, 0, at(0)), Asked::Needed(Audience::Internet));
    assert_eq!(exchange.asked(1, 0, at(0)), Asked::Refused(AskRefusal::Pending));
    assert_eq!(exchange.sampled(1, addrs(32), at(0)), addrs(32));
    assert_eq!(exchange.sampled(1, addrs(32), at(0)), []);
    assert_eq!(exchange.asked(1, 0, at(10_000)), Asked::Refused(AskRefusal::Answered));
    assert_eq!(exchange.asked(2, 5, at(10_000)), Asked::Cached(addrs(5)));
    assert_eq!(exchange.asked(2, 5, at(20_000)), Asked::Refused(AskRefusal::Answered));
    exchange.peer_disconnected(2, at(20_000));
    assert_eq!(exchange.asked(2, 0, at(20_000)), Asked::Refused(AskRefusal::Unknown));
    assert_eq!(exchange.asked(3, 0, at(30 * 3_600)), Asked::Needed(Audience::Internet));
}

#[test]
fn who_waited_in_vain_may_ask_again() {
    let mut exchange = exchange(plain());
    connect(&mut exchange, 1, DIALLED_US, at(0));
    assert_eq!(exchange.asked(1, 0, at(0)), Asked::Needed(Audience::Internet));
    exchange.request_ended(1);
    assert_eq!(exchange.asked(1, 0, at(0)), Asked::Needed(Audience::Internet));
    assert_eq!(exchange.sampled(1, addrs(40), at(0)), addrs(40));
    exchange.request_ended(1);
    assert_eq!(exchange.asked(1, 0, at(0)), Asked::Refused(AskRefusal::Answered));
}

#[test]
fn the_cached_answer_is_dropped_when_the_book_has_doubled_and_kept_apart_by_audience() {
    let mut exchange = exchange(plain());
    for (peer, ip) in [(1, [20, 1, 0, 1]), (2, [127, 0, 0, 1]), (3, [20, 3, 0, 1])] {
        let seen_at = Endpoint::tcp(ip.into(), 1);
        exchange.peer_connected(peer, Link { is_dialled: false, seen_at }, at(0));
    }
    exchange.book_counted(book(100, 20));
    exchange.asked(1, 0, at(0));
    exchange.sampled(1, addrs(40), at(0));
    assert_eq!(exchange.asked(2, 0, at(0)), Asked::Needed(Audience::Machine));
    for grown_to in [book(200, 20), book(100, 40)] {
        let mut grown = exchange.clone();
        grown.book_counted(grown_to);
        assert_eq!(grown.asked(3, 0, at(1)), Asked::Needed(Audience::Internet));
    }
    exchange.book_counted(book(199, 39));
    assert_eq!(exchange.asked(3, 0, at(1)), Asked::Cached(addrs(40)));
}

#[test]
fn the_cached_answer_is_drawn_anew_when_the_owner_wants_it_forgotten() {
    let mut exchange = exchange(plain());
    for peer in [1, 2] {
        connect(&mut exchange, peer, DIALLED_US, at(0));
    }
    exchange.asked(1, 0, at(0));
    exchange.sampled(1, addrs(40), at(0));
    exchange.forget_answers();
    assert_eq!(exchange.asked(2, 0, at(1)), Asked::Needed(Audience::Internet));
}

#[test]
fn a_small_answer_is_neither_cached_nor_counted() {
    let mut exchange = exchange(plain());
    connect(&mut exchange, 1, DIALLED_US, at(0));
    exchange.asked(1, 0, at(0));
    assert_eq!(exchange.sampled(1, addrs(31), at(0)).len(), 31);
    assert_eq!(exchange.asked(1, 0, at(0)), Asked::Refused(AskRefusal::Answered));
    assert_eq!(exchange.asked(1, 0, at(1)), Asked::Needed(Audience::Internet));
    assert_eq!(exchange.sampled(1, addrs(32), at(1)).len(), 32);
    assert_eq!(exchange.asked(1, 0, at(2)), Asked::Refused(AskRefusal::Answered));
}

#[test]
fn answers_by_interval_and_to_those_we_dialled_are_settings() {
    let mut default = exchange(plain());
    connect(&mut default, 1, DIALLED, at(0));
    assert_eq!(default.asked(1, 0, at(0)), Asked::Needed(Audience::Internet));
    assert_eq!(default.sampled(1, addrs(31), at(0)).len(), 31);
    assert_eq!(default.asked(1, 0, at(1)), Asked::Needed(Audience::Internet));
    assert_eq!(default.sampled(1, addrs(32), at(1)), vec![]);
    connect(&mut default, 2, DIALLED_US, at(2));
    default.asked(2, 0, at(2));
    assert_eq!(default.sampled(2, addrs(32), at(2)).len(), 32);
    connect(&mut default, 3, DIALLED, at(3));
    assert_eq!(default.asked(3, 0, at(3)), Asked::Refused(AskRefusal::Dialled));
    let mut exchange = exchange(Config {
        answers_per_connection: AnswersPerConnection::EverySecs(180),
        answer_dialled: true,
        addrs_per_answer_max: 128,
        ..plain()
    });
    connect(&mut exchange, 1, DIALLED, at(0));
    assert_eq!(exchange.asked(1, 0, at(0)), Asked::Needed(Audience::Internet));
    assert_eq!(exchange.sampled(1, addrs(129), at(0)).len(), 128);
    assert_eq!(exchange.asked(1, 0, at(179)), Asked::Refused(AskRefusal::Answered));
    assert_eq!(exchange.asked(1, 0, at(180)), Asked::Cached(addrs(128)));
    assert_eq!(exchange.asked(1, 0, at(361)), Asked::Cached(addrs(128)));
}

#[test]
fn a_peer_not_admitted_gets_one_answer_and_is_not_heard() {
    let mut exchange = exchange(Config { admission: Admission::ByOwner, ..plain() });
    connect(&mut exchange, 1, DIALLED_US, at(0));
    connect(&mut exchange, 2, DIALLED, at(0));
    assert_eq!(asks(&mut exchange, at(0)), []);
    assert_eq!(exchange.unasked_received(1, addrs(3), at(0)), Taken { addrs: vec![], dropped: 3, may_relay: false });
    exchange.asked(1, 0, at(0));
    assert_eq!(exchange.sampled(1, addrs(2), at(0)).len(), 2);
    assert_eq!(exchange.asked(1, 0, at(100)), Asked::Refused(AskRefusal::Answered));
    exchange.peer_admitted(1, at(100));
    assert_eq!(exchange.asked(1, 0, at(100)), Asked::Needed(Audience::Internet));
    exchange.peer_admitted(2, at(100));
    assert_eq!(asks(&mut exchange, at(100)), [2]);
}

#[test]
fn who_was_dialled_is_asked_again_soon_only_while_answers_are_small_and_more_is_wanted() {
    let mut exchange = exchange(plain());
    connect(&mut exchange, 1, DIALLED, at(0));
    connect(&mut exchange, 2, DIALLED_US, at(0));
    assert_eq!(asks(&mut exchange, at(0)), [1]);
    assert_eq!(exchange.next_timeout(at(0)), None);
    assert_eq!(exchange.answer_received(1, addrs(1), at(0)), Taken { addrs: addrs(1), dropped: 0, may_relay: false });
    let again = exchange.next_timeout(at(0)).unwrap();
    assert!(again >= at(0).after(Duration::from_millis(1_600)) && again <= at(0).after(Duration::from_millis(2_400)));
    assert_eq!(asks(&mut exchange, again.before(Duration::from_micros(1))), []);
    exchange.more_wanted(false);
    assert_eq!((asks(&mut exchange, again), exchange.next_timeout(again)), (vec![], None));
    exchange.more_wanted(true);
    assert_eq!(asks(&mut exchange, again), [1]);
    exchange.ask_failed(1, again);
    let third = exchange.next_timeout(at(0)).unwrap();
    assert!(third.since(again) >= Duration::from_millis(3_200));
    assert_eq!(asks(&mut exchange, third), [1]);
    assert_eq!(exchange.answer_received(1, addrs(1_001), third).dropped, 1);
    assert_eq!(exchange.next_timeout(at(0)), None);
}

#[test]
fn unasked_addresses_come_at_a_tenth_a_second() {
    let mut exchange = exchange(plain());
    connect(&mut exchange, 1, DIALLED_US, at(0));
    assert_eq!(exchange.unasked_received(1, addrs(10), at(0)), Taken { addrs: addrs(5), dropped: 5, may_relay: true });
    assert_eq!(exchange.unasked_received(1, addrs(1), at(9)), Taken { addrs: vec![], dropped: 1, may_relay: true });
    assert_eq!(exchange.unasked_received(1, addrs(2), at(10)), Taken { addrs: addrs(1), dropped: 1, may_relay: true });
    let taken: usize = (10..10_010).map(|secs| exchange.unasked_received(1, addrs(1_000), at(secs)).addrs.len()).sum();
    assert!((999..=1_000).contains(&taken), "{taken}");
}

#[test]
fn peers_above_the_limit_get_nothing() {
    let mut exchange = exchange(Config { peers_max: 1, ..plain() });
    connect(&mut exchange, 1, DIALLED_US, at(0));
    assert_eq!(exchange.peer_connected(1, link(1, DIALLED_US), at(0)), Connected::Known);
    assert_eq!(exchange.peer_connected(2, link(2, DIALLED_US), at(0)), Connected::Full);
    assert_eq!(exchange.asked(2, 0, at(0)), Asked::Refused(AskRefusal::Unknown));
    assert_eq!(exchange.ask(2, at(0)), Ask::NotConnected);
}

#[test]
fn the_owners_wish_for_more_respects_a_peers_pause() {
    let mut exchange = exchange(plain());
    connect(&mut exchange, 1, DIALLED, at(0));
    assert_eq!(exchange.ask(1, at(0)), Ask::Now);
    assert_eq!(asks(&mut exchange, at(0)), [1]);
    assert_eq!(exchange.ask(1, at(0)), Ask::UnderWay);
    exchange.answer_received(1, addrs(3), at(0));
    assert_eq!(exchange.ask(1, at(1)), Ask::At(at(4)), "the pause has doubled once");
    let mut asked = Vec::new();
    for secs in 1..400 {
        exchange.ask(1, at(secs));
        for _ in asks(&mut exchange, at(secs)) {
            asked.push(secs);
            exchange.answer_received(1, addrs(3), at(secs));
        }
    }
    let pauses: Vec<_> = asked.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(pauses.len() < 12 && pauses.last() >= Some(&48), "{pauses:?}");
    exchange.ask(1, at(470));
    assert_eq!(asks(&mut exchange, at(470)), [1]);
    exchange.answer_received(1, addrs(4), at(470));
    assert_eq!(exchange.ask(1, at(470)), Ask::At(at(474)), "it had more to tell");
}

#[test]
fn whom_to_ask_and_when_first_are_settings() {
    let everybody = Config { ask: AskWhom::Everybody, ask_first_secs: 60, ask_again_secs: Some(60), ..plain() };
    let mut exchange = exchange(everybody);
    connect(&mut exchange, 1, DIALLED_US, at(0));
    assert_eq!(asks(&mut exchange, at(47)), []);
    assert_eq!(asks(&mut exchange, at(73)), [1]);
    exchange.answer_received(1, addrs(100), at(73));
    assert_eq!(asks(&mut exchange, at(73 + 47)), []);
    assert_eq!(asks(&mut exchange, at(73 + 73)), [1]);
}
