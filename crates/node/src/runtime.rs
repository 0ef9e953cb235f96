//! The task that owns the swarm: it carries out what handles ask for and passes on what the swarm tells.
//!
//! Nothing is judged here: items go to the intake, requests to whoever serves their method, answers to their callers.
#![allow(clippy::wildcard_enum_match_arm, reason = "libp2p's and the stack's enums are non-exhaustive")]

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::Duration,
};

use bruit_core::{Clock, Endpoint, PeerId, Timestamp, Transport};
use bruit_stack::{
    Behaviour, Event,
    gossip::{Event as GossipEvent, ItemId, Topic, Verdict},
    peering::SeedStage,
    rpc::{CallId, CancelCause, Event as RpcEvent, MethodName, Ticket},
};
use futures::StreamExt as _;
use libp2p::{
    Multiaddr, Swarm, TransportError,
    swarm::{DialError, SwarmEvent},
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval},
};

use crate::{
    anchors::Anchors,
    config::Config,
    data_dir::DataDir,
    dns_seeds::{self, Found},
    files::SharedFiles,
    handle::{CallEvent, Request, Served, endpoint_of},
    holding::Holding,
    intake::Incoming,
    seed_list,
    storage::{Storage, StorageStatus},
    transport::Traffic,
};

mod book_report;
mod hint;
mod report;

/// What a handle asks for, carried out in the swarm's task.
pub(crate) type Command = Box<dyn FnOnce(&mut Runtime) + Send>;

/// How many commands may wait. A guess: 1,024 handles that ask at once.
pub(crate) const COMMANDS_MAX: usize = 1_024;
/// How many commands are taken at once.
const COMMANDS_PER_TURN: usize = 64;
/// How often the book's changes are stored.
const SAVE_INTERVAL: Duration = Duration::from_secs(1);
/// How often the log says how the node is.
const HEALTH_INTERVAL: Duration = Duration::from_secs(60);
/// How long goodbyes may take; the stack's own limit is 2 s.
const DRAIN_TIME: Duration = Duration::from_millis(2_500);

/// The state of a running node, owned by its task.
pub(crate) struct Runtime {
    pub(crate) swarm: Swarm<Behaviour>,
    pub(crate) config: Config,
    pub(crate) api: Option<PathBuf>,
    pub(crate) clock: Clock,
    pub(crate) started: Timestamp,
    pub(crate) files: SharedFiles,
    pub(crate) holding: Holding,
    pub(crate) traffic: Traffic,
    pub(crate) calls: BTreeMap<CallId, mpsc::UnboundedSender<CallEvent>>,
    pub(crate) methods: BTreeMap<MethodName, mpsc::Sender<Request>>,
    /// The requests being served, and how to tell whoever serves that nobody waits any more.
    pub(crate) serving: BTreeMap<Ticket, Served>,
    pub(crate) subscriptions: BTreeSet<Topic>,
    pub(crate) known: KnownEndpoints,
    pub(crate) counts: Counts,
    pub(crate) stopping: Stopping,
    intake: mpsc::Sender<Incoming>,
    storage: Option<Storage>,
    changed: watch::Sender<u64>,
    anchors: Anchors,
    searches: Searches,
}

/// The searches for seeds, one at a time of each kind; they end with the node.
#[derive(Default)]
struct Searches {
    by_name: JoinSet<Found>,
    by_list: JoinSet<Found>,
}

/// Endpoints that are known from outside of the network.
#[derive(Debug, Default)]
pub(crate) struct KnownEndpoints {
    pub(crate) seeds: BTreeSet<Endpoint>,
    pub(crate) addnodes: BTreeSet<Endpoint>,
    pub(crate) restored: BTreeSet<Endpoint>,
}

/// What no protocol counts.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) dials: u64,
    pub(crate) dials_succeeded: u64,
    pub(crate) dials_from_restored: u64,
    pub(crate) rpc_local: u64,
    pub(crate) intake_overflows: u64,
}

/// How far the end of the node has come.
pub(crate) enum Stopping {
    No,
    /// Somebody asked for it.
    Asked,
    /// Goodbyes are being said.
    Draining(Instant),
    Done,
}

