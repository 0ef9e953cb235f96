use super::*;

fn ours(last: u8, port: u16) -> Endpoint {
    Endpoint::tcp([9, 9, 9, last].into(), port)
}

/// Behind a router: it listens on a private address, and peers see another one.
fn behind_a_router() -> Exchange<u8> {
    let mut exchange = exchange(Config { ask: AskWhom::Nobody, ..plain() });
    exchange.own_listens(vec![Endpoint::tcp([192, 168, 0, 2].into(), 4_001)]);
    exchange
}

/// A peer that this node dialled sees it at an address; the port means nothing.
fn sees(exchange: &mut Exchange<u8>, peer: u8, last: u8, now: Timestamp) {
    if !exchange.peers.contains_key(&peer) {
        connect(exchange, peer, DIALLED, now);
    }
    exchange.hello_received(peer, Some(PeerId::random()), hello(None, Some(ours(last, 50_000))), now);
}

fn helper(outputs: &[Output<u8>]) -> Option<u8> {
    outputs.iter().find_map(|output| if let Output::AskDialBack { to, .. } = output { Some(*to) } else { None })
}

fn adopted(exchange: &Exchange<u8>) -> Vec<Endpoint> {
    exchange.own_views().into_iter().filter(|view| view.is_adopted).map(|view| view.endpoint).collect()
}

#[test]
fn an_own_address_is_adopted_when_three_groups_agree_and_one_dialled_it() {
    let mut exchange = behind_a_router();
    connect(&mut exchange, 9, DIALLED, at(0));
    for (peer, is_enough) in [(1, false), (2, false), (3, true)] {
        sees(&mut exchange, peer, 1, at(0));
        assert_eq!(helper(&outputs(&mut exchange, at(0))).is_some(), is_enough, "{peer} witnesses");
    }
    let trial = exchange.own.trial().unwrap().clone();
    assert_eq!((trial.endpoint, &trial.asked[..]), (ours(1, 4_001), &[9][..]), "one that is no witness is asked");
    assert_eq!(adopted(&exchange), []);
    exchange.connected_again(1, at(1));
    assert_eq!(adopted(&exchange), [], "somebody else came by chance");
    exchange.connected_again(9, at(1));
    assert_eq!(outputs(&mut exchange, at(1)), [Output::Adopted(ours(1, 4_001))]);
    let [view] = &exchange.own_views()[..] else { panic!("one address") };
    assert_eq!((view.is_adopted, view.groups, &view.witnesses[..]), (true, 3, &[1, 2, 3][..]));
    assert_eq!(exchange.own_addr(Audience::Internet, at(1)).unwrap().endpoints, [ours(1, 4_001)]);
}

#[test]
fn fault_lying_witnesses_of_one_group_count_as_one() {
    let mut exchange = behind_a_router();
    for peer in 1..=50 {
        let seen_at = Endpoint::tcp([66, 6, peer, 1].into(), 4_001);
        exchange.peer_connected(peer, Link { is_dialled: true, seen_at }, at(0));
        exchange.hello_received(peer, Some(PeerId::random()), hello(None, Some(ours(66, 1))), at(0));
    }
    assert_eq!(outputs(&mut exchange, at(0)), []);
    sees(&mut exchange, 60, 66, at(0));
    assert_eq!(outputs(&mut exchange, at(0)), [], "and one more makes two");
}

#[test]
fn fault_lying_witnesses_of_many_groups_fail_at_the_dial_back() {
    let mut exchange = behind_a_router();
    (1..=6).for_each(|peer| sees(&mut exchange, peer, 66, at(0)));
    connect(&mut exchange, 9, DIALLED, at(0));
    let mut helpers = vec![helper(&outputs(&mut exchange, at(0))).unwrap()];
    for secs in [20, 40, 60, 80] {
        helpers.extend(helper(&outputs(&mut exchange, at(secs))));
    }
    helpers.sort_unstable();
    let mut distinct = helpers.clone();
    distinct.dedup();
    assert_eq!((helpers.len(), distinct.len()), (3, 3), "three tries with three peers, and no more");
    assert_eq!(adopted(&exchange), []);
    sees(&mut exchange, 7, 66, at(3_000));
    assert_eq!(outputs(&mut exchange, at(3_000)), [], "given up for an hour");
    sees(&mut exchange, 8, 66, at(3_700));
    assert!(helper(&outputs(&mut exchange, at(3_700))).is_some());
    // Meanwhile the truth is found out.
    (11..=13).for_each(|peer| sees(&mut exchange, peer, 1, at(3_700)));
    for secs in [3_720, 3_740, 3_760] {
        if let Some(to) = helper(&outputs(&mut exchange, at(secs)))
            && exchange.own.trial().is_some_and(|trial| trial.endpoint == ours(1, 4_001))
        {
            exchange.connected_again(to, at(secs));
        }
    }
    assert_eq!(adopted(&exchange), [ours(1, 4_001)]);
}

