use bruit_link::{Admission, Broken, Config, Event, Push};
use bruit_wire::{FRAME_MAX, FrameError};
use bytes::BytesMut;
use futures::{AsyncWriteExt, future};
use libp2p_swarm_test as _;

use crate::{
    net::{LANES, Net, frame, put_prefix},
    rogue::{Rogue, lane_open, read_all},
};

fn broken(net: &Net) -> Vec<Broken> {
    let reason = |event: &Event| if let Event::Broken { reason, .. } = event { Some(reason.clone()) } else { None };
    net.seen[0].events.iter().filter_map(reason).collect()
}

fn bytes(lane: u32, number: u64, len: usize) -> Vec<u8> {
    let frame = frame(lane, number, len);
    [frame.head, frame.body.unwrap_or_default()].concat()
}

/// Node 0 and a peer that accepts streams, its link up.
async fn with_rogue() -> (Net, Rogue) {
    let mut net = Net::new(1, Admission::Automatic).await;
    let rogue = Rogue::connect(&mut net, true).await;
    net.until(|net| net.seen[0].slots.contains_key(&rogue.id)).await;
    (net, rogue)
}

#[tokio::test]
async fn fault_peer_that_never_reads() {
    let config = Config { outbox_bytes_max: 1024 * 1024, ..Config::default() };
    let (mut net, honest) = Net::pair(config).await;
    let mut rogue = Rogue::connect(&mut net, true).await;
    net.until(|net| net.seen[0].slots.contains_key(&rogue.id)).await;
    let slot = net.seen[0].slots[&rogue.id];
    let mut stream = rogue.accept().await;

    let mut pushed = 0;
    loop {
        match net.push(0, slot, frame(0, pushed, 10_000)) {
            Push::Queued => pushed += 1,
            Push::Full(back) => {
                assert_eq!(back, frame(0, pushed, 10_000));
                net.settle().await;
                if net.push(0, slot, back) != Push::Queued {
                    break;
                }
                pushed += 1;
            }
            other @ (Push::Replaced(_) | Push::NoSuchPeer(_)) => panic!("{other:?}"),
        }
    }
    let in_stack = net.links(0).traffic(slot, 0).unwrap().sent.frames;
    assert!(pushed - in_stack >= 103 && in_stack < 60, "{pushed} {in_stack}");

    for n in 0..1_000 {
        assert_eq!(net.push(0, honest, frame(0, n, 1_000)), Push::Queued);
        if n % 100 == 99 {
            net.until(|net| net.seen[1].frames.len() as u64 == n + 1).await;
        }
    }
    assert!(!net.seen[0].events.contains(&Event::Writable { slot, lane: 0 }));

    let reads = tokio::spawn(async move { read_all(&mut stream).await.len() });
    net.until(|net| net.seen[0].events.contains(&Event::Writable { slot, lane: 0 })).await;
    net.settle().await;
    assert_eq!(net.links(0).traffic(slot, 0).unwrap().sent.frames, pushed);
    let _ = net.swarms[0].disconnect_peer_id(rogue.id);
    net.until(|net| net.seen[0].closed == 1).await;
    let down = Event::Down { slot, peer: rogue.id, frames_lost: 0 };
    assert_eq!(net.seen[0].events.last(), Some(&down));
    assert_eq!(reads.await.unwrap(), lane_open(0).len() + pushed as usize * bytes(0, 0, 10_000).len());
}

#[tokio::test]
async fn fault_oversized_frame() {
    let (mut net, mut rogue) = with_rogue().await;
    let mut good = rogue.open(&[lane_open(0), bytes(0, 1, 5)].concat()).await;
    let mut prefix = BytesMut::new();
    put_prefix(FRAME_MAX + 1, &mut prefix);
    let mut bad = rogue.open(&[lane_open(1), bytes(1, 2, 5), prefix.to_vec()].concat()).await;
    net.until(|net| !broken(net).is_empty()).await;
    let too_long = FrameError::TooLong { len: FRAME_MAX as u64 + 1, max: FRAME_MAX };
    assert_eq!(broken(&net), [Broken::Frame(too_long)]);
    assert_eq!((net.numbers(0, 0), net.numbers(0, 1)), (vec![1], vec![2]));

    assert_eq!(read_all(&mut bad).await, []);
    good.write_all(&bytes(0, 3, FRAME_MAX - 8)).await.unwrap();
    let again = rogue.open(&[lane_open(1), bytes(1, 4, 5)].concat()).await;
    net.until(|net| net.seen[0].frames.len() == 4).await;
    assert_eq!((net.numbers(0, 0), net.numbers(0, 1)), (vec![1, 3], vec![2, 4]));
    assert_eq!((net.seen[0].closed, broken(&net).len()), (0, 1));
    drop(again);
}

