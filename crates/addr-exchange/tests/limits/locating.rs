use super::*;

fn ours(number: u8) -> Endpoint {
    Endpoint::tcp([9, 9, number, 9].into(), 4_001)
}

fn identity(number: u16) -> PeerId {
    let mut bytes = vec![0, 36, 8, 1, 18, 32];
    bytes.extend(number.to_le_bytes().repeat(16));
    PeerId::from_bytes(&bytes).unwrap()
}

/// A peer that came says where it listens, and where it sees this node.
fn greeted(exchange: &mut Exchange<u16>, peer: u16, listens_at: &[Endpoint], sees_us: Option<u8>, now: Timestamp) {
    let hello = PeerHello { listens_at: listens_at.to_vec(), sees_us_at: sees_us.map(ours) };
    exchange.hello_received(peer, Some(identity(peer)), hello, now);
}

fn seen_by(exchange: &mut Exchange<u16>, peers: std::ops::RangeInclusive<u16>, number: u8, now: Timestamp) {
    peers.for_each(|peer| greeted(exchange, peer, &[], Some(number), now));
}

/// Whom this node asks to be dialled now.
fn helpers(exchange: &mut Exchange<u16>, now: Timestamp) -> Vec<u16> {
    let helper = |output| if let Output::AskDialBack { to, .. } = output { Some(to) } else { None };
    outputs(exchange, now).into_iter().filter_map(helper).collect()
}

fn probes(exchange: &mut Exchange<u16>, now: Timestamp) -> usize {
    outputs(exchange, now).iter().filter(|output| matches!(output, Output::Probe { .. })).count()
}

fn listens_at(peer: u16) -> Endpoint {
    Endpoint::tcp(host(peer).into(), 9_000)
}

/// Peers that came and are to be found where they listen.
fn to_be_found(config: Config, peers: u16) -> Exchange<u16> {
    let mut exchange = with_many(Config { confirm: Confirm::Mark, ..config }, peers);
    (1..=peers).for_each(|peer| greeted(&mut exchange, peer, &[listens_at(peer)], None, at(0)));
    exchange
}

#[test]
fn an_own_address_needs_so_many_witnesses() {
    let is_tried = |witnesses| {
        let mut exchange = with_many(quiet(), 9);
        seen_by(&mut exchange, 1..=witnesses, 1, at(0));
        !helpers(&mut exchange, at(0)).is_empty()
    };
    assert_eq!([2, 3, 4].map(is_tried), [false, true, true]);
}

#[test]
fn so_many_peers_are_asked_to_dial_an_own_address_and_then_it_is_given_up_for_an_hour() {
    for own_trials_max in [2, 3, 4] {
        let mut exchange = with_many(Config { own_trials_max, ..quiet() }, 9);
        seen_by(&mut exchange, 1..=3, 1, at(0));
        let asked: usize = (0..HOUR).map(|secs| helpers(&mut exchange, at(secs)).len()).sum();
        assert_eq!(asked, own_trials_max as usize);
        let given_up = 20 * u64::from(own_trials_max);
        let is_tried = |secs| {
            let mut exchange = exchange.clone();
            seen_by(&mut exchange, 4..=4, 1, at(given_up + secs));
            !helpers(&mut exchange, at(given_up + secs)).is_empty()
        };
        assert_eq!([HOUR - 1, HOUR, HOUR + 1].map(is_tried), [false, true, true]);
    }
}

#[test]
fn a_peer_that_does_not_dial_in_time_is_followed_by_another() {
    let is_next_asked = |secs| {
        let mut exchange = with_many(quiet(), 9);
        seen_by(&mut exchange, 1..=3, 1, at(0));
        assert_eq!(helpers(&mut exchange, at(0)).len(), 1);
        !helpers(&mut exchange, at(secs)).is_empty()
    };
    assert_eq!([19, 20, 21].map(is_next_asked), [false, true, true]);
}

#[test]
fn an_own_address_that_nobody_sees_is_tried_anew_after_an_hour() {
    let is_tried = |secs| {
        let mut exchange = with_many(quiet(), 9);
        seen_by(&mut exchange, 1..=3, 1, at(0));
        helpers(&mut exchange, at(0)).into_iter().for_each(|helper| exchange.connected_again(helper, at(0)));
        (1..=3).for_each(|peer| exchange.peer_disconnected(peer, at(1)));
        !helpers(&mut exchange, at(secs)).is_empty()
    };
    assert_eq!([HOUR - 1, HOUR, HOUR + 1].map(is_tried), [false, true, true]);
}

