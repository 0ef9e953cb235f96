//! Versions below which a dependency is known to fall to hostile input.
//!
//! `deny.toml` names them once, as its list of banned versions; here they hold for every Cargo.lock of the tree, also
//! where cargo-deny is not installed.

use anyhow::{Context, ensure};

use crate::workspace::Workspace;

type Version = (u64, u64, u64);

/// A package that may not occur below a version, or not at all.
#[derive(Debug, PartialEq, Eq)]
struct Floor {
    name: String,
    lowest: Option<Version>,
}

/// Every locked package under its floor.
pub(super) fn problems(workspace: &Workspace) -> anyhow::Result<Vec<String>> {
    let floors = floors(&workspace.read("deny.toml")?)?;
    ensure!(!floors.is_empty(), "deny.toml bans nothing");
    let mut problems = Vec::new();
    for path in workspace.files()? {
        if path == "Cargo.lock" || path.ends_with("/Cargo.lock") {
            for text in fallen(&workspace.read(&path)?, &floors)? {
                problems.push(format!("{path}: {text}"));
            }
        }
    }
    Ok(problems)
}

fn floors(deny: &str) -> anyhow::Result<Vec<Floor>> {
    let table: toml::Table = deny.parse().context("deny.toml")?;
    let list = table
        .get("bans")
        .and_then(|bans| bans.get("deny"))
        .and_then(toml::Value::as_array)
        .context("deny.toml has no bans.deny")?;
    list.iter()
        .map(|entry| {
            let spec = entry.get("crate").and_then(toml::Value::as_str).context("deny.toml: a ban without `crate`")?;
            floor(spec).with_context(|| format!("deny.toml: {spec:?} is neither `name` nor `name:<version`"))
        })
        .collect()
}

fn floor(spec: &str) -> Option<Floor> {
    let (name, lowest) = match spec.split_once(':') {
        None => (spec, None),
        Some((name, bound)) => match version(bound.strip_prefix('<')?)? {
            (lowest, true) => (name, Some(lowest)),
            (_, false) => return None,
        },
    };
    let is_name = name.chars().all(|character| character.is_ascii_alphanumeric() || "-_".contains(character));
    is_name.then(|| Floor { name: name.to_owned(), lowest })
}

fn fallen(lock: &str, floors: &[Floor]) -> anyhow::Result<Vec<String>> {
    let table: toml::Table = lock.parse().context("Cargo.lock")?;
    let packages = table.get("package").and_then(toml::Value::as_array).context("Cargo.lock has no packages")?;
    let mut problems = Vec::new();
    for package in packages {
        let text =
            |key| package.get(key).and_then(toml::Value::as_str).with_context(|| format!("package without {key}"));
        let (name, locked) = (text("name")?, text("version")?);
        for floor in floors.iter().filter(|floor| floor.name == name) {
            let (number, is_release) = version(locked).with_context(|| format!("{name}: version {locked}"))?;
            match floor.lowest {
                None => problems.push(format!("{name} is banned")),
                Some(lowest) if number < lowest || (number == lowest && !is_release) => {
                    problems.push(format!("{name} {locked} is below {}.{}.{}", lowest.0, lowest.1, lowest.2));
                }
                Some(_) => {}
            }
        }
    }
    Ok(problems)
}

/// The three numbers, and whether it is a release (not `-rc.1`).
fn version(text: &str) -> Option<(Version, bool)> {
    let text = text.split('+').next()?;
    let (numbers, is_release) = match text.split_once('-') {
        Some((numbers, _)) => (numbers, false),
        None => (text, true),
    };
    let mut parts = numbers.split('.').map(str::parse::<u64>);
    let version = (parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?);
    parts.next().is_none().then_some((version, is_release))
}

#[cfg(test)]
mod tests {
    use super::{fallen, floor, floors};

    fn problems(locked: &str) -> usize {
        let floors = [floor("yamux:<0.13.10").expect("a floor"), floor("void").expect("a ban")];
        fallen(locked, &floors).expect("a lock file").len()
    }

    fn lock(name: &str, version: &str) -> String {
        format!("[[package]]\nname = \"{name}\"\nversion = \"{version}\"\n")
    }

    #[test]
    fn floors_compare_numbers() {
        for (version, expected) in [
            ("0.13.9", 1),
            ("0.13.10-rc.1", 1),
            ("0.9.99", 1),
            ("0.13.10", 0),
            ("0.13.10+build", 0),
            ("0.14.0-rc.1", 0),
            ("1.0.0", 0),
        ] {
            assert_eq!(problems(&lock("yamux", version)), expected, "{version}");
        }
    }

    #[test]
    fn every_copy_of_a_package_is_looked_at() {
        assert_eq!(problems(&(lock("yamux", "0.14.1") + &lock("yamux", "0.12.1"))), 1);
        assert_eq!(problems(&(lock("void", "1.0.2") + &lock("serde", "1.0.0"))), 1);
    }

    #[test]
    fn a_ban_that_is_not_understood_is_an_error() {
        assert!(floor("yamux:>1.0.0").is_none());
        assert!(floor("yamux:<1").is_none());
        assert!(floor("yamux:<1.0.0-rc.1").is_none());
        assert!(floor("yamux@<1.0.0").is_none());
        assert!(floors("[bans]\ndeny = [{ name = \"yamux\" }]").is_err());
        assert!(floors("[bans]").is_err());
    }
}
