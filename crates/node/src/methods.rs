//! The methods that every node serves.

use bruit_core::Clock;
use bruit_stack::{
    gossip::ItemId,
    rpc::{Method, MethodName, Refusal, RefusalKind},
};
use bruit_wire::{decode, encode, pb};
use bytes::Bytes;
use tokio::sync::mpsc;

use crate::{
    files::{ManifestId, encode_chunk},
    handle::{Handle, Request, Requests, ServeError, register},
    runtime::Runtime,
};

/// A few bytes that come back: whether the peer is there.
pub const PING: &str = "ping";
/// Gives the arguments back.
pub const ECHO: &str = "echo";
/// A manifest or a chunk of a file.
pub const OBJECT: &str = "object";
/// Which files of a topic came lately.
pub const RECENT: &str = "recent";
/// How many peers the node has, by kind.
pub const PEERS: &str = "peers";

/// All of them.
pub const BUILTIN_METHODS: [&str; 5] = [PING, ECHO, OBJECT, RECENT, PEERS];

const PING_BYTES_MAX: usize = 64;

#[derive(Clone, Copy, Debug)]
pub(crate) enum Builtin {
    Ping,
    Echo,
    Object,
    Recent,
    Peers,
}

/// The arguments of [`OBJECT`]: a manifest, or one of its chunks.
pub fn object_arguments(manifest: ManifestId, index: Option<u32>) -> Bytes {
    encode(&pb::ObjectRequest { manifest_id: Bytes::copy_from_slice(manifest.as_bytes()), index })
}

/// Reads the arguments of [`OBJECT`], for an application that serves it in the node's place.
pub fn read_object_arguments(arguments: &[u8]) -> Option<(ManifestId, Option<u32>)> {
    let wanted: pb::ObjectRequest = decode(Bytes::copy_from_slice(arguments)).ok()?;
    Some((ManifestId::new(&wanted.manifest_id)?, wanted.index))
}

/// The answer of [`OBJECT`] that carries a chunk: which of how many it is, and its bytes.
pub fn chunk_answer(manifest: ManifestId, (index, count): (u32, u32), data: Bytes) -> Bytes {
    encode_chunk(manifest, index, count, data)
}

/// The arguments of [`RECENT`]: files of a topic that came after a moment, in seconds since 1970.
pub fn recent_arguments(topic: &str, since_seconds: u64) -> Bytes {
    encode(&pb::RecentRequest { topic: topic.to_owned(), since_seconds })
}

/// The built-in methods, registered but not served yet.
pub(crate) struct Builtins(Vec<(Builtin, MethodName, mpsc::Receiver<Request>)>);

impl Builtins {
    /// Registers those that the settings name: before the first peer is there, or it would learn of them one by one.
    pub(crate) fn register(runtime: &mut Runtime) -> Result<Self, ServeError> {
        let wanted = runtime.config.builtin_methods.clone();
        let builtins = [
            (PING, Builtin::Ping),
            (ECHO, Builtin::Echo),
            (OBJECT, Builtin::Object),
            (RECENT, Builtin::Recent),
            (PEERS, Builtin::Peers),
        ];
        let mut registered = Vec::new();
        for (name, builtin) in builtins.into_iter().filter(|(name, _)| wanted.iter().any(|wanted| wanted == name)) {
            let method = Method::idempotent(name).expect("the names of built-in methods are valid");
            let name = method.name.clone();
            registered.push((builtin, name, register(runtime, method)?));
        }
        Ok(Self(registered))
    }

    /// Serves them until the node stops.
    pub(crate) fn serve(self, handle: &Handle) {
        for (builtin, name, waiting) in self.0 {
            tokio::spawn(serve(handle.clone(), builtin, Requests::new(handle, name, waiting)));
        }
    }
}

async fn serve(handle: Handle, builtin: Builtin, mut requests: Requests) {
    let clock = Clock::start();
    while let Some(request) = requests.next().await {
        let result = match builtin {
            Builtin::Ping if request.payload.len() > PING_BYTES_MAX => Err(bad_request("at most 64 bytes")),
            Builtin::Ping | Builtin::Echo => Ok(request.payload.clone()),
            Builtin::Object => object(&handle, &request, &clock),
            Builtin::Recent => recent(&handle, &request).await,
            Builtin::Peers => peers(&handle).await,
        };
        requests.answer(request, result).await;
    }
}

fn object(handle: &Handle, request: &Request, clock: &Clock) -> Result<Bytes, Refusal> {
    let wanted: pb::ObjectRequest = decode(request.payload.clone()).map_err(|_| bad_request("no object request"))?;
    let manifest = ManifestId::new(&wanted.manifest_id).ok_or_else(|| bad_request("an id has 32 bytes"))?;
    let found = handle.files().lock().object(manifest, wanted.index, clock.now());
    let object = || handle.holding().lock().objects.get(&ItemId::new(*manifest.as_bytes()));
    let object = found.or_else(|| if wanted.index.is_none() { object() } else { None });
    object.ok_or_else(|| Refusal::cannot_satisfy("not held here"))
}

async fn recent(handle: &Handle, request: &Request) -> Result<Bytes, Refusal> {
    let wanted: pb::RecentRequest = decode(request.payload.clone()).map_err(|_| bad_request("no recent request"))?;
    let manifests = handle.files().lock().recent(&wanted.topic, wanted.since_seconds);
    let topics = handle.subscriptions().await.unwrap_or_default();
    if manifests.is_empty() && !topics.iter().any(|topic| topic.as_str() == wanted.topic) {
        return Err(Refusal::cannot_satisfy("this topic is not kept here"));
    }
    let manifest_ids: Vec<u8> = manifests.iter().flat_map(|id| *id.as_bytes()).collect();
    Ok(encode(&pb::RecentResponse { manifest_ids: manifest_ids.into() }))
}

/// Numbers only: who the peers are is told by address exchange, under its rules.
async fn peers(handle: &Handle) -> Result<Bytes, Refusal> {
    let failed = |_| Refusal::new(RefusalKind::Failed, "the node stops");
    let counts = handle.status().await.map_err(failed)?.peers;
    let text = serde_json::json!({ "outbound": counts.outbound, "inbound": counts.inbound });
    Ok(text.to_string().into())
}

fn bad_request(reason: &str) -> Refusal {
    Refusal::new(RefusalKind::BadRequest, reason)
}
