//! What keys there are, told by the defaults themselves, and how text becomes their values.

use toml::{Table, Value};

use crate::config::Config;

/// The table whose keys are names of the operator's choice.
const OPEN_TABLE: &str = "topics";

/// Keys of the protocols' own settings that have another name here, or are not the operator's.
const HIDDEN: [(&str, &str); 7] = [
    ("book", "allow_private_addrs"),
    ("exchange", "admission"),
    ("exchange", "dial_low_ports"),
    ("peering", "outbound_target"),
    ("peering", "inbound_max"),
    ("gossip", "topics"),
    ("gossip", "other_topics"),
];
/// Keys that may be absent, and what shows their type.
const OPTIONAL: [(&[&str], Value); 1] = [(&["exchange", "ask_again_secs"], Value::Integer(0))];

/// Settings as a table of what an operator may set.
pub(super) fn table_of(config: &Config) -> Table {
    let mut table = Table::try_from(config).expect("settings are expressible in TOML");
    for (section, key) in HIDDEN {
        if let Some(Value::Table(inner)) = table.get_mut(section) {
            inner.remove(key);
        }
    }
    table
}

/// What a key's value looks like, also of one that is absent by default.
pub(super) fn like<'t>(schema: &'t Table, path: &[String]) -> Option<&'t Value> {
    at(schema, path).or_else(|| OPTIONAL.iter().find(|(key, _)| *key == path).map(|(_, value)| value))
}

/// Whether a key is a name of the operator's choice, or below one.
pub(super) fn is_open(path: &[String]) -> bool {
    path.len() > 1 && path[0] == OPEN_TABLE
}

/// All keys, as `section.key`.
pub(super) fn keys(table: &Table) -> Vec<String> {
    let mut found = Vec::new();
    collect(table, "", &mut found);
    found
}

fn collect(table: &Table, prefix: &str, found: &mut Vec<String>) {
    for (name, value) in table {
        let path = format!("{prefix}{name}");
        match value.as_table() {
            Some(inner) if path != OPEN_TABLE => collect(inner, &format!("{path}."), found),
            Some(_) | None => found.push(path),
        }
    }
}

/// The environment variable of a key.
pub(super) fn variable(key: &str) -> String {
    format!("BRUIT_{}", key.replace('.', "_").to_uppercase())
}

/// The value at a path.
pub(super) fn at<'t>(table: &'t Table, path: &[String]) -> Option<&'t Value> {
    let (last, sections) = path.split_last()?;
    let mut table = table;
    for section in sections {
        table = table.get(section)?.as_table()?;
    }
    table.get(last)
}

/// Puts a value at a path, making tables on the way.
pub(super) fn put(table: &mut Table, path: &[String], value: Value) {
    let Some((last, sections)) = path.split_last() else { return };
    let mut table = table;
    for section in sections {
        let inner = table.entry(section.clone()).or_insert_with(|| Value::Table(Table::new()));
        let Value::Table(inner) = inner else { return };
        table = inner;
    }
    table.insert(last.clone(), value);
}

/// Reads text (of a flag or a variable) as a value of the same type as `like`.
pub(super) fn parse(key: &str, texts: &[String], like: Option<&Value>) -> Result<Value, String> {
    if key == OPEN_TABLE {
        return parse_topics(texts);
    }
    if let Some(Value::Array(_)) = like {
        let parts = texts.iter().flat_map(|text| text.split(',')).map(str::trim).filter(|part| !part.is_empty());
        return Ok(Value::Array(parts.map(|part| Value::String(part.to_owned())).collect()));
    }
    let [text] = texts else { return Err("one value is wanted".to_owned()) };
    let text = text.trim();
    match like {
        Some(Value::Integer(_)) => {
            text.replace('_', "").parse().map(Value::Integer).map_err(|_| "a whole number is wanted".to_owned())
        }
        Some(Value::Float(_)) => text.parse().map(Value::Float).map_err(|_| "a number is wanted".to_owned()),
        Some(Value::Boolean(_)) => match text {
            "true" | "yes" | "1" => Ok(Value::Boolean(true)),
            "false" | "no" | "0" => Ok(Value::Boolean(false)),
            _ => Err("true or false is wanted".to_owned()),
        },
        Some(Value::String(_)) => Ok(Value::String(text.to_owned())),
        // Below `topics.NAME` nothing stands by default: numbers are numbers, all else is text.
        None => Ok(text.parse().map_or_else(|_| Value::String(text.to_owned()), Value::Integer)),
        Some(Value::Table(_) | Value::Array(_) | Value::Datetime(_)) => {
            Err("this is a section; set the keys in it".to_owned())
        }
    }
}

