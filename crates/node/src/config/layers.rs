//! Settings laid over each other: profile, then file, then environment, then flags.

use std::{collections::BTreeMap, fmt, fs, ops::Range, path::PathBuf};

use serde::Serialize;
use toml::{
    Table, Value,
    de::{DeTable, DeValue},
};

use crate::config::{Config, ConfigError, schema};

/// One setting of a flag: a key and what it shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The key, as `section.key`.
    pub key: String,
    /// Its values; more than one for a list.
    pub values: Vec<String>,
    /// The flag, as the user wrote it.
    pub flag: String,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The profile.
    Profile(String),
    /// The caller's own default.
    Default,
    /// A line of a file, counted from 1.
    File {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
    },
    /// An environment variable.
    Environment(String),
    /// A flag.
    Flag(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Profile(name) => write!(f, "profile {name}"),
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}, line {line}", path.display()),
            Self::Environment(name) => write!(f, "environment variable {name}"),
            Self::Flag(flag) => write!(f, "flag {flag}"),
        }
    }
}

/// What the settings come from; each layer wins over those before it.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    /// What the program sets where nobody says anything.
    pub defaults: Vec<Setting>,
    /// A file of TOML.
    pub file: Option<PathBuf>,
    /// The environment; only variables that begin with `BRUIT_` are looked at.
    pub environment: Vec<(String, String)>,
    /// Flags.
    pub flags: Vec<Setting>,
}

/// Settings, and where each comes from.
#[derive(Clone, Debug)]
pub struct Effective {
    /// The settings.
    pub config: Config,
    /// Where each key's value comes from; keys not named come from the profile.
    pub sources: BTreeMap<String, Source>,
}

struct Assignment {
    path: Vec<String>,
    value: Given,
    source: Source,
}

enum Given {
    Toml(Value),
    Texts(Vec<String>),
}

/// Variables that begin with `BRUIT_` but are no setting.
const OTHER_VARIABLES: [&str; 3] = ["BRUIT_API", "BRUIT_CONFIG", "BRUIT_JSON"];

impl Layers {
    /// Lays the settings over each other and checks the result.
    ///
    /// # Errors
    /// The first thing wrong, with where it stands.
    pub fn resolve(&self) -> Result<Effective, ConfigError> {
        let mut assignments: Vec<Assignment> =
            self.defaults.iter().map(|setting| from_setting(setting, Source::Default)).collect();
        if let Some(path) = &self.file {
            assignments.extend(read_file(path)?);
        }
        let flags = self.flags.iter().map(|setting| from_setting(setting, Source::Flag(setting.flag.clone())));
        let profile = profile_of(&assignments, &self.environment, &self.flags);
        let mut config = Config::of_profile(&profile)?;
        let schema = schema::table_of(&config);

        assignments.extend(from_environment(&self.environment, &schema)?);
        assignments.extend(flags);
        let mut sources = BTreeMap::new();
        let mut table = schema.clone();
        for assignment in assignments {
            config = assign(assignment, &schema, &mut table, &mut sources)?;
        }
        config.check()?;
        Ok(Effective { config, sources })
    }
}

fn assign(
    assignment: Assignment,
    schema: &Table,
    table: &mut Table,
    sources: &mut BTreeMap<String, Source>,
) -> Result<Config, ConfigError> {
    let Assignment { path, value, source } = assignment;
    let key = path.join(".");
    let like = schema::like(schema, &path);
    if like.is_none() && !schema::is_open(&path) {
        let nearest = schema::nearest(&key, schema::keys(schema).into_iter());
        return Err(ConfigError::UnknownKey { key, source_of: source, nearest });
    }
    let refused =
        |value: String, text: String| ConfigError::Value { key: key.clone(), value, source_of: source.clone(), text };
    let value = match value {
        Given::Toml(value) => value,
        Given::Texts(texts) => {
            schema::parse(&key, &texts, like).map_err(|text| refused(format!("`{}`", texts.join(",")), text))?
        }
    };
    if let (Some(Value::Table(_)), false) = (like, value.is_table()) {
        return Err(refused(value.to_string(), "this is a section; set the keys in it".to_owned()));
    }
    let shown = value.to_string();
    schema::put(table, &path, value);
    let config = Config::deserialize_table(table.clone()).map_err(|error| refused(shown, error))?;
    sources.insert(key, source);
    Ok(config)
}

