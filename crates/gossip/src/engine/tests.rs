use std::{collections::BTreeMap, time::Duration};

use bruit_core::NetworkId;

use super::*;
use crate::{Announced, Announcement, Carry, Config, Moment, Policy, Sealer, Validation};

pub(super) const START: Timestamp = Timestamp::from_secs(1_000);

pub(super) struct Node {
    pub(super) engine: Engine,
    sealer: Sealer,
    pub(super) now: Timestamp,
}

pub(super) fn topic(name: &str) -> Topic {
    Topic::new(name).unwrap()
}

pub(super) fn peer(index: u32) -> Slot {
    Slot::new(index, 0)
}

pub(super) fn base() -> TopicConfig {
    TopicConfig { policy: Policy::Fanout { peers: 3, rounds: 6 }, ..TopicConfig::default() }
}

/// `blocks` is judged and carried by everybody, `club` judged and for subscribers, `open` needs no verdict.
pub(super) fn config() -> Config {
    let topics = BTreeMap::from([
        (topic("blocks"), base()),
        (topic("club"), TopicConfig { carry: Carry::Subscribers, ..base() }),
        (topic("open"), TopicConfig { validation: Validation::Automatic, size_max: 1_000, ..base() }),
    ]);
    Config { topics, other_topics: None, ..Config::default() }
}

impl Node {
    pub(super) fn new(config: Config, peers: u32) -> Self {
        let engine = Engine::new(config.validate().unwrap(), Seed::from_number(1));
        let mut node = Self { engine, sealer: Sealer::new(&NetworkId::new("test").unwrap()), now: START };
        for index in 0..peers {
            assert_eq!(node.engine.peer_connected(peer(index), START), PeerConnected::Added);
        }
        node
    }

    pub(super) fn subscribed(names: &[&str], peers: u32) -> Self {
        let mut node = Self::new(config(), peers);
        for name in names {
            node.engine.subscribe(topic(name)).unwrap();
        }
        node.outputs();
        node
    }

    pub(super) fn item(&self, name: &str, payload: &[u8]) -> ItemMessage {
        let expires_at = self.now.after(Duration::from_secs(60));
        let item =
            Item { topic: topic(name), author: None, nonce: 0, expires_at, payload: Bytes::copy_from_slice(payload) };
        self.sealer.seal(item, Moment { now: self.now, wall: self.now })
    }

    pub(super) fn receive(&mut self, from: u32, message: &ItemMessage, round: u32) -> Received {
        self.engine.item_received(peer(from), message.at_round(round), self.now)
    }

    pub(super) fn outputs(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.engine.poll_output()).collect()
    }

    /// To whom items go, in the order of slots; asserts their id and round, and that nothing else comes out.
    pub(super) fn pushed(&mut self, message: &ItemMessage, round: u32) -> Vec<usize> {
        let outputs = self.outputs();
        let mut slots: Vec<usize> = outputs.iter().filter_map(|output| sent_to(output, message, round)).collect();
        assert_eq!(slots.len(), outputs.len(), "{outputs:?}");
        slots.sort_unstable();
        slots
    }
}

fn sent_to(output: &Output, expected: &ItemMessage, round: u32) -> Option<usize> {
    match output {
        Output::Send { to, message: Message::Item(message), priority: Priority::Normal } => {
            assert_eq!(message, &expected.at_round(round));
            Some(to.index())
        }
        Output::Send { .. } | Output::Pause { .. } | Output::Resume { .. } | Output::Event(_) => None,
    }
}

fn item_event(from: u32, message: &ItemMessage, round: u32, deadline: Option<Timestamp>) -> Output {
    Output::Event(Event::Item {
        id: message.id(),
        from: peer(from),
        topic: message.item().topic.clone(),
        author: None,
        payload: message.item().payload.clone(),
        round,
        deadline,
    })
}

fn conduct(index: u32, conduct: Conduct) -> Output {
    Output::Event(Event::Conduct { peer: peer(index), conduct })
}