impl Runtime {
    /// Starts to listen, and waits until the first address of each listener is known.
    pub(crate) async fn listen(&mut self) -> Result<(), (Multiaddr, TransportError<std::io::Error>)> {
        let mut awaited = BTreeMap::new();
        for addr in self.config.listen.clone() {
            check_free(&addr).map_err(|error| (addr.clone(), TransportError::Other(error)))?;
            let listener = self.swarm.listen_on(addr.clone()).map_err(|error| (addr.clone(), error))?;
            awaited.insert(format!("{listener:?}"), addr);
        }
        while !awaited.is_empty() {
            let event = self.swarm.select_next_some().await;
            if let SwarmEvent::NewListenAddr { listener_id, .. } = &event {
                awaited.remove(&format!("{listener_id:?}"));
            }
            if let SwarmEvent::ListenerClosed { listener_id, reason: Err(error), .. } = event {
                let addr = awaited.remove(&format!("{listener_id:?}")).unwrap_or_else(Multiaddr::empty);
                return Err((addr, TransportError::Other(error)));
            }
            self.swarm_told(event);
        }
        Ok(())
    }

    /// Runs until the end of the node.
    pub(crate) async fn run(
        mut self,
        mut commands: mpsc::Receiver<Command>,
        ended: oneshot::Sender<StorageStatus>,
        dir: Option<DataDir>,
    ) {
        let mut save = interval(SAVE_INTERVAL);
        let mut health = interval(HEALTH_INTERVAL);
        save.set_missed_tick_behavior(MissedTickBehavior::Delay);
        health.set_missed_tick_behavior(MissedTickBehavior::Delay);
        health.reset();
        let mut queued = Vec::with_capacity(COMMANDS_PER_TURN);
        let mut is_alone = false;
        loop {
            let deadline = match self.stopping {
                Stopping::No => None,
                Stopping::Asked => {
                    self.save();
                    self.swarm.behaviour_mut().stop();
                    self.stopping = Stopping::Draining(Instant::now() + DRAIN_TIME);
                    continue;
                }
                Stopping::Draining(deadline) => Some(deadline),
                Stopping::Done => break,
            };
            tokio::select! {
                // Answers come as commands, so that they are carried out while the last requests are finished too.
                count = commands.recv_many(&mut queued, COMMANDS_PER_TURN), if !is_alone => {
                    if count == 0 {
                        is_alone = true;
                        self.stop();
                    }
                    queued.drain(..).for_each(|command| command(&mut self));
                }
                event = self.swarm.select_next_some() => self.swarm_told(event),
                Some(found) = self.searches.by_name.join_next() => self.seeds_found(found.unwrap_or_default()),
                Some(found) = self.searches.by_list.join_next() => self.seeds_found(found.unwrap_or_default()),
                _ = save.tick() => self.save(),
                _ = health.tick() => self.log_health(),
                () = at(deadline) => self.stopping = Stopping::Done,
            }
        }
        let status = self.close_storage().await;
        if let Some(path) = &self.api {
            // It may be gone already, with its folder.
            let _ = std::fs::remove_file(path);
        }
        drop(dir);
        // The receiver is gone when nobody waits for the end.
        let _ = ended.send(status);
    }

    fn swarm_told(&mut self, event: SwarmEvent<Event>) {
        match event {
            SwarmEvent::Behaviour(event) => self.stack_told(event),
            SwarmEvent::Dialing { .. } => self.counts.dials += 1,
            SwarmEvent::ConnectionEstablished { endpoint, .. } if endpoint.is_dialer() => {
                self.counts.dials_succeeded += 1;
                self.count_restored(endpoint.get_remote_address());
            }
            SwarmEvent::OutgoingConnectionError { error: DialError::Transport(addrs), .. } => {
                addrs.iter().for_each(|(addr, _)| self.count_restored(addr));
            }
            SwarmEvent::NewListenAddr { address, .. } => {
                tracing::info!(%address, "listening");
                self.has_changed();
            }
            SwarmEvent::ListenerError { error, .. } => tracing::warn!(%error, "a listener failed"),
            SwarmEvent::ListenerClosed { addresses, reason, .. } => {
                tracing::warn!(?addresses, ?reason, "a listener ended");
            }
            _ => {}
        }
    }

    fn count_restored(&mut self, addr: &Multiaddr) {
        let endpoint = Endpoint::from_multiaddr(addr).map(|(endpoint, _)| endpoint);
        if endpoint.is_ok_and(|endpoint| self.known.restored.contains(&endpoint)) {
            self.counts.dials_from_restored += 1;
            self.has_changed();
        }
    }

