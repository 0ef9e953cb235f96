//! Anchors: the peers that a node dials first after a restart, so that whoever fills its book meanwhile does not have it alone.
//!
//! Which peers they are is peering's choice; here they are kept.

use bruit_core::{Endpoint, PeerId};
use serde::{Deserialize, Serialize};

use crate::storage::{Batch, Loaded, RowTable};

/// The only row of its table.
const KEY: &[u8] = b"anchors";
/// How many are read at most: what peering names.
const READ_MAX: usize = 32;

/// One of them, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Anchor {
    endpoint: Endpoint,
    peer: PeerId,
}

/// What is stored of them.
#[derive(Debug, Default)]
pub(crate) struct Anchors {
    stored: Vec<(Endpoint, PeerId)>,
}

impl Anchors {
    /// Those of the last run.
    pub(crate) fn read(loaded: &Loaded) -> Self {
        let row = loaded.rows.iter().find(|(table, key, _)| *table == RowTable::Anchors && key == KEY);
        let anchors = row.and_then(|(_, _, value)| serde_json::from_slice::<Vec<Anchor>>(value).ok());
        let anchors = anchors.into_iter().flatten().take(READ_MAX);
        Self { stored: anchors.map(|anchor| (anchor.endpoint, anchor.peer)).collect() }
    }

    /// Whom to dial first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &(Endpoint, PeerId)> {
        self.stored.iter()
    }

    /// What is to be written now that peering names these. A node without peers keeps those that it had.
    pub(crate) fn changed(&mut self, anchors: Vec<(Endpoint, PeerId)>) -> Batch {
        if anchors.is_empty() || anchors == self.stored {
            return Batch::new();
        }
        self.stored = anchors;
        self.all()
    }

    /// What is to be written where nothing is stored any more.
    pub(crate) fn all(&self) -> Batch {
        if self.stored.is_empty() {
            return Batch::new();
        }
        let rows = self.stored.iter().map(|(endpoint, peer)| Anchor { endpoint: endpoint.clone(), peer: *peer });
        let rows: Vec<_> = rows.collect();
        let value = serde_json::to_vec(&rows).expect("endpoints and peers are expressible in JSON");
        Batch::from([((RowTable::Anchors, KEY.to_vec()), Some(value))])
    }
}

#[cfg(test)]
mod tests {
    use std::{path::PathBuf, time::Duration};

    use bruit_stack::address_book::FORMAT_VERSION;

    use super::*;
    use crate::{Config, Handle, Node, WaitFor, storage::Storage};

    fn anchors(numbers: &[u8]) -> Vec<(Endpoint, PeerId)> {
        numbers.iter().map(|number| (Endpoint::tcp([1, 2, 3, *number].into(), 4_171), PeerId::random())).collect()
    }

    fn loaded(batch: Batch) -> Loaded {
        Loaded { rows: batch.into_iter().map(|((table, key), value)| (table, key, value.unwrap())).collect() }
    }

    #[test]
    fn they_are_written_when_others_are_named_and_kept_when_none_is() {
        let (mut kept, named) = (Anchors::default(), anchors(&[1, 2]));
        let batch = kept.changed(named.clone());
        assert_eq!(Anchors::read(&loaded(batch)).stored, named);
        assert_eq!(kept.changed(named.clone()), Batch::new());
        assert_eq!(kept.changed(Vec::new()), Batch::new());
        assert_eq!(kept.iter().count(), 2);
        assert_eq!(kept.changed(anchors(&[3])).len(), 1);
    }

    #[test]
    fn fault_a_row_that_holds_none_or_too_many_is_no_obstacle() {
        for value in [&b"[{]"[..], b"{}", b"[{\"endpoint\":1}]"] {
            let rows = vec![(RowTable::Anchors, KEY.to_vec(), value.to_vec())];
            assert_eq!(Anchors::read(&Loaded { rows }).stored, []);
        }
        for (count, read) in [(READ_MAX - 1, READ_MAX - 1), (READ_MAX, READ_MAX), (READ_MAX + 1, READ_MAX)] {
            let numbers: Vec<u8> = (0..count).map(|number| number.try_into().unwrap()).collect();
            let batch = Anchors::default().changed(anchors(&numbers));
            assert_eq!(Anchors::read(&loaded(batch)).stored.len(), read);
        }
    }

    async fn start(number: u8, data_dir: Option<PathBuf>, seeds: &[&Handle]) -> Handle {
        // It stays with every seed that it asks, so that it has more than one outbound peer for sure.
        let peering = bruit_peering::Config { seeds_asked_min: 1, ..bruit_peering::Config::default() };
        let config = Config {
            peering,
            listen: vec![format!("/ip4/127.0.{number}.1/tcp/0").parse().unwrap()],
            seed_addrs: seeds.iter().flat_map(|node| node.listen().to_vec()).collect(),
            allow_private_addrs: true,
            data_dir,
            ..Config::default()
        };
        Node::start(config).await.unwrap()
    }

    async fn has_peers(node: &Handle, count: usize) {
        let wish = WaitFor { peers: Some(count), ..WaitFor::default() };
        let waited = node.wait(&wish, Duration::from_secs(30)).await.unwrap();
        assert!(waited.held, "{:?}", waited.missing);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_node_that_lost_its_book_comes_back_to_whom_it_was_connected() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("home");
        let (first, second) = (start(81, None, &[]).await, start(82, None, &[]).await);
        let node = start(83, Some(home.clone()), &[&first, &second]).await;
        has_peers(&node, 2).await;
        node.shutdown().await;

        let path = home.join("book.redb");
        let (storage, loaded) = Storage::open(&path, FORMAT_VERSION).unwrap();
        let anchors = Anchors::read(&loaded);
        assert_eq!(anchors.iter().count(), 2, "they are kept although all peers were told goodbye");
        storage.save(loaded.rows.into_iter().map(|(table, key, _)| ((table, key), None)).collect());
        storage.save(Anchors::default().changed(anchors.stored));
        assert_eq!(storage.close().stored, 0);

        let node = start(83, Some(home), &[]).await;
        has_peers(&node, 2).await;
        for node in [node, first, second] {
            node.shutdown().await;
        }
    }
}
