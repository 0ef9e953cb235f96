//! Random facts and commands, also nonsense ones, against one engine.
//!
//! Invariants checked at every step:
//! 1. Each call ends exactly once, and not after its deadline.
//! 2. No peer is asked twice in a call, nor one that was excluded, nor one that is not connected.
//! 3. A call asks at most `tries_max` peers, and a try does not outlast the call's deadline.
//! 4. A call that must not be executed twice asks nobody else after a peer that may have executed it.
//! 5. No answer resolves another call: a call ends with the payload that its own peer gave for it.
//! 6. Requests under way stay within `pending_per_peer_max`, calls within `calls_max`.
//! 7. Requests served stay within `serving_per_peer_max` and `serving_max`, and none is answered twice.
//! 8. Conduct is told of connected peers only; an honest but late answer is never held against a peer.
//! 9. No call waits while somebody whom it may ask has a place. `handle_timeout` never spins; in the end every call has ended, every place is free and no timer is left.
//! 10. The counters add up, and equal inputs give equal outputs.
#![allow(missing_docs, clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test")]

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU64,
    time::Duration,
};

use bruit_core::{Conduct, Seed, Slot, Timestamp};
use bruit_rpc::{
    CallError, CallId, CallOptions, Config, Engine, Event, Lane, Method, MethodName, Output, Refusal, RefusalKind,
    Request, Response, RpcMessage, Ticket, Verdict,
};
use bytes::Bytes;
use proptest::prelude::*;

const PEERS: usize = 6;
const METHODS: [&str; 3] = ["get", "put", "list"];

fn config() -> Config {
    Config {
        try_timeout: Duration::from_millis(400),
        deadline: Duration::from_millis(1_500),
        calls_max: 12,
        pending_per_peer_max: 2,
        serving_max: 4,
        serving_per_peer_max: 2,
        ..Config::default()
    }
}

fn name(method: u8) -> MethodName {
    MethodName::new(METHODS[usize::from(method) % METHODS.len()]).unwrap()
}

#[derive(Clone, Debug)]
enum Step {
    Connect(usize),
    Disconnect(usize),
    Tell(usize, u8),
    Fill(usize),
    Drain(usize),
    Quality(usize, f32),
    Call { method: u8, is_idempotent: bool, validate: bool, tries: u32, millis: u64, pin: usize, exclude: usize },
    CallPeer(usize, u8),
    Send(usize, u8),
    Respond(usize, u8),
    Invent(usize, u64),
    Verdict(usize, u8),
    Cancel(usize),
    Ask { peer: usize, number: u64, method: u8, millis: u64 },
    TakeBack(usize, u64),
    Answer(usize, bool),
    Serve(u8, bool),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let peer = 0..PEERS;
    prop_oneof![
        4 => peer.clone().prop_map(Step::Connect),
        1 => peer.clone().prop_map(Step::Disconnect),
        4 => (peer.clone(), 0..8_u8).prop_map(|(peer, methods)| Step::Tell(peer, methods)),
        1 => peer.clone().prop_map(Step::Fill),
        2 => peer.clone().prop_map(Step::Drain),
        1 => (peer.clone(), -0.5..1.5_f32).prop_map(|(peer, quality)| Step::Quality(peer, quality)),
        8 => (0..3_u8, any::<bool>(), any::<bool>(), 0..5_u32, 0..2_000_u64, 0..12_usize, 0..12_usize).prop_map(
            |(method, is_idempotent, validate, tries, millis, pin, exclude)| Step::Call {
                method, is_idempotent, validate, tries, millis, pin, exclude
            }
        ),
        2 => (peer.clone(), 0..3_u8).prop_map(|(peer, method)| Step::CallPeer(peer, method)),
        1 => (peer.clone(), 0..3_u8).prop_map(|(peer, method)| Step::Send(peer, method)),
        8 => (any::<usize>(), 0..8_u8).prop_map(|(which, how)| Step::Respond(which, how)),
        1 => (peer.clone(), 1..60_u64).prop_map(|(peer, number)| Step::Invent(peer, number)),
        4 => (any::<usize>(), 0..3_u8).prop_map(|(which, how)| Step::Verdict(which, how)),
        1 => any::<usize>().prop_map(Step::Cancel),
        4 => (peer.clone(), 0..4_u64, 0..3_u8, 0..500_u64).prop_map(|(peer, number, method, millis)| Step::Ask {
            peer, number, method, millis
        }),
        1 => (peer, 1..4_u64).prop_map(|(peer, number)| Step::TakeBack(peer, number)),
        3 => (any::<usize>(), any::<bool>()).prop_map(|(which, is_ok)| Step::Answer(which, is_ok)),
        1 => (0..3_u8, any::<bool>()).prop_map(|(method, is_on)| Step::Serve(method, is_on)),
        6 => (0..300_u64).prop_map(Step::Wait),
    ]
}

