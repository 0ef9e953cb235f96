use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::frame::FRAME_OVERHEAD;

const LANES: usize = 2;

fn outbox(outbox_bytes_max: usize, first_lane_reserved: usize) -> Outbox {
    let config = Config { outbox_bytes_max, first_lane_reserved, ..Config::default() };
    Outbox::new(LANES, &config, Room::new(usize::MAX))
}

fn frame(id: u64, len: usize) -> Frame {
    Frame { body: Some(vec![0; len].into()), ..Frame::new(0, Bytes::copy_from_slice(&id.to_be_bytes())) }
}

fn id(frame: &Frame) -> u64 {
    u64::from_be_bytes(frame.head[..].try_into().unwrap())
}

fn at(secs: u64) -> Timestamp {
    Timestamp::from_secs(secs)
}

fn take_ids(outbox: &mut Outbox, lane: usize, bytes: usize, now: Timestamp) -> Vec<u64> {
    let mut taken = VecDeque::new();
    outbox.take(lane, bytes, &mut taken, || now);
    taken.iter().map(id).collect()
}

#[test]
fn what_has_priority_is_taken_first_and_equals_in_order() {
    let mut outbox = outbox(10_000, 0);
    for (n, priority) in [Priority::Low, Priority::Normal, Priority::High, Priority::Normal].into_iter().enumerate() {
        let frame = Frame { priority, ..frame(n as u64, 10) };
        assert_eq!(outbox.push(frame, || unreachable!()), Ok(0));
    }
    assert_eq!(outbox.push(Frame { lane: 1, ..frame(9, 0) }, || unreachable!()), Ok(0));
    assert_eq!(take_ids(&mut outbox, 0, 19, at(0)), [2, 1]);
    assert_eq!(take_ids(&mut outbox, 0, 1_000, at(0)), [3, 0]);
    assert_eq!(take_ids(&mut outbox, 1, 1, at(0)), [9]);
    assert_eq!((outbox.bytes, outbox.take_news()), (0, News::default()));
}

#[test]
fn a_refusal_is_followed_by_one_writable_under_half() {
    let cost = 8 + 28 + FRAME_OVERHEAD;
    let mut outbox = outbox(10 * cost, 0);
    for n in 0..10 {
        assert_eq!(outbox.push(frame(n, 28), || at(0)), Ok(0));
    }
    assert_eq!(outbox.push(frame(10, 0), || at(0)).map_err(|frame| id(&frame)), Err(10));
    assert_eq!(take_ids(&mut outbox, 0, 5 * 36, at(0)).len(), 5);
    assert!(outbox.take_news().is_empty());
    assert_eq!(take_ids(&mut outbox, 0, 1, at(0)), [5]);
    assert_eq!(outbox.take_news(), News { writable: 1, lost: Tally::default() });
    assert_eq!(take_ids(&mut outbox, 0, 1, at(0)), [6]);
    assert!(outbox.take_news().is_empty());
}

#[test]
fn fault_those_who_read_nothing_have_no_more_kept_than_all_may_and_leave_others_room() {
    let longest = 100;
    let config =
        Config { frame_max: longest + 8, outbox_bytes_max: 4_000, first_lane_reserved: 0, ..Config::default() };
    let assured = config.outbox_bytes_min();
    let room = Room::new(8_000);
    let bulk = |n| Frame { lane: 1, ..frame(n, longest) };
    let cost = bulk(0).cost();
    let filled = || {
        let mut outbox = Outbox::new(LANES, &config, room.clone());
        let kept = (0..100).filter(|n| outbox.push(bulk(*n), || at(0)).is_ok()).count();
        assert!(kept > 0, "a frame of the greatest length always has room");
        (outbox, kept * cost)
    };
    let silent: Vec<(Outbox, usize)> = (0..50).map(|_| filled()).collect();
    let kept: Vec<usize> = silent.iter().map(|(_, bytes)| *bytes).collect();
    assert!(kept[0] <= 8_000 / 5 && kept[0] > 8_000 / 5 - cost, "a quarter of what is left then: {}", kept[0]);
    assert!(kept.iter().sum::<usize>() <= 8_000 + 50 * assured, "{kept:?}");
    assert!(kept[49] <= assured, "{kept:?}");

    let (mut reader, _) = filled();
    let taken = take_ids(&mut reader, 1, usize::MAX, at(0)).len();
    assert!((0..100).map(|n| reader.push(bulk(n), || at(0))).filter(Result::is_ok).count() == taken);
    drop((silent, reader));

    let (mut alone, bytes) = filled();
    assert_eq!(bytes, kept[0], "what was dropped counts no more");
    alone.clear();
    assert_eq!(room.share(), 2_000);

    let config = Config { first_lane_reserved: 1_600, ..config };
    let room = Room::new(0);
    let kept_on = |lane| {
        let mut outbox = Outbox::new(LANES, &config, room.clone());
        (0..100).filter(|n| outbox.push(Frame { lane, ..frame(*n, 0) }, || at(0)).is_ok()).count() * frame(0, 0).cost()
    };
    let cost = frame(0, 0).cost();
    assert_eq!(
        [kept_on(0), kept_on(1)],
        [(assured + 200) / cost * cost, assured / cost * cost],
        "calls have a little more"
    );
}

