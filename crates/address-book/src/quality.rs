//! What a peer's conduct makes of its quality: named parts, each bounded and fading.
//!
//! Points are kept in billionths and shown in thousandths; whole numbers throughout, so that equal inputs give equal states
//! on every machine.
//! The weights are a first guess; what the simulator says about them will replace them.

use std::time::Duration;

use bruit_core::{Conduct, Timestamp};

/// One thing that quality is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Part {
    /// Whether it could be dialled where it was proven to live.
    Dial,
    /// How long it stayed connected.
    Uptime,
    /// How fast it answered.
    Latency,
    /// What it delivered first.
    Delivery,
    /// What it sent against the rules.
    Invalid,
    /// Whether it answered requests.
    Rpc,
    /// Whether addresses that it shared were alive.
    Addresses,
    /// What the application thinks of it.
    Application,
}

impl Part {
    /// All parts, in the order in which they are shown.
    pub const ALL: [Self; 8] = [
        Self::Dial,
        Self::Uptime,
        Self::Latency,
        Self::Delivery,
        Self::Invalid,
        Self::Rpc,
        Self::Addresses,
        Self::Application,
    ];

    /// The least and the most that this part contributes, in thousandths of a point.
    pub const fn bounds(self) -> (i32, i32) {
        match self {
            Self::Dial => (-5_000, 5_000),
            Self::Uptime => (0, 5_000),
            Self::Latency => (-3_000, 3_000),
            Self::Delivery => (0, 10_000),
            Self::Invalid => (-40_000, 0),
            Self::Rpc => (-10_000, 10_000),
            Self::Addresses => (-5_000, 2_000),
            Self::Application => (-20_000, 20_000),
        }
    }

    /// How long until half of this part is forgotten.
    pub const fn half_life(self) -> Duration {
        let hours = match self {
            Self::Uptime => 7 * 24,
            Self::Invalid | Self::Application => 48,
            Self::Dial | Self::Addresses => 24,
            Self::Latency | Self::Delivery | Self::Rpc => 6,
        };
        Duration::from_secs(hours * 3_600)
    }
}

/// What one part contributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct PartValue {
    /// Which part.
    pub part: Part,
    /// How much, in thousandths of a point.
    pub points: i32,
}

/// How good a peer is, in thousandths of a point. A peer of which nothing is known has 0 in every part.
///
/// # Security
/// Every part is bounded and fades, so neither good nor bad conduct can be saved up; nothing that one peer says changes another
/// peer's parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Quality {
    /// The parts, in the order of [`Part::ALL`].
    pub parts: Vec<PartValue>,
    /// The sum of the parts.
    pub total: i32,
}

/// A peer's parts as they were at the moment of each one's last change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Parts {
    fading: [Fading; Part::ALL.len()],
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Fading {
    billionths: i64,
    at: Timestamp,
}

const POINT: i64 = 1_000_000_000;
const THOUSANDTH: i64 = POINT / 1_000;
const UPTIME_PER_HOUR: i64 = POINT / 4;
const LATENCY_NEUTRAL_MS: i64 = 500;

impl Parts {
    /// Adds what a conduct is worth, `count` times.
    pub(crate) fn conduct(&mut self, conduct: Conduct, count: u32, now: Timestamp) {
        let (part, worth) = match conduct {
            Conduct::DeliveredFirst => (Part::Delivery, POINT / 10),
            Conduct::DeliveredInvalid => (Part::Invalid, -5 * POINT),
            Conduct::BrokeProtocol => (Part::Invalid, -10 * POINT),
            Conduct::AnsweredFalsely => (Part::Rpc, -5 * POINT),
            Conduct::TimedOut => (Part::Rpc, -POINT),
            Conduct::SharedLiveAddr => (Part::Addresses, POINT / 5),
            Conduct::SharedDeadAddr => (Part::Addresses, -POINT / 5),
            Conduct::Answered { elapsed } => {
                self.answered_in(elapsed, count, now);
                (Part::Rpc, POINT / 2)
            }
            // Duplicates are what flooding looks like, and an honest "I do not have it" helps the caller.
            Conduct::DeliveredDuplicate | Conduct::CouldNotSatisfy => return,
            _ => return,
        };
        self.add(part, worth.saturating_mul(i64::from(count)), now);
    }

    /// Adds the outcome of a dial to a place where the peer was proven to live.
    pub(crate) fn dialled(&mut self, succeeded: bool, now: Timestamp) {
        self.add(Part::Dial, if succeeded { POINT } else { -POINT }, now);
    }

    /// Adds a time of being connected that ends now.
    pub(crate) fn stayed(&mut self, span: Duration, now: Timestamp) {
        let secs = i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
        self.add(Part::Uptime, secs.saturating_mul(UPTIME_PER_HOUR / 3_600), now);
    }

    /// Adds what the application thinks, in thousandths of a point.
    pub(crate) fn judged(&mut self, points: i32, now: Timestamp) {
        self.add(Part::Application, i64::from(points).saturating_mul(THOUSANDTH), now);
    }

