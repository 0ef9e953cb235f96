//! What `docs/protocol.md` works out is what this client makes, which has no code of the project.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

use bruit_foreign::{Message, hash, item_id, pb};

const DOCUMENT: &str = include_str!("../../../docs/protocol.md");

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn example(name: &str) -> Vec<u8> {
    let (_, example) = DOCUMENT.split_once("<!-- example: item -->").unwrap();
    let line = example.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    unhex(line.trim())
}

#[test]
fn the_worked_example_of_an_id_comes_out() {
    let item = pb::Item {
        topic: "news".into(),
        nonce: 7,
        expires_at_ms: 1_800_000_600_000,
        payload: "hello".into(),
        ..Default::default()
    };
    let body = item.encode_to_vec();
    assert_eq!(body, example("body"));
    let id = item_id("demo", &body);
    assert_eq!(hash(&example("input")), id);
    assert_eq!(example("id"), id);
    let frame = pb::ItemFrame { id: id.to_vec().into(), round: 1, body: body.into(), ..Default::default() };
    assert_eq!(frame.encode_length_delimited_to_vec(), example("frame"));
}
