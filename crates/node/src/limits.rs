//! What bounds a node: the caps, intervals and quotas of the crates that list theirs, as the settings make them.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::Config;

/// `cargo xtask limits` writes it from the crates' sources, and fails when it is out of date.
const LIMITS: &str = include_str!("limits.json");

/// A limit as it is unless set.
#[derive(Deserialize)]
struct Declared {
    #[serde(rename = "crate")]
    of: String,
    name: String,
    default: String,
    bounds: String,
    source: String,
}

/// A cap, an interval or a quota, as the settings make it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// The crate whose it is, without `bruit-`.
    #[serde(rename = "crate")]
    pub of: String,
    /// Its name in the source.
    pub name: String,
    /// The key of the setting, if it is one.
    pub setting: Option<String>,
    /// What it is, as people read it.
    pub value: String,
    /// What the crate takes by itself.
    pub default: String,
    /// What it bounds.
    pub bounds: String,
    /// Where the default comes from.
    pub source: String,
}

/// Every limit of the crates that list theirs.
pub fn limits(config: &Config) -> Vec<Limit> {
    let config = serde_json::to_value(config).expect("settings are expressible in JSON");
    let declared: Vec<Declared> = serde_json::from_str(LIMITS).expect("the list is written by `cargo xtask limits`");
    declared.into_iter().map(|declared| limit(declared, &config)).collect()
}

fn limit(declared: Declared, config: &Value) -> Limit {
    let Declared { of, name, default, bounds, source } = declared;
    let set = name.strip_prefix("Config::").and_then(|field| set(&of, field, config));
    let value = set.as_ref().map_or_else(|| default.clone(), |(key, value)| shown(key, value));
    Limit { of, name, setting: set.map(|(key, _)| key), value, default, bounds, source }
}

/// The key of a setting of a crate, and its value.
fn set<'a>(of: &str, field: &str, config: &'a Value) -> Option<(String, &'a Value)> {
    let section = match of {
        "address-book" => "book",
        "addr-exchange" => "exchange",
        other => other,
    };
    let keys = match (section, field) {
        // They stand above the sections, and what the section says does not count.
        ("peering", "outbound_target") => vec!["outbound".to_owned()],
        ("peering", "inbound_max") => vec!["inbound_max".to_owned()],
        _ => vec![format!("{section}.{field}"), format!("{section}.{field}_ms")],
    };
    keys.into_iter().find_map(|key| {
        let value = config.pointer(&format!("/{}", key.replace('.', "/")))?;
        Some((key, value))
    })
}

/// A value as people read it; the unit is in the key's name.
fn shown(key: &str, value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::Number(number) => match (number.as_i64(), key) {
            (Some(millis), key) if key.ends_with("_ms") => span(millis),
            (Some(secs), key) if key.contains("_secs") => span(secs.saturating_mul(1_000)),
            (Some(count), _) => grouped(count),
            (None, _) => number.to_string(),
        },
        Value::Bool(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

/// A span in the largest unit that leaves no rest.
fn span(millis: i64) -> String {
    if millis == 0 {
        return "0 s".to_owned();
    }
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1_000, "s")];
    let unit = units.into_iter().find(|(size, _)| millis >= *size && millis % size == 0);
    let (size, name) = unit.unwrap_or((1, "ms"));
    format!("{} {name}", grouped(millis / size))
}

/// A number with commas between its thousands.
fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::new();
    for (place, digit) in (0..digits.len()).rev().zip(digits.chars()) {
        text.push(digit);
        if place > 0 && place % 3 == 0 {
            text.push(',');
        }
    }
    if number < 0 { format!("-{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_profile(name: &str) -> Vec<Limit> {
        limits(&Config::of_profile(name).unwrap())
    }

    #[test]
    fn every_limit_that_can_be_set_is_found_among_the_settings() {
        let limits = of_profile("bruit");
        assert!(limits.len() > 100);
        for limit in limits {
            assert_eq!(limit.name.starts_with("Config::"), limit.setting.is_some(), "{}", limit.name);
        }
    }

    #[test]
    fn defaults_are_those_that_the_crates_have() {
        let limits = of_profile("bruit").into_iter();
        let others = limits.filter(|limit| limit.value != limit.default);
        let others: Vec<_> = others.map(|limit| (limit.setting.unwrap(), limit.value, limit.default)).collect();
        assert_eq!(others, []);
    }
}
