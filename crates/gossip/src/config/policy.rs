use std::{fmt, str::FromStr, time::Duration};

use bruit_core::SLOTS_MAX;

use super::{ConfigError, ROUNDS_MAX, within};

#[cfg(feature = "serde")]
mod text;

/// How the items of a topic spread.
///
/// As text: the name alone, such as `policy = "tree"`, or with settings, such as `policy = { flood = { delay_ms = 5 } }`; what
/// is left out has its default.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Policy {
    /// Every node pushes an item once, to peers chosen by chance among those not known to have it. Factom's rule.
    Fanout {
        /// How many peers. Factom: 16.
        peers: u32,
        /// How many hops a copy makes at most. Factom: 6.
        rounds: u32,
    },
    /// To every peer not known to have it, once, at once; nothing makes up for what is lost.
    All {
        /// How many hops a copy makes at most. 6; Casper's broadcast makes 1.
        rounds: u32,
    },
    /// To one peer, drawn by chance, and with more than one round from there to one more, and so on.
    One {
        /// How many hops a copy makes at most. 1.
        rounds: u32,
    },
    /// To every peer not known to have it by then, after a constant delay: the least time there can be, at the highest price.
    Flood {
        /// How long an item waits at each node. 0.
        #[cfg_attr(feature = "serde", serde(rename = "delay_ms", with = "crate::config::text::millis"))]
        delay: Duration,
    },
    /// The body to some peers drawn by chance, the id to all others, who fetch it if it does not come. Iron Fish's rule.
    SqrtAnnounce(SqrtAnnounce),
    /// Announces until enough peers had it. Casper's rule.
    Infection(Infection),
    /// Not to peers that the sender reaches itself. Iron Fish's earlier rule.
    NeighbourCast(NeighbourCast),
    /// To every peer, to each after a delay of its own, drawn from an exponential distribution. Bitcoin's rule.
    Diffusion {
        /// The mean delay of outbound peers. 2 s: Bitcoin's; inbound ones share one timer of two and a half times that.
        #[cfg_attr(feature = "serde", serde(rename = "mean_ms", with = "crate::config::text::millis"))]
        mean: Duration,
    },
    /// Own items go to one outbound peer, which spreads them.
    Proxy(Proxy),
    /// Own items go along a stem before they spread. Dandelion++.
    Dandelion(Dandelion),
    /// One spanning tree for each root: bodies along it, ids beside it.
    Tree(Tree),
}

/// What [`Policy::SqrtAnnounce`] needs to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default, deny_unknown_fields))]
pub struct SqrtAnnounce {
    /// How many hops a pushed copy makes at most; copies asked for begin anew. 6.
    pub rounds: u32,
    /// How long the body may take to come by itself after its id was heard. 1 s: Iron Fish.
    #[cfg_attr(feature = "serde", serde(rename = "wait_ms", with = "crate::config::text::millis"))]
    pub wait: Duration,
    /// After how long the next source is asked. 5 s: Iron Fish.
    #[cfg_attr(feature = "serde", serde(rename = "per_source_ms", with = "crate::config::text::millis"))]
    pub per_source: Duration,
}

/// What [`Policy::Infection`] needs to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default, deny_unknown_fields))]
pub struct Infection {
    /// After how many newly infected peers a node stops. 3: Casper.
    pub target: u32,
    /// After how many peers that had it already. 12: Casper's 80 % of 15.
    pub saturation: u32,
    /// After how many peers in all. 15: Casper.
    pub attempts_max: u32,
    /// The other mode: how many peers each node asks to announce to it; 0 for the exact rule. 0.
    pub adaptive: u32,
    /// How long an answer may take. 10 s: Casper.
    #[cfg_attr(feature = "serde", serde(rename = "timeout_ms", with = "crate::config::text::millis"))]
    pub timeout: Duration,
}

