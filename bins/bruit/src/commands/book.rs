use std::{fmt::Write as _, fs, io, io::Read as _, path::Path};

use bruit::{BanInfo, BookWhy, admin::message::Book};

use crate::{
    args::{Api, BookAction, BookArgs, ImportArgs, PeerArgs},
    commands::{block_on, client, look::points},
    exit::{Exit, Failure},
    output::Output,
    table::{Table, span},
};

pub(super) fn book(args: &BookArgs, output: &Output) -> Result<Exit, Failure> {
    match &args.action {
        None => list(args, output),
        Some(BookAction::Why(args)) => why(args, output),
        Some(BookAction::Export(api)) => export(api, output),
        Some(BookAction::Import(args)) => import(args, output),
    }
}

fn list(args: &BookArgs, output: &Output) -> Result<Exit, Failure> {
    let client = client(&args.api)?;
    let book = block_on(async { Ok(client.book(args.limit).await?) })?;
    output.result(&book, |book| format!("{}{}", entries(book), shape(book)));
    Ok(Exit::Held)
}

fn entries(book: &Book) -> Table {
    let mut table = Table::new(&["ADDRESS", "PEER", "TABLE", "GROUP", "SEEN", "REACHED", "FAILED", "QUALITY", "MARKS"]);
    for entry in &book.entries {
        let marks = [(entry.is_special, "special"), (entry.would_be_dropped, "would be dropped")];
        let marks: Vec<&str> = marks.into_iter().filter(|(is_set, _)| *is_set).map(|(_, mark)| mark).collect();
        table.row([
            entry.endpoint.to_string(),
            entry.peer_id.map_or("-".to_owned(), |peer| peer.to_string()),
            entry.table.clone(),
            entry.group.clone(),
            format!("{} ago", span(entry.seen_seconds_ago)),
            entry.reached_seconds_ago.map_or("never".to_owned(), |ago| format!("{} ago", span(ago))),
            entry.failures.to_string(),
            points(entry.quality),
            marks.join(", "),
        ]);
    }
    table
}

fn shape(book: &Book) -> String {
    let shape = &book.shape;
    let [hour, day, week, month] = shape.ages;
    let mut text = format!(
        "\n{} reached, {} heard of, in {} groups; seen within an hour {hour}, a day {day}, a week {week}, 30 days {month}\n",
        book.tried, book.new, shape.groups
    );
    if let Some(group) = &shape.largest_group {
        let _ = writeln!(text, "the largest group, {group}, has {:.0} %", shape.largest_group_share * 100.0);
    }
    let _ = writeln!(
        text,
        "{} would be dropped when room is needed, {} wait for a test",
        shape.would_be_dropped, shape.waiting_for_tests
    );
    if shape.is_offline {
        text.push_str("our own network seems to be out: nothing is held against anybody\n");
    }
    text
}

fn why(args: &PeerArgs, output: &Output) -> Result<Exit, Failure> {
    let client = client(&args.api)?;
    let why = block_on(async { Ok(client.book_why(args.peer).await?) })?;
    output.result(&why, text_of);
    Ok(Exit::Held)
}

fn text_of(why: &BookWhy) -> String {
    let mut text = format!("{}\n\nquality {} ({}), of which\n", why.peer_id, points(why.quality), why.standing);
    for (part, value) in &why.parts {
        let _ = writeln!(text, "  {part:<14}{:>7}", points(*value));
    }
    for method in &why.methods {
        let _ = writeln!(
            text,
            "  answered {} of {} calls of {}",
            method.answered,
            method.answered + method.failed,
            method.method
        );
    }
    match why.connected_seconds {
        Some(seconds) => drop(writeln!(text, "\nconnected for {}", span(seconds))),
        None => text.push_str("\nnot connected\n"),
    }
    if why.is_special {
        text.push_str("special: others are not told of it\n");
    }
    for entry in &why.endpoints {
        let reached = entry.reached_seconds_ago.map_or("never".to_owned(), |ago| format!("{} ago", span(ago)));
        let _ = writeln!(
            text,
            "lives at {} ({}, reached {reached}, {} failures)",
            entry.endpoint, entry.table, entry.failures
        );
    }
    if let Some(choice) = &why.last_choice {
        let _ = writeln!(
            text,
            "\nchosen {} ago at {}: its chance of {} exceeded {}, decided by: {}",
            span(choice.seconds_ago),
            choice.endpoint,
            points(choice.chance),
            points(choice.needed),
            choice.top
        );
        for (reason, value) in &choice.parts {
            let _ = writeln!(text, "  {reason:<24}{:>7}", points(*value));
        }
    }
    if let Some(ban) = &why.ban {
        let _ =
            writeln!(text, "\n{}: {} (by {}), {} left", ban.severity, ban.reason, ban.source, span(ban.seconds_left));
        text.push_str(&evidence_of(ban));
    }
    text
}

fn evidence_of(ban: &BanInfo) -> String {
    let Some(evidence) = &ban.evidence else { return String::new() };
    let (quality, below) = (points(evidence.quality), points(evidence.below));
    let mut text = format!("  quality was {quality}, below {below}, decided by: {}\n", evidence.decided_by.join(", "));
    for (part, value) in &evidence.parts {
        let _ = writeln!(text, "  {part:<14}{:>7}", points(*value));
    }
    text
}

fn export(api: &Api, output: &Output) -> Result<Exit, Failure> {
    let client = client(api)?;
    let lines = block_on(async { Ok(client.book_export().await?) })?;
    String::from_utf8_lossy(&lines).lines().for_each(|line| output.line(line));
    Ok(Exit::Held)
}

fn import(args: &ImportArgs, output: &Output) -> Result<Exit, Failure> {
    let lines = if args.file == Path::new("-") {
        let mut lines = Vec::new();
        io::stdin().read_to_end(&mut lines)?;
        lines
    } else {
        fs::read(&args.file).map_err(|error| Failure::configuration(format!("{}: {error}", args.file.display())))?
    };
    let client = client(&args.api)?;
    let report = block_on(async { Ok(client.book_import(lines.into()).await?) })?;
    output.result(&report, |report| {
        format!(
            "took over {} endpoints ({} reached), {} peers, {} bans; refused {}, no place for {}, could not read {} lines",
            report.entries, report.tried, report.peers, report.bans, report.refused, report.displaced, report.unreadable
        )
    });
    Ok(Exit::Held)
}

pub(super) fn bans(api: &Api, output: &Output) -> Result<Exit, Failure> {
    let client = client(api)?;
    let bans = block_on(async { Ok(client.bans().await?) })?;
    output.table(&bans, |bans| {
        let mut table = Table::new(&["SUBJECT", "WHAT", "REASON", "BY", "SINCE", "LEFT", "DECIDED BY"]);
        for ban in &bans.bans {
            table.row([
                ban.subject.clone(),
                ban.severity.clone(),
                ban.reason.clone(),
                ban.source.clone(),
                format!("{} ago", span(ban.seconds_ago)),
                span(ban.seconds_left),
                ban.evidence.as_ref().map_or_else(String::new, |evidence| evidence.decided_by.join(", ")),
            ]);
        }
        table
    });
    Ok(Exit::Held)
}
