use std::net::Ipv4Addr;

use bruit_core::Endpoint;

use super::*;
use crate::Config;

const DIALLED: Link = Link { is_dialled: true, audience: Audience::Internet };
const DIALLED_US: Link = Link { is_dialled: false, audience: Audience::Internet };

fn at(secs: u64) -> Timestamp {
    Timestamp::from_secs(1_000_000 + secs)
}

fn exchange(config: Config) -> Exchange<u8> {
    Exchange::new(config.validate().unwrap(), Seed::from_number(1))
}

fn addrs(count: u32) -> Vec<PeerAddr> {
    let endpoint = |number| Endpoint::tcp(Ipv4Addr::from_bits(0x0101_0000 + number).into(), 1);
    (0..count).map(|number| PeerAddr { peer: None, endpoints: vec![endpoint(number)], last_seen: None }).collect()
}

#[test]
fn a_peer_is_answered_once_and_the_next_one_from_the_cache() {
    let mut exchange = exchange(Config::default());
    exchange.book_counted(100);
    for peer in [1, 2, 3] {
        assert_eq!(exchange.peer_connected(peer, DIALLED_US, at(0)), Connected::Added);
    }
    assert_eq!(exchange.asked(1, 0, at(0)), Asked::Needed(Audience::Internet));
    assert_eq!(exchange.asked(1, 0, at(0)), Asked::Refused(AskRefusal::Pending));
    assert_eq!(exchange.sampled(1, addrs(32), at(0)), addrs(32));
    assert_eq!(exchange.sampled(1, addrs(32), at(0)), []);
    assert_eq!(exchange.asked(1, 0, at(10_000)), Asked::Refused(AskRefusal::Answered));
    assert_eq!(exchange.asked(2, 5, at(10_000)), Asked::Cached(addrs(5)));
    assert_eq!(exchange.asked(2, 5, at(20_000)), Asked::Refused(AskRefusal::Answered));
    exchange.peer_disconnected(2);
    assert_eq!(exchange.asked(2, 0, at(20_000)), Asked::Refused(AskRefusal::Unknown));
    assert_eq!(exchange.asked(3, 0, at(30 * 3_600)), Asked::Needed(Audience::Internet));
}

#[test]
fn who_waited_in_vain_may_ask_again() {
    let mut exchange = exchange(Config::default());
    exchange.peer_connected(1, DIALLED_US, at(0));
    assert_eq!(exchange.asked(1, 0, at(0)), Asked::Needed(Audience::Internet));
    exchange.request_ended(1);
    assert_eq!(exchange.asked(1, 0, at(0)), Asked::Needed(Audience::Internet));
    assert_eq!(exchange.sampled(1, addrs(40), at(0)), addrs(40));
    exchange.request_ended(1);
    assert_eq!(exchange.asked(1, 0, at(0)), Asked::Refused(AskRefusal::Answered));
}

#[test]
fn the_cached_answer_is_dropped_when_the_book_has_doubled_and_kept_apart_by_audience() {
    let mut exchange = exchange(Config::default());
    for (peer, audience) in [(1, Audience::Internet), (2, Audience::Machine), (3, Audience::Internet)] {
        exchange.peer_connected(peer, Link { is_dialled: false, audience }, at(0));
    }
    exchange.book_counted(100);
    exchange.asked(1, 0, at(0));
    exchange.sampled(1, addrs(40), at(0));
    assert_eq!(exchange.asked(2, 0, at(0)), Asked::Needed(Audience::Machine));
    let mut grown = exchange.clone();
    grown.book_counted(200);
    assert_eq!(grown.asked(3, 0, at(1)), Asked::Needed(Audience::Internet));
    exchange.book_counted(199);
    assert_eq!(exchange.asked(3, 0, at(1)), Asked::Cached(addrs(40)));
}

#[test]
fn a_small_answer_is_neither_cached_nor_counted() {
    let mut exchange = exchange(Config::default());
    exchange.peer_connected(1, DIALLED_US, at(0));
    exchange.asked(1, 0, at(0));
    assert_eq!(exchange.sampled(1, addrs(31), at(0)).len(), 31);
    assert_eq!(exchange.asked(1, 0, at(0)), Asked::Refused(AskRefusal::Answered));
    assert_eq!(exchange.asked(1, 0, at(1)), Asked::Needed(Audience::Internet));
    assert_eq!(exchange.sampled(1, addrs(32), at(1)).len(), 32);
    assert_eq!(exchange.asked(1, 0, at(2)), Asked::Refused(AskRefusal::Answered));
}