#[tokio::test]
async fn fault_garbage_prefix() {
    let (mut net, mut rogue) = with_rogue().await;
    let streams = [
        rogue.open(&[lane_open(0), vec![0xff; 64]].concat()).await,
        rogue.open(&[0xff; 64]).await,
        rogue.open(&[3, 0x0a, 0x05, 0x00]).await,
    ];
    net.until(|net| broken(net).len() == 3).await;
    let mut reasons = broken(&net);
    reasons.retain(|reason| !matches!(reason, Broken::NoLaneOpen(_)));
    assert_eq!(reasons, [Broken::Frame(FrameError::BadPrefix), Broken::Frame(FrameError::BadPrefix)]);
    for mut stream in streams {
        assert_eq!(read_all(&mut stream).await, []);
    }
    assert_eq!((net.seen[0].frames.len(), net.seen[0].closed), (0, 0));
}

#[tokio::test]
async fn fault_unknown_and_doubled_lanes() {
    let (mut net, mut rogue) = with_rogue().await;
    let mut first = rogue.open(&lane_open(1)).await;
    let mut unknown = rogue.open(&lane_open(LANES)).await;
    net.until(|net| broken(net).len() == 1).await;
    let mut doubled = rogue.open(&[lane_open(1), bytes(1, 9, 5)].concat()).await;
    net.until(|net| broken(net).len() == 2).await;
    assert_eq!(broken(&net), [Broken::UnknownLane(LANES), Broken::DoubledLane(1)]);
    assert_eq!(future::join(read_all(&mut unknown), read_all(&mut doubled)).await, (vec![], vec![]));
    first.write_all(&bytes(1, 7, 5)).await.unwrap();
    net.until(|net| net.numbers(0, 1) == [7]).await;
}

#[tokio::test]
async fn fault_stalled_lane_open() {
    let (mut net, mut rogue) = with_rogue().await;
    let mut stalled = Vec::new();
    for n in 0..20 {
        stalled.push(rogue.open(&lane_open(1)[..n % 2]).await);
        net.until(|net| broken(net).len() == stalled.len().saturating_sub(LANES as usize)).await;
    }
    assert!(broken(&net).iter().all(|reason| *reason == Broken::TooManyStreams));
    for stream in stalled.iter_mut().take(20 - LANES as usize) {
        assert_eq!(read_all(stream).await, []);
    }

    let good = rogue.open(&[lane_open(0), bytes(0, 5, 100)].concat()).await;
    net.until(|net| net.numbers(0, 0) == [5]).await;
    let slot = net.seen[0].slots[&rogue.id];
    assert_eq!(net.push(0, slot, frame(0, 1, 1)), Push::Queued);
    net.settle().await;
    assert_eq!(net.links(0).traffic(slot, 0).unwrap().sent.frames, 1);
    assert_eq!((net.seen[0].closed, broken(&net).len()), (0, 20 - LANES as usize + 1));
    drop(good);
}

#[tokio::test]
async fn fault_peer_that_does_not_speak_the_protocol() {
    let mut net = Net::new(2, Admission::Automatic).await;
    let rogue = Rogue::connect(&mut net, false).await;
    net.connect(0, 1).await;
    net.slot(0, 1).await;
    net.settle().await;
    assert!(!net.seen[0].slots.contains_key(&rogue.id));
    assert_eq!((net.seen[0].events.len(), net.seen[0].closed), (1, 0));
}
