//! Two or more swarms over memory transport: are connections, lanes and slots translated right?

mod net;

use bruit_link::{Config, Event, Push};
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
