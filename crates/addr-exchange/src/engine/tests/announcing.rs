use super::*;

/// Peers that only announce.
fn announcers(config: Config, peers: std::ops::RangeInclusive<u8>) -> Exchange<u8> {
    let mut exchange = exchange(Config { ask: AskWhom::Nobody, ..config });
    for peer in peers {
        connect(&mut exchange, peer, DIALLED_US, at(0));
    }
    assert_eq!(outputs(&mut exchange, at(0)), []);
    exchange
}

fn seen(number: u32, now: Timestamp) -> PeerAddr {
    PeerAddr { last_seen: Some(now), ..addrs(number + 1).remove(number as usize) }
}

fn told(outputs: Vec<Output<u8>>) -> Vec<(u8, usize)> {
    let told = |output| {
        let Output::Announce { to, addrs } = output else { panic!("{output:?}") };
        (to, addrs.len())
    };
    outputs.into_iter().map(told).collect()
}

#[test]
fn a_fresh_address_goes_to_the_same_two_peers_all_day() {
    let mut exchange = announcers(Config { relay_again_secs: 0, ..plain() }, 1..=20);
    let mut targets = Vec::new();
    for hour in 0..48 {
        let now = at(hour * 3_600);
        exchange.relay(1, vec![seen(7, now)], now);
        let to: Vec<u8> = told(outputs(&mut exchange, now)).into_iter().map(|(to, _)| to).collect();
        assert_eq!(to.len(), 2);
        assert!(!to.contains(&1), "back to whom it came from");
        targets.push(to);
    }
    targets.dedup();
    assert!((2..=3).contains(&targets.len()), "other peers each day, and only then: {targets:?}");
}

#[test]
fn addresses_are_spread_over_all_peers() {
    let mut exchange = announcers(plain(), 1..=20);
    let mut counts = [0; 21];
    for number in 0..400 {
        exchange.relay(1, vec![seen(number, at(0))], at(0));
        told(outputs(&mut exchange, at(0))).into_iter().for_each(|(to, _)| counts[usize::from(to)] += 1);
    }
    assert_eq!(counts.iter().sum::<i32>(), 800);
    assert!(counts[2..].iter().all(|count| (15..90).contains(count)), "{counts:?}");
}

#[test]
fn fault_addresses_that_are_not_fresh_go_no_further() {
    let mut exchange = announcers(plain(), 1..=5);
    let now = at(100_000);
    let with = |number, last_seen| PeerAddr { last_seen, ..seen(number, now) };
    let limit = Duration::from_secs(4_200);
    let second = Duration::from_secs(1);
    let stale =
        [with(1, None), with(2, Some(now.before(limit + second))), with(3, Some(now.after(Duration::from_secs(601))))];
    exchange.relay(1, stale.to_vec(), now);
    assert_eq!(outputs(&mut exchange, now), []);
    let fresh = [with(4, Some(now.before(limit))), with(5, Some(now.before(limit - second))), with(6, Some(now))];
    exchange.relay(1, fresh.to_vec(), now);
    assert_eq!(told(outputs(&mut exchange, now)).into_iter().map(|(_, count)| count).sum::<usize>(), 6);
}

#[test]
fn fault_an_address_does_not_go_round_for_ever() {
    let mut exchange = announcers(plain(), 1..=5);
    let pause = 6 * 3_600;
    for (secs, expected) in [(0, 2), (1, 0), (pause - 1, 0), (pause, 2), (pause + 1, 0)] {
        exchange.relay(1, vec![seen(1, at(secs))], at(secs));
        assert_eq!(told(outputs(&mut exchange, at(secs))).len(), expected, "after {secs} s");
    }
}

#[test]
fn fault_what_is_remembered_as_passed_on_is_bounded() {
    let exchange = announcers(Config { relayed_max: 10, ..plain() }, 1..=3);
    let remembered = |exchange: &mut Exchange<u8>, count| {
        (0..count).for_each(|number| exchange.relay(1, vec![seen(number, at(0))], at(0)));
        exchange.relayed()
    };
    assert_eq!([9, 10, 11].map(|count| remembered(&mut exchange.clone(), count)), [9, 10, 10]);
}