#[test]
fn an_own_address_is_dropped_when_it_changes() {
    let mut exchange = behind_a_router();
    connect(&mut exchange, 9, DIALLED, at(0));
    (1..=3).for_each(|peer| sees(&mut exchange, peer, 1, at(0)));
    outputs(&mut exchange, at(0));
    exchange.connected_again(9, at(0));
    outputs(&mut exchange, at(0));
    (1..=3).for_each(|peer| exchange.peer_disconnected(peer, at(10)));
    assert_eq!(adopted(&exchange), [ours(1, 4_001)], "silence is no change");
    (4..=5).for_each(|peer| sees(&mut exchange, peer, 2, at(20)));
    assert_eq!(outputs(&mut exchange, at(20)), []);
    sees(&mut exchange, 6, 2, at(20));
    let changed = outputs(&mut exchange, at(20));
    assert!(changed.contains(&Output::Dropped(ours(1, 4_001))), "{changed:?}");
    exchange.connected_again(9, at(21));
    assert_eq!(adopted(&exchange), [ours(2, 4_001)]);
}

/// A peer that came by itself from a part of the internet of its own says where it sees this node.
fn who_came_sees(exchange: &mut Exchange<u8>, peer: u8, endpoint: Endpoint, now: Timestamp) {
    if !exchange.peers.contains_key(&peer) {
        connect(exchange, peer, DIALLED_US, now);
    }
    exchange.hello_received(peer, Some(PeerId::random()), hello(None, Some(endpoint)), now);
}

#[test]
fn fault_of_whoever_comes_no_host_is_believed_that_nobody_sees_who_was_dialled() {
    let mut exchange = behind_a_router();
    (1..=2).for_each(|peer| sees(&mut exchange, peer, 1, at(0)));
    sees(&mut exchange, 3, 66, at(0));
    (11..=30).for_each(|peer| who_came_sees(&mut exchange, peer, ours(66, 4_001), at(0)));
    assert_eq!(helper(&outputs(&mut exchange, at(0))), None, "two that were dialled see another host, one this");
    (11..=12).for_each(|peer| who_came_sees(&mut exchange, peer, ours(1, 5_001), at(0)));
    assert_eq!(helper(&outputs(&mut exchange, at(0))), None);
    who_came_sees(&mut exchange, 13, ours(1, 5_001), at(0));
    assert!(helper(&outputs(&mut exchange, at(0))).is_some(), "of a port behind a router those tell who came by it");
    let mut alone = behind_a_router();
    (11..=13).for_each(|peer| who_came_sees(&mut alone, peer, ours(1, 5_001), at(0)));
    assert!(helper(&outputs(&mut alone, at(0))).is_some(), "who dialled nobody has nobody else to believe");
}

#[test]
fn fault_no_name_is_believed_that_only_a_liar_would_dial_back() {
    let mut exchange = behind_a_router();
    connect(&mut exchange, 9, DIALLED, at(0));
    let name = Endpoint::from_multiaddr(&"/dns4/victim.example/tcp/4001".parse().unwrap()).unwrap().0;
    (11..=20).for_each(|peer| who_came_sees(&mut exchange, peer, name.clone(), at(0)));
    assert_eq!(helper(&outputs(&mut exchange, at(0))), None);
}