#[test]
fn answers_by_interval_and_to_those_we_dialled_are_settings() {
    let mut default = exchange(Config::default());
    default.peer_connected(1, DIALLED, at(0));
    assert_eq!(default.asked(1, 0, at(0)), Asked::Needed(Audience::Internet));
    assert_eq!(default.sampled(1, addrs(31), at(0)).len(), 31);
    assert_eq!(default.asked(1, 0, at(1)), Asked::Needed(Audience::Internet));
    assert_eq!(default.sampled(1, addrs(32), at(1)), vec![]);
    default.peer_connected(2, DIALLED_US, at(2));
    default.asked(2, 0, at(2));
    assert_eq!(default.sampled(2, addrs(32), at(2)).len(), 32);
    default.peer_connected(3, DIALLED, at(3));
    assert_eq!(default.asked(3, 0, at(3)), Asked::Refused(AskRefusal::Dialled));
    let mut exchange = exchange(Config {
        answers_per_connection: AnswersPerConnection::EverySecs(180),
        answer_dialled: true,
        addrs_per_answer_max: 128,
        ..Config::default()
    });
    exchange.peer_connected(1, DIALLED, at(0));
    assert_eq!(exchange.asked(1, 0, at(0)), Asked::Needed(Audience::Internet));
    assert_eq!(exchange.sampled(1, addrs(129), at(0)).len(), 128);
    assert_eq!(exchange.asked(1, 0, at(179)), Asked::Refused(AskRefusal::Answered));
    assert_eq!(exchange.asked(1, 0, at(180)), Asked::Cached(addrs(128)));
}

#[test]
fn a_peer_not_admitted_gets_one_answer_and_is_not_heard() {
    let mut exchange = exchange(Config { admission: Admission::ByOwner, ..Config::default() });
    exchange.peer_connected(1, DIALLED_US, at(0));
    exchange.peer_connected(2, DIALLED, at(0));
    assert_eq!(exchange.poll_ask(at(0)), None);
    assert_eq!(exchange.unasked_received(1, addrs(3), at(0)), Taken { addrs: vec![], dropped: 3 });
    exchange.asked(1, 0, at(0));
    assert_eq!(exchange.sampled(1, addrs(2), at(0)).len(), 2);
    assert_eq!(exchange.asked(1, 0, at(100)), Asked::Refused(AskRefusal::Answered));
    exchange.peer_admitted(1, at(100));
    assert_eq!(exchange.asked(1, 0, at(100)), Asked::Needed(Audience::Internet));
    exchange.peer_admitted(2, at(100));
    assert_eq!((exchange.poll_ask(at(100)), exchange.poll_ask(at(100))), (Some(2), None));
}

#[test]
fn who_was_dialled_is_asked_again_soon_only_while_answers_are_small_and_more_is_wanted() {
    let mut exchange = exchange(Config::default());
    exchange.peer_connected(1, DIALLED, at(0));
    exchange.peer_connected(2, DIALLED_US, at(0));
    assert_eq!((exchange.poll_ask(at(0)), exchange.poll_ask(at(0))), (Some(1), None));
    assert_eq!(exchange.next_timeout(), None);
    assert_eq!(exchange.answer_received(1, addrs(1), at(0)), Taken { addrs: addrs(1), dropped: 0 });
    let again = exchange.next_timeout().unwrap();
    assert!(again >= at(0).after(Duration::from_millis(1_600)) && again <= at(0).after(Duration::from_millis(2_400)));
    assert_eq!(exchange.poll_ask(again.before(Duration::from_micros(1))), None);
    exchange.more_wanted(false);
    assert_eq!((exchange.poll_ask(again), exchange.next_timeout()), (None, None));
    exchange.more_wanted(true);
    assert_eq!(exchange.poll_ask(again), Some(1));
    exchange.ask_failed(1, again);
    let third = exchange.next_timeout().unwrap();
    assert!(third.since(again) >= Duration::from_millis(3_200));
    assert_eq!(exchange.poll_ask(third), Some(1));
    assert_eq!(exchange.answer_received(1, addrs(1_001), third).dropped, 1);
    assert_eq!(exchange.next_timeout(), None);
}

#[test]
fn unasked_addresses_come_at_a_tenth_a_second() {
    let mut exchange = exchange(Config::default());
    exchange.peer_connected(1, DIALLED_US, at(0));
    assert_eq!(exchange.unasked_received(1, addrs(10), at(0)), Taken { addrs: addrs(5), dropped: 5 });
    assert_eq!(exchange.unasked_received(1, addrs(1), at(9)), Taken { addrs: vec![], dropped: 1 });
    assert_eq!(exchange.unasked_received(1, addrs(2), at(10)), Taken { addrs: addrs(1), dropped: 1 });
    let taken: usize = (10..10_010).map(|secs| exchange.unasked_received(1, addrs(1_000), at(secs)).addrs.len()).sum();
    assert!((999..=1_000).contains(&taken), "{taken}");
}

#[test]
fn peers_above_the_limit_get_nothing() {
    let mut exchange = exchange(Config { peers_max: 1, ..Config::default() });
    assert_eq!(exchange.peer_connected(1, DIALLED_US, at(0)), Connected::Added);
    assert_eq!(exchange.peer_connected(1, DIALLED_US, at(0)), Connected::Known);
    assert_eq!(exchange.peer_connected(2, DIALLED_US, at(0)), Connected::Full);
    assert_eq!(exchange.asked(2, 0, at(0)), Asked::Refused(AskRefusal::Unknown));
    assert!(!exchange.ask(2, at(0)));
}
