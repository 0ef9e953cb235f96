#![allow(clippy::indexing_slicing, reason = "a test")]

use bruit_core::Seed;

use super::*;

fn secs(secs: u64) -> Timestamp {
    Timestamp::from_secs(secs)
}

fn good(millis: u64) -> Outcome {
    Outcome::Good(Duration::from_millis(millis))
}

#[test]
fn halving_is_exact_at_whole_numbers_and_falls_between() {
    assert_eq!((halved(0.0), halved(1.0), halved(2.0), halved(63.0)), (1.0, 0.5, 0.25, 0.5_f64.powi(63)));
    assert_eq!((halved(0.5), halved(64.0), halved(f64::INFINITY)), (0.75, 0.0, 0.0));
}

#[test]
fn a_record_follows_outcomes_and_forgets() {
    let config = Config::default();
    let mut record = Record::unknown(secs(0));
    (0..1_000).for_each(|_| record.note(good(10), &config, secs(0)));
    assert!(record.success_at(&config, secs(0)) > 0.99);
    assert_eq!(record.latency(), Duration::from_millis(10));
    (0..1_000).for_each(|_| record.note(Outcome::InVain, &config, secs(0)));
    let in_vain = record.success_at(&config, secs(0));
    assert!((in_vain - SUCCESS_IN_VAIN).abs() < 0.001 && !record.is_resting(secs(0)), "{in_vain}");
    assert!(record.success_at(&config, secs(600 * 70)) == SUCCESS_UNKNOWN);
}

#[test]
fn who_fails_rests_four_times_as_long_each_time() {
    let config = Config::default();
    let mut record = Record::unknown(secs(0));
    let mut now = secs(0);
    for rest in [30, 120, 480, 1_920, 7_680, 30_720, 86_400, 86_400] {
        record.note(Outcome::TimedOut, &config, now);
        assert_eq!(record.rests_for(now), Duration::from_secs(rest));
        assert_eq!(record.weight(0, 1.0, &config, now), 0.0);
        now = now.after(Duration::from_secs(rest));
        assert!(record.weight(0, 1.0, &config, now) > 0.0);
    }
}

#[test]
fn the_best_is_forgiven_one_failure_and_no_lie() {
    let config = Config::default();
    let mut record = Record::unknown(secs(0));
    (0..100).for_each(|_| record.note(good(10), &config, secs(0)));
    let mut liar = record;
    record.note(Outcome::TimedOut, &config, secs(0));
    assert!(!record.is_resting(secs(0)));
    record.note(Outcome::TimedOut, &config, secs(0));
    assert_eq!(record.rests_for(secs(0)), Duration::from_secs(30));
    liar.note(Outcome::False, &config, secs(0));
    assert_eq!(liar.rests_for(secs(0)), Duration::from_secs(120));
    (0..3).for_each(|_| record.note(good(10), &config, secs(1)));
    assert!(!record.is_resting(secs(1)), "good answers end a rest");
}

#[test]
fn weight_falls_with_load_latency_and_quality() {
    let config = Config::default();
    let record = Record { success: 1.0, latency_secs: Some(0.1), ..Record::unknown(secs(0)) };
    assert_eq!(record.weight(0, 1.0, &config, secs(0)), 0.5);
    assert_eq!(record.weight(1, 1.0, &config, secs(0)), 0.25);
    assert_eq!(record.weight(0, 0.5, &config, secs(0)), 0.25);
    assert_eq!(record.weight(0, 0.0, &config, secs(0)), 0.0);
}

#[test]
fn nobody_falls_under_the_floor_and_no_weight_is_even() {
    assert_eq!(chances(&[1.0, 0.0], 0.1), [0.9 + 0.05, 0.05]);
    assert_eq!(chances(&[0.0, 0.0], 0.1), [0.5, 0.5]);
    assert_eq!(chances(&[f64::INFINITY, 1.0], 0.1), [0.5, 0.5]);
    assert_eq!(chances(&[], 0.1), Vec::<f64>::new());
}

#[test]
fn nobody_gets_more_than_twice_an_even_share_and_what_is_cut_goes_to_the_others() {
    let mut weights = vec![1.0; 98];
    weights.extend([1_000.0, 5.0]);
    let capped = chances(&weights, 0.0);
    assert_eq!((capped[98], capped[99]), (0.02, 0.02));
    assert!((capped[0] - 0.96 / 98.0).abs() < 1e-12);
    assert!((capped.iter().sum::<f64>() - 1.0).abs() < 1e-9);

    let few = chances(&[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 9.0, 0.0, 0.0], 0.0);
    assert!((few[7] - 0.55).abs() < 1e-9 && (few[6] - 0.45).abs() < 1e-9, "{few:?}");
}

#[test]
fn draws_come_out_by_chance() {
    let mut rng = Seed::from_number(1).rng();
    let mut counts = [0; 3];
    for _ in 0..10_000 {
        counts[draw(&[0.7, 0.0, 0.3], &mut rng).unwrap()] += 1;
    }
    assert!((6_800..7_200).contains(&counts[0]), "{counts:?}");
    assert_eq!(counts[1], 0);
    assert_eq!(draw(&[], &mut rng), None);
    assert_eq!(draw(&[0.0, 0.0], &mut rng), Some(1));
}
