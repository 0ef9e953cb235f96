#![deny(clippy::expect_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::{
    fmt,
    hash::{Hash, Hasher},
    str::FromStr,
    sync::Arc,
};

use bruit_core::{NetworkId, PeerId, Timestamp};
use bruit_wire::pb;
use bytes::{BufMut, Bytes, BytesMut};
use libp2p_identity::Keypair;

use crate::{Topic, TopicError};

mod control;
mod hop;
mod signature;

pub use control::{Announced, Announcement, ControlMessage};
pub use hop::{Hop, HopKind, RootTag, ShortId};
pub use signature::{SignError, Signature};

/// Bodies up to this size are copied out of the buffer they came in, so that holding one holds no more than itself.
const COPY_BYTES_MAX: usize = 4_096;
/// A body is also copied when its frame has more bytes besides it: id, round, kind, root and keys take at most 61.
const FRAME_BESIDES_MAX: usize = 64;
/// What a signature adds to that.
const SIGNATURE_FIELD_BYTES: usize = 66;

/// The domain of item ids; see [`Sealer`].
const ID_DOMAIN: &str = "bruit item v1";

/// The name of an item: the hash of its network and its body.
///
/// # Security
/// In maps it is hashed, with the map's key, by its first 16 bytes. Whoever wants two ids to share them needs 2^64 attempts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ItemId([u8; 32]);

/// A text that is no item id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an item id has 64 hexadecimal digits")]
pub struct ItemIdError;

/// What is published: never changed on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// What it is about.
    pub topic: Topic,
    /// Who wrote it, as the publisher claims.
    pub author: Option<PeerId>,
    /// Makes equal payloads different items.
    pub nonce: u64,
    /// After this moment nobody relays it. The wire keeps whole milliseconds.
    pub expires_at: Timestamp,
    /// The application's bytes.
    pub payload: Bytes,
}

/// One copy of an item, decoded and with its id checked. Cheap to clone: all copies share the item, and those of one hop what
/// they say about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemMessage(Arc<OnHop>);

/// What the copies of one hop share.
#[derive(Debug, PartialEq, Eq)]
struct OnHop {
    hop: Hop,
    content: Arc<Content>,
}

/// What all copies share.
#[derive(Debug, PartialEq, Eq)]
struct Content {
    id: ItemId,
    item: Item,
    body: Bytes,
    signature: Option<Signature>,
}

/// An item frame, parsed but not checked: its id is a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemFrame {
    /// The id that the sender claims.
    pub id: ItemId,
    /// What the sender claims about the hop.
    pub hop: Hop,
    body: Bytes,
    signature: Option<Signature>,
}

/// What can be seen of a copy before its body is hashed. All of it is the sender's claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glance {
    /// What it is about.
    pub topic: Topic,
    /// The application's bytes.
    pub payload: Bytes,
}

/// A frame of the lane `items`: a copy, or ids announced, or both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemsFrame {
    /// The copy.
    pub item: Option<ItemFrame>,
    /// The ids.
    pub announcement: Option<Announcement>,
}

/// The present moment on the engine's clock and on the machine's wall clock: what the wire's times are converted with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The `now` of the engine.
    pub now: Timestamp,
    /// The wall clock at the same time.
    pub wall: Timestamp,
}

/// A frame that is no message of this protocol.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MalformedError {
    /// It does not decode.
    #[error(transparent)]
    Decode(#[from] bruit_wire::DecodeError),
    /// A topic's name is too short or too long.
    #[error(transparent)]
    Topic(#[from] TopicError),
    /// An id has not 32 bytes.
    #[error("an item id has 32 bytes, not {0}")]
    IdLength(usize),
    /// A signature has not 64 bytes.
    #[error("a signature has 64 bytes")]
    Signature,
    /// The author is no peer id.
    #[error("the author is no peer id")]
    Author,
    /// A list's length fits neither its elements nor the list beside it.
    #[error("a list of ids, rounds, roots or neighbours has a length that does not fit")]
    ListLength,
}

/// An item frame that cannot be trusted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The id is not the body's.
    #[error("the id does not match the body")]
    Mismatch,
    /// The body is no item.
    #[error(transparent)]
    Malformed(#[from] MalformedError),
}

/// Turns items into bytes and bytes into items, and computes their ids.
///
/// The id of an item is BLAKE3 (plain mode, 32 bytes of output) of these bytes, one after the other:
///
/// | bytes | what |
/// |---|---|
/// | 1 | 13, the length of the domain |
/// | 13 | the domain, `bruit item v1` in ASCII |
/// | 1 | the length of the network id |
/// | 1 to 32 | the network id in ASCII |
/// | the rest | the body: the encoded `Item` |
///
/// # Security
/// An id binds a body to one network, so an item of one network is never taken for one of another. The body is relayed byte
/// for byte; different encodings of equal fields are different items.
#[derive(Clone, Debug)]
pub struct Sealer {
    prefix: blake3::Hasher,
}

impl ItemId {
    /// Makes an id of its bytes.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl Hash for ItemId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(self.0.first_chunk::<16>().unwrap_or(&[0; 16]));
    }
}

