//! What every message may hold at most: the one table that the scan, the documentation and the tests read.

use crate::{FRAME_MAX, decode::Limited, pb};

/// How many fields a message can have in this table.
pub(crate) const FIELDS_MAX: usize = 12;

/// The longest topic or method name, in bytes.
pub const NAME_BYTES_MAX: usize = 64;
/// The largest payload of an item or a call, in bytes: 192 KiB, so that a frame has room for everything around it.
pub const PAYLOAD_BYTES_MAX: usize = 192 * 1024;
/// The largest encoded [`pb::Item`], in bytes: its payload and 1 KiB for all else.
pub const ITEM_BYTES_MAX: usize = PAYLOAD_BYTES_MAX + 1024;
/// The longest peer id, in bytes.
pub const PEER_ID_BYTES_MAX: usize = 64;
/// The longest binary multiaddr, in bytes.
pub const ADDR_BYTES_MAX: usize = 256;
/// How many peers one `Addr` names: Horizen's figure, the largest of all source systems.
pub const ADDR_PEERS_MAX: u32 = 2_500;
/// How many addresses one `PeerAddr` names.
pub const ADDRS_PER_PEER_MAX: u32 = 8;
/// The longest signed peer record, in bytes.
pub const RECORD_BYTES_MAX: usize = 2 * 1024;
/// How many addresses a signed peer record names.
pub const RECORD_ADDRS_MAX: u32 = 32;
/// How many peers a list of neighbours names.
pub const ADDR_NEIGHBOURS_MAX: u32 = 128;
/// How many peers a goodbye names.
pub const ALTERNATIVES_MAX: u32 = 16;
/// How many topics one control frame names: as many as a peer may subscribe to.
pub const SUBSCRIPTIONS_MAX: u32 = 128;
/// How many ids one announcement names.
pub const ANNOUNCED_MAX: usize = 256;
/// How many ids one control frame wants, or has.
pub const WANTED_MAX: usize = 256;
/// How many trees one control frame adopts, or drops.
pub const ROOTS_MAX: usize = 256;
/// How many neighbours a list of short ids names: as many as a node has slots.
pub const NEIGHBOURS_MAX: usize = 4_096;
/// How many bytes an author's signature has: Ed25519's.
pub const SIGNATURE_BYTES: usize = 64;
/// How many bytes a short id has.
pub const SHORT_ID_BYTES: usize = 3;
/// How many bytes a root has in a list.
pub const ROOT_BYTES: usize = 8;
/// How many methods a peer may serve.
pub const METHODS_MAX: u32 = 128;
/// How many features a hello names.
pub const FEATURES_MAX: u32 = 32;
/// How many chunks a file has at most, so that its manifest fits a payload.
pub const CHUNKS_MAX: usize = 6_000;
/// The largest chunk of a file, in bytes.
pub const CHUNK_BYTES_MAX: usize = 32 * 1024;
/// How many manifests `recent` names at most.
pub const RECENT_MAX: usize = 256;

/// The limits of one kind of message.
#[derive(Debug)]
pub struct Limits {
    /// The message's name in the schema.
    pub name: &'static str,
    /// How many bytes it has at most.
    pub bytes_max: usize,
    /// How much memory it takes once decoded, its strings and lists apart.
    pub decoded_size: usize,
    /// The fields that the schema knows.
    pub fields: &'static [Field],
}

/// The limits of one field.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its number in the schema.
    pub number: u32,
    /// Its name in the schema.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// How often it may stand.
    pub count_max: u32,
}

/// What a field holds.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// A varint.
    Number,
    /// Bytes or a string.
    Bytes {
        /// How many bytes at most.
        max: usize,
    },
    /// Another message.
    Message(&'static Limits),
}

const fn number(number: u32, name: &'static str) -> Field {
    Field { number, name, kind: Kind::Number, count_max: 1 }
}

const fn bytes(number: u32, name: &'static str, max: usize, count_max: u32) -> Field {
    Field { number, name, kind: Kind::Bytes { max }, count_max }
}

const fn message(number: u32, name: &'static str, limits: &'static Limits, count_max: u32) -> Field {
    Field { number, name, kind: Kind::Message(limits), count_max }
}

