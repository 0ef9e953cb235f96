use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Invalid, Scenario, invalid::nearest};

/// Something that must be true of a figure, on every seed.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// The figure's name.
    pub figure: String,
    /// The least it may be.
    pub min: Option<f64>,
    /// The most it may be.
    pub max: Option<f64>,
}

/// A claim and what became of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// The claim.
    pub claim: Claim,
    /// What the figure is.
    pub value: f64,
    /// Whether it is within the bounds.
    pub holds: bool,
}

pub(super) fn check(scenario: &Scenario) -> Result<(), Invalid> {
    for (number, claim) in scenario.file.claim.iter().enumerate() {
        let path = |key: &str| format!("claim.{number}.{key}");
        for (key, bound) in [("min", claim.min), ("max", claim.max)] {
            if bound.is_some_and(f64::is_nan) {
                return Err(scenario.invalid(&path(key), "NaN is no bound"));
            }
        }
        match (claim.min, claim.max) {
            (None, None) => return Err(scenario.invalid(&path("figure"), "a claim has a min, a max or both")),
            (Some(min), Some(max)) if min > max => {
                return Err(scenario.invalid(&path("min"), format!("{min} is more than the max of {max}")));
            }
            (Some(_), _) | (_, Some(_)) => {}
        }
    }
    Ok(())
}

pub(super) fn judge(scenario: &Scenario, printed: &BTreeMap<String, f64>) -> Result<Vec<Judged>, Invalid> {
    let judged = scenario.file.claim.iter().enumerate().map(|(number, claim)| {
        let Some(value) = printed.get(&claim.figure).copied() else {
            let reason = format!("there is no figure `{}`", claim.figure);
            let invalid = scenario.invalid(&format!("claim.{number}.figure"), reason);
            return Err(invalid.with_nearest(nearest(&claim.figure, printed.keys().map(String::as_str))));
        };
        let holds = claim.min.is_none_or(|min| value >= min) && claim.max.is_none_or(|max| value <= max);
        Ok(Judged { claim: claim.clone(), value, holds })
    });
    judged.collect()
}