impl fmt::Display for ItemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for ItemId {
    type Err = ItemIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        let mut bytes = [0; 32];
        if pairs.len() != bytes.len() || !rest.is_empty() {
            return Err(ItemIdError);
        }
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            let digit = |digit: &u8| char::from(*digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            let (Some(high), Some(low)) = (digit(high), digit(low)) else { return Err(ItemIdError) };
            *byte = high << 4 | low;
        }
        Ok(Self(bytes))
    }
}

impl fmt::Debug for ItemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ItemId(")?;
        self.0.iter().take(4).try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str("..)")
    }
}

impl ItemMessage {
    fn new(hop: Hop, content: Arc<Content>) -> Self {
        Self(Arc::new(OnHop { hop, content }))
    }

    /// The id.
    pub fn id(&self) -> ItemId {
        self.0.content.id
    }

    /// Which hop this copy is on: 1 in the copy that the origin sends.
    pub fn round(&self) -> u32 {
        self.0.hop.round
    }

    /// What this copy says about the hop it is on.
    pub fn hop(&self) -> &Hop {
        &self.0.hop
    }

    /// The item.
    pub fn item(&self) -> &Item {
        &self.0.content.item
    }

    /// How many bytes the encoded item has.
    pub fn body_len(&self) -> usize {
        self.0.content.body.len()
    }

    /// The encoded item, as it came.
    pub fn body(&self) -> &Bytes {
        &self.0.content.body
    }

    /// A copy on another round, pushed, on no tree.
    #[must_use]
    pub fn at_round(&self, round: u32) -> Self {
        self.on(Hop::on_round(round))
    }

    /// A copy on another hop.
    #[must_use]
    pub fn on(&self, hop: Hop) -> Self {
        Self::new(hop, Arc::clone(&self.0.content))
    }

    /// The copy with its author's signature.
    pub fn signed_by(&self, key: &Keypair) -> Result<Self, SignError> {
        if self.item().author != Some(key.public().to_peer_id()) {
            return Err(SignError::Author);
        }
        let signature = Signature::of(&self.id(), key)?;
        Ok(self.with_signature(Some(signature)))
    }

    /// The copy without a signature.
    #[must_use]
    pub fn unsigned(&self) -> Self {
        if self.0.content.signature.is_some() { self.with_signature(None) } else { self.clone() }
    }

    pub(crate) fn with_signature(&self, signature: Option<Signature>) -> Self {
        let Content { id, item, body, .. } = &*self.0.content;
        let content = Content { id: *id, item: item.clone(), body: body.clone(), signature };
        Self::new(self.0.hop.clone(), Arc::new(content))
    }

    /// The author's signature, unchecked.
    pub fn signature(&self) -> Option<&Signature> {
        self.0.content.signature.as_ref()
    }

    /// Whether there is a signature, and the author that the item names made it. Costs one check of a signature.
    pub fn is_signed(&self) -> bool {
        let Content { id, item, signature, .. } = &*self.0.content;
        signature.as_ref().zip(item.author.as_ref()).is_some_and(|(signature, author)| signature.holds(id, author))
    }

    /// How many bytes the frame has, its length prefix included.
    pub fn encoded_len(&self) -> usize {
        self.head().len().saturating_add(self.body().len())
    }

    /// The frame but for the body, which follows it: length prefix, id, hop, and the body's key and length.
    pub fn head(&self) -> Bytes {
        let fields = bruit_wire::encode(&pb::ItemFrame {
            id: Bytes::copy_from_slice(self.0.content.id.as_bytes()),
            round: self.0.hop.round,
            kind: pb::HopKind::from(self.0.hop.kind).into(),
            root: self.0.hop.root.map_or(0, RootTag::number),
            cover: self.0.hop.cover.clone(),
            announce: None,
            signature: self.signature().map_or(Bytes::new(), |it| Bytes::copy_from_slice(it.as_bytes())),
            body: Bytes::new(),
        });
        let mut body_key = BytesMut::with_capacity(8);
        if !self.body().is_empty() {
            body_key.put_u8(15 << 3 | 2);
            put_varint(self.body().len(), &mut body_key);
        }
        let fields_len = fields.len().saturating_add(body_key.len());
        let mut head = BytesMut::with_capacity(fields_len.saturating_add(8));
        put_varint(fields_len.saturating_add(self.body().len()), &mut head);
        head.put(fields);
        head.put(body_key);
        head.freeze()
    }
}

