use std::{collections::BTreeMap, time::Duration};

use bruit_core::NetworkId;
use libp2p_identity::Keypair;

use super::*;
use crate::{
    Announced, Announcement, Bytes, Config, ControlMessage, Item, Message, Moment, PeerTraits, Policy, PublishError,
    Sealer, SqrtAnnounce,
    engine::tests::{Node, START, base, peer, topic},
};

fn key(byte: u8) -> Keypair {
    Keypair::ed25519_from_bytes([byte; 32]).unwrap()
}

fn written_by(key: &Keypair, payload: &'static [u8]) -> ItemMessage {
    let author = Some(key.public().to_peer_id());
    let expires_at = START.after(Duration::from_secs(60));
    let item = Item { topic: topic("open"), author, nonce: 0, expires_at, payload: Bytes::from_static(payload) };
    Sealer::new(&NetworkId::new("test").unwrap()).seal(item, Moment { now: START, wall: START })
}

fn node(signatures: Signatures, policy: Policy) -> Node {
    let open = TopicConfig { signatures, policy, validation: Validation::Automatic, ..base() };
    let topics = BTreeMap::from([(topic("open"), open)]);
    let mut node = Node::new(Config { topics, other_topics: None, ..Config::default() }, 4);
    node.engine.subscribe(topic("open")).unwrap();
    node.outputs();
    node
}

/// The item with the signature of another one: what anybody can put beside a body.
fn with_foreign_signature(item: &ItemMessage, key: &Keypair) -> ItemMessage {
    let other = written_by(key, b"another").signed_by(key).unwrap();
    item.with_signature(other.signature().cloned())
}

fn copies(outputs: &[Output]) -> Vec<&ItemMessage> {
    let copy = |output| match output {
        &Output::Send { message: Message::Item(ref message), .. } => Some(message),
        Output::Send { .. } | Output::Pause { .. } | Output::Resume { .. } | Output::Event(_) => None,
    };
    outputs.iter().filter_map(copy).collect()
}

#[test]
fn a_signed_item_is_delivered_and_relayed_with_its_signature() {
    let mut node = node(Signatures::Required, base().policy);
    let item = written_by(&key(1), b"1").signed_by(&key(1)).unwrap();
    assert_eq!(node.receive(0, &item, 1), Received::Relayed);
    let outputs = node.outputs();
    assert_eq!(copies(&outputs).len(), 3);
    assert!(copies(&outputs).iter().all(|copy| copy.is_signed() && copy.signature() == item.signature()));
}

#[test]
fn by_every_policy_each_copy_that_is_pushed_stemmed_or_served_carries_the_signature() {
    for name in Policy::NAMES {
        let mut node = node(Signatures::Required, name.parse().unwrap());
        (0..4).for_each(|of| {
            let traits = PeerTraits { is_outbound: true, ..PeerTraits::default() };
            node.engine.peer_described(peer(of), traits, START);
        });
        let item = written_by(&key(1), b"1").signed_by(&key(1)).unwrap();
        node.engine.publish(item.clone(), START).unwrap();
        let mut outputs = node.outputs();
        let want = ControlMessage { want: vec![item.id()], ..ControlMessage::default() };
        for _ in 0..8 {
            (0..4).for_each(|from| _ = node.engine.control_received(peer(from), want.clone(), START));
            node.engine.next_timeout().into_iter().for_each(|at| node.engine.handle_timeout(at));
            outputs.extend(node.outputs());
        }
        assert!(!copies(&outputs).is_empty(), "{name}");
        assert!(copies(&outputs).iter().all(|copy| copy.signature() == item.signature()), "{name}");
    }
}