    fn stack_told(&mut self, event: Event) {
        match event {
            Event::PeerUp { peer, class, .. } => {
                tracing::debug!(%peer, ?class, "peer up");
                self.has_changed();
            }
            Event::PeerDown { peer, .. } => {
                tracing::debug!(%peer, "peer down");
                self.has_changed();
            }
            Event::Gossip(GossipEvent::Item { id, from, topic, payload, deadline, .. }) => {
                let awaits_verdict = deadline.is_some();
                if self
                    .intake
                    .try_send(Incoming { id, from, topic, payload, awaits_verdict, is_fetched: false })
                    .is_err()
                {
                    self.counts.intake_overflows += 1;
                    let _ = self.swarm.behaviour_mut().report(id, Verdict::Ignore);
                }
            }
            Event::Gossip(GossipEvent::Resumed { id, .. }) => self.judge_again(id),
            Event::Gossip(GossipEvent::DependencyWithheld { peer, id, missing }) => {
                tracing::debug!(%peer, %id, missing = missing.len(), "what an item depends on did not come");
                self.holding.lock().released(&id);
                self.has_changed();
            }
            Event::Gossip(GossipEvent::Forgotten { id, .. }) => drop(self.holding.lock().released(&id)),
            Event::Gossip(GossipEvent::PeerSubscribed { .. }) => self.has_changed(),
            Event::Gossip(event) => tracing::trace!(?event, "gossip"),
            Event::Rpc(event) => self.rpc_told(event),
            Event::SeedsWanted { stage } => self.search_seeds(stage),
            Event::Drained => self.stopping = Stopping::Done,
            _ => {}
        }
    }

    fn search_seeds(&mut self, stage: SeedStage) {
        let Config { dns_seeds, dns_server, seed_list, fixed_seeds, .. } = &self.config;
        match stage {
            SeedStage::Dns if !dns_seeds.is_empty() => {
                if self.searches.by_name.is_empty() {
                    self.searches.by_name.spawn(dns_seeds::search(dns_seeds.clone(), *dns_server));
                }
            }
            SeedStage::List if seed_list.is_some() => {
                let url = seed_list.clone().filter(|_| self.searches.by_list.is_empty());
                url.map(|url| self.searches.by_list.spawn(seed_list::search(url)));
            }
            SeedStage::Fixed if !fixed_seeds.is_empty() => {
                tracing::info!(count = fixed_seeds.len(), "nobody was reached; the fixed seeds are tried");
                self.seeds_found(fixed_seeds.iter().filter_map(|addr| endpoint_of(addr).ok()).collect());
            }
            SeedStage::Dns | SeedStage::List | SeedStage::Fixed => self.swarm.behaviour_mut().seeds_lacking(stage),
        }
    }

    /// A source has other seeds than before, or none: what the old ones would still bring is not wanted any more.
    pub(crate) fn source_has_changed(&mut self, stage: SeedStage) {
        let Config { dns_seeds, seed_list, fixed_seeds, .. } = &self.config;
        let is_empty = match stage {
            SeedStage::Dns => {
                self.searches.by_name = JoinSet::new();
                dns_seeds.is_empty()
            }
            SeedStage::List => {
                self.searches.by_list = JoinSet::new();
                seed_list.is_none()
            }
            SeedStage::Fixed => fixed_seeds.is_empty(),
        };
        if is_empty {
            self.swarm.behaviour_mut().seeds_lacking(stage);
        } else {
            self.swarm.behaviour_mut().seeds_given(stage);
        }
    }

    fn seeds_found(&mut self, found: Found) {
        if !found.is_empty() {
            let added = self.swarm.behaviour_mut().seeds_found(found);
            tracing::info!(added, "seeds were found");
            self.has_changed();
        }
    }

    /// What an item had waited for is there.
    fn judge_again(&mut self, id: ItemId) {
        let item = self.holding.lock().released(&id);
        if item.is_none_or(|item| self.intake.try_send(item).is_err()) {
            self.counts.intake_overflows += 1;
            let _ = self.swarm.behaviour_mut().report(id, Verdict::Ignore);
        }
    }