fn put_varint(value: usize, buffer: &mut BytesMut) {
    let mut rest = value;
    while rest >= 0x80 {
        buffer.put_u8((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    buffer.put_u8(rest as u8);
}

impl ItemsFrame {
    /// Parses a frame of the lane `items`, without looking into its body.
    ///
    /// # Security
    /// Fields that this version does not know are skipped, and not kept with the body.
    pub fn decode(frame: Bytes) -> Result<Self, MalformedError> {
        let frame_len = frame.len();
        let pb::ItemFrame { id, round, kind, root, cover, announce, signature, mut body } = bruit_wire::decode(frame)?;
        let announcement = announce.as_ref().map(Announcement::of_wire).transpose()?;
        if id.is_empty() && announcement.is_some() {
            return Ok(Self { item: None, announcement });
        }
        let signature = match signature.is_empty() {
            true => None,
            false => Some(Signature::new(&signature).ok_or(MalformedError::Signature)?),
        };
        let besides_max = FRAME_BESIDES_MAX.saturating_add(signature.as_ref().map_or(0, |_| SIGNATURE_FIELD_BYTES));
        if frame_len.saturating_sub(body.len()) > besides_max {
            body = Bytes::copy_from_slice(&body);
        }
        let id = <[u8; 32]>::try_from(&id[..]).map_err(|_| MalformedError::IdLength(id.len()))?;
        let cover = if cover.is_empty() { Bytes::new() } else { Bytes::copy_from_slice(&cover) };
        let hop = Hop::of_wire(round, kind, root, cover);
        Ok(Self { item: Some(ItemFrame { id: ItemId(id), hop, body, signature }), announcement })
    }
}

impl ItemFrame {
    /// How many bytes the encoded item has.
    pub fn body_len(&self) -> usize {
        self.body.len()
    }

    /// Looks into the body without hashing or copying it.
    pub fn glance(&self) -> Result<Glance, MalformedError> {
        let pb::Item { topic, payload, .. } = bruit_wire::decode(self.body.clone())?;
        Ok(Glance { topic: Topic::new(&topic)?, payload })
    }
}

impl Moment {
    fn on_wall_clock(self, moment: Timestamp) -> Timestamp {
        if self.wall >= self.now {
            moment.after(self.wall.since(self.now))
        } else {
            moment.before(self.now.since(self.wall))
        }
    }

    fn on_engine_clock(self, wall: Timestamp) -> Timestamp {
        Self { now: self.wall, wall: self.now }.on_wall_clock(wall)
    }
}

impl Sealer {
    /// Makes the sealer of a network.
    pub fn new(network: &NetworkId) -> Self {
        let mut prefix = blake3::Hasher::new();
        for part in [ID_DOMAIN, network.as_str()] {
            prefix.update(&[u8::try_from(part.len()).unwrap_or(u8::MAX)]);
            prefix.update(part.as_bytes());
        }
        Self { prefix }
    }

    /// The id of a body.
    pub fn id_of(&self, body: &[u8]) -> ItemId {
        ItemId(*self.prefix.clone().update(body).finalize().as_bytes())
    }

    /// Encodes an item and computes its id: the copy that its publisher sends, on round 1.
    pub fn seal(&self, item: Item, moment: Moment) -> ItemMessage {
        let body = bruit_wire::encode(&pb::Item {
            topic: item.topic.as_str().into(),
            author: item.author.map(|author| author.to_bytes().into()).unwrap_or_default(),
            nonce: item.nonce,
            expires_at_ms: moment.on_wall_clock(item.expires_at).as_micros() / 1_000,
            payload: item.payload.clone(),
        });
        let content = Content { id: self.id_of(&body), item, body, signature: None };
        ItemMessage::new(Hop::on_round(1), Arc::new(content))
    }

    /// Checks the id against the body, then decodes the body.
    ///
    /// # Security
    /// Hashing is what an unknown id costs: ask the engine first whether the id is known.
    pub fn open(&self, frame: ItemFrame, moment: Moment) -> Result<ItemMessage, OpenError> {
        let ItemFrame { id, hop, mut body, signature } = frame;
        if self.id_of(&body) != id {
            return Err(OpenError::Mismatch);
        }
        if body.len() <= COPY_BYTES_MAX {
            body = Bytes::copy_from_slice(&body);
        }
        let item = decode_item(body.clone(), moment)?;
        Ok(ItemMessage::new(hop, Arc::new(Content { id, item, body, signature })))
    }
}

fn decode_item(body: Bytes, moment: Moment) -> Result<Item, MalformedError> {
    let pb::Item { topic, author, nonce, expires_at_ms, payload } =
        bruit_wire::decode(body).map_err(MalformedError::Decode)?;
    let author = match author.is_empty() {
        true => None,
        false => Some(PeerId::from_bytes(&author).map_err(|_| MalformedError::Author)?),
    };
    let expires_at = moment.on_engine_clock(Timestamp::from_micros(expires_at_ms.saturating_mul(1_000)));
    Ok(Item { topic: Topic::new(&topic)?, author, nonce, expires_at, payload })
}

#[cfg(test)]
mod tests;
