//! New settings for a node that runs: what can take effect at once does, the rest is named.

use bruit_core::{Endpoint, PeerId};
use bruit_stack::peering::SeedStage;
use serde::{Deserialize, Serialize};

use super::{AddrError, Handle, StoppedError, checked_addrs, endpoint_of};
use crate::{
    config::{Config, ConfigError},
    runtime::Runtime,
};

/// Keys beside those of peering that take effect at once.
const AT_ONCE: [&str; 8] =
    ["addnodes", "dns_seeds", "dns_server", "fixed_seeds", "inbound_max", "outbound", "seed_addrs", "seed_list"];
/// Keys of peering that size what is made at the start.
const OF_THE_START: [&str; 2] = ["peering.backoff_entries_max", "peering.history_max"];

/// What became of new settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloaded {
    /// Keys whose new values hold from now on.
    pub applied: Vec<String>,
    /// Keys whose new values hold after the next start.
    pub needs_restart: Vec<String>,
    /// What could not be carried out, for a person.
    pub refused: Vec<String>,
}

/// New settings that a node does not take; nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The node has stopped.
    #[error(transparent)]
    Stopped(#[from] StoppedError),
    /// They cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// An address cannot be used.
    #[error(transparent)]
    Addr(#[from] AddrError),
    /// Peering refuses them.
    #[error(transparent)]
    Peering(#[from] bruit_peering::ConfigError),
}

type Named = Vec<(Endpoint, Option<PeerId>)>;

impl Handle {
    /// Gives a running node new settings: the limits, lists and modes of peering, peers to be connected to, and where to start from
    /// take effect at once, also for peers that are connected; every other key that differs is named as one that needs a restart.
    ///
    /// # Errors
    /// The settings cannot be used; nothing has changed.
    pub async fn reload(&self, config: Config) -> Result<Reloaded, ReloadError> {
        config.check()?;
        // Whether private addresses may be dialled waits for a restart.
        let policy = self.config().addr_policy();
        let addnodes = checked_addrs("addnodes", policy, &config.addnodes)?;
        let seeds = checked_addrs("seed_addrs", policy, &config.seed_addrs)?;
        checked_addrs("fixed_seeds", policy, &config.fixed_seeds)?;
        self.ask(move |runtime| runtime.reload(config, &addnodes, &seeds)).await?
    }
}

impl Runtime {
    fn reload(&mut self, new: Config, addnodes: &Named, seeds: &Named) -> Result<Reloaded, ReloadError> {
        let mut report = Reloaded::default();
        for key in self.config.differing(&new) {
            let is_peering = key.starts_with("peering.") && !OF_THE_START.contains(&key.as_str());
            let keys = if is_peering || AT_ONCE.contains(&key.as_str()) {
                &mut report.applied
            } else {
                &mut report.needs_restart
            };
            keys.push(key);
        }
        let is_peering =
            |key: &String| key.starts_with("peering.") || ["inbound_max", "outbound"].contains(&key.as_str());
        if report.applied.iter().any(is_peering) {
            let mut peering = new.peering.clone();
            peering.outbound_target = new.outbound;
            peering.inbound_max = new.inbound_max;
            peering.backoff_entries_max = self.config.peering.backoff_entries_max;
            peering.history_max = self.config.peering.history_max;
            self.swarm.behaviour_mut().reconfigure_peering(peering.clone())?;
            self.config.peering = peering;
            (self.config.outbound, self.config.inbound_max) = (new.outbound, new.inbound_max);
        }
        if self.config.addnodes != new.addnodes {
            self.rename_nodes(addnodes, &mut report);
            self.config.addnodes = new.addnodes;
        }
        if self.config.seed_addrs != new.seed_addrs {
            for (endpoint, peer) in seeds {
                self.known.seeds.insert(endpoint.clone());
                if !self.swarm.behaviour_mut().add_seed(endpoint.clone(), *peer) {
                    report.refused.push(format!("seed_addrs: {endpoint}: known, or one too many"));
                }
            }
            self.config.seed_addrs = new.seed_addrs;
        }
        let sources = [
            (SeedStage::Dns, self.config.dns_seeds != new.dns_seeds || self.config.dns_server != new.dns_server),
            (SeedStage::List, self.config.seed_list != new.seed_list),
            (SeedStage::Fixed, self.config.fixed_seeds != new.fixed_seeds),
        ];
        (self.config.dns_seeds, self.config.dns_server) = (new.dns_seeds, new.dns_server);
        (self.config.seed_list, self.config.fixed_seeds) = (new.seed_list, new.fixed_seeds);
        for (stage, _) in sources.into_iter().filter(|(_, is_other)| *is_other) {
            self.source_has_changed(stage);
        }
        self.has_changed();
        Ok(report)
    }

    /// Peers that were named while the node ran stay named.
    fn rename_nodes(&mut self, addnodes: &Named, report: &mut Reloaded) {
        let before: Vec<Endpoint> = self
            .config
            .addnodes
            .iter()
            .filter_map(|addr| endpoint_of(addr).ok())
            .map(|(endpoint, _)| endpoint)
            .collect();
        for endpoint in before.iter().filter(|endpoint| addnodes.iter().all(|(named, _)| named != *endpoint)) {
            self.known.addnodes.remove(endpoint);
            self.swarm.behaviour_mut().remove_node(endpoint);
        }
        for (endpoint, peer) in addnodes.iter().filter(|(endpoint, _)| !before.contains(endpoint)) {
            self.known.addnodes.insert(endpoint.clone());
            if !self.swarm.behaviour_mut().add_node(endpoint.clone(), *peer) {
                report.refused.push(format!("addnodes: {endpoint}: known, or one too many"));
            }
        }
    }
}