fn parse_topics(texts: &[String]) -> Result<Value, String> {
    let mut topics = Table::new();
    for part in texts.iter().flat_map(|text| text.split(',')).map(str::trim).filter(|part| !part.is_empty()) {
        let Some((name, carry)) = part.split_once('=') else {
            return Err(format!("NAME=everybody or NAME=subscribers is wanted, not `{part}`"));
        };
        let settings = Table::from_iter([("carry".to_owned(), Value::String(carry.to_owned()))]);
        topics.insert(name.to_owned(), Value::Table(settings));
    }
    Ok(Value::Table(topics))
}

/// Which name is spelt most alike, if any is near.
pub(super) fn nearest(name: &str, candidates: impl Iterator<Item = String>) -> Option<String> {
    let last = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
    let alike = |candidate: &str| {
        strsim::jaro_winkler(name, candidate).max(strsim::jaro_winkler(&last(name), &last(candidate)))
    };
    let mut best: Option<(f64, String)> = None;
    for candidate in candidates {
        let likeness = alike(&candidate);
        if likeness > 0.7 && best.as_ref().is_none_or(|(most, _)| likeness > *most) {
            best = Some((likeness, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// TOML has no null: an empty text stands for nothing.
pub(super) mod empty_is_none {
    use std::{ffi::OsStr, net::SocketAddr, path::PathBuf};

    use serde::{Deserialize, Deserializer, Serializer};

    use crate::config::{SeedUrl, SeedUrlError};

    /// A value that can be written as text that is not empty.
    pub(in crate::config) trait Text: Sized {
        fn to_text(&self) -> String;
        fn from_text(text: &str) -> Result<Self, String>;
    }

    impl Text for PathBuf {
        fn to_text(&self) -> String {
            AsRef::<OsStr>::as_ref(self).to_string_lossy().into_owned()
        }

        fn from_text(text: &str) -> Result<Self, String> {
            Ok(Self::from(text))
        }
    }

    impl Text for bruit_gossip::Policy {
        fn to_text(&self) -> String {
            self.to_string()
        }

        fn from_text(text: &str) -> Result<Self, String> {
            text.parse().map_err(|error: bruit_gossip::PolicyNameError| error.to_string())
        }
    }

    impl Text for SocketAddr {
        fn to_text(&self) -> String {
            self.to_string()
        }

        fn from_text(text: &str) -> Result<Self, String> {
            text.parse().map_err(|_| "an IP address and a port are wanted, as 127.0.0.1:9100".to_owned())
        }
    }

    impl Text for SeedUrl {
        fn to_text(&self) -> String {
            self.to_string()
        }

        fn from_text(text: &str) -> Result<Self, String> {
            text.parse().map_err(|error: SeedUrlError| error.to_string())
        }
    }

    pub(in crate::config) fn serialize<T: Text, S: Serializer>(value: &Option<T>, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&value.as_ref().map(Text::to_text).unwrap_or_default())
    }

    pub(in crate::config) fn deserialize<'de, T: Text, D: Deserializer<'de>>(from: D) -> Result<Option<T>, D::Error> {
        let text = String::deserialize(from)?;
        if text.is_empty() {
            return Ok(None);
        }
        T::from_text(&text).map(Some).map_err(serde::de::Error::custom)
    }
}
