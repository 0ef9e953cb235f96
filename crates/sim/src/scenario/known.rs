use std::collections::BTreeMap;

use super::Scenario;

/// A figure that a kind of world has, known before anything is run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    name: &'static str,
    shape: Shape,
    /// It is a share: never above 1.
    is_share: bool,
    /// The key without which it is not measured.
    asked_by: Option<&'static str>,
}

#[derive(Clone, Copy, Debug)]
enum Shape {
    /// One number.
    Plain,
    /// A mean, and a deviation from run to run.
    Mean,
    /// A distribution.
    Spread,
    /// Any number whose name begins so.
    Family,
}

/// What is known of a name before a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Meant {
    pub(super) is_share: bool,
    /// Without it nothing is measured, and it is not written.
    pub(super) lacks: Option<&'static str>,
}

/// What every world counts of its traffic; sizes only where a key asks for them, if one is named.
pub(crate) const fn traffic(sizes_asked_by: Option<&'static str>) -> [Known; 8] {
    [
        Known::plain("events"),
        Known::plain("frames"),
        Known::plain("frames_lost"),
        Known::plain("frames_garbled"),
        Known::family("frames_"),
        Known::family("bytes_"),
        Known { asked_by: sizes_asked_by, ..Known::mean("fairness").share() },
        Known { asked_by: sizes_asked_by, ..Known::spread("bytes_per_node") },
    ]
}

/// What is measured of an overlay, where a key asks for it, if one is named.
pub(crate) const fn overlay(asked_by: Option<&'static str>) -> [Known; 6] {
    [
        Known { asked_by, ..Known::mean("overlay_clustering").share() },
        Known { asked_by, ..Known::mean("overlay_path") },
        Known { asked_by, ..Known::mean("overlay_degree") },
        Known { asked_by, ..Known::mean("overlay_degree_spread") },
        Known { asked_by, ..Known::plain("overlay_components") },
        Known { asked_by, ..Known::plain("overlay_largest").share() },
    ]
}

impl Known {
    pub(crate) const fn plain(name: &'static str) -> Self {
        Self { name, shape: Shape::Plain, is_share: false, asked_by: None }
    }

    pub(crate) const fn mean(name: &'static str) -> Self {
        Self { shape: Shape::Mean, ..Self::plain(name) }
    }

    pub(crate) const fn spread(name: &'static str) -> Self {
        Self { shape: Shape::Spread, ..Self::plain(name) }
    }

    pub(crate) const fn family(name: &'static str) -> Self {
        Self { shape: Shape::Family, ..Self::plain(name) }
    }

    pub(crate) const fn share(self) -> Self {
        Self { is_share: true, ..self }
    }

    pub(crate) const fn asked_by(self, key: &'static str) -> Self {
        Self { asked_by: Some(key), ..self }
    }

    fn printed(self) -> Vec<String> {
        let suffixes: &[&str] = match self.shape {
            Shape::Plain => &[""],
            Shape::Mean => &["", "_deviation"],
            Shape::Spread => &["_mean", "_p50", "_p90", "_p95", "_p99", "_max"],
            Shape::Family => &[],
        };
        suffixes.iter().map(|suffix| format!("{}{suffix}", self.name)).collect()
    }
}

/// The figures of a scenario by the names under which they are printed.
pub(super) struct Names {
    names: BTreeMap<String, Meant>,
    families: Vec<Known>,
}

impl Names {
    /// What a scenario will print, and what it would if it asked for it.
    pub(super) fn of(scenario: &Scenario, known: &[Known]) -> Self {
        let (mut names, mut families) = (BTreeMap::new(), Vec::new());
        for known in known {
            let lacks = known.asked_by.filter(|key| !scenario.asks(key));
            let meant = Meant { is_share: known.is_share, lacks };
            names.extend(known.printed().into_iter().map(|name| (name, meant)));
            families.extend(matches!(known.shape, Shape::Family).then_some(*known));
        }
        Self { names, families }
    }

    /// What is known of a name; `None` if no figure is called so.
    pub(super) fn meant(&self, name: &str) -> Option<Meant> {
        let in_family = || self.family_of(name).map(|family| Meant { is_share: family.is_share, lacks: None });
        self.names.get(name).copied().or_else(in_family)
    }

    /// Whether a name is that of a count: what was not seen once was seen never. Of what is no count nothing is known then.
    pub(super) fn is_count(&self, name: &str) -> bool {
        self.family_of(name).is_some_and(|family| !family.is_share)
    }

    fn family_of(&self, name: &str) -> Option<&Known> {
        let is_of = |family: &&Known| name.starts_with(family.name) && !name.starts_with("bytes_per_node");
        self.families.iter().find(is_of)
    }

    /// Those that are measured.
    pub(super) fn measured(&self) -> impl Iterator<Item = &str> {
        self.names.iter().filter(|(_, meant)| meant.lacks.is_none()).map(|(name, _)| name.as_str())
    }
}
