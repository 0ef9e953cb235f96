//! How long a node has few living peers after others are gone.

use std::time::Duration;

use bruit_core::{PeerId, Timestamp};
use bruit_stack::peering::SlotClass;

use super::{Around, Host};
use crate::network::Internet;

/// With how many living peers a node is no longer in danger to be alone.
pub(super) const PEERS_WANTED: usize = 8;

/// A wait for living peers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Repair {
    since: Timestamp,
    /// How many are enough.
    wanted: usize,
    took: Option<Duration>,
}

impl Host {
    /// Looks from now on when it has eight living peers, or all others of so many nodes.
    pub(in crate::network) fn await_repair(&mut self, left: usize, net: &Around) {
        let wanted = PEERS_WANTED.min(left.saturating_sub(1));
        self.repair = Some(Repair { since: net.now(), wanted, took: None });
        self.note_if_repaired(net);
    }

    /// How long it had fewer; `None` if it still has.
    pub(in crate::network) fn repaired_after(&self) -> Option<Duration> {
        self.repair.as_ref().and_then(|repair| repair.took)
    }

    pub(super) fn note_if_repaired(&mut self, net: &Around) {
        if let Some(repair) = self.repair
            && repair.took.is_none()
            && self.living(&net.tally) >= repair.wanted
        {
            self.repair = Some(Repair { took: Some(net.now().since(repair.since)), ..repair });
        }
    }

    /// Whether it is connected with every honest node that is not gone for ever.
    pub(super) fn has_all_that_are_left(&self, internet: &Internet) -> bool {
        self.honest_peers(internet) + 1 >= internet.honest_left()
    }

    /// With how many honest nodes that are not gone for ever it is connected.
    pub(in crate::network) fn honest_peers(&self, internet: &Internet) -> usize {
        self.kept().filter(|peer| internet.is_honest(peer) && internet.is_living(peer)).count()
    }

    fn living(&self, internet: &Internet) -> usize {
        self.kept().filter(|peer| internet.is_living(peer)).count()
    }

    fn kept(&self) -> impl Iterator<Item = PeerId> + '_ {
        [SlotClass::Outbound, SlotClass::Inbound, SlotClass::Quiet].into_iter().flat_map(|class| self.held(class))
    }
}