fn refused(index: u32, message: &ItemMessage, refusal: Refusal) -> Output {
    Output::Event(Event::Refused { peer: peer(index), id: message.id(), refusal })
}

#[test]
fn an_accepted_item_is_relayed_once_with_the_lowest_round_and_not_to_who_has_it() {
    let mut node = Node::subscribed(&["blocks"], 5);
    let item = node.item("blocks", b"1");
    assert_eq!(node.receive(0, &item, 4), Received::Pending);
    let deadline = START.after(Duration::from_secs(10));
    assert_eq!(node.outputs(), [item_event(0, &item, 4, Some(deadline))]);
    assert_eq!(node.receive(1, &item, 2), Received::Duplicate);
    assert_eq!(node.receive(2, &item, 5), Received::Duplicate);
    assert_eq!(node.outputs(), []);

    assert_eq!(node.engine.report(item.id(), Verdict::Accept, node.now), Reported::Relayed);
    assert_eq!(node.engine.poll_output(), Some(conduct(0, Conduct::DeliveredFirst)));
    assert_eq!(node.pushed(&item, 3), [3, 4]);
    assert_eq!(node.engine.report(item.id(), Verdict::Accept, node.now), Reported::NotPending);
    assert_eq!(node.receive(3, &item, 1), Received::Duplicate);
    assert_eq!(node.outputs(), []);
    assert_eq!(node.engine.next_timeout(), None);
}

#[test]
fn a_rejected_item_goes_nowhere_and_its_bringers_are_blamed() {
    let mut node = Node::subscribed(&["blocks"], 4);
    let item = node.item("blocks", b"bad");
    assert_eq!(node.receive(0, &item, 1), Received::Pending);
    assert_eq!(node.receive(2, &item, 1), Received::Duplicate);
    node.outputs();
    assert_eq!(node.engine.report(item.id(), Verdict::Reject, node.now), Reported::Rejected);
    let blame = [conduct(0, Conduct::DeliveredInvalid), conduct(2, Conduct::DeliveredInvalid)];
    assert_eq!(node.outputs(), blame);
    assert_eq!(node.receive(3, &item, 1), Received::Refused(Refusal::Rejected));
    let again = [refused(3, &item, Refusal::Rejected), conduct(3, Conduct::DeliveredInvalid)];
    assert_eq!(node.outputs(), again);
}

#[test]
fn an_ignored_item_goes_nowhere_and_nobody_is_blamed() {
    let mut node = Node::subscribed(&["blocks"], 4);
    let item = node.item("blocks", b"1");
    assert_eq!(node.receive(0, &item, 1), Received::Pending);
    node.outputs();
    assert_eq!(node.engine.report(item.id(), Verdict::Ignore, node.now), Reported::Ignored);
    assert_eq!(node.receive(1, &item, 1), Received::Duplicate);
    assert_eq!(node.outputs(), []);
}

#[test]
fn a_copy_at_the_limit_is_delivered_and_a_later_one_with_rounds_left_still_travels() {
    let mut node = Node::subscribed(&["open"], 4);
    let item = node.item("open", b"1");
    assert_eq!(node.receive(0, &item, 6), Received::AtLimit);
    assert_eq!(node.outputs(), [item_event(0, &item, 6, None), conduct(0, Conduct::DeliveredFirst)]);
    assert_eq!(node.receive(1, &item, 6), Received::Duplicate);
    assert_eq!(node.outputs(), []);
    assert_eq!(node.receive(2, &item, 5), Received::RelayedLater);
    assert_eq!(node.pushed(&item, 6), [3]);
    assert_eq!(node.receive(3, &item, 1), Received::Duplicate);
    assert_eq!(node.outputs(), []);
    assert_eq!((node.engine.stats().round_limited, node.engine.stats().relayed), (1, 1));
}