#[test]
fn fault_a_lane_that_is_not_read_leaves_the_first_lane_its_share() {
    let cost = 8 + 28 + FRAME_OVERHEAD;
    let mut outbox = outbox(10 * cost, 4 * cost);
    let bulk = |n| Frame { lane: 1, ..frame(n, 28) };
    (0..6).for_each(|n| assert_eq!(outbox.push(bulk(n), || at(0)), Ok(0)));
    assert!(outbox.push(bulk(6), || at(0)).is_err());
    (0..4).for_each(|n| assert_eq!(outbox.push(frame(n, 28), || at(0)), Ok(0)));
    assert!(outbox.push(frame(4, 28), || at(0)).is_err());

    assert_eq!(take_ids(&mut outbox, 0, 2 * 36, at(0)).len(), 2);
    assert!(outbox.take_news().is_empty());
    assert_eq!(take_ids(&mut outbox, 0, 36, at(0)).len(), 1);
    assert_eq!(outbox.take_news().writable, 0b01, "lane 1 is as full as before");
    assert_eq!(take_ids(&mut outbox, 1, 3 * 36, at(0)).len(), 3);
    assert_eq!(outbox.take_news().writable, 0b10);
}

#[test]
fn a_replacing_frame_takes_the_place_of_the_old_one() {
    let mut outbox = outbox(1_000, 0);
    let keyed = |n, len, priority| Frame { replace_key: Some(7), priority, ..frame(n, len) };
    assert_eq!(outbox.push(keyed(0, 100, Priority::Normal), || at(0)), Ok(0));
    assert_eq!(outbox.push(frame(1, 0), || at(0)), Ok(0));
    assert_eq!(outbox.push(Frame { lane: 1, ..keyed(2, 0, Priority::Normal) }, || at(0)), Ok(0));
    assert_eq!(outbox.push(keyed(3, 50, Priority::Low), || at(0)), Ok(1));
    assert_eq!(outbox.bytes, 3 * (8 + FRAME_OVERHEAD) + 50);
    assert_eq!(outbox.push(keyed(4, 1_000, Priority::Low), || at(0)).map_err(|frame| id(&frame)), Err(4));
    assert_eq!(take_ids(&mut outbox, 0, 1_000, at(0)), [3, 1]);
    assert_eq!(outbox.push(keyed(5, 0, Priority::Low), || at(0)), Ok(0));
    assert_eq!(outbox.take_news().lost, Tally::default());
}

#[test]
fn what_has_expired_makes_room_and_is_counted() {
    let mut outbox = outbox(300, 0);
    let expiring = |n, secs| Frame { expires: Some(at(secs)), ..frame(n, 72) };
    assert_eq!(outbox.push(expiring(0, 10), || at(0)), Ok(0));
    assert_eq!(outbox.push(expiring(1, 20), || at(0)), Ok(0));
    assert_eq!(outbox.push(frame(2, 72), || at(9)).map_err(|frame| id(&frame)), Err(2));
    assert_eq!(outbox.push(frame(2, 72), || at(10)), Ok(0));
    assert_eq!(outbox.take_news(), News { writable: 1, lost: Tally { frames: 1, bytes: 80 } });
    assert_eq!(take_ids(&mut outbox, 0, 1_000, at(20)), [2]);
    assert_eq!(outbox.take_news(), News { writable: 0, lost: Tally { frames: 1, bytes: 80 } });
    assert_eq!(outbox.bytes, 0);
}

#[derive(Clone, Debug)]
enum Step {
    Push { lane: u32, priority: u8, len: usize, key: Option<u64>, lifetime: Option<u64> },
    Take { lane: usize, bytes: usize },
    Pass { secs: u64 },
    Clear,
}

fn step() -> impl Strategy<Value = Step> {
    let push = (
        0..LANES as u32,
        0..3_u8,
        0..600_usize,
        proptest::option::weighted(0.3, 0..4_u64),
        proptest::option::weighted(0.4, 0..9_u64),
    );
    prop_oneof![
        6 => push.prop_map(|(lane, priority, len, key, lifetime)| Step::Push { lane, priority, len, key, lifetime }),
        2 => (0..LANES, 0..2_000_usize).prop_map(|(lane, bytes)| Step::Take { lane, bytes }),
        1 => (0..5_u64).prop_map(|secs| Step::Pass { secs }),
        1 => Just(Step::Clear),
    ]
}

