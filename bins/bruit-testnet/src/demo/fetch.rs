//! Step 4: half of the nodes hold a file, the others fetch it by calls, and one holder is frozen meanwhile.

use std::collections::BTreeSet;

use bruit::{FetchReport, FetchWish, FileView, PeerId, admin::message::FetchRequest};
use bruit_core::Seed;
use tokio::{
    task::JoinSet,
    time::{Duration, Instant, sleep},
};

use crate::{
    demo::{Demo, publish, source::Source},
    failure::Failure,
    network::{HALF_TOPIC, LOOK_EVERY},
    overlay::{Overlay, Wanted, choose_frozen, choose_holders},
    report::RpcSample,
};

/// 16 chunks.
const FILE_BYTES: usize = 512 * 1024;
/// How many chunks each of the others fetches; all, if there are bad nodes, so that the file can be compared.
const CHUNKS: u32 = 10;
/// What a chunk has at most.
const CHUNK_BYTES: usize = 32 * 1024;
/// How long one try of a call waits.
const TRY_TIMEOUT: Duration = Duration::from_secs(1);
/// For how long a choice of holders is looked for among the links.
const CHOICE_LIMIT: Duration = Duration::from_secs(15);

/// Who does what in this step.
struct Cast {
    overlay: Overlay,
    holders: BTreeSet<usize>,
    fetchers: Vec<usize>,
    /// Who publishes the file.
    origin: usize,
    /// Who is frozen; nobody, if a fetcher would know no other holder.
    frozen: Option<usize>,
}

/// Lets holders subscribe and get a file, and all others fetch parts of it while one holder is frozen.
pub(super) async fn fetch_by_calls(demo: &mut Demo) -> Result<String, Failure> {
    let mut cast = cast(demo).await?;
    subscribe(demo, &mut cast).await?;
    let source = Source::generated("half.bin", FILE_BYTES);
    let file = publish::publish(&mut demo.network, cast.origin, HALF_TOPIC, &source).await?;
    let others: Vec<usize> = cast.holders.iter().copied().filter(|node| *node != cast.origin).collect();
    publish::wait_until_whole(demo, &file, &others).await?;

    let frozen = match cast.frozen {
        Some(node) => demo.network.node(node).freeze().await,
        None => None,
    };
    let reports = fetch(demo, &cast, &file, &source).await;
    drop(frozen);
    let reports = reports?;
    let sum: RpcSample = reports.iter().map(sample).sum();
    demo.report.rpc_calls = sum.calls;
    demo.report.rpc_ok = sum.ok;
    demo.report.rpc_retried = sum.retried;
    demo.report.rpc_local = sum.local;
    demo.report.rpc_wasted = sum.tries.saturating_sub(sum.ok);
    demo.report.bad_asked = demo.bad.asked();
    demo.report.bad_false_answers = demo.bad.false_answers();
    if let Some(node) = cast.frozen {
        demo.progress.set(0, 1, format!("node {} to answer again", node + 1));
        demo.network.status(node).await?;
    }
    let frozen = cast.frozen.map_or("nobody".to_owned(), |node| format!("node {}", node + 1));
    let (fetchers, holders) = (cast.fetchers.len(), cast.holders.len());
    Ok(format!(
        "{fetchers} fetchers, {holders} holders, {frozen} frozen; {} of {} calls asked again",
        sum.retried, sum.calls
    ))
}

/// Chooses the holders among the links that are there, and looks again as long as they allow no choice.
async fn cast(demo: &mut Demo) -> Result<Cast, Failure> {
    let nodes = demo.terms.nodes;
    let bad = demo.network.settings().bad.clone();
    let wanted =
        Wanted { holders: nodes.div_ceil(2), neighbours_min: if demo.terms.has_two_holders() { 2 } else { 1 } };
    let started = Instant::now();
    let mut seeds = (0..).map(Seed::from_number);
    loop {
        let peers = demo.network.peers().await?;
        let overlay = demo.network.overlay(&peers);
        let seed = seeds.next().expect("there are more numbers than looks");
        if let Some(holders) = choose_holders(&overlay, wanted, &bad, &seed) {
            let fetchers = (0..nodes).filter(|node| !holders.contains(node)).collect();
            let origin = *holders.first().expect("half of the nodes are at least one");
            let frozen = choose_frozen(&overlay, &holders, &BTreeSet::from([origin, demo.returner]));
            return Ok(Cast { overlay, holders, fetchers, origin, frozen });
        }
        if started.elapsed() > CHOICE_LIMIT {
            let mean = overlay.degree_mean();
            let reason =
                format!("with {mean:.1} connections a node, no half of the nodes was found that is connected and");
            return Err(Failure::claim(format!("{reason} of which each other node knows {}", wanted.neighbours_min)));
        }
        demo.progress.set(0, nodes, "links that allow a choice of holders");
        sleep(LOOK_EVERY * 5).await;
    }
}