#[test]
fn what_is_held_at_the_limit_is_let_go_after_its_time_and_above_its_bytes() {
    let config = Config { held_bytes_max: 2_000, ..config() };
    let mut node = Node::new(config, 3);
    let [first, second, third] = [1, 2, 3].map(|byte| node.item("open", &[byte; 700]));
    for item in [&first, &second, &third] {
        assert_eq!(node.receive(0, item, 6), Received::AtLimit);
    }
    node.outputs();
    assert_eq!(node.receive(1, &first, 1), Received::Duplicate);
    assert_eq!(node.receive(1, &second, 1), Received::RelayedLater);
    assert_eq!(node.pushed(&second, 2), [2]);
    assert_eq!(node.engine.next_timeout(), Some(START.after(Duration::from_secs(10))));
    node.now = START.after(Duration::from_secs(10));
    node.engine.handle_timeout(node.now);
    assert_eq!(node.receive(1, &third, 1), Received::Duplicate);
    assert_eq!(node.outputs(), []);
    assert_eq!(node.engine.next_timeout(), None);
}

#[test]
fn forged_rounds_are_refused_and_neither_mark_nor_score() {
    let mut node = Node::subscribed(&["open"], 2);
    let item = node.item("open", b"1");
    for round in [0, 7, u32::MAX] {
        assert_eq!(node.receive(0, &item, round), Received::Refused(Refusal::Round));
        assert_eq!(node.outputs(), [refused(0, &item, Refusal::Round)]);
        assert!(!node.engine.is_known(&item.id()));
    }
    assert_eq!(node.receive(1, &item, 5), Received::Relayed);
    node.outputs();
    assert_eq!(node.receive(0, &item, 7), Received::Refused(Refusal::Round));
    assert_eq!(node.outputs(), [refused(0, &item, Refusal::Round)]);
}

#[test]
fn an_unchecked_copy_of_an_unknown_item_is_not_taken_in() {
    let mut node = Node::new(config(), 2);
    let item = node.item("open", b"1");
    let received = node.engine.copy_received(peer(0), item.id(), 1, node.now);
    assert_eq!(received, Received::Refused(Refusal::Unchecked));
    assert_eq!(node.outputs(), [refused(0, &item, Refusal::Unchecked)]);
    assert!(!node.engine.is_known(&item.id()));
}

#[test]
fn everybody_carries_unjudged_but_only_subscribers_are_delivered_to() {
    let mut node = Node::new(config(), 2);
    let item = node.item("blocks", b"1");
    assert_eq!(node.receive(0, &item, 1), Received::Relayed);
    assert_eq!(node.engine.poll_output(), Some(conduct(0, Conduct::DeliveredFirst)));
    assert_eq!(node.pushed(&item, 2), [1]);
    assert_eq!(node.engine.stats().delivered, 0);
}

#[test]
fn items_for_subscribers_go_to_subscribers_only() {
    let mut node = Node::new(config(), 4);
    let item = node.item("club", b"1");
    assert_eq!(node.receive(0, &item, 1), Received::Refused(Refusal::NotSubscribed));
    assert_eq!(node.outputs(), [refused(0, &item, Refusal::NotSubscribed)]);
    assert_eq!(node.engine.publish(item.clone(), START), Err(PublishError::NoPeers));

    let wish = ControlMessage { subscribe: vec![topic("club")], unsubscribe: Vec::new(), ..ControlMessage::default() };
    for index in [1, 3] {
        assert_eq!(node.engine.control_received(peer(index), wish.clone(), START), ControlReceived::Applied);
        let event = Event::PeerSubscribed { peer: peer(index), topic: topic("club") };
        assert_eq!(node.outputs(), [Output::Event(event)]);
    }
    assert_eq!(node.engine.publish(item.clone(), START), Ok(item.id()));
    assert_eq!(node.pushed(&item, 1), [1, 3]);
    assert_eq!(node.engine.publish(item, START), Err(PublishError::AlreadyKnown));

    let end = ControlMessage {
        subscribe: Vec::new(),
        unsubscribe: vec![topic("club"), topic("blocks")],
        ..ControlMessage::default()
    };
    assert_eq!(node.engine.control_received(peer(1), end, START), ControlReceived::Applied);
    let event = Event::PeerUnsubscribed { peer: peer(1), topic: topic("club") };
    assert_eq!(node.outputs(), [Output::Event(event)]);
    let second = node.item("club", b"2");
    node.engine.publish(second.clone(), START).unwrap();
    assert_eq!(node.pushed(&second, 1), [3]);
}