/// What [`Policy::NeighbourCast`] needs to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default, deny_unknown_fields))]
pub struct NeighbourCast {
    /// How many hops a pushed copy makes at most; copies asked for begin anew. 6.
    pub rounds: u32,
    /// How long one hop takes about: ids follow after it, and the next source is asked after three of it. 100 ms.
    #[cfg_attr(feature = "serde", serde(rename = "step_ms", with = "crate::config::text::millis"))]
    pub step: Duration,
    /// How often lists of neighbours are told anew when they changed. 60 s: Iron Fish.
    #[cfg_attr(feature = "serde", serde(rename = "lists_every_ms", with = "crate::config::text::millis"))]
    pub lists_every: Duration,
}

/// What [`Policy::Proxy`] needs to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default, deny_unknown_fields))]
pub struct Proxy {
    /// How long the own item may take to come back before this node spreads it itself: the mean of an exponential
    /// distribution. 60 s.
    #[cfg_attr(feature = "serde", serde(rename = "embargo_ms", with = "crate::config::text::millis"))]
    pub embargo: Duration,
    /// How the peer, and everybody else, spreads it. Diffusion.
    pub inner: Inner,
}

/// What [`Policy::Dandelion`] needs to know.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default, deny_unknown_fields))]
pub struct Dandelion {
    /// For how long a node keeps its relays and its part: the mean of an exponential distribution. 600 s: Grin, BIP 156.
    #[cfg_attr(feature = "serde", serde(rename = "epoch_ms", with = "crate::config::text::millis"))]
    pub epoch: Duration,
    /// With which probability a node ends stems for an epoch. 0.2: stems of five hops.
    pub fluff: f64,
    /// To how many outbound peers stems lead on, 1 or 2. 1.
    pub relays: u32,
    /// How long a stemmed item may take to come back before this node spreads it: the mean of an exponential distribution,
    /// drawn once for an item. 39 s.
    #[cfg_attr(feature = "serde", serde(rename = "embargo_ms", with = "crate::config::text::millis"))]
    pub embargo: Duration,
    /// How many items of one inbound peer may be on their stem here. 64.
    pub stem_items_max: u32,
    /// How items spread after their stem. [`Inner::Tree`].
    pub inner: Inner,
}

/// What [`Policy::Tree`] needs to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default, deny_unknown_fields))]
pub struct Tree {
    /// How many hops a pushed copy makes at most; copies asked for begin anew. 6.
    pub rounds: u32,
    /// How many trees a node remembers. 256.
    pub trees_max: u32,
}

/// How an item spreads after its private beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Inner {
    /// [`Policy::Fanout`] with its defaults.
    Fanout,
    /// [`Policy::Flood`] without delay.
    Flood,
    /// [`Policy::Diffusion`] with its defaults.
    Diffusion,
    /// [`Policy::Tree`] with its defaults, on a tree that is not its sender's.
    #[default]
    Tree,
}

/// A name that no policy has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no policy {0:?}; there are {names}", names = Policy::NAMES.join(", "))]
pub struct PolicyNameError(pub String);

impl Default for SqrtAnnounce {
    fn default() -> Self {
        Self { rounds: 6, wait: Duration::from_secs(1), per_source: Duration::from_secs(5) }
    }
}

impl Default for Infection {
    fn default() -> Self {
        Self { target: 3, saturation: 12, attempts_max: 15, adaptive: 0, timeout: Duration::from_secs(10) }
    }
}

impl Default for NeighbourCast {
    fn default() -> Self {
        Self { rounds: 6, step: Duration::from_millis(100), lists_every: Duration::from_secs(60) }
    }
}

impl Default for Proxy {
    fn default() -> Self {
        Self { embargo: Duration::from_secs(60), inner: Inner::Diffusion }
    }
}

impl Default for Dandelion {
    fn default() -> Self {
        Self {
            epoch: Duration::from_secs(600),
            fluff: 0.2,
            relays: 1,
            embargo: Duration::from_secs(39),
            stem_items_max: 64,
            inner: Inner::Tree,
        }
    }
}

impl Default for Tree {
    fn default() -> Self {
        Self { rounds: 6, trees_max: 256 }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self::Tree(Tree::default())
    }
}

