//! How items spread under each profile: one engine of gossip, and peers that the test plays.

use std::time::Duration;

use bruit_core::{NetworkId, Seed, Slot, Timestamp};
use bruit_gossip::{
    ControlMessage, Engine, Hop, HopKind, ItemId, ItemMessage, Message, Moment, Output, PeerClass, PeerTraits, Rate,
    Received, Reported, Sealer, ShortId, Topic, Verdict,
};
use bruit_stack::Profile;

const START: Timestamp = Timestamp::from_secs(1_000);
const PEERS: u32 = 32;

struct World {
    engine: Engine,
    sealer: Sealer,
    topic: Topic,
}

impl World {
    /// A node that wants a topic, with peers that want it too; it dialled the first half of them.
    fn new(profile: Profile, name: &str) -> Self {
        let config = profile.config().gossip.validate().unwrap();
        let mut engine = Engine::new(config, Seed::from_number(1));
        let topic = Topic::new(name).unwrap();
        engine.self_described(ShortId::of(b"self"));
        engine.subscribe(topic.clone()).unwrap();
        for index in 0..PEERS {
            _ = engine.peer_connected(slot(index), START);
            let traits = PeerTraits { short_id: called(index), is_outbound: index < 16, ..PeerTraits::default() };
            engine.peer_described(slot(index), traits, START);
            let subscribe = ControlMessage { subscribe: vec![topic.clone()], ..ControlMessage::default() };
            _ = engine.control_received(slot(index), subscribe, START);
        }
        let mut world = Self { engine, sealer: Sealer::new(&NetworkId::new("test").unwrap()), topic };
        world.rest(Duration::from_secs(1));
        world
    }

    fn item(&mut self) -> ItemMessage {
        let item = self.engine.compose(self.topic.clone(), "payload".into(), START).unwrap();
        self.sealer.seal(item, Moment { now: START, wall: START })
    }

    fn publish(&mut self) -> Vec<Output> {
        let item = self.item();
        self.engine.publish(item, START).unwrap();
        self.outputs()
    }

    /// An item comes from the first peer and is accepted.
    fn relay(&mut self, hop: Hop) -> (Reported, Vec<Output>) {
        let item = self.item();
        let id = item.id();
        assert_eq!(self.engine.item_received(slot(0), item.on(hop), START), Received::Pending);
        let reported = self.engine.report(id, Verdict::Accept, START);
        (reported, self.outputs())
    }

    fn outputs(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.engine.poll_output()).collect()
    }

    /// What happens within a time.
    fn rest(&mut self, span: Duration) -> Vec<Output> {
        let mut outputs = self.outputs();
        while let Some(at) = self.engine.next_timeout().filter(|at| *at <= START.after(span)) {
            self.engine.handle_timeout(at);
            outputs.extend(self.outputs());
        }
        outputs
    }
}

fn slot(index: u32) -> Slot {
    Slot::new(index, 0)
}

fn called(index: u32) -> ShortId {
    ShortId::of(&index.to_le_bytes())
}

/// To whom copies go, and as what.
fn copies(outputs: &[Output]) -> Vec<(usize, HopKind, u32)> {
    let copy = |output: &Output| match output {
        Output::Send { to, message: Message::Item(item), .. } => Some((to.index(), item.hop().kind, item.round())),
        Output::Send { .. } | Output::Pause { .. } | Output::Resume { .. } | Output::Event(_) => None,
    };
    outputs.iter().filter_map(copy).collect()
}

fn announcements(outputs: &[Output]) -> usize {
    let is_one = |output: &&Output| matches!(output, Output::Send { message: Message::Announce(_), .. });
    outputs.iter().filter(is_one).count()
}

#[test]
fn profile_bruit_relay() {
    let mut world = World::new(Profile::Bruit, "blocks");
    let outputs = world.publish();
    assert_eq!((copies(&outputs), announcements(&outputs)), (vec![], 32), "the first item of all only tells its id");
    let root = outputs.iter().find_map(|output| match output {
        Output::Send { message: Message::Announce(message), .. } => message.items.first()?.root,
        Output::Send { .. } | Output::Pause { .. } | Output::Resume { .. } | Output::Event(_) => None,
    });
    let adopt = ControlMessage { adopt: root.into_iter().collect(), ..ControlMessage::default() };
    _ = world.engine.control_received(slot(3), adopt, START);
    assert_eq!(copies(&world.outputs()), [(3, HopKind::Push, 1)], "and goes to who adopts its publisher");
    assert_eq!(copies(&world.publish()), [(3, HopKind::Push, 1)]);
}

