//! Whom peering is told to dial.

use bruit_addr_exchange::PeerAddr;
use bruit_address_book::{Candidate, Choice, Table, Wanted};
use bruit_core::{Endpoint, PeerId, Timestamp};
use bruit_peering::{DialOutcome, SlotClass};

use super::{Coupler, Engines};
use crate::choosing::{Choosing, Held};

/// How many of the peers that a full node names are dialled at once.
const ALTERNATIVES_DIALLED: usize = 2;

impl Coupler {
    /// Proposes peers; when there are too few, peering turns to seeds.
    pub(super) fn propose(&mut self, count: usize, engines: &mut impl Engines, now: Timestamp) {
        let target = engines.peering().settings().outbound_target;
        let may_ask = engines.peering().is_asking_seeds(now);
        let mut choosing = Choosing::new(target, may_ask, &self.lineage, self.held(engines));
        let mut started = 0;
        while started < count {
            let (peering, holders) = (engines.peering(), |peer: &PeerId| engines.holders(peer));
            let Some(choice) = choosing.next(&mut self.book, |peer| peering.is_connected(peer), holders, now) else {
                return engines.candidates_exhausted(now);
            };
            match engines.dial(choice.endpoint.clone(), choice.peer, now) {
                DialOutcome::Started => {
                    started += 1;
                    choosing.started(&choice);
                }
                DialOutcome::Enough => return,
                DialOutcome::Connected | DialOutcome::UnderWay | DialOutcome::BackingOff | DialOutcome::Forbidden => {
                    choosing.refused(choice)
                }
            }
        }
    }

    /// Dials some of those whom a full node named, in other groups than we are in.
    pub(super) fn dial_alternatives(&mut self, addrs: &[PeerAddr], engines: &mut impl Engines, now: Timestamp) {
        let mut taken: Vec<_> = self.held(engines).into_iter().map(|held| held.group).collect();
        let mut started = 0;
        for PeerAddr { peer, endpoints, .. } in addrs {
            let is_usable = |endpoint: &&Endpoint| {
                self.addr_policy.check(endpoint).is_ok()
                    && !taken.contains(&self.book.group_of(endpoint))
                    && !self.book.is_barred(peer.as_ref(), endpoint.ip(), now)
            };
            let Some(endpoint) = endpoints.iter().find(is_usable).cloned() else { continue };
            let group = self.book.group_of(&endpoint);
            if engines.dial(endpoint, *peer, now) == DialOutcome::Started {
                taken.push(group);
                started += 1;
            }
            if started == ALTERNATIVES_DIALLED {
                return;
            }
        }
    }

    /// Tests an address: one that is to leave *tried* for another, or one that was only heard of.
    pub(super) fn feel(&mut self, engines: &mut impl Engines, now: Timestamp) {
        self.book.resolve_collisions(now);
        let peering = engines.peering();
        let eligible = |candidate: &Candidate<'_>| candidate.peer.is_none_or(|peer| !peering.is_connected(peer));
        let choice = self.book.select_collision(now);
        if let Some(Choice { endpoint, peer, .. }) =
            choice.or_else(|| self.book.select(Wanted::Only(Table::New), eligible, now))
        {
            // What cannot be dialled now is for another time.
            let _ = engines.visit(endpoint, peer, now);
        }
    }

    /// The outbound peers, and dials.
    fn held(&self, engines: &impl Engines) -> Vec<Held> {
        let peering = engines.peering();
        let outbound =
            peering.peers().filter(|view| matches!(view.class, Some(SlotClass::Outbound | SlotClass::Quiet)));
        let mut held: Vec<_> = outbound.map(|view| self.held_at(&view.remote)).collect();
        held.extend(peering.dials().map(|(endpoint, _)| self.held_at(endpoint)));
        held
    }

    fn held_at(&self, endpoint: &Endpoint) -> Held {
        let group = self.book.group_of(endpoint);
        let source = self.book.source_of(endpoint).unwrap_or(group);
        Held { group, root: self.lineage.root_of(source) }
    }
}
