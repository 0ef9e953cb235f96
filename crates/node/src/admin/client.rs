use std::{
    io,
    marker::PhantomData,
    path::{Path, PathBuf},
    time::Duration,
};

use bruit_core::PeerId;
use bruit_stack::gossip::ItemId;
use bytes::{Buf as _, Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Method, Request, StatusCode,
    body::Incoming,
    client::conn::http1,
    header::{CONTENT_TYPE, HOST},
};
use hyper_util::rt::TokioIo;
use serde::{Serialize, de::DeserializeOwned};
use tokio::net::UnixStream;

use crate::{
    admin::message::{
        AddNode, AnswerRequest, BanRequest, Bans, Book, CallOutcome, CallRequest, Done, ExplainRequest, FetchRequest,
        FetchResult, Files, Goodbyes, Limits, Line, OfPeer, OfTopic, PartLine, Peers, Plan, PublishTo, PublishedItem,
        Recent, RecentWish, Refused, SendRequest, Sent, ServeLine, ServeRequest, WaitRequest,
    },
    files::{FileView, ManifestId},
    handle::Waited,
    item_why::ItemWhy,
    status::{BookWhy, ImportReport, Status},
};

/// Speaks to a node over its API's socket.
#[derive(Clone, Debug)]
pub struct Client {
    path: PathBuf,
}