impl Policy {
    /// The names of all policies.
    pub const NAMES: [&'static str; 11] = [
        "fanout",
        "all",
        "one",
        "flood",
        "sqrt_announce",
        "infection",
        "neighbour_cast",
        "diffusion",
        "proxy",
        "dandelion",
        "tree",
    ];

    /// The name.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Fanout { .. } => "fanout",
            Self::All { .. } => "all",
            Self::One { .. } => "one",
            Self::Flood { .. } => "flood",
            Self::SqrtAnnounce(_) => "sqrt_announce",
            Self::Infection(_) => "infection",
            Self::NeighbourCast(_) => "neighbour_cast",
            Self::Diffusion { .. } => "diffusion",
            Self::Proxy(_) => "proxy",
            Self::Dandelion(_) => "dandelion",
            Self::Tree(_) => "tree",
        }
    }

    /// How many hops a pushed copy makes at most. Policies without a limit of their own have the largest there is.
    pub const fn rounds(&self) -> u32 {
        match self {
            Self::Fanout { rounds, .. } | Self::All { rounds } | Self::One { rounds } => *rounds,
            Self::SqrtAnnounce(settings) => settings.rounds,
            Self::NeighbourCast(settings) => settings.rounds,
            Self::Tree(settings) => settings.rounds,
            Self::Proxy(settings) => settings.inner.rounds(),
            Self::Dandelion(settings) => settings.inner.rounds(),
            Self::Flood { .. } | Self::Infection(_) | Self::Diffusion { .. } => ROUNDS_MAX,
        }
    }

    /// What an item spreads by once it is no secret any more where it is.
    pub(crate) fn public(self) -> Self {
        match self {
            Self::Proxy(settings) => settings.inner.policy(),
            Self::Dandelion(settings) => settings.inner.policy(),
            Self::Fanout { .. }
            | Self::All { .. }
            | Self::One { .. }
            | Self::Flood { .. }
            | Self::SqrtAnnounce(_)
            | Self::Infection(_)
            | Self::NeighbourCast(_)
            | Self::Diffusion { .. }
            | Self::Tree(_) => self,
        }
    }

    /// The largest round of any copy: on a tree of somebody else an item goes up before it goes down.
    pub(crate) fn rounds_most(&self) -> u32 {
        let Self::Tree(settings) = self.public() else { return self.rounds() };
        settings.rounds.saturating_mul(2)
    }

    /// Whether an item has a beginning that must not tell who published it.
    pub(crate) const fn is_private(&self) -> bool {
        matches!(self, Self::Proxy(_) | Self::Dandelion(_))
    }

    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        if let Some(missing) = [*self, self.public()].iter().find(|policy| !BUILT.contains(&policy.name())) {
            return Err(ConfigError::NotBuilt(missing.name()));
        }
        within("policy.rounds", self.rounds() as usize, 1, ROUNDS_MAX as usize)?;
        match self {
            Self::Fanout { peers, .. } => within("fanout.peers", *peers as usize, 1, SLOTS_MAX),
            Self::All { .. } | Self::One { .. } | Self::SqrtAnnounce(_) => Ok(()),
            Self::Flood { delay } => seconds("flood.delay", *delay, 0, 60),
            Self::Diffusion { mean } => seconds("diffusion.mean", *mean, 0, 600),
            Self::Infection(Infection { target, saturation, attempts_max, adaptive, .. }) => {
                within("infection.target", *target as usize, 1, SLOTS_MAX)?;
                within("infection.saturation", *saturation as usize, 1, SLOTS_MAX)?;
                within("infection.attempts_max", *attempts_max as usize, 1, SLOTS_MAX)?;
                within("infection.adaptive", *adaptive as usize, 0, 64)
            }
            Self::NeighbourCast(NeighbourCast { step, .. }) => seconds("neighbour_cast.step", *step, 0, 60),
            Self::Proxy(Proxy { embargo, .. }) => seconds("proxy.embargo", *embargo, 1, 3_600),
            Self::Dandelion(Dandelion { epoch, fluff, relays, embargo, stem_items_max, .. }) => {
                seconds("dandelion.epoch", *epoch, 1, 86_400)?;
                let fluff = if fluff.is_finite() { *fluff } else { -1.0 };
                within("dandelion.fluff in thousandths", (fluff * 1_000.0) as usize, 1, 1_000)?;
                within("dandelion.relays", *relays as usize, 1, 2)?;
                within("dandelion.stem_items_max", *stem_items_max as usize, 1, 65_536)?;
                seconds("dandelion.embargo", *embargo, 1, 3_600)
            }
            Self::Tree(Tree { trees_max, .. }) => within("tree.trees_max", *trees_max as usize, 1, 65_536),
        }
    }
}