#[test]
fn subscriptions_are_told_to_who_is_there_and_to_who_comes() {
    let control = |index, subscribe: &[&str], unsubscribe: &[&str]| Output::Send {
        to: peer(index),
        message: Message::Control(Box::new(ControlMessage {
            subscribe: subscribe.iter().map(|name| topic(name)).collect(),
            unsubscribe: unsubscribe.iter().map(|name| topic(name)).collect(),
            ..ControlMessage::default()
        })),
        priority: Priority::High,
    };
    let mut node = Node::new(config(), 1);
    assert_eq!(node.engine.subscribe(topic("open")), Ok(Subscribed::Added));
    assert_eq!(node.engine.subscribe(topic("open")), Ok(Subscribed::AlreadyThere));
    assert_eq!(node.engine.subscribe(topic("club")), Ok(Subscribed::Added));
    assert_eq!(node.outputs(), [control(0, &["open"], &[]), control(0, &["club"], &[])]);
    assert_eq!(node.engine.peer_connected(peer(1), START), PeerConnected::Added);
    assert_eq!(node.outputs(), [control(1, &["club", "open"], &[])]);
    assert_eq!(node.engine.unsubscribe(&topic("club")), Unsubscribed::Removed);
    assert_eq!(node.engine.unsubscribe(&topic("club")), Unsubscribed::WasNotThere);
    assert_eq!(node.outputs(), [control(0, &[], &["club"]), control(1, &[], &["club"])]);
    assert_eq!(node.engine.subscribe(topic("x")), Err(SubscribeError::UnknownTopic(topic("x"))));
}

#[test]
fn subscriptions_that_did_not_leave_are_made_up_for() {
    let control = |subscribe: &[&str], unsubscribe: &[&str]| ControlMessage {
        subscribe: subscribe.iter().map(|name| topic(name)).collect(),
        unsubscribe: unsubscribe.iter().map(|name| topic(name)).collect(),
        ..ControlMessage::default()
    };
    let sent =
        |message| Output::Send { to: peer(0), message: Message::Control(Box::new(message)), priority: Priority::High };
    let mut node = Node::subscribed(&["open"], 1);
    node.engine.subscribe(topic("club")).unwrap();
    assert_eq!(node.outputs(), [sent(control(&["club"], &[]))]);
    node.engine.control_refused(peer(0), control(&["club"], &[]), START);
    assert_eq!(node.outputs(), [Output::Event(Event::ControlNotSent { peer: peer(0) })]);
    node.engine.unsubscribe(&topic("open"));
    assert_eq!(node.outputs(), [sent(control(&["club"], &["open"]))]);
    node.engine.control_refused(peer(0), control(&["club"], &["open"]), START);
    assert_eq!(node.outputs(), [Output::Event(Event::ControlNotSent { peer: peer(0) })]);
    node.engine.peer_writable(peer(0), START);
    assert_eq!(node.outputs(), [sent(control(&["club"], &["open"]))]);
    node.engine.peer_writable(peer(0), START);
    assert_eq!(node.outputs(), []);
    node.engine.frames_lost(peer(0), 1, START);
    let lost = Output::Event(Event::FramesLost { peer: peer(0), frames: 1 });
    assert_eq!(node.outputs(), [lost, sent(control(&["club"], &[]))]);
}

