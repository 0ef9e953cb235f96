use std::{sync::Arc, time::Duration};

use bruit_core::Timestamp;

use super::THOUSANDTH;

/// How well a peer answers one method.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct MethodView {
    /// The method.
    pub method: String,
    /// How many calls it answered lately.
    pub answered: u32,
    /// How many it answered falsely or not in time.
    pub failed: u32,
    /// The share that it answered, in thousandths.
    pub success_permille: u32,
}

/// What is known of each method that a peer was called with. Counts halve every six hours; nothing here outlives a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Methods {
    known: Vec<Method>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Method {
    name: Arc<str>,
    answered: u32,
    failed: u32,
    halved_at: Timestamp,
    hour: u64,
    gained: i64,
}

/// What came of some calls of one method.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outcomes {
    pub(super) are_answers: bool,
    pub(super) count: u32,
    /// What they are worth together, in billionths of a point.
    pub(super) worth: i64,
}

/// How many methods of one peer are told apart; beyond, the one that was halved first makes room. 16: a guess, more than a
/// blockchain's node calls.
const METHODS_PER_PEER_MAX: usize = 16;
/// What one method gains a peer within an hour of the clock, in thousandths of a point. 1,000: a guess, half of what all methods
/// together may.
const METHOD_GAIN_PER_HOUR: i64 = 1_000;
/// How long until half of a method's counts is forgotten. 6 h: as long as what calls are worth lasts.
const COUNTS_HALVE_AFTER: Duration = Duration::from_secs(6 * 3_600);

impl Methods {
    /// Counts outcomes, and says how much of their worth counts.
    pub(super) fn told(&mut self, name: &str, outcomes: Outcomes, now: Timestamp) -> i64 {
        let Outcomes { are_answers, count, worth } = outcomes;
        let method = self.method(name, now);
        method.halve(now);
        let counted = if are_answers { &mut method.answered } else { &mut method.failed };
        *counted = counted.saturating_add(count);
        if worth <= 0 {
            return worth;
        }
        let hour = now.as_secs() / 3_600;
        if method.hour != hour {
            (method.hour, method.gained) = (hour, 0);
        }
        let allowed = worth.min((METHOD_GAIN_PER_HOUR * THOUSANDTH).saturating_sub(method.gained)).max(0);
        method.gained = method.gained.saturating_add(allowed);
        allowed
    }

    pub(super) fn views(&self, now: Timestamp) -> Vec<MethodView> {
        let view = |method: &Method| {
            let mut method = method.clone();
            method.halve(now);
            let all = u64::from(method.answered) + u64::from(method.failed);
            let success = (u64::from(method.answered) * 1_000).checked_div(all).unwrap_or(0);
            MethodView {
                method: method.name.to_string(),
                answered: method.answered,
                failed: method.failed,
                success_permille: u32::try_from(success).unwrap_or(0),
            }
        };
        self.known.iter().map(view).filter(|view| view.answered + view.failed > 0).collect()
    }

    fn method(&mut self, name: &str, now: Timestamp) -> &mut Method {
        let at = self.known.iter().position(|method| &*method.name == name).unwrap_or_else(|| {
            if self.known.len() >= METHODS_PER_PEER_MAX {
                let oldest = self.known.iter().enumerate().min_by_key(|(_, method)| method.halved_at);
                if let Some((oldest, _)) = oldest {
                    self.known.remove(oldest);
                }
            }
            self.known.push(Method { name: name.into(), answered: 0, failed: 0, halved_at: now, hour: 0, gained: 0 });
            self.known.len() - 1
        });
        self.known.get_mut(at).expect("it was found or added just now")
    }
}

impl Method {
    fn halve(&mut self, now: Timestamp) {
        let halvings = now.since(self.halved_at).as_secs() / COUNTS_HALVE_AFTER.as_secs();
        if let (Ok(shift), true) = (u32::try_from(halvings), halvings > 0) {
            self.answered = self.answered.checked_shr(shift).unwrap_or(0);
            self.failed = self.failed.checked_shr(shift).unwrap_or(0);
        }
        let whole = u32::try_from(halvings).unwrap_or(u32::MAX);
        self.halved_at = self.halved_at.after(COUNTS_HALVE_AFTER.saturating_mul(whole));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hours: u64) -> Timestamp {
        Timestamp::from_secs(3_600 * hours)
    }

    fn answers(count: u32, thousandths: i64) -> Outcomes {
        Outcomes { are_answers: true, count, worth: thousandths * THOUSANDTH }
    }

    #[test]
    fn so_many_methods_are_told_apart() {
        let mut methods = Methods::default();
        let mut count_after = |number: usize| {
            methods.told(&format!("method {number}"), answers(1, 1), at(1));
            methods.views(at(1)).len()
        };
        for number in 1..METHODS_PER_PEER_MAX - 1 {
            count_after(number);
        }
        assert_eq!([15, 16, 17].map(&mut count_after), [15, 16, 16]);
    }

    #[test]
    fn one_method_gains_its_share_of_an_hour_and_no_more() {
        let gained = |thousandths: i64| Methods::default().told("ping", answers(1, thousandths), at(1));
        let limit = METHOD_GAIN_PER_HOUR;
        assert_eq!(
            [limit - 1, limit, limit + 1].map(gained),
            [limit - 1, limit, limit].map(|value| value * THOUSANDTH)
        );
        let mut methods = Methods::default();
        let mut gain = |hour| methods.told("ping", answers(1, 2 * limit), at(hour));
        assert_eq!([1, 1, 2].map(&mut gain), [limit * THOUSANDTH, 0, limit * THOUSANDTH]);
    }

    #[test]
    fn counts_halve_every_six_hours() {
        let mut methods = Methods::default();
        methods.told("ping", answers(8, 1), at(0));
        let answered = |now: Timestamp| methods.views(now).first().map_or(0, |view| view.answered);
        let just = at(6).before(Duration::from_secs(1));
        let after = at(6).after(Duration::from_secs(1));
        assert_eq!([just, at(6), after, at(12)].map(answered), [8, 4, 4, 2]);
    }
}
