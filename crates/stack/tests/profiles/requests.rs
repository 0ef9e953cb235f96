//! How requests find their peer under each profile: one engine of rpc, and peers that the test plays.

use std::{collections::BTreeSet, num::NonZeroU64, time::Duration};

use bruit_core::{Conduct, Seed, Slot, Timestamp};
use bruit_rpc::{
    Bytes, CallId, CallOptions, EndCause, Engine, Event, Failure, Method, MethodName, Output, Refusal, RefusalKind,
    Request, Response, RpcMessage, Verdict,
};
use bruit_stack::Profile;

const START: Timestamp = Timestamp::from_secs(1_000);

struct World {
    engine: Engine,
    now: Timestamp,
}

impl World {
    fn new(profile: Profile, peers: u32) -> Self {
        let config = profile.config().rpc.validate().unwrap();
        let mut engine = Engine::new(config, Seed::from_number(1));
        for index in 0..peers {
            engine.peer_connected(slot(index), START);
            engine.message_received(slot(index), RpcMessage::Methods(vec![method()]), START);
        }
        let mut world = Self { engine, now: START };
        world.outputs();
        world
    }

    fn outputs(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.engine.poll_output()).collect()
    }

    fn call(&mut self, options: CallOptions<Slot>) -> CallId {
        self.engine.call(&method(), Bytes::from_static(b"block"), options, self.now).unwrap()
    }

    fn respond(&mut self, from: Slot, number: NonZeroU64, result: Result<Bytes, Refusal>) {
        self.engine.message_received(from, RpcMessage::Response(Response { number, result, chunks: 0 }), self.now);
    }

    /// Lets all time-outs pass that are due within a span.
    fn pass(&mut self, span: Duration) {
        self.now = self.now.after(span);
        self.engine.handle_timeout(self.now);
    }

    fn request(&mut self, from: Slot, number: u64) {
        let request = Request {
            number: NonZeroU64::new(number),
            method: method(),
            timeout: None,
            stream_credit: 0,
            payload: Bytes::new(),
        };
        self.engine.message_received(from, RpcMessage::Request(request), self.now);
    }
}

fn slot(index: u32) -> Slot {
    Slot::new(index, 0)
}

fn method() -> MethodName {
    MethodName::new("get").unwrap()
}

fn asked(outputs: &[Output]) -> Vec<(Slot, NonZeroU64)> {
    let of = |output: &Output| match output {
        Output::Send { to, message: RpcMessage::Request(Request { number, .. }), .. } => Some((*to, (*number)?)),
        Output::Send { .. } | Output::Pause { .. } | Output::Resume { .. } | Output::Event(_) => None,
    };
    outputs.iter().filter_map(of).collect()
}

fn conducts(outputs: &[Output]) -> Vec<Conduct> {
    let of = |output: &Output| match output {
        Output::Event(Event::Conduct { conduct, .. }) => Some(*conduct),
        Output::Event(_) | Output::Send { .. } | Output::Pause { .. } | Output::Resume { .. } => None,
    };
    outputs.iter().filter_map(of).collect()
}

fn refused(outputs: &[Output]) -> usize {
    let is_overload = |output: &&Output| match output {
        Output::Send { message: RpcMessage::Response(Response { result: Err(refusal), .. }), .. } => {
            refusal.kind == RefusalKind::Overloaded
        }
        Output::Send { .. } | Output::Event(_) | Output::Pause { .. } | Output::Resume { .. } => false,
    };
    outputs.iter().filter(is_overload).count()
}