#[test]
fn subscriptions_end_at_their_limit_on_both_sides() {
    let config = Config { subscriptions_max: 2, other_topics: Some(base()), ..config() };
    let mut node = Node::new(config, 1);
    for name in ["a", "b"] {
        node.engine.subscribe(topic(name)).unwrap();
    }
    assert_eq!(node.engine.subscribe(topic("c")), Err(SubscribeError::TooMany(2)));
    node.outputs();
    let wish = |names: &[&str]| ControlMessage {
        subscribe: names.iter().map(|name| topic(name)).collect(),
        ..ControlMessage::default()
    };
    let applied = node.engine.control_received(peer(0), wish(&["a", "b", "a"]), START);
    assert_eq!(applied, ControlReceived::Applied);
    assert_eq!(node.outputs().len(), 2);
    let too_many = node.engine.control_received(peer(0), wish(&["b", "c"]), START);
    assert_eq!(too_many, ControlReceived::TooManyTopics);
    assert_eq!(node.outputs(), [conduct(0, Conduct::BrokeProtocol)]);
    assert_eq!(node.engine.topics_of(peer(0)).unwrap().len(), 2);
}

#[test]
fn a_verdict_after_the_deadline_is_harmless() {
    let mut node = Node::subscribed(&["blocks"], 2);
    let item = node.item("blocks", b"1");
    assert_eq!(node.receive(0, &item, 1), Received::Pending);
    node.outputs();
    let deadline = node.engine.next_timeout().unwrap();
    node.engine.handle_timeout(deadline.before(Duration::from_micros(1)));
    assert_eq!(node.outputs(), []);
    node.engine.handle_timeout(deadline);
    assert_eq!(node.outputs(), [Output::Event(Event::VerdictOverdue { id: item.id() })]);
    assert_eq!(node.engine.report(item.id(), Verdict::Accept, deadline), Reported::NotPending);
    assert_eq!(node.receive(1, &item, 1), Received::Duplicate);
    assert_eq!(node.outputs(), []);
    assert_eq!((node.engine.pending_count(), node.engine.pending_bytes()), (0, 0));
}

#[test]
fn who_uses_most_is_paused_and_resumed_and_the_limit_holds() {
    let config = Config { pending_items_max: 8, ..config() };
    let mut node = Node::new(config, 3);
    node.engine.subscribe(topic("blocks")).unwrap();
    node.outputs();
    let items: Vec<ItemMessage> = (0..12).map(|byte| node.item("blocks", &[byte])).collect();
    for (number, item) in items[..4].iter().enumerate() {
        assert_eq!(node.receive(0, item, 1), Received::Pending);
        let pause: &[Output] = if number == 2 { &[Output::Pause { to: peer(0) }] } else { &[] };
        assert_eq!(&node.outputs()[1..], pause);
    }
    // Its own half is used up, so what it had sent before is refused; the others still have room.
    assert_eq!(node.receive(0, &items[4], 1), Received::Refused(Refusal::NoRoom));
    assert_eq!(node.outputs(), [refused(0, &items[4], Refusal::NoRoom)]);
    assert!(!node.engine.is_known(&items[4].id()));
    assert_eq!(node.receive(1, &items[5], 1), Received::Pending);
    for item in &items[6..9] {
        assert_eq!(node.receive(2, item, 1), Received::Pending);
    }
    assert_eq!(node.outputs().len(), 4);
    assert_eq!(node.engine.pending_count(), 8);
    assert_eq!(node.receive(1, &items[9], 1), Received::Refused(Refusal::NoRoom));
    assert_eq!(node.outputs(), [refused(1, &items[9], Refusal::NoRoom)]);

    let mut after_each = Vec::new();
    for item in items[..4].iter().chain(&items[5..9]) {
        assert_eq!(node.engine.report(item.id(), Verdict::Ignore, node.now), Reported::Ignored);
        after_each.push(node.outputs());
    }
    assert_eq!(after_each[6], [Output::Resume { to: peer(0) }]);
    assert_eq!(after_each.concat().len(), 1);
}

