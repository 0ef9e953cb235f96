use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Waker,
};

use bruit_core::{Clock, Slot, Timestamp};
use libp2p_swarm::ConnectionId;

use crate::{
    config::LANES_MAX,
    frame::{Frame, Tally},
    outbox::{News, Outbox},
};

/// What `Links` and the handlers of one peer share: its outbox and how it is to be treated.
///
/// The lock is held for a few instructions at a time, never across a wait. Settings are read here at every poll of a handler
/// instead of being sent to it: a connection whose command channel is full would stop the swarm for all others.
#[derive(Clone, Debug)]
pub(crate) struct Shared(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    /// Changes when the peer is dismissed: what handlers say about an earlier slot counts no more.
    slot: Slot,
    outbox: Outbox,
    admitted: bool,
    keep_alive: bool,
    paused: [bool; LANES_MAX],
    /// The connection that writes.
    writer: Option<ConnectionId>,
    /// The writer has nothing to do on this lane until a frame is pushed.
    idle: [bool; LANES_MAX],
    /// Taken by the writer and not yet wholly handed to the multiplexer.
    held: [Tally; LANES_MAX],
    sent: [Tally; LANES_MAX],
    wakers: Vec<(ConnectionId, Waker)>,
    clock: Clock,
}

/// How a handler is to treat its peer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View {
    pub(crate) slot: Slot,
    pub(crate) admitted: bool,
    pub(crate) keep_alive: bool,
    pub(crate) is_writer: bool,
    pub(crate) paused: [bool; LANES_MAX],
    pub(crate) waiting: [bool; LANES_MAX],
}

impl Shared {
    pub(crate) fn new(outbox: Outbox, clock: Clock) -> Self {
        Self(Arc::new(Mutex::new(State {
            slot: Slot::new(0, 0),
            outbox,
            admitted: false,
            keep_alive: false,
            paused: [false; LANES_MAX],
            writer: None,
            idle: [true; LANES_MAX],
            held: [Tally::default(); LANES_MAX],
            sent: [Tally::default(); LANES_MAX],
            wakers: Vec::new(),
            clock,
        })))
    }

