use super::*;
use crate::DialBack;

fn came(exchange: &mut Exchange<u8>, peer: u8, listens_at: Endpoint, now: Timestamp) {
    connect(exchange, peer, DIALLED_US, now);
    exchange.hello_received(peer, Some(PeerId::random()), hello(Some(listens_at), None), now);
}

fn confirming(confirm: Confirm) -> Exchange<u8> {
    exchange(Config { confirm, ask: AskWhom::Nobody, ..plain() })
}

#[test]
fn a_peer_is_dialled_where_it_says_it_listens_and_only_then_passed_on() {
    let mut exchange = confirming(Confirm::Mark);
    connect(&mut exchange, 8, DIALLED_US, at(0));
    let listens = [1, 2].map(|peer| Endpoint::tcp(host(peer).into(), 9_000));
    came(&mut exchange, 1, listens[0].clone(), at(0));
    came(&mut exchange, 2, listens[1].clone(), at(0));
    let probes = [0, 1].map(|at: usize| Output::Probe { peer: at as u8 + 1, endpoint: listens[at].clone() });
    assert_eq!(outputs(&mut exchange, at(0)), probes);
    exchange.probe_ended(1, &listens[0], true, at(1));
    let [confirmed, told @ ..] = &outputs(&mut exchange, at(1))[..] else { panic!("nothing") };
    assert_eq!(*confirmed, Output::Confirmed { peer: 1, endpoint: listens[0].clone() });
    assert_eq!(told.len(), 2, "two others hear of it");
    exchange.probe_ended(2, &listens[1], false, at(1));
    let unconfirmed = Output::Unconfirmed { peer: 2, endpoint: listens[1].clone() };
    assert_eq!(outputs(&mut exchange, at(1)), [unconfirmed], "and nobody hears of the other");
    exchange.probe_ended(2, &listens[1], true, at(2));
    assert_eq!(outputs(&mut exchange, at(2)), [], "too late");
}

#[test]
fn who_claims_the_endpoint_of_another_is_not_found_there_and_nothing_counts_against_the_endpoint() {
    let mut exchange = confirming(Confirm::Require { within_secs: 30 });
    let (listens, found) = (Endpoint::tcp(host(1).into(), 9_000), PeerId::random());
    came(&mut exchange, 1, listens.clone(), at(0));
    assert_eq!(outputs(&mut exchange, at(0)).len(), 1);
    exchange.probe_met(1, &listens, found, at(1));
    let other = Output::OtherFound { endpoint: listens.clone(), found };
    assert_eq!(outputs(&mut exchange, at(1)), [other, Output::Unreachable(1)]);
    exchange.probe_met(1, &listens, found, at(2));
    assert_eq!(outputs(&mut exchange, at(2)), [], "too late");
}

#[test]
fn confirmation_can_be_off_or_required() {
    let listens = Endpoint::tcp(host(1).into(), 9_000);
    let mut off = confirming(Confirm::Off);
    came(&mut off, 1, listens.clone(), at(0));
    assert_eq!(outputs(&mut off, at(0)), []);

    let require = Confirm::Require { within_secs: 30 };
    let mut silent = confirming(require);
    came(&mut silent, 1, listens.clone(), at(0));
    assert_eq!(outputs(&mut silent, at(0)).len(), 1);
    assert_eq!(outputs(&mut silent, at(19)), []);
    let unconfirmed = Output::Unconfirmed { peer: 1, endpoint: listens.clone() };
    assert_eq!(outputs(&mut silent, at(20)), [unconfirmed, Output::Unreachable(1)]);

    let mut nowhere = confirming(require);
    connect(&mut nowhere, 1, DIALLED_US, at(0));
    nowhere.hello_received(1, Some(PeerId::random()), PeerHello::default(), at(0));
    assert_eq!([29, 30, 31].map(|secs| outputs(&mut nowhere, at(secs)).len()), [0, 1, 0]);

    let mut there = confirming(require);
    came(&mut there, 1, listens.clone(), at(0));
    outputs(&mut there, at(0));
    there.probe_ended(1, &listens, true, at(1));
    outputs(&mut there, at(1));
    assert_eq!(outputs(&mut there, at(100)), [], "it stays");

    let mut named = confirming(require);
    connect(&mut named, 1, DIALLED_US, at(0));
    named.peer_hidden(1);
    named.hello_received(1, Some(PeerId::random()), PeerHello::default(), at(0));
    assert_eq!(outputs(&mut named, at(100)), [], "whom the operator named is spared");
}

