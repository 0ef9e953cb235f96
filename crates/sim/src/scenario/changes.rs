use toml::{Table, Value};

use super::Invalid;

/// Another value for a key of a scenario file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What leads to the key, such as `load.messages`, or `fault.0.share` for the first of several.
    pub key: String,
    /// The value as files write it; a bare word stands for itself.
    pub value: String,
}

impl Change {
    /// The text of a scenario file with other values. Whether they can be is decided when the text is read.
    pub fn apply(changes: &[Self], text: &str) -> Result<String, Invalid> {
        let table: Table = toml::from_str(text).map_err(|error| Invalid::of_toml(&error, text))?;
        let mut file = Value::Table(table);
        for change in changes {
            let value = change.parsed().ok_or_else(|| change.refused("the value is no TOML"))?;
            *change.place(&mut file)? = value;
        }
        toml::to_string(&file).map_err(|error| Invalid { line: 1, reason: error.to_string(), nearest: None })
    }

    /// The value, of a bare word too.
    fn parsed(&self) -> Option<Value> {
        let is_word =
            !self.value.is_empty() && self.value.chars().all(|char| char.is_ascii_alphanumeric() || char == '_');
        let read = |value: &str| toml::from_str::<Table>(&format!("value = {value}")).ok()?.remove("value");
        read(&self.value).or_else(|| is_word.then(|| Value::String(self.value.clone())))
    }

    /// Where the value belongs; tables on the way that the file does not have are made.
    fn place<'a>(&self, file: &'a mut Value) -> Result<&'a mut Value, Invalid> {
        self.key.split('.').try_fold(file, |place, part| match place {
            Value::Table(table) => Ok(table.entry(part).or_insert_with(|| Value::Table(Table::new()))),
            Value::Array(items) => {
                let place = part.parse::<usize>().ok().and_then(|index| items.get_mut(index));
                place.ok_or_else(|| self.refused(format!("the file has no `{part}` there")))
            }
            Value::String(_) | Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) => {
                Err(self.refused(format!("there can be no `{part}` in a plain value")))
            }
        })
    }

    fn refused(&self, reason: impl Into<String>) -> Invalid {
        Invalid { line: 1, reason: format!("{}: {}", self.key, reason.into()), nearest: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "nodes = 5\n[gossip.topic]\npolicy = \"flood\"\n[[fault]]\nkind = \"crash\"\nshare = 0.1\n";

    fn changed(key: &str, value: &str) -> Result<Table, Invalid> {
        let change = Change { key: key.to_owned(), value: value.to_owned() };
        Ok(toml::from_str(&Change::apply(&[change], TEXT)?).unwrap())
    }

    #[test]
    fn a_change_is_made_where_its_key_leads() {
        assert_eq!(changed("nodes", "1_000").unwrap()["nodes"], Value::Integer(1_000));
        assert_eq!(changed("fault.0.share", "0.5").unwrap()["fault"][0]["share"], Value::Float(0.5));
        assert_eq!(changed("gossip.topic.policy", "tree").unwrap()["gossip"]["topic"]["policy"], "tree".into());
        let made = changed("gossip.topic.policy", "{ fanout = { peers = 4 } }").unwrap();
        assert_eq!(made["gossip"]["topic"]["policy"]["fanout"]["peers"], Value::Integer(4));
        assert_eq!(changed("links.loss", "0.1").unwrap()["links"]["loss"], Value::Float(0.1));
    }

    #[test]
    fn a_change_that_leads_nowhere_is_refused() {
        for (key, value, reason) in [
            ("fault.1.share", "0.5", "has no `1`"),
            ("nodes.most", "5", "no `most` in a plain value"),
            ("nodes", "{ 1", "no TOML"),
            ("nodes", "", "no TOML"),
        ] {
            let invalid = changed(key, value).unwrap_err();
            assert!(invalid.reason.contains(reason), "{invalid}");
        }
    }
}
