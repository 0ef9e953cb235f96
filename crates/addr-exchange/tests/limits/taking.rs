use super::*;

#[test]
fn of_an_answer_so_many_are_taken() {
    let taken = |count| {
        let taken = with_one(quiet(), DIALLED).answer_received(1, addrs(count), at(0));
        (taken.addrs.len(), taken.dropped)
    };
    assert_eq!([999, 1_000, 1_001].map(taken), [(999, 0), (1_000, 0), (1_000, 1)]);
}

#[test]
fn unasked_addresses_are_taken_at_their_rate() {
    let taken = |secs| {
        let mut exchange = with_one(quiet(), DIALLED_US);
        assert_eq!(exchange.unasked_received(1, addrs(9), at(0)).addrs.len(), 5);
        exchange.unasked_received(1, addrs(9), at(secs)).addrs.len()
    };
    assert_eq!([9, 10, 11, 19, 20, 21, 29, 30, 31].map(taken), [0, 1, 1, 1, 2, 2, 2, 3, 3]);
}

#[test]
fn after_a_silence_so_many_unasked_addresses_are_taken_at_once() {
    let silence = |secs| {
        let mut exchange = with_one(quiet(), DIALLED_US);
        exchange.unasked_received(1, addrs(5), at(0));
        exchange.unasked_received(1, addrs(2_000), at(secs)).addrs.len()
    };
    assert_eq!([9_990, 10_000, 10_010, DAY].map(silence), [999, 1_000, 1_000, 1_000]);
}

#[test]
fn right_after_connecting_so_many_unasked_addresses_are_taken() {
    let taken = |count| with_one(quiet(), DIALLED_US).unasked_received(1, addrs(count), at(0)).addrs.len();
    assert_eq!([4, 5, 6].map(taken), [4, 5, 5]);
}

#[test]
fn a_push_brings_so_many_within_a_minute_of_connecting() {
    let taken = |count, secs| {
        let mut exchange = with_one(Config { push_taken_max: 39, ..quiet() }, DIALLED);
        exchange.unasked_received(1, addrs(count), at(secs)).addrs.len()
    };
    assert_eq!([38, 39, 40].map(|count| taken(count, 0)), [38, 39, 39]);
    let unpushed = 5 + 61 / 10;
    assert_eq!([59, 60, 61].map(|secs| taken(39, secs)), [39, 39, unpushed]);
}

#[test]
fn so_many_neighbours_are_told_and_kept() {
    let config = Config { neighbours_for: NeighboursFor::Everybody, neighbours_max: 4, ..quiet() };
    let told = |others: u16| with_many(config.clone(), others + 1).neighbours_asked(1, at(0)).len();
    assert_eq!([3, 4, 5].map(told), [3, 4, 4]);
    let kept =
        |others: u16| with_many(config.clone(), 1).neighbours_received(1, (2..2 + others).collect(), at(0)).len();
    assert_eq!([3, 4, 5].map(kept), [3, 4, 4]);
}

#[test]
fn neighbours_are_told_again_after_their_pause() {
    let told = |secs| {
        let mut exchange = with_many(Config { neighbours_for: NeighboursFor::Everybody, ..quiet() }, 3);
        assert_eq!(exchange.neighbours_asked(1, at(0)).len(), 2);
        exchange.neighbours_asked(1, at(secs)).len()
    };
    assert_eq!([29, 30, 31].map(told), [0, 2, 2]);
}

#[test]
fn neighbours_are_the_same_for_an_hour() {
    let mut exchange =
        with_many(Config { neighbours_for: NeighboursFor::Everybody, neighbours_max: 4, ..quiet() }, 200);
    let first = exchange.neighbours_asked(1, at(0));
    let is_same = |secs| exchange.clone().neighbours_asked(1, at(secs)) == first;
    assert_eq!([HOUR - 1, HOUR, HOUR + 1].map(is_same), [true, false, false]);
}
