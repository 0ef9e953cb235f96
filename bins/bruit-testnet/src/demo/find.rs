//! Step 2: the nodes find each other through the two seed addresses.

use std::collections::BTreeSet;

use bruit::{PeerInfo, Status};
use tokio::time::sleep;

use crate::{
    failure::Failure,
    network::{LOOK_EVERY, Network, has_slot},
    overlay::Overlay,
    progress::Progress,
    report::Terms,
};

/// What one node says of its connections.
#[derive(Clone, Debug, Default)]
struct View {
    outbound: usize,
    outbound_target: usize,
    inbound: usize,
    inbound_max: usize,
    /// The nodes it dialled.
    dialled: BTreeSet<usize>,
    /// All nodes it is connected to.
    peers: BTreeSet<usize>,
}

/// Waits until all nodes have the connections they want, and most of those are discoveries.
pub(crate) async fn find_each_other(network: &mut Network, progress: &Progress) -> Result<Overlay, Failure> {
    let (nodes, seeds) = (network.settings().nodes, network.settings().seeds());
    let must_discover = Terms::of(network.settings()).must_discover();
    progress.set(0, nodes, "the first connections");
    loop {
        let peers = network.peers().await?;
        let statuses = network.statuses().await?;
        let views: Vec<View> =
            statuses.iter().zip(&peers).map(|(status, peers)| view(network, status, peers)).collect();
        let unsettled = unsettled(&views);
        let (discoveries, dialled) = discoveries(&views, seeds);
        let overlay = network.overlay(&peers);
        let waiting_for = if let Some(node) = unsettled.first() {
            let View { outbound, outbound_target, .. } = views[*node];
            let others = unsettled.len() - 1;
            format!("node {} ({outbound} of {outbound_target} outbound connections) and {others} others", node + 1)
        } else if must_discover && discoveries * 2 < dialled {
            format!("more discoveries: {discoveries} of {dialled} connections lead to peers that nobody named")
        } else if !overlay.is_connected() {
            "the network to be in one piece".to_owned()
        } else {
            return Ok(overlay);
        };
        progress.set(nodes - unsettled.len(), nodes, waiting_for);
        sleep(LOOK_EVERY).await;
    }
}

fn view(network: &Network, status: &Status, peers: &[PeerInfo]) -> View {
    let index = |peer: &PeerInfo| network.index_of(&peer.peer_id);
    View {
        outbound: status.peers.outbound,
        outbound_target: status.peers.outbound_target,
        inbound: status.peers.inbound,
        inbound_max: status.peers.inbound_max,
        dialled: peers.iter().filter(|peer| peer.direction == "outbound").filter_map(index).collect(),
        peers: peers.iter().filter(|peer| has_slot(peer)).filter_map(index).collect(),
    }
}

/// The nodes that lack outbound connections although somebody they are not connected to would accept one.
fn unsettled(views: &[View]) -> Vec<usize> {
    let could_dial = |node: usize, view: &View| {
        let free = views.iter().enumerate().filter(|(_, other)| other.inbound < other.inbound_max);
        free.map(|(other, _)| other).any(|other| other != node && !view.peers.contains(&other))
    };
    let lacks = |(node, view): &(usize, &View)| view.outbound < view.outbound_target && could_dial(*node, view);
    views.iter().enumerate().filter(lacks).map(|(node, _)| node).collect()
}

/// How many connections lead to nodes that are no seed nodes, and how many there are.
fn discoveries(views: &[View], seeds: usize) -> (usize, usize) {
    let dialled = || views.iter().flat_map(|view| &view.dialled);
    (dialled().filter(|node| **node >= seeds).count(), dialled().count())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(outbound: usize, inbound: usize, peers: &[usize]) -> View {
        View {
            outbound,
            outbound_target: 2,
            inbound,
            inbound_max: 2,
            peers: peers.iter().copied().collect(),
            ..View::default()
        }
    }

    #[test]
    fn a_node_is_settled_with_its_outbound_connections() {
        let views = [view(2, 0, &[1, 2]), view(2, 1, &[0, 2]), view(1, 2, &[0, 1]), view(0, 0, &[])];
        assert_eq!(unsettled(&views), [2, 3]);
    }

    #[test]
    fn a_node_is_settled_when_nobody_is_left_to_dial() {
        // Node 0 is connected to all but node 2, which is full.
        let views = [view(1, 0, &[1]), view(2, 1, &[0, 2]), view(2, 2, &[1, 0])];
        assert_eq!(unsettled(&views), Vec::<usize>::new());
        let free = [view(1, 0, &[1]), view(2, 1, &[0, 2]), view(2, 1, &[1])];
        assert_eq!(unsettled(&free), [0]);
    }

    #[test]
    fn a_discovery_leads_to_no_seed_node() {
        let dialled = |nodes: &[usize]| View { dialled: nodes.iter().copied().collect(), ..View::default() };
        assert_eq!(discoveries(&[dialled(&[1]), dialled(&[0]), dialled(&[0, 1, 3]), dialled(&[2])], 2), (2, 6));
    }
}
