use std::time::Duration;

use bruit_address_book::{Config, Hearsay, Seed, Source};
use bruit_core::Endpoint;
use libp2p_identity::Keypair;
use proptest::prelude::*;

use super::*;

const T: Timestamp = Timestamp::from_secs(1_800_000_000);

fn peer(number: u32) -> PeerId {
    let mut bytes = [3; 32];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    Keypair::ed25519_from_bytes(bytes).unwrap().public().to_peer_id()
}

/// A book of endpoints `a.b.x.y`, each told by its own group.
fn book(endpoints: impl Iterator<Item = [u8; 4]>) -> AddressBook {
    let mut book = AddressBook::new(Config::default().validate().unwrap(), Seed::from_number(1));
    for ip in endpoints {
        let endpoint = Endpoint::tcp(ip.into(), 4_001);
        let source = Source::Peer { peer: peer(0), group: NetGroup::V4(u16::from_be_bytes([ip[2], ip[3]])) };
        book.heard(Hearsay { peer: None, endpoint, last_seen: None, source }, T);
    }
    book
}

/// So many outbound peers in groups of their own.
fn held(count: u16) -> impl Iterator<Item = Held> {
    (0..count).map(|number| {
        let group = NetGroup::V4(0x6300 + number);
        Held { group, root: Root::Group(group) }
    })
}

fn chosen(book: &mut AddressBook, target: usize) -> Vec<NetGroup> {
    let lineage = Lineage::default();
    let mut choosing = Choosing::new(target, false, &lineage, []);
    let (mut groups, mut dialled) = (Vec::new(), Vec::new());
    while groups.len() < target {
        let may_dial = |candidate: &Candidate<'_>| !dialled.contains(candidate.endpoint);
        let Some(choice) = choosing.next(book, may_dial, |_| 0, T) else { break };
        choosing.started(&choice);
        groups.push(choice.group);
        dialled.push(choice.endpoint);
    }
    groups
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn from_a_book_full_of_one_group_at_most_one_is_of_it(others in 2_u8..60, target in 8_usize..40) {
        let flood = (0..u16::from(others) * 9).map(|number| {
            let [a, b] = number.to_be_bytes();
            [66, 66, a, b]
        });
        let mut book = book((0..others).map(|number| [20, number, 1, 1]).chain(flood));
        let groups = chosen(&mut book, target);
        let of_flood = groups.iter().filter(|group| **group == NetGroup::V4(66 * 256 + 66)).count();
        prop_assert!(of_flood <= 1, "{} of {}", of_flood, groups.len());
        prop_assert!(groups.len() >= usize::from(others).min(target) / 2);
    }
}

#[test]
fn groups_are_distinct_while_there_are_any_and_shared_out_evenly_after_that() {
    let mut many = book((0..60).map(|number| [20, number, 1, 1]));
    let groups = chosen(&mut many, 32);
    assert_eq!(groups.iter().collect::<std::collections::BTreeSet<_>>().len(), 32);
    let mut few = book((0..80).map(|number| [20, number % 4, 1, number]));
    let groups = chosen(&mut few, 8);
    let mut counts: BTreeMap<NetGroup, usize> = BTreeMap::new();
    groups.iter().for_each(|group| *counts.entry(*group).or_default() += 1);
    assert_eq!(counts.values().copied().collect::<Vec<_>>(), [2, 2, 2, 2]);
    let mut one = book((0..80).map(|number| [20, 1, 1, number]));
    assert_eq!(chosen(&mut one, 8).len(), 8, "who has one group only lives with it");
}

fn named(domain: u16) -> Endpoint {
    Endpoint::from_multiaddr(&format!("/dns4/node.domain{domain}.example{domain}/tcp/4001").parse().unwrap()).unwrap().0
}

