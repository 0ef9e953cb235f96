//! What goes over the API and comes out of `--json`: one set of types for both ends.

use bruit_core::PeerId;
use serde::{Deserialize, Serialize};

use crate::{
    files::{FetchReport, FetchWish, FileView, ManifestId},
    handle::WaitFor,
    limits,
    status::{BanInfo, BookEntry, BookShape, GoodbyeInfo, PeerInfo},
};

mod calls;

pub use crate::files::{hex, unhex};

pub use calls::{
    AnswerRequest, Asked, CallOutcome, CallRequest, Declined, ExplainRequest, PartLine, Plan, PlanEntry, SendRequest,
    Sent, ServeLine, ServeRequest, Why,
};

/// All connected peers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Peers {
    /// The peers.
    pub peers: Vec<PeerInfo>,
}

/// A part of the address book.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Book {
    /// Endpoints heard of.
    pub new: usize,
    /// Endpoints reached.
    pub tried: usize,
    /// The book as a whole.
    #[serde(default)]
    pub shape: BookShape,
    /// The first entries.
    pub entries: Vec<BookEntry>,
}

/// What bounds the node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Every cap, interval and quota that is listed.
    pub limits: Vec<limits::Limit>,
}

/// Who left and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Goodbyes {
    /// Newest first.
    pub goodbyes: Vec<GoodbyeInfo>,
}

/// All bans that hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bans {
    /// The bans.
    pub bans: Vec<BanInfo>,
}

/// All files held.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Files {
    /// The files.
    pub files: Vec<FileView>,
}

/// Where something is to be published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishTo {
    /// The topic.
    pub topic: String,
    /// The name of the file, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// An item that was published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedItem {
    /// Its id.
    pub item: String,
    /// Its topic.
    pub topic: String,
    /// How large it is.
    pub bytes: u64,
}

/// A topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfTopic {
    /// Its name.
    pub topic: String,
}

/// How many entries are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// At most so many.
    #[serde(default = "Limit::default_limit")]
    pub limit: usize,
}

impl Limit {
    const fn default_limit() -> usize {
        200
    }
}

/// One line of a subscription.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Line {
    /// The node wants the topic; what comes from now on follows.
    Subscribed {
        /// The topic.
        topic: String,
    },
    /// An item came.
    Item {
        /// The topic.
        topic: String,
        /// Its id.
        item: String,
        /// Who brought it.
        from: PeerId,
        /// Its payload, if it is text.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        text: Option<String>,
        /// Its payload in hexadecimal digits, if it is not.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hex: Option<String>,
    },
    /// A file is whole.
    File {
        /// The topic.
        topic: String,
        /// Its id.
        manifest: ManifestId,
        /// Its name.
        name: String,
        /// Its size.
        size: u64,
        /// Its SHA-256.
        sha256: String,
        /// Where it was written.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        path: Option<String>,
    },
    /// The subscriber was too slow.
    Lagged {
        /// How many deliveries it lost.
        missed: u64,
    },
}

/// What is to be fetched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchRequest {
    /// Which file and how.
    #[serde(flatten)]
    pub wish: FetchWish,
    /// Whether the file itself is to follow the report, if it is whole.
    #[serde(default)]
    pub with_content: bool,
}

/// Which recent files are asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecentWish {
    /// The topic.
    pub topic: String,
    /// Only those that came after this, in seconds since 1970.
    #[serde(default)]
    pub since_seconds: u64,
}

/// Files that a peer holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recent {
    /// Their ids, newest first.
    pub manifests: Vec<ManifestId>,
    /// Who says so.
    pub by: PeerId,
    /// How many peers were asked.
    pub tries: u32,
}

/// What is waited for, and how long.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WaitRequest {
    /// What.
    #[serde(flatten)]
    pub wanted: WaitFor,
    /// How many seconds at most.
    pub limit_seconds: f64,
}

/// A peer to be connected to, or no longer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddNode {
    /// Its address.
    pub addr: multiaddr::Multiaddr,
    /// Whether it is to be taken off the list.
    #[serde(default)]
    pub remove: bool,
}

/// A peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfPeer {
    /// Who.
    pub peer: PeerId,
}

/// A ban to be made or lifted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BanRequest {
    /// A peer id, an IP address or a net.
    pub subject: String,
    /// For how many seconds; a day by default.
    #[serde(default)]
    pub seconds: Option<u64>,
    /// Whether it may connect while there is room.
    #[serde(default)]
    pub discourage: bool,
}

/// A wish that was carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// Whether there was something to do; true where nothing else is said.
    pub done: bool,
}

/// Why a request was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// For a person.
    pub error: String,
}

/// The report of a fetch, and the file's bytes if they were wanted and it is whole.
pub type FetchResult = (FetchReport, bytes::Bytes);

/// Payloads are shown as text where they are text, else in hexadecimal digits.
pub(crate) fn shown(payload: &[u8]) -> (Option<String>, Option<String>) {
    match std::str::from_utf8(payload) {
        Ok(text) if !text.chars().any(|c| c.is_control() && !c.is_whitespace()) => (Some(text.to_owned()), None),
        Ok(_) | Err(_) => (None, Some(hex(payload))),
    }
}
