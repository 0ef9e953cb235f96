use std::fmt::{self, Write as _};

use bruit_core::{NetworkId, Timestamp};
use bruit_gossip::{
    Announced, Announcement, ControlMessage, Hop, ItemMessage, ItemsFrame, Message, Moment, RootTag, Sealer, Topic,
};
use bytes::Bytes;

use crate::{Frame, Trace};

/// The network that simulated items belong to.
pub(crate) fn sealer() -> Sealer {
    Sealer::new(&NetworkId::new("sim").unwrap_or_else(|_| unreachable!("the name has 3 letters")))
}

/// The topic of all simulated items.
pub(crate) fn the_topic() -> Topic {
    Topic::new("scenario").unwrap_or_else(|_| unreachable!("the name has 8 bytes"))
}

impl Frame for Message {
    fn encoded_len(&self) -> usize {
        match self {
            Self::Item(item) => item.encoded_len(),
            Self::Announce(announcement) => announcement.encoded_len(),
            Self::Control(control) => control.frame().len(),
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Item(_) => "item",
            Self::Announce(_) => "announce",
            Self::Control(_) => "control",
        }
    }

    fn awaited(&self) {
        std::hint::black_box(if let Self::Item(item) = self { item.round() } else { 0 });
    }

    fn trace(&self, trace: &mut Trace) {
        match self {
            Self::Item(item) => {
                let hop = item.hop();
                trace.note(b'i', &[u64::from(hop.round)]);
                if *hop != Hop::on_round(hop.round) {
                    let root = hop.root.map_or(0, RootTag::number);
                    trace.note(b'k', &[hop.kind as u64, root, hop.cover.len() as u64]);
                    trace.note_bytes(&hop.cover);
                }
                trace.note_bytes(item.id().as_bytes());
            }
            Self::Control(control) => {
                trace.note(b'c', &[control.subscribe.len() as u64, control.unsubscribe.len() as u64]);
                for topic in control.subscribe.iter().chain(&control.unsubscribe) {
                    trace.note(b't', &[topic.as_str().len() as u64]);
                    trace.note_bytes(topic.as_str().as_bytes());
                }
                note_said(trace, control);
            }
            Self::Announce(announcement) => {
                let topic = announcement.topic.as_str();
                trace.note(b's', &[u64::from(announcement.is_ahead), topic.len() as u64]);
                trace.note_bytes(topic.as_bytes());
                for announced in &announcement.items {
                    trace.note(b'#', &[u64::from(announced.round), announced.root.map_or(0, RootTag::number)]);
                    trace.note_bytes(announced.id.as_bytes());
                }
            }
        }
    }

    fn tell(&self, line: &mut String) {
        let told = match self {
            Self::Item(item) => tell_item(line, item),
            Self::Announce(announcement) => tell_ids(line, announcement),
            Self::Control(control) => tell_control(line, control),
        };
        told.unwrap_or_else(|_| unreachable!("a string takes everything"));
    }

    fn through_wire(&self, now: Timestamp) -> Option<Self> {
        match self {
            Self::Item(item) => {
                let frame = [&item.head()[..], &item.body()[..]].concat();
                let frame = ItemsFrame::decode(without_prefix(frame)?).ok()?;
                sealer().open(frame.item?, Moment { now, wall: now }).ok().map(Self::Item)
            }
            Self::Announce(announcement) => {
                let frame = ItemsFrame::decode(without_prefix(announcement.frame())?).ok()?;
                frame.announcement.map(Box::new).map(Self::Announce)
            }
            Self::Control(control) => {
                let control = ControlMessage::decode(without_prefix(control.frame())?).ok()?;
                Some(Self::Control(Box::new(control)))
            }
        }
    }
}

/// Notes what only some policies say; nothing if nothing of it is said.
fn note_said(trace: &mut Trace, control: &ControlMessage) {
    for (kind, ids) in [(b'w', &control.want), (b'h', &control.have)] {
        for id in ids {
            trace.note(kind, &[]);
            trace.note_bytes(id.as_bytes());
        }
    }
    control.adopt.iter().for_each(|root| trace.note(b'a', &[root.number()]));
    control.drop.iter().for_each(|root| trace.note(b'p', &[root.number()]));
    if let Some(list) = &control.neighbours {
        trace.note(b'n', &[list.len() as u64]);
        list.iter().for_each(|short| trace.note_bytes(short.as_bytes()));
    }
    for (kind, topics) in [(b'+', &control.choose), (b'-', &control.unchoose), (b'l', &control.pull)] {
        for topic in topics {
            trace.note(kind, &[topic.as_str().len() as u64]);
            trace.note_bytes(topic.as_str().as_bytes());
        }
    }
}

fn tell_item(line: &mut String, item: &ItemMessage) -> fmt::Result {
    let Hop { round, kind, root, .. } = item.hop();
    write!(line, "{} round {round} {kind:?}", item.id())?;
    root.map_or(Ok(()), |root| write!(line, " root {:016x}", root.number()))
}

fn tell_ids(line: &mut String, announcement: &Announcement) -> fmt::Result {
    line.push_str(if announcement.is_ahead { "ahead" } else { "has" });
    for Announced { id, round, root, .. } in &announcement.items {
        write!(line, " {id} round {round}")?;
        root.map_or(Ok(()), |root| write!(line, " root {:016x}", root.number()))?;
    }
    Ok(())
}

fn tell_control(line: &mut String, control: &ControlMessage) -> fmt::Result {
    for (word, ids) in [("wants", &control.want), ("has", &control.have)] {
        ids.iter().try_for_each(|id| write!(line, "{word} {id} "))?;
    }
    for (word, roots) in [("adopts", &control.adopt), ("drops", &control.drop)] {
        roots.iter().try_for_each(|root| write!(line, "{word} {:016x} ", root.number()))?;
    }
    for (word, topics) in [
        ("subscribes", &control.subscribe),
        ("unsubscribes", &control.unsubscribe),
        ("chooses", &control.choose),
        ("unchooses", &control.unchoose),
        ("pulls", &control.pull),
    ] {
        topics.iter().try_for_each(|topic| write!(line, "{word} {} ", topic.as_str()))?;
    }
    control.neighbours.as_ref().map_or(Ok(()), |list| write!(line, "names {} neighbours", list.len()))
}

/// A frame as link gives it to its owner: without the length that stands before it.
fn without_prefix(frame: impl Into<Bytes>) -> Option<Bytes> {
    let frame = frame.into();
    let prefix = frame.iter().position(|byte| byte & 0x80 == 0)?;
    Some(frame.slice(prefix.checked_add(1)?..))
}
