use bruit_addr_exchange::Admission;
use bruit_core::{AddrPolicy, NetworkId};

/// The settings of everything that makes up a node's protocols.
///
/// Each engine's own settings are in its crate; here is what belongs to none of them or must agree among them.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default, deny_unknown_fields))]
pub struct Config {
    /// Whether private addresses are stored, dialled and told. Only for local networks.
    pub allow_private_addrs: bool,
    /// The quality, in thousandths of a point, below which a peer is banned for an hour. Never reached by slowness alone: the
    /// parts that come from time-outs are bounded well above it.
    pub ban_below: i32,
    /// The address book.
    pub book: bruit_address_book::Config,
    /// Address exchange.
    pub exchange: bruit_addr_exchange::Config,
    /// Peering.
    pub peering: bruit_peering::Config,
    /// Gossip.
    pub gossip: bruit_gossip::Config,
    /// Requests.
    pub rpc: bruit_rpc::Config,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            allow_private_addrs: false,
            ban_below: -30_000,
            book: bruit_address_book::Config::default(),
            exchange: bruit_addr_exchange::Config::default(),
            peering: bruit_peering::Config::default(),
            gossip: bruit_gossip::Config::default(),
            rpc: bruit_rpc::Config::default(),
        }
    }
}

/// Settings that cannot work, alone or together.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// The address book's.
    #[error("address book: {0}")]
    Book(#[from] bruit_address_book::ConfigError),
    /// Address exchange's.
    #[error("address exchange: {0}")]
    Exchange(#[from] bruit_addr_exchange::ConfigError),
    /// Peering's.
    #[error("peering: {0}")]
    Peering(#[from] bruit_peering::ConfigError),
    /// Gossip's.
    #[error("gossip: {0}")]
    Gossip(#[from] bruit_gossip::ConfigError),
    /// Requests'.
    #[error("rpc: {0}")]
    Rpc(#[from] bruit_rpc::ConfigError),
    /// An engine has room for fewer peers than peering lets in.
    #[error("{engine} has room for {room} peers, fewer than the {peers} that peering keeps, refuses and dials at once")]
    TooFewSlots {
        /// Which engine.
        engine: &'static str,
        /// For how many peers it has room.
        room: usize,
        /// How many there may be.
        peers: usize,
    },
    /// A ban would come from time-outs alone.
    #[error("ban_below is {0}, above -20000, where slowness alone could lead")]
    BanTooEasy(i32),
}

/// Settings that were checked, and the network they are for. Only [`Config::validate`] makes them.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ValidConfig {
    /// The network.
    pub network: NetworkId,
    /// Which addresses are stored, dialled and told.
    pub addr_policy: AddrPolicy,
    /// How many peers every engine has room for.
    pub peers_max: usize,
    /// The quality below which a peer is banned.
    pub ban_below: i32,
    /// The address book's settings.
    pub book: bruit_address_book::ValidConfig,
    /// Address exchange's settings.
    pub exchange: bruit_addr_exchange::ValidConfig,
    /// Peering's settings.
    pub peering: bruit_peering::ValidConfig,
    /// Gossip's settings.
    pub gossip: bruit_gossip::ValidConfig,
    /// The settings of requests.
    pub rpc: bruit_rpc::ValidConfig,
}

/// The least quality that time-outs and failed dials can lead to, with some room.
const BAN_BELOW_MAX: i32 = -20_000;

impl Config {
    /// How many peers there may be at once. Also who is only greeted or refused holds a place in the engines' links meanwhile.
    pub(crate) const fn peers_max(&self) -> usize {
        self.peering.places()
    }

    /// Checks the settings of every engine, and that they fit each other. `agent` is what hellos say of the software.
    pub fn validate(self, network: NetworkId, agent: &str) -> Result<ValidConfig, ConfigError> {
        if self.ban_below > BAN_BELOW_MAX {
            return Err(ConfigError::BanTooEasy(self.ban_below));
        }
        let peers = self.peers_max();
        let rooms = [("gossip", self.gossip.peers_max), ("rpc", self.rpc.peers_max)];
        if let Some((engine, room)) = rooms.into_iter().find(|(_, room)| *room < peers) {
            return Err(ConfigError::TooFewSlots { engine, room, peers });
        }
        let peers_max = rooms.iter().map(|(_, room)| *room).min().unwrap_or(peers);
        let addr_policy = AddrPolicy { allow_private_addrs: self.allow_private_addrs };
        let book = bruit_address_book::Config {
            allow_private_addrs: self.allow_private_addrs,
            ban_below: self.ban_below,
            ..self.book
        };
        // Only peers with a slot are served.
        let exchange = bruit_addr_exchange::Config {
            admission: Admission::ByOwner,
            allow_private_addrs: self.allow_private_addrs,
            dial_low_ports: self.peering.dial_low_ports,
            ..self.exchange
        };
        Ok(ValidConfig {
            addr_policy,
            peers_max,
            ban_below: self.ban_below,
            book: book.validate()?,
            exchange: exchange.validate()?,
            peering: self.peering.validate(network.clone(), agent)?,
            gossip: self.gossip.validate()?,
            rpc: self.rpc.validate()?,
            network,
        })
    }
}

impl ValidConfig {
    /// Whether the engines have room for what other settings of peering would let in.
    ///
    /// # Errors
    /// They have not.
    #[cfg(feature = "behaviour")]
    pub(crate) fn fits(&self, peering: &bruit_peering::Config) -> Result<(), bruit_peering::ConfigError> {
        let peers = peering.places();
        if peers > self.peers_max { Err(bruit_peering::ConfigError::TooManyPeers(peers)) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engines_have_room_for_everybody_that_peering_lets_in() {
        let check = |room| {
            let mut config = Config::default();
            config.rpc.peers_max = room;
            config.validate(NetworkId::new("test").unwrap(), "test").map(|_| ())
        };
        assert_eq!(check(564), Ok(()));
        assert_eq!(check(563), Err(ConfigError::TooFewSlots { engine: "rpc", room: 563, peers: 564 }));
    }

    #[test]
    fn slowness_alone_cannot_lead_to_a_ban() {
        let check = |ban_below| {
            let config = Config { ban_below, ..Config::default() };
            config.validate(NetworkId::new("test").unwrap(), "test").map(|_| ())
        };
        assert_eq!(check(-20_000), Ok(()));
        assert_eq!(check(-19_999), Err(ConfigError::BanTooEasy(-19_999)));
    }
}
