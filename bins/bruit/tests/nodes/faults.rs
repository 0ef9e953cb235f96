use std::{fs, net::TcpListener, os::unix::fs::PermissionsExt as _, path::Path, process::Output};

use rustix::process::{Signal, geteuid};
use serde_json::json;

use crate::process::{Node, last_line, run, stderr};

/// Tries to run a node that must not come up, and gives exit code, code in the JSON, and text.
fn refused(dir: &Path, more: &[&str]) -> (Option<i32>, String, String) {
    let dir = dir.to_str().unwrap();
    let base = ["run", "--json", "--network", "test", "--listen", "/ip4/127.0.41.1/tcp/0", "--data-dir", dir];
    told(&run(base.iter().chain(more)))
}

fn told(output: &Output) -> (Option<i32>, String, String) {
    let line = last_line(output);
    let text = line["error"].as_str().unwrap().to_owned();
    assert!(stderr(output).contains(&text), "people are told too");
    assert!(!stderr(output).contains("panicked"), "{}", stderr(output));
    (output.status.code(), line["code"].as_str().unwrap().to_owned(), text)
}

#[test]
fn fault_unknown_config_key() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("bruit.toml"), "network = \"test\"\nseed_adrs = []\n").unwrap();
    let (code, kind, text) = refused(dir.path(), &[]);
    assert_eq!((code, kind.as_str()), (Some(2), "configuration"));
    assert!(text.ends_with("bruit.toml, line 2: unknown key `seed_adrs`, did you mean `seed_addrs`?"), "{text}");
    assert!(!dir.path().join("lock").exists(), "nothing was begun");

    let (code, _, text) = refused(&dir.path().join("n"), &["--set", "outbond=1"]);
    assert_eq!((code, text.as_str()), (Some(2), "flag --set outbond: unknown key `outbond`, did you mean `outbound`?"));
    let (code, _, text) = refused(&dir.path().join("n"), &["--profile", "casbor"]);
    assert_eq!(code, Some(2));
    assert!(text.contains("did you mean `casper`?"), "{text}");
    let (code, _, text) = refused(&dir.path().join("n"), &["--seed-addr", "/ip4/10.0.0.1/tcp/1"]);
    assert_eq!(code, Some(2));
    assert!(text.contains("--allow-private-addrs"), "{text}");
}

#[test]
fn fault_busy_port() {
    let dir = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.42.1:0").unwrap();
    let addr = format!("/ip4/127.0.42.1/tcp/{}", taken.local_addr().unwrap().port());
    let output = run(["run", "--json", "--data-dir", dir.path().to_str().unwrap(), "--listen", &addr]);
    let (code, kind, text) = told(&output);
    assert_eq!((code, kind.as_str()), (Some(3), "port"));
    assert!(text.starts_with(&format!("cannot listen on {addr}: Address already in use")), "{text}");

    let metrics = taken.local_addr().unwrap().to_string();
    let (code, kind, _) = refused(&dir.path().join("m"), &["--metrics", &metrics]);
    assert_eq!((code, kind.as_str()), (Some(3), "port"));
}

#[test]
fn fault_the_port_of_another_node_is_not_shared() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let node = Node::start(first.path(), "127.0.45.1", &[]);
    let addr = node.ask(&["status"])["listen"][0].as_str().unwrap().to_owned();
    let output = run(["run", "--json", "--data-dir", second.path().to_str().unwrap(), "--listen", &addr]);
    let (code, kind, text) = told(&output);
    assert_eq!((code, kind.as_str()), (Some(3), "port"));
    assert!(text.contains("Address already in use"), "{text}");
}

#[test]
fn fault_unreadable_data_dir() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    let (code, kind, text) = refused(&dir.path().join("file"), &[]);
    assert_eq!((code, kind.as_str()), (Some(4), "data_directory"));
    assert!(text.contains("cannot use the data directory"), "{text}");

    let no_key = dir.path().join("no-key");
    fs::create_dir(&no_key).unwrap();
    fs::write(no_key.join("identity.key"), "no key").unwrap();
    let (code, _, text) = refused(&no_key, &[]);
    assert_eq!(code, Some(4));
    assert!(text.ends_with("holds no Ed25519 identity key"), "{text}");
    assert_eq!(fs::read(no_key.join("identity.key")).unwrap(), b"no key");

    let deep = dir.path().join("d".repeat(100));
    let (code, _, text) = refused(&deep, &[]);
    assert_eq!(code, Some(4));
    assert!(text.contains("at most 107 bytes"), "{text}");

    // Nothing is unreadable for root.
    if !geteuid().is_root() {
        let closed = dir.path().join("closed");
        fs::create_dir(&closed).unwrap();
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o500)).unwrap();
        assert_eq!(refused(&closed, &[]).0, Some(4));
    }
}

