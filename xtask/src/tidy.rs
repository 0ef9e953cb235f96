//! The house rules that no compiler knows: sizes, names, unfinished work, paths of one machine, the engines' clippy.toml.
//!
//! It decides over files that git tracks or would track. Generated code is excepted from all but the paths.

mod clippy_config;
mod rules;

use std::{fmt, fs};

use anyhow::bail;

use crate::workspace::Workspace;

const GENERATED: &str = "/generated/";

/// One thing that is not as it should be.
struct Finding {
    path: String,
    line: usize,
    text: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}: {}", self.path, self.line, self.text)
    }
}

/// Prints every finding and fails if there is one; `fix` writes what can be written.
pub(crate) fn run(workspace: &Workspace, fix: bool) -> anyhow::Result<()> {
    let mut findings = clippy_config::findings(workspace, fix)?;
    let machine = machine_paths(workspace);
    let files = workspace.files()?;
    for path in &files {
        let Ok(text) = fs::read_to_string(workspace.root().join(path)) else {
            continue;
        };
        findings.extend(paths_of_one_machine(path, &text, &machine));
        if path.ends_with(".rs") && !path.contains(GENERATED) {
            findings.extend(rules::findings(path, &text));
        }
    }
    for finding in &findings {
        println!("{finding}");
    }
    if !findings.is_empty() {
        bail!("{} finding(s)", findings.len());
    }
    println!("{} files are tidy", files.len());
    Ok(())
}

/// Beginnings of paths that exist on one machine only: home folders everywhere, and this very folder.
fn machine_paths(workspace: &Workspace) -> Vec<String> {
    let mut paths: Vec<String> =
        [["/ho", "me/"], ["/Us", "ers/"], ["/ro", "ot/"]].iter().map(|halves| halves.concat()).collect();
    if workspace.root().components().count() > 2 {
        paths.push(workspace.root().display().to_string());
    }
    paths
}

fn paths_of_one_machine(path: &str, text: &str, machine: &[String]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let named = machine.iter().find(|start| {
            line.match_indices(start.as_str()).any(|(at, _)| {
                !line[..at].ends_with(|before: char| before.is_alphanumeric() || "_-./}~".contains(before))
            })
        });
        if let Some(start) = named {
            findings.push(Finding {
                path: path.to_owned(),
                line: number + 1,
                text: format!("a path of one machine ({start})"),
            });
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::paths_of_one_machine;

    #[test]
    fn paths_count_only_from_their_beginning() {
        let machine = ["/ho".to_owned() + "me/"];
        let found = |line: &str| paths_of_one_machine("a", line, &machine).len();
        assert_eq!(found(&format!("see {}me/x", "/ho")), 1);
        assert_eq!(found(&format!("\"{}me/x\"", "/ho")), 1);
        assert_eq!(found(&format!("api{}me/x", "/ho")), 0);
        assert_eq!(found("see /homely/x"), 0);
    }
}
