use std::fmt;

use toml::de::{DeTable, DeValue};

/// A scenario that cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// In which line of the file, from 1.
    pub line: usize,
    /// Why.
    pub reason: String,
    /// The word that is perhaps meant.
    pub nearest: Option<String>,
}

impl Invalid {
    pub(super) fn of_toml(error: &toml::de::Error, text: &str) -> Self {
        let line = error.span().map_or(1, |span| line_of(text, span.start));
        let message = error.message().trim();
        let mut words = message.split('`').skip(1).step_by(2);
        let unknown = words.next().filter(|_| message.starts_with("unknown"));
        let nearest = unknown.and_then(|unknown| nearest(unknown, words));
        Self { line, reason: message.lines().next().unwrap_or_default().to_owned(), nearest }
    }

    /// A reason about the key that a path such as `fault.2.nodes` leads to; about what contains it, where it is not written.
    pub(super) fn at(text: &str, path: &str, reason: impl Into<String>) -> Self {
        let key = path.split('.').filter(|part| part.parse::<usize>().is_err()).collect::<Vec<_>>().join(".");
        let line = DeTable::parse(text).map_or(1, |table| line_of(text, position(table.get_ref(), path)));
        Self { line, reason: format!("{key}: {}", reason.into()), nearest: None }
    }

    #[must_use]
    pub(crate) fn with_nearest(mut self, nearest: Option<String>) -> Self {
        self.nearest = nearest;
        self
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.reason)?;
        self.nearest.iter().try_for_each(|nearest| write!(f, "; the nearest is `{nearest}`"))
    }
}

impl std::error::Error for Invalid {}

pub(super) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    let scored = known.map(|known| (strsim::jaro_winkler(word, known), known));
    scored.max_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, known)| known.to_owned())
}

fn position(table: &DeTable<'_>, path: &str) -> usize {
    let mut parts = path.split('.');
    let Some((key, value)) = parts.next().and_then(|part| table.iter().find(|(key, _)| key.get_ref() == part)) else {
        return 0;
    };
    let mut found = (key.span().start, value);
    for part in parts {
        let next = match (found.1.get_ref(), part.parse::<usize>()) {
            (DeValue::Array(items), Ok(index)) => items.get(index).map(|item| (item.span().start, item)),
            (DeValue::Table(table), _) => {
                table.iter().find(|(key, _)| key.get_ref() == part).map(|(key, value)| (key.span().start, value))
            }
            (_, _) => None,
        };
        let Some(next) = next else { break };
        found = next;
    }
    found.0
}

fn line_of(text: &str, position: usize) -> usize {
    text.bytes().take(position).filter(|byte| *byte == b'\n').count() + 1
}
