#![allow(clippy::disallowed_methods, reason = "the one place that reads the process's clocks")]

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use futures_timer::Delay;

use crate::Timestamp;

/// The process's clock: the wall clock at its start, advanced by the monotonic clock.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    wall_at_start: Timestamp,
    started: Instant,
}

impl Clock {
    /// Reads both clocks once. A wall clock before 1970 counts as 1970.
    pub fn start() -> Self {
        Self { wall_at_start: Self::wall(), started: Instant::now() }
    }

    /// The present moment.
    pub fn now(&self) -> Timestamp {
        self.wall_at_start.after(self.started.elapsed())
    }

    /// The wall clock as the machine shows it now; only for conversion at the edge (wire, storage).
    pub fn wall() -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::default().after(since_epoch)
    }
}

/// A timer that a behaviour sets to its engine's next deadline.
///
/// A deadline that moves away, as each finished call moves the next one, costs nothing: the timer that is set stays, wakes its
/// task too early once, and is then set anew.
#[derive(Debug, Default)]
pub struct Alarm {
    armed: Option<(Timestamp, Delay)>,
}

impl Alarm {
    /// Asks to be woken at `deadline`; ready when it has come. With `None` nothing is ever ready.
    pub fn poll_until(&mut self, cx: &mut Context<'_>, deadline: Option<Timestamp>, now: Timestamp) -> Poll<()> {
        let Some(deadline) = deadline else { return Poll::Pending };
        if deadline <= now {
            self.armed = None;
            return Poll::Ready(());
        }
        self.armed.take_if(|(at, _)| *at > deadline || *at <= now);
        let (at, delay) = self.armed.get_or_insert_with(|| (deadline, Delay::new(deadline.since(now))));
        if Pin::new(&mut *delay).poll(cx).is_pending() {
            return Poll::Pending;
        }
        let is_due = *at >= deadline;
        self.armed = None;
        if is_due {
            return Poll::Ready(());
        }
        // It had been set for an earlier deadline, and rang a moment before that by the process's clock.
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
