//! Whom peering is told to dial.

use bruit_addr_exchange::PeerAddr;
use bruit_address_book::{Candidate, Choice, Table, Wanted};
use bruit_core::{Endpoint, PeerId, Timestamp};
use bruit_peering::{DialOutcome, Standing};

use super::{Coupler, Engines};
use crate::choosing::{Choosing, Held};

/// How many of the peers that a full node names are dialled at once.
const ALTERNATIVES_DIALLED: usize = 2;

impl Coupler {
    /// Proposes peers; when there are too few, peering turns to seeds.
    pub(super) fn propose(&mut self, count: usize, engines: &mut impl Engines, now: Timestamp) {
        let target = engines.peering().settings().outbound_target;
        let may_ask = engines.peering().is_asking_seeds(now);
        let choosing = Choosing::new(target, may_ask, &self.lineage, self.held(engines));
        let peering = engines.peering();
        let mut choosing = choosing.filling(peering.settings().outbound_max(), peering.unanswered());
        let mut started = 0;
        while started < count {
            let holders = |peer: &PeerId| engines.holders(peer);
            let Some(choice) = choosing.next(&mut self.book, may_dial(engines, now), holders, now) else {
                return engines.candidates_exhausted(now);
            };
            let standing = Standing::of(choice.was_reached, choice.source);
            if engines.dial(choice.endpoint.clone(), choice.peer, standing, now) != DialOutcome::Started {
                return;
            }
            started += 1;
            choosing.started(&choice);
        }
    }

    /// Dials some of those whom a full node named, in other groups than we are in and as far as its root has room. Whoever was
    /// named so himself names nobody: else a liar's friends would lead from one to the next.
    pub(super) fn dial_alternatives(
        &mut self,
        named: &[PeerAddr],
        by: &Endpoint,
        engines: &mut impl Engines,
        now: Timestamp,
    ) {
        if self.lineage.nominator_of(by).is_some() {
            return;
        }
        let (target, teller) = (engines.peering().settings().outbound_target, self.book.group_of(by));
        let mut choosing = Choosing::new(target, true, &self.lineage, self.held(engines));
        let mut started = Vec::new();
        for PeerAddr { peer, endpoints, .. } in named {
            let of = |endpoint: &Endpoint| {
                let source = self.book.source_of(endpoint).unwrap_or(teller);
                Held { group: self.book.group_of(endpoint), root: self.lineage.root_of(source) }
            };
            let is_usable = |endpoint: &&Endpoint| {
                self.addr_policy.check(endpoint).is_ok()
                    && choosing.admits(of(endpoint))
                    && !self.book.is_barred(peer.as_ref(), endpoint.ip(), now)
            };
            let Some(endpoint) = endpoints.iter().find(is_usable).cloned() else { continue };
            let source = self.book.source_of(&endpoint).unwrap_or(teller);
            let standing = Standing::of(self.book.was_reached(&endpoint), source);
            if engines.dial(endpoint.clone(), *peer, standing, now) == DialOutcome::Started {
                choosing.takes(of(&endpoint));
                started.push(endpoint);
            }
            if started.len() == ALTERNATIVES_DIALLED {
                break;
            }
        }
        started.into_iter().for_each(|endpoint| self.lineage.nominated(endpoint, teller));
    }

    /// Tests an address: one that is to leave *tried* for another, or one that was only heard of.
    pub(super) fn feel(&mut self, engines: &mut impl Engines, now: Timestamp) {
        self.book.resolve_collisions(now);
        let choice = self.book.select_collision(now);
        if let Some(Choice { endpoint, peer, was_reached, source, .. }) =
            choice.or_else(|| self.book.select(Wanted::Only(Table::New), may_dial(engines, now), now))
        {
            // What cannot be dialled now is for another time.
            let _ = engines.visit(endpoint, peer, Standing::of(was_reached, source), now);
        }
    }

    /// The outbound peers, those that are greeted, and dials.
    fn held(&self, engines: &impl Engines) -> Vec<Held> {
        engines.peering().dialled().map(|endpoint| self.held_at(endpoint)).collect()
    }

    fn held_at(&self, endpoint: &Endpoint) -> Held {
        let group = self.book.group_of(endpoint);
        let source = self.teller_of(endpoint).unwrap_or(group);
        Held { group, root: self.lineage.root_of(source) }
    }
}

/// Whom peering would dial now.
fn may_dial(engines: &impl Engines, now: Timestamp) -> impl Fn(&Candidate<'_>) -> bool {
    move |candidate| {
        let standing = Standing::of(candidate.was_reached, candidate.source);
        engines.peering().may_dial(candidate.endpoint, candidate.peer.copied(), standing, now)
    }
}
