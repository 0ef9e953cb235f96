//! `fanout`, `all` and `one`: one push, and nothing after it.

use bruit_core::Timestamp;

use super::super::Engine;
use crate::{Choice, Finished, Policy};

impl Engine {
    /// Pushes a held item to those that its policy chooses, and is done with it.
    pub(in crate::engine) fn push_once(&mut self, index: u32, now: Timestamp) {
        let Some(item) = self.held.get(index) else { return };
        let (policy, choice) = (item.policy, item.topic.choice);
        if !item.is_at_limit() {
            self.choose_for(index);
            self.narrow(&policy, choice);
            self.push_to_targets(index);
        }
        self.finish(index, Finished::Pushed, now);
    }

    /// Keeps as many of the targets as a pushing policy wants.
    pub(in crate::engine) fn narrow(&mut self, policy: &Policy, choice: Choice) {
        match policy {
            Policy::Fanout { peers, .. } => self.keep_with_specials(*peers as usize, choice),
            Policy::One { .. } => self.keep_chosen(1, choice),
            Policy::All { .. }
            | Policy::Flood { .. }
            | Policy::SqrtAnnounce(_)
            | Policy::Infection(_)
            | Policy::NeighbourCast(_)
            | Policy::Diffusion { .. }
            | Policy::Proxy(_)
            | Policy::Dandelion(_)
            | Policy::Tree(_) => {}
        }
    }
}
