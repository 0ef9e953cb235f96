use bruit_core::Seed;

use super::*;

const T: Timestamp = Timestamp::from_secs(1_000);

/// The sources used within a time, and after how many seconds each.
fn uses(shortage: Shortage, hasty: bool, config: &Config, span: Duration) -> Vec<(SeedStage, u64)> {
    let (mut seeding, mut rng) = (Seeding::default(), Seed::from_number(1).rng());
    if hasty {
        seeding.exhausted();
    }
    let (mut found, mut now) = (Vec::new(), T);
    loop {
        let stages = seeding.due(shortage, config, &mut rng, now);
        found.extend(stages.into_iter().map(|stage| (stage, now.since(T).as_secs())));
        match seeding.next(shortage, config) {
            Some(next) if next <= T.after(span) => now = next.max(now),
            Some(_) | None => return found,
        }
    }
}

#[test]
fn sources_are_used_one_after_the_other_and_again_and_again() {
    let found = uses(Shortage::Few, true, &Config::default(), Duration::from_secs(1_200));
    let stages: Vec<_> = found.iter().take(3).map(|(stage, _)| *stage).collect();
    assert_eq!(stages, STAGES);
    assert_eq!(found[0].1, 0, "an empty book waits for nothing");
    assert!((8..=14).contains(&found[1].1) && (16..=28).contains(&found[2].1), "{found:?}");
    assert!(found.len() >= 9, "seeds that were full or dead are asked again: {found:?}");
}

#[test]
fn a_stored_book_is_tried_first_and_who_has_peers_waits_for_hours() {
    let found = uses(Shortage::Few, false, &Config::default(), Duration::from_secs(15));
    assert!(matches!(found[..], [(SeedStage::Dns, 8..=14)]), "{found:?}");
    assert_eq!(uses(Shortage::Some, false, &Config::default(), Duration::from_secs(2 * 3_600)), []);
    assert_eq!(uses(Shortage::Some, false, &Config::default(), Duration::from_secs(6 * 3_600)).len(), 3);
    assert_eq!(uses(Shortage::None, true, &Config::default(), Duration::from_secs(6 * 3_600)), []);
}

#[test]
fn all_at_once_where_one_random_seed_is_chosen_but_the_fixed_ones() {
    let config = Config { bootstrap: Bootstrap::OneRandom, ..Config::default() };
    let found = uses(Shortage::Few, true, &config, Duration::from_secs(15));
    assert!(matches!(found[..], [(SeedStage::Dns, 0), (SeedStage::List, 0), (SeedStage::Fixed, 8..=14)]), "{found:?}");
}

#[test]
fn a_source_that_has_nothing_to_give_is_not_waited_for() {
    let due_after = |lacking: &[SeedStage], stage| {
        let (mut seeding, mut rng) = (Seeding::default(), Seed::from_number(1).rng());
        let config = Config::default();
        seeding.exhausted();
        seeding.due(Shortage::Few, &config, &mut rng, T);
        lacking.iter().for_each(|stage| seeding.lacks(*stage));
        let mut seconds = 0..;
        let is_due = |seconds: &u64| {
            let now = T.after(Duration::from_secs(*seconds));
            seeding.due(Shortage::Few, &config, &mut rng, now).contains(&stage)
        };
        seconds.find(is_due).unwrap()
    };
    use SeedStage::{Dns, Fixed, List};
    assert!((9..=14).contains(&due_after(&[], List)));
    assert_eq!(due_after(&[Dns], List), 0);
    assert!((17..=28).contains(&due_after(&[], Fixed)));
    assert!((9..=14).contains(&due_after(&[Dns], Fixed)));
    assert!((9..=14).contains(&due_after(&[Dns, List], Fixed)), "what the operator named goes first");
}

#[test]
fn a_source_that_is_given_something_is_used_as_at_the_start_and_waited_for() {
    let (mut seeding, mut rng) = (Seeding::default(), Seed::from_number(1).rng());
    let config = Config::default();
    let mut due =
        |seeding: &mut Seeding, secs| seeding.due(Shortage::Few, &config, &mut rng, T.after(Duration::from_secs(secs)));
    seeding.exhausted();
    assert_eq!(due(&mut seeding, 0), [SeedStage::Dns]);
    STAGES.into_iter().for_each(|stage| seeding.lacks(stage));
    assert_eq!(due(&mut seeding, 20), [SeedStage::List, SeedStage::Fixed]);
    assert_eq!(due(&mut seeding, 40), []);
    for stage in [SeedStage::Dns, SeedStage::List] {
        seeding.has_been_given(stage, T.after(Duration::from_secs(40)));
    }
    assert_eq!(due(&mut seeding, 40), [SeedStage::Dns], "the list waits for the names");
    assert_eq!(due(&mut seeding, 60), [SeedStage::List]);
}

#[test]
fn a_source_that_is_given_something_is_used_soon_while_any_peer_is_missing() {
    let (mut seeding, mut rng) = (Seeding::default(), Seed::from_number(1).rng());
    let config = Config::default();
    let mut due = |seeding: &mut Seeding, shortage, secs| {
        seeding.due(shortage, &config, &mut rng, T.after(Duration::from_secs(secs)))
    };
    seeding.exhausted();
    assert_eq!(due(&mut seeding, Shortage::Few, 0), [SeedStage::Dns]);
    assert_eq!(due(&mut seeding, Shortage::Few, 40), [SeedStage::List, SeedStage::Fixed]);
    seeding.has_been_given(SeedStage::List, T.after(Duration::from_secs(60)));
    assert_eq!(seeding.next(Shortage::None, &config), None);
    assert_eq!(due(&mut seeding, Shortage::None, 80), []);
    assert!(seeding.next(Shortage::Some, &config).is_some_and(|at| at <= T.after(Duration::from_secs(80))));
    assert_eq!(due(&mut seeding, Shortage::Some, 80), [SeedStage::List]);
    assert_eq!(due(&mut seeding, Shortage::Some, 2 * 3_600), [], "after that it waits for hours as the others do");
}

#[test]
fn what_is_given_before_anything_was_looked_for_changes_nothing() {
    let mut seeding = Seeding::default();
    seeding.lacks(SeedStage::Dns);
    seeding.has_been_given(SeedStage::Dns, T);
    assert_eq!(seeding.lacking, [false; 3]);
    assert!(seeding.sources.is_none());
}
