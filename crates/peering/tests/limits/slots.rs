use super::*;

/// Begins to dial as many as are wanted.
fn begun(engine: &mut Engine<u32>, first: u16) -> u16 {
    (first..).take_while(|number| dial(engine, *number, T) == DialOutcome::Started).count() as u16
}

#[test]
fn when_so_many_that_were_dialled_stay_the_next_is_a_quiet_one() {
    let next = |stay: u16| {
        let mut engine = engine(Config { quiet_target: 2, ..Config::default() });
        assert_eq!(begun(&mut engine, 1), 36);
        (1..=stay).for_each(|number| assert_eq!(answered(&mut engine, number, T), Intent::Stay));
        (stay + 1..=36).for_each(|number| engine.dial_failed(&at(number), DialFailure::Unreachable, T));
        let later = T.after(MINUTE);
        assert_eq!(dial(&mut engine, 99, later), DialOutcome::Started);
        answered(&mut engine, 99, later)
    };
    assert_eq!([31, 32, 33].map(next), [Intent::Stay, Intent::Quiet, Intent::Quiet]);
}

#[test]
fn so_many_more_than_the_target_are_dialled_at_once() {
    for (outbound_extra, most) in [(3, 35), (4, 36), (5, 36)] {
        assert_eq!(begun(&mut engine(Config { outbound_extra, ..Config::default() }), 1), most);
    }
}

#[test]
fn so_many_quiet_ones_are_dialled_and_kept() {
    for quiet_target in [1, 2, 3] {
        let config = Config { outbound_target: 1, quiet_target, ..Config::default() };
        let mut engine = with_outbound(config, 1, 1);
        let quiet = begun(&mut engine, 2);
        (2..2 + quiet).for_each(|number| assert_eq!(answered(&mut engine, number, T), Intent::Quiet));
        assert_eq!((engine.held(SlotClass::Quiet), dial(&mut engine, 99, T)), (quiet_target, DialOutcome::Enough));
    }
}

#[test]
fn so_many_that_came_are_kept() {
    let kept = |count| {
        let mut engine = engine(Config { inbound_eviction: false, ..quiet() });
        (1..=count).filter(|number| came(&mut engine, *number, T)).count()
    };
    assert_eq!([149, 150, 151].map(kept), [149, 150, 150]);
}

#[test]
fn so_many_of_one_ip_are_kept() {
    let kept = |count: u16| {
        let mut engine = engine(quiet());
        (1..=count).filter(|number| came_from(&mut engine, *number, at(999), T)).count()
    };
    assert_eq!([1, 2, 3].map(kept), [1, 2, 2]);
}

/// How many of three are kept that come from one host, and each says that it listens there and elsewhere in the internet.
fn kept_of_those_who_claim(from: [u8; 4], claimed: impl Fn(u16) -> Option<[u8; 4]>) -> usize {
    let mut engine = engine(quiet());
    let is_kept = |number: &u16| {
        let elsewhere = claimed(*number).map(|ip| Endpoint::tcp(ip.into(), 4_001));
        let listen = [at(*number)].into_iter().chain(elsewhere).collect();
        let origin = Origin::Accepted(Endpoint::tcp(from.into(), 50_000 + number));
        engine.connection_established((*number).into(), peer(*number), origin, T);
        engine.hello_received(peer(*number), Hello { listen, ..hello(*number) }, T);
        engine.is_held(&peer(*number))
    };
    (1..=3).filter(is_kept).count()
}

#[test]
fn on_loopback_a_peer_counts_for_the_address_of_this_machine_that_it_claims() {
    let own = |number| Some([127, 0, 0, u8::try_from(number).unwrap() + 1]);
    let loopback = [127, 0, 0, 1];
    assert_eq!(kept_of_those_who_claim(loopback, own), 3);
    assert_eq!(kept_of_those_who_claim(loopback, |_| Some([127, 0, 0, 9])), 2);
    assert_eq!(kept_of_those_who_claim(loopback, |_| None), 2, "what lies elsewhere is nobody's word for this machine");
    assert_eq!(kept_of_those_who_claim([9, 9, 9, 9], own), 2, "a host cannot claim to be several");
}

#[test]
fn so_many_of_one_group_are_kept() {
    let kept = |count: u16| {
        let mut engine = engine(quiet());
        (1..=count).filter(|number| came_from(&mut engine, *number, neighbour(*number), T)).count()
    };
    assert_eq!([31, 32, 33].map(kept), [31, 32, 32]);
}

#[test]
fn so_many_lose_their_slot_to_newcomers_in_a_minute() {
    for (evictions_per_minute, at_once) in [(11, 3), (12, 3), (13, 4)] {
        let mut engine = engine(Config { inbound_max: 20, evictions_per_minute, ..quiet() });
        (1..=20).for_each(|number| assert!(came(&mut engine, number, T)));
        assert_eq!((21..60).filter(|number| came(&mut engine, *number, T)).count(), at_once);
        // A millisecond makes up for the rounding of the rate.
        let in_a_second = |number: &u16| {
            let now = T.after(SECOND * u32::from(number - 100) + SECOND / 1_000);
            came(&mut engine, *number, now)
        };
        assert_eq!((101..=160).filter(in_a_second).count() as u32, evictions_per_minute);
    }
}

