//! How much a peer may say: hellos, goodbyes, pings and whatever else is a request, all counted together and on all of its
//! connections. What is an answer to something that we said is not counted.

use std::time::Duration;

use bruit_core::{PeerId, Timestamp, TokenBucket};

use super::Engine;
use crate::{Event, GoodbyeReason};

/// How many requests of one peer are answered at once. 8: as many as one connection has under way, which come together when a
/// slow link moves again; that is more than the hellos, the ping and the goodbye of one whose answers are lost.
const REQUESTS_BURST: u64 = 8;
/// After how long one more is answered. 2 s: less than half of the time that passes between two pings of the hastiest peer.
const REQUEST_EVERY: Duration = Duration::from_secs(2);
/// With how many beyond those that are answered a peer has broken a rule; until then it only gets no answers. 64: a guess, more
/// than anybody sends by mistake.
const REQUESTS_IN_VAIN_MAX: u64 = 64;

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Hearing {
    /// It is told the engine, and answered.
    Heard,
    /// It is one too many, or the peer is none: its stream ends without an answer.
    Ignored,
}

/// What a peer may still say.
pub(super) fn requests(now: Timestamp) -> TokenBucket {
    let full = REQUESTS_BURST.saturating_add(REQUESTS_IN_VAIN_MAX);
    TokenBucket::new(REQUEST_EVERY.as_secs_f64().recip(), full, full, now)
}

impl<C: Copy + Ord> Engine<C> {
    /// A peer sent a request of whatever kind; what it says is told only if it is heard.
    ///
    /// # Security
    /// Whoever goes on and on is told goodbye like one who breaks a rule, manual peers too. What is in vain counts like all
    /// else, so that nobody is heard who never pauses.
    pub fn request_received(&mut self, peer: PeerId, now: Timestamp) -> Hearing {
        let Some(known) = self.peers.get_mut(&peer) else { return Hearing::Ignored };
        let left = known.requests.available(now);
        known.requests.take_up_to(1, now);
        if left > REQUESTS_IN_VAIN_MAX {
            return Hearing::Heard;
        }
        if left == 1 {
            self.misbehaved(peer, now);
        }
        Hearing::Ignored
    }

    /// A peer sent something that is no message of the protocol.
    pub fn malformed_received(&mut self, peer: PeerId, now: Timestamp) {
        if self.peers.contains_key(&peer) {
            self.misbehaved(peer, now);
        }
    }

    fn misbehaved(&mut self, peer: PeerId, now: Timestamp) {
        self.tell(Event::Misconduct { peer });
        self.say_goodbye(peer, GoodbyeReason::Misconduct, now);
    }
}
