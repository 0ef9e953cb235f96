use super::*;

const GOOD: &str = r#"
kind = "gossip"
nodes = 50

[overlay.random]
dials = 4

[gossip.topic]
policy = { fanout = { peers = 8, rounds = 8 } }
validation = "automatic"

[load]
messages = 3

[[claim]]
figure = "coverage"
min = 0.5
"#;

fn parse(text: &str) -> Result<Scenario, Invalid> {
    Scenario::parse("test", text, Options::default())
}

#[track_caller]
fn refused(change: impl FnOnce(String) -> String, line: usize, reason: &str, nearest: Option<&str>) {
    let invalid = parse(&change(GOOD.to_owned())).unwrap_err();
    assert!(invalid.reason.contains(reason), "{invalid}");
    assert_eq!((invalid.line, invalid.nearest.as_deref()), (line, nearest), "{invalid}");
}

#[test]
fn a_scenario_runs_and_is_judged_by_its_claims() {
    let scenario = parse(GOOD).unwrap();
    let outcome = scenario.judge(vec![scenario.run(0).unwrap()]).unwrap();
    assert!(outcome.holds());
    assert_eq!(outcome.figures.printed()["messages"], 3.0);
    assert_eq!(scenario.run(0).unwrap(), scenario.run(0).unwrap());
    assert_ne!(scenario.run(0).unwrap().trace, scenario.run(1).unwrap().trace);

    let hopeless = parse(&GOOD.replace("min = 0.5", "min = 1.5")).unwrap();
    let outcome = hopeless.judge(vec![hopeless.run(0).unwrap()]).unwrap();
    assert!(!outcome.holds() && outcome.broken.is_empty());
}

#[test]
fn the_number_of_a_run_is_added_to_the_seed() {
    let scenario = |seed| Scenario::parse("test", GOOD, Options { seed: Some(seed), ..Options::default() }).unwrap();
    assert_eq!(scenario(7).run(1).unwrap(), scenario(8).run(0).unwrap());
}

#[test]
fn what_is_sent_through_the_wire_leaves_the_same_trace() {
    let wire = Scenario::parse("test", GOOD, Options { is_wire: true, ..Options::default() }).unwrap();
    assert_eq!(wire.run(0).unwrap(), parse(GOOD).unwrap().run(0).unwrap());
}

#[test]
fn what_cannot_be_is_refused_with_line_reason_and_nearest_word() {
    let put = |line: &'static str| move |text: String| text + line;
    let swap = |old: &'static str, new: &'static str| move |text: String| text.replace(old, new);
    refused(swap("nodes = 50", "nodse = 50"), 3, "unknown field `nodse`", Some("nodes"));
    refused(swap("messages", "mesages"), 13, "unknown field `mesages`", Some("messages"));
    refused(swap("random", "randum"), 5, "unknown variant `randum`", Some("random"));
    refused(swap("\"gossip\"", "\"gosip\""), 2, "unknown variant `gosip`", Some("gossip"));
    refused(swap("dials = 4", "dials = 50"), 5, "50 links for each of 50 nodes", None);
    refused(swap("peers = 8", "peers = 0"), 8, "fanout.peers is 0", None);
    refused(swap("nodes = 50", "nodes = 0"), 3, "0 nodes", None);
    refused(swap("min = 0.5", "max = 0.2\nmin = 0.5"), 18, "0.5 is more than the max of 0.2", None);
    refused(swap("min = 0.5", ""), 16, "a claim has a min, a max or both", None);
    refused(put("[links]\nloss = 1.5\n"), 19, "1.5 is no share", None);
    refused(put("[links]\nlatency = { uniform_ms = [5, 1] }\n"), 19, "from 5 to 1 is no range", None);
    refused(put("[[fault]]\nkind = \"crash\"\nnodes = [1, 50]\n"), 20, "there is no node 50", None);
    refused(put("[[fault]]\nkind = \"crash\"\nshare = -1.0\n"), 20, "-1 is no share", None);
    refused(put("[[fault]]\nkind = \"crash\"\nshar = 0.5\n"), 20, "unknown field `shar`", Some("share"));
    refused(put("[[fault]]\nkind = \"crash\"\n"), 18, "neither a share nor nodes", Some("share"));
    refused(put("[[fault]]\nkind = \"skew\"\nshare = 0.1\ndelay_ms = nan\n"), 21, "NaN ms", None);
    refused(put("max = nan\n"), 18, "NaN is no bound", None);
    refused(put("[network]\nseeds = 3\n"), 18, "a scenario of kind `gossip` has no such section", Some("gossip"));
    refused(put("[rpc]\ncalls = 3\n"), 18, "a scenario of kind `gossip` has no such section", Some("gossip"));
    refused(swap("random]\ndials = 4", "small_world]\ndegree = 4\nrewired = 1.5"), 7, "1.5 is no share", None);
    refused(swap("random]\ndials = 4", "regular]\ndegree = 50"), 5, "50 links for each of 50 nodes", None);
    refused(put("[[fault]]\nkind = \"crsh\"\n"), 19, "unknown variant `crsh`", Some("crash"));
}

#[test]
fn a_claim_about_no_figure_is_refused_with_the_nearest() {
    let scenario = parse(&GOOD.replace("\"coverage\"", "\"covrage\"")).unwrap();
    let invalid = scenario.judge(vec![scenario.run(0).unwrap()]).unwrap_err();
    assert_eq!((invalid.line, invalid.nearest.as_deref()), (16, Some("coverage")));
}

#[test]
fn a_section_of_another_kind_is_refused_instead_of_passed_over() {
    let text = "kind = \"network\"\nnodes = 20\n[[fault]]\nkind = \"crash\"\nshare = 0.5\n";
    let invalid = parse(text).unwrap_err();
    assert_eq!((invalid.line, invalid.nearest.as_deref()), (3, Some("network")), "{invalid}");
    assert!(invalid.reason.contains("fault: a scenario of kind `network` has no such section"), "{invalid}");
}
