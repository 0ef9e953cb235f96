use std::time::Duration;

use bruit_core::PeerId;
use bruit_wire::pb;
use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use libp2p_stream::{Behaviour, Control, IncomingStreams};
use libp2p_swarm::{Stream, Swarm};
use libp2p_swarm_test::SwarmExt;

use crate::net::{NAME, Net};

/// A peer that does with its streams what it likes. Its swarm runs by itself.
pub(crate) struct Rogue {
    pub(crate) id: PeerId,
    target: PeerId,
    control: Control,
    incoming: Option<IncomingStreams>,
}

impl Rogue {
    /// Connects to node 0; whether it accepts streams of the protocol is its choice.
    pub(crate) async fn connect(net: &mut Net, accepts: bool) -> Self {
        let mut swarm = Swarm::new_ephemeral_tokio(|_| Behaviour::new());
        let id = *swarm.local_peer_id();
        let mut control = swarm.behaviour().new_control();
        let incoming = accepts.then(|| control.accept(NAME).expect("nobody else accepts it"));
        swarm.dial(net.addr(0)).expect("the address can be dialled");
        tokio::spawn(swarm.loop_on_next());
        let before = net.seen[0].connections.len();
        net.until(|net| net.seen[0].connections.len() > before).await;
        Self { id, target: net.id(0), control, incoming }
    }

    /// Opens a stream and writes something to it.
    pub(crate) async fn open(&mut self, bytes: &[u8]) -> Stream {
        let mut stream = within(self.control.open_stream(self.target, NAME)).await.expect("the protocol is spoken");
        within(stream.write_all(bytes)).await.expect("the stream is open");
        within(stream.flush()).await.expect("the stream is open");
        stream
    }

    /// The next stream that node 0 opens.
    pub(crate) async fn accept(&mut self) -> Stream {
        let incoming = self.incoming.as_mut().expect("it accepts streams");
        within(incoming.next()).await.expect("the swarm runs").1
    }
}

/// Reads until the other side closes the stream.
pub(crate) async fn read_all(stream: &mut Stream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    bytes
}

pub(crate) fn lane_open(lane: u32) -> Vec<u8> {
    bruit_wire::frame(&pb::LaneOpen { lane }).to_vec()
}

async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), work).await.expect("it happens within 20 s")
}
