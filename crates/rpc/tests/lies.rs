//! Every kind of lie, told by 30, 60 and 90 % of those who serve a method: who asks long enough finds the truth, and nothing else.
#![allow(missing_docs, clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test")]

use std::{collections::BTreeMap, num::NonZeroU64, time::Duration};

use bruit_core::{Seed, Slot, Timestamp};
use bruit_rpc::{
    CallOptions, Chunk, Config, Engine, Event, Method, MethodName, Output, Refusal, Request, Response, RpcMessage,
    Verdict,
};
use bytes::Bytes;

const PEERS: u32 = 20;
const CALLS: u64 = 100;
const ANSWER_BYTES_MAX: usize = 64;
const TRY_TIMEOUT: Duration = Duration::from_secs(1);
const ROUND_TRIP: Duration = Duration::from_millis(50);

#[derive(Clone, Copy, Debug)]
enum Lie {
    Silent,
    Wrong,
    Empty,
    /// True, but after its time.
    Late,
    Oversized,
    /// Parts of an answer that was to come in one piece, without an end.
    Endless,
    /// Wrong, and twice.
    Doubled,
    /// For requests that were not made yet.
    Unasked,
    /// It never has what is asked for.
    Unwilling,
}

const LIES: [Lie; 9] = [
    Lie::Silent,
    Lie::Wrong,
    Lie::Empty,
    Lie::Late,
    Lie::Oversized,
    Lie::Endless,
    Lie::Doubled,
    Lie::Unasked,
    Lie::Unwilling,
];

struct World {
    engine: Engine,
    now: Timestamp,
    lie: Lie,
    liars: u32,
    /// What is under way, by when it comes and in which order it was sent.
    under_way: BTreeMap<(Timestamp, u64), (Slot, RpcMessage)>,
    sent: u64,
    lied: u32,
}

impl World {
    fn new(lie: Lie, liars: u32) -> Self {
        let config = Config {
            tries_max: PEERS,
            try_timeout: TRY_TIMEOUT,
            deadline: TRY_TIMEOUT * (PEERS + 1),
            ..Config::default()
        };
        let now = Timestamp::from_secs(1);
        let mut engine = Engine::new(config.validate().unwrap(), Seed::from_number(liars.into()));
        let method = Method::idempotent("get").unwrap();
        engine.register(Method { response_bytes_max: ANSWER_BYTES_MAX, ..method }, now).unwrap();
        for index in 0..PEERS {
            let slot = Slot::new(index, 0);
            engine.peer_connected(slot, now);
            engine.message_received(slot, RpcMessage::Methods(vec![get()]), now);
        }
        while engine.poll_output().is_some() {}
        Self { engine, now, lie, liars, under_way: BTreeMap::new(), sent: 0, lied: 0 }
    }

    /// Makes a call whose truth is its own payload; returns what came of it.
    fn call(&mut self, payload: &Bytes) -> Bytes {
        let options = CallOptions { validate: true, ..CallOptions::idempotent() };
        self.engine.call(&get(), payload.clone(), options, self.now).unwrap();
        loop {
            match self.engine.poll_output() {
                Some(Output::Send { to, message: RpcMessage::Request(request), .. }) => self.asked(to, request),
                Some(Output::Event(Event::Answered { call, payload: answer, .. })) => {
                    let verdict = if answer == payload { Verdict::Good } else { Verdict::Invalid };
                    self.engine.verdict(call, verdict, self.now).unwrap();
                }
                Some(Output::Event(Event::Done { result, .. })) => return result.unwrap().payload,
                Some(_) => {}
                None => self.wait(),
            }
        }
    }

    fn asked(&mut self, to: Slot, request: Request) {
        let number = request.number.unwrap();
        let respond = |result| RpcMessage::Response(Response { number, result, chunks: 0 });
        if to.index() as u32 >= self.liars {
            return self.send(to, ROUND_TRIP, respond(Ok(request.payload)));
        }
        self.lied += 1;
        let wrong = || respond(Ok(Bytes::from_static(b"a lie")));
        match self.lie {
            Lie::Silent => {}
            Lie::Wrong => self.send(to, ROUND_TRIP, wrong()),
            Lie::Empty => self.send(to, ROUND_TRIP, respond(Ok(Bytes::new()))),
            Lie::Late => self.send(to, TRY_TIMEOUT + ROUND_TRIP / 2, respond(Ok(request.payload))),
            Lie::Oversized => self.send(to, ROUND_TRIP, respond(Ok(vec![0; ANSWER_BYTES_MAX + 1].into()))),
            Lie::Endless => {
                for index in 0..50 {
                    let chunk = Chunk { number, index, payload: request.payload.clone() };
                    self.send(to, ROUND_TRIP * (index + 1), RpcMessage::Chunk(chunk));
                }
            }
            Lie::Doubled => {
                self.send(to, ROUND_TRIP, wrong());
                self.send(to, ROUND_TRIP, wrong());
            }
            Lie::Unasked => {
                for ahead in 1..50 {
                    let number = NonZeroU64::new(number.get() + ahead).unwrap();
                    let response = Response { number, result: Ok(request.payload.clone()), chunks: 0 };
                    self.send(to, ROUND_TRIP, RpcMessage::Response(response));
                }
            }
            Lie::Unwilling => self.send(to, ROUND_TRIP, respond(Err(Refusal::cannot_satisfy("")))),
        }
    }

    fn send(&mut self, from: Slot, after: Duration, message: RpcMessage) {
        self.sent += 1;
        self.under_way.insert((self.now.after(after), self.sent), (from, message));
    }

    fn wait(&mut self) {
        let due = self.engine.next_timeout();
        let comes = self.under_way.first_key_value().map(|(key, _)| *key);
        match comes.filter(|(at, _)| due.is_none_or(|due| *at <= due)) {
            Some(key) => {
                let (from, message) = self.under_way.remove(&key).unwrap();
                self.now = self.now.max(key.0);
                self.engine.message_received(from, message, self.now);
            }
            None => {
                self.now = due.unwrap();
                self.engine.handle_timeout(self.now);
            }
        }
    }
}

fn get() -> MethodName {
    MethodName::new("get").unwrap()
}

#[test]
fn fault_every_kind_of_lie_by_up_to_nine_of_ten_hides_no_truth() {
    for lie in LIES {
        for percent in [30, 60, 90] {
            let liars = PEERS * percent / 100;
            let mut world = World::new(lie, liars);
            for call in 0..CALLS {
                let begun = world.now;
                let payload = Bytes::copy_from_slice(&call.to_be_bytes());
                assert_eq!(world.call(&payload), payload, "{lie:?} by {percent} %");
                let took = world.now.since(begun);
                assert!(took <= TRY_TIMEOUT * liars + ROUND_TRIP, "{took:?}; {lie:?} by {percent} %");
            }
            assert!(world.lied > 0, "{lie:?} by {percent} % was not told once");
            assert_eq!(world.engine.calls_pending(), 0, "{lie:?} by {percent} %");
        }
    }
}
