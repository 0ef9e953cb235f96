use std::collections::VecDeque;

use bruit_core::{Conduct, Slot};

use super::{Message, Output};
use crate::{Event, ItemMessage, Priority};

/// What is to be done, in order. Copies are many and small, events few and large, so events wait elsewhere, but for the one
/// that comes with every item.
#[derive(Debug, Default)]
pub(super) struct Outputs {
    queue: VecDeque<Waiting>,
}

#[derive(Debug)]
enum Waiting {
    Send {
        to: Slot,
        message: Message,
        priority: Priority,
    },
    Pause {
        to: Slot,
    },
    Resume {
        to: Slot,
    },
    /// Copies of one item, to each of these, the last one first. Never to nobody.
    Copies {
        to: Vec<Slot>,
        message: ItemMessage,
        priority: Priority,
    },
    Conduct {
        peer: Slot,
        conduct: Conduct,
    },
    Event(Box<Event<Slot>>),
}

impl Outputs {
    pub(super) fn push_back(&mut self, output: Output) {
        self.queue.push_back(match output {
            Output::Send { to, message, priority } => Waiting::Send { to, message, priority },
            Output::Pause { to } => Waiting::Pause { to },
            Output::Resume { to } => Waiting::Resume { to },
            Output::Event(Event::Conduct { peer, conduct }) => Waiting::Conduct { peer, conduct },
            Output::Event(event) => Waiting::Event(Box::new(event)),
        });
    }

    /// Sends the same copy to each of some peers, in their order.
    pub(super) fn push_copies(&mut self, mut to: Vec<Slot>, message: ItemMessage, priority: Priority) {
        if !to.is_empty() {
            to.reverse();
            self.queue.push_back(Waiting::Copies { to, message, priority });
        }
    }

    // Inlined up to who looks at it, so that a copy is not moved in the room that an event takes.
    #[inline]
    pub(super) fn pop_front(&mut self) -> Option<Output> {
        if self.queue.capacity() == 0 {
            return None;
        }
        if let Some(Waiting::Copies { to, message, priority }) = self.queue.front_mut()
            && to.len() > 1
            && let Some(to) = to.pop()
        {
            return Some(Output::Send { to, message: Message::Item(message.clone()), priority: *priority });
        }
        self.pop_whole()
    }

    fn pop_whole(&mut self) -> Option<Output> {
        let Some(waiting) = self.queue.pop_front() else {
            // Most engines of a simulation have nothing to do most of the time, and need no room then.
            self.queue = VecDeque::new();
            return None;
        };
        Some(match waiting {
            Waiting::Send { to, message, priority } => Output::Send { to, message, priority },
            Waiting::Pause { to } => Output::Pause { to },
            Waiting::Resume { to } => Output::Resume { to },
            Waiting::Copies { to, message, priority } => {
                Output::Send { to: *to.first()?, message: Message::Item(message), priority }
            }
            Waiting::Conduct { peer, conduct } => Output::Event(Event::Conduct { peer, conduct }),
            Waiting::Event(event) => Output::Event(*event),
        })
    }
}
