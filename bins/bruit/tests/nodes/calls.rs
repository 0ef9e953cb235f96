use std::{
    fs,
    io::{BufRead as _, BufReader, Lines},
    path::Path,
    process::{Child, ChildStdout, Stdio},
};

use serde_json::{Value, json};

use crate::process::{Node, bruit, last_line};

/// `bruit serve`, running; dropping it ends it.
struct Serving {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Serving {
    fn start(dir: &Path, method: &str, command: &str, more: &[&str]) -> Self {
        let mut process = bruit()
            .args(["serve", method, "--json", "--exec", command, "--data-dir"])
            .arg(dir)
            .args(more)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut serving = Self { process, lines };
        assert_eq!(serving.next(), json!({ "event": "serving", "method": method }));
        serving
    }

    fn next(&mut self) -> Value {
        serde_json::from_str(&self.lines.next().unwrap().unwrap()).unwrap()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Two connected nodes in `a` and `b` of a folder.
fn two(dir: &Path, ips: [&str; 2]) -> (Node, Node) {
    let first = Node::start(&dir.join("a"), ips[0], &[]);
    let second = Node::start(&dir.join("b"), ips[1], &["--seed-addr", &first.addr()]);
    first.ask(&["wait", "--peers", "1"]);
    second.ask(&["wait", "--peers", "1"]);
    (first, second)
}

/// Waits until the other has said that it serves the method.
fn told(caller: &Node, method: &str) -> Value {
    loop {
        let plan = last_line(&caller.run(&["call", method, "--explain"]));
        if plan["candidates"][0].is_object() {
            return plan;
        }
    }
}

#[test]
fn a_command_answers_and_its_exit_code_refuses() {
    let dir = tempfile::tempdir().unwrap();
    let (server, caller) = two(dir.path(), ["127.0.61.1", "127.0.62.1"]);
    let script = "read what; echo \"no $what here\" >&2; case $what in \
        one) exit 1;; two) exit 2;; busy) exit 75;; bad) exit 9;; long) head -c 100 /dev/zero;; slow) sleep 100;; \
        *) printf \"$what for $BRUIT_METHOD by ${#BRUIT_PEER}\"; esac";
    let limits = ["--answer-max", "99", "--timeout-ms", "300"];
    let mut serving = Serving::start(&dir.path().join("a"), "lookup", script, &limits);
    let plan = told(&caller, "lookup");
    assert_eq!((&plan["connected"], &plan["candidates"][0]["peer"]), (&json!(1), &json!(server.peer_id())));
    assert_eq!(plan["candidates"][0]["chance"], 1.0);

    let answer = caller.ask(&["call", "lookup", "--payload", "ada"]);
    assert_eq!((&answer["text"], &answer["by"]), (&json!("ada for lookup by 52"), &json!(server.peer_id())));
    assert_eq!(serving.next()["outcome"], "answered");
    for (payload, kind, text, may_have_executed) in [
        ("one", "cannot_satisfy", "cannot satisfy: no one here", false),
        ("two", "bad_request", "bad request: no two here", false),
        ("busy", "overloaded", "overloaded: no busy here", false),
        ("bad", "failed", "failed: the command ended with exit code 9", true),
        ("long", "failed", "failed: the answer has more than 99 bytes", true),
        ("slow", "failed", "failed: no answer within 300 ms", true),
    ] {
        let call = caller.run(&["call", "lookup", "--payload", payload, "--peer", &server.peer_id()]);
        let outcome = last_line(&call);
        assert_eq!((call.status.code(), &outcome["asked"][0]["outcome"]), (Some(1), &json!(kind)), "{outcome}");
        assert!(outcome["error"].as_str().unwrap().contains(text), "{outcome}");
        assert_eq!(outcome["may_have_executed"], may_have_executed, "{outcome}");
        assert_eq!(serving.next()["outcome"], kind);
    }

    drop(serving);
    while caller.ask(&["call", "ping"])["ok"] != true
        || last_line(&caller.run(&["call", "lookup", "--explain"]))["candidates"] != json!([])
    {}
    let nobody = last_line(&caller.run(&["call", "lookup"]));
    assert_eq!(nobody["error"], "nobody serves `lookup`: none of 1 connected peers says so");
}

#[test]
fn a_command_is_killed_when_nobody_waits_any_more_and_few_run_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let (server, caller) = two(dir.path(), ["127.0.63.1", "127.0.64.1"]);
    let began = dir.path().join("began");
    // It and what it starts hold the file open for as long as they live.
    let script = format!("exec 9>>{}; echo begun >&9; sleep 1000 & sleep 1000", began.display());
    let mut serving = Serving::start(&dir.path().join("a"), "wait", &script, &["--parallel", "1"]);
    told(&caller, "wait");
    let mut call = bruit()
        .args(["call", "wait", "--json", "--peer", &server.peer_id(), "--data-dir"])
        .arg(dir.path().join("b"))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    while fs::read(&began).is_ok_and(|text| text.is_empty()) || !began.exists() {
        std::thread::yield_now();
    }
    call.kill().unwrap();
    call.wait().unwrap();
    assert_eq!(serving.next()["outcome"], "cancelled");
    while is_open(&began) {
        std::thread::yield_now();
    }
    // Its place is free again, and a caller without time is told nothing by anybody.
    let late = last_line(&caller.run(&["call", "wait", "--peer", &server.peer_id(), "--timeout-ms", "200"]));
    assert_eq!(late["asked"][0]["outcome"], "timed_out", "{late}");
    assert_eq!(serving.next()["outcome"], "cancelled");
    while is_open(&began) {
        std::thread::yield_now();
    }
}

/// Whether any process has the file open.
fn is_open(path: &Path) -> bool {
    let path = fs::canonicalize(path).unwrap();
    let processes = fs::read_dir("/proc").unwrap().filter_map(|entry| Some(entry.ok()?.path().join("fd")));
    let open = processes.filter_map(|dir| fs::read_dir(dir).ok()).flatten().filter_map(Result::ok);
    open.filter_map(|fd| fs::read_link(fd.path()).ok()).any(|target| target == path)
}

#[test]
fn what_is_sent_is_executed_without_an_answer_and_nobody_is_asked_in_vain() {
    let dir = tempfile::tempdir().unwrap();
    let (server, caller) = two(dir.path(), ["127.0.65.1", "127.0.66.1"]);
    let out = dir.path().join("out");
    let script = format!("cat > {}", out.display());
    let mut serving = Serving::start(&dir.path().join("a"), "note", &script, &["--count", "2"]);
    told(&caller, "note");
    let sent = caller.ask(&["send", "note", "--peer", &server.peer_id(), "--payload", "hello"]);
    assert_eq!((&sent["to"], &sent["failed"]), (&json!([server.peer_id()]), &json!([])));
    assert_eq!(serving.next()["outcome"], "answered");
    assert_eq!(fs::read(&out).unwrap(), b"hello");
    caller.ask(&["send", "note", "--all", "--payload", "all"]);
    assert_eq!(serving.next()["outcome"], "answered");
    assert!(serving.process.wait().unwrap().success(), "it ends after two requests");
    assert_eq!(fs::read(&out).unwrap(), b"all");

    let nope = caller.run(&["call", "nope"]);
    assert_eq!(nope.status.code(), Some(1));
    assert_eq!(last_line(&nope)["error"], "nobody serves `nope`: none of 1 connected peers says so");
    let nope = caller.run(&["call", "nope", "--explain"]);
    assert_eq!((nope.status.code(), &last_line(&nope)["candidates"]), (Some(1), &json!([])));
    let nope = caller.run(&["send", "nope", "--all"]);
    assert_eq!((nope.status.code(), &last_line(&nope)["to"]), (Some(1), &json!([])));
    let own = caller.run(&["send", "note", "--peer", &caller.peer_id()]);
    assert_eq!(last_line(&own)["failed"][0]["outcome"], "the peer is not connected");
    assert_eq!(caller.run(&["send", "note"]).status.code(), Some(2));
}

#[test]
fn every_node_serves_its_own_methods() {
    let dir = tempfile::tempdir().unwrap();
    let (server, caller) = two(dir.path(), ["127.0.67.1", "127.0.68.1"]);
    for method in ["ping", "echo", "object", "peers", "recent"] {
        assert_eq!(told(&caller, method)["candidates"][0]["peer"], json!(server.peer_id()), "{method}");
    }
    assert_eq!(caller.ask(&["call", "ping", "--payload", "x"])["text"], "x");
    assert_eq!(caller.ask(&["call", "peers"])["text"], r#"{"inbound":1,"outbound":0}"#);
    let object = last_line(&caller.run(&["call", "object", "--object", &"ab".repeat(32)]));
    assert_eq!(object["asked"][0]["outcome"], "cannot_satisfy", "{object}");
    let taken = bruit()
        .args(["serve", "ping", "--json", "--exec", "true", "--data-dir"])
        .arg(dir.path().join("a"))
        .output()
        .unwrap();
    assert_eq!(last_line(&taken)["error"], "this method is served already");
    let excluded = last_line(&caller.run(&["call", "ping", "--exclude", &server.peer_id()]));
    assert_eq!((&excluded["ok"], &excluded["tries"]), (&json!(false), &json!(0)), "{excluded}");
}

#[test]
fn an_answer_of_any_length_comes_in_parts_and_is_whole_or_none() {
    let dir = tempfile::tempdir().unwrap();
    let (server, caller) = two(dir.path(), ["127.0.69.1", "127.0.70.1"]);
    let script = "read what; yes 0123456789 | head -c 3000000; case $what in broken) exit 9;; still) sleep 100;; esac";
    let mut serving =
        Serving::start(&dir.path().join("a"), "big", script, &["--stream", "--timeout-ms", "1000", "--idempotent"]);
    told(&caller, "big");
    let data_dir = dir.path().join("b");
    let stream = |what: &str, more: &[&str]| {
        let mut command = bruit();
        command.args(["call", "big", "--stream", "--payload", what, "--data-dir"]).arg(&data_dir).args(more);
        command.output().unwrap()
    };
    let wanted: Vec<u8> = b"0123456789\n".iter().copied().cycle().take(3_000_000).collect();

    let whole = stream("all", &[]);
    assert_eq!(whole.status.code(), Some(0), "{}", String::from_utf8_lossy(&whole.stderr));
    assert!(whole.stdout == wanted, "{} bytes came", whole.stdout.len());
    assert!(String::from_utf8_lossy(&whole.stderr).contains(&format!("by {}, 3000000 bytes", server.peer_id())));
    let served = serving.next();
    assert_eq!((&served["outcome"], &served["bytes"]), (&json!("answered"), &json!(3_000_000)));

    let path = dir.path().join("answer");
    let out = ["--json", "--out", path.to_str().unwrap()];
    for (what, error) in [("broken", "exit code 9"), ("still", "nothing more within 1000 ms")] {
        let outcome = stream(what, &out);
        let told = last_line(&outcome);
        assert_eq!((outcome.status.code(), &told["ok"]), (Some(1), &json!(false)), "{told}");
        assert!(told["error"].as_str().unwrap().contains(error), "{told}");
        assert!(!path.exists(), "a part is no answer");
        assert_eq!(serving.next()["outcome"], "failed");
    }
    let outcome = last_line(&stream("all", &out));
    assert_eq!((&outcome["ok"], &outcome["bytes"]), (&json!(true), &json!(3_000_000)), "{outcome}");
    assert!(fs::read(&path).unwrap() == wanted);
    assert_eq!(stream("all", &["--json"]).status.code(), Some(2));
}
