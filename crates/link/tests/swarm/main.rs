//! Two or more swarms over memory transport: are connections, lanes and slots translated right?

mod faults;
mod net;
mod rogue;

use bruit_link::{Admission, Config, Event, Push};
use net::{LANES, Net, frame};

#[tokio::test]
async fn frames_arrive_whole_and_in_order_on_each_lane() {
    let (mut net, slot) = Net::pair(Config::default()).await;
    for n in 0..20_000 {
        let len = if n % 100 == 0 { 100_000 } else { n as usize * 37 % 3_000 };
        assert_eq!(net.push(0, slot, frame((n % 2) as u32, n, len)), Push::Queued);
        if n % 1_000 == 999 {
            net.until(|net| net.seen[1].frames.len() as u64 == n + 1).await;
        }
    }
    for lane in 0..LANES {
        let sent: Vec<u64> = (0..20_000).filter(|n| n % 2 == u64::from(lane)).collect();
        assert_eq!(net.numbers(1, lane), sent);
    }
    for node in 0..2 {
        assert!(matches!(net.seen[node].events[..], [Event::Up { .. }]), "{:?}", net.seen[node].events);
    }
    let traffic = net.links(0).traffic(slot, 1).unwrap();
    assert_eq!((traffic.sent.frames, traffic.received.frames), (10_000, 0));
}

#[tokio::test]
async fn writing_is_handed_on_when_its_connection_closes() {
    let (mut net, slot) = Net::pair(Config::default()).await;
    net.connect(0, 1).await;
    net.connect(1, 0).await;
    let mut pushed = 0;
    for left in [2, 1] {
        for _ in 0..2_000 {
            assert_eq!(net.push(0, slot, frame(pushed as u32 % LANES, pushed, 1_000)), Push::Queued);
            pushed += 1;
        }
        let before = net.seen[1].frames.len();
        net.until(|net| net.seen[1].frames.len() >= before + 100).await;
        let oldest = net.seen[0].connections[0];
        assert!(net.swarms[0].close_connection(oldest));
        net.until(|net| net.seen[0].connections.len() == left && net.seen[1].connections.len() == left).await;
        net.settle().await;
        let sent: u64 = (0..LANES).map(|lane| net.links(0).traffic(slot, lane).unwrap().sent.frames).sum();
        assert_eq!(sent + lost(&net, 0), pushed);
    }
    let handed_on = pushed;
    for _ in 0..2_000 {
        assert_eq!(net.push(0, slot, frame(pushed as u32 % LANES, pushed, 100)), Push::Queued);
        pushed += 1;
    }
    net.settle().await;
    for lane in 0..LANES {
        let mut numbers = net.numbers(1, lane);
        let after: Vec<u64> = (handed_on..pushed).filter(|n| n % u64::from(LANES) == u64::from(lane)).collect();
        assert_eq!(numbers[numbers.len() - after.len()..], after);
        let count = numbers.len();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), count, "frames were doubled");
    }
    assert!(net.seen[1].frames.len() as u64 + lost(&net, 0) <= pushed);
}

#[tokio::test]
async fn what_is_queued_when_the_last_connection_closes_is_told_as_lost() {
    let (mut net, slot) = Net::pair(Config::default()).await;
    let (peer, theirs) = (net.id(1), net.slot(1, 0).await);
    net.links(1).pause(theirs, 0);
    for n in 0..300 {
        assert_eq!(net.push(0, slot, frame(0, n, 10_000)), Push::Queued);
    }
    net.settle().await;
    let sent = net.links(0).traffic(slot, 0).unwrap().sent.frames;
    assert!((20..200).contains(&sent), "{sent}");
    net.swarms[0].disconnect_peer_id(peer).unwrap();
    net.until(|net| net.seen[0].closed == 1 && net.seen[1].closed == 1).await;
    assert_eq!(net.seen[0].events[1..], [Event::Down { slot, peer, frames_lost: 300 - sent }]);
    assert!(matches!(net.seen[1].events[1..], [Event::Down { frames_lost: 0, .. }]));
    assert_eq!(net.push(0, slot, frame(0, 0, 0)), Push::NoSuchPeer(frame(0, 0, 0)));
    assert_eq!((net.links(0).slot(&peer), net.links(0).peer(slot)), (None, None));

    net.connect(1, 0).await;
    let next = net.slot(0, 1).await;
    assert_ne!(next, slot);
    assert_eq!(net.push(0, next, frame(0, 7, 10)), Push::Queued);
    net.until(|net| net.numbers(1, 0) == [7]).await;
}

