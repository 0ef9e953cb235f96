use super::*;

#[test]
fn an_announcement_names_so_many_and_a_longer_one_is_not_passed_on() {
    let may_relay = |count| with_one(quiet(), DIALLED_US).unasked_received(1, addrs(count), at(0)).may_relay;
    assert_eq!([9, 10, 11].map(may_relay), [true, true, false]);
    let sent = |count| {
        let mut exchange = with_one(quiet(), DIALLED_US);
        exchange.relay(9, (0..count).map(|number| addr(number, Some(at(0)))).collect(), at(0));
        told(&mut exchange, at(0))
    };
    assert_eq!([9, 10, 11].map(sent), [[(1, 9)], [(1, 10)], [(1, 10)]]);
}

#[test]
fn an_address_goes_to_so_many_peers() {
    let to = |peers| {
        let mut exchange = with_many(quiet(), peers);
        exchange.relay(99, vec![addr(1, Some(at(0)))], at(0));
        told(&mut exchange, at(0)).len()
    };
    assert_eq!([1, 2, 3, 20].map(to), [1, 2, 2, 2]);
    for relay_to in [1, 2, 3] {
        let mut exchange = with_many(Config { relay_to, ..quiet() }, 20);
        exchange.relay(99, vec![addr(1, Some(at(0)))], at(0));
        assert_eq!(told(&mut exchange, at(0)).len(), relay_to);
    }
}

#[test]
fn an_address_goes_to_the_same_peers_for_a_day() {
    let exchange = with_many(Config { relay_again_secs: 0, ..quiet() }, 50);
    let targets = |secs| {
        let mut exchange = exchange.clone();
        exchange.relay(99, vec![addr(1, Some(at(secs)))], at(secs));
        told(&mut exchange, at(secs))
    };
    let (mut same, mut other) = (0, DAY);
    while other - same > 1 {
        let middle = u64::midpoint(same, other);
        if targets(middle) == targets(0) { same = middle } else { other = middle }
    }
    let is_same = |secs| targets(other + secs) == targets(other);
    assert_eq!([DAY - 1, DAY, DAY + 1].map(is_same), [true, false, false]);
}

#[test]
fn an_address_is_passed_on_if_it_was_seen_lately_and_not_in_the_future() {
    let is_told = |last_seen| {
        let mut exchange = with_one(quiet(), DIALLED_US);
        exchange.relay(9, vec![addr(1, Some(last_seen))], at(9_000));
        !told(&mut exchange, at(9_000)).is_empty()
    };
    assert_eq!([4_199, 4_200, 4_201].map(|secs| is_told(at(9_000 - secs))), [true, true, false]);
    assert_eq!([599, 600, 601].map(|secs| is_told(at(9_000 + secs))), [true, true, false]);
}

#[test]
fn an_address_is_passed_on_again_after_six_hours() {
    let is_told = |secs| {
        let mut exchange = with_one(quiet(), DIALLED_US);
        exchange.relay(9, vec![addr(1, Some(at(0)))], at(0));
        assert_eq!(told(&mut exchange, at(0)), [(1, 1)]);
        exchange.relay(9, vec![addr(1, Some(at(secs)))], at(secs));
        !told(&mut exchange, at(secs)).is_empty()
    };
    assert_eq!([6 * HOUR - 1, 6 * HOUR, 6 * HOUR + 1].map(is_told), [false, true, true]);
}
