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

    let hopeless = parse(&GOOD.replace("min = 0.5", "max = 0.1")).unwrap();
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
    refused(swap("min = 0.5", ""), 16, "a claim has a min, a max or both", Some("min"));
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
fn attacks_that_cannot_be_are_refused() {
    let attack = |kind: &str, share: f64, interval: f64, count: u32| {
        let text =
            format!("[gossip.attack]\nkind = \"{kind}\"\nshare = {share}\ninterval_ms = {interval}\ncount = {count}\n");
        move |scenario: String| scenario.replace("[gossip.topic]", &(text + "[gossip.topic]"))
    };
    refused(attack("uniqe", 0.1, 1.0, 1), 9, "unknown variant", Some("unique"));
    refused(attack("unique", 0.0, 1.0, 1), 10, "nobody attacks", None);
    refused(attack("unique", 0.001, 1.0, 1), 10, "nobody; the least is", None);
    refused(attack("unique", 1.0, 1.0, 1), 10, "nobody would be left to publish", None);
    refused(attack("unique", 0.1, 0.0, 1), 11, "some time between two blows", None);
    refused(attack("unique", 0.1, 1.0, 0), 12, "0 in a blow", None);
    refused(attack("unique", 0.1, 1.0, 10_001), 12, "10001 in a blow", None);
    refused(attack("announce", 0.1, 1.0, 257), 12, "257 in a blow, but there must be 1 to 256", None);
    refused(attack("invalid", 0.1, 1.0, 1), 15, "nobody judges what is valid", Some("application"));
    for (kind, count) in [("unique", 1), ("unique", 10_000), ("announce", 256), ("replay", 1)] {
        parse(&attack(kind, 0.1, 1.0, count)(GOOD.to_owned())).unwrap();
    }
}

#[test]
fn claims_that_can_never_be_judged_are_refused_before_anything_is_run() {
    let put = |line: &'static str| move |text: String| text + line;
    let swap = |old: &'static str, new: &'static str| move |text: String| text.replace(old, new);
    refused(swap("\"coverage\"", "\"covrage\""), 16, "there is no figure `covrage`", Some("coverage"));
    refused(swap("\"coverage\"", "\"success\""), 16, "there is no figure `success`", Some("messages"));
    let unasked = "measured only where `gossip.spy_share` is set";
    refused(swap("\"coverage\"", "\"precision\""), 16, unasked, Some("gossip.spy_share"));
    refused(swap("min = 0.5", "min = 1.5"), 17, "1.5 is no bound: `coverage` is a share", None);
    refused(swap("min = 0.5", "min = -0.5"), 17, "-0.5 is no bound", None);
    refused(put("max = inf\n"), 18, "inf is no bound", None);
    for figure in ["bytes_item", "bytes_per_node_p99", "redundancy_deviation"] {
        let scenario = parse(&GOOD.replace("\"coverage\"\nmin = 0.5", &format!("\"{figure}\"\nmin = 0"))).unwrap();
        assert!(scenario.judge(vec![scenario.run(0).unwrap()]).unwrap().holds(), "{figure}");
    }
}

#[test]
fn a_run_prints_the_figures_that_are_known_before_it_and_no_others() {
    let all = "[gossip]\noptimum = true\noverlay_metrics = true\nspy_share = 0.2\ntapped_share = 0.2\n[gossip.attack]\n\
        kind = \"unique\"\nshare = 0.1\ninterval_ms = 1000\ncount = 1\n[gossip.topic]";
    let gossip = parse(&GOOD.replace("[gossip.topic]", all)).unwrap();
    let rpc =
        parse("kind = \"rpc\"\nnodes = 20\n[rpc]\nwarm_up = 20\ncalls = 20\nbehaves_for = 20\nturncoat_share = 0.1\n")
            .unwrap();
    let network = "kind = \"network\"\nnodes = 12\n[network]\nseeds = 2\njoin_within_ms = 2000\ngrow_ms = 10000\ncount_bytes = true\n\
        [network.attack]\nkind = \"eclipse\"\nbots = 5\nlasts_ms = 5000\nconnections = 1\ninterval_ms = 5000\naddrs_per_message = 5\n\
        [network.restart]\nshare = 0.2\ndead_share = 0.1\nwatch_ms = 5000\n[network.load]\nmessages = 1\nat_ms = [1000]\n";
    for scenario in [gossip, rpc, parse(network).unwrap()] {
        let names = scenario.names();
        let printed = scenario.run(0).unwrap().figures.printed();
        for name in printed.keys() {
            assert!(names.meant(name).is_some_and(|meant| meant.lacks.is_none()), "{name}");
        }
        for name in names.measured() {
            assert!(printed.contains_key(name), "{name} is known and never printed");
        }
    }
}

