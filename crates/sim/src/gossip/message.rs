use bruit_core::{NetworkId, Timestamp};
use bruit_gossip::{ControlMessage, ItemFrame, Message, Moment, Sealer};
use bytes::Bytes;

use crate::{Frame, Trace};

/// The network that simulated items belong to.
pub(crate) fn sealer() -> Sealer {
    Sealer::new(&NetworkId::new("sim").unwrap_or_else(|_| unreachable!("the name has 3 letters")))
}

impl Frame for Message {
    fn encoded_len(&self) -> usize {
        match self {
            Self::Item(item) => item.encoded_len(),
            Self::Control(control) => control.frame().len(),
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Item(_) => "item",
            Self::Control(_) => "control",
        }
    }

    fn trace(&self, trace: &mut Trace) {
        match self {
            Self::Item(item) => {
                trace.note(b'i', &[u64::from(item.round())]);
                trace.note_bytes(item.id().as_bytes());
            }
            Self::Control(control) => {
                trace.note(b'c', &[control.subscribe.len() as u64, control.unsubscribe.len() as u64]);
                for topic in control.subscribe.iter().chain(&control.unsubscribe) {
                    trace.note(b't', &[topic.as_str().len() as u64]);
                    trace.note_bytes(topic.as_str().as_bytes());
                }
            }
        }
    }

    fn through_wire(&self, now: Timestamp) -> Option<Self> {
        match self {
            Self::Item(item) => {
                let frame = [&item.head()[..], &item.body()[..]].concat();
                let frame = ItemFrame::decode(without_prefix(frame)?).ok()?;
                sealer().open(frame, Moment { now, wall: now }).ok().map(Self::Item)
            }
            Self::Control(control) => ControlMessage::decode(without_prefix(control.frame())?).ok().map(Self::Control),
        }
    }
}

/// A frame as link gives it to its owner: without the length that stands before it.
fn without_prefix(frame: impl Into<Bytes>) -> Option<Bytes> {
    let frame = frame.into();
    let prefix = frame.iter().position(|byte| byte & 0x80 == 0)?;
    Some(frame.slice(prefix.checked_add(1)?..))
}