    /// For a handler: how things stand, and whom to wake when they change.
    pub(crate) fn view(&self, id: ConnectionId, lanes: usize, waker: &Waker) -> View {
        let mut state = self.lock();
        match state.wakers.iter_mut().find(|(connection, _)| *connection == id) {
            Some((_, known)) => known.clone_from(waker),
            None => state.wakers.push((id, waker.clone())),
        }
        let mut waiting = [false; LANES_MAX];
        for (lane, waiting) in waiting.iter_mut().enumerate().take(lanes) {
            *waiting = !state.outbox.is_empty(lane);
        }
        View {
            slot: state.slot,
            admitted: state.admitted,
            keep_alive: state.keep_alive,
            is_writer: state.writer == Some(id),
            paused: state.paused,
            waiting,
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.lock().clock.now()
    }

    /// For the writer: frames of `bytes_wanted` bytes or more, unless there are fewer; `sent` is done with. Returns whether
    /// the owner has to be told something. Nothing comes for a slot that is no longer the peer's.
    pub(crate) fn take(&self, slot: Slot, lane: usize, wanted: Wanted, taken: &mut VecDeque<Frame>) -> bool {
        let mut state = self.lock();
        if state.slot != slot {
            return false;
        }
        state.settle(lane, wanted.sent);
        let clock = state.clock;
        let tally = state.outbox.take(lane, wanted.bytes, taken, || clock.now());
        state.held[lane].add(tally);
        state.idle[lane] = wanted.is_idle && tally.is_empty();
        !state.outbox.news().is_empty()
    }

    /// For the writer: `sent` is handed to the multiplexer.
    pub(crate) fn settle(&self, slot: Slot, lane: usize, sent: Tally) {
        let mut state = self.lock();
        if state.slot == slot {
            state.settle(lane, sent);
        }
    }

    /// For the writer: its stream ended, and what it holds is lost.
    pub(crate) fn lane_ended(&self, slot: Slot, lane: usize) {
        let mut state = self.lock();
        if state.slot == slot {
            state.lose_held(lane);
            state.idle[lane] = true;
        }
    }

    /// Queues a frame; its expiry is on the clock that `now` is read from.
    pub(crate) fn push(&self, mut frame: Frame, now: Timestamp) -> Pushed {
        let mut state = self.lock();
        let clock = state.clock;
        let lane = frame.lane as usize;
        let expires = frame.expires;
        frame.expires = expires.map(|at| clock.now().after(at.since(now)));
        let result = state.outbox.push(frame, || clock.now()).map_err(|frame| Frame { expires, ..frame });
        let wakes = result.is_ok() && std::mem::take(&mut state.idle[lane]);
        let waker = if wakes { state.writer_waker() } else { None };
        let has_news = !state.outbox.news().is_empty();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        Pushed { result, has_news }
    }

    pub(crate) fn take_news(&self) -> News {
        self.lock().outbox.take_news()
    }

    pub(crate) fn sent(&self, lane: usize) -> Tally {
        self.lock().sent[lane]
    }

    pub(crate) fn set_slot(&self, slot: Slot) {
        self.lock().slot = slot;
    }

    pub(crate) fn admit(&self) {
        self.change(|state| !std::mem::replace(&mut state.admitted, true));
    }

    /// Forgets everything that belongs to the present slot; returns what is lost by that.
    pub(crate) fn dismiss(&self, next: Slot) -> Tally {
        let mut lost = Tally::default();
        self.change(|state| {
            lost = state.clear();
            state.slot = next;
            state.admitted = false;
            true
        });
        lost
    }

    /// Empties the outbox of a peer that is gone; returns what is lost by that.
    pub(crate) fn clear(&self) -> Tally {
        self.lock().clear()
    }

    pub(crate) fn set_keep_alive(&self, on: bool) {
        self.change(|state| std::mem::replace(&mut state.keep_alive, on) != on);
    }

    pub(crate) fn set_paused(&self, lane: usize, paused: bool) {
        self.change(|state| std::mem::replace(&mut state.paused[lane], paused) && !paused);
    }

    /// Hands writing to another connection. What the former one holds is lost.
    pub(crate) fn set_writer(&self, writer: Option<ConnectionId>) {
        self.change(|state| {
            if state.writer == writer {
                return false;
            }
            state.writer = writer;
            (0..LANES_MAX).for_each(|lane| state.lose_held(lane));
            state.idle = [true; LANES_MAX];
            true
        });
    }

    pub(crate) fn forget_connection(&self, id: ConnectionId) {
        self.lock().wakers.retain(|(connection, _)| *connection != id);
    }

    /// Wakes all handlers if `change` says so.
    fn change(&self, change: impl FnOnce(&mut State) -> bool) {
        let mut state = self.lock();
        if !change(&mut state) {
            return;
        }
        let wakers: Vec<Waker> = state.wakers.iter().map(|(_, waker)| waker.clone()).collect();
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What became of a push.
#[derive(Debug)]
pub(crate) struct Pushed {
    /// How many frames it replaced, or the frame that has no room.
    pub(crate) result: Result<u32, Frame>,
    /// Frames expired to make room.
    pub(crate) has_news: bool,
}

/// What a writer asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub(crate) bytes: usize,
    /// What was handed to the multiplexer since it asked last.
    pub(crate) sent: Tally,
    /// It has nothing left to do, should nothing come.
    pub(crate) is_idle: bool,
}

impl State {
    fn settle(&mut self, lane: usize, sent: Tally) {
        self.held[lane].subtract(sent);
        self.sent[lane].add(sent);
    }

    fn lose_held(&mut self, lane: usize) {
        let held = std::mem::take(&mut self.held[lane]);
        self.outbox.lose(held);
    }

    fn clear(&mut self) -> Tally {
        (0..LANES_MAX).for_each(|lane| self.lose_held(lane));
        self.idle = [true; LANES_MAX];
        self.paused = [false; LANES_MAX];
        self.sent = [Tally::default(); LANES_MAX];
        self.outbox.clear()
    }

    fn writer_waker(&self) -> Option<Waker> {
        let writer = self.writer?;
        self.wakers.iter().find(|(connection, _)| *connection == writer).map(|(_, waker)| waker.clone())
    }
}