struct Call {
    id: Option<CallId>,
    method: MethodName,
    target: Option<Slot>,
    is_judged: bool,
    deadline: Timestamp,
    tries_max: usize,
    is_idempotent: bool,
    may_have_run: bool,
    excluded: Option<Slot>,
    asked: Vec<Slot>,
    /// The peer of the try under way.
    current: Option<Slot>,
    until: Timestamp,
    has_ended: bool,
}

/// A request that left the engine, answered or not, given up or not.
struct Sent {
    to: Slot,
    number: NonZeroU64,
    call: usize,
}

struct World {
    engine: Engine,
    config: Config,
    now: Timestamp,
    peers: [Option<Slot>; PEERS],
    generations: [u32; PEERS],
    full: BTreeSet<Slot>,
    told: BTreeMap<Slot, BTreeSet<MethodName>>,
    calls: Vec<Call>,
    sent: Vec<Sent>,
    tickets: Vec<Ticket>,
    requested: BTreeMap<(Slot, u64), u32>,
    responded: BTreeMap<(Slot, u64), u32>,
    /// Whether what comes next may be held against a peer as a broken rule.
    has_broken: bool,
    trace: Vec<String>,
}

impl World {
    fn new(seed: u64) -> Self {
        Self {
            engine: Engine::new(config().validate().unwrap(), Seed::from_number(seed)),
            config: config(),
            now: Timestamp::from_secs(1_000),
            peers: [None; PEERS],
            generations: [0; PEERS],
            full: BTreeSet::new(),
            told: BTreeMap::new(),
            calls: Vec::new(),
            sent: Vec::new(),
            tickets: Vec::new(),
            requested: BTreeMap::new(),
            responded: BTreeMap::new(),
            has_broken: false,
            trace: Vec::new(),
        }
    }

    fn step(&mut self, step: &Step) {
        self.has_broken = false;
        let now = self.now;
        match *step {
            Step::Connect(peer) => self.connect(peer),
            Step::Disconnect(peer) => {
                if let Some(slot) = self.peers[peer].take() {
                    for call in self.calls.iter_mut().filter(|call| call.current == Some(slot)) {
                        call.may_have_run = true;
                        call.current = None;
                    }
                    self.full.remove(&slot);
                    self.engine.peer_disconnected(slot, now);
                }
            }
            Step::Tell(peer, methods) => {
                let names: Vec<_> = (0..3).filter(|method| methods & (1 << method) != 0).map(name).collect();
                if let Some(slot) = self.peers[peer] {
                    self.told.insert(slot, names.iter().cloned().collect());
                }
                self.receive(peer, RpcMessage::Methods(names));
            }
            Step::Fill(peer) => self.full.extend(self.peers[peer]),
            Step::Drain(peer) => {
                if let Some(slot) = self.peers[peer]
                    && self.full.remove(&slot)
                {
                    self.engine.peer_writable(slot, Lane::Calls, now);
                }
            }
            Step::Quality(peer, quality) => {
                if let Some(slot) = self.peers[peer] {
                    self.engine.set_quality(slot, quality);
                }
            }
            Step::Call { method, is_idempotent, validate, tries, millis, pin, exclude } => {
                let slot_of = |peer: usize| self.peers.get(peer).copied().flatten();
                let options = CallOptions {
                    deadline: Some(Duration::from_millis(millis)),
                    tries_max: Some(tries),
                    is_idempotent: Some(is_idempotent),
                    validate,
                    pin: slot_of(pin),
                    exclude: slot_of(exclude).into_iter().collect(),
                    ..CallOptions::default()
                };
                self.start(None, method, options);
            }
            Step::CallPeer(peer, method) => {
                let slot = self.peers[peer].unwrap_or(Slot::new(peer as u32, self.generations[peer]));
                self.start(Some(slot), method, CallOptions::default());
            }
            Step::Send(peer, method) => {
                let result = self.peers[peer].map(|slot| self.engine.send(slot, &name(method), Bytes::new(), now));
                self.trace.push(format!("{result:?}"));
            }
            Step::Respond(which, how) => self.respond(which, how),
            Step::Invent(peer, number) => {
                self.has_broken = true;
                let is_real = |sent: &Sent| Some(sent.to) == self.peers[peer] && sent.number.get() == number;
                if !self.sent.iter().any(is_real) {
                    let number = NonZeroU64::new(number).unwrap();
                    let result = Ok(Bytes::from_static(b"invented"));
                    self.receive(peer, RpcMessage::Response(Response { number, result, chunks: 0 }));
                }
            }
            Step::Verdict(which, how) => self.judge(which, how),
            Step::Cancel(which) => {
                if let Some(id) = self.pick_call(which).and_then(|index| self.calls[index].id) {
                    self.engine.cancel(id, now).unwrap();
                }
            }
            Step::Ask { peer, number, method, millis } => self.ask(peer, number, method, millis),
            Step::TakeBack(peer, number) => {
                self.receive(peer, RpcMessage::Cancel(NonZeroU64::new(number).unwrap()));
            }
            Step::Answer(which, is_ok) => {
                if !self.tickets.is_empty() {
                    let ticket = self.tickets.remove(which % self.tickets.len());
                    let result = if is_ok { Ok(Bytes::new()) } else { Err(Refusal::cannot_satisfy("")) };
                    let answered = self.engine.answer(ticket, result, now);
                    self.trace.push(format!("{answered:?}"));
                }
            }
            Step::Serve(method, true) => {
                self.engine.register(Method::new(name(method).as_str()).unwrap(), now).unwrap()
            }
            Step::Serve(method, false) => self.engine.unregister(&name(method), now),
            Step::Wait(millis) => self.wait(Duration::from_millis(millis)),
        }
        self.drain();
        self.check();
    }

