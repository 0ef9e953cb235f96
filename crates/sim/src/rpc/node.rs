use std::{collections::BTreeMap, time::Duration};

use bruit_core::{ChaCha8Rng, Slot, Timestamp};
use bruit_rpc::{
    Bytes, CallId, CallOptions, Engine, Event, Method, MethodName, Output, Request, RpcMessage, Ticket, Verdict,
};

use crate::{Latency, Net, Node, Port};

/// How a node takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// It asks, and serves nothing.
    Caller,
    /// It answers truly.
    Honest,
    /// It never answers.
    Silent,
    /// It answers falsely.
    Wrong,
    /// It answers truly until so many calls were made, and then falsely.
    Turncoat(u32),
}

/// What calls the caller makes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    /// Whether slow peers are followed by a second.
    pub(super) hedge: bool,
    /// How often; `None`: each when the one before has ended.
    pub(super) every: Option<Duration>,
}

/// What an observer counts.
#[derive(Debug, Default)]
pub(super) struct Calls {
    /// How many are to be made.
    pub(super) wanted: u32,
    pub(super) made: u32,
    pub(super) ok: u32,
    pub(super) believed: u32,
    /// Requests to peers that are not honest at that moment.
    pub(super) wasted: u32,
    /// Requests to turncoats.
    pub(super) to_turncoats: u32,
    pub(super) requests: u32,
    /// How long each call took, in microseconds.
    pub(super) times: Vec<u64>,
    /// How long each true answer was made to take.
    pub(super) draws: Vec<u64>,
    /// Requests by second of the run.
    pub(super) by_second: BTreeMap<u64, u32>,
}

pub(super) enum Signal {
    Call,
    Answer { ticket: Ticket, is_true: bool },
}

/// A node with the shipped engine and an application.
pub(super) struct RpcNode {
    engine: Engine,
    role: Role,
    load: Load,
    round_trip: Latency,
    chance: ChaCha8Rng,
    begun: BTreeMap<CallId, Timestamp>,
}

const TRUTH: &[u8] = b"truth";

fn method() -> MethodName {
    MethodName::new("get").expect("the name is not too long")
}

fn slot(port: Port) -> Slot {
    Slot::new(port.0, 0)
}

impl RpcNode {
    pub(super) fn new(engine: Engine, role: Role, load: Load, round_trip: Latency, chance: ChaCha8Rng) -> Self {
        Self { engine, role, load, round_trip, chance, begun: BTreeMap::new() }
    }

    /// Begins to make the calls that are wanted.
    pub(super) fn begin(&mut self, load: Load, net: &mut Net<Self>) {
        self.load = load;
        self.call(net);
    }

    fn call(&mut self, net: &mut Net<Self>) {
        if net.tally.made >= net.tally.wanted {
            return;
        }
        net.tally.made += 1;
        let options = CallOptions { validate: true, hedge: Some(self.load.hedge), ..CallOptions::idempotent() };
        if let Ok(call) = self.engine.call(&method(), Bytes::from_static(b"key"), options, net.now()) {
            self.begun.insert(call, net.now());
        }
        if let Some(every) = self.load.every {
            net.call_at(net.now().after(every), Signal::Call);
        }
        self.drain(net);
    }

    fn drain(&mut self, net: &mut Net<Self>) {
        while let Some(output) = self.engine.poll_output() {
            match output {
                Output::Send { to, message, .. } => {
                    if let RpcMessage::Request(Request { number: Some(_), .. }) = message {
                        let second = net.true_now().since(crate::START).as_secs();
                        *net.tally.by_second.entry(second).or_default() += 1;
                    }
                    net.send(Port(to.index() as u32), message);
                }
                Output::Event(event) => self.told(event, net),
                Output::Pause { .. } | Output::Resume { .. } => {}
            }
        }
    }

    fn told(&mut self, event: Event<Slot>, net: &mut Net<Self>) {
        match event {
            Event::Request { ticket, .. } => self.asked(ticket, net),
            Event::Answered { call, payload, .. } => {
                let verdict = if payload == TRUTH { Verdict::Good } else { Verdict::Invalid };
                // It awaits its verdict, or it would not have been told.
                let _ = self.engine.verdict(call, verdict, net.now());
            }
            Event::Done { call, result, .. } => {
                let begun = self.begun.remove(&call).unwrap_or(net.now());
                net.tally.times.push(net.now().since(begun).as_micros() as u64);
                if let Ok(answer) = result {
                    net.tally.ok += 1;
                    net.tally.believed += u32::from(answer.payload != TRUTH);
                }
                if self.load.every.is_none() {
                    net.call_at(net.now(), Signal::Call);
                }
            }
            Event::Room { .. }
            | Event::Chunk { .. }
            | Event::Drained
            | Event::Cancelled { .. }
            | Event::NotSent { .. }
            | Event::Told { .. }
            | Event::Conduct { .. }
            | _ => {}
        }
    }

    fn asked(&mut self, ticket: Ticket, net: &mut Net<Self>) {
        let (is_true, is_turncoat) = match self.role {
            Role::Honest => (true, false),
            Role::Caller | Role::Silent | Role::Wrong => (false, false),
            Role::Turncoat(behaves_for) => (net.tally.made <= behaves_for, true),
        };
        net.tally.requests += 1;
        net.tally.wasted += u32::from(!is_true);
        net.tally.to_turncoats += u32::from(is_turncoat);
        let takes = self.round_trip.draw([0, 0], &mut self.chance);
        if is_true {
            net.tally.draws.push(takes.as_micros() as u64);
        }
        if self.role != Role::Silent {
            net.call_at(net.now().after(takes), Signal::Answer { ticket, is_true });
        }
    }
}

impl Node for RpcNode {
    type Message = RpcMessage;
    type Signal = Signal;
    type Tally = Calls;

    fn started(&mut self, net: &mut Net<Self>) {
        if self.role != Role::Caller {
            let method = Method::idempotent("get").expect("the name is not too long");
            self.engine.register(Method { cost: 0, ..method }, net.now()).expect("one method is not too many");
        }
        for port in 0..net.degree() {
            self.engine.peer_connected(slot(Port(port)), net.now());
        }
        self.drain(net);
    }

    fn received(&mut self, from: Port, message: RpcMessage, net: &mut Net<Self>) {
        self.engine.message_received(slot(from), message, net.now());
        self.drain(net);
    }

    fn called(&mut self, signal: Signal, net: &mut Net<Self>) {
        match signal {
            Signal::Call => self.call(net),
            Signal::Answer { ticket, is_true } => {
                let answer = if is_true { TRUTH } else { b"a lie" };
                // Who asked may have taken the request back.
                let _ = self.engine.answer(ticket, Ok(Bytes::from_static(answer)), net.now());
                self.drain(net);
            }
        }
    }

    fn next_timeout(&self) -> Option<Timestamp> {
        self.engine.next_timeout()
    }

    fn timed_out(&mut self, net: &mut Net<Self>) {
        self.engine.handle_timeout(net.now());
        self.drain(net);
    }
}