#[test]
fn fault_second_node_on_data_dir() {
    let dir = tempfile::tempdir().unwrap();
    let first = Node::start(dir.path(), "127.0.43.1", &[]);
    let pid = first.ask(&["status"])["pid"].to_string();
    let (code, kind, text) = refused(dir.path(), &[]);
    assert_eq!((code, kind.as_str()), (Some(4), "data_directory"));
    assert!(text.contains(&format!("in use by process {pid} (network `test`)")), "{text}");
    assert_eq!(first.ask(&["status"])["pid"].to_string(), pid, "the first one is unharmed");
    first.signal(Signal::KILL);
    drop(first);
    Node::start(dir.path(), "127.0.43.1", &[]);
}

#[test]
fn fault_other_networks_data_dir() {
    let dir = tempfile::tempdir().unwrap();
    drop(Node::start(dir.path(), "127.0.44.1", &[]));
    let key = fs::read(dir.path().join("identity.key")).unwrap();
    let output = run(["run", "--json", "--network", "other", "--data-dir", dir.path().to_str().unwrap()]);
    let (code, kind, text) = told(&output);
    assert_eq!((code, kind.as_str()), (Some(4), "data_directory"));
    assert!(text.ends_with("belongs to the network `test`, not to `other`"), "{text}");
    assert_eq!(fs::read(dir.path().join("identity.key")).unwrap(), key);
}

#[test]
fn fault_damaged_book() {
    let dir = tempfile::tempdir().unwrap();
    drop(Node::start(dir.path(), "127.0.45.1", &[]));
    fs::write(dir.path().join("book.redb"), vec![0x5a; 20_000]).unwrap();
    let node = Node::start(dir.path(), "127.0.45.1", &["--metrics", "127.0.45.1:0"]);
    let storage = node.ask(&["status"])["storage"].clone();
    let aside = dir.path().join("book.redb.set-aside-1");
    assert_eq!((&storage["state"], &storage["set_aside"]), (&json!("ok"), &json!([aside])));
    assert_eq!(fs::read(&aside).unwrap(), vec![0x5a; 20_000]);
    node.signal(Signal::TERM);
    let (code, _, stderr) = node.ended();
    assert_eq!(code, Some(0));
    assert!(stderr.contains("set aside") && !stderr.contains("unexpectedly"), "{stderr}");
}

#[test]
fn fault_full_disk() {
    let dir = tempfile::tempdir().unwrap();
    drop(Node::start(dir.path(), "127.0.46.1", &[]));
    fs::remove_file(dir.path().join("book.redb")).unwrap();
    // Files may grow to 16 KiB: enough for everything but the book.
    let full = Node::start_limited("trap '' XFSZ; ulimit -f 32", dir.path(), "127.0.46.1");
    let storage = full.ask(&["status"])["storage"].clone();
    assert_eq!(storage["state"], "failed", "{storage}");
    let other = Node::start(&dir.path().join("b"), "127.0.47.1", &["--seed-addr", &full.addr()]);
    other.ask(&["wait", "--peers", "1"]);
    let call = other.ask(&["call", "echo", "--payload", "alive"]);
    assert_eq!(call["text"], "alive");
    full.signal(Signal::TERM);
    let (code, _, stderr) = full.ended();
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stderr.contains("storage fails") && !stderr.contains("unexpectedly"), "{stderr}");
    let healed = Node::start(dir.path(), "127.0.46.1", &[]);
    assert_eq!(healed.ask(&["status"])["storage"]["state"], "ok");
}

#[test]
fn fault_no_node_answers() {
    let dir = tempfile::tempdir().unwrap();
    let output = run(["status", "--json", "--data-dir", dir.path().to_str().unwrap()]);
    let (code, kind, text) = told(&output);
    assert_eq!((code, kind.as_str()), (Some(1), "unreachable"));
    assert!(text.starts_with("no node answers at"), "{text}");
    let (code, kind, _) = told(&run(["status", "--json", "--no-such-flag"]));
    assert_eq!((code, kind.as_str()), (Some(2), "configuration"));
    assert!(run(["--help"]).status.success());
}

#[test]
fn fault_a_launcher_that_is_gone_leaves_no_node() {
    let dir = tempfile::tempdir().unwrap();
    let (code, _, text) = refused(dir.path(), &["--exit-with-parent=1"]);
    assert_eq!(code, Some(1));
    assert!(text.contains("is gone"), "{text}");
}