/// Iron Fish: five tries, none at a peer that was asked; 30 s each; a peer with five unanswered requests is saturated;
/// who cannot satisfy is not punished. Its code closes the connection after a time-out; here weight alone falls.
#[test]
fn profile_ironfish_requests() {
    let mut world = World::new(Profile::Ironfish, 8);
    let id = world.call(CallOptions::idempotent());
    let mut tried = BTreeSet::new();
    for attempt in 0..5 {
        let outputs = world.outputs();
        let asked = asked(&outputs);
        let &[(peer, number)] = &asked[..] else { panic!("{outputs:?}") };
        assert!(tried.insert(peer), "asked twice");
        if attempt % 2 == 0 {
            world.respond(peer, number, Err(Refusal::cannot_satisfy("unknown")));
        } else {
            world.pass(Duration::from_millis(29_999));
            assert_eq!(world.outputs(), []);
            world.pass(Duration::from_millis(1));
        }
    }
    let outputs = world.outputs();
    assert_eq!(conducts(&outputs), [Conduct::CouldNotSatisfy]);
    let Some(Output::Event(Event::Done { call, result: Err(error), tries: 5 })) = outputs.last() else {
        panic!("{outputs:?}")
    };
    assert_eq!((*call, error.cause), (id, EndCause::Exhausted));
    assert_eq!(error.tried.iter().filter(|tried| tried.failure == Failure::TimedOut).count(), 2);

    let mut world = World::new(Profile::Ironfish, 2);
    (0..11).for_each(|_| {
        world.call(CallOptions::idempotent());
    });
    let outputs = world.outputs();
    let asked = asked(&outputs);
    for index in 0..2 {
        assert_eq!(asked.iter().filter(|(peer, _)| *peer == slot(index)).count(), 5, "saturated at five");
    }
}

/// Casper: 50 requests of a peer at a time, and then its requests are not read; 3,000 weighted requests a second with two
/// seconds of burst; what is missing is asked of the sender, then of others, once for all who wait; a false answer is punished.
#[test]
fn profile_casper_requests() {
    let mut world = World::new(Profile::Casper, 2);
    world.engine.register(Method { cost: 0, ..Method::idempotent("get").unwrap() }, START).unwrap();
    world.outputs();
    (1..=51).for_each(|number| world.request(slot(0), number));
    let outputs = world.outputs();
    assert_eq!(outputs.iter().filter(|output| **output == Output::Pause { from: slot(0) }).count(), 1);
    assert_eq!((world.engine.serving(), refused(&outputs)), (50, 1));

    let mut world = World::new(Profile::Casper, 2);
    world.engine.register(Method { cost: 1_000, ..Method::idempotent("get").unwrap() }, START).unwrap();
    world.outputs();
    (1..=7).for_each(|number| world.request(slot(0), number));
    assert_eq!(refused(&world.outputs()), 1, "six thousand at once");
    world.pass(Duration::from_secs(1));
    (11..=14).for_each(|number| world.request(slot(0), number));
    assert_eq!(refused(&world.outputs()), 1, "three thousand a second");

    let mut world = World::new(Profile::Casper, 3);
    let sender = slot(1);
    let wanted = || CallOptions { pin: Some(sender), validate: true, join: true, ..CallOptions::idempotent() };
    let first = world.call(wanted());
    let second = world.call(wanted());
    let outputs = world.outputs();
    let &[(peer, number)] = &asked(&outputs)[..] else { panic!("{outputs:?}") };
    assert_eq!(peer, sender);
    world.respond(sender, number, Ok(Bytes::from_static(b"false")));
    world.outputs();
    world.engine.verdict(first, Verdict::Invalid, world.now).unwrap();
    let outputs = world.outputs();
    assert_eq!(conducts(&outputs), [Conduct::AnsweredFalsely]);
    let &[(peer, number)] = &asked(&outputs)[..] else { panic!("{outputs:?}") };
    assert_ne!(peer, sender);
    world.respond(peer, number, Ok(Bytes::from_static(b"true")));
    world.outputs();
    world.engine.verdict(first, Verdict::Good, world.now).unwrap();
    let is_done =
        |output: &Output, id| matches!(output, Output::Event(Event::Done { call, result: Ok(_), .. }) if *call == id);
    let outputs = world.outputs();
    assert!([first, second].iter().all(|id| outputs.iter().any(|output| is_done(output, *id))), "{outputs:?}");
}