#[test]
fn fault_no_usual_service_is_dialled_to_try_it() {
    let dialled = |dial_low_ports, port| {
        let config = Config { dial_low_ports, confirm: Confirm::Mark, ask: AskWhom::Nobody, ..plain() };
        let mut exchange = Exchange::new(config.validate().unwrap(), Seed::from_number(1));
        let seen_at = Endpoint::tcp([6, 6, 6, 6].into(), port);
        exchange.peer_connected(1, Link { is_dialled: false, seen_at: seen_at.clone() }, at(0));
        exchange.peer_admitted(1, at(0));
        exchange.hello_received(1, Some(PeerId::random()), hello(Some(seen_at.clone()), None), at(0));
        let claimed = outputs(&mut exchange, at(0)).contains(&Output::Probe { peer: 1, endpoint: seen_at.clone() });
        exchange.probe_ended(1, &seen_at, false, at(0));
        (claimed, exchange.dial_back_asked(1, seen_at, at(0)))
    };
    assert_eq!([22, 1_023].map(|port| dialled(false, port)), [(false, DialBack::Elsewhere); 2]);
    assert_eq!(dialled(false, 1_024), (true, DialBack::Taken));
    assert_eq!(dialled(true, 22), (true, DialBack::Taken));
}

#[test]
fn fault_claims_lead_to_dials_of_nobody_else() {
    let mut exchange = confirming(Confirm::Mark);
    let victims = [
        "/ip4/6.6.6.6/tcp/4022",
        "/dns/victim.example/tcp/4022",
        "/ip4/10.0.0.1/tcp/80",
        "/ip4/169.254.169.254/tcp/80",
    ];
    for (peer, victim) in (1..).zip(victims) {
        let (victim, _) = Endpoint::from_multiaddr(&victim.parse().unwrap()).unwrap();
        came(&mut exchange, peer, victim.clone(), at(0));
        assert_eq!(exchange.dial_back_asked(peer, victim, at(0)), DialBack::Elsewhere);
    }
    for (peer, private) in [(11, [10, 0, 0, 1]), (12, [127, 0, 0, 1]), (13, [169, 254, 169, 254])] {
        let seen_at = Endpoint::tcp(private.into(), 80);
        exchange.peer_connected(peer, Link { is_dialled: false, seen_at: seen_at.clone() }, at(0));
        exchange.hello_received(peer, Some(PeerId::random()), hello(Some(seen_at.clone()), None), at(0));
        assert_eq!(exchange.dial_back_asked(peer, seen_at, at(0)), DialBack::Elsewhere);
    }
    assert_eq!(outputs(&mut exchange, at(0)), []);
}

