//! Items that wait for what they depend on.

use bruit_core::{Conduct, LookupMap, Timestamp};

use super::{
    DependencyArrived, Engine, Output, Reported,
    held::{HeldItem, Stage},
};
use crate::{Event, ItemId};

/// How many missing ids of one item count.
const MISSING_MAX: usize = 64;
/// The part of what may await a verdict that may wait for dependencies.
const WITHHELD_PART: usize = 2;

/// Which items wait for an id.
#[derive(Debug, Default)]
pub(super) struct Dependencies {
    waiting: LookupMap<ItemId, Vec<u32>>,
    count: usize,
}

impl Dependencies {
    fn wait(&mut self, missing: &[ItemId], index: u32) {
        self.count += missing.len();
        missing.iter().for_each(|id| self.waiting.entry(*id).or_default().push(index));
    }

    fn forget(&mut self, missing: &[ItemId], index: u32) {
        for id in missing {
            let Some(waiting) = self.waiting.get_mut(id) else { continue };
            let before = waiting.len();
            waiting.retain(|other| *other != index);
            self.count -= before - waiting.len();
            if waiting.is_empty() {
                self.waiting.remove(id);
            }
        }
    }

    fn take(&mut self, id: &ItemId) -> Vec<u32> {
        if self.count == 0 {
            return Vec::new();
        }
        let waiting = self.waiting.remove(id).unwrap_or_default();
        self.count -= waiting.len();
        waiting
    }
}

impl Engine {
    /// What an item depends on came, by whatever way. Accepted items tell it by themselves.
    pub fn dependency_arrived(&mut self, id: ItemId, now: Timestamp) -> DependencyArrived {
        let mut resumed = 0;
        for index in self.dependencies.take(&id) {
            let Some(item) = self.held.get_mut(index) else { continue };
            item.missing.retain(|missing| *missing != id);
            if !item.missing.is_empty() {
                continue;
            }
            let id = item.message.id();
            if let Some(deadline) = self.held.move_to(index, Stage::Pending, now) {
                resumed += 1;
                self.outputs.push_back(Output::Event(Event::Resumed { id, deadline }));
            }
        }
        match resumed {
            0 => DependencyArrived::NothingResumed,
            count => DependencyArrived::Resumed(count),
        }
    }

    /// Holds an undecided item for what it depends on.
    pub(super) fn withhold(&mut self, index: u32, mut missing: Vec<ItemId>, now: Timestamp) -> Reported {
        missing.truncate(MISSING_MAX);
        missing.sort_unstable();
        missing.dedup();
        if self.held.withheld().exceeds(WITHHELD_PART, &self.config) {
            self.stats.ignored += 1;
            _ = self.take_out(index);
            return Reported::NoRoom;
        }
        let Some(item) = self.held.get_mut(index) else { return Reported::NotPending };
        let old = std::mem::replace(&mut item.missing, missing.clone());
        if item.stage == Stage::Pending {
            self.stats.withheld += 1;
            self.held.move_to(index, Stage::Withheld, now);
        }
        self.dependencies.forget(&old, index);
        self.dependencies.wait(&missing, index);
        Reported::Held
    }

    /// An item leaves its place, whatever it waited for.
    pub(super) fn waits_no_more(&mut self, index: u32, item: &HeldItem) {
        self.dependencies.forget(&item.missing, index);
    }

    pub(super) fn withheld_overdue(&mut self, item: HeldItem) {
        self.stats.withheld_overdue += 1;
        let (id, missing) = (item.message.id(), item.missing);
        if missing.is_empty() {
            // It named nothing, so nobody withheld anything: the application only did not judge again in time.
            self.outputs.push_back(Output::Event(Event::VerdictOverdue { id }));
            return;
        }
        let Some(peer) = item.from.filter(|peer| self.peers.contains(*peer)) else { return };
        self.outputs.push_back(Output::Event(Event::DependencyWithheld { peer, id, missing }));
        self.conduct(peer, Conduct::WithheldDependency);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        Config, Received, Verdict,
        engine::tests::{Node, START, config, peer, topic},
    };

    fn id(byte: u8) -> ItemId {
        ItemId::new([byte; 32])
    }

    fn hold(missing: &[ItemId]) -> Verdict {
        Verdict::Hold { missing: missing.to_vec() }
    }