#[test]
fn fault_lies_drive_no_address_out_that_is_right() {
    let mut exchange = behind_a_router();
    (1..=3).for_each(|peer| sees(&mut exchange, peer, 1, at(0)));
    for port in (4_001..4_030).map(|port| (port != 4_001).then_some(port)) {
        if let Some(port) = port {
            (11..=13).for_each(|peer| who_came_sees(&mut exchange, peer, ours(1, port), at(0)));
        }
        let to = helper(&outputs(&mut exchange, at(0))).unwrap();
        exchange.connected_again(to, at(0));
    }
    let known = adopted(&exchange);
    assert_eq!((known.len(), known.contains(&ours(1, 4_001))), (8, true), "{known:?}");

    let mut listening = exchange.clone();
    listening.own_listens(vec![ours(1, 4_999)]);
    who_came_sees(&mut listening, 14, ours(1, 4_999), at(0));
    let told = listening.own_addr(Audience::Internet, at(0)).unwrap().endpoints;
    assert_eq!((told.len(), &told[0]), (8, &ours(1, 4_999)), "where it listens and was reached it can be reached");
}

#[test]
fn fault_who_always_names_something_new_does_not_keep_a_lie_from_being_doubted() {
    let mut exchange = deceived();
    (1..=3).for_each(|peer| sees(&mut exchange, peer, 1, at(10)));
    (21..=23).for_each(|peer| who_came_sees(&mut exchange, peer, ours(66, 4_001), at(10)));
    for number in 0..400_u16 {
        let now = at(10 + u64::from(number) * 10);
        (11..=13).for_each(|peer| who_came_sees(&mut exchange, peer, ours(1, 5_000 + number), now));
        outputs(&mut exchange, now);
    }
    assert_eq!(adopted(&exchange), [], "an hour has passed, and nobody dialled it");
}

/// A node with a public address of its own, that liars who are gone now have made believe in another one.
fn deceived() -> Exchange<u8> {
    let mut exchange = exchange(Config { ask: AskWhom::Nobody, ..plain() });
    exchange.own_listens(vec![ours(1, 4_001)]);
    connect(&mut exchange, 9, DIALLED, at(0));
    (1..=3).for_each(|peer| sees(&mut exchange, peer, 66, at(0)));
    assert_eq!(helper(&outputs(&mut exchange, at(0))), Some(9));
    exchange.connected_again(9, at(0));
    outputs(&mut exchange, at(0));
    assert_eq!(adopted(&exchange), [ours(66, 4_001)]);
    for liar in [1, 2, 3, 9] {
        exchange.peer_disconnected(liar, at(1));
    }
    exchange
}

/// What is done as time goes by until then, a minute at a time at most; nobody dials this node.
fn until(exchange: &mut Exchange<u8>, secs: std::ops::RangeInclusive<u64>) -> Vec<Output<u8>> {
    let (mut now, end) = (at(*secs.start()), at(*secs.end()));
    let mut done = Vec::new();
    while now <= end {
        done.extend(outputs(exchange, now));
        let next = exchange.next_timeout(now);
        assert!(next.is_none_or(|next| next > now), "it is due and nothing is done");
        let minute = now.after(Duration::from_secs(60));
        now = next.map_or(minute, |next| next.min(minute));
    }
    done
}

const HOUR: u64 = 3_600;

#[test]
fn fault_a_lie_that_was_believed_is_dropped_when_nobody_sees_it_or_dials_it() {
    let mut exchange = deceived();
    (11..=14).for_each(|peer| sees(&mut exchange, peer, 1, at(2)));
    let done = until(&mut exchange, 2..=2 * HOUR);
    assert_eq!(done.iter().filter(|output| matches!(output, Output::AskDialBack { .. })).count(), 3, "{done:?}");
    assert!(done.contains(&Output::Dropped(ours(66, 4_001))), "{done:?}");
    assert_eq!((adopted(&exchange), exchange.own_addr(Audience::Internet, at(2 * HOUR))), (vec![], None));
}

#[test]
fn fault_a_liar_that_repeats_a_lie_that_was_believed_does_not_keep_it() {
    for is_dialled in [DIALLED, DIALLED_US] {
        let mut exchange = deceived();
        (11..=14).for_each(|peer| sees(&mut exchange, peer, 1, at(2)));
        let liars = if is_dialled { 1..=1 } else { 1..=8 };
        for liar in liars {
            connect(&mut exchange, liar, is_dialled, at(2));
            exchange.hello_received(liar, Some(PeerId::random()), hello(None, Some(ours(66, 4_001))), at(2));
        }
        let done = until(&mut exchange, 2..=2 * HOUR);
        let is_honest = |output: &Output<u8>| !matches!(output, Output::AskDialBack { to: 1..=9, .. });
        assert!(done.iter().all(is_honest), "who repeats it is asked last: {done:?}");
        assert_eq!(adopted(&exchange), [], "{is_dialled}");
    }
}

