use super::*;

const HORIZON_SECS: u64 = 30 * 24 * 3_600;

fn at(secs: u64) -> Timestamp {
    Timestamp::from_secs(1_000_000_000 + secs)
}

fn new_entry(last: u8) -> NewEntry {
    NewEntry {
        endpoint: Endpoint::tcp([1, 2, 3, last].into(), 5),
        group: NetGroup::V4(0x0102),
        peer: None,
        source: NetGroup::V4(7),
        told_by: None,
        is_own_claim: false,
        is_unheard: false,
        first_seen: Secs::of(at(0)),
        last_seen: Secs::of(at(0)),
    }
}

fn entry() -> Entry {
    let mut entries = Entries::new(Seed::from_number(1));
    let number = entries.insert(new_entry(1));
    entries.get(number).unwrap().clone()
}

#[test]
fn an_entry_takes_64_bytes() {
    assert_eq!((size_of::<Entry>(), size_of::<Option<Entry>>()), (64, 64));
}

#[test]
fn an_entry_is_terrible_by_age_and_by_failures() {
    let is_terrible = |entry: Entry, secs| entry.is_terrible(HORIZON_SECS, Secs::of(at(secs)));
    let by_age = [HORIZON_SECS - 1, HORIZON_SECS, HORIZON_SECS + 1].map(|secs| is_terrible(entry(), secs));
    assert_eq!(by_age, [false, false, true]);
    let never = |failures| is_terrible(Entry { failures, ..entry() }, 100);
    assert_eq!([2, 3, 4].map(never), [false, true, true]);
    let week = u64::from(SUCCESS_COUNTS_SECS);
    let once = |failures, secs| is_terrible(Entry { failures, last_success: Secs::of(at(0)), ..entry() }, secs);
    assert_eq!([week - 1, week, week + 1].map(|secs| once(10, secs)), [false, false, true]);
    assert_eq!([9, 10, 11].map(|failures| once(failures, week + 1)), [false, true, true]);
    let just_tried = Entry { failures: 9, last_attempt: Secs::of(at(0)), ..entry() };
    assert_eq!([59, 60, 61].map(|secs| is_terrible(just_tried.clone(), secs)), [false, true, true]);
}

#[test]
fn chance_falls_with_failures_and_right_after_an_attempt() {
    let chance = |failures, secs| Entry { failures, last_attempt: Secs::of(at(0)), ..entry() }.chance(at(secs));
    assert_eq!(entry().chance(at(0)), 1.0);
    assert_eq!([599, 600, 601].map(|secs| chance(0, secs)), [0.01, 1.0, 1.0]);
    assert!((chance(2, 600) - 0.4356).abs() < 1e-9);
    assert!(chance(7, 600) > chance(8, 600));
    assert_eq!(chance(8, 600), chance(9, 600));
}

#[test]
fn what_shows_no_sign_of_life_fades() {
    let fades = u64::from(FADES_SECS);
    let chances = [fades - 1, fades, fades + 1, 2 * fades, 4 * fades].map(|secs| entry().chance(at(secs)));
    assert_eq!(chances, [1.0, 0.5, 0.5, 0.25, 0.0625]);
}

#[test]
fn sources_and_tellers_stay_as_long_as_an_entry_names_them() {
    let mut entries = Entries::new(Seed::from_number(1));
    let teller: PeerId = "12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq".parse().unwrap();
    let one = entries.insert(NewEntry { told_by: Some(teller), ..new_entry(1) });
    let two = entries.insert(NewEntry { told_by: Some(teller), peer: Some(4), ..new_entry(2) });
    assert_eq!((entries.orphans(), entries.groups().collect::<Vec<_>>()), (1, vec![(NetGroup::V4(0x0102), 2)]));
    entries.add_source(one, NetGroup::V4(8));
    entries.add_source(one, NetGroup::V4(9));
    let sources = |entries: &Entries| entries.sources(one).collect::<Vec<_>>();
    assert_eq!(sources(&entries), [7, 8, 9].map(NetGroup::V4));
    entries.retain_sources(one, |_, source| source == NetGroup::V4(8));
    assert_eq!(sources(&entries), [NetGroup::V4(8)]);
    entries.retain_sources(one, |_, _| false);
    assert_eq!(sources(&entries), [NetGroup::V4(8)]);
    assert_eq!((entries.take_told_by(one), entries.take_told_by(one)), (Some(teller), None));
    assert_eq!(entries.set_peer(one, Some(3)), None);
    assert_eq!(entries.orphans(), 0);
    assert!(entries.remove(one).is_some() && entries.find(&new_entry(1).endpoint).is_none());
    assert_eq!(entries.find(&new_entry(2).endpoint), Some(two));
    assert_eq!((entries.sources.find(&NetGroup::V4(9)), entries.tellers.find(&teller).is_some()), (None, true));
    entries.remove(two);
    assert_eq!((entries.len(), entries.tellers.find(&teller), entries.sources.iter().count()), (0, None, 0));
}