    #[test]
    fn a_held_item_resumes_when_all_came_and_can_be_judged() {
        let mut node = Node::subscribed(&["blocks"], 2);
        let item = node.item("blocks", b"1");
        assert_eq!(node.receive(0, &item, 1), Received::Pending);
        node.outputs();
        assert_eq!(node.engine.report(item.id(), hold(&[id(1), id(2), id(1)]), START), Reported::Held);
        assert_eq!(node.engine.next_timeout(), Some(START.after(Duration::from_secs(60))));
        assert_eq!(node.engine.dependency_arrived(id(1), START), DependencyArrived::NothingResumed);
        assert_eq!(node.outputs(), []);
        let later = START.after(Duration::from_secs(30));
        assert_eq!(node.engine.dependency_arrived(id(2), later), DependencyArrived::Resumed(1));
        let deadline = later.after(Duration::from_secs(10));
        assert_eq!(node.outputs(), [Output::Event(Event::Resumed { id: item.id(), deadline })]);
        assert_eq!(node.engine.report(item.id(), Verdict::Accept, later), Reported::Relayed);
        assert_eq!(node.engine.pending_count(), 0);
    }

    #[test]
    fn an_accepted_item_is_what_another_may_have_waited_for() {
        let mut node = Node::subscribed(&["blocks", "open"], 2);
        let [child, parent] = [("blocks", b"child ".as_slice()), ("open", b"parent")].map(|(t, p)| node.item(t, p));
        assert_eq!(node.receive(0, &child, 1), Received::Pending);
        assert_eq!(node.engine.report(child.id(), hold(&[parent.id()]), START), Reported::Held);
        node.outputs();
        assert_eq!(node.receive(1, &parent, 1), Received::Relayed);
        let resumed = |output: &Output| matches!(output, Output::Event(Event::Resumed { id, .. }) if *id == child.id());
        assert!(node.outputs().iter().any(resumed));
    }

    #[test]
    fn fault_a_withheld_parent_costs_a_bounded_time_and_is_told() {
        let mut node = Node::subscribed(&["blocks"], 2);
        let item = node.item("blocks", b"1");
        assert_eq!(node.receive(0, &item, 1), Received::Pending);
        node.outputs();
        assert_eq!(node.engine.report(item.id(), hold(&[id(1)]), START), Reported::Held);
        let end = START.after(Duration::from_secs(60));
        node.engine.handle_timeout(end);
        assert_eq!(
            node.outputs(),
            [
                Output::Event(Event::DependencyWithheld { peer: peer(0), id: item.id(), missing: vec![id(1)] }),
                Output::Event(Event::Conduct { peer: peer(0), conduct: Conduct::WithheldDependency }),
            ]
        );
        assert_eq!(node.engine.report(item.id(), Verdict::Accept, end), Reported::NotPending);
        assert_eq!(node.engine.dependency_arrived(id(1), end), DependencyArrived::NothingResumed);
        assert_eq!((node.engine.pending_count(), node.engine.pending_bytes()), (0, 0));
    }

    #[test]
    fn fault_nobody_is_blamed_for_a_hold_that_names_nothing() {
        let mut node = Node::subscribed(&["blocks"], 2);
        let item = node.item("blocks", b"1");
        assert_eq!(node.receive(0, &item, 1), Received::Pending);
        node.outputs();
        assert_eq!(node.engine.report(item.id(), hold(&[]), START), Reported::Held);
        node.engine.handle_timeout(START.after(Duration::from_secs(60)));
        assert_eq!(node.outputs(), [Output::Event(Event::VerdictOverdue { id: item.id() })]);
        assert_eq!(node.engine.pending_count(), 0);
    }

    #[test]
    fn fault_a_flood_of_items_with_missing_parents_leaves_room_for_others() {
        let config = Config { pending_items_max: 40, ..config() };
        let mut node = Node::new(config, 4);
        node.engine.subscribe(topic("blocks")).unwrap();
        let mut held = 0;
        for number in 0..1_000_u16 {
            let item = node.item("blocks", &number.to_be_bytes());
            if node.receive(u32::from(number % 2), &item, 1) == Received::Pending {
                let reported = node.engine.report(item.id(), hold(&[id(1)]), START);
                held += usize::from(reported == Reported::Held);
            }
            node.outputs();
        }
        assert_eq!(held, 21);
        let honest = node.item("blocks", b"honest");
        assert_eq!(node.receive(3, &honest, 1), Received::Pending);
        assert_eq!(node.engine.report(honest.id(), Verdict::Accept, START), Reported::Relayed);
    }
}
