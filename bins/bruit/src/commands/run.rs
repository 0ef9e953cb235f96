use std::{
    io::IsTerminal as _,
    path::PathBuf,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use bruit::{Config, Handle, Multiaddr, Node, PeerId, StorageState};
use serde::Serialize;
use serde_json::json;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::{EnvFilter, Registry, layer::SubscriberExt as _, reload};

use crate::{
    args::RunArgs,
    commands::parent::exit_with_parent,
    exit::{Exit, Failure},
    output::Output,
};

/// How long a stop may take before it is cut short.
const STOP_LIMIT: Duration = Duration::from_millis(4_500);
/// A node alone waits for packets nearly all the time; two threads let it hash a file meanwhile.
const THREADS: usize = 2;

#[derive(Serialize)]
struct Ready {
    event: &'static str,
    peer_id: PeerId,
    listen: Vec<Multiaddr>,
    api: Option<PathBuf>,
}

pub(super) fn run(args: &RunArgs, output: &Output) -> Result<Exit, Failure> {
    if let Some(expected) = args.exit_with_parent {
        exit_with_parent(expected)?;
    }
    let config = args.settings.resolve()?.config;
    let log = start_log(&config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(THREADS).enable_all().build()?;
    let exit = runtime.block_on(serve(config, args, &log, output));
    // What still blocks (a name being resolved, say) is of no use any more.
    runtime.shutdown_background();
    exit
}

async fn serve(config: Config, args: &RunArgs, log: &LogFilter, output: &Output) -> Result<Exit, Failure> {
    let mut signals = Signals::new()?;
    let mut hangup = signal(SignalKind::hangup())?;
    let handle = Node::start(config).await?;
    let ready = Ready {
        event: "ready",
        peer_id: handle.peer_id(),
        listen: handle.listen().to_vec(),
        api: handle.api().cloned(),
    };
    output.result(&ready, text_of);
    if let Ok(Some(hint)) = handle.status().await.map(|status| status.hint) {
        tracing::warn!("{hint}");
    }

    let reason = loop {
        tokio::select! {
            () = signals.next() => break "signal",
            _ = handle.stopped() => break "shutdown",
            _ = hangup.recv() => read_anew(&handle, args, log, output).await,
        }
    };
    stop(&handle, &mut signals).await?;
    if output.is_json() {
        output.line(&json!({ "event": "stopped", "reason": reason }).to_string());
    }
    Ok(Exit::Held)
}

/// Reads all settings anew, as at the start; a node goes on with those it has when they cannot be used.
async fn read_anew(handle: &Handle, args: &RunArgs, log: &LogFilter, output: &Output) {
    let read = async {
        let config = args.settings.resolve()?.config;
        let filter = filter(&config.log)?;
        let wanted = config.log.clone();
        let mut report = handle.reload(config).await.map_err(|error| Failure::configuration(error.to_string()))?;
        report.needs_restart.retain(|key| key != "log");
        if log.set(&wanted, filter) {
            report.applied.push("log".to_owned());
        }
        Ok::<_, Failure>(report)
    };
    match read.await {
        Ok(report) => {
            tracing::info!(
                applied = report.applied.join(", "),
                needs_restart = report.needs_restart.join(", "),
                refused = report.refused.join(", "),
                "settings read anew"
            );
            if output.is_json() {
                output.line(&json!({ "event": "reloaded", "report": report }).to_string());
            }
        }
        Err(failure) => {
            tracing::error!("the settings cannot be used, and nothing has changed: {}", failure.text);
            if output.is_json() {
                output.line(&json!({ "event": "reload_failed", "reason": failure.text }).to_string());
            }
        }
    }
}

async fn stop(handle: &Handle, signals: &mut Signals) -> Result<(), Failure> {
    tracing::info!("stopping: goodbye to all peers");
    tokio::select! {
        storage = handle.shutdown() => {
            if storage.state == StorageState::Failed {
                tracing::error!(waiting = storage.waiting, "the address book could not be stored");
            }
            Ok(())
        }
        () = signals.next() => Err(Failure::failed("a second signal: stopped at once")),
        () = tokio::time::sleep(STOP_LIMIT) => {
            tracing::warn!("stopping took too long and was cut short");
            Ok(())
        }
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> Result<Self, Failure> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

fn text_of(ready: &Ready) -> String {
    let listen: Vec<String> = ready.listen.iter().map(|addr| format!("{addr}/p2p/{}", ready.peer_id)).collect();
    let api = ready.api.as_ref().map_or("none".to_owned(), |path| path.display().to_string());
    format!("ready: {}\nlistening on: {}\nAPI: {api}", ready.peer_id, listen.join(", "))
}

/// What is logged.
///
/// # Security
/// libp2p warns of every stream that a peer opens above its limit, which peers can do thousands of times a second.
fn filter(log: &str) -> Result<EnvFilter, Failure> {
    let wanted = format!("libp2p_request_response=error,{log}");
    EnvFilter::try_new(wanted).map_err(|error| Failure::configuration(format!("`log`: {error}")))
}

/// The filter of the log, to be changed while the node runs.
struct LogFilter {
    handle: reload::Handle<EnvFilter, Registry>,
    wanted: Mutex<String>,
}

impl LogFilter {
    /// Sets another one; false if it is the one that holds.
    fn set(&self, wanted: &str, filter: EnvFilter) -> bool {
        let mut held = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        if *held == wanted || self.handle.reload(filter).is_err() {
            return false;
        }
        wanted.clone_into(&mut held);
        true
    }
}

fn start_log(config: &Config) -> Result<LogFilter, Failure> {
    let (filter, handle) = reload::Layer::new(filter(&config.log)?);
    let lines =
        tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    let subscriber = tracing_subscriber::registry().with(filter).with(lines);
    // A program that is `bruit` among other things may have set one already.
    let _ = tracing::subscriber::set_global_default(subscriber);
    std::panic::set_hook(Box::new(|panic| tracing::error!(%panic, "a task ended unexpectedly")));
    Ok(LogFilter { handle, wanted: Mutex::new(config.log.clone()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fault_peers_cannot_fill_the_log() {
        let directives = |log: &str| {
            let text = filter(log).unwrap().to_string();
            let mut directives: Vec<String> = text.split(',').map(str::to_owned).collect();
            directives.sort();
            directives
        };
        assert_eq!(directives("info"), ["info", "libp2p_request_response=error"]);
        assert_eq!(directives("warn,libp2p_request_response=debug"), ["libp2p_request_response=debug", "warn"]);
        assert!(filter("bruit=loud").is_err());
    }
}
