//! The address book as lines of JSON, for another book or another program: an entry, a peer or a ban on each.

use std::fmt::Write as _;

use bruit_stack::address_book::{Ban, EntryRecord, FORMAT_VERSION, PeerRecord, Records};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum BookLine {
    Entry(EntryRecord),
    Peer(PeerRecord),
    Ban(Ban),
}

/// Writes records as lines.
pub(crate) fn to_lines(records: Records) -> String {
    let entries = records.entries.into_iter().map(BookLine::Entry);
    let peers = records.peers.into_iter().map(BookLine::Peer);
    let lines = entries.chain(peers).chain(records.bans.into_iter().map(BookLine::Ban));
    let mut text = String::new();
    for line in lines {
        let line = serde_json::to_string(&line).expect("records of the book are expressible in JSON");
        let _ = writeln!(text, "{line}");
    }
    text
}

/// Reads lines; says how many are none.
pub(crate) fn from_lines(text: &str) -> (Records, usize) {
    let mut records = Records { version: FORMAT_VERSION, entries: Vec::new(), peers: Vec::new(), bans: Vec::new() };
    let mut unreadable = 0;
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        match serde_json::from_str(line) {
            Ok(BookLine::Entry(entry)) => records.entries.push(entry),
            Ok(BookLine::Peer(peer)) => records.peers.push(peer),
            Ok(BookLine::Ban(ban)) => records.bans.push(ban),
            Err(_) => unreadable += 1,
        }
    }
    (records, unreadable)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bruit_core::{Endpoint, PeerId, Seed, Timestamp};
    use bruit_stack::address_book::{AddressBook, BanSubject, Config};

    use super::*;

    #[test]
    fn a_book_survives_as_lines_and_what_is_no_line_is_counted() {
        let now = Timestamp::from_secs(1_800_000_000);
        let mut book = AddressBook::new(Config::default().validate().unwrap(), Seed::from_number(1));
        let endpoint = Endpoint::tcp([9, 8, 7, 6].into(), 4_001);
        let _ = book.dial_succeeded(&endpoint, PeerId::random(), now);
        let net = BanSubject::Net("9.9.0.0/16".parse().unwrap());
        book.ban(Ban::by_operator(net, Duration::from_secs(60), now), now).unwrap();
        let records = book.records(now);
        let text = to_lines(records.clone());
        assert_eq!(text.lines().count(), 3);
        assert_eq!(from_lines(&text), (records, 0));
        let (none, unreadable) = from_lines("{}\n\nnothing\n{\"entry\":{}}\n");
        assert_eq!((none.entries.len(), unreadable), (0, 3));
    }
}
