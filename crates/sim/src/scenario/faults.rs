use std::{collections::BTreeSet, time::Duration};

use bruit_core::Seed;
use rand::{RngExt, seq::SliceRandom};
use serde::Deserialize;

use super::{Invalid, Scenario, invalid::nearest};
use crate::Fault;

/// Something that goes wrong at some time.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultSection {
    /// When, in milliseconds after the load begins.
    #[serde(default)]
    pub at_ms: f64,
    /// What.
    pub kind: FaultWord,
    /// The share of nodes that it strikes, drawn by chance.
    pub share: Option<f64>,
    /// The nodes that it strikes.
    pub nodes: Option<Vec<u32>>,
    /// For how long (`freeze`, `churn`).
    pub for_ms: Option<f64>,
    /// How long peers take to notice (`crash`), or how long a node stays away (`churn`).
    pub notice_ms: Option<f64>,
    /// How much longer frames take (`slow`), or by how much clocks are wrong (`skew`).
    pub delay_ms: Option<f64>,
    /// Into how many parts (`partition`).
    pub parts: Option<u8>,
}

/// What can go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultWord {
    /// Nodes stop at once.
    Crash,
    /// Nodes that stopped come back; all of them, where none are named.
    Restart,
    /// Every minute a share of the nodes crashes, each at its own moment, and comes back after `notice_ms`.
    Churn,
    /// Nodes do nothing for a while.
    Freeze,
    /// The network falls into parts.
    Partition,
    /// The parts and cuts are healed.
    Heal,
    /// Nothing passes from these nodes to all others; the other way all is well.
    Cut,
    /// Frames of these nodes take longer.
    Slow,
    /// Clocks of these nodes are wrong.
    Skew,
}

impl FaultWord {
    /// The keys that are read, beside those that every fault has.
    const fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Crash => &["share", "nodes", "notice_ms"],
            Self::Restart | Self::Cut => &["share", "nodes"],
            Self::Churn => &["share", "for_ms", "notice_ms"],
            Self::Freeze => &["share", "nodes", "for_ms"],
            Self::Partition => &["parts"],
            Self::Heal => &[],
            Self::Slow | Self::Skew => &["share", "nodes", "delay_ms"],
        }
    }

    /// Whether it strikes nodes that are known before the run.
    const fn is_of_nodes(self) -> bool {
        match self {
            Self::Crash | Self::Restart | Self::Freeze | Self::Cut | Self::Slow | Self::Skew => true,
            Self::Churn | Self::Partition | Self::Heal => false,
        }
    }

    /// Whether it needs to be said whom it strikes.
    const fn strikes_nodes(self) -> bool {
        match self {
            Self::Crash | Self::Freeze | Self::Cut | Self::Slow | Self::Skew => true,
            Self::Restart | Self::Churn | Self::Partition | Self::Heal => false,
        }
    }
}

impl FaultSection {
    /// A key that is written, but means nothing to a fault of this kind.
    fn unread(&self) -> Option<&'static str> {
        let written = [
            ("share", self.share.is_some()),
            ("nodes", self.nodes.is_some()),
            ("for_ms", self.for_ms.is_some()),
            ("notice_ms", self.notice_ms.is_some()),
            ("delay_ms", self.delay_ms.is_some()),
            ("parts", self.parts.is_some()),
        ];
        written.into_iter().find(|(key, is_written)| *is_written && !self.kind.keys().contains(key)).map(|(key, _)| key)
    }
}

