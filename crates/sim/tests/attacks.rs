//! What is counted of attacks.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

use bruit_sim::{Options, Scenario};

/// Eight of forty nodes send everything again, also when it has expired.
const REPLAYED: &str = r#"
kind = "gossip"
nodes = 40

[overlay.random]
dials = 8

[gossip.attack]
kind = "replay"
share = 0.2
interval_ms = 500
count = 3

[gossip.topic]
policy = "fanout"
expiry_ms = 10_000

[load]
messages = 3
interval_ms = 500
tail_ms = 30_000
"#;

/// Some forget what they had, and their clocks go back to before it expired.
const LED_BACK: &str = r#"
[[fault]]
kind = "crash"
at_ms = 12_000
nodes = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
[[fault]]
kind = "restart"
at_ms = 12_100
[[fault]]
kind = "skew"
at_ms = 12_100
nodes = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
delay_ms = -6_000
"#;

#[test]
fn what_is_passed_on_after_it_expired_is_counted_as_hostile() {
    let figures = |text: &str| {
        let run = Scenario::parse("replayed", text, Options::default()).unwrap().run(0).unwrap();
        let printed = run.figures.printed();
        ["hostile_reached", "hostile_copies_per_node", "taken_again"].map(|name| printed[name])
    };
    assert_eq!(figures(REPLAYED), [0.0; 3]);
    let led_back = figures(&(REPLAYED.to_owned() + LED_BACK));
    assert!(led_back.iter().all(|figure| *figure > 0.0), "{led_back:?}");
}
