//! The shipped scenario of requests: its claims hold, and equal seeds give equal runs.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

use bruit_sim::{Options, Scenario};

const SHIPPED: &str = include_str!("../../../testnet/scenarios/rpc_liars.toml");
/// A fifth of the shipped ones, pooled as these are.
const RUNS: u32 = 4;

fn shipped(is_wire: bool) -> Scenario {
    let options = Options { runs: Some(RUNS), is_wire, ..Options::default() };
    Scenario::parse("rpc_liars", SHIPPED, options).unwrap()
}

#[test]
fn calls_find_true_answers_among_liars_as_the_shipped_scenario_claims() {
    let scenario = shipped(false);
    let runs = (0..RUNS).map(|run| scenario.run(run).unwrap()).collect();
    let outcome = scenario.judge(runs).unwrap();
    println!("{:#?}", outcome.figures.printed());
    assert!(outcome.broken.is_empty(), "{:?}", outcome.broken);
    assert!(outcome.holds(), "{:#?}", outcome.claims);
}

#[test]
fn encoding_every_request_and_answer_changes_nothing() {
    let trace = |is_wire| shipped(is_wire).run(0).unwrap().trace;
    assert_eq!(trace(false), trace(true));
}