#[tokio::test]
async fn a_paused_lane_waits_and_the_other_does_not() {
    let (mut net, slot) = Net::pair(Config::default()).await;
    let theirs = net.slot(1, 0).await;
    net.links(1).pause(theirs, 1);
    for n in 0..400 {
        assert_eq!(net.push(0, slot, frame((n % 2) as u32, n, 5_000)), Push::Queued);
    }
    net.until(|net| net.numbers(1, 0).len() == 200).await;
    net.settle().await;
    assert_eq!(net.numbers(1, 1), []);
    net.links(1).resume(theirs, 1);
    net.until(|net| net.seen[1].frames.len() == 400).await;
    assert_eq!(net.numbers(1, 1), (0..400).filter(|n| n % 2 == 1).collect::<Vec<_>>());
}

#[tokio::test]
async fn streams_of_a_peer_that_is_not_admitted_wait_unread() {
    let mut net = Net::new(2, Admission::ByOwner).await;
    net.connect(0, 1).await;
    let (zero, one) = (net.id(0), net.id(1));
    net.settle().await;
    assert!(net.seen.iter().all(|seen| seen.events.is_empty()));

    net.links(1).admit(zero);
    let slot = net.slot(1, 0).await;
    for n in 0..10 {
        assert_eq!(net.push(1, slot, frame(0, n, 10)), Push::Queued);
    }
    net.settle().await;
    assert_eq!((net.seen[0].events.len(), net.seen[0].frames.len()), (0, 0));
    net.links(0).admit(one);
    net.until(|net| net.seen[0].frames.len() == 10).await;

    let dismissed = net.slot(0, 1).await;
    assert_eq!(net.push(0, dismissed, frame(1, 0, 10)), Push::Queued);
    net.links(0).dismiss(one);
    assert_eq!(net.push(0, dismissed, frame(1, 1, 10)), Push::NoSuchPeer(frame(1, 1, 10)));
    net.until(|net| net.seen[0].slots.is_empty()).await;
    assert_eq!(net.seen[0].events[1..], [Event::Down { slot: dismissed, peer: one, frames_lost: 1 }]);
    net.settle().await;
    assert_eq!(net.push(1, slot, frame(0, 10, 10)), Push::Queued);
    net.settle().await;
    net.links(0).admit(one);
    let readmitted = net.slot(0, 1).await;
    assert_ne!(readmitted, dismissed);
    assert_eq!(net.push(1, slot, frame(0, 11, 10)), Push::Queued);
    net.until(|net| net.numbers(0, 0).last() == Some(&11)).await;
    assert!(net.seen.iter().all(|seen| seen.closed == 0));
}

#[tokio::test]
async fn lanes_do_not_keep_a_connection_but_the_setting_does() {
    let mut net = Net::impatient(3).await;
    net.connect(0, 1).await;
    net.connect(0, 2).await;
    let slot = net.slot(0, 1).await;
    net.slot(0, 2).await;
    net.settle().await;
    let (zero, two) = (net.id(0), net.id(2));
    net.links(0).set_keep_alive(two, false);
    net.links(2).set_keep_alive(zero, false);
    net.until(|net| net.seen[0].closed == 1 && net.seen[2].closed == 1).await;
    assert!(!net.seen[0].slots.contains_key(&two));
    assert_eq!(net.push(0, slot, frame(0, 1, 1)), Push::Queued);
    net.until(|net| net.numbers(1, 0) == [1]).await;
}

#[tokio::test]
async fn limits_of_peers_and_of_connections_hold() {
    let config = Config { peers_max: 1, connections_per_peer_max: 2, ..Config::default() };
    let mut net = Net::with(3, Admission::Automatic, config).await;
    net.connect(0, 1).await;
    net.connect(0, 1).await;
    net.slot(0, 1).await;
    net.dial(0, 1);
    net.dial(0, 2);
    net.until(|net| net.seen[0].refused == 2).await;
    net.settle().await;
    assert_eq!((net.seen[0].connections.len(), net.seen[0].slots.len(), net.seen[0].closed), (2, 1, 0));

    let one = net.id(1);
    net.swarms[0].disconnect_peer_id(one).unwrap();
    net.until(|net| net.seen.iter().all(|seen| seen.slots.is_empty() && seen.connections.is_empty())).await;
    net.connect(0, 2).await;
    net.slot(0, 2).await;
}

fn lost(net: &Net, node: usize) -> u64 {
    let frames = |event: &Event| if let Event::Lost { frames, .. } = event { *frames } else { 0 };
    net.seen[node].events.iter().map(frames).sum()
}
