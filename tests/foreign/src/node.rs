#![allow(clippy::wildcard_enum_match_arm, reason = "libp2p's enums are non-exhaustive")]

use std::{io, time::Duration};

use libp2p::{
    Multiaddr, PeerId, Stream, StreamProtocol, SwarmBuilder,
    futures::{AsyncWriteExt, StreamExt},
    multiaddr::Protocol,
    noise,
    swarm::SwarmEvent,
    tcp, yamux,
};
use libp2p_stream::{Control, IncomingStreams};
use prost::bytes::Bytes;

use crate::{
    Gossip, Rpc, frame,
    lanes::{self, Lane},
    pb::{self, exchange_request, peering_request, rpc_frame},
};

/// How long a connection lives on which no stream is open.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// A connection to a node.
pub struct Node {
    control: Control,
    network: String,
    remote: Multiaddr,
    peer: PeerId,
    local: PeerId,
    /// Taken when the lanes are opened.
    incoming: Option<[IncomingStreams; 2]>,
}

impl Node {
    /// Connects to a node of a network over TCP, Noise and Yamux, with a new Ed25519 identity.
    pub async fn connect(network: &str, remote: Multiaddr) -> io::Result<Self> {
        let mut swarm = SwarmBuilder::with_new_identity()
            .with_tokio()
            .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
            .map_err(io::Error::other)?
            .with_behaviour(|_| libp2p_stream::Behaviour::new())
            .map_err(io::Error::other)?
            .with_swarm_config(|config| config.with_idle_connection_timeout(IDLE_TIMEOUT))
            .build();
        let mut control = swarm.behaviour().new_control();
        // Before anything is said: the node opens its lanes as soon as it has answered the hello.
        let incoming =
            [accept(&mut control, &name_of("gossip", network)?)?, accept(&mut control, &name_of("rpc", network)?)?];
        let goodbyes = accept(&mut control, &name_of("peering", network)?)?;
        let local = *swarm.local_peer_id();
        swarm.dial(remote.clone()).map_err(io::Error::other)?;
        let peer = loop {
            match swarm.select_next_some().await {
                SwarmEvent::ConnectionEstablished { peer_id, .. } => break peer_id,
                SwarmEvent::OutgoingConnectionError { error, .. } => return Err(io::Error::other(error)),
                _ => {}
            }
        };
        tokio::spawn(swarm.for_each(|_| std::future::ready(())));
        tokio::spawn(goodbyes.for_each(|(_, stream)| async move {
            // Whether the node hears the answer makes no difference: it leaves.
            let _ = answer_goodbye(stream).await;
        }));
        Ok(Self { control, network: network.to_owned(), remote, peer, local, incoming: Some(incoming) })
    }

    /// Who the node is: proven by its key.
    pub fn peer(&self) -> PeerId {
        self.peer
    }

    /// Who this client is.
    pub fn local(&self) -> PeerId {
        self.local
    }

    /// Says hello and returns the node's own.
    pub async fn hello(&mut self) -> io::Result<pb::Hello> {
        let hello = pb::Hello {
            network: self.network.clone(),
            agent: "foreign/0.1".to_owned(),
            observed_addr: without_peer(&self.remote).to_vec().into(),
            ..pb::Hello::default()
        };
        let request = pb::PeeringRequest { kind: Some(peering_request::Kind::Hello(hello)) };
        let response: pb::PeeringResponse = self.ask("peering", &request).await?;
        response.hello.ok_or_else(|| io::Error::other("the answer to a hello is none"))
    }

    /// Asks for addresses.
    pub async fn get_addr(&mut self, count_max: u32) -> io::Result<Vec<pb::PeerAddr>> {
        let kind = exchange_request::Kind::GetAddr(pb::GetAddr { count_max });
        let response: pb::ExchangeResponse = self.ask("addr", &pb::ExchangeRequest { kind: Some(kind) }).await?;
        Ok(response.addr.unwrap_or_default().peers)
    }

    /// Calls a method on a stream of its own.
    pub async fn call(&mut self, method: &str, payload: impl Into<Bytes>) -> io::Result<pb::RpcResponse> {
        let request = pb::RpcRequest { method: method.to_owned(), payload: payload.into(), ..Default::default() };
        let frame = pb::RpcFrame { kind: Some(rpc_frame::Kind::Request(request)) };
        let answer: pb::RpcFrame = self.ask("rpc-call", &frame).await?;
        match answer.kind {
            Some(rpc_frame::Kind::Response(response)) => Ok(response),
            _ => Err(io::Error::other("the answer to a call is none")),
        }
    }

    /// Opens the lanes of gossip and of requests. The node reads them once it has answered a hello without refusal.
    pub async fn open_lanes(&mut self) -> io::Result<(Gossip, Rpc)> {
        let [gossip, rpc] = self.incoming.take().ok_or_else(|| io::Error::other("the lanes are open"))?;
        let (controls, items) = lanes::receive(gossip);
        let (calls, bulk) = lanes::receive(rpc);
        let ours = [self.lane("gossip", 0).await?, self.lane("gossip", 1).await?];
        let rpc = Rpc::new(self.lane("rpc", 0).await?, calls, bulk);
        Ok((Gossip::new(&self.network, ours, controls, items), rpc))
    }

    /// Says goodbye. The node has closed the connection when it has answered, or will.
    pub async fn say_goodbye(&mut self) -> io::Result<()> {
        let goodbye = pb::Goodbye { reason: pb::GoodbyeReason::ShuttingDown.into(), ..Default::default() };
        let request = pb::PeeringRequest { kind: Some(peering_request::Kind::Goodbye(goodbye)) };
        self.ask::<pb::PeeringResponse>("peering", &request).await?;
        Ok(())
    }

    async fn lane(&mut self, protocol: &str, lane: u32) -> io::Result<Lane> {
        Lane::open(&mut self.control, self.peer, name_of(protocol, &self.network)?, lane).await
    }

    /// One request and its answer on a stream of their own.
    async fn ask<A: prost::Message + Default>(
        &mut self,
        protocol: &str,
        request: &impl prost::Message,
    ) -> io::Result<A> {
        let name = name_of(protocol, &self.network)?;
        let mut stream = self.control.open_stream(self.peer, name).await.map_err(io::Error::other)?;
        frame::write(&mut stream, request).await?;
        stream.close().await?;
        frame::read(&mut stream).await?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

async fn answer_goodbye(mut stream: Stream) -> io::Result<()> {
    let _: Option<pb::PeeringRequest> = frame::read(&mut stream).await?;
    frame::write(&mut stream, &pb::PeeringResponse::default()).await?;
    stream.close().await
}

fn name_of(protocol: &str, network: &str) -> io::Result<StreamProtocol> {
    StreamProtocol::try_from_owned(format!("/bruit/{protocol}/{network}/1")).map_err(io::Error::other)
}

fn accept(control: &mut Control, name: &StreamProtocol) -> io::Result<IncomingStreams> {
    control.accept(name.clone()).map_err(io::Error::other)
}

fn without_peer(addr: &Multiaddr) -> Multiaddr {
    addr.iter().filter(|part| !matches!(part, Protocol::P2p(_))).collect()
}