#[test]
fn fault_a_false_signature_is_refused_and_blamed_and_does_not_keep_the_true_one_out() {
    let mut node = node(Signatures::Required, base().policy);
    let item = written_by(&key(1), b"1");
    let refused = |refusal| Output::Event(Event::Refused { peer: peer(0), id: item.id(), refusal });
    let blame = Output::Event(Event::Conduct { peer: peer(0), conduct: Conduct::DeliveredInvalid });
    let false_one = with_foreign_signature(&item, &key(1));
    assert_eq!(node.receive(0, &false_one, 1), Received::Refused(Refusal::Signature));
    assert_eq!(node.outputs(), [refused(Refusal::Signature), blame]);
    // Who passed on an item without its signature may be of a version that knows none.
    assert_eq!(node.receive(0, &item, 1), Received::Refused(Refusal::Unsigned));
    assert_eq!(node.outputs(), [refused(Refusal::Unsigned)]);
    assert!(!node.engine.is_known(&item.id()));
    assert_eq!(node.receive(1, &item.signed_by(&key(1)).unwrap(), 1), Received::Relayed);
    node.outputs();
    // Known: it is not verified again, and says nothing of its sender.
    assert_eq!(node.receive(0, &false_one, 1), Received::Duplicate);
    assert_eq!(node.outputs(), []);
}

#[test]
fn fault_a_false_signature_does_not_end_the_search_for_an_item() {
    let policy = Policy::SqrtAnnounce(SqrtAnnounce { wait: Duration::ZERO, ..SqrtAnnounce::default() });
    let mut node = node(Signatures::Required, policy);
    let item = written_by(&key(1), b"1");
    for from in [0, 1] {
        let items = vec![Announced { id: item.id(), round: 1, root: None }];
        let announcement = Announcement { topic: topic("open"), items, is_ahead: false };
        node.engine.announcement_received(peer(from), announcement, START);
    }
    node.outputs();
    let false_one = with_foreign_signature(&item, &key(1));
    assert_eq!(node.receive(0, &false_one, 1), Received::Refused(Refusal::Signature));
    assert!(node.engine.is_looked_for(&item.id()));
    let asks = |output: &Output| match output {
        Output::Send { to, message: Message::Control(message), .. } => *to == peer(1) && message.want == [item.id()],
        Output::Send { .. } | Output::Pause { .. } | Output::Resume { .. } | Output::Event(_) => false,
    };
    assert!(node.outputs().iter().any(asks), "the next source is asked at once");
    assert_eq!(node.engine.stats().wants_unanswered, 0);
    // Nobody is left to ask; a signed copy that comes by itself is taken all the same.
    assert_eq!(node.receive(1, &item, 1), Received::Refused(Refusal::Unsigned));
    assert!(!node.outputs().iter().any(asks));
    assert_eq!(node.receive(0, &item.signed_by(&key(1)).unwrap(), 1), Received::Relayed);
}

#[test]
fn where_nobody_signs_signatures_are_not_passed_on_and_where_all_do_none_is_published_without() {
    let mut open = node(Signatures::Off, base().policy);
    let item = written_by(&key(1), b"1");
    let false_one = with_foreign_signature(&item, &key(1));
    assert_eq!(open.receive(0, &false_one, 1), Received::Relayed);
    assert!(copies(&open.outputs()).iter().all(|copy| copy.signature().is_none()));

    let mut strict = node(Signatures::Required, base().policy);
    for bad in [&item, &false_one] {
        assert_eq!(strict.engine.publish(bad.clone(), START), Err(PublishError::Unsigned));
    }
    assert!(strict.engine.publish(item.signed_by(&key(1)).unwrap(), START).is_ok());
}

#[test]
fn fault_who_brings_more_than_it_may_costs_no_check_of_signatures() {
    let open = TopicConfig { signatures: Signatures::Required, validation: Validation::Automatic, ..base() };
    let ordinary = crate::Rate { items_per_second: 1, ..crate::Rate::UNLIMITED };
    let rates = crate::Rates { ordinary, ..crate::Rates::default() };
    let topics = BTreeMap::from([(topic("open"), open)]);
    let mut node = Node::new(Config { topics, rates, other_topics: None, ..Config::default() }, 2);
    let item = with_foreign_signature(&written_by(&key(1), b"1"), &key(1));
    let refusals: Vec<_> = (0..6).map(|_| node.receive(0, &item, 1)).collect();
    let [looked_at, passed_over] = [Refusal::Signature, Refusal::OverRate].map(Received::Refused);
    assert_eq!(refusals, [looked_at, looked_at, looked_at, looked_at, passed_over, passed_over]);
}
