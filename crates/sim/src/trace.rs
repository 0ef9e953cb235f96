use bruit_core::Timestamp;
use bruit_gossip::Message;

use crate::measures::TraceHash;

/// Hashes what happens, in order.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    hasher: blake3::Hasher,
}

impl Trace {
    pub(crate) fn delivered(&mut self, from: u32, to: u32, message: &Message, now: Timestamp) {
        self.note(b'd', &[now.as_micros(), u64::from(from), u64::from(to)]);
        match message {
            Message::Item(item) => {
                self.note(b'i', &[u64::from(item.round())]);
                self.hasher.update(item.id().as_bytes());
            }
            Message::Control(control) => {
                self.note(b'c', &[control.subscribe.len() as u64, control.unsubscribe.len() as u64]);
                for topic in control.subscribe.iter().chain(&control.unsubscribe) {
                    self.note(b't', &[topic.as_str().len() as u64]);
                    self.hasher.update(topic.as_str().as_bytes());
                }
            }
        }
    }

    pub(crate) fn timed_out(&mut self, node: u32, now: Timestamp) {
        self.note(b'o', &[now.as_micros(), u64::from(node)]);
    }

    pub(crate) fn hash(&self) -> TraceHash {
        TraceHash(*self.hasher.finalize().as_bytes())
    }

    fn note(&mut self, kind: u8, numbers: &[u64]) {
        self.hasher.update(&[kind]);
        for number in numbers {
            self.hasher.update(&number.to_le_bytes());
        }
    }
}