#[test]
fn fault_names_of_many_domains_are_one_group_since_they_may_lead_to_one_host() {
    let of_names = |addresses: u8, names: u16| {
        let mut book = book((0..addresses).map(|number| [20, number, 1, 1]));
        for number in 0..names {
            let source = Source::Peer { peer: peer(0), group: NetGroup::V4(number) };
            book.heard(Hearsay { peer: None, endpoint: named(number), last_seen: None, source }, T);
        }
        let groups = chosen(&mut book, 32);
        (groups.iter().filter(|group| matches!(group, NetGroup::Name(_))).count(), groups.len())
    };
    assert_eq!(of_names(40, 40).0, 1, "one, while there are other groups");
    assert_eq!(of_names(6, 40), (5, 11), "else an even share");
    assert_eq!(of_names(0, 40), (32, 32), "who has names only lives with them");
    assert_eq!(of_names(1, 40), (16, 17), "even where nearly everybody has one");

    let mut invented = book((0..60).map(|number| [20, number, 1, 1]));
    for number in 0..40 {
        let source = Source::Peer { peer: peer(0), group: NetGroup::V4(number) };
        invented.heard(Hearsay { peer: None, endpoint: named(number), last_seen: None, source }, T);
    }
    let lineage = Lineage::default();
    let mut choosing = Choosing::new(32, false, &lineage, []);
    let mut dialled = Vec::new();
    while dialled.len() < 32 {
        let may_dial =
            |candidate: &Candidate<'_>| candidate.endpoint.ip().is_none() && !dialled.contains(candidate.endpoint);
        let choice = choosing.next(&mut invented, may_dial, |_| 0, T).expect("addresses where nobody is take no slots");
        choosing.started(&choice);
        dialled.push(choice.endpoint);
    }
}

#[test]
fn fault_a_liar_fills_an_eighth_while_others_can_be_asked_and_never_what_others_can_fill() {
    let mut book = book((0..60).map(|number| [20, number, 1, 1]));
    let lineage = Lineage::default();
    let of_liar = |book: &mut AddressBook, may_ask| {
        let mut choosing = Choosing::new(32, may_ask, &lineage, []);
        let (mut liars, mut all) = (0, 0);
        while let Some(choice) = choosing.next(book, |_| true, |_| 0, T).filter(|_| all < 32) {
            choosing.started(&choice);
            liars += usize::from(choice.source == NetGroup::V4(0x0101));
            all += 1;
        }
        (liars, all)
    };
    assert_eq!(of_liar(&mut book, true), (4, 4));
    assert_eq!(of_liar(&mut book, false), (32, 32), "who has nobody else lives with one teller");
    for number in 0..20 {
        let (endpoint, teller) = (Endpoint::tcp([30, number, 1, 1].into(), 4_001), NetGroup::V4(number.into()));
        let source = Source::Peer { peer: peer(0), group: teller };
        book.heard(Hearsay { peer: None, endpoint, last_seen: None, source }, T);
    }
    let (liars, all) = of_liar(&mut book, false);
    assert!(all == 32 && (12..=13).contains(&liars), "{liars} of {all}");
}

#[test]
fn among_equals_whom_few_hold_comes_first_but_not_always() {
    let mut book = book(std::iter::empty());
    for number in 0..40_u8 {
        let endpoint = Endpoint::tcp([20, number, 1, 1].into(), 4_001);
        book.dial_succeeded(&endpoint, peer(number.into()), T);
    }
    let holders = |of: &PeerId| if (0..20).any(|number| peer(number) == *of) { 9 } else { 1 };
    let rare = (0..400).filter(|_| {
        let lineage = Lineage::default();
        let mut choosing = Choosing::new(8, false, &lineage, held(7));
        let choice = choosing.next(&mut book, |_| true, holders, T).unwrap();
        holders(&choice.peer.unwrap()) == 1
    });
    // Three of four: the better of two.
    let rare = rare.count();
    assert!((260..340).contains(&rare), "{rare} of 400");
}

#[test]
fn a_planted_partition_heals_sooner_than_with_uniform_choice() {
    // A node in a part of 45, all of whose peers hold one another, has an eighth of its slots free; of the other part it has
    // reached five, whom few hold.
    let mut book = book(std::iter::empty());
    for number in 0..50_u8 {
        book.dial_succeeded(&Endpoint::tcp([20, number, 1, 1].into(), 4_001), peer(number.into()), T);
    }
    let others: Vec<_> = (0..5).map(peer).collect();
    let by_rarity = |of: &PeerId| if others.contains(of) { 1 } else { 9 };
    let mut dials_until_healed = |holders: &dyn Fn(&PeerId) -> usize| {
        let mut dials = 0;
        for _ in 0..300 {
            let (lineage, mut dialled) = (Lineage::default(), Vec::new());
            let mut choosing = Choosing::new(32, false, &lineage, held(28));
            loop {
                let may_dial = |of: &Candidate<'_>| of.peer.is_none_or(|peer| !dialled.contains(peer));
                let choice = choosing.next(&mut book, may_dial, holders, T).unwrap();
                choosing.started(&choice);
                dials += 1;
                let peer = choice.peer.unwrap();
                if others.contains(&peer) {
                    break;
                }
                dialled.push(peer);
            }
        }
        dials
    };
    let (rare, uniform) = (dials_until_healed(&by_rarity), dials_until_healed(&|_| 1));
    assert!(rare * 4 < uniform * 3, "{rare} dials to {uniform} until the parts met, in 300 networks");
}