#[test]
fn so_many_own_addresses_are_remembered_as_given_up() {
    let is_first_tried_again = |given_up: u8| {
        let mut exchange = with_many(Config { own_trials_max: 1, ..quiet() }, 9);
        for number in 0..given_up {
            let now = at(60 * u64::from(number));
            seen_by(&mut exchange, 1..=3, number, now);
            assert_eq!(helpers(&mut exchange, now).len(), 1);
            assert_eq!(helpers(&mut exchange, now.after(Duration::from_secs(20))), []);
        }
        seen_by(&mut exchange, 1..=3, 0, at(2_000));
        !helpers(&mut exchange, at(2_000)).is_empty()
    };
    assert_eq!([15, 16, 17].map(is_first_tried_again), [false, false, true]);
}

#[test]
fn so_many_own_addresses_are_told() {
    let told = |count: u8| {
        let mut exchange = with_many(quiet(), 1);
        exchange.own_listens((0..count).map(ours).collect());
        (0..count).for_each(|number| greeted(&mut exchange, 1, &[], Some(number), at(0)));
        exchange.own_addr(Audience::Internet, at(0)).unwrap().endpoints.len()
    };
    assert_eq!([7, 8, 9].map(told), [7, 8, 8]);
    let supposed = |count: u8| {
        let mut exchange = with_one(quiet(), DIALLED);
        let listens = (0..count).map(|port| Endpoint::tcp([192, 168, 0, 2].into(), 4_000 + u16::from(port)));
        exchange.own_listens(listens.collect());
        greeted(&mut exchange, 1, &[], Some(1), at(0));
        exchange.own_views().len()
    };
    assert_eq!([7, 8, 9].map(supposed), [7, 8, 8]);
}

#[test]
fn so_many_own_addresses_are_believed() {
    let believed = |count: u8| {
        let mut exchange = with_many(quiet(), 30);
        for number in 0..count {
            // Each one has witnesses that go on seeing it, or it would count as changed.
            let first = 1 + 3 * u16::from(number);
            seen_by(&mut exchange, first..=first + 2, number, at(0));
            let helpers = helpers(&mut exchange, at(0));
            helpers.into_iter().for_each(|helper| exchange.connected_again(helper, at(0)));
        }
        exchange.own_views().iter().filter(|view| view.is_adopted).count()
    };
    assert_eq!([7, 8, 9].map(believed), [7, 8, 8]);
}

#[test]
fn all_peers_hear_of_a_new_own_address_within_half_a_minute() {
    let mut exchange = with_many(Config { own_announce: OwnAnnounce::EverySecs(DAY), ..quiet() }, 500);
    exchange.own_listens(vec![ours(1)]);
    assert_eq!(outputs(&mut exchange, at(0)), []);
    greeted(&mut exchange, 1, &[], Some(1), at(0));
    let by = |millis| told(&mut exchange.clone(), at(0).after(Duration::from_millis(millis))).len();
    assert!(by(29_000) < 500 && by(1_000) > 0, "{} hear early", by(29_000));
    assert_eq!([30_000, 31_000].map(by), [500, 500]);
}

#[test]
fn a_pause_lasts_ten_average_ones_at_most() {
    let mut exchange = with_one(Config { own_announce: OwnAnnounce::MeanSecs(DAY), ..quiet() }, DIALLED_US);
    exchange.own_listens(vec![ours(1)]);
    greeted(&mut exchange, 1, &[], Some(1), at(0));
    let mut now = at(0);
    let pauses = (0..100_000).map(|_| {
        let next = exchange.next_timeout(now).unwrap();
        assert_eq!(told(&mut exchange, next), [(1, 1)]);
        next.since(std::mem::replace(&mut now, next)).as_secs()
    });
    let longest = pauses.max().unwrap();
    assert_eq!(longest, 10 * DAY, "it comes once in 22,000 times");
}

#[test]
fn a_peer_may_ask_to_be_dialled_again_after_a_minute() {
    let asked = |secs| {
        let mut exchange = with_one(quiet(), DIALLED_US);
        assert_eq!(exchange.dial_back_asked(1, listens_at(1), at(0)), DialBack::Taken);
        assert_eq!(probes(&mut exchange, at(0)), 1);
        exchange.probe_ended(1, &listens_at(1), true, at(0));
        exchange.dial_back_asked(1, listens_at(1), at(secs))
    };
    assert_eq!([59, 60, 61].map(asked), [DialBack::TooMany, DialBack::Taken, DialBack::Taken]);
}

