use std::fs;

use rustix::process::Signal;
use serde_json::json;

use crate::process::Node;

#[test]
fn a_hangup_reads_the_settings_anew_and_says_what_waits_for_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let other = Node::start(&dir.path().join("other"), "127.0.47.1", &[]);
    let home = dir.path().join("home");
    fs::create_dir(&home).unwrap();
    let file = home.join("bruit.toml");
    fs::write(&file, "inbound_max = 20\n").unwrap();
    let mut node = Node::start(&home, "127.0.48.1", &[]);

    let addnodes =
        format!("inbound_max = 30\nfanout = 3\naddnodes = [{:?}]\n[peering]\nquiet_target = 1\n", other.addr());
    fs::write(&file, &addnodes).unwrap();
    node.signal(Signal::HUP);
    let line = node.next_line();
    let report = json!({ "applied": ["addnodes", "inbound_max", "peering.quiet_target"], "needs_restart": ["fanout"],
        "refused": [] });
    assert_eq!((&line["event"], &line["report"]), (&json!("reloaded"), &report));
    let bounds = node.ask(&["limits", "--running"]);
    let inbound = bounds["limits"].as_array().unwrap().iter().find(|limit| limit["setting"] == "inbound_max").unwrap();
    assert_eq!([&inbound["value"], &inbound["default"]], ["30", "150"], "as the running node has it");
    node.ask(&["wait", "--peers", "1"]);
    assert_eq!(node.ask(&["peers"])["peers"][0]["origin"], "addnode");

    fs::write(&file, addnodes.replace("quiet_target", "queit_target")).unwrap();
    node.signal(Signal::HUP);
    let line = node.next_line();
    assert_eq!(line["event"], "reload_failed");
    assert!(line["reason"].as_str().unwrap().contains("did you mean `peering.quiet_target`?"), "{line}");

    fs::write(&file, addnodes.replace("fanout = 3\n", "log = \"error\"\n")).unwrap();
    node.signal(Signal::HUP);
    let line = node.next_line();
    assert_eq!(
        line["report"],
        json!({ "applied": [], "needs_restart": [], "refused": [] }),
        "a flag wins over the file"
    );
    node.signal(Signal::TERM);
    assert_eq!(node.ended().0, Some(0));
}
