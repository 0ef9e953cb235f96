use std::time::Duration;

use serde::Deserialize;

use super::{Invalid, Scenario, millis};
use crate::{Latency, Links, Model, Regions};

/// How links carry frames.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LinksSection {
    /// How long a frame takes.
    pub latency: LatencySection,
    /// The share of frames that do not arrive.
    pub loss: f64,
    /// What each frame takes more at most, in milliseconds.
    pub jitter_ms: f64,
    /// Whether a frame may overtake another on its link.
    pub reorder: bool,
    /// How many megabits a second a node can send.
    pub bandwidth_mbit: Option<f64>,
    /// What else may delay a frame.
    pub model: ModelSection,
}

/// How long a frame takes.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LatencySection {
    /// The same on every link.
    ConstantMs(f64),
    /// Drawn for each link between two bounds.
    UniformMs([f64; 2]),
    /// Drawn for each link; its logarithm is distributed normally.
    LogNormal {
        /// What half of the links do not exceed.
        median_ms: f64,
        /// The standard deviation of the natural logarithm.
        sigma: f64,
    },
    /// By the regions of both ends.
    Regions(RegionsSection),
}

/// Regions of the world.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegionsSection {
    /// The share of nodes in each, in any unit.
    pub weights: Vec<f64>,
    /// The latency from each to each, in rows.
    pub ms: Vec<Vec<f64>>,
}

/// What else may delay a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelSection {
    /// Nothing.
    #[default]
    Synchronous,
    /// Up to so much, until frames begin to arrive in time.
    PartiallySynchronous {
        /// When that is.
        calm_after_ms: f64,
        /// How much.
        delay_max_ms: f64,
    },
    /// Anything: exponentially distributed.
    Asynchronous {
        /// The mean.
        delay_mean_ms: f64,
    },
}

impl Default for LinksSection {
    fn default() -> Self {
        Self {
            latency: LatencySection::ConstantMs(30.0),
            loss: 0.0,
            jitter_ms: 0.0,
            reorder: false,
            bandwidth_mbit: None,
            model: ModelSection::default(),
        }
    }
}

impl Scenario {
    pub(crate) fn links(&self) -> Result<Links, Invalid> {
        let section = &self.file.links;
        let bandwidth = section.bandwidth_mbit.map(|mbit| match mbit > 0.0 && mbit < 1e7 {
            true => Ok((mbit * 1e6) as u64),
            false => Err(self.invalid("links.bandwidth_mbit", format!("{mbit} is no bandwidth"))),
        });
        Ok(Links {
            latency: self.latency(&section.latency)?,
            loss: self.share("links.loss", section.loss)?,
            jitter: self.span("links.jitter_ms", section.jitter_ms)?,
            reorder: section.reorder,
            bandwidth: bandwidth.transpose()?,
            model: match section.model {
                ModelSection::Synchronous => Model::Synchronous,
                ModelSection::PartiallySynchronous { calm_after_ms, delay_max_ms } => Model::PartiallySynchronous {
                    calm_after: self.span("links.model", calm_after_ms)?,
                    delay_max: self.span("links.model", delay_max_ms)?,
                },
                ModelSection::Asynchronous { delay_mean_ms } => {
                    Model::Asynchronous { delay_mean: self.span("links.model", delay_mean_ms)? }
                }
            },
        })
    }

    /// A span of milliseconds, or a refusal.
    pub(crate) fn span(&self, path: &str, ms: f64) -> Result<Duration, Invalid> {
        millis(ms).ok_or_else(|| self.invalid(path, format!("{ms} is no number of milliseconds")))
    }

    fn latency(&self, section: &LatencySection) -> Result<Latency, Invalid> {
        let path = "links.latency";
        Ok(match section {
            LatencySection::ConstantMs(ms) => Latency::Constant(self.link_span(path, *ms)?),
            LatencySection::UniformMs([min, max]) if min > max => {
                return Err(self.invalid(path, format!("from {min} to {max} is no range")));
            }
            LatencySection::UniformMs([min, max]) => {
                Latency::Uniform { min: self.link_span(path, *min)?, max: self.link_span(path, *max)? }
            }
            LatencySection::LogNormal { median_ms, sigma } => match (0.0..=3.0).contains(sigma) {
                true => Latency::LogNormal { median: self.link_span(path, *median_ms)?, sigma: *sigma },
                false => return Err(self.invalid(path, format!("sigma is {sigma}, but must be from 0 to 3"))),
            },
            LatencySection::Regions(RegionsSection { weights, ms }) => {
                let count = weights.len();
                if count == 0 || count > 64 || ms.len() != count || ms.iter().any(|row| row.len() != count) {
                    return Err(self.invalid(path, "as many rows and columns as weights are needed, 1 to 64"));
                }
                if weights.iter().any(|weight| !(0.0..1e9).contains(weight)) || weights.iter().sum::<f64>() <= 0.0 {
                    return Err(self.invalid(path, "weights are not negative, and not all zero"));
                }
                let row = |row: &Vec<f64>| row.iter().map(|ms| self.link_span(path, *ms)).collect();
                Latency::Regions(Regions {
                    weights: weights.clone(),
                    latency: ms.iter().map(row).collect::<Result<_, _>>()?,
                })
            }
        })
    }

    /// A latency fits into the 32 bits of microseconds that a laid link keeps, also after a log-normal draw.
    fn link_span(&self, path: &str, ms: f64) -> Result<Duration, Invalid> {
        match (0.0..=60_000.0).contains(&ms) {
            true => self.span(path, ms),
            false => Err(self.invalid(path, format!("{ms} ms is no latency, from 0 to 60000"))),
        }
    }
}
