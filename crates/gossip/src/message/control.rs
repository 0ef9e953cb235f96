use bruit_wire::{limits, pb};
use bytes::Bytes;

use super::{ItemId, MalformedError, RootTag, ShortId};
use crate::Topic;

/// What peers tell each other beside items: a frame of the lane `control`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ControlMessage {
    /// Topics that the sender wants from now on.
    pub subscribe: Vec<Topic>,
    /// Topics that the sender wants no longer.
    pub unsubscribe: Vec<Topic>,
    /// Ids that the sender wants; at most 256.
    pub want: Vec<ItemId>,
    /// Ids that the receiver announced and the sender has already; at most 256.
    pub have: Vec<ItemId>,
    /// Trees on which the receiver is now the sender's parent; at most 256.
    pub adopt: Vec<RootTag>,
    /// Trees on which the receiver is the sender's parent no longer; at most 256.
    pub drop: Vec<RootTag>,
    /// The sender's neighbours; replaces what it said before. At most 4,096.
    pub neighbours: Option<Vec<ShortId>>,
    /// Topics whose items the receiver is asked to announce to the sender, from now on.
    pub choose: Vec<Topic>,
    /// Topics whose items it is asked to announce no longer.
    pub unchoose: Vec<Topic>,
    /// Topics of which the receiver is asked to announce, once, what it has.
    pub pull: Vec<Topic>,
}

/// Ids of one topic that the sender announces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// The topic, as the sender claims.
    pub topic: Topic,
    /// The items; at most 256.
    pub items: Vec<Announced>,
    /// The sender does not have the bodies yet: it will answer when it has.
    pub is_ahead: bool,
}

/// One announced id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announced {
    /// The id.
    pub id: ItemId,
    /// On which round a pushed copy from the sender would be, from 1 to 255.
    pub round: u32,
    /// The root of its tree.
    pub root: Option<RootTag>,
}

impl ControlMessage {
    /// Decodes a frame of the lane `control`.
    pub fn decode(frame: Bytes) -> Result<Self, MalformedError> {
        let message: pb::GossipControl = bruit_wire::decode(frame)?;
        let topics = |names: Vec<String>| names.iter().map(|name| Topic::new(name)).collect::<Result<Vec<_>, _>>();
        Ok(Self {
            subscribe: topics(message.subscribe)?,
            unsubscribe: topics(message.unsubscribe)?,
            want: split_ids(&message.want)?,
            have: split_ids(&message.have)?,
            adopt: split_roots(&message.adopt)?.into_iter().flatten().collect(),
            drop: split_roots(&message.drop)?.into_iter().flatten().collect(),
            neighbours: match message.neighbours {
                Some(list) if list.len() % limits::SHORT_ID_BYTES != 0 => return Err(MalformedError::ListLength),
                Some(list) => Some(ShortId::list(&list).collect()),
                None => None,
            },
            choose: topics(message.choose)?,
            unchoose: topics(message.unchoose)?,
            pull: topics(message.pull)?,
        })
    }

    /// The frame with its length prefix.
    pub fn frame(&self) -> Bytes {
        let names = |topics: &[Topic]| topics.iter().map(|topic| topic.as_str().to_owned()).collect();
        bruit_wire::frame(&pb::GossipControl {
            subscribe: names(&self.subscribe),
            unsubscribe: names(&self.unsubscribe),
            want: join_ids(self.want.iter().copied()),
            have: join_ids(self.have.iter().copied()),
            adopt: join_roots(self.adopt.iter().copied().map(Some)),
            drop: join_roots(self.drop.iter().copied().map(Some)),
            neighbours: self.neighbours.as_ref().map(|list| ShortId::join(list.iter().copied())),
            choose: names(&self.choose),
            unchoose: names(&self.unchoose),
            pull: names(&self.pull),
        })
    }
}

impl Announcement {
    pub(super) fn of_wire(message: &pb::Announce) -> Result<Self, MalformedError> {
        let ids = split_ids(&message.ids)?;
        let roots = split_roots(&message.roots)?;
        let fits = |len: usize| len == 0 || len == ids.len();
        if !fits(message.rounds.len()) || !fits(roots.len()) {
            return Err(MalformedError::ListLength);
        }
        let rounds = message.rounds.iter().copied().chain(std::iter::repeat(1));
        let roots = roots.into_iter().chain(std::iter::repeat(None));
        let items = ids.into_iter().zip(rounds).zip(roots);
        let items = items.map(|((id, round), root)| Announced { id, round: u32::from(round), root }).collect();
        Ok(Self { topic: Topic::new(&message.topic)?, items, is_ahead: message.is_ahead })
    }

    fn to_wire(&self) -> pb::Announce {
        let has_rounds = self.items.iter().any(|item| item.round != 1);
        let has_roots = self.items.iter().any(|item| item.root.is_some());
        let rounds = || self.items.iter().map(|item| u8::try_from(item.round).unwrap_or(u8::MAX)).collect();
        pb::Announce {
            topic: self.topic.as_str().to_owned(),
            ids: join_ids(self.items.iter().map(|item| item.id)),
            rounds: if has_rounds { rounds() } else { Bytes::new() },
            roots: if has_roots { join_roots(self.items.iter().map(|item| item.root)) } else { Bytes::new() },
            is_ahead: self.is_ahead,
        }
    }

    /// The frame of the lane `items` with its length prefix: an `ItemFrame` without a copy.
    pub fn frame(&self) -> Bytes {
        bruit_wire::frame(&pb::ItemFrame { announce: Some(self.to_wire()), ..pb::ItemFrame::default() })
    }

    /// How many bytes the frame has, its length prefix included.
    pub fn encoded_len(&self) -> usize {
        self.frame().len()
    }
}

fn split_ids(bytes: &[u8]) -> Result<Vec<ItemId>, MalformedError> {
    let (ids, rest) = bytes.as_chunks();
    if !rest.is_empty() {
        return Err(MalformedError::IdLength(rest.len()));
    }
    Ok(ids.iter().copied().map(ItemId::new).collect())
}

fn join_ids(ids: impl Iterator<Item = ItemId>) -> Bytes {
    ids.flat_map(|id| *id.as_bytes()).collect()
}

fn split_roots(bytes: &[u8]) -> Result<Vec<Option<RootTag>>, MalformedError> {
    let (roots, rest) = bytes.as_chunks();
    if !rest.is_empty() {
        return Err(MalformedError::ListLength);
    }
    Ok(roots.iter().map(|root| RootTag::new(u64::from_be_bytes(*root))).collect())
}

fn join_roots(roots: impl Iterator<Item = Option<RootTag>>) -> Bytes {
    roots.flat_map(|root| root.map_or(0, RootTag::number).to_be_bytes()).collect()
}
