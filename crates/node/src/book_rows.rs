//! The address book as rows of storage, and back.

use bruit_stack::address_book::{Changes, FORMAT_VERSION, Records};
use serde::{Serialize, de::DeserializeOwned};

use crate::storage::{Batch, Loaded, RowTable};

/// What is to be written and removed.
pub(crate) fn to_rows(changes: &Changes) -> Batch {
    let mut batch = Batch::new();
    for endpoint in &changes.entries_removed {
        put(&mut batch, RowTable::Entries, endpoint, None::<&()>);
    }
    for peer in &changes.peers_removed {
        put(&mut batch, RowTable::Peers, peer, None::<&()>);
    }
    for subject in &changes.bans_removed {
        put(&mut batch, RowTable::Bans, subject, None::<&()>);
    }
    for entry in &changes.entries {
        put(&mut batch, RowTable::Entries, &entry.endpoint, Some(entry));
    }
    for peer in &changes.peers {
        put(&mut batch, RowTable::Peers, &peer.peer, Some(peer));
    }
    for ban in &changes.bans {
        put(&mut batch, RowTable::Bans, &ban.subject, Some(ban));
    }
    batch
}

/// What was stored; rows that cannot be read are left out and counted.
pub(crate) fn from_rows(loaded: Loaded) -> (Records, usize) {
    let mut records = Records { version: FORMAT_VERSION, entries: Vec::new(), peers: Vec::new(), bans: Vec::new() };
    let mut unreadable = 0;
    for (table, _, value) in loaded.rows {
        let is_read = match table {
            RowTable::Entries => take(&value, &mut records.entries),
            RowTable::Peers => take(&value, &mut records.peers),
            RowTable::Bans => take(&value, &mut records.bans),
            RowTable::Anchors => true,
        };
        unreadable += usize::from(!is_read);
    }
    (records, unreadable)
}

fn put(batch: &mut Batch, table: RowTable, key: &impl Serialize, value: Option<&impl Serialize>) {
    let key = serde_json::to_vec(key).expect("keys of the book are expressible in JSON");
    let value = value.map(|value| serde_json::to_vec(value).expect("records of the book are expressible in JSON"));
    batch.insert((table, key), value);
}

fn take<T: DeserializeOwned>(value: &[u8], records: &mut Vec<T>) -> bool {
    serde_json::from_slice(value).map(|record| records.push(record)).is_ok()
}

#[cfg(test)]
mod tests {
    use bruit_core::{Endpoint, PeerId, Seed, Timestamp};
    use bruit_stack::address_book::{AddressBook, Ban, BanSubject, Config, Hearsay, PeerRecord, Source};

    use super::*;
    use crate::storage::Storage;

    #[test]
    fn a_book_survives_storage() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("book.redb");
        let now = Timestamp::from_secs(1_800_000_000);
        let mut book = AddressBook::new(Config::default().validate().unwrap(), Seed::from_number(1));
        let endpoints: Vec<Endpoint> = (11..60_u8).map(|n| Endpoint::tcp([n, n, 3, 4].into(), 4_001)).collect();
        for endpoint in &endpoints {
            let hearsay = Hearsay { peer: None, endpoint: endpoint.clone(), last_seen: None, source: Source::Seed };
            let _ = book.heard(hearsay, now);
        }
        book.dial_started(&endpoints[0], now);
        let _ = book.dial_succeeded(&endpoints[0], PeerId::random(), now);
        let subject = BanSubject::Ip([9, 9, 9, 9].into());
        let ban = Ban::by_operator(subject, std::time::Duration::from_secs(100_000_000), now);
        let _ = book.ban(ban, now).unwrap();

        let changes = book.changes();
        let (storage, _) = Storage::open(&path, FORMAT_VERSION).unwrap();
        storage.save(to_rows(&changes));
        assert_eq!(storage.close().stored, 49);

        let (storage, loaded) = Storage::open(&path, FORMAT_VERSION).unwrap();
        let (mut records, unreadable) = from_rows(loaded);
        let mut stored = changes.clone().into_records();
        records.entries.sort_by(|a, b| a.endpoint.cmp(&b.endpoint));
        stored.entries.sort_by(|a, b| a.endpoint.cmp(&b.endpoint));
        records.peers.sort_by_key(|record: &PeerRecord| record.peer);
        stored.peers.sort_by_key(|record| record.peer);
        assert_eq!((records, unreadable), (stored, 0));

        let removed = Changes { entries: Vec::new(), entries_removed: endpoints, ..changes };
        storage.save(to_rows(&removed));
        assert_eq!(storage.close().stored, 0);
    }

    #[test]
    fn fault_rows_that_are_no_records_are_left_out() {
        let rows =
            vec![(RowTable::Entries, b"key".to_vec(), b"{\"no\":1}".to_vec()), (RowTable::Bans, vec![], vec![0xff])];
        let (records, unreadable) = from_rows(Loaded { rows });
        assert_eq!((records.entries.len(), records.bans.len(), unreadable), (0, 0, 2));
    }
}
