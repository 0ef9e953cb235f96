use std::process::Output;

use crate::process::{Node, last_line, run, stderr};

/// What a wrong command line is answered with; nothing has been asked of a node.
fn wrong(args: &[&str]) -> String {
    let output = run(args);
    assert_eq!(output.status.code(), Some(2), "{args:?}: {}", stderr(&output));
    stderr(&output)
}

fn help(command: &str) -> String {
    let Output { stdout, status, .. } = run([command, "--help"]);
    assert!(status.success());
    String::from_utf8(stdout).unwrap().split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn fault_a_command_without_its_object_names_all_that_it_could_be() {
    let text = wrong(&["wait"]);
    for condition in ["--outbound", "--peers", "--file", "--files", "--book-stored"] {
        assert!(text.contains(&format!("{condition} <")), "{text}");
    }
    let text = wrong(&["publish"]);
    assert!(text.contains("--file <PATH>") && text.contains("--text <TEXT>"), "{text}");
    let text = wrong(&["fetch"]);
    assert!(text.contains("--manifest <ID>") && text.contains("--topic <TOPIC>"), "{text}");
    wrong(&["publish", "--file", "a", "--text", "b"]);
    wrong(&["fetch", "--manifest", &"ab".repeat(32), "--topic", "t"]);
}

#[test]
fn fault_an_address_that_is_none_is_answered_with_an_example() {
    for args in [&["addnode", "192.0.2.7:4171"][..], &["run", "--data-dir", "", "--seed-addr", "192.0.2.7:4171"]] {
        let text = wrong(args);
        assert!(text.contains("an address looks like /ip4/192.0.2.7/tcp/4171"), "{text}");
    }
}

#[test]
fn help_says_units_defaults_and_scales() {
    let text = help("run");
    for name in ["bruit, casper, factom, horizen or ironfish", "32 in the profile bruit", "150 in the", "_ms or _secs"]
    {
        assert!(text.contains(name), "{name}: {text}");
    }
    assert!(help("disconnect").contains("as `bruit peers` shows it"));
    for command in ["peers", "book"] {
        assert!(help(command).contains("0 for a stranger"), "{command}");
    }
}

#[test]
fn limits_are_listed_as_the_settings_make_them() {
    let set = ["limits", "--data-dir", "", "--outbound", "31", "--set", "peering.ping_interval_ms=15500"];
    let listed = last_line(&run(set.iter().copied().chain(["--json"])));
    let values = |name: &str| {
        let limits = listed["limits"].as_array().unwrap().iter();
        let named: Vec<_> = limits.filter(|limit| limit["crate"] == "peering" && limit["name"] == name).collect();
        let [limit] = named[..] else { panic!("{named:?}") };
        ["setting", "value", "default", "source"].map(|key| limit[key].as_str().unwrap_or_default())
    };
    assert_eq!(values("Config::outbound_target"), ["outbound", "31", "32", "Factom: 32"]);
    let ping = ["peering.ping_interval_ms", "15,500 ms", "15 s", "Factom: 15 s"];
    assert_eq!(values("Config::ping_interval"), ping);
    assert_eq!(values("ANCHORS_MIN"), ["", "2", "2", "Bitcoin Core: 2"]);

    let text = String::from_utf8(run(set).stdout).unwrap();
    let line = text.lines().find(|line| line.starts_with(ping[0])).unwrap();
    assert_eq!(line.split("  ").filter(|cell| !cell.is_empty()).map(str::trim).collect::<Vec<_>>(), ping);
    assert!(text.lines().any(|line| line.starts_with("peering ANCHORS_MIN  ")), "{text}");
}

#[test]
fn who_is_banned_is_not_accused_and_told_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let first = Node::start(&dir.path().join("a"), "127.0.51.1", &[]);
    let second = Node::start(&dir.path().join("b"), "127.0.52.1", &["--seed-addr", &first.addr()]);
    first.ask(&["wait", "--peers", "1"]);
    second.ask(&["wait", "--peers", "1"]);
    first.ask(&["ban", &second.peer_id()]);
    let goodbye = loop {
        let told = second.ask(&["goodbyes"])["goodbyes"][0].clone();
        if !told.is_null() {
            break told;
        }
    };
    assert_eq!((&goodbye["by"], &goodbye["reason"]), (&"they".into(), &"requested".into()));
    let hint = second.ask(&["status"])["hint"].as_str().unwrap().to_owned();
    assert!(hint.contains("banned this node") && hint.contains("bruit goodbyes"), "{hint}");

    let alone = first.run(&["peers"]);
    assert_eq!(last_line(&alone)["peers"], serde_json::json!([]));
    assert!(stderr(&alone).contains("no peers at the moment"));
}
