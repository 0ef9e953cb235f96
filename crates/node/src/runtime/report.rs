use bruit_stack::{gossip::ROUNDS_MAX, peering::SlotClass};

use crate::{
    config::Config,
    runtime::{Runtime, hint::left_alone},
    status::{BookCounts, DialCounts, GoodbyeInfo, GossipCounts, OwnAddr, PeerCounts, PeerInfo, RpcCounts, Status},
};

impl Runtime {
    pub(crate) fn status(&self) -> Status {
        let view = self.swarm.behaviour().status();
        let storage = self.storage_status();
        Status {
            peer_id: view.peer,
            network: view.network,
            profile: self.config.profile.clone(),
            agent: crate::AGENT.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            uptime_seconds: self.clock.now().since(self.started).as_secs(),
            listen: self.swarm.listeners().cloned().collect(),
            api: self.api.clone(),
            data_dir: self.config.data_dir.clone(),
            peers: PeerCounts {
                outbound: view.outbound,
                inbound: view.inbound,
                manual: view.manual,
                outbound_target: view.outbound_target,
                inbound_max: view.inbound_max,
                dialling: view.dialling,
            },
            book: BookCounts {
                new: view.book_entries.saturating_sub(view.book_tried),
                tried: view.book_tried,
                stored: storage.stored,
                restored: self.known.restored.len(),
            },
            dials: DialCounts {
                attempted: self.counts.dials,
                succeeded: self.counts.dials_succeeded,
                from_restored: self.counts.dials_from_restored,
            },
            traffic: self.traffic.counts(),
            gossip: self.gossip_counts(),
            rpc: self.rpc_counts(),
            files: self.files.totals(),
            subscriptions: self.subscriptions.iter().map(ToString::to_string).collect(),
            storage,
            observed: view.observed.into_iter().map(|observed| observed.endpoint).collect(),
            own: view.own.into_iter().map(own_addr).collect(),
            hint: self.hint(view.book_entries, view.outbound + view.inbound + view.manual),
        }
    }

    fn hint(&self, book_entries: usize, peers: usize) -> Option<String> {
        let Config { dns_seeds, seed_list, fixed_seeds, .. } = &self.config;
        let is_led_nowhere = dns_seeds.is_empty() && seed_list.is_none() && fixed_seeds.is_empty();
        let names_nobody = self.known.seeds.is_empty() && self.known.addnodes.is_empty() && is_led_nowhere;
        if names_nobody && book_entries == 0 {
            let text = "no seed address is configured and the address book is empty: this node can only wait to be dialled; \
                        name a first peer with --seed-addr /ip4/ADDRESS/tcp/PORT";
            return Some(text.to_owned());
        }
        if peers > 0 || self.swarm.behaviour().peers().iter().any(|peer| peer.class.is_some()) {
            return None;
        }
        left_alone(&self.swarm.behaviour().goodbyes())
    }

    fn gossip_counts(&self) -> GossipCounts {
        let stats = self.swarm.behaviour().gossip_stats();
        let rounds = self.config.rounds.min(ROUNDS_MAX).max(stats.first_rounds.last());
        let hops: Vec<u64> = (0..=rounds).map(|round| stats.first_rounds.on(round)).collect();
        GossipCounts {
            published: stats.published,
            delivered: stats.delivered,
            relayed: stats.relayed,
            first_by_push: hops.iter().sum(),
            hops,
            hops_max: stats.first_rounds.last(),
            duplicates: stats.duplicates,
            round_limited: stats.round_limited,
            pushes: stats.pushes,
            pushes_max: stats.pushes_per_item_max,
            rejected: stats.rejected,
            frames_refused: stats.frames_refused,
            withheld: stats.withheld,
            withheld_overdue: stats.withheld_overdue,
        }
    }

    fn rpc_counts(&self) -> RpcCounts {
        let stats = self.swarm.behaviour().rpc_stats();
        RpcCounts {
            calls: stats.calls,
            ok: stats.ok,
            failed: stats.failed,
            retried: stats.retried,
            local: self.counts.rpc_local,
            served: stats.served,
        }
    }

    pub(crate) fn peers(&self) -> Vec<PeerInfo> {
        let behaviour = self.swarm.behaviour();
        let now = behaviour.now();
        let views = behaviour.peers().into_iter();
        views
            .map(|view| {
                let quality = behaviour.book().quality(&view.peer, now);
                let parts = quality.parts.iter().map(|value| (value.part.name().to_owned(), value.points));
                let origin = match view.class {
                    Some(SlotClass::Inbound) => "inbound",
                    Some(SlotClass::Manual) => "addnode",
                    _ if self.known.addnodes.contains(&view.remote) => "addnode",
                    _ if self.known.seeds.contains(&view.remote) => "seed",
                    _ if self.known.restored.contains(&view.remote) => "restored",
                    _ => "book",
                };
                let direction = match view.class {
                    Some(SlotClass::Outbound) => "outbound",
                    Some(SlotClass::Quiet) => "quiet",
                    Some(SlotClass::Inbound) => "inbound",
                    Some(SlotClass::Manual) => "manual",
                    _ => "greeting",
                };
                PeerInfo {
                    peer_id: view.peer,
                    direction: direction.to_owned(),
                    endpoint: view.remote,
                    origin: origin.to_owned(),
                    connected_seconds: view.connected_secs,
                    agent: view.agent,
                    listen: view.listen,
                    quality: quality.total,
                    parts: parts.collect(),
                    subscriptions: view.topics,
                }
            })
            .collect()
    }

    pub(crate) fn goodbyes(&self) -> Vec<GoodbyeInfo> {
        let views = self.swarm.behaviour().goodbyes().into_iter();
        views
            .map(|view| GoodbyeInfo {
                peer_id: view.peer,
                seconds_ago: view.secs_ago,
                by: view.by.to_owned(),
                reason: view.reason,
                stay_away_seconds: view.stay_away_secs,
            })
            .collect()
    }

    pub(super) fn log_health(&self) {
        let status = self.status();
        tracing::info!(
            outbound = status.peers.outbound,
            outbound_target = status.peers.outbound_target,
            inbound = status.peers.inbound,
            manual = status.peers.manual,
            book = status.book.new + status.book.tried,
            delivered = status.gossip.delivered,
            duplicates = status.gossip.duplicates,
            calls = status.rpc.calls,
            calls_failed = status.rpc.failed,
            files = status.files.complete,
            storage = ?status.storage.state,
            "health"
        );
        if let Some(hint) = status.hint {
            tracing::warn!("{hint}");
        }
    }
}

fn own_addr(view: bruit_stack::OwnAddrView) -> OwnAddr {
    let bruit_stack::OwnAddrView { endpoint, is_adopted, witnesses, groups } = view;
    OwnAddr { endpoint, adopted: is_adopted, witnesses, groups }
}