    fn connect(&mut self, peer: usize) {
        if self.peers[peer].is_none() {
            self.generations[peer] += 1;
            let slot = Slot::new(peer as u32, self.generations[peer]);
            self.peers[peer] = Some(slot);
            self.engine.peer_connected(slot, self.now);
        }
    }

    fn receive(&mut self, peer: usize, message: RpcMessage) {
        if let Some(slot) = self.peers[peer] {
            self.engine.message_received(slot, message, self.now);
        }
    }

    fn start(&mut self, target: Option<Slot>, method: u8, options: CallOptions<Slot>) {
        let payload = Bytes::copy_from_slice(&(self.calls.len() as u64).to_be_bytes());
        self.calls.push(Call {
            id: None,
            method: name(method),
            target,
            is_judged: false,
            deadline: self.now.after(options.deadline.unwrap_or(self.config.deadline)),
            tries_max: match target {
                Some(_) => 1,
                None => options.tries_max.unwrap().max(1) as usize,
            },
            is_idempotent: options.is_idempotent.unwrap_or(false),
            may_have_run: false,
            excluded: options.exclude.first().copied(),
            asked: Vec::new(),
            current: None,
            until: self.now,
            has_ended: false,
        });
        let started = match target {
            Some(slot) => self.engine.call_peer(slot, &name(method), payload, options, self.now),
            None => self.engine.call(&name(method), payload, options, self.now),
        };
        self.trace.push(format!("{started:?}"));
        match started {
            Ok(id) => self.calls.last_mut().unwrap().id = Some(id),
            Err(_) => {
                self.calls.pop();
            }
        }
    }

    /// Answers something that was sent once: in time, late, or a second time.
    fn respond(&mut self, which: usize, how: u8) {
        if self.sent.is_empty() {
            return;
        }
        let sent = &self.sent[which % self.sent.len()];
        let (to, number, index) = (sent.to, sent.number, sent.call);
        if !self.peers.contains(&Some(to)) {
            return;
        }
        let kind = match how {
            0..3 => None,
            3 => Some(RefusalKind::CannotSatisfy),
            4 => Some(RefusalKind::NoSuchMethod),
            5 => Some(RefusalKind::Overloaded),
            6 => Some(RefusalKind::BadRequest),
            _ => Some(RefusalKind::Failed),
        };
        let call = &mut self.calls[index];
        if call.current == Some(to) {
            call.current = None;
            call.may_have_run |= matches!(kind, None | Some(RefusalKind::Failed));
            if kind == Some(RefusalKind::NoSuchMethod)
                && let Some(told) = self.told.get_mut(&to)
            {
                told.remove(&call.method);
            }
        }
        let result = match kind {
            None => Ok(Bytes::from(format!("{index} {to:?}"))),
            Some(kind) => Err(Refusal::new(kind, "")),
        };
        // Once it is answered, a second answer is one that nobody asked for.
        let position = which % self.sent.len();
        self.sent.remove(position);
        self.engine.message_received(to, RpcMessage::Response(Response { number, result, chunks: 0 }), self.now);
    }