#[test]
fn an_item_has_a_size_and_a_life_within_its_topics_limits() {
    let mut node = Node::subscribed(&["open"], 2);
    let fits = node.item("open", &[0; 1_000]);
    assert_eq!(node.receive(0, &fits, 1), Received::Relayed);
    node.outputs();
    let large = node.item("open", &[0; 1_001]);
    assert_eq!(node.receive(0, &large, 1), Received::Refused(Refusal::TooLarge));
    assert_eq!(node.outputs(), [refused(0, &large, Refusal::TooLarge), conduct(0, Conduct::BrokeProtocol)]);
    assert_eq!(node.engine.publish(large, START), Err(PublishError::TooLarge { size: 1_001, size_max: 1_000 }));

    let living_until = |node: &Node, expires_at| {
        let item = Item { expires_at, ..node.item("open", b"timed").item().clone() };
        node.sealer.seal(item, Moment { now: START, wall: START })
    };
    let latest = START.after(Duration::from_secs(1_200));
    let micro = Duration::from_micros(1_000);
    for (expires_at, refusal) in [(START, Refusal::Expired), (latest.after(micro), Refusal::ExpiresTooLate)] {
        let item = living_until(&node, expires_at);
        assert_eq!(node.receive(0, &item, 1), Received::Refused(refusal));
        assert_eq!(node.outputs(), [refused(0, &item, refusal)]);
        assert_eq!(node.engine.publish(item, START), Err(PublishError::Expiry));
    }
    for expires_at in [START.after(micro), latest] {
        let item = living_until(&node, expires_at);
        assert_eq!(node.receive(0, &item, 1), Received::Relayed);
    }
}

#[test]
fn an_item_that_expires_while_it_waits_is_not_relayed() {
    let mut node = Node::subscribed(&["blocks"], 2);
    let item = Item { expires_at: START.after(Duration::from_secs(5)), ..node.item("blocks", b"1").item().clone() };
    let item = node.sealer.seal(item, Moment { now: START, wall: START });
    assert_eq!(node.receive(0, &item, 1), Received::Pending);
    node.outputs();
    let late = START.after(Duration::from_secs(5));
    assert_eq!(node.engine.report(item.id(), Verdict::Accept, late), Reported::Expired);
    assert_eq!(node.outputs(), [conduct(0, Conduct::DeliveredFirst)]);
}

#[test]
fn a_stale_slot_changes_nothing_and_hears_nothing() {
    let mut node = Node::subscribed(&["blocks"], 3);
    let item = node.item("blocks", b"1");
    assert_eq!(node.receive(0, &item, 1), Received::Pending);
    node.outputs();
    node.engine.peer_disconnected(peer(0), START);
    assert_eq!(node.receive(0, &item, 1), Received::Refused(Refusal::StalePeer));
    assert_eq!(node.engine.control_received(peer(0), ControlMessage::default(), START), ControlReceived::StalePeer);
    node.engine.frame_refused(peer(0), item.id(), START);
    node.engine.frames_lost(peer(0), 3, START);
    node.engine.mismatch_received(peer(0), START);
    node.engine.malformed_received(peer(0), START);
    assert_eq!(node.outputs(), []);

    // The next holder of the index is not taken for the one who brought the item: it is neither praised nor passed over.
    let next = Slot::new(0, 1);
    assert_eq!(node.engine.peer_connected(next, START), PeerConnected::Added);
    node.outputs();
    assert_eq!(node.engine.report(item.id(), Verdict::Accept, START), Reported::Relayed);
    assert_eq!(node.pushed(&item, 2), [0, 1, 2]);
}

#[test]
fn peers_end_at_their_limit_and_a_new_holder_replaces_the_old() {
    let mut node = Node::new(Config { peers_max: 2, ..config() }, 2);
    assert_eq!(node.engine.peer_connected(peer(1), START), PeerConnected::AlreadyThere);
    assert_eq!(node.engine.peer_connected(peer(2), START), PeerConnected::NoRoom);
    assert_eq!(node.engine.peer_connected(Slot::new(1, 1), START), PeerConnected::Added);
    assert_eq!(node.engine.peer_count(), 2);
    assert_eq!(node.engine.topics_of(peer(1)), None);
    assert_eq!(node.outputs(), []);
}

