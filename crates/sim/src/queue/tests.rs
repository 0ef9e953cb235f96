use bruit_core::Seed;
use rand::RngExt;

use super::*;

/// A number that happens to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Item(u32, u32);

impl Happens for Item {
    fn whose(&self) -> u32 {
        self.0
    }
}

fn drain(queue: &mut Queue<Item>, until: u64) -> Vec<(u64, Item)> {
    let until = Timestamp::from_micros(until);
    std::iter::from_fn(|| queue.pop_until(until)).map(|(at, item)| (at.as_micros(), item)).collect()
}

#[test]
fn what_is_due_at_the_same_moment_for_the_same_node_keeps_its_order() {
    let mut queue = Queue::new(8);
    let far = 10_000_000_000;
    let at_node = |number| Item(7, number);
    for (number, at) in [(0, far), (1, 5), (2, far), (3, 5), (4, 4), (5, far - 1)] {
        queue.push(Timestamp::from_micros(at), at_node(number));
    }
    let came = |list: &[(u64, u32)]| list.iter().map(|(at, number)| (*at, at_node(*number))).collect::<Vec<_>>();
    assert_eq!(drain(&mut queue, 5), came(&[(4, 4), (5, 1), (5, 3)]));
    assert_eq!(drain(&mut queue, far - 2), []);
    queue.push(Timestamp::from_micros(7), at_node(6));
    queue.push(Timestamp::from_micros(far), at_node(7));
    assert_eq!(drain(&mut queue, far), came(&[(7, 6), (far - 1, 5), (far, 0), (far, 2), (far, 7)]));
    assert_eq!(drain(&mut queue, u64::MAX), []);
}

#[test]
fn a_moment_comes_node_by_node_in_an_order_of_its_own() {
    let mut queue = Queue::new(100);
    let moments = [1_000_000, 2_000_000];
    for at in moments {
        for number in 0..400 {
            queue.push(Timestamp::from_micros(at), Item(number % 100, number));
        }
    }
    let [first, second] = moments.map(|at| {
        let came = drain(&mut queue, at);
        let nodes: Vec<u32> = came.chunks(4).map(|turns| turns[0].1.0).collect();
        let turn = |(index, (_, item)): (usize, &(u64, Item))| {
            *item == Item(nodes[index / 4], nodes[index / 4] + 100 * (index as u32 % 4))
        };
        assert!(came.iter().enumerate().all(turn), "{came:?}");
        nodes
    });
    assert_ne!(first, second);
    let turns = Turns::of(1_000_000);
    for other in [1, 2, 3, 64, 1_000, 524_288, 999_999] {
        let first = (0..1_000).filter(|number| {
            let at = Timestamp::from_micros(30_000 * number);
            turns.rank(at, &Item(0, 0)) < turns.rank(at, &Item(other, 0))
        });
        assert!((400..600).contains(&first.count()), "nobody is always before another");
    }
}

#[test]
fn a_crowded_day_comes_in_the_order_of_any_other() {
    let mut rng = Seed::from_number(1).rng();
    let (mut queue, mut all) = (Queue::new(5_000), Vec::new());
    for number in 0..2 * CROWDED_LEN as u32 {
        let (at, item) = (320_000 + rng.random_range(0..3), Item(rng.random_range(0..5_000), number));
        let at = Timestamp::from_micros(at);
        queue.push(at, item);
        all.push((at, item));
    }
    let turns = Turns::of(5_000);
    all.sort_by_key(|(at, item)| (*at, turns.rank(*at, item)));
    let half = all.iter().position(|(at, _)| at.as_micros() == 320_001).unwrap() + 1;
    let end = Timestamp::from_micros(u64::MAX);
    let came: Vec<_> = std::iter::repeat_with(|| queue.pop_until(end).unwrap()).take(half).collect();
    assert!(came == all[..half]);
    // What the moment itself causes, and an earlier one of the same day.
    let late = [(320_001, 1), (320_002, 2), (320_001, 3)].map(|(at, number)| {
        let late = (Timestamp::from_micros(at), Item(number, u32::MAX));
        queue.push(late.0, late.1);
        late
    });
    let second = all.partition_point(|(at, _)| at.as_micros() <= 320_001);
    let rest: Vec<_> = std::iter::from_fn(|| queue.pop_until(end)).collect();
    assert!(rest == [&all[half..second], &[late[0], late[2]], &all[second..], &[late[1]]].concat());
}

#[test]
fn a_crowd_at_one_node_keeps_its_order() {
    let mut queue = Queue::new(2);
    let all: Vec<_> = (0..CROWDED_LEN as u32 + 2).map(|number| (320_000, Item(1, number))).collect();
    all.iter().for_each(|(at, item)| queue.push(Timestamp::from_micros(*at), *item));
    assert!(drain(&mut queue, u64::MAX) == all);
}

#[test]
fn any_order_of_pushing_comes_out_sorted_and_stable() {
    let mut rng = Seed::from_number(1).rng();
    let (mut queue, mut model, mut now) = (Queue::new(3), BTreeMap::new(), 1_700_000_000_000_000_u64);
    for number in 0..20_000_u32 {
        let spans = [1, 40, 1_000, 131_072, 5_000_000];
        let span = spans[rng.random_range(0..spans.len())];
        let at = now + rng.random_range(0..span);
        let item = Item(rng.random_range(0..3), number);
        queue.push(Timestamp::from_micros(at), item);
        model.insert((at, item), ());
        if rng.random_bool(0.3) {
            now += rng.random_range(0..20_000);
            let mut came = drain(&mut queue, now);
            assert!(came.is_sorted_by_key(|(at, _)| *at));
            came.sort_by_key(|(at, item)| (*at, item.0));
            let due: Vec<_> = model.range(..=(now, Item(u32::MAX, u32::MAX))).map(|(key, ())| *key).collect();
            assert_eq!(came, due);
            due.iter().for_each(|key| _ = model.remove(key));
        }
    }
    assert_eq!(drain(&mut queue, u64::MAX).len(), model.len());
}
