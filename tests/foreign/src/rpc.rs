use std::io;

use prost::bytes::Bytes;
use tokio::sync::mpsc;

use crate::{
    lanes::Lane,
    pb::{self, rpc_frame::Kind},
};

/// The lanes of requests. Everything of ours goes out on the lane `calls`: it is small.
pub struct Rpc {
    calls: Lane,
    incoming: [mpsc::Receiver<pb::RpcFrame>; 2],
    next_number: u64,
    /// What the node serves, as it told last.
    methods: Vec<String>,
}

impl Rpc {
    pub(crate) fn new(
        calls: Lane,
        from_calls: mpsc::Receiver<pb::RpcFrame>,
        from_bulk: mpsc::Receiver<pb::RpcFrame>,
    ) -> Self {
        Self { calls, incoming: [from_calls, from_bulk], next_number: 1, methods: Vec::new() }
    }

    /// Tells the node which methods this client serves.
    pub async fn serve_only(&mut self, methods: &[&str]) -> io::Result<()> {
        let names = methods.iter().map(|method| (*method).to_owned()).collect();
        self.send(Kind::Methods(pb::RpcMethods { names })).await
    }

    /// Waits until the node has told what it serves.
    pub async fn methods(&mut self) -> io::Result<&[String]> {
        while self.methods.is_empty() {
            if let Kind::Methods(methods) = self.receive().await? {
                self.methods = methods.names;
            }
        }
        Ok(&self.methods)
    }

    /// Calls a method of the node.
    pub async fn call(&mut self, method: &str, payload: impl Into<Bytes>) -> io::Result<pb::RpcResponse> {
        let call = self.next_number;
        self.next_number += 1;
        let (method, payload) = (method.to_owned(), payload.into());
        self.send(Kind::Request(pb::RpcRequest { call, method, timeout_ms: 10_000, stream_credit: 0, payload }))
            .await?;
        loop {
            match self.receive().await? {
                Kind::Response(response) if response.call == call => return Ok(response),
                Kind::Methods(methods) => self.methods = methods.names,
                Kind::Request(request) => {
                    let refusal = pb::RpcResponse {
                        call: request.call,
                        status: pb::RpcStatus::Overloaded.into(),
                        ..pb::RpcResponse::default()
                    };
                    self.send(Kind::Response(refusal)).await?;
                }
                Kind::Response(_) | Kind::Cancel(_) | Kind::Chunk(_) | Kind::Credit(_) => {}
            }
        }
    }

    /// Waits for a request of the node and answers it.
    pub async fn serve_one(&mut self, answer: impl FnOnce(&str, Bytes) -> Bytes) -> io::Result<()> {
        loop {
            if let Kind::Request(request) = self.receive().await? {
                let payload = answer(&request.method, request.payload);
                let response = pb::RpcResponse {
                    call: request.call,
                    status: pb::RpcStatus::Ok.into(),
                    payload,
                    ..pb::RpcResponse::default()
                };
                return self.send(Kind::Response(response)).await;
            }
        }
    }

    async fn send(&mut self, kind: Kind) -> io::Result<()> {
        self.calls.send(&pb::RpcFrame { kind: Some(kind) }).await
    }

    /// The next frame of a known kind, of either lane.
    async fn receive(&mut self) -> io::Result<Kind> {
        let [calls, bulk] = &mut self.incoming;
        loop {
            let frame = tokio::select! {
                frame = calls.recv() => frame,
                frame = bulk.recv() => frame,
            };
            if let Some(kind) = frame.ok_or(io::ErrorKind::UnexpectedEof)?.kind {
                return Ok(kind);
            }
        }
    }
}
