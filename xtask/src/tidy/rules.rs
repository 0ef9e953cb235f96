//! What a Rust file may not be or hold. Each rule is a function from a file to findings.

use crate::{
    scan::{Source, line_of, words},
    tidy::{Finding, clippy_config::ENGINE_CRATES},
};

const FILE_LINES_MAX: usize = 600;
const FUNCTION_LINES_MAX: usize = 100;
const TEST_MODULE_LINES_MAX: usize = 100;
/// An explanation shorter than this explains nothing: a guess.
const EXPLANATION_WORDS_MIN: usize = 3;
const BANNED_NAMES: [&str; 9] = ["common", "helper", "helpers", "manager", "misc", "mod", "types", "util", "utils"];
/// The one file of the engine crates that may ask what time it is.
const CLOCK: &str = "crates/core/src/clock.rs";

/// Holds one Rust file to all rules.
pub(super) fn findings(path: &str, text: &str) -> Vec<Finding> {
    let source = Source::new(text);
    let mut found = name(path);
    let mut add = |line, text: String| {
        found.push(Finding { path: path.to_owned(), line, text });
    };

    let lines = text.lines().count();
    if lines > FILE_LINES_MAX {
        add(1, format!("{lines} lines; more than {FILE_LINES_MAX}: give a concern with its own data a file"));
    }
    for span in source.functions() {
        let length = span.lines();
        if length > FUNCTION_LINES_MAX {
            add(span.first, format!("`{}` has {length} lines; more than {FUNCTION_LINES_MAX}", span.name));
        }
    }
    for span in source.test_modules() {
        let length = span.lines();
        if length > TEST_MODULE_LINES_MAX {
            add(
                span.first,
                format!("unit tests of {length} lines; above {TEST_MODULE_LINES_MAX} they live in tests.rs"),
            );
        }
    }
    for line in source.ignored_tests() {
        add(line, "a test that is left out proves nothing".to_owned());
    }
    for (line, name) in macro_calls(&source.code, &["todo", "unimplemented"]) {
        add(line, format!("`{name}!` is not an implementation"));
    }
    for (line, marker) in bare_markers(&source.comments) {
        add(line, format!("{marker} without an explanation of what is missing"));
    }
    for (line, what) in noise(&source) {
        add(line, what.to_owned());
    }
    if path.ends_with("src/lib.rs") && !opens_with_doc(text) {
        add(1, "a crate opens with its module doc (`//!`)".to_owned());
    }
    if path != CLOCK && is_engine_source(path) {
        for (at, _) in source.code.match_indices("clippy::disallowed_methods") {
            add(line_of(&source.code, at), format!("only {CLOCK} may be excused from the banned methods"));
        }
    }
    found
}

fn name(path: &str) -> Vec<Finding> {
    let file = path.rsplit('/').next().unwrap_or(path);
    let stem = file.strip_suffix(".rs").unwrap_or(file);
    if !BANNED_NAMES.contains(&stem) {
        return Vec::new();
    }
    let text = format!("`{file}` says nothing: name a file for its main type or its concern");
    vec![Finding { path: path.to_owned(), line: 1, text }]
}

fn macro_calls<'a>(code: &'a str, names: &'a [&'a str]) -> impl Iterator<Item = (usize, &'a str)> {
    words(code).filter_map(move |(at, word)| {
        let is_call = names.contains(&word) && code[at + word.len()..].starts_with('!');
        is_call.then(|| (line_of(code, at), word))
    })
}

/// Markers of unfinished work whose line goes on with fewer than a few words.
fn bare_markers(comments: &str) -> Vec<(usize, &'static str)> {
    let mut found = Vec::new();
    for (number, line) in comments.lines().enumerate() {
        for marker in ["TODO", "FIXME", "XXX"] {
            let Some((at, _)) = words(line).find(|(_, word)| *word == marker) else {
                continue;
            };
            if words(&line[at + marker.len()..]).count() < EXPLANATION_WORDS_MIN {
                found.push((number + 1, marker));
            }
        }
    }
    found
}

/// Comment lines that draw instead of telling, and code that was commented out.
fn noise(source: &Source) -> Vec<(usize, &'static str)> {
    let mut found = Vec::new();
    for (number, (comment, code)) in source.comments.lines().zip(source.code.lines()).enumerate() {
        let comment = comment.trim();
        let Some(text) = comment.strip_prefix("//") else {
            continue;
        };
        let text = text.trim_start_matches(['/', '!']).trim();
        if text.chars().count() >= 5 && text.chars().all(|character| "-=*#~_─━═—".contains(character)) {
            found.push((number + 1, "a ruler is no comment"));
        }
        let is_doc = comment.starts_with("///") || comment.starts_with("//!");
        if !is_doc && code.trim().is_empty() && looks_like_code(text) {
            found.push((number + 1, "commented-out code: delete it, history keeps it"));
        }
    }
    found
}

fn looks_like_code(text: &str) -> bool {
    let opens = ["let ", "pub ", "fn ", "use ", "return ", "self.", "#["];
    let closes = [";", "{", ")]"];
    opens.iter().any(|start| text.starts_with(start)) && closes.iter().any(|end| text.ends_with(end))
}

fn opens_with_doc(text: &str) -> bool {
    text.lines()
        .map(str::trim)
        .find(|line| !line.is_empty() && !line.starts_with("#!["))
        .is_some_and(|line| line.starts_with("//!"))
}

fn is_engine_source(path: &str) -> bool {
    ENGINE_CRATES.iter().any(|folder| path.strip_prefix(folder).is_some_and(|rest| rest.starts_with("/src/")))
}

#[cfg(test)]
mod tests;