    fn pick_call(&self, which: usize) -> Option<usize> {
        let live: Vec<usize> = (0..self.calls.len()).filter(|index| !self.calls[*index].has_ended).collect();
        (!live.is_empty()).then(|| live[which % live.len()])
    }

    fn judge(&mut self, which: usize, how: u8) {
        let verdict = [Verdict::Good, Verdict::Useless, Verdict::Invalid][usize::from(how)];
        if let Some(index) = self.pick_call(which) {
            let result = self.engine.verdict(self.calls[index].id.unwrap(), verdict, self.now);
            self.trace.push(format!("{result:?}"));
        }
    }

    fn ask(&mut self, peer: usize, number: u64, method: u8, millis: u64) {
        let Some(slot) = self.peers[peer] else { return };
        self.has_broken = true;
        if number > 0 {
            *self.requested.entry((slot, number)).or_default() += 1;
        }
        let request = Request {
            number: NonZeroU64::new(number),
            method: name(method),
            timeout: (millis > 0).then(|| Duration::from_millis(millis)),
            stream_credit: 0,
            payload: Bytes::new(),
        };
        self.engine.message_received(slot, RpcMessage::Request(request), self.now);
    }

    fn wait(&mut self, span: Duration) {
        let until = self.now.after(span);
        while let Some(due) = self.engine.next_timeout().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            for call in self.calls.iter_mut().filter(|call| call.until <= self.now) {
                call.may_have_run |= call.current.take().is_some();
            }
            self.engine.handle_timeout(self.now);
            self.drain();
            assert!(self.engine.next_timeout().is_none_or(|next| next > self.now), "it spins");
        }
        self.now = until;
    }

    fn drain(&mut self) {
        while let Some(output) = self.engine.poll_output() {
            self.trace.push(format!("{output:?}"));
            match output {
                Output::Send { to, message, lane, expires } => self.sent(to, message, lane, expires),
                Output::Pause { from } | Output::Resume { from } => assert!(self.peers.contains(&Some(from))),
                Output::Event(event) => self.told(event),
            }
        }
    }

    fn sent(&mut self, to: Slot, message: RpcMessage, lane: Lane, expires: Option<Timestamp>) {
        assert!(self.peers.contains(&Some(to)), "a message to somebody who is not connected");
        match &message {
            RpcMessage::Request(Request { number: Some(number), payload, .. }) => {
                let index = u64::from_be_bytes(payload[..].try_into().unwrap()) as usize;
                self.asked(index, to, *number, expires.unwrap());
            }
            RpcMessage::Response(response) => {
                let count = self.responded.entry((to, response.number.get())).or_default();
                *count += 1;
                assert!(*count <= self.requested[&(to, response.number.get())], "answered twice");
            }
            _ => {}
        }
        if self.full.contains(&to) {
            if let RpcMessage::Request(Request { number: Some(_), .. }) = &message {
                let sent = self.sent.pop().unwrap();
                let call = &mut self.calls[sent.call];
                call.current = None;
                if call.target.is_none() {
                    // What was not sent is no try of a call that may ask anybody.
                    call.asked.pop();
                }
            }
            self.engine.message_not_sent(to, &message, lane, self.now);
        }
    }

    fn asked(&mut self, index: usize, to: Slot, number: NonZeroU64, expires: Timestamp) {
        let call = &mut self.calls[index];
        assert!(!call.has_ended, "a request of a call that ended");
        assert!(!call.asked.contains(&to), "asked twice");
        assert_ne!(call.excluded, Some(to), "asked though excluded");
        assert!(call.asked.len() < call.tries_max, "too many tries");
        assert!(self.now < call.deadline && expires <= call.deadline, "beyond the deadline");
        assert!(call.is_idempotent || !call.may_have_run, "may be executed twice");
        call.asked.push(to);
        call.is_judged = false;
        call.current = Some(to);
        call.until = expires;
        self.sent.push(Sent { to, number, call: index });
        let pending = self.calls.iter().filter(|call| call.current == Some(to)).count();
        assert!(pending <= self.config.pending_per_peer_max, "too many requests under way");
    }

    fn told(&mut self, event: Event<Slot>) {
        match event {
            Event::Request { from, ticket, .. } => {
                assert!(self.peers.contains(&Some(from)));
                self.tickets.push(ticket);
            }
            Event::Done { call: id, result, tries } => {
                let is_it = |call: &Call| call.id == Some(id);
                let index = self.calls.iter().position(is_it).unwrap();
                let call = &mut self.calls[index];
                assert!(!call.has_ended, "ended twice");
                assert!(self.now <= call.deadline, "ended after the deadline");
                assert_eq!(tries as usize, call.asked.len());
                call.has_ended = true;
                call.current = None;
                match result {
                    Ok(answer) => assert_eq!(answer.payload, format!("{index} {:?}", answer.from)),
                    Err(CallError { tried, .. }) => {
                        assert_eq!(tried.iter().map(|tried| tried.peer).collect::<Vec<_>>(), call.asked);
                    }
                }
            }
            Event::Conduct { peer, conduct } => {
                assert!(self.peers.contains(&Some(peer)), "conduct of somebody who is not connected");
                assert!(conduct != Conduct::BrokeProtocol || self.has_broken, "an honest peer is accused");
            }
            Event::Answered { call: id, from, payload } => {
                assert!(payload.ends_with(format!("{from:?}").as_bytes()));
                self.calls.iter_mut().find(|call| call.id == Some(id)).unwrap().is_judged = true;
            }
            _ => {}
        }
    }

    fn check(&self) {
        assert!(self.engine.calls_pending() <= self.config.calls_max);
        assert!(self.engine.serving() <= self.config.serving_max);
        let stats = self.engine.stats();
        assert_eq!(stats.calls, stats.ok + stats.failed + stats.cancelled + self.engine.calls_pending() as u64);
        assert_eq!(stats.calls as usize, self.calls.len());
        assert_eq!(stats.tries as usize, self.calls.iter().map(|call| call.asked.len()).sum::<usize>());
        assert_eq!(stats.retried as usize, self.calls.iter().filter(|call| call.asked.len() > 1).count());
        let is_idle = |call: &&Call| !call.has_ended && call.current.is_none() && !call.is_judged;
        self.calls.iter().filter(is_idle).for_each(|call| self.check_waiting(call));
        for method in 0..3 {
            let candidates = self.engine.explain(&name(method), self.now);
            assert!(candidates.iter().all(|candidate| candidate.pending <= self.config.pending_per_peer_max));
            let sum: f64 = candidates.iter().map(|candidate| candidate.chance).sum();
            assert!(candidates.is_empty() || (sum - 1.0).abs() < 1e-9, "chances add up to {sum}");
            let least = self.config.floor / candidates.len() as f64;
            assert!(candidates.iter().all(|candidate| candidate.chance >= least - 1e-9), "somebody starves");
        }
    }

    /// Everybody whom a waiting call may ask must be busy, and there must be somebody.
    fn check_waiting(&self, call: &Call) {
        let has_told_of = |slot: &Slot| self.told.get(slot).map(|told| told.contains(&call.method));
        let may_ask = |slot: &Slot| !call.asked.contains(slot) && call.excluded != Some(*slot);
        let connected = self.peers.iter().flatten().copied().filter(may_ask);
        let (serving, silent): (Vec<Slot>, Vec<Slot>) = match call.target {
            Some(target) => (connected.filter(|slot| *slot == target).collect(), Vec::new()),
            None => {
                connected.filter(|slot| has_told_of(slot) != Some(false)).partition(|slot| has_told_of(slot).is_some())
            }
        };
        let candidates = if serving.is_empty() { silent } else { serving };
        assert!(!candidates.is_empty(), "a call waits for nobody");
        let known = self.engine.explain(&call.method, self.now);
        let is_good = |slot: &Slot| {
            known.iter().any(|known| known.peer == *slot && known.rests_for == Duration::ZERO && known.success > 0.5)
        };
        let mut somebody_is_busy = false;
        for slot in candidates {
            let pending = self.calls.iter().filter(|call| call.current == Some(slot)).count();
            let is_busy = pending == self.config.pending_per_peer_max || self.full.contains(&slot);
            somebody_is_busy |= is_busy;
            assert!(is_busy || !is_good(&slot), "a call waits although {slot:?} is good and has a place");
        }
        assert!(somebody_is_busy, "a call waits although everybody has a place");
    }

    fn finish(&mut self) {
        self.step(&Step::Wait(100_000));
        assert!(self.calls.iter().all(|call| call.has_ended));
        assert_eq!((self.engine.calls_pending(), self.engine.serving()), (0, 0));
        assert_eq!(self.engine.next_timeout(), None);
    }
}

fn run(seed: u64, steps: &[Step]) -> Vec<String> {
    let mut world = World::new(seed);
    steps.iter().for_each(|step| world.step(step));
    world.finish();
    world.trace
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_order_of_facts_and_commands_breaks_an_invariant(
        seed in any::<u64>(),
        steps in prop::collection::vec(step(), 1..200),
    ) {
        prop_assert_eq!(run(seed, &steps), run(seed, &steps));
    }
}