/// The same rules in the plainest form: one list, looked through from the start.
struct Model {
    queued: Vec<Frame>,
    bytes_max: usize,
    lost: u64,
    refused: bool,
    writable: bool,
}

impl Model {
    fn bytes(&self) -> usize {
        self.queued.iter().map(Frame::cost).sum()
    }

    fn has_room(&self, frame: &Frame) -> bool {
        let freed = self.same(frame).map_or(0, |place| self.queued[place].cost());
        self.bytes() - freed + frame.cost() <= self.bytes_max
    }

    fn same(&self, frame: &Frame) -> Option<usize> {
        let key = frame.replace_key?;
        self.queued.iter().position(|queued| queued.lane == frame.lane && queued.replace_key == Some(key))
    }

    fn push(&mut self, mut frame: Frame, now: Timestamp) -> Option<u32> {
        if !self.has_room(&frame) {
            let before = self.queued.len();
            self.queued.retain(|queued| !is_expired(queued, now));
            self.lost += (before - self.queued.len()) as u64;
            self.note_room();
        }
        if !self.has_room(&frame) {
            self.refused = true;
            return None;
        }
        let Some(place) = self.same(&frame) else {
            self.queued.push(frame);
            return Some(0);
        };
        frame.priority = self.queued[place].priority;
        self.queued[place] = frame;
        Some(1)
    }

    fn take(&mut self, lane: usize, bytes: usize, now: Timestamp) -> Vec<u64> {
        let mut taken = Vec::new();
        let mut sum = 0;
        for priority in [Priority::High, Priority::Normal, Priority::Low] {
            while sum < bytes
                && let Some(place) =
                    self.queued.iter().position(|frame| frame.lane as usize == lane && frame.priority == priority)
            {
                let frame = self.queued.remove(place);
                if is_expired(&frame, now) {
                    self.lost += 1;
                } else {
                    sum += frame.len();
                    taken.push(id(&frame));
                }
            }
        }
        self.note_room();
        taken
    }

    fn note_room(&mut self) {
        if self.refused && self.bytes() < self.bytes_max / 2 {
            (self.refused, self.writable) = (false, true);
        }
    }
}

proptest! {
    /// Never more bytes than the limit; every frame is refused, replaced, taken or lost exactly once; order as in the model.
    #[test]
    fn any_order_of_calls_agrees_with_the_model(steps in proptest::collection::vec(step(), 1..200)) {
        let bytes_max = 3_000;
        let mut outbox = outbox(bytes_max, 0);
        let mut model = Model { queued: Vec::new(), bytes_max, lost: 0, refused: false, writable: false };
        let mut now = at(1);
        let (mut pushed, mut refused, mut replaced, mut taken, mut lost) = (0_u64, 0_u64, 0_u64, 0_u64, 0_u64);
        for step in steps {
            match step {
                Step::Push { lane, priority, len, key, lifetime } => {
                    let frame = Frame {
                        lane,
                        priority: [Priority::High, Priority::Normal, Priority::Low][priority as usize],
                        expires: lifetime.map(|secs| now.after(std::time::Duration::from_secs(secs))),
                        replace_key: key,
                        ..frame(pushed, len)
                    };
                    pushed += 1;
                    let result = outbox.push(frame.clone(), || now);
                    prop_assert_eq!(result.as_ref().ok().copied(), model.push(frame.clone(), now));
                    match result {
                        Ok(count) => replaced += u64::from(count),
                        Err(back) => {
                            prop_assert_eq!(back, frame);
                            refused += 1;
                        }
                    }
                }
                Step::Take { lane, bytes } => {
                    let ids = take_ids(&mut outbox, lane, bytes, now);
                    taken += ids.len() as u64;
                    prop_assert_eq!(ids, model.take(lane, bytes, now));
                }
                Step::Pass { secs } => now = now.after(std::time::Duration::from_secs(secs)),
                Step::Clear => {
                    let cleared = outbox.clear();
                    prop_assert_eq!(cleared.frames, model.queued.len() as u64 + std::mem::take(&mut model.lost));
                    lost += cleared.frames;
                    model.queued.clear();
                    (model.refused, model.writable) = (false, false);
                }
            }
            prop_assert!(outbox.bytes <= bytes_max);
            prop_assert_eq!(outbox.bytes, model.bytes());
            for lane in 0..LANES {
                let has_some = model.queued.iter().any(|frame| frame.lane as usize == lane);
                prop_assert_eq!(outbox.is_empty(lane), !has_some);
            }
            let news = outbox.take_news();
            prop_assert_eq!(news.lost.frames, std::mem::take(&mut model.lost));
            prop_assert_eq!(news.writable != 0, std::mem::take(&mut model.writable));
            lost += news.lost.frames;
        }
        prop_assert_eq!(pushed, refused + replaced + taken + lost + model.queued.len() as u64);
    }
}
