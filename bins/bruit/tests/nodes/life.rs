use std::{fs, time::Instant};

use rustix::process::Signal;
use serde_json::json;

use crate::process::{Node, bruit, last_line, run};

/// Bytes that differ from chunk to chunk.
fn file(size: usize) -> Vec<u8> {
    (0..size).map(|n| (n / 97 + n % 251) as u8).collect()
}

#[test]
fn two_nodes_exchange_a_file_through_the_commands() {
    let dir = tempfile::tempdir().unwrap();
    let first = Node::start(&dir.path().join("a"), "127.0.21.1", &[]);
    let second = Node::start(&dir.path().join("b"), "127.0.22.1", &["--seed-addr", &first.addr()]);
    second.ask(&["wait", "--outbound", "1"]);
    first.ask(&["wait", "--peers", "1"]);
    let peers = second.ask(&["peers"]);
    assert_eq!(peers["peers"][0]["peer_id"], first.peer_id());
    assert_eq!((&peers["peers"][0]["direction"], &peers["peers"][0]["origin"]), (&json!("outbound"), &json!("seed")));
    let parts = peers["peers"][0]["parts"].as_object().unwrap();
    let sum: i64 = parts.values().map(|points| points.as_i64().unwrap()).sum();
    assert_eq!((parts.len(), json!(sum)), (8, peers["peers"][0]["quality"].clone()), "the parts add up");
    for (filter, count) in
        [("--direction=outbound", 1), ("--direction=inbound", 0), ("--from=seed", 1), ("--from=book", 0)]
    {
        assert_eq!(second.ask(&["peers", filter])["peers"].as_array().unwrap().len(), count, "{filter}");
    }
    let wrong = second.run(&["peers", "--direction", "sideways"]);
    assert_eq!(wrong.status.code(), Some(2));
    let table =
        bruit().args(["peers", "--parts", "--sort", "quality", "--data-dir"]).arg(dir.path().join("b")).output();
    let table = String::from_utf8(table.unwrap().stdout).unwrap();
    assert!(table.lines().next().unwrap().contains("DELIVERY") && table.contains(&first.peer_id()), "{table}");

    let path = dir.path().join("a file.bin");
    fs::write(&path, file(100_000)).unwrap();
    let published = first.ask(&["publish", "--file", path.to_str().unwrap()]);
    let manifest = published["manifest"].as_str().unwrap();
    assert_eq!((&published["chunks"], &published["topic"]), (&json!(4), &json!("files")));
    second.ask(&["wait", "--file", manifest]);
    let files = second.ask(&["files"]);
    assert_eq!(files["files"][0]["sha256"], published["sha256"]);
    assert_eq!(files["files"][0]["complete"], true);

    let out = dir.path().join("out");
    let line = second.ask(&["subscribe", "files", "--out", out.to_str().unwrap(), "--count", "1"]);
    assert_eq!((&line["event"], &line["path"]), (&json!("file"), &json!(out.join("a file.bin"))));
    assert_eq!(fs::read(out.join("a file.bin")).unwrap(), file(100_000));

    let call = second.ask(&["call", "echo", "--payload", "hello"]);
    assert_eq!((&call["by"], &call["text"]), (&json!(first.peer_id()), &json!("hello")));
    let call = second.run(&["call", "ping", "--peer", &second.peer_id()]);
    assert_eq!((call.status.code(), &last_line(&call)["ok"]), (Some(1), &json!(false)));

    let status = second.ask(&["status"]);
    assert_eq!((&status["files"]["complete"], &status["rpc"]["local"]), (&json!(1), &json!(0)));
    first.ask(&["shutdown"]);
    let (code, last, _) = first.ended();
    assert_eq!((code, last.as_str()), (Some(0), r#"{"event":"stopped","reason":"shutdown"}"#));
    assert_eq!(second.ask(&["goodbyes"])["goodbyes"][0]["by"], "they");
}

#[test]
fn a_topic_of_subscribers_is_fetched_by_others_from_those_who_hold_it() {
    let dir = tempfile::tempdir().unwrap();
    let half = ["--topic", "half=subscribers"];
    let holder = Node::start(&dir.path().join("a"), "127.0.23.1", &[&half[..], &["--subscribe", "half"]].concat());
    let addr = holder.addr();
    let with_seed = [&half[..], &["--seed-addr", &addr]].concat();
    let idle = Node::start(&dir.path().join("b"), "127.0.24.1", &with_seed);
    let fetcher =
        Node::start(&dir.path().join("c"), "127.0.25.1", &[&with_seed[..], &["--addnode", &idle.addr()]].concat());
    fetcher.ask(&["wait", "--peers", "2"]);

    let path = dir.path().join("half.bin");
    fs::write(&path, file(400_000)).unwrap();
    let published = holder.ask(&["publish", "--topic", "half", "--file", path.to_str().unwrap()]);
    let manifest = published["manifest"].as_str().unwrap();
    let some = fetcher.ask(&["fetch", "--manifest", manifest, "--chunks", "5", "--pin-first", &idle.peer_id()]);
    assert_eq!((&some["fetched"], &some["local"], &some["complete"]), (&json!(5), &json!(0), &json!(false)));
    assert!(some["retried"].as_u64().unwrap() >= 1, "who does not hold it was asked first: {some}");

    let out = dir.path().join("out");
    let all = fetcher.ask(&["fetch", "--topic", "half", "--out", out.to_str().unwrap()]);
    assert_eq!((&all["manifests"], &all["fetched"][0]["sha256_ok"]), (&json!([manifest]), &json!(true)));
    assert_eq!(fs::read(out.join("half.bin")).unwrap(), file(400_000));
    assert_eq!(fetcher.ask(&["files"])["files"], json!([]));

    holder.signal(Signal::STOP);
    let none = fetcher.run(&["fetch", "--manifest", manifest, "--chunks", "1", "--timeout-ms", "200"]);
    assert_eq!(none.status.code(), Some(1));
    holder.signal(Signal::CONT);
    fetcher.ask(&["fetch", "--manifest", manifest, "--chunks", "1", "--pin-first", &holder.peer_id()]);
}

#[test]
fn a_killed_node_comes_back_from_its_book_and_catches_up() {
    let dir = tempfile::tempdir().unwrap();
    let first = Node::start(&dir.path().join("a"), "127.0.26.1", &[]);
    let second = Node::start(&dir.path().join("b"), "127.0.27.1", &["--seed-addr", &first.addr()]);
    second.ask(&["wait", "--outbound", "1", "--book-stored", "1"]);
    let before = second.peer_id();
    second.signal(Signal::KILL);
    drop(second);

    let path = dir.path().join("missed");
    fs::write(&path, file(70_000)).unwrap();
    let manifest = first.ask(&["publish", "--file", path.to_str().unwrap()])["manifest"].as_str().unwrap().to_owned();
    let second = Node::start(&dir.path().join("b"), "127.0.27.1", &[]);
    assert_eq!(second.peer_id(), before);
    second.ask(&["wait", "--outbound", "1", "--file", &manifest, "--timeout", "30"]);
    let status = second.ask(&["status"]);
    assert_eq!((&status["book"]["restored"], &status["files"]["chunks_by_rpc"]), (&json!(1), &json!(3)));
    assert!(status["dials"]["from_restored"].as_u64().unwrap() >= 1, "{status}");
}

#[test]
fn text_reaches_subscribers_and_a_wait_can_fail() {
    let dir = tempfile::tempdir().unwrap();
    let first = Node::start(&dir.path().join("a"), "127.0.28.1", &[]);
    let second = Node::start(&dir.path().join("b"), "127.0.29.1", &["--addnode", &first.addr(), "--subscribe", "news"]);
    second.ask(&["wait", "--peers", "1"]);
    first.ask(&["wait", "--peers", "1"]);
    let subscription = bruit()
        .args(["subscribe", "news", "--count", "1", "--timeout", "30", "--json", "--data-dir"])
        .arg(dir.path().join("b"))
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut subscription = subscription;
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(subscription.stdout.take().unwrap()));
    assert_eq!(lines.next().unwrap().unwrap(), r#"{"event":"subscribed","topic":"news"}"#);
    while first.ask(&["peers"])["peers"][0]["subscriptions"] != json!(["news"]) {
        std::thread::yield_now();
    }
    let published = first.ask(&["publish", "--topic", "news", "--text", "broot"]);
    let line: serde_json::Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    let item = published["item"].as_str().unwrap();
    let why = first.ask(&["explain", item]);
    assert_eq!((&why["steps"][0]["what"], &why["brought_by"]), (&json!("published"), &json!(null)), "{why}");
    assert_eq!(why["steps"][1]["peer"], second.peer_id(), "{why}");
    let why = second.ask(&["explain", item]);
    assert_eq!((&why["steps"][0]["what"], &why["brought_by"]), (&json!("brought"), &json!(first.peer_id())), "{why}");
    let unknown = second.run(&["explain", &"0".repeat(64)]);
    assert_ne!(unknown.status.code(), Some(0));
    assert_eq!(
        (&line["event"], &line["text"], &line["from"]),
        (&json!("item"), &json!("broot"), &json!(first.peer_id()))
    );
    assert!(subscription.wait().unwrap().success());

    let waited = second.run(&["wait", "--peers", "2", "--timeout", "0.2"]);
    assert_eq!(waited.status.code(), Some(1));
    assert_eq!(last_line(&waited)["missing"], json!(["peers: 1 of 2"]));
}

#[test]
fn a_signal_stops_a_node_in_order_and_in_time() {
    let dir = tempfile::tempdir().unwrap();
    let first = Node::start(&dir.path().join("a"), "127.0.30.1", &[]);
    let second = Node::start(&dir.path().join("b"), "127.0.31.1", &["--seed-addr", &first.addr()]);
    second.ask(&["wait", "--peers", "1"]);
    first.ask(&["wait", "--peers", "1"]);
    let asked = Instant::now();
    second.signal(Signal::TERM);
    let (code, last, stderr) = second.ended();
    assert_eq!((code, last.as_str()), (Some(0), r#"{"event":"stopped","reason":"signal"}"#), "{stderr}");
    assert!(asked.elapsed().as_secs() < 5);
    assert!(!dir.path().join("b/api.sock").exists());
    assert_eq!(first.ask(&["goodbyes"])["goodbyes"][0]["reason"], "shutting down");
    // Its book was stored at its end: it comes back by itself.
    let second = Node::start(&dir.path().join("b"), "127.0.31.1", &[]);
    second.ask(&["wait", "--peers", "1"]);
}

#[test]
fn settings_are_printed_with_their_sources_and_keys_are_made_once() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("bruit.toml");
    fs::write(&file, "fanout = 5\n").unwrap();
    let data_dir = dir.path().to_str().unwrap();
    let output = run(["config", "print", "--json", "--data-dir", data_dir, "--set", "files.repair_delay_ms=7"]);
    let printed = last_line(&output);
    assert_eq!((&printed["config"]["fanout"], &printed["config"]["files"]["repair_delay_ms"]), (&json!(5), &json!(7)));
    assert_eq!(printed["sources"]["fanout"], json!({ "file": { "path": file, "line": 1 } }));
    assert_eq!(printed["sources"]["files.repair_delay_ms"], json!({ "flag": "--set files.repair_delay_ms" }));
    assert!(run(["config", "check", "--data-dir", data_dir]).status.success());

    let made = run(["key", "new", "--json", "--data-dir", data_dir]);
    let shown = run(["key", "show", "--json", "--data-dir", data_dir]);
    assert_eq!(last_line(&made), last_line(&shown));
    assert_eq!(run(["key", "new", "--data-dir", data_dir]).status.code(), Some(4));
    let node = Node::start(dir.path(), "127.0.32.1", &[]);
    assert_eq!(node.peer_id(), last_line(&made)["peer_id"]);
    assert!(node.ask(&["status"])["hint"].as_str().unwrap().contains("--seed-addr"));
}
