use super::*;

/// Whether one more may come where so many are that have no slot.
fn lets_in(config: Config, strangers: u16, is_manual_awaited: bool) -> bool {
    let mut engine = engine(config);
    if is_manual_awaited {
        engine.add_node(at(999), Some(peer(999)), T);
    }
    for number in 1..=strangers {
        engine.connection_established(number.into(), peer(number), Origin::Accepted(at(number)), T);
    }
    engine.accepts_inbound(&at(500), std::iter::empty())
}

#[test]
fn beyond_those_kept_so_many_are_let_in_and_for_manual_peers_some_more() {
    for strangers in [181, 182, 183] {
        assert_eq!(lets_in(quiet(), strangers, false), strangers < 150 + 32);
    }
    for strangers in [189, 190, 191] {
        assert_eq!(lets_in(quiet(), strangers, true), strangers < 150 + 32 + 8);
    }
}

#[test]
fn so_many_handshakes_of_those_who_come_are_under_way() {
    let lets_in = |pending: Vec<Endpoint>, from: Endpoint| engine(quiet()).accepts_inbound(&from, pending.iter());
    let of_all = |count| lets_in((1..=count).map(at).collect(), at(999));
    assert_eq!([255, 256, 257].map(of_all), [true, false, false]);
    let of_one_ip = |count| lets_in(vec![at(999); count], at(999));
    assert_eq!([7, 8, 9].map(of_one_ip), [true, false, false]);
    let of_one_group = |count| {
        let mut engine = engine(quiet());
        for number in 1..=count {
            engine.connection_established(number.into(), peer(number), Origin::Accepted(neighbour(number)), T);
        }
        engine.accepts_inbound(&neighbour(200), std::iter::empty())
    };
    assert_eq!([31, 32, 33].map(of_one_group), [true, false, false]);
}

/// How many more handshakes of a group begin when so many others are under way.
fn handshakes_of_a_group(others: u16) -> usize {
    let engine = engine(quiet());
    let mut pending: Vec<_> = (1..=others).map(at).collect();
    let begun = (1..=99).filter(|number| {
        let is_let_in = engine.accepts_inbound(&neighbour(*number), pending.iter());
        pending.extend(is_let_in.then(|| neighbour(*number)));
        is_let_in
    });
    begun.count()
}

#[test]
fn of_the_places_for_handshakes_that_are_free_a_group_gets_so_many() {
    assert_eq!(
        [0, 9, 18, 128].map(handshakes_of_a_group),
        [28, 27, 26, 14],
        "until it has an eighth of what is free then"
    );
    assert_eq!([230, 231, 253, 254, 255, 256].map(handshakes_of_a_group), [3, 2, 2, 2, 1, 0], "two at least");
}

#[test]
fn fault_handshakes_of_a_few_groups_that_never_end_do_not_fill_all_places() {
    let engine = engine(quiet());
    let mut pending: Vec<Endpoint> = Vec::new();
    let mut groups = 0;
    while engine.accepts_inbound(&at(9_999), pending.iter()) {
        groups += 1;
        assert!(groups < 100, "places never end");
        for number in 1..=255_u8 {
            let from = Endpoint::tcp([80, groups, number, 1].into(), 4_001);
            if engine.accepts_inbound(&from, pending.iter()) {
                pending.push(from);
            }
        }
    }
    assert!(groups > 30, "{groups} groups keep everybody else out");
    let newcomer = at(9_999);
    assert!(engine.accepts_peer(&peer(1), &newcomer, pending.iter()), "whose handshake is over is let in");
}

/// Whether one who comes from an address is let in, as an owner asks and does.
fn let_in(engine: &mut Engine<u32>, number: u16, from: &Endpoint) -> bool {
    let nobody = std::iter::empty;
    let is_let_in = engine.accepts_inbound(from, nobody()) && engine.accepts_peer(&peer(number), from, nobody());
    if is_let_in {
        engine.connection_established(number.into(), peer(number), Origin::Accepted(from.clone()), T);
        for output in outputs(engine) {
            if let Output::Close { peer, connection } = output {
                engine.connection_closed(connection, peer, T);
            }
        }
    }
    is_let_in
}

/// An engine whose slots are taken by so many that came, and where silent ones come from so many groups, one after the other.
fn besieged(held: u16, groups: u8, rounds: u8) -> Engine<u32> {
    let mut engine = engine(Config { inbound_eviction: false, ..quiet() });
    assert!((1..=held).all(|number| came(&mut engine, number, T)));
    silent_ones_come(&mut engine, groups, 0..rounds);
    engine
}

fn silent_ones_come(engine: &mut Engine<u32>, groups: u8, rounds: std::ops::Range<u8>) {
    for (round, group) in rounds.flat_map(|round| (0..groups).map(move |group| (round, group))) {
        let from = Endpoint::tcp([80, group, round, 1].into(), 4_001);
        let_in(engine, 20_000 + u16::from(round) * 256 + u16::from(group), &from);
    }
}

#[test]
fn fault_silent_ones_of_a_few_groups_keep_nobody_out() {
    for (held, groups) in [(0, 6), (0, 12), (0, 90), (150, 1), (150, 2), (150, 12), (150, 16)] {
        let mut engine = besieged(held, groups, 48);
        for number in 1_000..1_003 {
            assert!(let_in(&mut engine, number, &at(number)), "{groups} groups keep out who comes to {held}");
            silent_ones_come(&mut engine, groups, 48..96);
            let answer = engine.hello_received(peer(number), hello(number), T);
            assert!(answer.is_some(), "{groups} groups have it hung up on who came to {held}");
            assert!(engine.connected() <= 150 + 32, "{} are connected", engine.connected());
            engine.connection_closed(number.into(), peer(number), T);
        }
    }
}

#[test]
fn fault_second_connections_of_those_who_have_slots_keep_nobody_out() {
    let mut engine = besieged(150, 0, 0);
    for number in 1..=150 {
        engine.connection_established(1_000 + u32::from(number), peer(number), Origin::Accepted(at(number)), T);
    }
    outputs(&mut engine);
    assert!(let_in(&mut engine, 999, &at(999)));
}

#[test]
fn of_the_largest_group_the_one_that_came_first_gives_way() {
    let mut engine = engine(Config { inbound_max: 0, inbound_slack: 4, ..quiet() });
    for (secs, number) in [(3, 3), (1, 1), (2, 2), (4, 4)] {
        let now = T.after(SECOND * secs);
        engine.connection_established(number.into(), peer(number), Origin::Accepted(neighbour(number)), now);
    }
    assert!(let_in(&mut engine, 5, &at(5)));
    assert_eq!((1..=5).filter(|number| engine.is_connected(&peer(*number))).collect::<Vec<_>>(), [2, 3, 4, 5]);
}

#[test]
fn those_who_come_at_the_same_time_do_not_take_places_from_each_other() {
    let of_other_groups = |number| at(number);
    for from in [of_other_groups, neighbour] {
        let mut engine = engine(Config { inbound_eviction: false, strangers_per_group_max: 99, ..quiet() });
        assert!((1..=150).all(|number| came(&mut engine, number, T)));
        let come = (1_000..1_064).filter(|number| let_in(&mut engine, *number, &from(*number)));
        assert_eq!(come.collect::<Vec<_>>(), (1_000..1_032).collect::<Vec<_>>());
        assert!((1_000..1_032).all(|number| engine.is_connected(&peer(number))));
    }
}