impl Inner {
    const fn rounds(self) -> u32 {
        match self {
            Self::Fanout | Self::Tree => 6,
            Self::Flood | Self::Diffusion => ROUNDS_MAX,
        }
    }

    /// The policy that it stands for.
    pub fn policy(self) -> Policy {
        match self {
            Self::Fanout => FANOUT,
            Self::Flood => Policy::Flood { delay: Duration::ZERO },
            Self::Diffusion => Policy::Diffusion { mean: DIFFUSION_MEAN },
            Self::Tree => Policy::Tree(Tree::default()),
        }
    }
}

/// The policies that the engine knows by now; the others are names on the wire and in settings only.
const BUILT: &[&str] = &[
    "fanout",
    "all",
    "one",
    "flood",
    "sqrt_announce",
    "infection",
    "neighbour_cast",
    "diffusion",
    "proxy",
    "dandelion",
    "tree",
];

const FANOUT: Policy = Policy::Fanout { peers: 16, rounds: 6 };
const DIFFUSION_MEAN: Duration = Duration::from_secs(2);

/// The policy of that name with its defaults.
impl FromStr for Policy {
    type Err = PolicyNameError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Ok(match name {
            "fanout" => FANOUT,
            "all" => Self::All { rounds: 6 },
            "one" => Self::One { rounds: 1 },
            "flood" => Self::Flood { delay: Duration::ZERO },
            "sqrt_announce" => Self::SqrtAnnounce(SqrtAnnounce::default()),
            "infection" => Self::Infection(Infection::default()),
            "neighbour_cast" => Self::NeighbourCast(NeighbourCast::default()),
            "diffusion" => Self::Diffusion { mean: DIFFUSION_MEAN },
            "proxy" => Self::Proxy(Proxy::default()),
            "dandelion" => Self::Dandelion(Dandelion::default()),
            "tree" => Self::Tree(Tree::default()),
            other => return Err(PolicyNameError(other.to_owned())),
        })
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Policies are settings, and settings are never not-a-number: `validate` refuses it.
impl Eq for Policy {}

fn seconds(field: &'static str, duration: Duration, min: u64, max: u64) -> Result<(), ConfigError> {
    let up = |seconds: u64| seconds as usize;
    within(field, up(duration.as_secs()), up(min), up(max))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_policy_has_a_name_and_valid_defaults() {
        for name in Policy::NAMES {
            let policy: Policy = name.parse().unwrap();
            assert_eq!(policy.to_string(), name);
            assert_eq!(policy.validate().is_ok(), BUILT.contains(&name), "{name}");
        }
        let error = "fanuot".parse::<Policy>().unwrap_err().to_string();
        assert!(error.contains("fanuot") && error.contains("fanout, all"), "{error}");
    }

    #[test]
    fn settings_out_of_bounds_are_named() {
        let refused = |policy: Policy| policy.validate().unwrap_err().to_string();
        let slow = Policy::Flood { delay: Duration::from_secs(61) };
        assert_eq!(refused(slow), "flood.delay is 61, but must be from 0 to 60");
        assert_eq!(refused(Policy::All { rounds: 33 }), "policy.rounds is 33, but must be from 1 to 32");
    }
}
