//! A network that stays until Ctrl-C.

use std::{env, process::ExitCode, time::Duration};

use serde_json::json;
use tokio::time::{sleep, timeout};

use crate::{
    args::UpArgs,
    demo::{find_each_other, start},
    failure::Failure,
    network::{Folder, Network},
    print,
    progress::{Progress, say},
    signals::Signals,
};

/// How long the nodes may take to be ready and to find each other.
const LIMIT: Duration = Duration::from_secs(75);
/// How often it is looked whether a node has ended.
const CASUALTY_INTERVAL: Duration = Duration::from_secs(1);

/// Builds the network and keeps it.
pub(crate) async fn run(args: &UpArgs) -> ExitCode {
    match keep_up(args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            say(&format!("error: {failure}"));
            if args.json {
                print(&json!({"error": failure.text}).to_string());
            }
            failure.exit_code()
        }
    }
}

async fn keep_up(args: &UpArgs) -> Result<(), Failure> {
    let settings = args.network.settings()?;
    let mut network = Network::new(settings, Folder::new(args.network.dir.as_deref())?)?;
    if args.network.keep {
        network.folder().keep();
    }
    let mut signals = Signals::listen().map_err(|error| Failure::claim(format!("no signals: {error}")))?;
    let outcome = tokio::select! {
        _ = signals.next() => Ok(false),
        outcome = build(&mut network) => outcome.map(|()| true),
    };
    let outcome = match outcome {
        Ok(true) => {
            print(&if args.json { as_json(&network) } else { as_text(&network) });
            tokio::select! {
                _ = signals.next() => Ok(()),
                () = report_casualties(&mut network) => Ok(()),
            }
        }
        Ok(false) => Ok(()),
        Err(failure) => Err(failure),
    };
    let (nodes, killed) = tokio::select! {
        _ = signals.next() => {
            network.kill_all().await;
            return Err(Failure::claim("all nodes were killed"));
        }
        counts = network.stop_all() => counts,
    };
    if args.json {
        print(&json!({"event": "stopped", "nodes": nodes, "killed": killed}).to_string());
    } else {
        say(&format!("{nodes} nodes ended"));
    }
    outcome
}

async fn build(network: &mut Network) -> Result<(), Failure> {
    let progress = Progress::begin("start the nodes".to_owned());
    let work = async {
        progress.end(&start(network, &progress).await?);
        let progress = Progress::begin("find each other".to_owned());
        let overlay = find_each_other(network, &progress).await?;
        progress.end(&format!("{:.1} connections a node", overlay.degree_mean()));
        Ok(())
    };
    let late = |_| Err(Failure::claim(format!("the network is not up after {} s", LIMIT.as_secs())));
    timeout(LIMIT, work).await.unwrap_or_else(late)
}

/// Says which nodes have ended, each once, until nobody is left to say it of.
async fn report_casualties(network: &mut Network) {
    let mut told = vec![false; network.nodes().len()];
    while told.contains(&false) {
        sleep(CASUALTY_INTERVAL).await;
        for (node, told) in told.iter_mut().enumerate().filter(|(_, told)| !**told) {
            if let Some(failure) = network.node_mut(node).casualty() {
                *told = true;
                say(&failure.text);
            }
        }
    }
    say("all nodes have ended");
}

fn as_json(network: &Network) -> String {
    let nodes = network.nodes().iter().map(|node| {
        json!({
            "node": node.number(),
            "peer_id": node.peer_id().map(ToString::to_string),
            "listen": node.listen(),
            "api": node.api(),
            "data_dir": node.dir(),
            "pid": node.pid(),
        })
    });
    json!({"event": "up", "seed_addrs": network.seeds(), "nodes": nodes.collect::<Vec<_>>()}).to_string()
}

fn as_text(network: &Network) -> String {
    let mut lines =
        vec![format!("{:>4}  {:<28}  {:>7}  {}", "node", "listens on", "process", "folder (api.sock, log)")];
    for node in network.nodes() {
        let pid = node.pid().map(|pid| pid.to_string()).unwrap_or_default();
        lines.push(format!("{:>4}  {:<28}  {pid:>7}  {}", node.number(), node.listen(), node.dir().display()));
    }
    let program = env::args().next().unwrap_or_else(|| "bruit-testnet".to_owned());
    let last = network.nodes().last().map(|node| node.dir().display().to_string()).unwrap_or_default();
    let first = network.nodes().first().map(|node| node.dir().display().to_string()).unwrap_or_default();
    lines.extend([
        String::new(),
        "Talk to a node by its folder, for example:".to_owned(),
        format!("  {program} bruit status --data-dir {last}"),
        format!("  {program} bruit peers --data-dir {last}"),
        format!("  {program} bruit publish --file README.md --data-dir {last}"),
        format!("  {program} bruit subscribe files --count 1 --out . --data-dir {first}"),
        "Kill, freeze and resume by the process: kill -9, kill -STOP, kill -CONT. Ctrl-C ends all of it.".to_owned(),
    ]);
    lines.join("\n")
}