#[test]
fn fault_who_was_reached_before_the_attackers_prevails_after_a_restart() {
    let mut book = book((0..250).map(|number| [77, number, 1, number]));
    let attacked = T.after(Duration::from_secs(86_400));
    for number in 0..40_u8 {
        book.dial_succeeded(&Endpoint::tcp([20, number, 1, 1].into(), 4_001), peer(number.into()), T);
    }
    for number in 0..40_u8 {
        let bot = Endpoint::tcp([66, number, 1, 1].into(), 4_001);
        book.dial_succeeded(&bot, peer(100 + u32::from(number)), attacked);
    }
    let is_honest = |choice: &Choice| choice.group < NetGroup::V4(21 << 8);
    let (lineage, mut first, mut last) = (Lineage::default(), 0, 0);
    for _ in 0..50 {
        let mut choosing = Choosing::new(32, false, &lineage, []);
        for number in 0..32 {
            let choice = choosing.next(&mut book, |_| true, |_| 0, attacked).unwrap();
            choosing.started(&choice);
            let counted = if number < 28 { &mut first } else { &mut last };
            *counted += usize::from(is_honest(&choice));
        }
    }
    // The last ones come half out of what was only heard of, and half out of what was reached.
    assert!(first > 50 * 25, "{first} of 1,400 are honest, while the proven come first");
    assert!((10..90).contains(&last), "{last} of 200 are honest, after that");
}

#[test]
fn the_proven_come_first_until_so_many_slots_are_taken() {
    let mut book = book((0..40).map(|number| [77, number, 1, number]));
    for number in 0..4_u8 {
        book.dial_succeeded(&Endpoint::tcp([20, number, 1, 1].into(), 4_001), peer(number.into()), T);
    }
    let lineage = Lineage::default();
    let mut reached = |most, taken, unanswered| {
        let draw = |_: &_| {
            let mut choosing = Choosing::new(32, false, &lineage, held(taken)).filling(most, unanswered);
            // Whoever was dialled within ten minutes hardly is again.
            let later = T.after(Duration::from_secs(3_600));
            choosing.next(&mut book, |_| true, |_| 0, later).unwrap().table == Table::Tried
        };
        (0..100).filter(draw).count()
    };
    let first = [(32, 0, 0), (32, 27, 0), (32, 32, 5), (36, 30, 0)];
    assert_eq!(first.map(|(most, taken, unanswered)| reached(most, taken, unanswered)), [100; 4]);
    let last =
        [(32, 28, 0), (32, 32, 4), (36, 31, 0)].map(|(most, taken, unanswered)| reached(most, taken, unanswered));
    assert!(last.iter().all(|reached| (30..70).contains(reached)), "{last:?}");
}

#[test]
fn fault_who_is_reached_no_more_does_not_keep_strangers_away() {
    let mut book = book((0..40).map(|number| [77, number, 1, number]));
    for number in 0..40_u8 {
        book.dial_succeeded(&Endpoint::tcp([20, number, 1, 1].into(), 4_001), peer(number.into()), T);
    }
    let (lineage, later) = (Lineage::default(), T.after(Duration::from_secs(3_600)));
    let mut choosing = Choosing::new(32, false, &lineage, []);
    let mut strangers = 0;
    // Peering lets all of *tried* rest: they are gone, or full.
    let may_dial = |of: &Candidate<'_>| of.table != Table::Tried;
    while let Some(choice) = choosing.next(&mut book, may_dial, |_| 0, later).filter(|_| strangers < 32) {
        choosing.started(&choice);
        strangers += 1;
    }
    assert_eq!(strangers, 32);
}
