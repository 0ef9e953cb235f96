//! What a peer's conduct makes of its quality: named parts, each bounded and fading.
//!
//! Points are kept in billionths and shown in thousandths; whole numbers throughout, so that equal inputs give equal states
//! on every machine.
//! The weights are a first guess; what the simulator says about them will replace them.

use std::time::Duration;

use bruit_core::{Conduct, Timestamp};

mod methods;
mod standing;

pub use methods::MethodView;
pub use standing::Standing;

use methods::{Methods, Outcomes};

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

    /// Its name, as it is written in answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dial => "dial",
            Self::Uptime => "uptime",
            Self::Latency => "latency",
            Self::Delivery => "delivery",
            Self::Invalid => "invalid",
            Self::Rpc => "rpc",
            Self::Addresses => "addresses",
            Self::Application => "application",
        }
    }

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

    /// The most that this part loses and gains within one hour of the clock, in thousandths of a point. Bad conduct that proves
    /// itself counts at once; what could be bought, or could be a fault of the network, takes hours.
    pub const fn per_hour(self) -> (i32, i32) {
        match self {
            Self::Dial => (2_000, 2_000),
            Self::Uptime => (0, 5_000),
            Self::Latency => (6_000, 6_000),
            Self::Delivery => (0, 2_000),
            Self::Invalid => (40_000, 0),
            Self::Rpc => (10_000, 2_000),
            Self::Addresses => (2_000, 1_000),
            Self::Application => (20_000, 20_000),
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

/// A peer's parts as they were at the moment of each one's last change. Whoever is neutral takes no room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Parts {
    known: Option<Box<Known>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Known {
    fading: [Fading; Part::ALL.len()],
    methods: Methods,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Fading {
    billionths: i64,
    at: Timestamp,
    period: Period,
}

/// What a part gained and lost within one hour of the clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Period {
    hour: u64,
    gained: i64,
    lost: i64,
}

const POINT: i64 = 1_000_000_000;
const THOUSANDTH: i64 = POINT / 1_000;
/// What an hour of connection is worth, in billionths of a point. A guess: 20 hours for all that uptime can give.
const UPTIME_PER_HOUR: i64 = POINT / 4;
/// An answer that took so many milliseconds is worth nothing. A guess: twice across the world and back.
const LATENCY_NEUTRAL_MS: i64 = 500;
/// How many answers' times told at once count for latency. A guess: after as many nothing changes.
const LATENCY_STEPS_MAX: u32 = 64;

impl Parts {
    /// Adds what a conduct is worth, `count` times.
    pub(crate) fn conduct(&mut self, conduct: Conduct, count: u32, now: Timestamp) {
        if let Conduct::Answered { elapsed } = conduct {
            self.answered_in(elapsed, count, now);
        }
        if let Some((part, worth)) = worth_of(conduct) {
            self.add(part, worth.saturating_mul(i64::from(count)), now);
        }
    }

    /// Adds what a conduct in answering calls of one method is worth, `count` times. What one method gains within an hour is
    /// limited further, so that nobody buys trust with the cheapest of all calls.
    pub(crate) fn method_conduct(&mut self, method: &str, conduct: Conduct, count: u32, now: Timestamp) {
        let Some((Part::Rpc, worth)) = worth_of(conduct) else { return self.conduct(conduct, count, now) };
        let are_answers = matches!(conduct, Conduct::Answered { .. });
        if let Conduct::Answered { elapsed } = conduct {
            self.answered_in(elapsed, count, now);
        }
        let outcomes = Outcomes { are_answers, count, worth: worth.saturating_mul(i64::from(count)) };
        let worth = self.known().methods.told(method, outcomes, now);
        self.add(Part::Rpc, worth, now);
    }

    /// Adds the outcome of a dial to a place where the peer was proven to live.
    pub(crate) fn dialled(&mut self, succeeded: bool, now: Timestamp) {
        self.add(Part::Dial, if succeeded { POINT } else { -POINT }, now);
    }

    /// Adds a time of being connected that ends now.
    pub(crate) fn stayed(&mut self, span: Duration, now: Timestamp) {
        self.add(Part::Uptime, worth_of_stay(span), now);
    }

    /// Adds what the application thinks, in thousandths of a point.
    pub(crate) fn judged(&mut self, points: i32, now: Timestamp) {
        self.add(Part::Application, i64::from(points).saturating_mul(THOUSANDTH), now);
    }

    /// The parts as they are now, a connection that lasts since `connected` counted.
    pub(crate) fn at(&self, connected: Option<Timestamp>, now: Timestamp) -> Quality {
        let points = |part| self.part_at(part, connected, now);
        let parts: Vec<PartValue> =
            Part::ALL.into_iter().map(|part| PartValue { part, points: points(part) }).collect();
        let total = parts.iter().map(|value| value.points).sum();
        Quality { parts, total }
    }

    /// The sum of the parts as they are now, in thousandths of a point.
    #[inline]
    pub(crate) fn total_at(&self, connected: Option<Timestamp>, now: Timestamp) -> i32 {
        if self.known.is_none() && connected.is_none() {
            return 0;
        }
        Part::ALL.into_iter().map(|part| self.part_at(part, connected, now)).sum()
    }

    fn part_at(&self, part: Part, connected: Option<Timestamp>, now: Timestamp) -> i32 {
        let fading = self.known.as_ref().and_then(|known| known.fading.get(part as usize)).copied().unwrap_or_default();
        let fading = match connected.filter(|_| part == Part::Uptime) {
            Some(since) => fading.changed(part, worth_of_stay(now.since(since)), now),
            None => fading.faded(part, now),
        };
        thousandths(fading.billionths)
    }

    /// What is known of each method that was called.
    pub(crate) fn methods_at(&self, now: Timestamp) -> Vec<MethodView> {
        self.known.as_ref().map_or_else(Vec::new, |known| known.methods.views(now))
    }

    /// Whether nothing is known for or against the peer.
    pub(crate) fn is_neutral(&self) -> bool {
        self.known.as_ref().is_none_or(|known| known.fading.iter().all(|fading| fading.billionths == 0))
    }

    /// Makes parts of what was stored: each bounded, as if it had last changed at `at`.
    pub(crate) fn restored(values: &[PartValue], at: Timestamp) -> Self {
        let mut parts = Self::default();
        for value in values {
            let (least, most) = value.part.bounds();
            if let Some(fading) = parts.known().fading.get_mut(value.part as usize) {
                let billionths = i64::from(value.points.clamp(least, most)) * THOUSANDTH;
                *fading = Fading { billionths, at, period: Period::default() };
            }
        }
        parts
    }

    fn known(&mut self) -> &mut Known {
        self.known.get_or_insert_default()
    }

    fn add(&mut self, part: Part, billionths: i64, now: Timestamp) {
        if billionths == 0 && self.known.is_none() {
            return;
        }
        if let Some(fading) = self.known().fading.get_mut(part as usize) {
            *fading = fading.changed(part, billionths, now);
        }
    }

    /// Moves the latency part an eighth of the way to what this answer's time is worth, once per answer.
    fn answered_in(&mut self, elapsed: Duration, count: u32, now: Timestamp) {
        let (least, most) = Part::Latency.bounds();
        let elapsed_ms = i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX).min(2 * LATENCY_NEUTRAL_MS);
        let best = i64::from(most) * THOUSANDTH;
        let worth = (best - best / LATENCY_NEUTRAL_MS * elapsed_ms).max(i64::from(least) * THOUSANDTH);
        for _ in 0..count.min(LATENCY_STEPS_MAX) {
            let Some(latency) = self.known().fading.get(Part::Latency as usize) else { return };
            let step = (worth - latency.faded(Part::Latency, now).billionths) / 8;
            self.add(Part::Latency, step, now);
        }
    }
}

/// Which part a conduct belongs to, and what it is worth there.
fn worth_of(conduct: Conduct) -> Option<(Part, i64)> {
    match conduct {
        Conduct::DeliveredFirst => Some((Part::Delivery, POINT / 10)),
        Conduct::DeliveredInvalid => Some((Part::Invalid, -5 * POINT)),
        Conduct::BrokeProtocol => Some((Part::Invalid, -10 * POINT)),
        Conduct::Answered { .. } => Some((Part::Rpc, POINT / 2)),
        Conduct::AnsweredFalsely => Some((Part::Rpc, -5 * POINT)),
        Conduct::TimedOut => Some((Part::Rpc, -POINT)),
        // Whoever relays in good faith can be misled; many such items cannot be an accident.
        Conduct::WithheldDependency => Some((Part::Invalid, -POINT / 2)),
        Conduct::SharedLiveAddr => Some((Part::Addresses, POINT / 5)),
        Conduct::SharedDeadAddr => Some((Part::Addresses, -POINT / 5)),
        // A duplicate says that somebody else was faster: counted, it would let one peer lower another's quality. An honest
        // "I do not have it" helps the caller.
        Conduct::DeliveredDuplicate | Conduct::CouldNotSatisfy => None,
        _ => None,
    }
}

impl Period {
    /// How much of a change the hour still allows; that is noted.
    fn allowed(&mut self, part: Part, billionths: i64, now: Timestamp) -> i64 {
        let hour = now.as_secs() / 3_600;
        if self.hour != hour {
            *self = Self { hour, ..Self::default() };
        }
        let (loss_max, gain_max) = part.per_hour();
        let (used, limit) = match billionths {
            0.. => (&mut self.gained, i64::from(gain_max) * THOUSANDTH),
            _ => (&mut self.lost, i64::from(loss_max) * THOUSANDTH),
        };
        let allowed = billionths.saturating_abs().min(limit.saturating_sub(*used)).max(0);
        *used = used.saturating_add(allowed);
        if billionths < 0 { -allowed } else { allowed }
    }
}

fn worth_of_stay(span: Duration) -> i64 {
    i64::try_from(span.as_secs()).unwrap_or(i64::MAX).saturating_mul(UPTIME_PER_HOUR / 3_600)
}

impl Fading {
    /// What it is after a change, as far as bounds and hour allow it.
    fn changed(self, part: Part, billionths: i64, now: Timestamp) -> Self {
        let (least, most) = part.bounds();
        let mut fading = self.faded(part, now);
        let sum = fading.billionths.saturating_add(fading.period.allowed(part, billionths, now));
        fading.billionths = sum.clamp(i64::from(least) * THOUSANDTH, i64::from(most) * THOUSANDTH);
        fading
    }

    /// What is left now; counted in whole seconds, so that many small steps fade like a large one.
    fn faded(self, part: Part, now: Timestamp) -> Self {
        if self.billionths == 0 {
            return Self { at: now, ..self };
        }
        let elapsed = now.since(self.at).as_secs();
        if elapsed == 0 {
            return self;
        }
        let half_life = part.half_life().as_secs();
        let halvings = u32::try_from(elapsed / half_life).unwrap_or(u32::MAX);
        let whole =
            1_i64.checked_shl(halvings).filter(|divisor| *divisor > 0).map_or(0, |divisor| self.billionths / divisor);
        let billionths = i128::from(whole) * i128::from(share_left(elapsed % half_life, half_life));
        let billionths = i64::try_from(billionths / (1 << SHARE_BITS)).unwrap_or(0);
        Self { billionths, at: self.at.after(Duration::from_secs(elapsed)), ..self }
    }
}

const SHARE_BITS: u32 = 32;
const LN_2: u64 = 2_977_044_472;

/// Two to the power of minus `secs / half_life`, as a fraction of 2^32, by its power series.
fn share_left(secs: u64, half_life: u64) -> i64 {
    const TERMS: u64 = 10;
    let exponent = secs * LN_2 / half_life;
    let (mut term, mut share, mut is_minus) = (1_u64 << SHARE_BITS, 1_i64 << SHARE_BITS, true);
    for number in 1..=TERMS {
        term = ((term * exponent) >> SHARE_BITS) / number;
        share += if is_minus { -(term as i64) } else { term as i64 };
        is_minus = !is_minus;
    }
    share
}

fn thousandths(billionths: i64) -> i32 {
    i32::try_from(billionths / THOUSANDTH).unwrap_or(0)
}

#[cfg(test)]
mod tests;