#[test]
fn fault_a_node_that_nobody_let_in_drops_a_lie_too() {
    let mut exchange = deceived();
    for peer in 11..=14 {
        connect(&mut exchange, peer, DIALLED_US, at(2));
        exchange.hello_received(peer, Some(PeerId::random()), hello(None, Some(ours(1, 4_001))), at(2));
    }
    until(&mut exchange, 2..=2 * HOUR);
    assert_eq!(adopted(&exchange), []);
    assert_eq!(exchange.own_addr(Audience::Internet, at(2 * HOUR)).unwrap().endpoints, [ours(1, 4_001)]);
}

#[test]
fn an_own_address_that_is_right_stays_with_few_peers() {
    let adopt = || {
        let mut exchange = behind_a_router();
        connect(&mut exchange, 9, DIALLED, at(0));
        (1..=3).for_each(|peer| sees(&mut exchange, peer, 1, at(0)));
        outputs(&mut exchange, at(0));
        exchange.connected_again(9, at(0));
        outputs(&mut exchange, at(0));
        (2..=3).for_each(|peer| exchange.peer_disconnected(peer, at(1)));
        exchange
    };
    let mut seen = adopt();
    assert_eq!(until(&mut seen, 1..=5 * HOUR), [], "one sees it, and nobody something else");
    let mut unseen = adopt();
    unseen.peer_disconnected(1, at(1));
    for hour in 1..=3 {
        let now = at(hour * HOUR);
        assert_eq!(outputs(&mut unseen, now), [Output::AskDialBack { to: 9, endpoint: ours(1, 4_001) }]);
        unseen.connected_again(9, now);
        assert_eq!(outputs(&mut unseen, now), [], "it is no news");
    }
    unseen.peer_disconnected(9, at(3 * HOUR));
    assert_eq!(until(&mut unseen, 3 * HOUR..=9 * HOUR), [], "nobody is there who could tell");
    assert_eq!([seen, unseen].map(|exchange| adopted(&exchange)), [[ours(1, 4_001)], [ours(1, 4_001)]]);
}

#[test]
fn fault_whoever_was_not_asked_says_nothing_of_an_own_address() {
    let mut exchange = behind_a_router();
    connect(&mut exchange, 9, DIALLED, at(0));
    (1..=3).for_each(|peer| sees(&mut exchange, peer, 1, at(0)));
    for secs in (0..200).step_by(20) {
        let busy = helper(&outputs(&mut exchange, at(secs))).expect("it is tried on");
        exchange.dial_back_put_off(busy);
    }
    let asked = helper(&outputs(&mut exchange, at(200))).unwrap();
    exchange.connected_again(asked, at(201));
    assert_eq!(adopted(&exchange), [ours(1, 4_001)]);
}

#[test]
fn fault_whoever_came_by_ipv4_is_not_asked_for_an_ipv6_address() {
    let mut exchange = exchange(Config { ask: AskWhom::Nobody, ..plain() });
    let v6 = |last: u16| Endpoint::tcp(std::net::Ipv6Addr::new(0x2a00 + last, 1, 2, 3, 4, 5, 6, 7).into(), 4_001);
    exchange.own_listens(vec![Endpoint::tcp(std::net::Ipv6Addr::UNSPECIFIED.into(), 4_001)]);
    (20..=40).for_each(|peer| connect(&mut exchange, peer, DIALLED, at(0)));
    for peer in 1..=3 {
        exchange.peer_connected(peer, Link { is_dialled: true, seen_at: v6(peer.into()) }, at(0));
        exchange.peer_admitted(peer, at(0));
        exchange.hello_received(peer, Some(PeerId::random()), hello(None, Some(v6(99))), at(0));
    }
    let asked = helper(&outputs(&mut exchange, at(0))).unwrap();
    assert!(asked <= 3, "{asked} is at an IPv4 address");
    exchange.connected_again(asked, at(0));
    outputs(&mut exchange, at(0));
    (1..=3).for_each(|peer| exchange.peer_disconnected(peer, at(1)));
    until(&mut exchange, 1..=3 * HOUR);
    assert_eq!(adopted(&exchange), [v6(99)], "nobody is left who could tell");
}

