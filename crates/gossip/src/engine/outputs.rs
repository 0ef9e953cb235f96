use std::collections::VecDeque;

use bruit_core::Slot;

use super::{Message, Output};
use crate::{Event, Priority};

/// Room for so many outputs is kept while there are none.
const KEPT: usize = 4;

/// What is to be done, in order. Copies are many and small, events few and large, so events wait elsewhere.
#[derive(Debug, Default)]
pub(super) struct Outputs {
    queue: VecDeque<Waiting>,
}

#[derive(Debug)]
enum Waiting {
    Send { to: Slot, message: Message, priority: Priority },
    Pause { to: Slot },
    Resume { to: Slot },
    Event(Box<Event<Slot>>),
}

impl Outputs {
    pub(super) fn push_back(&mut self, output: Output) {
        self.queue.push_back(match output {
            Output::Send { to, message, priority } => Waiting::Send { to, message, priority },
            Output::Pause { to } => Waiting::Pause { to },
            Output::Resume { to } => Waiting::Resume { to },
            Output::Event(event) => Waiting::Event(Box::new(event)),
        });
    }

    pub(super) fn pop_front(&mut self) -> Option<Output> {
        let Some(waiting) = self.queue.pop_front() else {
            if self.queue.capacity() > KEPT {
                self.queue = VecDeque::new();
            }
            return None;
        };
        Some(match waiting {
            Waiting::Send { to, message, priority } => Output::Send { to, message, priority },
            Waiting::Pause { to } => Output::Pause { to },
            Waiting::Resume { to } => Output::Resume { to },
            Waiting::Event(event) => Output::Event(*event),
        })
    }

    /// Makes room for more at once.
    pub(super) fn reserve(&mut self, more: usize) {
        self.queue.reserve(more);
    }
}