#[test]
fn nobody_is_told_what_it_could_not_use_or_what_it_is() {
    let mut exchange = exchange(Config { allow_private_addrs: true, ask: AskWhom::Nobody, ..plain() });
    connect(&mut exchange, 1, DIALLED_US, at(0));
    connect(&mut exchange, 2, DIALLED_US, at(0));
    let subject = PeerId::random();
    exchange.hello_received(2, Some(subject), PeerHello::default(), at(0));
    let private = PeerAddr::new(None, vec![Endpoint::tcp([10, 0, 0, 1].into(), 1)], Some(at(0)));
    exchange.relay(9, vec![private], at(0));
    assert_eq!(outputs(&mut exchange, at(0)), []);
    let of_two = PeerAddr { peer: Some(subject), ..seen(1, at(0)) };
    exchange.relay(9, vec![of_two], at(0));
    assert_eq!(told(outputs(&mut exchange, at(0))), [(1, 1)]);
}

/// An exchange that was reached where it listens.
fn reached(config: Config) -> Exchange<u8> {
    let mut exchange = announcers(config, 1..=1);
    let listen = Endpoint::tcp([9, 9, 9, 9].into(), 4_001);
    exchange.own_listens(vec![listen.clone()]);
    let hello = PeerHello { listens_at: vec![], sees_us_at: Some(listen) };
    exchange.hello_received(1, Some(PeerId::random()), hello, at(0));
    exchange
}

fn moments(exchange: &mut Exchange<u8>, count: usize) -> Vec<Timestamp> {
    let mut now = at(0);
    let mut moments = Vec::new();
    while moments.len() < count {
        now = exchange.next_timeout(now).expect("own addresses are told for ever");
        moments.extend(told(outputs(exchange, now)).into_iter().map(|_| now));
    }
    moments
}

#[test]
fn own_addresses_are_told_with_exponential_pauses_of_a_day_on_average() {
    let config = Config { own_announce: OwnAnnounce::MeanSecs(86_400), ..plain() };
    let moments = moments(&mut reached(config), 401);
    assert!(moments[0] <= at(30), "news travel at once");
    let hours: Vec<_> = moments.windows(2).map(|pair| pair[1].since(pair[0]).as_secs() / 3_600).collect();
    let mean = hours.iter().sum::<u64>() / 400;
    assert!((19..=29).contains(&mean), "{mean} h");
    let below_mean = hours.iter().filter(|hours| **hours < 24).count();
    assert!((210..=295).contains(&below_mean), "63 % are below the mean: {below_mean}");
}

#[test]
fn own_addresses_can_be_told_every_two_minutes() {
    let config = Config { own_announce: OwnAnnounce::EverySecs(120), ..plain() };
    let moments = moments(&mut reached(config), 10);
    let is_near = |pair: &[Timestamp]| (96..=144).contains(&pair[1].since(pair[0]).as_secs());
    assert!(moments.windows(2).all(is_near));
}

#[test]
fn own_addresses_nobody_has_reached_are_not_told() {
    let config = Config { own_announce: OwnAnnounce::EverySecs(120), ask: AskWhom::Nobody, ..plain() };
    let mut exchange = exchange(config);
    exchange.own_listens(vec![Endpoint::tcp([9, 9, 9, 9].into(), 4_001)]);
    connect(&mut exchange, 1, DIALLED, at(0));
    assert!((0..100).all(|minutes| outputs(&mut exchange, at(minutes * 60)).is_empty()));
    assert_eq!(exchange.own_addr(Audience::Internet, at(0)), None);
}

#[test]
fn a_bootstrap_node_pushes_and_the_newcomer_takes_it_once() {
    let mut bootstrap = exchange(Config { push_peers_on_connect: true, ..plain() });
    connect(&mut bootstrap, 1, DIALLED_US, at(0));
    let push = Output::Push { to: 1, audience: Audience::Internet };
    assert_eq!(outputs(&mut bootstrap, at(0)), [push]);
    assert_eq!(bootstrap.pushed(1, addrs(40), at(0)), addrs(40));
    assert_eq!(bootstrap.pushed(2, addrs(40), at(0)), []);

    let newcomer = || exchange(Config { push_taken_max: 39, ..plain() });
    let mut asked_nothing = newcomer();
    connect(&mut asked_nothing, 1, DIALLED, at(0));
    let taken = asked_nothing.unasked_received(1, addrs(40), at(0));
    assert_eq!((taken.addrs.len(), taken.dropped, taken.may_relay), (39, 1, false));
    assert_eq!(asked_nothing.unasked_received(1, addrs(40), at(0)).addrs.len(), 5, "a second one is an announcement");
    let mut dialled = newcomer();
    connect(&mut dialled, 1, DIALLED_US, at(0));
    assert_eq!(dialled.unasked_received(1, addrs(40), at(0)).addrs.len(), 5, "only whom we dialled pushes");
    let mut late = newcomer();
    connect(&mut late, 1, DIALLED, at(0));
    assert_eq!(late.unasked_received(1, addrs(40), at(61)).addrs.len(), 11, "and only right after connecting");
}
