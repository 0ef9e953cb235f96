use std::fmt::Write;

use super::{
    claims::Kept,
    made::{Made, Row},
    published::errors_apart,
    table::Published,
};

const INTRODUCTION: &str = "\
What networks of the shipped engines do in the simulator. Every table is a shipped scenario (`testnet/scenarios/`) with the values that
its command names; the command prints the same figures again, on any machine and any number of threads. `testnet/scenarios/README.md`
says what each figure means. None of our figures was typed by hand: `bruit-sim report` writes this document, and the page with plots
beside it (`docs/evaluation.html`).
";

/// The whole document.
pub(super) fn whole(made: &[Made], claims: &[Kept], is_quick: bool) -> String {
    let mut text = format!("# Evaluation\n\n{INTRODUCTION}");
    if is_quick {
        text.push_str("\nMade with `--quick`: the largest networks are left out.\n");
    }
    text.push_str("\n## Claims of the shipped scenarios\n\n");
    let all = claims.iter().flat_map(|kept| &kept.claims);
    let held = all.clone().filter(|(_, holds)| *holds).count();
    let _ = writeln!(
        text,
        "Each scenario as its file says: `bruit-sim run testnet/scenarios/FILE.toml`. {held} of {} claims hold.\n",
        all.count()
    );
    text.push_str("| scenario | what it shows | seed, runs | claims |\n|---|---|---|---|\n");
    for kept in claims {
        let claims = kept
            .claims
            .iter()
            .map(|(claim, holds)| if *holds { claim.clone() } else { format!("**missed:** {claim}") });
        let claims = claims.collect::<Vec<_>>().join("; ");
        let _ = writeln!(text, "| `{}` | {} | {}, {} | {claims} |", kept.name, kept.about, kept.seed, kept.runs);
    }
    for made in made {
        text.push('\n');
        text.push_str(&section(made));
    }
    text
}

/// One table with its heading, its text and its command.
pub(super) fn section(made: &Made) -> String {
    let table = made.table;
    let mut text = format!("## {}\n\n{}\n\n", table.title, table.text.trim());
    let runs: Vec<u32> = made.rows.iter().map(|row| row.runs).collect();
    let runs = runs.first().copied().unwrap_or(0);
    let _ = writeln!(text, "Scenario `{}`, {runs} runs a row from seed {}:\n", table.file, made.seed);
    let _ = writeln!(text, "    {}\n", made.command());
    let head = head(made);
    let _ = writeln!(text, "| {} |\n|{}", head.join(" | "), "---|".repeat(head.len()));
    for row in &made.rows {
        let _ = writeln!(text, "| {} |", cells(made, row).join(" | "));
    }
    text
}

fn head(made: &Made) -> Vec<String> {
    let table = made.table;
    let mut head: Vec<String> = table.over.iter().map(|(key, _)| format!("`{key}`")).collect();
    for figure in table.figures {
        head.push(format!("`{figure}`"));
        if matches!(table.published, Published::Means(_)) {
            head.extend(["published", "errors apart"].map(str::to_owned));
        }
    }
    if let Published::Columns(names, _) = table.published {
        head.extend(names.iter().map(|name| (*name).to_owned()));
    }
    head
}

fn cells(made: &Made, row: &Row) -> Vec<String> {
    let table = made.table;
    let mut cells: Vec<String> = row.values.iter().map(|value| format!("`{value}`")).collect();
    let values: Vec<&str> = row.values.iter().map(String::as_str).collect();
    let mean = if let Published::Means(of) = table.published { of(&values) } else { None };
    for (column, figure) in table.figures.iter().enumerate() {
        let ours = row.printed.get(*figure).copied();
        cells.push(ours.map_or_else(|| "-".to_owned(), number));
        if let Published::Means(_) = table.published {
            let published = mean.as_ref().and_then(|mean| Some((mean, *mean.figures.get(column)?)));
            cells.push(published.map_or_else(|| "-".to_owned(), |(_, (value, _))| number(value)));
            let apart = published.and_then(|(mean, value)| errors_apart(row.figures.numbers(figure), value, mean.runs));
            cells.push(apart.map_or_else(|| "-".to_owned(), |apart| format!("{apart:.1}")));
        }
    }
    if let Published::Columns(_, of) = table.published {
        cells.extend(of(&values).into_iter().map(|value| value.map_or_else(|| "-".to_owned(), number)));
    }
    cells
}

/// A number with as many digits as say something.
fn number(number: f64) -> String {
    match number.abs() {
        _ if number.fract() == 0.0 => format!("{number:.0}"),
        size if size >= 1_000.0 => format!("{number:.0}"),
        size if size >= 10.0 => format!("{number:.2}"),
        size if size >= 0.001 => {
            // What is nearly all must not be shown as all.
            let text = format!("{number:.5}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        _ => format!("{number:.1e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn numbers_have_the_digits_that_say_something() {
        let shown = [1.0, 0.99985, 15.159_6, 123_456.7, 0.000_012, 0.5].map(number);
        assert_eq!(shown, ["1", "0.99985", "15.16", "123457", "1.2e-5", "0.5"]);
    }
}