macro_rules! limits {
    ($($message:ident: $bytes_max:expr, [$($field:expr),* $(,)?];)*) => {
        $(impl Limited for pb::$message {
            const LIMITS: &'static Limits = &Limits {
                name: stringify!($message),
                bytes_max: $bytes_max,
                decoded_size: size_of::<pb::$message>(),
                fields: &[$($field),*],
            };
        })*

        /// The limits of every message in the schemas.
        pub const ALL: &[&Limits] = &[$(<pb::$message as Limited>::LIMITS),*];
    };
}

const fn of<M: Limited>() -> &'static Limits {
    M::LIMITS
}

limits! {
    LaneOpen: 1024, [number(1, "lane")];

    ItemFrame: FRAME_MAX, [
        bytes(1, "id", 32, 1),
        number(2, "round"),
        number(3, "kind"),
        number(4, "root"),
        bytes(5, "cover", NEIGHBOURS_MAX * SHORT_ID_BYTES, 1),
        message(6, "announce", of::<pb::Announce>(), 1),
        bytes(7, "signature", SIGNATURE_BYTES, 1),
        bytes(15, "body", ITEM_BYTES_MAX, 1),
    ];
    Announce: 16 * 1024, [
        bytes(1, "topic", NAME_BYTES_MAX, 1),
        bytes(2, "ids", ANNOUNCED_MAX * 32, 1),
        bytes(3, "rounds", ANNOUNCED_MAX, 1),
        bytes(4, "roots", ANNOUNCED_MAX * ROOT_BYTES, 1),
        number(5, "is_ahead"),
    ];
    Item: ITEM_BYTES_MAX, [
        bytes(1, "topic", NAME_BYTES_MAX, 1),
        bytes(2, "author", PEER_ID_BYTES_MAX, 1),
        number(3, "nonce"),
        number(4, "expires_at_ms"),
        bytes(15, "payload", PAYLOAD_BYTES_MAX, 1),
    ];
    GossipControl: 96 * 1024, [
        bytes(1, "subscribe", NAME_BYTES_MAX, SUBSCRIPTIONS_MAX),
        bytes(2, "unsubscribe", NAME_BYTES_MAX, SUBSCRIPTIONS_MAX),
        bytes(3, "want", WANTED_MAX * 32, 1),
        bytes(4, "have", WANTED_MAX * 32, 1),
        bytes(5, "adopt", ROOTS_MAX * ROOT_BYTES, 1),
        bytes(6, "drop", ROOTS_MAX * ROOT_BYTES, 1),
        bytes(7, "neighbours", NEIGHBOURS_MAX * SHORT_ID_BYTES, 1),
        bytes(8, "choose", NAME_BYTES_MAX, SUBSCRIPTIONS_MAX),
        bytes(9, "unchoose", NAME_BYTES_MAX, SUBSCRIPTIONS_MAX),
        bytes(10, "pull", NAME_BYTES_MAX, SUBSCRIPTIONS_MAX),
    ];

    RpcFrame: FRAME_MAX, [
        message(1, "request", of::<pb::RpcRequest>(), 1),
        message(2, "response", of::<pb::RpcResponse>(), 1),
        message(3, "cancel", of::<pb::RpcCancel>(), 1),
        message(4, "methods", of::<pb::RpcMethods>(), 1),
        message(5, "chunk", of::<pb::RpcChunk>(), 1),
        message(6, "credit", of::<pb::RpcCredit>(), 1),
    ];
    RpcRequest: ITEM_BYTES_MAX, [
        number(1, "call"),
        bytes(2, "method", NAME_BYTES_MAX, 1),
        number(3, "timeout_ms"),
        number(4, "stream_credit"),
        bytes(15, "payload", PAYLOAD_BYTES_MAX, 1),
    ];
    RpcResponse: ITEM_BYTES_MAX, [
        number(1, "call"),
        number(2, "status"),
        bytes(3, "reason", 256, 1),
        number(4, "chunks"),
        bytes(15, "payload", PAYLOAD_BYTES_MAX, 1),
    ];
    RpcChunk: ITEM_BYTES_MAX, [
        number(1, "call"),
        number(2, "index"),
        bytes(15, "payload", PAYLOAD_BYTES_MAX, 1),
    ];
    RpcCredit: 64, [number(1, "call"), number(2, "bytes")];
    RpcCancel: 64, [number(1, "call")];
    RpcMethods: 10 * 1024, [bytes(1, "names", NAME_BYTES_MAX, METHODS_MAX)];

    PeeringRequest: 64 * 1024, [
        message(1, "hello", of::<pb::Hello>(), 1),
        message(2, "goodbye", of::<pb::Goodbye>(), 1),
        message(3, "ping", of::<pb::Ping>(), 1),
    ];
    Ping: 16, [];
    PeeringResponse: 64 * 1024, [message(1, "hello", of::<pb::Hello>(), 1)];
    Hello: 48 * 1024, [
        bytes(1, "network", 32, 1),
        bytes(2, "agent", 64, 1),
        bytes(3, "listen_addrs", ADDR_BYTES_MAX, ADDRS_PER_PEER_MAX),
        bytes(4, "features", NAME_BYTES_MAX, FEATURES_MAX),
        bytes(5, "observed_addr", ADDR_BYTES_MAX, 1),
        message(6, "refused", of::<pb::Goodbye>(), 1),
        number(7, "intent"),
    ];
    Goodbye: 40 * 1024, [
        number(1, "reason"),
        number(2, "not_before_seconds"),
        message(3, "alternatives", of::<pb::PeerAddr>(), ALTERNATIVES_MAX),
    ];

    ExchangeRequest: 64 * 1024, [
        message(1, "get_addr", of::<pb::GetAddr>(), 1),
        message(2, "addr", of::<pb::Addr>(), 1),
        message(3, "get_neighbours", of::<pb::GetNeighbours>(), 1),
        message(4, "dial_back", of::<pb::DialBack>(), 1),
    ];
    ExchangeResponse: FRAME_MAX, [
        message(1, "addr", of::<pb::Addr>(), 1),
        message(2, "neighbours", of::<pb::Neighbours>(), 1),
    ];
    GetAddr: 16, [number(1, "count_max")];
    Addr: FRAME_MAX, [message(1, "peers", of::<pb::PeerAddr>(), ADDR_PEERS_MAX)];
    PeerAddr: 4 * 1024, [
        bytes(1, "peer_id", PEER_ID_BYTES_MAX, 1),
        bytes(2, "addrs", ADDR_BYTES_MAX, ADDRS_PER_PEER_MAX),
        number(3, "last_seen_seconds"),
        bytes(4, "signed_record", RECORD_BYTES_MAX, 1),
    ];
    GetNeighbours: 16, [];
    Neighbours: 10 * 1024, [bytes(1, "peer_ids", PEER_ID_BYTES_MAX, ADDR_NEIGHBOURS_MAX)];
    DialBack: 1024, [bytes(1, "addr", ADDR_BYTES_MAX, 1)];
    SignedEnvelope: RECORD_BYTES_MAX, [
        bytes(1, "public_key", 1024, 1),
        bytes(2, "payload_type", 64, 1),
        bytes(3, "payload", 1536, 1),
        bytes(5, "signature", 1024, 1),
    ];
    PeerRecord: RECORD_BYTES_MAX, [
        bytes(1, "peer_id", PEER_ID_BYTES_MAX, 1),
        number(2, "seq"),
        message(3, "addresses", of::<pb::PeerRecordAddr>(), RECORD_ADDRS_MAX),
    ];
    PeerRecordAddr: 512, [bytes(1, "multiaddr", ADDR_BYTES_MAX, 1)];

    Manifest: PAYLOAD_BYTES_MAX + 1024, [
        bytes(1, "name", 255, 1),
        number(2, "size"),
        number(3, "chunk_size"),
        bytes(4, "chunk_hashes", CHUNKS_MAX * 32, 1),
        bytes(5, "sha256", 32, 1),
    ];
    ObjectItem: PAYLOAD_BYTES_MAX, [
        message(1, "manifest", of::<pb::Manifest>(), 1),
        message(2, "chunk", of::<pb::Chunk>(), 1),
    ];
    Chunk: CHUNK_BYTES_MAX + 128, [
        bytes(1, "manifest_id", 32, 1),
        number(2, "index"),
        number(3, "count"),
        bytes(15, "data", CHUNK_BYTES_MAX, 1),
    ];
    ObjectRequest: 64, [bytes(1, "manifest_id", 32, 1), number(2, "index")];
    RecentRequest: 128, [bytes(1, "topic", NAME_BYTES_MAX, 1), number(2, "since_seconds")];
    RecentResponse: 10 * 1024, [bytes(1, "manifest_ids", RECENT_MAX * 32, 1)];
}