#[test]
fn so_many_dials_that_try_are_under_way() {
    let begun = |peers| probes(&mut to_be_found(Config { probes_max: 4, ..quiet() }, peers), at(0));
    assert_eq!([3, 4, 5].map(begun), [3, 4, 4]);
}

/// A peer of a part of the internet that is to be found where it listens.
fn comes_from(exchange: &mut Exchange<u16>, group: u8, peer: u16, now: Timestamp) {
    let [high, low] = peer.to_be_bytes();
    let there = Endpoint::tcp([90, group, high, low].into(), 9_000);
    exchange.peer_connected(peer, Link { is_dialled: DIALLED_US, seen_at: there.clone() }, now);
    greeted(exchange, peer, &[there], None, now);
}

#[test]
fn of_the_dials_that_try_so_many_are_in_one_part_of_the_internet() {
    let begun = |peers, probes_max| {
        let mut exchange = exchange(Config { confirm: Confirm::Mark, probes_max, ..quiet() });
        (1..=peers).for_each(|peer| comes_from(&mut exchange, 1, peer, at(0)));
        probes(&mut exchange, at(0))
    };
    assert_eq!([2, 3, 4].map(|peers| begun(peers, 16)), [2, 3, 3], "a quarter of the thirteen that are left is three");
    assert_eq!([1, 8, 9].map(|probes_max| begun(9, probes_max)), [1, 1, 2]);
}

#[test]
fn fault_who_lets_dials_take_as_long_as_they_can_holds_up_nobody_elsewhere() {
    let mut exchange = exchange(Config { confirm: Confirm::Mark, ..quiet() });
    (1..=150).for_each(|peer| comes_from(&mut exchange, peer as u8 % 12, peer, at(0)));
    for secs in 0..300 {
        outputs(&mut exchange, at(secs));
        if secs % 30 == 0 {
            let newcomer = 1_000 + secs as u16;
            comes_from(&mut exchange, 99, newcomer, at(secs));
            let begun = outputs(&mut exchange, at(secs));
            let is_it = |output: &&Output<u16>| matches!(output, Output::Probe { peer, .. } if *peer == newcomer);
            let Some(Output::Probe { peer, endpoint }) = begun.iter().find(is_it) else { panic!("{secs}: {begun:?}") };
            exchange.probe_ended(*peer, endpoint, true, at(secs));
        }
    }
}

#[test]
fn so_many_dials_that_try_begin_at_once_and_so_many_a_minute() {
    let many = |peers| to_be_found(Config { probes_max: 1_000, probe_secs: DAY, ..quiet() }, peers);
    assert_eq!([15, 16, 17].map(|peers| probes(&mut many(peers), at(0))), [15, 16, 16]);
    for probes_per_minute in [119, 120, 121] {
        let config = Config { probes_max: 1_000, probe_secs: DAY, probes_per_minute, ..quiet() };
        let mut exchange = to_be_found(config, 500);
        let at_once = probes(&mut exchange, at(0));
        // A millisecond makes up for the rounding of the rate.
        let by_second = |secs| probes(&mut exchange, at(secs).after(Duration::from_millis(1)));
        let in_a_minute: usize = (1..=60).map(by_second).sum();
        assert_eq!((at_once, in_a_minute as u64), (16, probes_per_minute));
    }
}

#[test]
fn so_many_wait_for_a_dial_that_they_asked_for() {
    let taken = |peers| {
        let mut exchange = with_many(Config { probes_waiting_max: 5, ..quiet() }, peers);
        let mut asked = |peer| exchange.dial_back_asked(peer, listens_at(peer), at(0)) == DialBack::Taken;
        (1..=peers).filter(|peer| asked(*peer)).count()
    };
    assert_eq!([4, 5, 6].map(taken), [4, 5, 5]);
}

#[test]
fn a_dial_that_tries_has_its_time() {
    let ended = |secs| {
        let mut exchange = to_be_found(quiet(), 1);
        assert_eq!(probes(&mut exchange, at(0)), 1);
        outputs(&mut exchange, at(secs))
    };
    let unconfirmed = Output::Unconfirmed { peer: 1, endpoint: listens_at(1) };
    assert_eq!([19, 20, 21].map(ended), [vec![], vec![unconfirmed.clone()], vec![unconfirmed]]);
}
