//! The README's commands, run as a reader would.
//!
//! A fenced shell block is run if the line before its fence is the marker below, which renders as nothing. Each block is
//! one shell of its own, started at the workspace root.

use anyhow::{bail, ensure};

use crate::workspace::Workspace;

const README: &str = "README.md";
const MARKER: &str = "<!-- xtask: run -->";
const SHELLS: [&str; 3] = ["bash", "sh", "shell"];

/// A marked block and the line of its fence.
#[derive(Debug, PartialEq, Eq)]
struct Block {
    line: usize,
    script: String,
}

/// Runs every marked block in order and stops at the first that fails.
pub(crate) fn run(workspace: &Workspace) -> anyhow::Result<()> {
    let blocks = blocks(&workspace.read(README)?)?;
    ensure!(!blocks.is_empty(), "{README} marks no block with {MARKER}");
    for Block { line, script } in &blocks {
        println!("{README}:{line}");
        // `-x` prints each command before it runs.
        let status = workspace.command("sh").args(["-eux", "-c", script]).status()?;
        ensure!(status.success(), "{README}:{line}: the block failed: {status}");
    }
    println!("{} block(s) of {README} ran", blocks.len());
    Ok(())
}

fn blocks(text: &str) -> anyhow::Result<Vec<Block>> {
    let mut blocks = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        if line.trim() != MARKER {
            continue;
        }
        let fence = lines.find(|(_, line)| !line.trim().is_empty());
        let Some((at, info)) = fence.and_then(|(at, line)| Some((at, line.trim().strip_prefix("```")?))) else {
            bail!("{README}:{}: no fenced block follows {MARKER}", number + 1);
        };
        ensure!(SHELLS.contains(&info), "{README}:{}: a block of {info:?} cannot be run", at + 1);
        let mut script = String::new();
        loop {
            let Some((_, line)) = lines.next() else {
                bail!("{README}:{}: the block is not closed", at + 1);
            };
            if line.trim() == "```" {
                break;
            }
            script.push_str(line);
            script.push('\n');
        }
        blocks.push(Block { line: at + 1, script });
    }
    Ok(blocks)
}

#[cfg(test)]
mod tests {
    use super::{Block, blocks};

    #[test]
    fn only_marked_blocks_are_taken() {
        let text = "```sh\nrm x\n```\n<!-- xtask: run -->\n\n```sh\nls\ncargo run\n```\n```json\n{}\n```\n";
        let expected = Block { line: 6, script: "ls\ncargo run\n".to_owned() };
        assert_eq!(blocks(text).expect("readable"), [expected]);
    }

    #[test]
    fn a_marker_that_marks_nothing_is_an_error() {
        assert!(blocks("<!-- xtask: run -->\ntext\n").is_err());
        assert!(blocks("<!-- xtask: run -->\n").is_err());
        assert!(blocks("<!-- xtask: run -->\n```json\n{}\n```\n").is_err());
        assert!(blocks("<!-- xtask: run -->\n```sh\nls\n").is_err());
    }
}