#[test]
fn publishing_pushes_to_as_many_as_the_fan_out_and_can_be_repeated_when_nobody_was_there() {
    let mut node = Node::new(config(), 0);
    let item = node.engine.compose(topic("open"), Bytes::from_static(b"1"), START).unwrap();
    assert_eq!((item.expires_at, item.author), (START.after(Duration::from_secs(600)), None));
    let item = node.sealer.seal(item, Moment { now: START, wall: START });
    assert_eq!(node.engine.publish(item.clone(), START), Err(PublishError::NoPeers));
    for index in 0..5 {
        assert_eq!(node.engine.peer_connected(peer(index), START), PeerConnected::Added);
    }
    assert_eq!(node.engine.publish(item.clone(), START), Ok(item.id()));
    assert_eq!(node.pushed(&item, 1).len(), 3);
    assert_eq!(node.receive(0, &item, 2), Received::Duplicate);
    assert_eq!(node.outputs(), []);
    let unknown = node.engine.compose(topic("x"), Bytes::new(), START);
    assert_eq!(unknown, Err(PublishError::UnknownTopic(topic("x"))));
}

#[test]
fn what_came_another_way_is_neither_delivered_nor_relayed() {
    let mut node = Node::subscribed(&["open"], 2);
    let item = node.item("open", b"1");
    assert_eq!(node.engine.seen_elsewhere(item.id(), START), SeenElsewhere::Marked);
    assert_eq!(node.engine.seen_elsewhere(item.id(), START), SeenElsewhere::AlreadySeen);
    assert_eq!(node.receive(0, &item, 1), Received::Duplicate);
    assert_eq!(node.outputs(), []);
}

#[test]
fn what_does_not_leave_or_arrive_is_told() {
    let mut node = Node::new(config(), 2);
    let item = node.item("open", b"1");
    node.engine.frame_refused(peer(1), item.id(), START);
    node.engine.frames_lost(peer(0), 3, START);
    let events = [Event::FrameRefused { peer: peer(1), id: item.id() }, Event::FramesLost { peer: peer(0), frames: 3 }];
    assert_eq!(node.outputs(), events.map(Output::Event));
    assert_eq!((node.engine.stats().frames_refused, node.engine.stats().frames_lost), (1, 3));
    let items = vec![crate::Announced { id: item.id(), round: 1, root: None }; 3];
    node.engine.announcement_refused(peer(1), &Announcement { topic: topic("open"), items, is_ahead: false }, START);
    node.engine.control_refused(peer(0), ControlMessage { want: vec![item.id()], ..Default::default() }, START);
    let events = [Event::AnnouncementNotSent { peer: peer(1), ids: 3 }, Event::ControlNotSent { peer: peer(0) }];
    assert_eq!(node.outputs(), events.map(Output::Event));
    assert_eq!(node.engine.stats().frames_refused, 3);
}

#[test]
fn frames_that_lie_are_blamed() {
    let mut node = Node::new(config(), 2);
    node.engine.mismatch_received(peer(0), START);
    node.engine.malformed_received(peer(1), START);
    assert_eq!(node.outputs(), [conduct(0, Conduct::BrokeProtocol), conduct(1, Conduct::BrokeProtocol)]);
}

#[test]
fn a_pending_item_that_must_be_forgotten_is_told() {
    let mut node = Node::new(Config { seen_entries_max: 16, pending_items_max: 16, ..config() }, 1);
    node.engine.subscribe(topic("blocks")).unwrap();
    node.outputs();
    let oldest = node.item("blocks", b"oldest");
    assert_eq!(node.receive(0, &oldest, 1), Received::Pending);
    for byte in 0..15 {
        assert_eq!(node.receive(0, &node.item("open", &[byte]), 1), Received::Relayed);
    }
    node.outputs();
    assert_eq!(node.receive(0, &node.item("open", &[15]), 1), Received::Relayed);
    let forgotten = Output::Event(Event::Forgotten { id: oldest.id() });
    assert_eq!(node.outputs(), [forgotten, conduct(0, Conduct::DeliveredFirst)]);
    assert_eq!((node.engine.seen_count(), node.engine.pending_count(), node.engine.next_timeout()), (16, 0, None));
    assert_eq!(node.engine.report(oldest.id(), Verdict::Accept, START), Reported::NotPending);
}

