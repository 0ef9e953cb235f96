//! What was passed on, so that no address goes round for ever.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use bruit_core::{Endpoint, Timestamp};

#[derive(Clone, Debug, Default)]
pub(super) struct Relayed {
    at: BTreeMap<Endpoint, Timestamp>,
    order: VecDeque<Endpoint>,
}

impl Relayed {
    /// Whether an endpoint may be passed on now; then it counts as passed on.
    pub(super) fn take(&mut self, endpoint: &Endpoint, again: Duration, max: usize, now: Timestamp) -> bool {
        if let Some(at) = self.at.get_mut(endpoint) {
            let is_due = now.since(*at) >= again;
            if is_due {
                *at = now;
            }
            return is_due;
        }
        while self.order.len() >= max.max(1) {
            if let Some(oldest) = self.order.pop_front() {
                self.at.remove(&oldest);
            }
        }
        self.order.push_back(endpoint.clone());
        self.at.insert(endpoint.clone(), now);
        true
    }

    pub(super) fn len(&self) -> usize {
        self.at.len()
    }
}