#[test]
fn a_claim_about_what_was_not_seen_fails() {
    let claim = |bounds: &str| GOOD.replace("\"coverage\"\nmin = 0.5", bounds);
    let judged = |text: &str| {
        let scenario = parse(text).unwrap();
        scenario.judge(vec![scenario.run(0).unwrap()]).unwrap().claims.remove(0)
    };
    let unheard = claim("\"redundancy\"\nmax = 5.0").replace("messages = 3", "messages = 1") + "[links]\nloss = 1.0\n";
    let unheard = judged(&unheard);
    assert!(unheard.value.is_nan() && !unheard.holds);
    let none = judged(&claim("\"bytes_announce\"\nmax = 0"));
    assert!(none.value == 0.0 && none.holds);
}

#[test]
fn what_strikes_nobody_is_refused() {
    let put = |line: &'static str| move |text: String| text + line;
    let swap = |old: &'static str, new: &'static str| move |text: String| text.replace(old, new);
    refused(
        put("[[fault]]\nkind = \"crash\"\nshare = 0.001\n"),
        20,
        "0.001 of 50 nodes is nobody; the least is 0.01",
        None,
    );
    refused(put("[[fault]]\nkind = \"crash\"\nnodes = []\n"), 18, "it strikes nobody", None);
    refused(put("[[fault]]\nkind = \"restart\"\n"), 18, "it strikes nobody", None);
    refused(put("[[fault]]\nkind = \"cut\"\nshare = 1.0\n"), 18, "nobody is left to be cut off from", None);
    refused(put("[[fault]]\nkind = \"churn\"\nshare = 0.001\n"), 18, "nobody in 60000 ms", None);
    refused(put("[[fault]]\nkind = \"churn\"\nnodes = [1]\n"), 20, "no such key", Some("notice_ms"));
    refused(put("[[fault]]\nkind = \"crash\"\nshare = 0.5\nfor_ms = 5\n"), 21, "no such key", Some("notice_ms"));
    refused(put("[[fault]]\nkind = \"partition\"\nparts = 51\n"), 20, "50 nodes cannot fall into 51 parts", None);
    refused(
        swap("[gossip.topic]", "[gossip]\nsilent_share = 0.005\n[gossip.topic]"),
        9,
        "0.005 of 50 nodes is nobody",
        None,
    );
    assert!(parse(&(GOOD.to_owned() + "[[fault]]\nkind = \"crash\"\nshare = 0\n")).is_ok(), "nobody on purpose");
}

#[test]
fn shapes_and_loads_that_cannot_be_are_refused_before_anything_is_run() {
    let swap = |old: &'static str, new: &'static str| move |text: String| text.replace(old, new);
    let odd =
        |text: String| text.replace("nodes = 50", "nodes = 51").replace("random]\ndials = 4", "regular]\ndegree = 5");
    refused(odd, 6, "5 cannot be: an odd number of nodes", Some("6"));
    let small = "small_world]\nrewired = 0.1\ndegree = 5";
    refused(swap("random]\ndials = 4", small), 7, "5 cannot be", Some("6"));
    refused(swap("dials = 4", "dials = 0"), 5, "connect nobody", None);
    let crowd = |text: String| text.replace("nodes = 50", "nodes = 9000").replace("dials = 4", "dials = 2049");
    refused(crowd, 6, "2049 dials each", None);
    refused(swap("messages = 3", "messages = 0"), 13, "none is left", None);
    refused(swap("messages = 3", "messages = 3\nwarm_up = 3"), 13, "none is left", None);
    refused(swap("messages = 3", "payload_bytes = 99_999_999"), 13, "99999999 bytes, but the topic takes", None);
    refused(swap("messages = 3", "at_once = 0"), 13, "at least one message is published in a moment", None);
}

#[test]
fn a_network_without_anybody_up_publishes_nothing() {
    let scenario = parse(&(GOOD.replace("min", "max") + "[[fault]]\nkind = \"crash\"\nshare = 1.0\n")).unwrap();
    assert_eq!(scenario.run(0).unwrap().figures.printed()["coverage"], 0.0);
}

#[test]
fn a_section_of_another_kind_is_refused_instead_of_passed_over() {
    let text = "kind = \"network\"\nnodes = 20\n[[fault]]\nkind = \"crash\"\nshare = 0.5\n";
    let invalid = parse(text).unwrap_err();
    assert_eq!((invalid.line, invalid.nearest.as_deref()), (3, Some("network")), "{invalid}");
    assert!(invalid.reason.contains("fault: a scenario of kind `network` has no such section"), "{invalid}");
}