/// Lets the holders subscribe, and waits until all their neighbours know it; links may come and go meanwhile.
async fn subscribe(demo: &mut Demo, cast: &mut Cast) -> Result<(), Failure> {
    for node in &cast.holders {
        let client = demo.network.node(*node).client();
        // The first line says that the node wants the topic; it goes on to do so without a reader.
        let first = async { client.subscribe(HALF_TOPIC).await?.next().await }.await;
        first.map_err(|error| demo.network.node_mut(*node).trouble("subscribe", &error))?;
    }
    let ids: Vec<Option<PeerId>> = demo.network.nodes().iter().map(|node| node.peer_id().copied()).collect();
    loop {
        let peers = demo.network.peers().await?;
        cast.overlay = demo.network.overlay(&peers);
        let knows = |(node, holder): &(usize, usize)| {
            let mut known = peers[*node].iter().filter(|peer| Some(peer.peer_id) == ids[*holder]);
            known.any(|peer| peer.subscriptions.iter().any(|topic| topic == HALF_TOPIC))
        };
        let pairs = cast.holders.iter().flat_map(|holder| {
            let neighbours = cast.overlay.neighbours(*holder).iter();
            neighbours.map(move |node| (*node, *holder))
        });
        let (all, known) = (pairs.clone().count(), pairs.filter(knows).count());
        if known == all {
            return Ok(());
        }
        demo.progress.set(known, all, format!("{} neighbours to hear of a subscription", all - known));
        sleep(LOOK_EVERY).await;
    }
}

/// Lets all fetchers fetch at once.
async fn fetch(demo: &mut Demo, cast: &Cast, file: &FileView, source: &Source) -> Result<Vec<FetchReport>, Failure> {
    let is_whole = demo.terms.bad > 0;
    let chunks = if is_whole { file.chunks } else { CHUNKS };
    let frozen = cast.frozen.and_then(|node| Some((node, *demo.network.node(node).peer_id()?)));
    let mut fetches = JoinSet::new();
    for fetcher in &cast.fetchers {
        let pin = frozen.filter(|(node, _)| cast.overlay.neighbours(*fetcher).contains(node)).map(|(_, peer)| peer);
        let wish = FetchWish {
            manifest: file.manifest,
            chunks: Some(chunks),
            pin,
            try_timeout_ms: u64::try_from(TRY_TIMEOUT.as_millis()).ok(),
            tries_max: u32::try_from(cast.overlay.degree_max()).ok(),
            use_own: false,
        };
        let (client, number) = (demo.network.node(*fetcher).client(), fetcher + 1);
        fetches.spawn(async move { (number, client.fetch(&FetchRequest { wish, with_content: is_whole }).await) });
    }
    let all = fetches.len();
    let mut reports = Vec::new();
    demo.progress.set(0, all, "the fetchers");
    while let Some(joined) = fetches.join_next().await {
        let (number, answer) = joined.map_err(|error| Failure::claim(format!("a fetcher was lost: {error}")))?;
        let (report, content) =
            answer.map_err(|error| Failure::claim(format!("node {number}, asked to fetch: {error}")))?;
        if report.fetched < chunks {
            let (fetched, why) = (report.fetched, report.failures.join("; "));
            return Err(Failure::claim(format!("node {number} fetched {fetched} of {chunks} chunks: {why}")));
        }
        if is_whole {
            demo.report.rpc_false_accepted += different(&source.bytes, &content);
        }
        reports.push(report);
        demo.progress.set(reports.len(), all, format!("{} more fetchers", all - reports.len()));
    }
    Ok(reports)
}

fn sample(report: &FetchReport) -> RpcSample {
    RpcSample {
        calls: report.calls.into(),
        ok: report.ok.into(),
        retried: report.retried.into(),
        local: report.local.into(),
        tries: report.tries.into(),
    }
}

/// How many chunks of a fetched file are not the original's; one at least, if the node itself found the file false and gave none.
fn different(original: &[u8], fetched: &[u8]) -> u64 {
    if original.len() != fetched.len() {
        return 1;
    }
    original.chunks(CHUNK_BYTES).zip(fetched.chunks(CHUNK_BYTES)).filter(|(a, b)| a != b).count() as u64
}
