use std::time::Duration;

use super::{
    ask::{self, Arriving},
    calls::{Calls, Lengths, Mode, serve},
    figures::Figures,
    ours::Ours,
    raw,
    relay::relay,
    request_response::RequestResponse,
    sampler::Span,
};
use crate::pair::{Arrangement, pair};

const SMALL: usize = 64;
const BULK_ANSWER: usize = 256 * 1024;
const BULK_BYTES: usize = 1024 * 1024 * 1024;
const BULK_IN_FLIGHT: usize = 8;
/// A round trip takes 20 ms longer.
const DELAY_ONE_WAY: Duration = Duration::from_millis(10);
/// Less than request-response can take, and less at a time than Yamux has streams.
const ARRIVALS: Arriving = Arriving { per_second: 10_000, under_way_max: 256 };
const MANY_ARRIVALS: Arriving = Arriving { per_second: 400_000, under_way_max: 4_096 };

/// Who answers calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Who {
    Ours,
    /// libp2p's request-response.
    Peer,
    /// One stream, without any protocol.
    Raw,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Work {
    /// 64 bytes each way, one call after the other.
    Serial,
    /// The same through tasks, so many calls at a time.
    InFlight64,
    InFlight256,
    /// The same through tasks, 10,000 calls a second at independent times.
    Independent,
    /// As many as come through of 400,000.
    Independent400k,
    /// 1 GiB in answers of 256 KiB.
    Bulk,
    /// Serial, with a round trip 20 ms longer.
    Serial20ms,
}

pub(crate) const ALL_WORK: [Work; 7] = [
    Work::Serial,
    Work::InFlight64,
    Work::InFlight256,
    Work::Independent,
    Work::Independent400k,
    Work::Bulk,
    Work::Serial20ms,
];

impl Who {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Peer => "peer",
            Self::Raw => "raw",
        }
    }
}

impl Work {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Serial => "serial",
            Self::InFlight64 => "in_flight_64",
            Self::InFlight256 => "in_flight_256",
            Self::Independent => "independent",
            Self::Independent400k => "independent_400k",
            Self::Bulk => "bulk",
            Self::Serial20ms => "serial_20ms",
        }
    }

    /// Who takes part. What is made of tasks and ids has no counterpart on one stream, and request-response would only
    /// queue at 400,000 a second.
    pub(crate) const fn contestants(self) -> &'static [Who] {
        match self {
            Self::Serial | Self::Bulk | Self::Serial20ms => &[Who::Ours, Who::Peer, Who::Raw],
            Self::InFlight64 | Self::InFlight256 | Self::Independent => &[Who::Ours, Who::Peer],
            Self::Independent400k => &[Who::Ours],
        }
    }

    const fn lengths(self) -> Lengths {
        let answer = match self {
            Self::Bulk => BULK_ANSWER,
            Self::Serial
            | Self::InFlight64
            | Self::InFlight256
            | Self::Independent
            | Self::Independent400k
            | Self::Serial20ms => SMALL,
        };
        Lengths { request: SMALL, answer }
    }
}

/// Measures one thing once.
pub(crate) fn measure(who: Who, work: Work, arrangement: Arrangement, window: Duration) -> anyhow::Result<Figures> {
    let lengths = work.lengths();
    match who {
        Who::Ours => {
            let answer = lengths.answer.min(Ours::ANSWER_MAX);
            let calls = Ours::new(Lengths { answer, ..lengths })?;
            let figures = measure_calls(calls, work, arrangement, window)?;
            Ok(figures.in_answers_of(lengths.answer as f64 / answer as f64))
        }
        Who::Peer => measure_calls(RequestResponse(lengths), work, arrangement, window),
        Who::Raw => {
            let of = |write_len| measure_raw(work, write_len, arrangement, window);
            let (small, large) = (of(16 * 1024)?, of(64 * 1024)?);
            Ok(if small.per_second > large.per_second { small } else { large })
        }
    }
}

fn measure_calls<C: Calls>(
    calls: C,
    work: Work,
    arrangement: Arrangement,
    window: Duration,
) -> anyhow::Result<Figures> {
    let server = calls.clone();
    let by = |mode| move |addr| serve(server, mode, addr);
    let time = Span::Time(window);
    match work {
        Work::Serial => pair(arrangement, by(Mode::Inline), move |addr| ask::inline(calls, 1, time, addr)),
        Work::Serial20ms => pair(arrangement, by(Mode::Inline), move |addr| async move {
            ask::inline(calls, 1, time, relay(&addr, DELAY_ONE_WAY)?).await
        }),
        Work::Bulk => {
            let answers = Span::Answers(BULK_BYTES.div_ceil(calls.lengths().answer) as u64);
            pair(arrangement, by(Mode::Inline), move |addr| ask::inline(calls, BULK_IN_FLIGHT, answers, addr))
        }
        Work::InFlight64 => pair(arrangement, by(Mode::Tasks), move |addr| ask::tasks(calls, 64, window, addr)),
        Work::InFlight256 => pair(arrangement, by(Mode::Tasks), move |addr| ask::tasks(calls, 256, window, addr)),
        Work::Independent => {
            pair(arrangement, by(Mode::Tasks), move |addr| ask::independently(calls, ARRIVALS, window, addr))
        }
        Work::Independent400k => {
            pair(arrangement, by(Mode::Tasks), move |addr| ask::independently(calls, MANY_ARRIVALS, window, addr))
        }
    }
}

fn measure_raw(work: Work, write_len: usize, arrangement: Arrangement, window: Duration) -> anyhow::Result<Figures> {
    let lengths = work.lengths();
    let (in_flight, span, delay) = match work {
        Work::Bulk => (BULK_IN_FLIGHT, Span::Answers((BULK_BYTES / BULK_ANSWER) as u64), None),
        Work::Serial20ms => (1, Span::Time(window), Some(DELAY_ONE_WAY)),
        Work::Serial | Work::InFlight64 | Work::InFlight256 | Work::Independent | Work::Independent400k => {
            (1, Span::Time(window), None)
        }
    };
    pair(
        arrangement,
        move |addr| raw::serve(lengths, write_len, addr),
        move |addr| async move {
            let addr = delay.map_or(Ok(addr.clone()), |delay| relay(&addr, delay))?;
            raw::ask(lengths, in_flight, span, addr).await
        },
    )
}
