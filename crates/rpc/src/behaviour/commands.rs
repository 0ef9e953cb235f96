//! What the owner of a swarm may ask for: the engine's commands and queries, with peers named by peer id.

use bruit_core::{PeerId, Slot};
use bytes::Bytes;

use super::Behaviour;
use crate::{
    engine::{Candidate, Stats},
    event::{CallId, Ticket},
    message::Refusal,
    method::{Class, Method, MethodName, RegisterError},
    options::{AnswerError, CallOptions, CallStateError, ChunkError, StartError, Verdict},
};

impl Behaviour {
    /// Serves a method from now on, and tells all peers.
    pub fn register(&mut self, method: Method) -> Result<(), RegisterError> {
        let name = method.name.clone();
        self.command(|engine, now| engine.register(method, now))?;
        self.inline.remove(&name);
        Ok(())
    }

    /// Serves a method from now on, and answers at once: for what takes microseconds. The swarm stands still meanwhile.
    pub fn register_inline(
        &mut self,
        method: Method,
        answer: impl FnMut(PeerId, Bytes) -> Result<Bytes, Refusal> + Send + 'static,
    ) -> Result<(), RegisterError> {
        let name = method.name.clone();
        self.register(method)?;
        self.inline.insert(name, Box::new(answer));
        Ok(())
    }

    /// Starts no call and serves no request from now on. What is under way may end; then comes
    /// [`Event::Drained`](crate::Event::Drained).
    pub fn shut_down(&mut self) {
        self.command(|engine, now| engine.shut_down(now));
    }

    /// Serves a method no longer, and tells all peers.
    pub fn unregister(&mut self, method: &MethodName) {
        self.inline.remove(method);
        self.command(|engine, now| engine.unregister(method, now));
    }

    /// Asks some connected peer that serves the method, and the next one if that was in vain.
    ///
    /// What decides is written at [`Engine::call`](crate::Engine::call).
    pub fn call(
        &mut self,
        method: &MethodName,
        payload: Bytes,
        options: CallOptions<PeerId>,
    ) -> Result<CallId, StartError> {
        let options = options.map(|peer| self.links.slot(&peer));
        self.command(|engine, now| engine.call(method, payload, options, now))
    }

    /// Asks one connected peer, once.
    pub fn call_peer(
        &mut self,
        peer: &PeerId,
        method: &MethodName,
        payload: Bytes,
        options: CallOptions<PeerId>,
    ) -> Result<CallId, StartError> {
        let slot = self.links.slot(peer).ok_or(StartError::NotConnected)?;
        let options = options.map(|_| None);
        self.command(|engine, now| engine.call_peer(slot, method, payload, options, now))
    }

    /// Sends a request to a connected peer and waits for nothing.
    pub fn send(&mut self, peer: &PeerId, method: &MethodName, payload: Bytes) -> Result<(), StartError> {
        let slot = self.links.slot(peer).ok_or(StartError::NotConnected)?;
        self.command(|engine, now| engine.send(slot, method, payload, now))
    }

    /// Gives the answer to a request, or refuses it, and frees its place.
    pub fn answer(&mut self, ticket: Ticket, result: Result<Bytes, Refusal>) -> Result<(), AnswerError> {
        self.command(|engine, now| engine.answer(ticket, result, now))
    }

    /// Sends a part of an answer, if it is wanted in parts; [`answer`](Self::answer) ends it.
    pub fn send_chunk(&mut self, ticket: Ticket, payload: Bytes) -> Result<(), ChunkError> {
        self.command(|engine, now| engine.send_chunk(ticket, payload, now))
    }

    /// How many bytes a chunk of an answer may have now; 0 where none is wanted.
    pub fn room(&self, ticket: Ticket) -> usize {
        self.engine.room(ticket)
    }

    /// The reader of a streamed answer has taken a chunk: there is room for another.
    pub fn chunk_taken(&mut self, call: CallId) -> Result<(), CallStateError> {
        self.command(|engine, now| engine.chunk_taken(call, now))
    }

    /// Judges the answer of a call with `validate`.
    pub fn verdict(&mut self, call: CallId, verdict: Verdict) -> Result<(), CallStateError> {
        self.command(|engine, now| engine.verdict(call, verdict, now))
    }

    /// Takes a call back; the peer that works on it is told.
    pub fn cancel(&mut self, call: CallId) -> Result<(), CallStateError> {
        self.command(|engine, now| engine.cancel(call, now))
    }

    /// Sets what the owner thinks of a connected peer, 0 to 1.
    pub fn set_quality(&mut self, peer: &PeerId, quality: f32) {
        if let Some(slot) = self.links.slot(peer) {
            self.engine.set_quality(slot, quality);
        }
    }

    /// Says what kind of peer a connected one is. Forgotten when it disconnects.
    pub fn set_class(&mut self, peer: &PeerId, class: Class) {
        if let Some(slot) = self.links.slot(peer) {
            self.command(|engine, now| engine.set_class(slot, class, now));
        }
    }

    /// Keeps a connected peer connected although nothing else uses its connections, or not. Forgotten when it disconnects.
    pub fn set_keep_alive(&mut self, peer: PeerId, on: bool) {
        self.links.set_keep_alive(peer, on);
    }

    /// Admits a connected peer: it is asked and served from now on.
    pub fn admit(&mut self, peer: PeerId) {
        self.foreign.admit(peer);
        self.links.admit(peer);
        self.expect(peer);
        self.wake();
    }

    /// Admits a connected peer as a client: it is served when it calls on a substream of its own, and not asked.
    pub fn admit_client(&mut self, peer: PeerId) {
        self.foreign.admit(peer);
    }

    /// Asks and serves a peer no longer; what is under way with it is lost.
    pub fn dismiss(&mut self, peer: PeerId) {
        self.foreign.dismiss(&peer);
        self.links.dismiss(peer);
        if self.arriving.remove(&peer) && self.arriving.is_empty() {
            self.command(|engine, now| engine.nobody_expected(now));
        }
        self.wake();
    }

    /// The counters.
    pub const fn stats(&self) -> Stats {
        self.engine.stats()
    }

    /// How many requests hold a place here.
    pub fn serving(&self) -> usize {
        self.engine.serving()
    }

    /// The connected peers that said that they serve a method.
    pub fn peers_serving(&self, method: &MethodName) -> Vec<PeerId> {
        self.engine.peers_serving(method).filter_map(|slot| self.names.of(slot)).collect()
    }

    /// Whom a global call of a method could ask now, and how likely.
    pub fn explain(&self, method: &MethodName) -> Vec<Candidate<PeerId>> {
        let named = |candidate: Candidate<Slot>| candidate.map(|slot| self.names.of(slot));
        self.engine.explain(method, self.clock.now()).into_iter().filter_map(named).collect()
    }
}
