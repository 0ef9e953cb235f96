use super::*;
use crate::NeighboursFor;

fn exchange_for(neighbours_for: NeighboursFor) -> Exchange<u8> {
    let config =
        Config { neighbours_for, neighbours_secs: Some(60), neighbours_max: 4, ask: AskWhom::Nobody, ..plain() };
    let mut exchange = exchange(config);
    for peer in 1..=8 {
        connect(&mut exchange, peer, peer <= 4, at(0));
    }
    exchange
}

#[test]
fn every_peer_is_asked_once_a_minute() {
    let mut exchange = exchange_for(NeighboursFor::Nobody);
    let mut asked = [0; 9];
    for secs in 0..600 {
        for output in outputs(&mut exchange, at(secs)) {
            let Output::AskNeighbours(peer) = output else { panic!("{output:?}") };
            asked[usize::from(peer)] += 1;
        }
    }
    assert!(asked[1..].iter().all(|count| (8..=13).contains(count)), "{asked:?}");
}

#[test]
fn whom_this_node_dialled_is_told_some_the_same_for_an_hour() {
    let mut exchange = exchange_for(NeighboursFor::Dialled);
    exchange.peer_hidden(2);
    let told = exchange.neighbours_asked(1, at(0));
    assert_eq!(told.len(), 4);
    assert!(!told.contains(&1) && !told.contains(&2));
    assert_eq!(exchange.neighbours_asked(1, at(29)), [], "too early");
    assert_eq!(exchange.neighbours_asked(1, at(30)), told);
    let later: Vec<_> = (1..20).map(|hour| exchange.neighbours_asked(1, at(hour * 3_600))).collect();
    assert!(later.iter().any(|list| *list != told), "others each hour");
    assert_eq!(exchange.neighbours_asked(5, at(0)), [], "it dialled us");
    assert_eq!(exchange_for(NeighboursFor::Everybody).neighbours_asked(5, at(0)).len(), 4);
    assert_eq!(exchange_for(NeighboursFor::Nobody).neighbours_asked(1, at(0)), []);
}

#[test]
fn holders_are_counted_until_they_leave() {
    let mut exchange = exchange_for(NeighboursFor::Nobody);
    exchange.neighbours_received(1, vec![10, 11], at(0));
    exchange.neighbours_received(2, vec![11], at(0));
    assert_eq!([10, 11, 12].map(|peer| exchange.holders(&peer)), [1, 2, 0]);
    assert_eq!(exchange.neighbours_of(&1).collect::<Vec<_>>(), [10, 11]);
    exchange.neighbours_received(1, vec![12], at(60));
    exchange.peer_disconnected(2, at(60));
    assert_eq!([10, 11, 12].map(|peer| exchange.holders(&peer)), [0, 0, 1]);
}

#[test]
fn fault_a_lying_neighbour_counts_once_and_fills_nothing() {
    let mut exchange = exchange_for(NeighboursFor::Nobody);
    let list = |count: u8| [vec![50; 100], (100..100 + count).collect()].concat();
    assert_eq!([2, 3, 4].map(|count| exchange.neighbours_received(1, list(count), at(0)).len()), [1, 1, 1]);
    let fresh = |count: u8| (100..100 + count).collect::<Vec<_>>();
    assert_eq!([3, 4, 5].map(|count| exchange.neighbours_received(1, fresh(count), at(0)).len()), [3, 4, 4]);
    exchange.neighbours_received(1, vec![50; 1_000], at(0));
    assert_eq!(exchange.holders(&50), 1);
    assert_eq!(exchange.neighbours_received(1, vec![1, 50], at(0)), [50], "nobody is its own neighbour");
    assert_eq!(exchange.neighbours_received(99, vec![50], at(0)), [], "who is not connected is not heard");
    exchange.peer_disconnected(1, at(0));
    assert_eq!(exchange.holders(&50), 0, "nothing lasts");
}
