//! Step 1: all processes run, and all know the same seed addresses and nothing else.

use crate::{failure::Failure, network::Network, progress::Progress};

/// Starts all nodes, seed nodes first.
pub(crate) async fn start(network: &mut Network, progress: &Progress) -> Result<String, Failure> {
    let (nodes, seeds) = (network.settings().nodes, network.settings().seeds());
    progress.set(0, nodes, "the seed nodes to be ready");
    network.start_seeds().await?;
    for node in seeds..nodes {
        network.spawn(node)?;
    }
    for node in seeds..nodes {
        progress.set(node, nodes, format!("node {} to be ready", node + 1));
        network.node_mut(node).ready().await?;
    }
    progress.set(nodes, nodes, "");
    Ok(format!("{nodes} processes, {seeds} of them seed nodes"))
}
