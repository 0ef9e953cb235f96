//! Whom to dial.

use bruit_address_book::{Candidate, Wanted};
use bruit_core::{Endpoint, NetGroup, Timestamp};
use bruit_peering::{DialOutcome, SlotClass};

use super::{Coupler, Engines};

impl Coupler {
    /// Proposes peers of groups that no outbound peer is in; when there are none, any others.
    pub(super) fn propose(&mut self, count: usize, engines: &mut impl Engines, now: Timestamp) {
        let mut groups: Vec<NetGroup> = Vec::new();
        let outbound = engines.peering().peers().filter(|view| view.class == Some(SlotClass::Outbound));
        groups.extend(outbound.map(|view| self.book.group_of(&view.remote)));
        groups.extend(engines.peering().dials().map(|(endpoint, _)| self.book.group_of(endpoint)));
        let mut started = 0;
        let mut refused: Vec<Endpoint> = Vec::new();
        for distinct in [true, false] {
            while started < count && refused.len() < 4 * count.max(4) {
                let (engine, taken, refused_before) = (engines.peering(), &groups, &refused);
                let eligible = |candidate: &Candidate<'_>| {
                    (!distinct || !taken.contains(&candidate.group))
                        && candidate.peer.is_none_or(|peer| !engine.is_connected(peer))
                        && !refused_before.contains(candidate.endpoint)
                };
                let Some((choice, _)) = self.book.select_explained(Wanted::Any, eligible, now) else { break };
                match engines.dial(choice.endpoint.clone(), choice.peer, now) {
                    DialOutcome::Started => {
                        started += 1;
                        groups.push(choice.group);
                    }
                    DialOutcome::Enough => return,
                    DialOutcome::Connected | DialOutcome::UnderWay | DialOutcome::BackingOff => {
                        refused.push(choice.endpoint);
                    }
                }
            }
        }
        if started < count {
            engines.candidates_exhausted(now);
        }
    }
}
