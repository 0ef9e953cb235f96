//! Lanes: long-lived streams that a frame opens. One set goes out, another comes in.

use std::io;

use libp2p::{PeerId, Stream, StreamProtocol, futures::StreamExt};
use libp2p_stream::{Control, IncomingStreams};
use prost::Message;
use tokio::sync::mpsc;

use crate::{frame, pb};

/// How many frames of a lane wait to be looked at; then its stream is read no more.
const WAITING_MAX: usize = 64;

/// A lane of ours, to the node.
pub(crate) struct Lane(Stream);

impl Lane {
    /// Opens a stream, and on it the lane of this number.
    pub(crate) async fn open(control: &mut Control, to: PeerId, name: StreamProtocol, lane: u32) -> io::Result<Self> {
        let mut stream = control.open_stream(to, name).await.map_err(io::Error::other)?;
        frame::write(&mut stream, &pb::LaneOpen { lane }).await?;
        Ok(Self(stream))
    }

    /// Writes a frame.
    pub(crate) async fn send(&mut self, message: &impl Message) -> io::Result<()> {
        frame::write(&mut self.0, message).await
    }
}

/// Takes what the node sends on two lanes, which have messages of different kinds.
pub(crate) fn receive<A, B>(streams: IncomingStreams) -> (mpsc::Receiver<A>, mpsc::Receiver<B>)
where
    A: Message + Default + 'static,
    B: Message + Default + 'static,
{
    let (to_first, first) = mpsc::channel(WAITING_MAX);
    let (to_second, second) = mpsc::channel(WAITING_MAX);
    tokio::spawn(streams.for_each(move |(_, stream)| {
        // A stream that breaks a rule ends, and the others do not.
        tokio::spawn(read_lane(stream, to_first.clone(), to_second.clone()));
        std::future::ready(())
    }));
    (first, second)
}

async fn read_lane<A, B>(mut stream: Stream, first: mpsc::Sender<A>, second: mpsc::Sender<B>) -> io::Result<()>
where
    A: Message + Default,
    B: Message + Default,
{
    match frame::read(&mut stream).await? {
        Some(pb::LaneOpen { lane: 0 }) => forward(stream, first).await,
        Some(pb::LaneOpen { lane: 1 }) => forward(stream, second).await,
        Some(_) | None => Err(io::ErrorKind::InvalidData.into()),
    }
}

async fn forward<M: Message + Default>(mut stream: Stream, to: mpsc::Sender<M>) -> io::Result<()> {
    while let Some(message) = frame::read(&mut stream).await? {
        if to.send(message).await.is_err() {
            break;
        }
    }
    Ok(())
}
