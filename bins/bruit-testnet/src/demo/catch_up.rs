//! Step 5: a node is killed, misses a file, comes back without any seed, and catches up.

use bruit::{PeerInfo, Status, StorageState};
use tokio::time::sleep;

use crate::{
    demo::{Demo, publish, source::Source},
    failure::Failure,
    network::{FILES_TOPIC, LOOK_EVERY},
};

/// Five chunks, the last one short.
const FILE_BYTES: usize = 140_000;
/// How many addresses a node's stored book must have before it is killed, if there are as many nodes.
const STORED_MIN: usize = 4;

/// Kills a node, publishes a file, starts the node again on a new port and without a seed, and waits for the file.
pub(super) async fn kill_and_return(demo: &mut Demo) -> Result<String, Failure> {
    let node = demo.returner;
    let stored = wait_for_stored_book(demo).await?;
    demo.network.node_mut(node).kill().await;

    let source = Source::generated("missed.bin", FILE_BYTES);
    let file = publish::publish(&mut demo.network, demo.publisher, FILES_TOPIC, &source).await?;
    let others: Vec<usize> = (0..demo.terms.nodes).filter(|other| *other != node && *other != demo.publisher).collect();
    publish::wait_until_whole(demo, &file, &others).await?;

    demo.progress.set(1, 3, format!("node {} to be ready again", node + 1));
    let old = demo.network.node(node).listen().to_owned();
    demo.network.respawn_without_seeds(node)?;
    demo.network.node_mut(node).ready().await?;
    let new = demo.network.node(node).listen().to_owned();
    if new == old {
        return Err(Failure::claim(format!("node {} listens on its old address {old} again", node + 1)));
    }
    rejoin(demo).await?;
    publish::wait_until_whole(demo, &file, &[node]).await?;
    demo.report.caught_up = publish::content_hash(&demo.network, node, file.manifest).await == Some(source.sha256());
    Ok(format!("node {} came back with {stored} stored addresses and obtained what it missed", node + 1))
}

/// Waits until the node says that its book is stored, and that enough is in it.
async fn wait_for_stored_book(demo: &mut Demo) -> Result<u64, Failure> {
    let wanted = STORED_MIN.min(demo.terms.nodes - 1) as u64;
    loop {
        let status = demo.network.status(demo.returner).await?;
        let stored = status.book.stored;
        if status.storage.state == StorageState::Ok && stored >= wanted {
            return Ok(stored);
        }
        let text = format!("node {} to store its book ({stored} of {wanted} addresses)", demo.returner + 1);
        demo.progress.set(0, 3, text);
        sleep(LOOK_EVERY).await;
    }
}

/// Waits until the node is connected again by a dial of its own.
///
/// It listens on a port that was free a moment ago and knows no seed: nobody can have its address before it dialled
/// somebody, so that the first connection is its own and leads to an address of its stored book.
async fn rejoin(demo: &mut Demo) -> Result<(), Failure> {
    let node = demo.returner;
    loop {
        let status = demo.network.status(node).await?;
        let answer = demo.network.node(node).client().peers().await;
        let peers = answer.map_err(|error| demo.network.node_mut(node).trouble("peers", &error))?.peers;
        demo.report.rejoined = status.peers.total() > 0;
        demo.report.rejoined_outbound = dialled_from_book(&status, &peers);
        if demo.report.rejoined && demo.report.rejoined_outbound {
            return Ok(());
        }
        let restored = status.book.restored;
        demo.progress.set(2, 3, format!("node {} to reach one of {restored} stored addresses", node + 1));
        sleep(LOOK_EVERY).await;
    }
}

fn dialled_from_book(status: &Status, peers: &[PeerInfo]) -> bool {
    status.dials.from_restored > 0 && peers.iter().any(|peer| peer.direction == "outbound" && peer.origin == "restored")
}
