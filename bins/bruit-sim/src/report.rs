//! The evaluation: tables and plots of what shipped scenarios show, with the command behind each.
//!
//! What is shown is listed in [`tables`]; what it becomes is decided by the runs alone, so that the same code gives the same bytes.
#![allow(clippy::print_stdout, reason = "the command line's output")]

mod claims;
mod document;
mod eager_push;
mod made;
mod page;
mod plots;
mod published;
mod table;
mod tables;

use std::{
    fs,
    hash::{BuildHasher, Hasher, RandomState},
    path::PathBuf,
};

use anyhow::Context;

use self::{made::Made, table::Size};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where the document is.
    #[arg(long, default_value = "docs/evaluation.md")]
    out: PathBuf,
    /// Where the page with plots is written.
    #[arg(long, default_value = "docs/evaluation.html")]
    page: PathBuf,
    /// Where the scenarios are.
    #[arg(long, default_value = "testnet/scenarios")]
    scenarios: PathBuf,
    /// Leaves out what takes longest: the largest networks.
    #[arg(long)]
    quick: bool,
    /// Writes nothing, and fails if the document is not what would be written.
    #[arg(long)]
    check: bool,
    /// Looks at the smoke set alone, and runs its scenarios with fresh seeds too; their claims must hold.
    #[arg(long, requires = "check")]
    smoke: bool,
    /// How many runs at a time; as many as there are processors, unless given.
    #[arg(long)]
    threads: Option<usize>,
}

/// Makes the evaluation, or compares it with what is written; false if it is not the same, or if a fresh seed broke a claim.
pub(crate) fn run(args: &Args) -> anyhow::Result<bool> {
    if args.smoke {
        return smoke(args);
    }
    let size = if args.quick { Size::Quick } else { Size::Full };
    let made = make(args, size)?;
    let claims = claims::judge(&args.scenarios, args.threads)?;
    let document = document::whole(&made, &claims, args.quick);
    if args.check {
        return compare(args, &document);
    }
    fs::write(&args.out, document).with_context(|| format!("cannot write {}", args.out.display()))?;
    println!("written: {}", args.out.display());
    let (path, plots) = (&args.page, plots::all(&made)?);
    fs::write(path, page::of(&plots, args.quick)).with_context(|| format!("cannot write {}", path.display()))?;
    println!("written: {}, {} plots", path.display(), plots.len());
    Ok(true)
}

fn make(args: &Args, size: Size) -> anyhow::Result<Vec<Made>> {
    let tables: Vec<_> = tables::ALL.iter().filter(|table| table.size <= size).collect();
    let mut made = Vec::new();
    for (number, table) in (1..).zip(&tables) {
        eprintln!("{number} of {}: {}", tables.len(), table.title);
        made.push(Made::of(table, &args.scenarios, args.threads, None)?);
    }
    Ok(made)
}

/// Runs the smoke set as the document has it, and once more with seeds that nobody has chosen.
fn smoke(args: &Args) -> anyhow::Result<bool> {
    let made = make(args, Size::Smoke)?;
    let mut is_right = true;
    for made in &made {
        is_right &= compare(args, &document::section(made))?;
    }
    let base = RandomState::new().build_hasher().finish() % 1_000_000_000;
    println!("fresh seeds from {base}");
    for table in tables::ALL.iter().filter(|table| table.size == Size::Smoke) {
        let made = Made::of(table, &args.scenarios, args.threads, Some(base))?;
        for failure in made.failures() {
            eprintln!("{failure}\nreplay: {}", made.command());
            is_right = false;
        }
    }
    Ok(is_right)
}

/// Whether the document has these lines, one after the other.
fn compare(args: &Args, lines: &str) -> anyhow::Result<bool> {
    let text = fs::read_to_string(&args.out).with_context(|| format!("cannot read {}", args.out.display()))?;
    if text.contains(lines) {
        println!("{} is true: {}", args.out.display(), lines.lines().next().unwrap_or_default());
        return Ok(true);
    }
    let missing =
        lines.lines().find(|line| !text.lines().any(|written| written == *line)).unwrap_or("the order of lines");
    eprintln!("{} is not what the scenarios show; first difference: {missing}", args.out.display());
    Ok(false)
}
