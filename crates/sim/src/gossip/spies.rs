use std::collections::BTreeMap;

use super::{Role, measures::Unmasking};
use crate::Overlay;

/// What spies know together: the overlay, and where each of them is.
///
/// They assume that every hop takes the same time on average, and that what each of them hears is early or late by independent
/// normal errors. Then the likeliest origin is the one from which the least squares of the errors remain, with the moment of
/// publishing and the time of a hop fitted to what was heard (after Pinto, Thiran and Vetterli, 2012). They do not know the policy.
pub(super) struct Spies {
    /// How many hops away each spy is from each node.
    hops: BTreeMap<u32, Vec<Option<u32>>>,
    suspects: Vec<u32>,
}

impl Spies {
    pub(super) fn new(overlay: &Overlay, roles: &[Role]) -> Self {
        let is_spy = |node: &u32| roles.get(*node as usize) == Some(&Role::Spy);
        let hops = (0..overlay.nodes()).filter(is_spy).map(|spy| (spy, overlay.distances(spy))).collect();
        Self { hops, suspects: (0..overlay.nodes()).filter(|node| !is_spy(node)).collect() }
    }

    /// The likeliest origin by when which spies were told of an item; of several the first. `None` if nobody was told.
    pub(super) fn likeliest(&self, sightings: &[(u32, u32)]) -> Option<u32> {
        let heard: Vec<(&Vec<Option<u32>>, f64)> = sightings
            .iter()
            .filter_map(|(spy, micros)| Some((self.hops.get(spy)?, f64::from(*micros) / 1_000.0)))
            .collect();
        if heard.is_empty() {
            return None;
        }
        let errors = self.suspects.iter().map(|suspect| {
            let seen = heard.iter().map(|(hops, ms)| (hops.get(*suspect as usize).copied().flatten(), *ms));
            (squared_error(seen), *suspect)
        });
        errors.min_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, suspect)| suspect)
    }
}

/// What remains unexplained of the times if each is `start + hops * time of a hop`, which is not negative.
fn squared_error(seen: impl Iterator<Item = (Option<u32>, f64)>) -> f64 {
    let (mut count, mut x, mut y, mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0);
    for (hops, ms) in seen {
        let Some(hops) = hops.map(f64::from) else { return f64::INFINITY };
        count += 1.0;
        x += hops;
        y += ms;
        xx += hops * hops;
        xy += hops * ms;
        yy += ms * ms;
    }
    let (spread, together) = (xx - x * x / count, xy - x * y / count);
    let explained = if spread > 0.0 && together > 0.0 { together * together / spread } else { 0.0 };
    yy - y * y / count - explained
}

impl Unmasking {
    /// Of the origins of messages, and of whom the spies took for them.
    pub(super) fn of(named: impl Iterator<Item = (u32, Option<u32>)>) -> Self {
        let named: Vec<(u32, Option<u32>)> = named.collect();
        let mut blamed: BTreeMap<u32, u32> = BTreeMap::new();
        named.iter().filter_map(|(_, suspect)| *suspect).for_each(|suspect| *blamed.entry(suspect).or_default() += 1);
        let right: Vec<u32> =
            named.iter().filter(|(origin, suspect)| *suspect == Some(*origin)).map(|(origin, _)| *origin).collect();
        let shares: f64 = right.iter().map(|origin| 1.0 / f64::from(blamed[origin])).sum();
        // In whole messages until the end, so that all of them are exactly 1.
        let all = named.len().max(1) as f64;
        Self { precision: shares / all, recall: right.len() as f64 / all }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_that_fit_name_the_origin() {
        // 0 - 1 - 2 - 3 - 4 - 5 - 6, spies at both ends and in the middle; node 2 published after 10 ms.
        let line = Overlay::of_edges(7, (0..6).map(|node| (node, node + 1))).unwrap();
        let mut roles = vec![Role::Honest; 7];
        for spy in [0, 3, 6] {
            roles[spy] = Role::Spy;
        }
        let spies = Spies::new(&line, &roles);
        let micros = |hops: u32| (10 + 30 * hops) * 1_000;
        assert_eq!(spies.likeliest(&[(0, micros(2)), (3, micros(1)), (6, micros(4))]), Some(2));
        assert_eq!(spies.likeliest(&[]), None);
        // Who is not connected at all cannot have been the origin.
        let parts = Overlay::of_edges(4, [(1, 2), (2, 3)]).unwrap();
        let spies = Spies::new(&parts, &[Role::Honest, Role::Honest, Role::Honest, Role::Spy]);
        assert_eq!(spies.likeliest(&[(3, 0)]), Some(1));
    }

    #[test]
    fn precision_is_shared_by_all_that_one_node_is_blamed_for() {
        let all = Unmasking::of((0..50).map(|node| (node, Some(node))));
        assert_eq!((all.recall, all.precision), (1.0, 1.0));
        let unmasking = Unmasking::of([(1, Some(1)), (2, Some(1)), (3, None), (4, Some(4))].into_iter());
        assert_eq!((unmasking.recall, unmasking.precision), (0.5, (0.5 + 1.0) / 4.0));
    }
}