#[test]
fn profile_factom_relay() {
    let mut world = World::new(Profile::Factom, "blocks");
    assert_eq!(copies(&world.publish()).len(), 16);
    let (reported, outputs) = world.relay(Hop::on_round(5));
    assert_eq!((reported, copies(&outputs).len()), (Reported::Relayed, 16));
    assert!(copies(&outputs).iter().all(|(to, kind, round)| *to != 0 && *kind == HopKind::Push && *round == 6));
    assert_eq!(world.relay(Hop::on_round(6)).0, Reported::AtLimit);
    let mut urgent = World::new(Profile::Factom, "urgent");
    assert_eq!(copies(&urgent.publish()).len(), 32);
}

#[test]
fn profile_casper_relay() {
    let mut world = World::new(Profile::Casper, "blocks");
    let outputs = world.publish();
    assert_eq!((copies(&outputs), announcements(&outputs)), (vec![], 3));
    let traits = PeerTraits { class: PeerClass::Validator, ..PeerTraits::default() };
    (0..3).for_each(|index| world.engine.peer_described(slot(index), traits, START));
    let is_to_validator = |output: &&Output| matches!(output, Output::Send { to, .. } if to.index() < 3);
    let mut count = || {
        let mut outputs = world.publish();
        outputs.extend(world.rest(Duration::from_millis(100)));
        outputs.iter().filter(is_to_validator).count()
    };
    let validators: Vec<usize> = (0..20).map(|_| count()).collect();
    assert!(validators.contains(&1) && validators.contains(&2), "half of three, a coin gives one more: {validators:?}");
    assert!(validators.iter().all(|count| (1..=2).contains(count)), "{validators:?}");
    let rates = Profile::Casper.config().gossip.rates;
    assert_eq!((rates.ordinary.items_per_second, rates.ordinary.bytes_per_second), (3_000, 6_553_600));
    assert_eq!(rates.validator, Rate::UNLIMITED);
    let mut urgent = World::new(Profile::Casper, "urgent");
    assert_eq!(copies(&urgent.publish()).len(), 32);
    assert_eq!(urgent.relay(Hop::on_round(1)).0, Reported::AtLimit);
}

#[test]
fn profile_horizen_relay() {
    let mut blocks = World::new(Profile::Horizen, "blocks");
    let (_, outputs) = blocks.relay(Hop::on_round(9));
    assert_eq!(copies(&outputs).len(), 31);

    let mut transactions = World::new(Profile::Horizen, "transactions");
    assert_eq!(copies(&transactions.publish()), []);
    let mut to: Vec<usize> = copies(&transactions.rest(Duration::from_secs(300))).iter().map(|copy| copy.0).collect();
    to.sort_unstable();
    assert_eq!(to, (0..32).collect::<Vec<_>>());

    let mut private = World::new(Profile::Horizen, "private");
    let outputs = private.publish();
    let stem = copies(&outputs);
    assert!(matches!(stem[..], [(0..16, HopKind::Stem, 1)]), "{stem:?}");
    assert_eq!(announcements(&outputs), 0);
}

#[test]
fn profile_ironfish_relay() {
    let mut world = World::new(Profile::Ironfish, "blocks");
    assert_eq!(copies(&world.publish()).len(), 32);
    // The sender reaches all peers but the last two; one of these names another common neighbour beside this node.
    let tell = |world: &mut World, from: u32, list: Vec<ShortId>| {
        let neighbours = ControlMessage { neighbours: Some(list), ..ControlMessage::default() };
        _ = world.engine.control_received(slot(from), neighbours, START);
    };
    let own = ShortId::of(b"self");
    tell(&mut world, 0, (1..30).map(called).chain([own]).collect());
    (1..30).for_each(|from| tell(&mut world, from, vec![own, called(0)]));
    (30..32).for_each(|from| tell(&mut world, from, vec![own]));
    let (_, outputs) = world.relay(Hop::on_round(1));
    assert_eq!(copies(&outputs), [(30, HopKind::Push, 2), (31, HopKind::Push, 2)]);
    // Two ids are remembered; the oldest goes when there are 100,000 others, whoever brought them.
    let oldest = world.item();
    assert_eq!(world.engine.item_received(slot(3), oldest.on(Hop::on_round(1)), START), Received::Pending);
    let forgotten = |world: &World| !world.engine.is_known(&oldest.id());
    for number in 0..99_999_u64 {
        let id = ItemId::new(std::array::from_fn(|place| number.to_be_bytes().get(place).copied().unwrap_or(0)));
        assert!(!forgotten(&world), "{number}");
        _ = world.engine.seen_elsewhere(id, START);
    }
    assert!(!forgotten(&world) && world.engine.seen_count() == 100_000);
    _ = world.engine.seen_elsewhere(ItemId::new([1; 32]), START);
    assert!(forgotten(&world));
}
