//! Whether peers with a slot are still there. Silence costs a peer its slot, and nothing else: nobody is banned for it.

use std::time::Duration;

use bruit_core::{PeerId, Timestamp};
use rand::RngExt;

use super::{Engine, Output, State};
use crate::DepartureCause;

/// What is known of a peer's answers to pings.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    /// When the next ping is due, or the answer to the last one.
    due: Option<Timestamp>,
    /// The ping that is not answered yet, and when it was sent.
    sent: Option<(u64, Timestamp)>,
    missed: u32,
    /// The shortest time an answer took: what distance allows, whatever else happened.
    pub(super) latency: Option<Duration>,
    /// When the peer last was the first to deliver something.
    pub(super) useful_at: Option<Timestamp>,
}

impl<C: Copy + Ord> Engine<C> {
    /// A peer has answered the ping with this number.
    ///
    /// # Security
    /// Only the last one counts: who keeps an answer back until the next ping is under way would seem to be near.
    pub fn pong_received(&mut self, peer: PeerId, number: u64, now: Timestamp) {
        let interval = self.config().ping_interval;
        let Some(known) = self.peers.get_mut(&peer) else { return };
        let Some((_, sent)) = known.pulse.sent.take_if(|(last, _)| *last == number) else { return };
        let took = now.since(sent);
        known.pulse.latency = Some(known.pulse.latency.map_or(took, |latency| latency.min(took)));
        known.pulse.missed = 0;
        self.set_pulse(peer, Some(now.after(interval)));
    }

    /// A peer was the first to deliver something: what protects its slot.
    pub fn delivered_first(&mut self, peer: &PeerId, now: Timestamp) {
        if let Some(known) = self.peers.get_mut(peer) {
            known.pulse.useful_at = Some(now);
        }
    }

    pub(super) fn begin_pulse(&mut self, peer: PeerId, now: Timestamp) {
        // Spread, or peers that came together would be asked together for ever.
        if let Some(known) = self.peers.get_mut(&peer) {
            (known.pulse.sent, known.pulse.missed) = (None, 0);
        }
        let first = self.config().ping_interval.mul_f64(self.rng.random_range(0.5..1.0));
        self.set_pulse(peer, Some(now.after(first)));
    }

    pub(super) fn end_pulse(&mut self, peer: PeerId) {
        self.set_pulse(peer, None);
    }

    fn set_pulse(&mut self, peer: PeerId, due: Option<Timestamp>) {
        let Some(known) = self.peers.get_mut(&peer) else { return };
        if let Some(before) = std::mem::replace(&mut known.pulse.due, due) {
            self.pulses.remove(&(before, peer));
        }
        self.pulses.extend(due.map(|due| (due, peer)));
    }

    pub(super) fn feel_pulses(&mut self, now: Timestamp) {
        while let Some((_, peer)) = self.pulses.first().copied().filter(|(due, _)| *due <= now) {
            self.pulses.pop_first();
            let (timeout, missed_max) = (self.config().ping_timeout, self.config().pings_missed_max);
            let Some(known) = self.peers.get_mut(&peer) else { continue };
            known.pulse.due = None;
            let State::Held(_) = known.state else { continue };
            if known.pulse.sent.is_some() {
                known.pulse.missed = known.pulse.missed.saturating_add(1);
            }
            if known.pulse.missed >= missed_max {
                self.depart(peer, DepartureCause::Silent, now);
                self.leave_after(peer, now);
                self.close(peer);
                continue;
            }
            self.pings = self.pings.wrapping_add(1);
            let number = self.pings;
            known.pulse.sent = Some((number, now));
            self.outputs.push_back(Output::SendPing { peer, number });
            self.set_pulse(peer, Some(now.after(timeout)));
        }
    }
}
