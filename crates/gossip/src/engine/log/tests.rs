use std::{collections::BTreeMap, time::Duration};

use super::*;
use crate::{
    Announced, Announcement, Config, ControlMessage, Finished, HopKind, PeerTraits, Policy, Received, Refusal,
    Reported, SqrtAnnounce, Tally, TopicConfig, Validation, Verdict,
    engine::{
        Output,
        tests::{Node, START, base, config, peer, topic},
    },
};
fn brought(from: u32, round: u32) -> Step<Slot> {
    Step::Brought { from: peer(from), round, kind: HopKind::Push }
}

#[test]
fn an_item_is_explained_from_its_bringer_to_those_that_got_it() {
    let mut node = Node::subscribed(&["blocks"], 9);
    let special = PeerTraits { is_special: true, ..PeerTraits::default() };
    node.engine.peer_described(peer(8), special, START);
    let item = node.item("blocks", b"1");
    assert_eq!(node.engine.explain(&item.id()), None);
    assert_eq!(node.receive(4, &item, 0), Received::Refused(Refusal::Round));
    assert_eq!(node.receive(5, &item, 2), Received::Pending);
    assert_eq!(node.receive(3, &item, 2), Received::Duplicate);
    let pending = node.engine.explain(&item.id()).unwrap();
    assert_eq!((pending.standing, pending.policy), (Standing::Pending, Some(base().policy)));
    assert_eq!(pending.tally.unwrap(), Tally { reached: 2, duplicates: 1, ..Tally::default() });

    let later = START.after(Duration::from_secs(3));
    assert_eq!(node.engine.report(item.id(), Verdict::Accept, later), Reported::Relayed);
    let told = node.engine.explain(&item.id()).unwrap();
    assert_eq!((told.standing, told.policy, told.tally), (Standing::Done, None, None));
    assert_eq!(told.brought_by(), Some(&peer(5)));
    let [refused, first, pushed @ .., finished, judged] = &told.steps[..] else { panic!("{told:?}") };
    assert_eq!(*refused, (START, Step::Refused { from: peer(4), refusal: Refusal::Round }));
    assert_eq!(*first, (START, brought(5, 2)));
    assert_eq!(*judged, (later, Step::Judged(Reported::Relayed)));
    assert_eq!(*finished, (later, Step::Finished(Finished::Pushed)));
    let sent = node.outputs();
    for (at, step) in pushed {
        let Step::Pushed { to, round: 3, why } = step else { panic!("{step:?}") };
        assert_eq!((*at, *why), (later, if *to == peer(8) { Why::Special } else { Why::Drawn }));
        assert!(sent.iter().any(|output| matches!(output, Output::Send { to: sent, .. } if sent == to)));
    }
    assert_eq!(pushed.len(), 4, "three drawn and the special one");
}

#[test]
fn what_is_announced_asked_for_and_answered_is_explained() {
    let policy = Policy::SqrtAnnounce(SqrtAnnounce { wait: Duration::ZERO, ..SqrtAnnounce::default() });
    let open = TopicConfig { policy, validation: Validation::Automatic, ..TopicConfig::default() };
    let topics = BTreeMap::from([(topic("open"), open)]);
    let mut node = Node::new(Config { topics, other_topics: None, ..Config::default() }, 4);
    let item = node.item("open", b"1");
    let items = vec![Announced { id: item.id(), round: 1, root: None }];
    let announcement = Announcement { topic: topic("open"), items, is_ahead: false };
    node.engine.announcement_received(peer(2), announcement, START);
    assert_eq!(node.engine.explain(&item.id()).unwrap().standing, Standing::LookedFor);
    assert_eq!(node.receive(2, &item, 1), Received::Relayed);
    let told = node.engine.explain(&item.id()).unwrap();
    assert_eq!(told.standing, Standing::Spreading);
    let steps: Vec<_> = told.steps.iter().map(|(_, step)| *step).collect();
    let [asked, first, Step::Pushed { to: one, .. }, Step::Pushed { to: two, .. }, Step::Announced { peers: 1 }] =
        steps[..]
    else {
        panic!("{steps:?}")
    };
    assert_eq!((asked, first), (Step::Asked { from: peer(2) }, brought(2, 1)));
    let third = [0, 1, 3].map(peer).into_iter().find(|slot| ![one, two].contains(slot)).unwrap();
    let want = ControlMessage { want: vec![item.id()], ..ControlMessage::default() };
    node.engine.control_received(third, want, START);
    node.engine.frame_refused(third, item.id(), START);
    let told = node.engine.explain(&item.id()).unwrap();
    let last: Vec<_> = told.steps.iter().rev().take(2).map(|(_, step)| *step).collect();
    assert_eq!(last, [Step::NotSent { to: third }, Step::Answered { to: third }]);
}

#[test]
fn so_many_steps_are_kept_and_an_item_of_which_none_is_left_is_known_by_its_standing() {
    for (steps_max, left) in [(0, 0), (1, 0), (2, 1), (3, 2)] {
        let mut node = Node::new(Config { explain_steps_max: steps_max, ..config() }, 1);
        let [first, second] = [b"1", b"2"].map(|payload| node.item("open", payload));
        assert_eq!(node.receive(0, &first, 1), Received::Relayed);
        assert_eq!(node.receive(0, &second, 7), Received::Refused(Refusal::Round));
        let told = node.engine.explain(&first.id()).unwrap();
        assert_eq!((told.standing, told.steps.len()), (Standing::Done, left), "{steps_max}");
    }
}

#[test]
fn a_flood_holds_no_more_than_the_steps_that_are_kept() {
    let mut node = Node::new(Config { explain_steps_max: 100, ..config() }, 4);
    for number in 0..1_000_u32 {
        let item = node.item("open", &number.to_be_bytes());
        assert_eq!(node.receive(0, &item, 1), Received::Relayed);
        assert!(node.engine.log.steps.len() <= 100);
        node.outputs();
    }
    assert_eq!((node.engine.log.steps.len(), size_of::<Entry>()), (100, 32));
}