#[test]
fn a_paused_reader_goes_on_when_what_it_waited_for_is_forgotten() {
    let mut node = Node::new(Config { seen_entries_max: 16, pending_items_max: 16, ..config() }, 1);
    node.engine.subscribe(topic("blocks")).unwrap();
    for byte in 0..5 {
        assert_eq!(node.receive(0, &node.item("blocks", &[byte]), 1), Received::Pending);
    }
    assert_eq!(node.outputs().last(), Some(&Output::Pause { to: peer(0) }));
    for byte in 0..13 {
        assert_eq!(node.receive(0, &node.item("open", &[byte]), 1), Received::Relayed);
    }
    assert_eq!(node.engine.pending_count(), 3);
    assert!(!node.outputs().contains(&Output::Resume { to: peer(0) }));
    assert_eq!(node.receive(0, &node.item("open", &[13]), 1), Received::Relayed);
    assert!(node.outputs().contains(&Output::Resume { to: peer(0) }));
}

#[test]
fn what_is_refused_at_a_glance_is_charged_like_any_other_copy_and_not_looked_for_any_more() {
    let ordinary = crate::Rate { items_per_second: 1, ..crate::Rate::UNLIMITED };
    let rates = crate::Rates { ordinary, ..crate::Rates::default() };
    let policy = Policy::SqrtAnnounce(crate::SqrtAnnounce::default());
    let topics = BTreeMap::from([(topic("open"), TopicConfig { policy, ..base() })]);
    let mut node = Node::new(Config { topics, rates, ..config() }, 2);
    let id = node.item("open", b"1").id();
    let items = vec![crate::Announced { id, round: 1, root: None }];
    let announcement = Announcement { topic: topic("open"), items, is_ahead: false };
    node.engine.announcement_received(peer(1), announcement, START);
    assert!(node.engine.is_looked_for(&id));
    let refused_at_a_glance = Received::Refused(Refusal::Precheck);
    assert_eq!(node.engine.precheck_failed(peer(1), id, 1, Precheck::Refuse, START), refused_at_a_glance);
    assert!(!node.engine.is_looked_for(&id) && !node.engine.is_known(&id));
    assert_eq!(node.engine.stats().rests, 0);
    for _ in 0..2 {
        assert_eq!(node.engine.precheck_failed(peer(1), id, 1, Precheck::Blame, START), refused_at_a_glance);
    }
    assert_eq!(node.engine.stats().rests, 1);
    node.outputs();
    let stale = node.engine.precheck_failed(Slot::new(1, 9), id, 1, Precheck::Blame, START);
    assert_eq!((stale, node.outputs()), (Received::Refused(Refusal::StalePeer), vec![]));
}

#[test]
fn fault_who_announces_what_nobody_has_leaves_room_for_all_others() {
    let open = TopicConfig { policy: "sqrt_announce".parse().unwrap(), ..base() };
    let config = Config {
        topics: BTreeMap::from([(topic("open"), open)]),
        other_topics: None,
        fetches_max: 16,
        announced_max: 16,
        ..Config::default()
    };
    let mut node = Node::new(config, 4);
    let mut taken = |from: u32, ids: u8| {
        let items = (0..ids).map(|id| Announced { id: ItemId::new([id + 64 * from as u8; 32]), round: 1, root: None });
        let announcement = Announcement { topic: topic("open"), items: items.collect(), is_ahead: false };
        let before = node.engine.stats().ids_refused;
        _ = node.engine.announcement_received(peer(from), announcement, START);
        u64::from(ids) - (node.engine.stats().ids_refused - before)
    };
    // Half of the room is for whoever comes first; of the other half each of four has a quarter.
    assert_eq!([0, 1].map(|from| taken(from, 20)), [8, 2]);
    assert_eq!([2, 3].map(|from| taken(from, 1)), [1, 1]);
    assert_eq!([2, 3].map(|from| taken(from, 3)), [2, 2], "one is known, one is new, one is too many");
}