#[test]
fn for_a_group_that_has_as_many_one_of_its_own_has_to_go() {
    let mut engine = engine(Config { inbound_max: 20, ..quiet() });
    (1..=20).for_each(|number| assert!(came(&mut engine, number, T)));
    let beside = |number: u16| {
        let Endpoint::Ip { ip: std::net::IpAddr::V4(ip), .. } = at(number) else { panic!("an IPv4 address") };
        Endpoint::tcp(Ipv4Addr::from_bits(ip.to_bits() + 1).into(), 4_001)
    };
    assert!(!came_from(&mut engine, 101, beside(1), T), "who is there for long stays");
    assert!(came_from(&mut engine, 120, beside(20), T));
    assert!(!engine.is_held(&peer(20)) && (1..20).all(|number| engine.is_held(&peer(number))));
    assert!(!came_from(&mut engine, 220, beside(20), T), "once in five minutes");
    assert_eq!(
        (301..=310).filter(|number| came(&mut engine, *number, T)).count(),
        2,
        "what was refused was not counted"
    );
}

#[test]
fn fault_who_comes_again_and_again_leaves_slots_to_others() {
    let mut engine = engine(quiet());
    (1..=150).for_each(|number| assert!(came(&mut engine, number, T)));
    let (mut placed, mut number) = (0, 1_000);
    let mut connections: std::collections::BTreeMap<PeerId, u16> =
        (1..=150).map(|number| (peer(number), number)).collect();
    for tenth in 0..3_000_u32 {
        let now = T.after(MINUTE + SECOND / 10 * tenth);
        // Twelve groups, from another host each time; whom they say hello to for nothing is left after a moment.
        let from = Endpoint::tcp([80, (tenth % 12) as u8, (tenth / 12) as u8, 1].into(), 50_000);
        number += 1;
        came_from(&mut engine, number, from, now);
        connections.insert(peer(number), number);
        let gone = outputs(&mut engine)
            .into_iter()
            .filter_map(|output| if let Output::SendGoodbye { peer, .. } = output { Some(peer) } else { None });
        let refused = (!engine.is_held(&peer(number))).then_some(peer(number));
        for peer in gone.chain(refused) {
            engine.connection_closed(connections[&peer].into(), peer, now);
        }
        if tenth % 100 == 50 {
            number += 1;
            connections.insert(peer(number), number);
            placed += usize::from(came_from(&mut engine, number, at(number), now));
            if !engine.is_held(&peer(number)) {
                engine.connection_closed(number.into(), peer(number), now);
            }
        }
    }
    assert!(placed >= 20, "{placed} of 30 newcomers have a slot");
}

#[test]
fn a_refusal_names_so_many_others() {
    let named = |held: u16| {
        let mut engine = engine(Config { inbound_max: held.into(), inbound_eviction: false, ..quiet() });
        (1..=held).for_each(|number| assert!(came(&mut engine, number, T)));
        engine.connection_established(99, peer(99), Origin::Accepted(at(99)), T);
        engine.hello_received(peer(99), hello(99), T).unwrap().refused.unwrap().alternatives.len()
    };
    assert_eq!([7, 8, 9].map(named), [7, 8, 8]);
}

#[test]
fn so_many_manual_peers_and_seeds_are_named() {
    let named = |count: u16| {
        let (mut nodes, mut seeds) = (engine(quiet()), engine(quiet()));
        let nodes = (1..=count).filter(|number| nodes.add_node(at(*number), None, T)).count();
        (nodes, (1..=count).filter(|number| seeds.add_seed(at(*number), None, T)).count())
    };
    assert_eq!([255, 256, 257].map(named), [(255, 255), (256, 256), (256, 256)]);
}

#[test]
fn so_many_anchors_are_remembered() {
    let anchors = |held| with_outbound(Config::default(), held, 1).anchors().len();
    assert_eq!([1, 7, 8, 9].map(anchors), [1, 7, 8, 8], "a quarter of 32");
    let anchors = |target| with_outbound(Config { outbound_target: target, ..Config::default() }, 4, 1).anchors().len();
    assert_eq!([4, 8, 11, 12].map(anchors), [2, 2, 2, 3], "two at least");
    let anchors = |target| {
        let config = Config { outbound_target: target, ..Config::default() };
        with_outbound(config, 40, 1).anchors().len()
    };
    assert_eq!([124, 128, 132].map(anchors), [31, 32, 32], "32 at most");
}

#[test]
fn so_many_departures_are_kept() {
    let kept = |count: u16| {
        let mut engine = engine(quiet());
        for number in 1..=count {
            came(&mut engine, number % 100, T);
            engine.connection_closed((number % 100).into(), peer(number % 100), T);
        }
        engine.departures().count()
    };
    assert_eq!([255, 256, 257].map(kept), [255, 256, 256]);
}

#[test]
fn fault_whoever_comes_and_goes_hides_nobody_who_was_dialled() {
    let mut engine = with_outbound(Config::default(), 1, 1);
    engine.goodbye_received(peer(1), Goodbye::because(GoodbyeReason::Requested), T);
    for number in 0..1_000 {
        assert!(came(&mut engine, 100 + number % 100, T.after(SECOND)));
        engine.connection_closed((100 + number % 100).into(), peer(100 + number % 100), T.after(SECOND));
    }
    let departures: Vec<_> = engine.departures().map(|departure| (departure.peer, departure.was_dialled)).collect();
    assert_eq!((departures[0], departures.len()), ((peer(1), true), 257));
}
