use super::*;

/// An exchange that has just asked the peer that it dialled.
fn asked(config: Config, seed: u64) -> Exchange<u16> {
    let mut exchange = seeded(Config { ask: AskWhom::Dialled, ..config }, seed);
    connect(&mut exchange, 1, DIALLED, at(0));
    assert_eq!(outputs(&mut exchange, at(0)), [Output::Ask(1)]);
    exchange
}

#[test]
fn a_peer_is_first_asked_after_its_time_a_fifth_more_or_less() {
    for secs in [7, 8, 9] {
        assert_around(secs, 5, |seed| {
            let mut exchange = seeded(Config { ask: AskWhom::Dialled, ask_first_secs: secs, ..quiet() }, seed);
            connect(&mut exchange, 1, DIALLED, at(0));
            assert_eq!(outputs(&mut exchange, at(0)), []);
            let due = exchange.next_timeout(at(0)).unwrap();
            assert_eq!(outputs(&mut exchange, due.before(Duration::from_micros(1))), []);
            assert_eq!(outputs(&mut exchange, due), [Output::Ask(1)]);
            due.since(at(0))
        });
    }
}

#[test]
fn after_a_small_answer_a_peer_is_asked_again_soon() {
    for secs in [7, 8, 9] {
        assert_around(secs, 5, |seed| {
            let mut exchange = asked(Config { ask_small_secs: secs, ..quiet() }, seed);
            exchange.answer_received(1, addrs(1), at(0));
            exchange.next_timeout(at(0)).unwrap().since(at(0))
        });
    }
}

#[test]
fn pauses_after_small_answers_double_up_to_the_longest() {
    for longest in [15, 16, 17] {
        let config = Config { ask_small_secs: 4, ask_small_secs_max: longest, ..quiet() };
        for (small_answers, pause) in [(1, 4), (2, 8), (3, longest.min(16)), (4, longest), (5, longest)] {
            assert_around(pause, 5, |seed| {
                let mut exchange = asked(config.clone(), seed);
                let mut now = at(0);
                for _ in 1..small_answers {
                    exchange.answer_received(1, addrs(1), now);
                    now = exchange.next_timeout(now).unwrap();
                    assert_eq!(outputs(&mut exchange, now), [Output::Ask(1)]);
                }
                exchange.answer_received(1, addrs(1), now);
                exchange.next_timeout(now).unwrap().since(now)
            });
        }
    }
}

#[test]
fn a_peer_that_is_to_be_asked_again_is_asked_at_its_interval() {
    for secs in [7, 8, 9] {
        assert_around(secs, 5, |seed| {
            let mut exchange = asked(Config { ask_again_secs: Some(secs), ..quiet() }, seed);
            exchange.more_wanted(false);
            exchange.answer_received(1, addrs(40), at(0));
            let due = exchange.next_timeout(at(0)).unwrap();
            assert_eq!(outputs(&mut exchange, due), [Output::Ask(1)]);
            due.since(at(0))
        });
    }
    let mut never = asked(quiet(), 1);
    never.answer_received(1, addrs(40), at(0));
    assert_eq!(never.next_timeout(at(0)), None);
    assert_eq!(never.ask(1, at(1)), Ask::At(at(2)), "unless the owner wants it");
}

#[test]
fn neighbours_are_asked_for_at_their_interval_a_fifth_more_or_less() {
    for secs in [7, 8, 9] {
        assert_around(secs, 5, |seed| {
            let mut exchange = seeded(Config { neighbours_secs: Some(secs), ..quiet() }, seed);
            connect(&mut exchange, 1, DIALLED, at(0));
            assert_eq!(outputs(&mut exchange, at(0)), []);
            let first = exchange.next_timeout(at(0)).unwrap();
            assert_eq!(outputs(&mut exchange, first), [Output::AskNeighbours(1)]);
            let second = exchange.next_timeout(first).unwrap();
            assert_eq!(outputs(&mut exchange, second.before(Duration::from_micros(1))), []);
            assert_eq!(outputs(&mut exchange, second), [Output::AskNeighbours(1)]);
            second.since(first)
        });
    }
}
