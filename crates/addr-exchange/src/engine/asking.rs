//! Whom to ask, and when.

use std::time::Duration;

use bruit_core::Timestamp;

use super::{Asking, Exchange, Output, Peer, around};

/// What came of a wish that a peer be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// It is asked now.
    Now,
    /// It was asked not long ago: it is asked then.
    At(Timestamp),
    /// It is being asked.
    UnderWay,
    /// It is not connected.
    NotConnected,
}

impl<P: Copy + Ord> Exchange<P> {
    /// Tells whether more addresses are wanted; while not, peers are asked a second time only at the regular interval, if there is one.
    pub fn more_wanted(&mut self, is_more_wanted: bool) {
        self.is_more_wanted = is_more_wanted;
    }

    /// Commands that a peer be asked as soon as it may be: a peer whose last answer was small has its pause, whoever wants more.
    pub fn ask(&mut self, peer: P, now: Timestamp) -> Ask {
        let Some(state) = self.peers.get_mut(&peer) else { return Ask::NotConnected };
        let at = state.asked_at.map_or(now, |asked| asked.after(state.small_pause)).max(now);
        match state.asking {
            Asking::InFlight => return Ask::UnderWay,
            Asking::First(planned) | Asking::Again { if_wanted: planned, .. } => {
                state.asking = Asking::First(planned.min(at));
            }
            Asking::Never => state.asking = Asking::First(at),
        }
        if at > now { Ask::At(at) } else { Ask::Now }
    }

    /// Tells that a request to a peer has failed.
    pub fn ask_failed(&mut self, peer: P, now: Timestamp) {
        self.ask_later(peer, true, now);
    }

    /// A peer has answered with so many addresses. One that has more to tell than before is worth asking again soon.
    pub(super) fn asked_with(&mut self, peer: P, count: usize, now: Timestamp) {
        let settings = self.config.settings();
        let is_small = count < settings.small_answer;
        if let Some(state) = self.peers.get_mut(&peer) {
            if !is_small {
                let again = settings.ask_again_secs.unwrap_or(settings.ask_small_secs);
                state.small_pause = Duration::from_secs(again);
            } else if count > state.best_answer {
                state.small_pause = Duration::from_secs(settings.ask_small_secs);
            }
            state.best_answer = state.best_answer.max(count);
        }
        self.ask_later(peer, is_small, now);
    }

    fn ask_later(&mut self, peer: P, is_small: bool, now: Timestamp) {
        let settings = self.config.settings();
        let Some(state) = self.peers.get_mut(&peer) else { return };
        let regular = settings.ask_again_secs.map(Duration::from_secs);
        let soon = is_small.then_some(state.small_pause);
        if is_small {
            let longest = Duration::from_secs(settings.ask_small_secs_max);
            state.small_pause = state.small_pause.saturating_mul(2).min(longest);
        }
        let anyway = regular.map(|pause| now.after(around(pause, 5, &mut self.rng)));
        let if_wanted = soon.map(|pause| now.after(around(pause, 5, &mut self.rng)));
        state.asking = match if_wanted.into_iter().chain(anyway).min() {
            Some(if_wanted) if state.is_admitted && state.is_asked(settings) => Asking::Again { if_wanted, anyway },
            _ => Asking::Never,
        };
    }

    pub(super) fn ask_due(&mut self, now: Timestamp) -> Option<Output<P>> {
        let is_more_wanted = self.is_more_wanted;
        let is_due = |state: &Peer<P>| state.asks_at(is_more_wanted).is_some_and(|at| at <= now);
        let (peer, state) = self.peers.iter_mut().find(|(_, state)| is_due(state))?;
        state.asking = Asking::InFlight;
        state.asked_at = Some(now);
        Some(Output::Ask(*peer))
    }
}