/// A request to a node that failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody serves the socket.
    #[error("no node answers at {}: {error}", path.display())]
    Unreachable {
        /// The socket.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The connection broke.
    #[error("the connection to the node broke: {0}")]
    Broken(String),
    /// The node refused.
    #[error("{0}")]
    Refused(String),
    /// The answer makes no sense; the node is of another version.
    #[error("the node's answer is not understood: {0}")]
    Answer(#[from] serde_json::Error),
}

impl From<hyper::Error> for ClientError {
    fn from(error: hyper::Error) -> Self {
        Self::Broken(error.to_string())
    }
}

/// Lines as they come: those of a subscription, of a method that is served, or of an answer in parts.
#[derive(Debug)]
pub struct Lines<T = Line> {
    body: Incoming,
    rest: BytesMut,
    of: PhantomData<fn() -> T>,
}

/// How often it is looked whether a node that was asked to stop is gone.
const GONE_INTERVAL: Duration = Duration::from_millis(20);
/// How long a node may take to stop.
const GONE_LIMIT: Duration = Duration::from_secs(10);

impl Client {
    /// Makes a client for a socket; nothing is sent yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The socket.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The node's state in numbers.
    pub async fn status(&self) -> Result<Status, ClientError> {
        self.get("/v1/status").await
    }

    /// All connected peers.
    pub async fn peers(&self) -> Result<Peers, ClientError> {
        self.get("/v1/peers").await
    }

    /// A part of the address book.
    pub async fn book(&self, limit: usize) -> Result<Book, ClientError> {
        self.get(&format!("/v1/book?limit={limit}")).await
    }

    /// Why a peer is treated as it is.
    pub async fn book_why(&self, peer: PeerId) -> Result<BookWhy, ClientError> {
        self.get(&format!("/v1/book/why/{peer}")).await
    }

    /// Who brought an item first, to whom it went and why.
    pub async fn item_why(&self, item: ItemId) -> Result<ItemWhy, ClientError> {
        self.get(&format!("/v1/items/{item}/why")).await
    }

    /// The address book as lines of JSON.
    pub async fn book_export(&self) -> Result<Bytes, ClientError> {
        self.send(Method::GET, "/v1/book/export", Bytes::new()).await
    }

    /// Gives the node what another book exported.
    pub async fn book_import(&self, lines: Bytes) -> Result<ImportReport, ClientError> {
        Ok(serde_json::from_slice(&self.send(Method::POST, "/v1/book/import", lines).await?)?)
    }

    /// Who left and why.
    pub async fn goodbyes(&self) -> Result<Goodbyes, ClientError> {
        self.get("/v1/goodbyes").await
    }

    /// What bounds the node.
    pub async fn limits(&self) -> Result<Limits, ClientError> {
        self.get("/v1/limits").await
    }

    /// All bans that hold.
    pub async fn bans(&self) -> Result<Bans, ClientError> {
        self.get("/v1/bans").await
    }

    /// All files held.
    pub async fn files(&self) -> Result<Files, ClientError> {
        self.get("/v1/files").await
    }

    /// The bytes of a file that is whole.
    pub async fn file(&self, manifest: ManifestId) -> Result<Bytes, ClientError> {
        self.send(Method::GET, &format!("/v1/files/{manifest}"), Bytes::new()).await
    }

    /// Publishes a file under a topic.
    pub async fn publish_file(&self, topic: &str, name: &str, file: Bytes) -> Result<FileView, ClientError> {
        let path = publish_path(&PublishTo { topic: topic.to_owned(), name: Some(name.to_owned()) });
        Ok(serde_json::from_slice(&self.send(Method::POST, &path, file).await?)?)
    }

    /// Publishes a payload under a topic.
    pub async fn publish(&self, topic: &str, payload: Bytes) -> Result<PublishedItem, ClientError> {
        let path = publish_path(&PublishTo { topic: topic.to_owned(), name: None });
        Ok(serde_json::from_slice(&self.send(Method::POST, &path, payload).await?)?)
    }

    /// Makes the node want a topic; gives what comes.
    pub async fn subscribe(&self, topic: &str) -> Result<Lines, ClientError> {
        self.lines("/v1/subscribe", &OfTopic { topic: topic.to_owned() }).await
    }

    /// Makes the node want a topic no longer.
    pub async fn unsubscribe(&self, topic: &str) -> Result<Done, ClientError> {
        self.post("/v1/unsubscribe", &OfTopic { topic: topic.to_owned() }).await
    }

    /// Fetches a file by global calls.
    pub async fn fetch(&self, request: &FetchRequest) -> Result<FetchResult, ClientError> {
        let mut answer = self.send(Method::POST, "/v1/fetch", serde_json::to_vec(request)?.into()).await?;
        let end = answer.iter().position(|byte| *byte == b'\n').unwrap_or(answer.len());
        let report = serde_json::from_slice(&answer.split_to(end))?;
        answer.advance(usize::from(!answer.is_empty()));
        Ok((report, answer))
    }

    /// Asks some peer which files of a topic are recent.
    pub async fn recent(&self, wish: &RecentWish) -> Result<Recent, ClientError> {
        self.post("/v1/recent", wish).await
    }

    /// Makes a call.
    pub async fn call(&self, request: &CallRequest) -> Result<CallOutcome, ClientError> {
        self.post("/v1/call", request).await
    }

    /// Makes a call whose answer comes in parts.
    pub async fn call_stream(&self, request: &CallRequest) -> Result<Lines<PartLine>, ClientError> {
        self.lines("/v1/call-stream", request).await
    }

    /// Says whom a call could ask.
    pub async fn explain(&self, request: &ExplainRequest) -> Result<Plan, ClientError> {
        self.post("/v1/explain", request).await
    }

    /// Sends requests for which no answer is awaited.
    pub async fn send_request(&self, request: &SendRequest) -> Result<Sent, ClientError> {
        self.post("/v1/send", request).await
    }

    /// Serves a method for as long as the lines are kept; each request is answered with [`answer`](Self::answer).
    pub async fn serve(&self, request: &ServeRequest) -> Result<Lines<ServeLine>, ClientError> {
        self.lines("/v1/serve", request).await
    }

    /// Answers a request; `done` is false if nobody waits for it any more.
    pub async fn answer(&self, answer: &AnswerRequest) -> Result<Done, ClientError> {
        self.post("/v1/answer", answer).await
    }

    /// Waits until something is so.
    pub async fn wait(&self, request: &WaitRequest) -> Result<Waited, ClientError> {
        self.post("/v1/wait", request).await
    }

    /// Names a peer to be connected to, or no longer.
    pub async fn addnode(&self, wish: &AddNode) -> Result<Done, ClientError> {
        self.post("/v1/addnode", wish).await
    }

    /// Says goodbye to a peer.
    pub async fn disconnect(&self, of: OfPeer) -> Result<Done, ClientError> {
        self.post("/v1/disconnect", &of).await
    }

    /// Bans a peer or an IP address.
    pub async fn ban(&self, request: &BanRequest) -> Result<Done, ClientError> {
        self.post("/v1/ban", request).await
    }

    /// Lifts a ban.
    pub async fn unban(&self, request: &BanRequest) -> Result<Done, ClientError> {
        self.post("/v1/unban", request).await
    }

    /// Asks the node to stop, and waits until it is gone.
    pub async fn shutdown(&self) -> Result<(), ClientError> {
        let _: Done = self.post("/v1/shutdown", &()).await?;
        let gone = async {
            while UnixStream::connect(&self.path).await.is_ok() {
                tokio::time::sleep(GONE_INTERVAL).await;
            }
        };
        let in_time = tokio::time::timeout(GONE_LIMIT, gone).await;
        in_time.map_err(|_| ClientError::Refused(format!("the node still runs after {} s", GONE_LIMIT.as_secs())))
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        Ok(serde_json::from_slice(&self.send(Method::GET, path, Bytes::new()).await?)?)
    }

    async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, ClientError> {
        Ok(serde_json::from_slice(&self.send(Method::POST, path, serde_json::to_vec(body)?.into()).await?)?)
    }

    async fn lines<T>(&self, path: &str, body: &impl Serialize) -> Result<Lines<T>, ClientError> {
        let body = self.open(Method::POST, path, serde_json::to_vec(body)?.into()).await?;
        Ok(Lines { body, rest: BytesMut::new(), of: PhantomData })
    }

    async fn send(&self, method: Method, path: &str, body: Bytes) -> Result<Bytes, ClientError> {
        Ok(self.open(method, path, body).await?.collect().await?.to_bytes())
    }

    async fn open(&self, method: Method, path: &str, body: Bytes) -> Result<Incoming, ClientError> {
        let stream = UnixStream::connect(&self.path)
            .await
            .map_err(|error| ClientError::Unreachable { path: self.path.clone(), error })?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // It ends with the exchange; a fault of it shows there.
        tokio::spawn(async move { drop(connection.await) });
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, "bruit")
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|error| ClientError::Broken(error.to_string()))?;
        let response = sender.send_request(request).await?;
        let status = response.status();
        if status == StatusCode::OK {
            return Ok(response.into_body());
        }
        let answer = response.into_body().collect().await?.to_bytes();
        let refused = serde_json::from_slice(&answer).map_or_else(
            |_| format!("{status}: {}", String::from_utf8_lossy(&answer)),
            |refused: Refused| refused.error,
        );
        Err(ClientError::Refused(refused))
    }
}

impl<T: DeserializeOwned> Lines<T> {
    /// The next line; `None` when the node has stopped.
    pub async fn next(&mut self) -> Result<Option<T>, ClientError> {
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line = self.rest.split_to(end);
                self.rest.advance(1);
                return Ok(Some(serde_json::from_slice(&line)?));
            }
            let Some(frame) = self.body.frame().await else { return Ok(None) };
            if let Ok(data) = frame?.into_data() {
                self.rest.extend_from_slice(&data);
            }
        }
    }
}

fn publish_path(to: &PublishTo) -> String {
    let name = to.name.as_ref().map(|name| format!("&name={}", escaped(name))).unwrap_or_default();
    format!("/v1/publish?topic={}{name}", escaped(&to.topic))
}

/// Percent-encodes everything but letters, digits and `-._~`.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => escaped.push(char::from(byte)),
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}
