use bruit_core::Seed;

/// Links that an eavesdropper taps: a share of all, each by chance, in both directions.
///
/// It is on no node. Of a frame it sees when it passes, between whom and how large it is, not what it says; it is taken to know which
/// frames tell of the same item, as it does where items differ in size, so that what it learns is the most that it could.
#[derive(Clone, Debug)]
pub(crate) struct Taps {
    share: f64,
    seed: Seed,
}

impl Taps {
    /// Taps a share of the links; `None` for none.
    pub(super) fn of(share: f64, seed: &Seed) -> Option<Self> {
        (share > 0.0).then(|| Self { share, seed: seed.derive("taps", 0) })
    }

    /// Whether the link between two nodes is tapped.
    pub(super) fn hear(&self, a: u32, b: u32) -> bool {
        let ends = [a.min(b).to_le_bytes(), a.max(b).to_le_bytes()].concat();
        self.seed.keyed_hash(&ends) as f64 / u64::MAX as f64 <= self.share
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_links_are_tapped_in_both_directions() {
        let seed = Seed::from_number(1);
        assert!(Taps::of(0.0, &seed).is_none());
        let taps = Taps::of(0.25, &seed).unwrap();
        let links = || (0..100_u32).flat_map(|a| (0..a).map(move |b| (a, b)));
        assert!(links().all(|(a, b)| taps.hear(a, b) == taps.hear(b, a)));
        let tapped = links().filter(|(a, b)| taps.hear(*a, *b)).count();
        assert!((1_100..1_380).contains(&tapped), "{tapped} of 4950");
        let all = Taps::of(1.0, &seed).unwrap();
        assert!(links().all(|(a, b)| all.hear(a, b)));
    }
}