    fn rpc_told(&mut self, event: RpcEvent<PeerId>) {
        match event {
            RpcEvent::Request { from, method, payload, ticket, time_left, wants_answer, wants_stream } => {
                let (request, served) = Request::new(from, payload, ticket, time_left, [wants_answer, wants_stream]);
                let sent = self.methods.get(&method).is_some_and(|server| server.try_send(request).is_ok());
                if sent {
                    self.serving.insert(ticket, served);
                } else {
                    let refusal = Request::overloaded();
                    let _ = self.swarm.behaviour_mut().rpc().answer(ticket, Err(refusal));
                }
            }
            RpcEvent::Cancelled { ticket, cause } => {
                if let Some(served) = self.serving.get(&ticket) {
                    served.cancel.send_replace(Some(cause));
                }
                if cause == CancelCause::OutOfTime {
                    self.serving.remove(&ticket);
                }
            }
            RpcEvent::Room { ticket, .. } => {
                if let Some(served) = self.serving.get(&ticket) {
                    served.room.notify_one();
                }
            }
            // Who has gone takes its call back by dropping it.
            RpcEvent::Answered { call, from, payload } => {
                if let Some(caller) = self.calls.get(&call) {
                    let _ = caller.send(CallEvent::Answered { from, payload });
                }
            }
            RpcEvent::Chunk { call, payload, .. } => {
                if let Some(caller) = self.calls.get(&call) {
                    let _ = caller.send(CallEvent::Chunk { payload });
                }
            }
            RpcEvent::Done { call, result, tries } => {
                if let Some(caller) = self.calls.remove(&call) {
                    let _ = caller.send(CallEvent::Done { result, tries });
                }
            }
            RpcEvent::Told { .. } => self.has_changed(),
            event => tracing::trace!(?event, "rpc"),
        }
    }

    /// Stops, unless that is under way.
    pub(crate) fn stop(&mut self) {
        if let Stopping::No = self.stopping {
            self.stopping = Stopping::Asked;
        }
    }

    /// Wakes those who wait for something to be so.
    pub(crate) fn has_changed(&self) {
        self.changed.send_modify(|count| *count = count.wrapping_add(1));
    }

    fn save(&mut self) {
        let is_lost = self.storage.as_ref().is_some_and(Storage::take_loss);
        if is_lost {
            self.swarm.behaviour_mut().book_lost();
        }
        let changes = self.swarm.behaviour_mut().book_changes();
        if let Some(storage) = &self.storage {
            storage.save(crate::book_rows::to_rows(&changes));
            if is_lost {
                storage.save(self.anchors.all());
            }
            // Whoever is told goodbye now is to be dialled again at the next start.
            if matches!(self.stopping, Stopping::No | Stopping::Asked) {
                storage.save(self.anchors.changed(self.swarm.behaviour().anchors()));
            }
        }
        self.has_changed();
    }

    pub(crate) fn storage_status(&self) -> StorageStatus {
        self.storage.as_ref().map(Storage::status).unwrap_or_default()
    }

    async fn close_storage(&mut self) -> StorageStatus {
        self.save();
        let Some(storage) = self.storage.take() else { return StorageStatus::default() };
        let last = storage.status();
        tokio::task::spawn_blocking(move || storage.close()).await.unwrap_or(last)
    }
}

async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// What a runtime is made of.
pub(crate) struct Parts {
    pub(crate) swarm: Swarm<Behaviour>,
    pub(crate) config: Config,
    pub(crate) api: Option<PathBuf>,
    pub(crate) files: SharedFiles,
    pub(crate) holding: Holding,
    pub(crate) traffic: Traffic,
    pub(crate) known: KnownEndpoints,
    pub(crate) anchors: Anchors,
    pub(crate) intake: mpsc::Sender<Incoming>,
    pub(crate) storage: Option<Storage>,
    pub(crate) changed: watch::Sender<u64>,
}

impl Runtime {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { swarm, config, api, files, holding, traffic, known, anchors, intake, storage, changed } = parts;
        let clock = Clock::start();
        Self {
            swarm,
            config,
            api,
            clock,
            started: clock.now(),
            files,
            holding,
            traffic,
            calls: BTreeMap::new(),
            methods: BTreeMap::new(),
            serving: BTreeMap::new(),
            subscriptions: BTreeSet::new(),
            known,
            counts: Counts::default(),
            stopping: Stopping::No,
            intake,
            storage,
            changed,
            anchors,
            searches: Searches::default(),
        }
    }
}

/// libp2p lets several sockets of one user share a port, and the system would then share out the connections among the nodes. A
/// socket that shares with nobody finds out.
fn check_free(addr: &Multiaddr) -> std::io::Result<()> {
    match Endpoint::from_multiaddr(addr) {
        Ok((Endpoint::Ip { ip, port, transport: Transport::Tcp }, _)) => {
            std::net::TcpListener::bind((ip, port)).map(drop)
        }
        _ => Ok(()),
    }
}
