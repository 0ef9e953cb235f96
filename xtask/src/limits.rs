//! `docs/limits.md`: every cap, interval and quota, with its default, where the number comes from, and the tests that hold it;
//! and the same list for `bruit limits`.
//!
//! Each crate names its limits and their tests in `limits.toml`; the default and the text are read from the source, so they
//! cannot drift. A number that is named neither as a limit nor as none fails the task, and so does a test that does not exist.

mod declared;
mod number;

use std::{collections::BTreeSet, fmt::Write as _, fs};

use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};

use self::declared::{Declared, Sources};
use crate::{scan::Source, workspace::Workspace};

const PAGE: &str = "docs/limits.md";
/// Beside the program that shows it, which is published without the other crates' folders.
const LIST: &str = "crates/node/src/limits.json";
const HEADER: &str = "<!-- Written by `cargo xtask limits`. Do not edit. -->\n\n# Limits\n\n\
Every cap, interval and quota, with its default, where the number comes from, and the tests that hold it. One test holds a\n\
limit at one below, at and one above it; where three stand, they do so in this order. `Type::field` is a setting, a name in\n\
capitals is fixed in the code. Limits of single messages stand in [protocol.md](protocol.md).\n";

/// What one crate has.
struct OfCrate {
    name: String,
    limits: Vec<Limit>,
}

struct Limit {
    name: String,
    default: String,
    what: String,
    source: String,
    tests: Vec<String>,
}

/// Writes the page and the list.
pub(crate) fn write(workspace: &Workspace) -> anyhow::Result<()> {
    let crates = crates(workspace)?;
    for (path, text) in [(PAGE, page(&crates)?), (LIST, list(&crates))] {
        fs::write(workspace.root().join(path), text)?;
        println!("written {path}");
    }
    Ok(())
}

/// Fails if the page or the list is not what the sources say.
pub(crate) fn check(workspace: &Workspace) -> anyhow::Result<()> {
    let crates = crates(workspace)?;
    for (path, text) in [(PAGE, page(&crates)?), (LIST, list(&crates))] {
        ensure!(workspace.read(path)? == text, "{path} is out of date; run `cargo xtask limits`");
    }
    Ok(())
}

fn page(crates: &[OfCrate]) -> anyhow::Result<String> {
    let cell = |text: &str| text.replace('|', "\\|");
    let mut text = HEADER.to_owned();
    for OfCrate { name, limits } in crates {
        write!(text, "\n## {name}\n\n| limit | default | what it bounds | where the number comes from | tests |\n")?;
        text.push_str("| --- | --- | --- | --- | --- |\n");
        for Limit { name, default, what, source, tests } in limits {
            let tests: Vec<String> = tests.iter().map(|test| format!("`{test}`")).collect();
            let (what, source, tests) = (cell(what), cell(source), tests.join(", "));
            writeln!(text, "| `{name}` | {default} | {what} | {source} | {tests} |")?;
        }
    }
    Ok(text)
}

/// A list of objects, one a line.
fn list(crates: &[OfCrate]) -> String {
    let lines = crates.iter().flat_map(|of| of.limits.iter().map(|limit| line(&of.name, limit)));
    format!("[\n{}\n]\n", lines.collect::<Vec<_>>().join(",\n"))
}

fn line(of: &str, Limit { name, default, what, source, tests: _ }: &Limit) -> String {
    json!({ "crate": of, "name": name, "default": default, "bounds": what, "source": source }).to_string()
}

fn crates(workspace: &Workspace) -> anyhow::Result<Vec<OfCrate>> {
    let files = workspace.files()?;
    let rust = files.iter().filter(|path| path.starts_with("crates/") && path.ends_with(".rs"));
    let mut tests = BTreeSet::new();
    for path in rust {
        tests.extend(Source::new(&workspace.read(path)?).functions().into_iter().map(|span| span.name));
    }
    let mut crates = Vec::new();
    for manifest in files.iter().filter(|path| path.starts_with("crates/") && path.ends_with("/limits.toml")) {
        let folder = manifest.trim_end_matches("/limits.toml");
        let limits = of_crate(workspace, folder, &files, &tests).with_context(|| manifest.clone())?;
        let name = folder.trim_start_matches("crates/").to_owned();
        crates.push(OfCrate { name, limits });
    }
    Ok(crates)
}

fn of_crate(
    workspace: &Workspace,
    folder: &str,
    files: &[String],
    tests: &BTreeSet<String>,
) -> anyhow::Result<Vec<Limit>> {
    let prefix = format!("{folder}/src/");
    let mut sources = Sources::default();
    for path in files.iter().filter(|path| path.starts_with(&prefix) && path.ends_with(".rs")) {
        sources.add(path, &workspace.read(path)?).with_context(|| path.clone())?;
    }
    let manifest: toml::Table = workspace.read(&format!("{folder}/limits.toml"))?.parse()?;
    let manifest = serde_json::to_value(manifest)?;
    let mut left: BTreeSet<&str> = sources.names().collect();
    for name in manifest["not_limits"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        ensure!(left.remove(name), "`{name}` under not_limits does not exist, or stands there twice");
    }
    let mut limits = Vec::new();
    for entry in manifest["limit"].as_array().context("no [[limit]]")? {
        let name = entry["name"].as_str().context("a limit without name")?;
        ensure!(left.remove(name), "`{name}` is no number of the source, or is named twice");
        let declared = sources.find(name).context("declared")?;
        limits.push(limit(name, entry, declared, tests).with_context(|| format!("limit `{name}`"))?);
    }
    if !left.is_empty() {
        let names: Vec<&str> = left.into_iter().collect();
        bail!("named neither under [[limit]] nor in not_limits: {}", names.join(", "));
    }
    Ok(limits)
}

fn limit(name: &str, entry: &Value, declared: &Declared, known: &BTreeSet<String>) -> anyhow::Result<Limit> {
    let (what, source) = declared.doc.split_once(". ").unwrap_or((declared.doc.as_str(), ""));
    ensure!(!what.is_empty(), "it has no doc comment");
    let source = entry["source"].as_str().unwrap_or(source).trim_end_matches('.');
    ensure!(!source.is_empty(), "it does not say where the number comes from");
    let default = match entry["value"].as_str() {
        Some(value) => value.to_owned(),
        None => number::shown(name, &declared.value).with_context(|| format!("cannot read `{}`", declared.value))?,
    };
    let tests: Vec<String> =
        entry["tests"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
    ensure!(matches!(tests.len(), 1 | 3), "it names {} tests, not 1 or 3", tests.len());
    if let Some(missing) = tests.iter().find(|test| !known.contains(*test)) {
        bail!("there is no test `{missing}`");
    }
    let what = what.trim_end_matches('.').to_owned();
    Ok(Limit { name: name.to_owned(), default, what, source: source.to_owned(), tests })
}