impl Scenario {
    /// All faults of a run with their times, churn resolved into crashes and restarts.
    pub(crate) fn faults(&self, seed: &Seed) -> Result<Vec<(Duration, Fault)>, Invalid> {
        let mut faults = Vec::new();
        let mut crashed: Vec<u32> = Vec::new();
        for (number, section) in self.file.fault.iter().enumerate() {
            let seed = seed.derive("fault", number as u64);
            if let Some(key) = section.unread() {
                let reason = "a fault of this kind has no such key";
                let invalid = self.invalid(&format!("fault.{number}.{key}"), reason);
                return Err(invalid.with_nearest(nearest(key, section.kind.keys().iter().copied())));
            }
            let at = self.span(&format!("fault.{number}.at_ms"), section.at_ms)?;
            let span = |key: &str, ms: Option<f64>, default: f64| {
                self.span(&format!("fault.{number}.{key}"), ms.unwrap_or(default))
            };
            let is_restart_of_all =
                section.kind == FaultWord::Restart && section.share.is_none() && section.nodes.is_none();
            let nodes = if is_restart_of_all { crashed.clone() } else { self.struck(number, section, &seed)? };
            if nodes.is_empty() && section.share != Some(0.0) && section.kind.is_of_nodes() {
                return Err(self.invalid(&format!("fault.{number}"), "it strikes nobody"));
            }
            let fault = match section.kind {
                FaultWord::Crash => {
                    crashed.extend(&nodes);
                    Fault::Crash { nodes, notice: span("notice_ms", section.notice_ms, 0.0)? }
                }
                FaultWord::Restart => Fault::Restart { nodes },
                FaultWord::Churn => {
                    let share = self.share(&format!("fault.{number}.share"), section.share.unwrap_or(0.1))?;
                    let lasts = span("for_ms", section.for_ms, 60_000.0)?;
                    let away = span("notice_ms", section.notice_ms, 5_000.0)?;
                    let churned = self.churn(share, at, lasts, away, &seed);
                    if churned.is_empty() && share > 0.0 {
                        let reason = format!("{share} of the nodes a minute is nobody in {} ms", lasts.as_millis());
                        return Err(self.invalid(&format!("fault.{number}"), reason));
                    }
                    faults.extend(churned);
                    continue;
                }
                FaultWord::Freeze => Fault::Freeze { nodes, span: span("for_ms", section.for_ms, 1_000.0)? },
                FaultWord::Partition => {
                    let parts = section.parts.unwrap_or(2);
                    if parts < 2 || u32::from(parts) > self.file.nodes {
                        let reason = format!("{} nodes cannot fall into {parts} parts, from 2 on", self.file.nodes);
                        return Err(self.invalid(&format!("fault.{number}.parts"), reason));
                    }
                    let mut rng = seed.rng();
                    Fault::Partition { groups: (0..self.file.nodes).map(|_| rng.random_range(0..parts)).collect() }
                }
                FaultWord::Heal => Fault::Heal,
                FaultWord::Cut => {
                    let struck: BTreeSet<u32> = nodes.iter().copied().collect();
                    let to: Vec<u32> = (0..self.file.nodes).filter(|node| !struck.contains(node)).collect();
                    if to.is_empty() {
                        return Err(self.invalid(&format!("fault.{number}"), "nobody is left to be cut off from"));
                    }
                    Fault::Cut { from: nodes, to }
                }
                FaultWord::Slow => Fault::Slow { nodes, delay: span("delay_ms", section.delay_ms, 1_000.0)? },
                FaultWord::Skew => {
                    let ms = section.delay_ms.unwrap_or(1_000.0);
                    if !(-1e12..=1e12).contains(&ms) {
                        let reason = format!("{ms} ms is no skew, from -1e12 to 1e12");
                        return Err(self.invalid(&format!("fault.{number}.delay_ms"), reason));
                    }
                    Fault::Skew { nodes, micros: (ms * 1_000.0) as i64 }
                }
            };
            faults.push((at, fault));
        }
        Ok(faults)
    }

    fn struck(&self, number: usize, section: &FaultSection, seed: &Seed) -> Result<Vec<u32>, Invalid> {
        let nodes = self.file.nodes;
        match (&section.nodes, section.share) {
            (Some(_), Some(_)) => {
                Err(self.invalid(&format!("fault.{number}.nodes"), "a fault strikes a share or named nodes, not both"))
            }
            (Some(named), None) => match named.iter().find(|node| **node >= nodes) {
                Some(node) => {
                    let reason = format!("there is no node {node}, only 0 to {}", nodes - 1);
                    Err(self.invalid(&format!("fault.{number}.nodes"), reason))
                }
                None => Ok(named.clone()),
            },
            (None, None) if section.kind.strikes_nodes() => {
                let reason = "a fault of this kind strikes neither a share nor nodes here";
                Err(self.invalid(&format!("fault.{number}"), reason).with_nearest(Some("share".to_owned())))
            }
            (None, share) => {
                let path = format!("fault.{number}.share");
                let share = match section.kind {
                    // A share a minute.
                    FaultWord::Churn => self.share(&path, share.unwrap_or(0.0))?,
                    FaultWord::Crash
                    | FaultWord::Restart
                    | FaultWord::Freeze
                    | FaultWord::Partition
                    | FaultWord::Heal
                    | FaultWord::Cut
                    | FaultWord::Slow
                    | FaultWord::Skew => self.share_of_nodes(&path, share.unwrap_or(0.0))?,
                };
                let mut all: Vec<u32> = (0..nodes).collect();
                all.shuffle(&mut seed.rng());
                all.truncate((f64::from(nodes) * share).round() as usize);
                Ok(all)
            }
        }
    }

    /// Every minute a share of the nodes leaves for a while.
    fn churn(&self, share: f64, at: Duration, lasts: Duration, away: Duration, seed: &Seed) -> Vec<(Duration, Fault)> {
        let mut rng = seed.rng();
        let leaves = f64::from(self.file.nodes) * share * lasts.as_secs_f64() / 60.0;
        let mut faults = Vec::new();
        for _ in 0..leaves.round() as u32 {
            let nodes = vec![rng.random_range(0..self.file.nodes)];
            let when = at + lasts.mul_f64(rng.random());
            faults.push((when, Fault::Crash { nodes: nodes.clone(), notice: Duration::ZERO }));
            faults.push((when + away, Fault::Restart { nodes }));
        }
        faults
    }
}
