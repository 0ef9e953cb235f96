//! The numbers that a crate's sources declare: fields of `Config`, choices among its settings that hold a number, and constants.

use std::collections::BTreeMap;

use anyhow::{bail, ensure};

/// A number of the source.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Declared {
    /// Its doc comment, on one line.
    pub(super) doc: String,
    /// Its value, as it is written.
    pub(super) value: String,
}

/// All numbers of one crate, by `Config::field`, `Choice::Variant`, `Choice::field` or the name of the constant.
#[derive(Debug, Default)]
pub(super) struct Sources {
    found: BTreeMap<String, Declared>,
}

const NUMBERS: [&str; 14] =
    ["u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16", "i32", "i64", "i128", "f32", "f64", "Duration"];

impl Sources {
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.found.keys().map(String::as_str)
    }

    pub(super) fn find(&self, name: &str) -> Option<&Declared> {
        self.found.get(name)
    }

    /// Reads one file, up to its unit tests.
    ///
    /// # Errors
    /// A name stands for two numbers: the page could tell of one only.
    pub(super) fn add(&mut self, path: &str, text: &str) -> anyhow::Result<()> {
        let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or(text);
        if text.contains("#[test]") {
            return Ok(());
        }
        let are_settings = path.ends_with("config.rs");
        let mut doc = String::new();
        let mut inside = None;
        let mut lines = text.lines();
        while let Some(whole) = lines.next() {
            let line = whole.trim();
            if let Some(part) = line.strip_prefix("///") {
                doc.push(' ');
                doc.push_str(part.trim());
                continue;
            }
            match line {
                "pub struct Config {" => inside = Some(Inside::Fields),
                "impl Default for Config {" => inside = Some(Inside::Defaults),
                _ if whole == "}" => inside = None,
                _ if are_settings => inside = choice_of(line).map(Inside::Choice).or(inside),
                _ => {}
            }
            if line.starts_with("#[") || line.starts_with("#![") {
                continue;
            }
            match &inside {
                Some(Inside::Fields) => self.field(line, &doc)?,
                Some(Inside::Defaults) => self.default_of(line),
                Some(Inside::Choice(name)) => self.choice(name, line, &doc)?,
                None => {
                    let mut whole = line.to_owned();
                    while is_constant(line) && !whole.ends_with(';') {
                        let Some(more) = lines.next() else { bail!("{path}: `{line}` does not end") };
                        whole.push(' ');
                        whole.push_str(more.trim());
                    }
                    self.constant(&whole, &doc)?;
                }
            }
            doc.clear();
        }
        Ok(())
    }

    fn field(&mut self, line: &str, doc: &str) -> anyhow::Result<()> {
        let field = line.strip_prefix("pub ").and_then(|rest| rest.trim_end_matches(',').split_once(": "));
        match field.filter(|(_, kind)| is_number(kind)) {
            Some((name, _)) => self.declare(format!("Config::{name}"), doc, ""),
            None => Ok(()),
        }
    }

    fn default_of(&mut self, line: &str) {
        if let Some((name, value)) = line.trim_end_matches(',').split_once(": ")
            && let Some(declared) = self.found.get_mut(&format!("Config::{name}"))
        {
            value.clone_into(&mut declared.value);
        }
    }

    /// A variant `Name(u64),`, or a field `name: u64,` of one.
    fn choice(&mut self, choice: &str, line: &str, doc: &str) -> anyhow::Result<()> {
        let line = line.trim_end_matches(',');
        let held = line.split_once(": ").or_else(|| line.strip_suffix(')').and_then(|line| line.split_once('(')));
        match held.filter(|(_, kind)| is_number(kind)) {
            Some((name, _)) => self.declare(format!("{choice}::{name}"), doc, ""),
            None => Ok(()),
        }
    }

    fn constant(&mut self, line: &str, doc: &str) -> anyhow::Result<()> {
        if !is_constant(line) {
            return Ok(());
        }
        let declared = line.trim_end_matches(';').split_once(" = ");
        let parts = declared.and_then(|(head, value)| {
            let (name, kind) = head.rsplit("const ").next()?.split_once(": ")?;
            is_number(kind).then_some((name, value))
        });
        match parts {
            Some((name, value)) => self.declare(name.to_owned(), doc, value),
            None => Ok(()),
        }
    }

    fn declare(&mut self, name: String, doc: &str, value: &str) -> anyhow::Result<()> {
        let declared = Declared { doc: doc.trim().to_owned(), value: value.to_owned() };
        ensure!(!self.found.contains_key(&name), "`{name}` is declared twice; a limit needs a name of its own");
        self.found.insert(name, declared);
        Ok(())
    }
}

/// The name of a choice among settings that begins here.
fn choice_of(line: &str) -> Option<String> {
    let name = line.strip_prefix("pub enum ")?.strip_suffix(" {")?;
    (!name.ends_with("Error")).then(|| name.to_owned())
}

enum Inside {
    Fields,
    Defaults,
    Choice(String),
}

fn is_constant(line: &str) -> bool {
    ["const ", "pub const ", "pub(crate) const ", "pub(super) const "].iter().any(|start| line.starts_with(start))
        && !line.contains(" fn ")
}

fn is_number(kind: &str) -> bool {
    let kind = kind.strip_prefix("Option<").map_or(kind, |inner| inner.trim_end_matches('>'));
    let first = kind.trim_start_matches('(').split(',').next().unwrap_or_default();
    NUMBERS.contains(&first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_and_constants_are_found_with_doc_and_value() {
        let mut sources = Sources::default();
        let text = "pub struct Config {\n    /// How many. 7: a guess.\n    #[serde(skip)]\n    pub count_max: usize,\n    pub name: String,\n}\n\
             impl Default for Config {\n    fn default() -> Self {\n        Self {\n            count_max: 7,\n        }\n    }\n}\n\
             /// How long.\nconst PAUSE: Duration =\n    Duration::from_secs(2);\nconst TEXT: &str = \"\";\n\
             #[cfg(test)]\nmod tests {\n    const OTHER: u8 = 1;\n}\n";
        sources.add("src/config.rs", text).unwrap();
        assert_eq!(sources.names().collect::<Vec<_>>(), ["Config::count_max", "PAUSE"]);
        let declared = |doc: &str, value: &str| Declared { doc: doc.to_owned(), value: value.to_owned() };
        assert_eq!(sources.find("Config::count_max"), Some(&declared("How many. 7: a guess.", "7")));
        assert_eq!(sources.find("PAUSE"), Some(&declared("How long.", "Duration::from_secs(2)")));
    }

    #[test]
    fn numbers_that_choices_hold_are_found() {
        let text = "pub enum Pause {\n    /// None.\n    None,\n    /// So long. 9: a guess.\n    MeanSecs(u64),\n    /// In time.\n    \
                    Within {\n        /// So many. 3: a guess.\n        secs: u64,\n    },\n}\npub enum OfError {\n    Many(usize),\n}\n\
                    /// How many.\nconst MAX: u8 = 1;\n";
        let names = |path| {
            let mut sources = Sources::default();
            sources.add(path, text).unwrap();
            sources.names().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(names("src/config.rs"), ["MAX", "Pause::MeanSecs", "Pause::secs"]);
        assert_eq!(names("src/event.rs"), ["MAX"], "what is told is no limit");
    }

    #[test]
    fn two_numbers_of_one_name_are_refused() {
        let mut sources = Sources::default();
        sources.add("src/one.rs", "/// How many.\nconst MAX: u8 = 1;\n").unwrap();
        assert!(sources.add("src/other.rs", "/// How long.\nconst MAX: u8 = 2;\n").is_err());
    }
}
