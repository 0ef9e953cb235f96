//! Step 3: a file travels as gossip, and what gossip missed is fetched by calls.

use bruit::{FileView, ManifestId, Status};
use tokio::time::{Duration, Instant, sleep};

use crate::{
    demo::{
        Demo,
        source::{Source, sha256},
    },
    failure::Failure,
    network::{FILES_TOPIC, LOOK_EVERY, Network},
    report::{FileSample, GossipSample, coverage, spread},
};

/// Without repair: how long nothing may change before nothing more is expected.
const QUIET: Duration = Duration::from_secs(3);
/// How long late copies are waited for at most, once all nodes have the file.
const SETTLE_LIMIT: Duration = Duration::from_secs(3);

/// Publishes the first file, waits until all nodes have it, and takes down how it spread.
pub(super) async fn publish_and_repair(demo: &mut Demo) -> Result<String, Failure> {
    let source = demo.source.clone();
    let before = samples(&demo.network.statuses().await?);
    let file = publish(&mut demo.network, demo.publisher, FILES_TOPIC, &source).await?;
    let others: Vec<usize> = (0..demo.network.nodes().len()).filter(|node| *node != demo.publisher).collect();
    let expected = source.sha256();
    let mut last = (0, Instant::now());
    loop {
        let held = held(&mut demo.network, file.manifest, &others).await?;
        let counted = coverage(u64::from(file.chunks), &held);
        demo.report.coverage_gossip = counted.by_gossip;
        demo.report.coverage = counted.held;
        let whole = held.iter().flatten().filter(|sample| sample.is_whole).count();
        let missing = (1.0 - counted.held) * 100.0;
        demo.progress.set(whole, others.len(), format!("{missing:.1} % of the chunks to arrive"));
        let chunks: u64 = held.iter().flatten().map(|sample| sample.held).sum();
        if chunks != last.0 {
            last = (chunks, Instant::now());
        }
        if whole == others.len() || !demo.network.settings().repair && last.1.elapsed() > QUIET {
            break;
        }
        sleep(LOOK_EVERY).await;
    }
    demo.progress.set(others.len(), others.len(), "late copies and hashes");
    for node in others {
        demo.report.sha256_ok +=
            usize::from(content_hash(&demo.network, node, file.manifest).await == Some(expected.clone()));
    }
    let after = settled(&mut demo.network).await?;
    let spread = spread(&before, &after);
    demo.report.hops_max = spread.hops_max;
    demo.report.hops_histogram = spread.hops_histogram;
    demo.report.round_limited = spread.round_limited;
    demo.report.duplicates_per_delivery = spread.duplicates_per_delivery;
    demo.report.bytes_per_delivery = spread.bytes_per_delivery;
    let (gossip, name) = (demo.report.coverage_gossip * 100.0, &source.name);
    Ok(format!("{name}, {} bytes in {} chunks; {gossip:.1} % came by gossip", file.size, file.chunks))
}

/// Publishes a file at a node.
pub(super) async fn publish(
    network: &mut Network,
    node: usize,
    topic: &str,
    source: &Source,
) -> Result<FileView, Failure> {
    let answer = network.node(node).client().publish_file(topic, &source.name, source.bytes.clone()).await;
    answer.map_err(|error| network.node_mut(node).trouble("publish", &error))
}

/// What some nodes hold of a file.
pub(super) async fn held(
    network: &mut Network,
    manifest: ManifestId,
    nodes: &[usize],
) -> Result<Vec<Option<FileSample>>, Failure> {
    let mut samples = Vec::new();
    for node in nodes {
        let answer = network.node(*node).client().files().await;
        let files = answer.map_err(|error| network.node_mut(*node).trouble("files", &error))?.files;
        samples.push(files.into_iter().find(|file| file.manifest == manifest).map(|file| FileSample {
            held: u64::from(file.held),
            by_gossip: u64::from(file.by_gossip),
            is_whole: file.complete,
        }));
    }
    Ok(samples)
}

/// Waits until some nodes have a file as a whole.
pub(super) async fn wait_until_whole(demo: &mut Demo, file: &FileView, nodes: &[usize]) -> Result<(), Failure> {
    loop {
        let held = held(&mut demo.network, file.manifest, nodes).await?;
        let whole = held.iter().flatten().filter(|sample| sample.is_whole).count();
        if whole == nodes.len() {
            return Ok(());
        }
        demo.progress.set(whole, nodes.len(), format!("{} to be whole at {} nodes", file.name, nodes.len() - whole));
        sleep(LOOK_EVERY).await;
    }
}

/// The SHA-256 of what a node hands out as a file, if it has the whole.
pub(super) async fn content_hash(network: &Network, node: usize, manifest: ManifestId) -> Option<String> {
    network.node(node).client().file(manifest).await.ok().map(|bytes| sha256(&bytes))
}

/// What nodes counted, once no more copies come.
async fn settled(network: &mut Network) -> Result<Vec<GossipSample>, Failure> {
    let deadline = Instant::now() + SETTLE_LIMIT;
    let mut last = samples(&network.statuses().await?);
    loop {
        sleep(LOOK_EVERY * 3).await;
        let now = samples(&network.statuses().await?);
        let copies = |samples: &[GossipSample]| samples.iter().map(|of| of.delivered + of.duplicates).sum::<u64>();
        if copies(&now) == copies(&last) || Instant::now() > deadline {
            return Ok(now);
        }
        last = now;
    }
}

fn samples(statuses: &[Status]) -> Vec<GossipSample> {
    let sample = |status: &Status| GossipSample {
        delivered: status.gossip.delivered,
        hops: status.gossip.hops.clone(),
        duplicates: status.gossip.duplicates,
        round_limited: status.gossip.round_limited,
        bytes_in: status.traffic.bytes_in,
    };
    statuses.iter().map(sample).collect()
}