    /// The parts as they are now.
    pub(crate) fn at(&self, now: Timestamp) -> Quality {
        let parts: Vec<PartValue> = Part::ALL
            .into_iter()
            .zip(&self.fading)
            .map(|(part, fading)| PartValue { part, points: thousandths(fading.faded(part, now).billionths) })
            .collect();
        let total = parts.iter().map(|value| value.points).sum();
        Quality { parts, total }
    }

    /// The sum of the parts as they are now, in thousandths of a point.
    pub(crate) fn total_at(&self, now: Timestamp) -> i32 {
        let parts = Part::ALL.into_iter().zip(&self.fading);
        parts.map(|(part, fading)| thousandths(fading.faded(part, now).billionths)).sum()
    }

    /// Whether nothing is known for or against the peer.
    pub(crate) fn is_neutral(&self) -> bool {
        self.fading.iter().all(|fading| fading.billionths == 0)
    }

    /// Makes parts of what was stored: each bounded, as if it had last changed at `at`.
    pub(crate) fn restored(values: &[PartValue], at: Timestamp) -> Self {
        let mut parts = Self::default();
        for value in values {
            parts.add(value.part, i64::from(value.points).saturating_mul(THOUSANDTH), at);
        }
        parts
    }

    fn add(&mut self, part: Part, billionths: i64, now: Timestamp) {
        let (least, most) = part.bounds();
        let Some(fading) = self.fading.get_mut(part as usize) else { return };
        *fading = fading.faded(part, now);
        let sum = fading.billionths.saturating_add(billionths);
        fading.billionths = sum.clamp(i64::from(least) * THOUSANDTH, i64::from(most) * THOUSANDTH);
    }

    /// Moves the latency part an eighth of the way to what this answer's time is worth, once per answer.
    fn answered_in(&mut self, elapsed: Duration, count: u32, now: Timestamp) {
        const STEPS_MAX: u32 = 64;
        let (least, most) = Part::Latency.bounds();
        let elapsed_ms = i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX).min(2 * LATENCY_NEUTRAL_MS);
        let best = i64::from(most) * THOUSANDTH;
        let worth = (best - best / LATENCY_NEUTRAL_MS * elapsed_ms).max(i64::from(least) * THOUSANDTH);
        for _ in 0..count.min(STEPS_MAX) {
            let Some(latency) = self.fading.get(Part::Latency as usize) else { return };
            let step = (worth - latency.faded(Part::Latency, now).billionths) / 8;
            self.add(Part::Latency, step, now);
        }
    }
}

impl Fading {
    /// What is left now; counted in whole seconds, so that many small steps fade like a large one.
    fn faded(self, part: Part, now: Timestamp) -> Self {
        if self.billionths == 0 {
            return Self { billionths: 0, at: now };
        }
        let elapsed = now.since(self.at).as_secs();
        let half_life = part.half_life().as_secs();
        let halvings = u32::try_from(elapsed / half_life).unwrap_or(u32::MAX);
        let whole =
            1_i64.checked_shl(halvings).filter(|divisor| *divisor > 0).map_or(0, |divisor| self.billionths / divisor);
        let billionths = i128::from(whole) * i128::from(share_left(elapsed % half_life, half_life)) / (1 << SHARE_BITS);
        let billionths = i64::try_from(billionths).unwrap_or(0);
        Self { billionths, at: self.at.after(Duration::from_secs(elapsed)) }
    }
}

const SHARE_BITS: u32 = 32;
const LN_2: i128 = 2_977_044_472;

/// Two to the power of minus `secs / half_life`, as a fraction of 2^32, by its power series.
fn share_left(secs: u64, half_life: u64) -> i64 {
    const TERMS: i128 = 10;
    let exponent = i128::from(secs) * LN_2 / i128::from(half_life);
    let mut term = 1_i128 << SHARE_BITS;
    let mut share = term;
    for number in 1..=TERMS {
        term = -term * exponent / (number << SHARE_BITS);
        share += term;
    }
    i64::try_from(share).unwrap_or(0)
}

fn thousandths(billionths: i64) -> i32 {
    i32::try_from(billionths / THOUSANDTH).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Timestamp {
        Timestamp::from_secs(1_000_000 + secs)
    }

    fn points(parts: &Parts, part: Part, now: Timestamp) -> i32 {
        parts.at(now).parts.into_iter().find(|value| value.part == part).unwrap().points
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
        assert_eq!(points(&parts, Part::Delivery, at(0)), 10_000);
        assert_eq!(points(&parts, Part::Invalid, at(0)), -40_000);
        assert_eq!(points(&parts, Part::Rpc, at(0)), -10_000);
        assert_eq!(points(&parts, Part::Uptime, at(0)), 5_000);
        assert_eq!(points(&parts, Part::Application, at(0)), -20_000);
        assert_eq!(parts.at(at(0)).total, parts.total_at(at(0)));
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
}
