use std::{collections::BTreeSet, io};

use prost::{Message, bytes::Bytes};
use tokio::sync::mpsc;

use crate::{hash, lanes::Lane, pb};

/// The lanes of gossip.
pub struct Gossip {
    network: String,
    control: Lane,
    items: Lane,
    controls: mpsc::Receiver<pb::GossipControl>,
    copies: mpsc::Receiver<pb::ItemFrame>,
    /// What the node wants.
    wanted: BTreeSet<String>,
}

/// A copy of an item, its id checked.
#[derive(Clone, Debug)]
pub struct Received {
    /// Its id.
    pub id: [u8; 32],
    /// Which hop the copy was on.
    pub round: u32,
    /// What it is.
    pub item: pb::Item,
}

/// The id of an item: BLAKE3 of domain, network and body, the first two behind their lengths.
pub fn item_id(network: &str, body: &[u8]) -> [u8; 32] {
    const DOMAIN: &[u8] = b"bruit item v1";
    let parts = [&[DOMAIN.len() as u8], DOMAIN, &[network.len() as u8], network.as_bytes(), body];
    hash(&parts.concat())
}

impl Gossip {
    pub(crate) fn new(
        network: &str,
        [control, items]: [Lane; 2],
        controls: mpsc::Receiver<pb::GossipControl>,
        copies: mpsc::Receiver<pb::ItemFrame>,
    ) -> Self {
        Self { network: network.to_owned(), control, items, controls, copies, wanted: BTreeSet::new() }
    }

    /// Tells the node that this client wants a topic.
    pub async fn subscribe(&mut self, topic: &str) -> io::Result<()> {
        self.control.send(&pb::GossipControl { subscribe: vec![topic.to_owned()], ..Default::default() }).await
    }

    /// Waits until the node has told that it wants a topic.
    pub async fn wanted(&mut self, topic: &str) -> io::Result<()> {
        while !self.wanted.contains(topic) {
            let control = self.controls.recv().await.ok_or(io::ErrorKind::UnexpectedEof)?;
            self.wanted.retain(|topic| !control.unsubscribe.contains(topic));
            self.wanted.extend(control.subscribe);
        }
        Ok(())
    }

    /// Publishes an item, that is, sends it to the node on round 1; returns its id.
    pub async fn publish(&mut self, item: &pb::Item) -> io::Result<[u8; 32]> {
        let body = Bytes::from(item.encode_to_vec());
        let id = item_id(&self.network, &body);
        self.items
            .send(&pb::ItemFrame { id: Bytes::copy_from_slice(&id), round: 1, body, ..Default::default() })
            .await?;
        Ok(id)
    }

    /// The next item that the node sends.
    pub async fn next(&mut self) -> io::Result<Received> {
        let pb::ItemFrame { id, round, body, .. } = loop {
            let frame = self.copies.recv().await.ok_or(io::ErrorKind::UnexpectedEof)?;
            // A frame without id only announces what this client does not ask for.
            if !frame.id.is_empty() {
                break frame;
            }
        };
        if *id != item_id(&self.network, &body) {
            return Err(io::Error::other("an item's id is not its body's"));
        }
        let item = pb::Item::decode(&*body).map_err(io::Error::other)?;
        Ok(Received { id: item_id(&self.network, &body), round, item })
    }
}
