use futures::task::noop_waker_ref;
use libp2p_swarm::{DialError, DialFailure};

use super::*;
use crate::event::Broken;

fn links(admission: Admission, peers_max: usize) -> Links {
    let protocol = Protocol { names: vec![libp2p_swarm::StreamProtocol::new("/bruit/test/1")], lanes: 2 };
    Links::new(protocol, Config { peers_max, ..Config::default() }.validate().unwrap(), admission)
}

fn connection(number: usize) -> ConnectionId {
    ConnectionId::new_unchecked(number)
}

fn events(links: &mut Links) -> Vec<Event> {
    let mut cx = Context::from_waker(noop_waker_ref());
    std::iter::from_fn(|| if let Poll::Ready(event) = links.poll(&mut cx) { Some(event) } else { None }).collect()
}

fn fail(links: &mut Links, peer: PeerId, connection_id: ConnectionId) {
    let failure = DialFailure { peer_id: Some(peer), error: &DialError::Aborted, connection_id };
    links.on_swarm_event(FromSwarm::DialFailure(failure));
}

/// Whether each of two connections is the one that writes.
fn writers(links: &Links, slot: Slot) -> [bool; 2] {
    let shared = &links.peers.get(slot).unwrap().shared;
    [1, 2].map(|number| shared.view(connection(number), 2, noop_waker_ref()).is_writer)
}

#[test]
fn a_connection_that_came_to_nothing_frees_its_place() {
    let mut links = links(Admission::Automatic, 1);
    let [one, two] = [PeerId::random(), PeerId::random()];
    assert!(links.handle_established_connection(connection(1), one).is_ok());
    assert!(links.handle_established_connection(connection(2), two).is_err());
    fail(&mut links, two, connection(2));
    assert!(links.handle_established_connection(connection(3), two).is_err());
    fail(&mut links, one, connection(1));
    assert!(links.handle_established_connection(connection(4), two).is_ok());
    assert_eq!((links.peers.len(), links.slots.len(), events(&mut links)), (1, 1, vec![]));
}

#[test]
fn the_oldest_connection_writes_on_which_the_peer_speaks_the_protocol() {
    let mut links = links(Admission::Automatic, 1);
    let peer = PeerId::random();
    let _handlers = [1, 2].map(|number| links.handle_established_connection(connection(number), peer).unwrap());
    let slot = *links.slots.get(&peer).unwrap();
    assert_eq!(writers(&links, slot), [true, false]);
    let unsupported = || HandlerEvent { slot: Slot::new(9, 9), kind: Kind::Unsupported };
    links.on_connection_handler_event(peer, connection(1), unsupported());
    assert_eq!(writers(&links, slot), [false, true]);
    links.on_connection_handler_event(peer, connection(2), unsupported());
    assert_eq!(writers(&links, slot), [false, false]);
    assert_eq!(events(&mut links), []);
}

#[test]
fn what_a_handler_says_late_reaches_nobody() {
    let mut links = links(Admission::ByOwner, 1);
    let peer = PeerId::random();
    let _handler = links.handle_established_connection(connection(1), peer).unwrap();
    links.admit(peer);
    let slot = *links.slots.get(&peer).unwrap();
    let say =
        |links: &mut Links, kind| links.on_connection_handler_event(peer, connection(1), HandlerEvent { slot, kind });
    say(&mut links, Kind::Opened);
    say(&mut links, Kind::Opened);
    assert_eq!(events(&mut links), [Event::Up { slot, peer }]);

    let frame = Frame::new(0, Bytes::from_static(&[0]));
    assert_eq!(links.push(slot, frame.clone(), Timestamp::from_secs(1)), Push::Queued);
    links.dismiss(peer);
    links.pause(slot, 1);
    say(&mut links, Kind::Frames { lane: 0, frames: vec![Bytes::new()] });
    say(&mut links, Kind::Broken(Broken::TooManyStreams));
    say(&mut links, Kind::Opened);
    assert_eq!(events(&mut links), [Event::Down { slot, peer, frames_lost: 1 }]);
    assert_eq!(links.push(slot, frame.clone(), Timestamp::from_secs(1)), Push::NoSuchPeer(frame));
    assert_eq!((links.peer(slot), links.slot(&peer), links.traffic(slot, 0)), (None, None, None));
}

#[test]
fn expiry_is_measured_on_the_owners_clock() {
    let mut links = links(Admission::Automatic, 1);
    let peer = PeerId::random();
    let _handler = links.handle_established_connection(connection(1), peer).unwrap();
    let slot = *links.slots.get(&peer).unwrap();
    links.on_connection_handler_event(peer, connection(1), HandlerEvent { slot, kind: Kind::Opened });
    let now = Timestamp::from_secs(5);
    for expires in [now, Timestamp::from_secs(5_000)] {
        let frame = Frame { expires: Some(expires), ..Frame::new(0, Bytes::from_static(&[1, 7])) };
        assert_eq!(links.push(slot, frame, now), Push::Queued);
    }
    let shared = links.peers.get(slot).unwrap().shared.clone();
    let mut taken = VecDeque::new();
    let wanted = crate::shared::Wanted { bytes: 100, sent: Tally::default(), is_idle: true };
    assert!(shared.take(slot, 0, wanted, &mut taken));
    assert_eq!(taken.len(), 1);
    links.on_connection_handler_event(peer, connection(1), HandlerEvent { slot, kind: Kind::News });
    assert_eq!(events(&mut links), [Event::Up { slot, peer }, Event::Lost { slot, frames: 1, bytes: 2 }]);
}
