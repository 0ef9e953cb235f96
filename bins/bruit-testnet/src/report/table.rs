//! The report as a person reads it.

use std::fmt::Write;

use crate::report::{Report, STEPS};

/// Lays the report out in lines.
pub(crate) fn table(report: &Report) -> String {
    let mut text = String::new();
    for step in &report.steps {
        let word = if step.done { "done" } else { "FAILED" };
        line(
            &mut text,
            &format!("{}. {}", step.step, step.name),
            &format!("{word:<6} {:>6.1} s  {}", step.seconds, step.note),
        );
    }
    if !report.steps.is_empty() {
        text.push('\n');
    }
    let reached = report.steps.len();
    for (_, name, value) in rows(report).into_iter().filter(|(step, ..)| *step <= reached) {
        line(&mut text, name, &value);
    }
    for claim in &report.failed {
        line(&mut text, "failed", claim);
    }
    for what in &report.not_applicable {
        line(&mut text, "not applicable", what);
    }
    if let Some(error) = &report.error {
        line(&mut text, "error", error);
    }
    if let Some(dir) = &report.dir {
        line(&mut text, "folders and logs", dir);
    }
    let verdict = if report.ok { "ok" } else { "NOT OK" };
    line(
        &mut text,
        "verdict",
        &format!("{verdict}: {} of {STEPS} steps in {:.1} s", report.steps_done, report.seconds),
    );
    text
}

/// What is told from which step on.
fn rows(report: &Report) -> Vec<(usize, &'static str, String)> {
    let yes_no = |value: bool| if value { "yes" } else { "no" };
    let hops = report.hops_histogram.iter().enumerate().skip(1);
    let hops = hops.map(|(round, count)| format!("{round}: {count}")).collect::<Vec<_>>().join(", ");
    let Report { rpc_calls, rpc_ok, rpc_retried, rpc_local, rpc_wasted, .. } = report;
    let calls = format!(
        "{rpc_calls}, {rpc_ok} succeeded, {rpc_retried} asked more than one peer ({rpc_wasted} tries in vain), {rpc_local} were local"
    );
    let (rejoined, by_book) = (yes_no(report.rejoined), yes_no(report.rejoined_outbound));
    let returned =
        format!("connected: {rejoined}, by its stored book: {by_book}, caught up: {}", yes_no(report.caught_up));
    let mut rows = vec![
        (1, "nodes", report.nodes.to_string()),
        (2, "connections a node", format!("{:.1} on average", report.degree_mean)),
        (3, "covered by gossip", percent(report.coverage_gossip)),
        (3, "covered in the end", percent(report.coverage)),
        (3, "right SHA-256", format!("{} of {} nodes", report.sha256_ok, report.nodes.saturating_sub(1))),
        (3, "hops at most", format!("{} ({hops})", report.hops_max)),
        (3, "not relayed: round limit", report.round_limited.to_string()),
        (3, "duplicates a delivery", format!("{:.2}", report.duplicates_per_delivery)),
        (3, "bytes a delivery", format!("{:.0}", report.bytes_per_delivery)),
        (3, "pushes a message", format!("{} at most", report.pushes_max)),
        (4, "calls", calls),
        (5, "restarted node", returned),
    ];
    if report.bad_nodes > 0 {
        let Report { bad_nodes, bad_asked, bad_false_answers, rpc_false_accepted, .. } = report;
        let text = format!("{bad_nodes}, asked {bad_asked} times, {bad_false_answers} false answers");
        rows.push((4, "bad nodes", format!("{text}, {rpc_false_accepted} taken for true")));
    }
    if let Some(mib) = report.rss_mib_max {
        rows.push((1, "memory of a node", format!("{mib:.1} MiB at most")));
    }
    rows
}

fn percent(share: f64) -> String {
    format!("{:.2} %", share * 100.0)
}

fn line(text: &mut String, name: &str, value: &str) {
    writeln!(text, "{name:<26} {value}").expect("text takes all that is written to it");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Step;

    #[test]
    fn a_person_sees_the_verdict_the_failure_and_its_reason() {
        let step = Step { step: 1, name: "start", done: false, seconds: 2.0, note: "node 3 ended".to_owned() };
        let report = Report {
            nodes: 3,
            steps: vec![step],
            failed: vec!["coverage is 0.5".to_owned()],
            error: Some("step 1: node 3 ended".to_owned()),
            ..Report::default()
        };
        let text = table(&report);
        for part in ["FAILED", "coverage is 0.5", "step 1: node 3 ended", "NOT OK: 0 of 6 steps"] {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
        assert!(!text.contains("SHA-256"), "what was not reached is told in\n{text}");
        assert!(table(&Report { ok: true, steps_done: 6, ..report }).contains("ok: 6 of 6 steps"));
    }
}
