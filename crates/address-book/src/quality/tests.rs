use super::*;

fn at(secs: u64) -> Timestamp {
    Timestamp::from_secs(1_000_000 + secs)
}

fn points(parts: &Parts, part: Part, now: Timestamp) -> i32 {
    parts.at(None, now).parts.into_iter().find(|value| value.part == part).unwrap().points
}

#[test]
fn a_part_is_halved_per_half_life_in_one_step_or_many() {
    let mut once = Parts::default();
    once.conduct(Conduct::BrokeProtocol, 1, at(0));
    let mut often = once.clone();
    let half_life = Part::Invalid.half_life().as_secs();
    for ms in (0..half_life * 1_000).step_by(999_500) {
        often.judged(0, at(0).after(Duration::from_millis(ms)));
        often.add(Part::Invalid, 0, at(0).after(Duration::from_millis(ms)));
    }
    assert_eq!(points(&once, Part::Invalid, at(0)), -10_000);
    assert_eq!(points(&once, Part::Invalid, at(half_life / 2)), -7_071);
    assert_eq!(points(&once, Part::Invalid, at(half_life)), -5_000);
    assert_eq!(points(&once, Part::Invalid, at(half_life * 2)), -2_500);
    assert_eq!(points(&once, Part::Invalid, at(half_life * 500)), 0);
    let difference = points(&often, Part::Invalid, at(half_life)) + 5_000;
    assert!(difference.abs() <= 1, "{difference}");
}

#[test]
fn nothing_passes_the_bounds() {
    let mut parts = Parts::default();
    for _ in 0..3 {
        parts.conduct(Conduct::DeliveredFirst, u32::MAX, at(0));
        parts.conduct(Conduct::DeliveredInvalid, u32::MAX, at(0));
        parts.conduct(Conduct::TimedOut, u32::MAX, at(0));
        parts.stayed(Duration::MAX, at(0));
        parts.judged(i32::MIN, at(0));
    }
    assert_eq!(points(&parts, Part::Delivery, at(0)), 2_000, "the rest takes hours");
    assert_eq!(points(&parts, Part::Invalid, at(0)), -40_000);
    assert_eq!(points(&parts, Part::Rpc, at(0)), -10_000);
    assert_eq!(points(&parts, Part::Uptime, at(0)), 5_000);
    assert_eq!(points(&parts, Part::Application, at(0)), -20_000);
    assert_eq!(parts.at(None, at(0)).total, parts.total_at(None, at(0)));
}

#[test]
fn fast_answers_are_worth_more_than_slow_ones() {
    let worth = |ms| {
        let mut parts = Parts::default();
        parts.conduct(Conduct::Answered { elapsed: Duration::from_millis(ms) }, 64, at(0));
        points(&parts, Part::Latency, at(0))
    };
    assert!(worth(0) > 2_900 && worth(50) < worth(0) && worth(400) > 0);
    assert_eq!(worth(500), 0);
    assert!(worth(1_000) < -2_900);
    assert_eq!(worth(u64::MAX / 1_000), worth(1_000));
}

#[test]
fn duplicates_and_honest_refusals_cost_nothing() {
    let mut parts = Parts::default();
    parts.conduct(Conduct::DeliveredDuplicate, 1_000, at(0));
    parts.conduct(Conduct::CouldNotSatisfy, 1_000, at(0));
    assert_eq!(parts, Parts::default());
}

#[test]
fn each_part_gains_and_loses_its_share_of_an_hour_and_no_more() {
    for part in Part::ALL {
        let (loss, gain) = part.per_hour();
        let (least, most) = part.bounds();
        for (limit, sign) in [(i64::from(loss), -1), (i64::from(gain), 1)] {
            let after = |thousandths: i64| {
                let mut parts = Parts::default();
                parts.add(part, sign * thousandths * THOUSANDTH, at(0));
                i64::from(points(&parts, part, at(0)))
            };
            let bound = i64::from(if sign < 0 { -least } else { most });
            let expected = [limit - 1, limit, limit].map(|value| sign * value.max(0).min(bound));
            assert_eq!([(limit - 1).max(0), limit, limit + 1].map(after), expected, "{part:?}");
        }
    }
    let mut parts = Parts::default();
    let hours = |hours: u64| Timestamp::from_secs(3_600 * hours);
    for hour in 0..3 {
        parts.conduct(Conduct::DeliveredFirst, 1_000, hours(hour));
    }
    let three_hours = points(&parts, Part::Delivery, hours(2));
    assert!((5_000..=6_000).contains(&three_hours), "{three_hours}");
}

#[test]
fn the_cheapest_method_buys_little() {
    let answered = Conduct::Answered { elapsed: Duration::from_millis(500) };
    let mut one = Parts::default();
    one.method_conduct("ping", answered, 1_000, at(0));
    assert_eq!(points(&one, Part::Rpc, at(0)), 1_000);
    one.method_conduct("block", answered, 1_000, at(0));
    one.method_conduct("state", answered, 1_000, at(0));
    assert_eq!(points(&one, Part::Rpc, at(0)), 2_000, "all methods together have their hour too");
    one.method_conduct("state", Conduct::TimedOut, 1, at(0));
    one.method_conduct("state", Conduct::CouldNotSatisfy, 1, at(0));
    assert_eq!(points(&one, Part::Rpc, at(0)), 1_000);
    let state = one.methods_at(at(0)).into_iter().find(|view| view.method == "state").unwrap();
    assert_eq!((state.answered, state.failed, state.success_permille), (1_000, 1, 999));
}

#[test]
fn so_many_times_of_answers_count_at_once() {
    // A part that is far off moves by an eighth with each answer: only so many steps are taken.
    let after = |count| {
        let mut parts = Parts::default();
        parts.conduct(Conduct::Answered { elapsed: Duration::ZERO }, count, at(0));
        parts.known.unwrap().fading[Part::Latency as usize].billionths
    };
    assert!(after(63) < after(64));
    assert_eq!(after(65), after(64));
}