impl Config {
    fn deserialize_table(table: Table) -> Result<Self, String> {
        table.try_into().map_err(|error: toml::de::Error| error.message().trim().to_owned())
    }
}

fn from_setting(setting: &Setting, source: Source) -> Assignment {
    let path = setting.key.split('.').map(str::to_owned).collect();
    Assignment { path, value: Given::Texts(setting.values.clone()), source }
}

fn from_environment(environment: &[(String, String)], schema: &Table) -> Result<Vec<Assignment>, ConfigError> {
    let keys = schema::keys(schema);
    let mut found = Vec::new();
    for (name, value) in environment.iter().filter(|(name, _)| name.starts_with("BRUIT_")) {
        let key = keys.iter().find(|key| schema::variable(key) == *name);
        let source = Source::Environment(name.clone());
        match key {
            Some(key) => {
                let path = key.split('.').map(str::to_owned).collect();
                found.push(Assignment { path, value: Given::Texts(vec![value.clone()]), source });
            }
            None if OTHER_VARIABLES.contains(&name.as_str()) => {}
            None => {
                let nearest = schema::nearest(name, keys.iter().map(|key| schema::variable(key)));
                return Err(ConfigError::UnknownKey { key: name.clone(), source_of: source, nearest });
            }
        }
    }
    Ok(found)
}

fn profile_of(assigned: &[Assignment], environment: &[(String, String)], flags: &[Setting]) -> String {
    let flag = flags.iter().rfind(|setting| setting.key == "profile").and_then(|setting| setting.values.last());
    let variable = || environment.iter().rfind(|(name, _)| name == "BRUIT_PROFILE").map(|(_, value)| value);
    if let Some(name) = flag.or_else(variable) {
        return name.clone();
    }
    let in_file = assigned.iter().rfind(|assignment| assignment.path == ["profile"]);
    match in_file.map(|assignment| &assignment.value) {
        Some(Given::Toml(Value::String(name))) => name.clone(),
        Some(Given::Texts(texts)) => texts.concat(),
        Some(Given::Toml(_)) | None => Config::default().profile,
    }
}

fn read_file(path: &PathBuf) -> Result<Vec<Assignment>, ConfigError> {
    let text = fs::read_to_string(path).map_err(|error| ConfigError::Unreadable { path: path.clone(), error })?;
    let source = |at: Range<usize>| Source::File { path: path.clone(), line: line_at(&text, at.start) };
    let table = DeTable::parse(&text).map_err(|error| ConfigError::Syntax {
        source_of: source(error.span().unwrap_or_default()),
        text: error.message().trim().to_owned(),
    })?;
    let mut found = Vec::new();
    walk(table.get_ref(), &[], &source, &mut found);
    found.sort_by_key(|(at, _)| *at);
    Ok(found.into_iter().map(|(_, assignment)| assignment).collect())
}

fn walk(
    table: &DeTable<'_>,
    above: &[String],
    source: &impl Fn(Range<usize>) -> Source,
    found: &mut Vec<(usize, Assignment)>,
) {
    for (name, value) in table {
        let path: Vec<String> = above.iter().cloned().chain([name.get_ref().to_string()]).collect();
        if let Some(inner) = value.get_ref().as_table().filter(|inner| !inner.is_empty()) {
            walk(inner, &path, source, found);
        } else {
            let value = Given::Toml(plain(value.get_ref()));
            found.push((name.span().start, Assignment { path, value, source: source(name.span()) }));
        }
    }
}

fn plain(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or_else(|_| Value::String(number.as_str().to_owned()), Value::Integer),
        DeValue::Float(number) => {
            number.as_str().parse().map_or_else(|_| Value::String(number.as_str().to_owned()), Value::Float)
        }
        DeValue::Boolean(value) => Value::Boolean(*value),
        DeValue::Datetime(value) => Value::Datetime(*value),
        DeValue::Array(values) => Value::Array(values.iter().map(|value| plain(value.get_ref())).collect()),
        DeValue::Table(inner) => Value::Table(
            inner.iter().map(|(name, value)| (name.get_ref().to_string(), plain(value.get_ref()))).collect(),
        ),
    }
}

fn line_at(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}
