//! What `--kill-share` adds: most nodes are killed at once, and the living find each other and a file.

use tokio::time::sleep;

use crate::{
    demo::{Demo, publish, source::Source},
    failure::Failure,
    network::{FILES_TOPIC, LOOK_EVERY, has_slot},
};

/// Five chunks, the last one short.
const FILE_BYTES: usize = 140_000;

/// Kills so many nodes at once, those with the lowest numbers and so all seed nodes, and lets one of the living publish.
pub(super) async fn kill_most(demo: &mut Demo) -> Result<String, Failure> {
    let nodes = demo.terms.nodes;
    let killed = demo.terms.killed;
    let living: Vec<usize> = (killed..nodes).collect();
    for node in 0..killed {
        demo.network.node_mut(node).kill().await;
    }
    wait_for_links(demo, &living).await?;
    let source = Source::generated("after.bin", FILE_BYTES);
    let publisher = demo.publisher.max(killed);
    let file = publish::publish(&mut demo.network, publisher, FILES_TOPIC, &source).await?;
    let others: Vec<usize> = living.iter().copied().filter(|node| *node != publisher).collect();
    let whole = publish::wait_until_whole(demo, &file, &others).await;
    let mut have = 0;
    for node in &others {
        let hash = publish::content_hash(&demo.network, *node, file.manifest).await;
        have += usize::from(hash == Some(source.sha256()));
    }
    demo.report.killed = killed;
    demo.report.coverage_living = have as f64 / others.len().max(1) as f64;
    whole?;
    Ok(format!("{have} of the {} others that live obtained a file after {killed} were killed", others.len()))
}

/// Waits until every living node has a living peer: what is dead is noticed, and others are dialled.
async fn wait_for_links(demo: &mut Demo, living: &[usize]) -> Result<(), Failure> {
    loop {
        let mut lonely = 0;
        for node in living {
            let answer = demo.network.node(*node).client().peers().await;
            let peers = answer.map_err(|error| demo.network.node_mut(*node).trouble("peers", &error))?.peers;
            let is_living = |node: usize| living.contains(&node);
            let linked =
                peers.iter().any(|peer| has_slot(peer) && demo.network.index_of(&peer.peer_id).is_some_and(is_living));
            lonely += usize::from(!linked);
        }
        if lonely == 0 {
            return Ok(());
        }
        demo.progress.set(0, 1, format!("{lonely} nodes to find one that lives"));
        sleep(LOOK_EVERY).await;
    }
}
