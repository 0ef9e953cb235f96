use std::{collections::BTreeSet, fmt::Write as _};

use toml::Value;

use crate::config::{Config, Effective, Source, schema};

impl Config {
    /// The keys whose values differ.
    pub(crate) fn differing(&self, other: &Self) -> Vec<String> {
        let (ours, theirs) = (schema::table_of(self), schema::table_of(other));
        let value = |table, key: &String| {
            let path: Vec<String> = key.split('.').map(str::to_owned).collect();
            schema::at(table, &path).cloned()
        };
        let keys: BTreeSet<String> = [&ours, &theirs].into_iter().flat_map(schema::keys).collect();
        keys.into_iter().filter(|key| value(&ours, key) != value(&theirs, key)).collect()
    }
}

impl Effective {
    /// All settings as TOML, each with where it comes from.
    pub fn to_toml(&self) -> String {
        let table = schema::table_of(&self.config);
        let mut text = String::new();
        let is_section = |name: &str, value: &Value| value.is_table() && name != "topics";
        for (name, value) in table.iter().filter(|(name, value)| !is_section(name, value)) {
            self.line(&mut text, name, name, value);
        }
        for (section, value) in table.iter().filter(|(name, value)| is_section(name, value)) {
            let _ = writeln!(text, "\n[{section}]");
            for (name, value) in value.as_table().into_iter().flatten() {
                self.line(&mut text, name, &format!("{section}.{name}"), value);
            }
        }
        text
    }

    /// Where the value of a key comes from.
    pub fn source(&self, key: &str) -> Source {
        let below = format!("{key}.");
        let named = self
            .sources
            .get(key)
            .or_else(|| self.sources.iter().find(|(name, _)| name.starts_with(&below)).map(|(_, source)| source));
        named.cloned().unwrap_or_else(|| Source::Profile(self.config.profile.clone()))
    }

    /// All keys with their sources.
    pub fn all_sources(&self) -> Vec<(String, Source)> {
        let table = schema::table_of(&self.config);
        schema::keys(&table).into_iter().map(|key| (key.clone(), self.source(&key))).collect()
    }

    fn line(&self, text: &mut String, name: &str, key: &str, value: &Value) {
        let assigned = format!("{name} = {value}");
        let _ = writeln!(text, "{assigned:<48} # {}", self.source(key));
    }
}
