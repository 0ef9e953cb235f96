//! What the node tells of seeds, anchors and new settings.

use bruit_address_book::{Heard, Hearsay, Source};
use bruit_core::{Endpoint, PeerId};
use bruit_peering::{ConfigError, DialOutcome, SeedStage};

use super::Behaviour;

impl Behaviour {
    /// Tells of addresses that a source of seeds gave: they enter the book. Returns how many are new.
    pub fn seeds_found(&mut self, seeds: impl IntoIterator<Item = (Endpoint, Option<PeerId>)>) -> usize {
        let now = self.clock.now();
        let heard = |(endpoint, peer)| {
            let hearsay = Hearsay { peer, endpoint, last_seen: None, source: Source::Seed };
            self.coupler.book_mut().heard(hearsay, now) == Heard::Added
        };
        let count = seeds.into_iter().map(heard).filter(|is_new| *is_new).count();
        self.children.peering.addresses_learned();
        self.wake();
        count
    }

    /// Says that a source of seeds is not configured: the next one is not kept waiting for it.
    pub fn seeds_lacking(&mut self, stage: SeedStage) {
        self.children.peering.seeds_lacking(stage);
        self.wake();
    }

    /// Says that the operator has given a source of seeds some, or others: it is used as at the start.
    pub fn seeds_given(&mut self, stage: SeedStage) {
        self.children.peering.seeds_given(stage);
        self.wake();
    }

    /// The peers to dial first after a restart.
    pub fn anchors(&self) -> Vec<(Endpoint, PeerId)> {
        self.children.peering.engine().anchors()
    }

    /// Dials a peer that was one of the [`anchors`](Self::anchors) before the last stop; before anything else is dialled.
    pub fn dial_anchor(&mut self, endpoint: Endpoint, peer: PeerId) -> DialOutcome {
        let now = self.clock.now();
        if self.config.addr_policy.check(&endpoint).is_err()
            || self.coupler.book().is_barred(Some(&peer), endpoint.ip(), now)
        {
            return DialOutcome::Forbidden;
        }
        self.children.peering.dial_anchor(endpoint, peer)
    }

    /// Changes peering's settings while the node runs; what no longer fits is told goodbye.
    ///
    /// # Errors
    /// The settings cannot work, or let in more peers than other protocols have room for; nothing has changed.
    pub fn reconfigure_peering(&mut self, config: bruit_peering::Config) -> Result<(), ConfigError> {
        self.config.fits(&config)?;
        self.children.peering.reconfigure(config)
    }
}
