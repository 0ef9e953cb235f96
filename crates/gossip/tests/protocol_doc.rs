//! The worked example of an item's id in `docs/protocol.md` is what the code makes; `BRUIT_BLESS=1` writes it anew.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

use std::{env, fs, path::Path};

use bruit_core::{NetworkId, Timestamp};
use bruit_gossip::{Item, Moment, Sealer, Topic};
use bytes::Bytes;

const START: &str = "<!-- example: item -->\n```\n";
const END: &str = "```\n";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_worked_example_is_the_codes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/protocol.md");
    let document = fs::read_to_string(&path).unwrap();
    let (before, rest) = document.split_once(START).expect("the example's mark");
    let (example, after) = rest.split_once(END).expect("the example's end");

    let item = Item {
        topic: Topic::new("news").unwrap(),
        author: None,
        nonce: 7,
        expires_at: Timestamp::from_secs(1_800_000_600),
        payload: Bytes::from_static(b"hello"),
    };
    let now = Timestamp::from_secs(1_800_000_000);
    let message = Sealer::new(&NetworkId::new("demo").unwrap()).seal(item, Moment { now, wall: now });
    let body = hex(message.body());
    let wanted = format!(
        "body   {body}\ninput  {}\nid     {}\nframe  {}\n",
        hex(&[&b"\x0dbruit item v1\x04demo"[..], message.body()].concat()),
        message.id(),
        hex(&[message.head(), message.body().clone()].concat()),
    );
    if env::var_os("BRUIT_BLESS").is_some() {
        fs::write(&path, format!("{before}{START}{wanted}{END}{after}")).unwrap();
        return;
    }
    assert_eq!(example, wanted, "BRUIT_BLESS=1 cargo test -p bruit-gossip --test protocol_doc writes it anew");
}
