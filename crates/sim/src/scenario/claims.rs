use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Invalid, Scenario, invalid::nearest, known::Names};

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
    /// What the figure is; NaN if it was not seen once.
    pub value: f64,
    /// Whether it is within the bounds.
    pub holds: bool,
}

pub(super) fn check(scenario: &Scenario, names: &Names) -> Result<(), Invalid> {
    for (number, claim) in scenario.file.claim.iter().enumerate() {
        let path = |key: &str| format!("claim.{number}.{key}");
        let Some(meant) = names.meant(&claim.figure) else {
            let reason = format!("there is no figure `{}`", claim.figure);
            let invalid = scenario.invalid(&path("figure"), reason);
            return Err(invalid.with_nearest(nearest(&claim.figure, names.measured())));
        };
        if let Some(key) = meant.lacks {
            let reason = format!("`{}` is measured only where `{key}` is set", claim.figure);
            return Err(scenario.invalid(&path("figure"), reason).with_nearest(Some(key.to_owned())));
        }
        for (key, bound) in [("min", claim.min), ("max", claim.max)] {
            match bound {
                Some(bound) if bound.is_nan() => return Err(scenario.invalid(&path(key), "NaN is no bound")),
                Some(bound) if bound < 0.0 || bound.is_infinite() => {
                    return Err(
                        scenario.invalid(&path(key), format!("{bound} is no bound: figures are never negative"))
                    );
                }
                Some(bound) if meant.is_share && bound > 1.0 => {
                    let reason = format!("{bound} is no bound: `{}` is a share, from 0 to 1", claim.figure);
                    return Err(scenario.invalid(&path(key), reason));
                }
                Some(_) | None => {}
            }
        }
        match (claim.min, claim.max) {
            (None, None) => {
                let invalid = scenario.invalid(&path("figure"), "a claim has a min, a max or both");
                return Err(invalid.with_nearest(Some("min".to_owned())));
            }
            (Some(min), Some(max)) if min > max => {
                return Err(scenario.invalid(&path("min"), format!("{min} is more than the max of {max}")));
            }
            (Some(_), _) | (_, Some(_)) => {}
        }
    }
    Ok(())
}

/// Judges claims. A claim about what was not seen once fails, unless it is about how often something was seen.
pub(super) fn judge(scenario: &Scenario, names: &Names, printed: &BTreeMap<String, f64>) -> Vec<Judged> {
    let judged = scenario.file.claim.iter().map(|claim| {
        let unseen = if names.is_count(&claim.figure) { 0.0 } else { f64::NAN };
        let value = printed.get(&claim.figure).copied().unwrap_or(unseen);
        let is_within = claim.min.is_none_or(|min| value >= min) && claim.max.is_none_or(|max| value <= max);
        Judged { claim: claim.clone(), value, holds: is_within && !value.is_nan() }
    });
    judged.collect()
}
