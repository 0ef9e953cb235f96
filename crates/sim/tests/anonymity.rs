//! What those learn who look where items come from.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

use bruit_core::Seed;
use bruit_gossip::{Dandelion, Policy};
use bruit_sim::{
    Overlay,
    gossip::{Experiment, Measures, Subscribers, Unmasking},
};

const FANOUT: Policy = Policy::Fanout { peers: 16, rounds: 6 };

fn watched(policy: Policy, tapped_share: f64) -> Measures {
    let overlay = Overlay::random(100, 8, &Seed::from_number(1)).unwrap();
    let experiment = Experiment {
        subscribers: Subscribers::Nobody,
        messages: 50,
        tapped_share,
        ..Experiment::new(overlay, policy, Seed::from_number(1))
    };
    experiment.run().unwrap()
}

#[test]
fn who_taps_all_links_names_every_origin_and_who_taps_fewer_names_fewer() {
    let learned = |share| watched(FANOUT, share).overheard;
    assert_eq!(learned(0.0), None);
    assert_eq!(learned(1.0).map(|learned| learned.recall), Some(1.0));
    // With one link in a hundred a first copy is mostly not heard where it begins.
    let Unmasking { recall, precision } = learned(0.01).unwrap();
    assert!(recall < 0.5 && precision <= recall, "{recall} {precision}");
}

#[test]
fn stems_keep_from_an_eavesdropper_what_they_keep_from_spies() {
    let recall = |policy| watched(policy, 0.2).overheard.unwrap().recall;
    let (open, hidden) = (recall(FANOUT), recall(Policy::Dandelion(Dandelion::default())));
    assert!(open > 0.9 && hidden < 0.5, "{open} {hidden}");
}

#[test]
fn to_tap_links_changes_nothing_for_those_who_talk() {
    assert_eq!(watched(FANOUT, 0.0).trace, watched(FANOUT, 0.5).trace);
}