#[test]
fn fault_dials_that_try_are_few() {
    let config =
        Config { probes_max: 3, probes_waiting_max: 5, confirm: Confirm::Mark, ask: AskWhom::Nobody, ..plain() };
    let begun = |count: u8| {
        let mut exchange = exchange(config.clone());
        (1..=count).for_each(|peer| came(&mut exchange, peer, Endpoint::tcp(host(peer).into(), 4_009), at(0)));
        outputs(&mut exchange, at(0)).len()
    };
    assert_eq!([2, 3, 4].map(begun), [2, 3, 3]);
    // Whoever wants to be dialled waits too, if few do.
    let taken = |count: u8| {
        let mut exchange = exchange(Config { confirm: Confirm::Off, ..config.clone() });
        let mut ask = |peer| {
            connect(&mut exchange, peer, DIALLED_US, at(0));
            exchange.dial_back_asked(peer, Endpoint::tcp(host(peer).into(), 4_009), at(0)) == DialBack::Taken
        };
        (1..=count).filter(|peer| ask(*peer)).count()
    };
    assert_eq!([4, 5, 6].map(taken), [4, 5, 5], "five wait, the sixth is not tried");
    // One host that comes again and again with another port is dialled twice a second at most.
    let mut exchange = confirming(Confirm::Mark);
    let mut dials = 0;
    for round in 0..6_000_u64 {
        let now = at(0).after(Duration::from_millis(100 * round));
        let port = 4_000 + round as u16;
        came(&mut exchange, 1, Endpoint::tcp(host(1).into(), port), now);
        dials +=
            outputs(&mut exchange, now).into_iter().filter(|output| matches!(output, Output::Probe { .. })).count();
        exchange.probe_ended(1, &Endpoint::tcp(host(1).into(), port), false, now);
        outputs(&mut exchange, now);
        exchange.peer_disconnected(1, now);
    }
    assert!(dials <= 16 + 1_200, "{dials} dials in ten minutes");
}

#[test]
fn fault_a_peer_is_dialled_back_once_a_minute() {
    let mut exchange = confirming(Confirm::Off);
    connect(&mut exchange, 1, DIALLED_US, at(0));
    let there = Endpoint::tcp(host(1).into(), 9_000);
    let mut ask = |secs| {
        let outcome = exchange.dial_back_asked(1, there.clone(), at(secs));
        outputs(&mut exchange, at(secs));
        exchange.probe_ended(1, &there, true, at(secs));
        outputs(&mut exchange, at(secs));
        outcome
    };
    assert_eq!([0, 1, 59, 60].map(&mut ask), [DialBack::Taken, DialBack::TooMany, DialBack::TooMany, DialBack::Taken]);
    assert_eq!(exchange.dial_back_asked(2, there, at(60)), DialBack::NotServed);
}

#[test]
fn nobody_who_came_is_left_out_when_many_wait_to_be_confirmed() {
    let config =
        Config { probes_max: 1, probes_waiting_max: 2, confirm: Confirm::Mark, ask: AskWhom::Nobody, ..plain() };
    let mut exchange = exchange(config);
    (1..=9).for_each(|peer| came(&mut exchange, peer, Endpoint::tcp(host(peer).into(), 4_009), at(0)));
    let mut tried = Vec::new();
    for secs in 0..200 {
        tried.extend(
            outputs(&mut exchange, at(secs))
                .into_iter()
                .filter_map(|output| if let Output::Probe { peer, .. } = output { Some(peer) } else { None }),
        );
    }
    assert_eq!(tried, (1..=9).collect::<Vec<_>>());
}

#[test]
fn the_time_to_be_found_begins_with_the_dial() {
    let config = Config {
        probes_max: 1,
        probe_secs: 20,
        confirm: Confirm::Require { within_secs: 30 },
        ask: AskWhom::Nobody,
        ..plain()
    };
    let mut exchange = exchange(config);
    let listens = [1, 2, 3].map(|peer| Endpoint::tcp(host(peer).into(), 4_009));
    (1..=3).zip(&listens).for_each(|(peer, listens)| came(&mut exchange, peer, listens.clone(), at(0)));
    let unreachable = |outputs: Vec<Output<u8>>| {
        let peers = outputs.into_iter();
        peers.filter_map(|output| if let Output::Unreachable(peer) = output { Some(peer) } else { None }).collect()
    };
    let mut gone: Vec<Vec<u8>> = Vec::new();
    for secs in [0, 20, 39] {
        gone.push(unreachable(outputs(&mut exchange, at(secs))));
    }
    exchange.probe_ended(2, &listens[1], true, at(39));
    for secs in [39, 58, 59, 100] {
        gone.push(unreachable(outputs(&mut exchange, at(secs))));
    }
    assert_eq!(gone, [vec![], vec![1], vec![], vec![], vec![], vec![3], vec![]], "2 was found, though it waited");
}
