use super::*;

/// What a first peer is answered of a sample of `count`.
fn answered(exchange: &mut Exchange<u16>, count: usize) -> usize {
    assert_eq!(exchange.asked(1, 0, at(0)), Asked::Needed(Audience::Internet));
    exchange.sampled(1, addrs(count), at(0)).len()
}

#[test]
fn an_answer_names_so_many_and_no_more() {
    let named = |count| answered(&mut with_one(quiet(), DIALLED_US), count);
    assert_eq!([999, 1_000, 1_001].map(named), [999, 1_000, 1_000]);
    let for_the_second = |count| {
        let mut exchange = with_many(quiet(), 2);
        answered(&mut exchange, count);
        if let Asked::Cached(answer) = exchange.asked(2, 0, at(0)) { answer.len() } else { 0 }
    };
    assert_eq!([999, 1_000, 1_001].map(for_the_second), [999, 1_000, 1_000]);
    let pushed = |count| with_one(quiet(), DIALLED_US).pushed(1, addrs(count), at(0)).len();
    assert_eq!([999, 1_000, 1_001].map(pushed), [999, 1_000, 1_000]);
}

#[test]
fn an_answer_is_kept_for_its_time_a_quarter_more_or_less() {
    for secs in [7, 8, 9] {
        assert_around(secs, 4, |seed| {
            let mut exchange = seeded(Config { cache_secs: secs, ..quiet() }, seed);
            (1..=2).for_each(|peer| assert_eq!(connect(&mut exchange, peer, DIALLED_US, at(0)), Connected::Added));
            answered(&mut exchange, 40);
            let is_kept = |micros: u64| {
                let now = at(0).after(Duration::from_micros(micros));
                matches!(exchange.clone().asked(2, 0, now), Asked::Cached(_))
            };
            let (mut kept, mut gone) = (0, 20_000_000);
            while gone - kept > 1 {
                let middle = u64::midpoint(kept, gone);
                if is_kept(middle) { kept = middle } else { gone = middle }
            }
            Duration::from_micros(gone)
        });
    }
}

#[test]
fn so_few_are_a_small_answer() {
    let is_cached = |count| {
        let mut exchange = with_many(quiet(), 2);
        answered(&mut exchange, count);
        matches!(exchange.asked(2, 0, at(0)), Asked::Cached(_))
    };
    assert_eq!([31, 32, 33].map(is_cached), [false, true, true]);
    let is_final = |count| {
        let mut exchange = with_one(quiet(), DIALLED_US);
        answered(&mut exchange, count);
        exchange.asked(1, 0, at(DAY)) == Asked::Refused(AskRefusal::Answered)
    };
    assert_eq!([31, 32, 33].map(is_final), [false, true, true]);
    let is_asked_again = |count| {
        let mut exchange = with_one(Config { ask: AskWhom::Dialled, ..quiet() }, DIALLED);
        assert_eq!(outputs(&mut exchange, at(0)), [Output::Ask(1)]);
        exchange.answer_received(1, addrs(count), at(0));
        exchange.next_timeout(at(0)).is_some()
    };
    assert_eq!([31, 32, 33].map(is_asked_again), [true, false, false]);
}

#[test]
fn a_small_answer_is_followed_by_another_after_its_pause() {
    let is_answered = |micros| {
        let mut exchange = with_one(quiet(), DIALLED_US);
        answered(&mut exchange, 1);
        exchange.asked(1, 0, at(0).after(Duration::from_micros(micros))) == Asked::Needed(Audience::Internet)
    };
    assert_eq!([999_999, 1_000_000, 1_000_001].map(is_answered), [false, true, true]);
}

#[test]
fn so_many_peers_are_served() {
    let served = |peers| {
        let mut exchange = exchange(Config { peers_max: 4, ..quiet() });
        (1..=peers).filter(|peer| connect(&mut exchange, *peer, DIALLED_US, at(0)) == Connected::Added).count()
    };
    assert_eq!([3, 4, 5].map(served), [3, 4, 4]);
}