#[test]
fn fault_whoever_only_came_by_ipv6_confirms_no_lie_where_others_were_dialled() {
    let mut exchange = exchange(Config { ask: AskWhom::Nobody, ..plain() });
    let v6 = |last: u16| Endpoint::tcp(std::net::Ipv6Addr::new(0x2a00 + last, 1, 2, 3, 4, 5, 6, 7).into(), 4_001);
    connect(&mut exchange, 9, DIALLED, at(0));
    for liar in 1..=5 {
        exchange.peer_connected(liar, Link { is_dialled: false, seen_at: v6(liar.into()) }, at(0));
        exchange.peer_admitted(liar, at(0));
        exchange.hello_received(liar, Some(PeerId::random()), hello(None, Some(v6(66))), at(0));
    }
    assert_eq!(helper(&until(&mut exchange, 0..=2 * HOUR)), None, "nobody who was dialled could tell");
    assert_eq!(adopted(&exchange), []);
}

#[test]
fn own_addresses_are_doubted_a_minute_apart() {
    let mut exchange = exchange(Config { ask: AskWhom::Nobody, ..plain() });
    exchange.own_listens([4_001, 4_002].map(|port| Endpoint::tcp([192, 168, 0, 2].into(), port)).to_vec());
    connect(&mut exchange, 9, DIALLED, at(0));
    (1..=3).for_each(|peer| sees(&mut exchange, peer, 1, at(0)));
    for _ in 0..2 {
        assert_eq!(helper(&outputs(&mut exchange, at(0))), Some(9));
        exchange.connected_again(9, at(0));
        exchange.review_own(at(0));
    }
    outputs(&mut exchange, at(0));
    assert_eq!(adopted(&exchange).len(), 2);
    (1..=3).for_each(|peer| exchange.peer_disconnected(peer, at(1)));
    let doubted = at(HOUR);
    assert_eq!(helper(&outputs(&mut exchange, doubted)), Some(9));
    exchange.connected_again(9, doubted);
    for (secs, is_asked) in [(0, false), (59, false), (60, true)] {
        let asked = helper(&outputs(&mut exchange, doubted.after(Duration::from_secs(secs))));
        assert_eq!(asked.is_some(), is_asked, "after {secs} s");
    }
}

#[test]
fn an_own_listen_address_that_was_dialled_needs_no_witnesses() {
    let mut exchange = exchange(Config { ask: AskWhom::Nobody, ..plain() });
    exchange.own_listens(vec![ours(1, 4_001)]);
    connect(&mut exchange, 1, DIALLED_US, at(0));
    exchange.hello_received(1, Some(PeerId::random()), hello(None, Some(ours(1, 4_001))), at(0));
    assert_eq!(exchange.own_addr(Audience::Internet, at(0)).unwrap().endpoints, [ours(1, 4_001)]);
    assert_eq!(exchange.own_views(), []);
}

/// A peer that came from its own address and says where it listens.
#[test]
fn fault_who_only_came_confirms_no_own_address_while_others_can() {
    let mut exchange = behind_a_router();
    connect(&mut exchange, 9, DIALLED, at(0));
    for liar in 11..=14 {
        connect(&mut exchange, liar, DIALLED_US, at(0));
        exchange.hello_received(liar, Some(PeerId::random()), hello(None, Some(ours(7, 4_001))), at(0));
    }
    let asked: Vec<_> = (0..200).filter_map(|secs| helper(&outputs(&mut exchange, at(secs)))).collect();
    assert_eq!(asked, [9]);
    (11..=14).for_each(|liar| exchange.connected_again(liar, at(200)));
    assert_eq!(adopted(&exchange), []);
}

#[test]
fn fault_where_a_peer_was_dialled_is_no_own_address() {
    let mut exchange = behind_a_router();
    connect(&mut exchange, 9, DIALLED, at(0));
    let of_a_peer = link(9, DIALLED).seen_at;
    for liar in 11..=14 {
        connect(&mut exchange, liar, DIALLED_US, at(0));
        exchange.hello_received(liar, Some(PeerId::random()), hello(None, Some(of_a_peer.clone())), at(0));
    }
    assert_eq!(helper(&outputs(&mut exchange, at(0))), None);
}
