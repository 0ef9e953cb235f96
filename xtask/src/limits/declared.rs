//! The numbers that a crate's sources declare: fields of `Config` and constants.

use std::collections::BTreeMap;

/// A number of the source.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Declared {
    /// Its doc comment, on one line.
    pub(super) doc: String,
    /// Its value, as it is written.
    pub(super) value: String,
}

/// All numbers of one crate, by `Config::field` or the name of the constant.
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
    pub(super) fn add(&mut self, text: &str) {
        let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or(text);
        if text.contains("#[test]") {
            return;
        }
        let mut doc = String::new();
        let mut inside = None;
        let mut lines = text.lines().map(str::trim);
        while let Some(line) = lines.next() {
            if let Some(part) = line.strip_prefix("///") {
                doc.push(' ');
                doc.push_str(part.trim());
                continue;
            }
            match line {
                "pub struct Config {" => inside = Some(Inside::Fields),
                "impl Default for Config {" => inside = Some(Inside::Defaults),
                "}" => inside = None,
                _ => {}
            }
            if line.starts_with("#[") || line.starts_with("#![") {
                continue;
            }
            match inside {
                Some(Inside::Fields) => self.field(line, &doc),
                Some(Inside::Defaults) => self.default_of(line),
                None => {
                    let mut whole = line.to_owned();
                    while is_constant(line) && !whole.ends_with(';') {
                        let Some(more) = lines.next() else { break };
                        whole.push(' ');
                        whole.push_str(more);
                    }
                    self.constant(&whole, &doc);
                }
            }
            doc.clear();
        }
    }

    fn field(&mut self, line: &str, doc: &str) {
        let field = line.strip_prefix("pub ").and_then(|rest| rest.trim_end_matches(',').split_once(": "));
        if let Some((name, kind)) = field.filter(|(_, kind)| is_number(kind)) {
            self.found.entry(format!("Config::{name}")).or_default().doc = doc.trim().to_owned();
            let _ = kind;
        }
    }

    fn default_of(&mut self, line: &str) {
        if let Some((name, value)) = line.trim_end_matches(',').split_once(": ")
            && let Some(declared) = self.found.get_mut(&format!("Config::{name}"))
        {
            value.clone_into(&mut declared.value);
        }
    }

    fn constant(&mut self, line: &str, doc: &str) {
        if !is_constant(line) {
            return;
        }
        let Some((head, value)) = line.trim_end_matches(';').split_once(" = ") else { return };
        let Some((name, kind)) = head.rsplit("const ").next().and_then(|rest| rest.split_once(": ")) else { return };
        if is_number(kind) {
            self.found.insert(name.to_owned(), Declared { doc: doc.trim().to_owned(), value: value.to_owned() });
        }
    }
}

#[derive(Clone, Copy)]
enum Inside {
    Fields,
    Defaults,
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
        sources.add(
            "pub struct Config {\n    /// How many. 7: a guess.\n    #[serde(skip)]\n    pub count_max: usize,\n    pub name: String,\n}\n\
             impl Default for Config {\n    fn default() -> Self {\n        Self {\n            count_max: 7,\n        }\n    }\n}\n\
             /// How long.\nconst PAUSE: Duration =\n    Duration::from_secs(2);\nconst TEXT: &str = \"\";\n\
             #[cfg(test)]\nmod tests {\n    const OTHER: u8 = 1;\n}\n",
        );
        assert_eq!(sources.names().collect::<Vec<_>>(), ["Config::count_max", "PAUSE"]);
        let declared = |doc: &str, value: &str| Declared { doc: doc.to_owned(), value: value.to_owned() };
        assert_eq!(sources.find("Config::count_max"), Some(&declared("How many. 7: a guess.", "7")));
        assert_eq!(sources.find("PAUSE"), Some(&declared("How long.", "Duration::from_secs(2)")));
    }
}
