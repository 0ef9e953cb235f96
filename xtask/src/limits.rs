//! `docs/limits.md`: every cap, interval and quota, with its default, where the number comes from, and the tests that hold it.
//!
//! Each crate names its limits and their tests in `limits.toml`; the default and the text are read from the source, so they
//! cannot drift. A number that is named neither as a limit nor as none fails the task, and so does a test that does not exist.

mod declared;
mod number;

use std::{collections::BTreeSet, fmt::Write as _, fs};

use anyhow::{Context, bail, ensure};
use serde_json::Value;

use self::declared::{Declared, Sources};
use crate::{scan::Source, workspace::Workspace};

const PAGE: &str = "docs/limits.md";
const HEADER: &str = "<!-- Written by `cargo xtask limits`. Do not edit. -->\n\n# Limits\n\n\
Every cap, interval and quota, with its default, where the number comes from, and the tests that hold it. One test holds a\n\
limit at one below, at and one above it; where three stand, they do so in this order. `Type::field` is a setting, a name in\n\
capitals is fixed in the code. Limits of single messages stand in [protocol.md](protocol.md).\n";

/// One line of the page.
struct Limit {
    name: String,
    default: String,
    what: String,
    source: String,
    tests: Vec<String>,
}

/// Writes the page.
pub(crate) fn write(workspace: &Workspace) -> anyhow::Result<()> {
    let text = page(workspace)?;
    fs::write(workspace.root().join(PAGE), text)?;
    println!("written {PAGE}");
    Ok(())
}

/// Fails if the page is not what the sources say.
pub(crate) fn check(workspace: &Workspace) -> anyhow::Result<()> {
    ensure!(workspace.read(PAGE)? == page(workspace)?, "{PAGE} is out of date; run `cargo xtask limits`");
    Ok(())
}

fn page(workspace: &Workspace) -> anyhow::Result<String> {
    let files = workspace.files()?;
    let rust = files.iter().filter(|path| path.starts_with("crates/") && path.ends_with(".rs"));
    let mut tests = BTreeSet::new();
    for path in rust {
        tests.extend(Source::new(&workspace.read(path)?).functions().into_iter().map(|span| span.name));
    }
    let mut text = HEADER.to_owned();
    for manifest in files.iter().filter(|path| path.starts_with("crates/") && path.ends_with("/limits.toml")) {
        let folder = manifest.trim_end_matches("/limits.toml");
        let limits = of_crate(workspace, folder, &files, &tests).with_context(|| manifest.clone())?;
        let name = folder.trim_start_matches("crates/");
        write!(text, "\n## {name}\n\n| limit | default | what it bounds | where the number comes from | tests |\n")?;
        text.push_str("| --- | --- | --- | --- | --- |\n");
        for Limit { name, default, what, source, tests } in limits {
            let tests: Vec<String> = tests.iter().map(|test| format!("`{test}`")).collect();
            writeln!(text, "| `{name}` | {default} | {what} | {source} | {} |", tests.join(", "))?;
        }
    }
    Ok(text)
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
        sources.add(&workspace.read(path)?);
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
    let cell = |text: &str| text.trim_end_matches('.').replace('|', "\\|");
    Ok(Limit { name: name.to_owned(), default, what: cell(what), source: cell(source), tests })
}
