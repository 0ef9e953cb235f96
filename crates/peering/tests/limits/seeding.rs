use super::*;

fn is_wanted(stage: SeedStage) -> impl Fn(&Output<u32>) -> bool {
    move |output| *output == Output::Event(Event::SeedsWanted { stage })
}

/// Settings for a node that looks for peers.
fn looking() -> Config {
    Config { feeler_interval: Duration::ZERO, ..Config::default() }
}

#[test]
fn so_many_seeds_are_asked_before_what_few_told_is_enough() {
    let with_seeds = |count: u16| {
        let mut engine = engine(looking());
        (1..=count).for_each(|number| assert!(engine.add_seed(at(number), None, T)));
        engine
    };
    let asked = |count| {
        let mut engine = with_seeds(count);
        engine.candidates_exhausted(T);
        engine.dials().count()
    };
    assert_eq!([7, 8, 9].map(asked), [7, 8, 8]);
    let is_asking = |failed| {
        let mut engine = with_seeds(20);
        engine.candidates_exhausted(T);
        let dialled: Vec<_> = engine.dials().map(|(endpoint, _)| endpoint.clone()).collect();
        dialled.iter().take(failed).for_each(|endpoint| engine.dial_failed(endpoint, DialFailure::Unreachable, T));
        engine.is_asking_seeds(T)
    };
    assert_eq!([6, 7, 8].map(is_asking), [true, true, false]);
}

#[test]
fn sources_of_seeds_follow_one_another_after_their_delay_a_quarter_more_or_less() {
    for secs in [10, 11, 12] {
        let seed_stage_delay = Duration::from_secs(secs);
        for (stage, delays) in [(SeedStage::Dns, 1), (SeedStage::List, 2), (SeedStage::Fixed, 3)] {
            assert_a_quarter_around(seed_stage_delay * delays, |seed| {
                let mut engine = seeded(Config { seed_stage_delay, ..looking() }, seed);
                when(&mut engine, is_wanted(stage)).since(T)
            });
        }
    }
}

#[test]
fn seeds_are_wanted_again_soon_while_few_peers_are_there_and_later_while_some_are() {
    for secs in [29, 30, 31] {
        let reseed_soon = Duration::from_secs(secs);
        assert_a_quarter_around(reseed_soon, |seed| {
            let config = Config { reseed_soon, seed_stage_delay: Duration::from_secs(1), ..looking() };
            let mut engine = seeded(config, seed);
            engine.candidates_exhausted(T);
            engine.handle_timeout(T);
            assert!(outputs(&mut engine).iter().any(is_wanted(SeedStage::Dns)), "an empty book waits for nothing");
            when(&mut engine, is_wanted(SeedStage::Dns)).since(T)
        });
        let reseed_interval = Duration::from_secs(secs);
        assert_a_quarter_around(reseed_interval, |seed| {
            let config = Config { outbound_target: 2, reseed_below: 1, reseed_interval, ..looking() };
            let mut engine = with_outbound(config, 1, seed);
            when(&mut engine, is_wanted(SeedStage::Dns)).since(T)
        });
    }
}

#[test]
fn below_so_many_peers_seeds_are_wanted_soon() {
    let are_wanted = |held| {
        let mut engine = with_outbound(looking(), held, 1);
        engine.handle_timeout(T);
        outputs(&mut engine);
        later(&mut engine, T.after(SECOND * 14)).iter().any(is_wanted(SeedStage::Dns))
    };
    assert_eq!([9, 10, 11].map(are_wanted), [true, false, false]);
}

#[test]
fn fixed_seeds_come_last_and_only_while_nobody_was_reached() {
    let are_wanted = |engine: &mut Engine<u32>| {
        engine.handle_timeout(T);
        outputs(engine);
        later(engine, T.after(SECOND * 42)).iter().any(is_wanted(SeedStage::Fixed))
    };
    assert!(are_wanted(&mut engine(looking())));
    assert!(!are_wanted(&mut with_outbound(looking(), 1, 1)));
    let mut dialled_by_a_stranger = engine(looking());
    assert!(came(&mut dialled_by_a_stranger, 1, T));
    assert!(are_wanted(&mut dialled_by_a_stranger), "whoever comes cannot keep the last source away");
    let mut left = with_outbound(looking(), 1, 1);
    assert!(!are_wanted(&mut left));
    left.connection_closed(1, peer(1), T.after(SECOND * 42));
    let next = T.after(SECOND * 42).after(looking().reseed_soon * 2);
    assert!(later(&mut left, next).iter().any(is_wanted(SeedStage::Fixed)), "who was reached is gone");
}
