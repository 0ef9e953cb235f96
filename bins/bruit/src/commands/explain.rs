use std::fmt::Write as _;

use bruit::{ItemStep, ItemWhy};

use crate::{
    args::ItemArgs,
    commands::{block_on, client},
    exit::{Exit, Failure},
    output::Output,
    table::Table,
};

pub(super) fn explain(args: &ItemArgs, output: &Output) -> Result<Exit, Failure> {
    let client = client(&args.api)?;
    let why = block_on(async { Ok(client.item_why(args.item).await?) })?;
    output.result(&why, text_of);
    Ok(Exit::Held)
}

fn text_of(why: &ItemWhy) -> String {
    let mut text = format!("{}\n{}", why.item, why.standing.replace('_', " "));
    if let Some(policy) = &why.policy {
        let _ = write!(text, ", spreads by {policy}");
    }
    text.push('\n');
    if let Some(numbers) = &why.numbers {
        let _ = writeln!(
            text,
            "{} peers have it; {} copies pushed, {} sent when asked, announced to {}, {} duplicates came",
            numbers.reached, numbers.pushes, numbers.answers, numbers.announced, numbers.duplicates
        );
    }
    let mut table = Table::new(&["AGO", "WHAT", "PEER", "HOP", "WHY"]);
    for step in &why.steps {
        table.row([
            format!("{} ms", step.milliseconds_ago),
            step.what.replace('_', " "),
            peer_of(step),
            step.round.map_or_else(String::new, |round| round.to_string()),
            step.why.clone().unwrap_or_default(),
        ]);
    }
    let _ = write!(text, "\n{table}");
    text
}

fn peer_of(step: &ItemStep) -> String {
    match (step.peer, step.peers) {
        (Some(peer), _) => peer.to_string(),
        (None, Some(peers)) => format!("{peers} peers"),
        (None, None) if ["published", "judged", "finished"].contains(&step.what.as_str()) => String::new(),
        (None, None) => "one that left".to_owned(),
    }
}
