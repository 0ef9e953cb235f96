use bruit_core::SLOTS_MAX;
use bruit_wire::{FRAME_MAX, PREFIX_MAX};
use libp2p_swarm::StreamProtocol;

use crate::frame::FRAME_OVERHEAD;

/// How many lanes a protocol can have.
pub const LANES_MAX: usize = 4;

/// What is negotiated between two peers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Protocol {
    /// Its names, the newest version first. A network's id is part of each name.
    pub names: Vec<StreamProtocol>,
    /// How many lanes it has, 1 to 4. Lane 0 opens when a peer is admitted, the others when they are first used.
    pub lanes: u32,
}

/// Who decides that a peer's streams are opened and read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Every peer is admitted when it connects.
    Automatic,
    /// Nobody is admitted until the owner says so; streams that a peer opens before that wait unread.
    ByOwner,
}

/// The limits of all links of one protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The longest frame in bytes, its prefix not counted. Default: the wire's limit, 256 KiB.
    pub frame_max: usize,
    /// How many bytes may wait for one peer, 64 more counted for each frame. Default 4 MiB, a guess: sixteen of the longest
    /// frames, or a third of a second at 100 Mbit/s.
    pub outbox_bytes_max: usize,
    /// How many bytes may wait for all peers together; of what is left one peer gets a quarter, and whatever others have, room for
    /// a frame of the greatest length, and on the first lane an eighth of `first_lane_reserved` more. Default: no limit, for frames
    /// that share their bytes with others.
    pub outboxes_bytes_max: usize,
    /// How much of `outbox_bytes_max` only the first lane may use, so that others whose frames are not read leave it room.
    /// Default 0.
    pub first_lane_reserved: usize,
    /// How many peers can be connected at once, at most 4,096. Default 256: more than the 182 that a node with the largest
    /// profile's limits has.
    pub peers_max: usize,
    /// How many connections to one peer are read at once; more are denied. Default 8, a guess: two nodes that dial each other
    /// at all of their addresses at the same time.
    pub connections_per_peer_max: usize,
    /// Whether a peer that connects is kept connected although nothing else uses the connection. Default: no, as anywhere in
    /// libp2p.
    pub keep_alive: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            frame_max: FRAME_MAX,
            outbox_bytes_max: 4 * 1024 * 1024,
            outboxes_bytes_max: usize::MAX,
            first_lane_reserved: 0,
            peers_max: 256,
            connections_per_peer_max: 8,
            keep_alive: false,
        }
    }
}

impl Config {
    /// How many bytes may wait for one peer whatever waits for others.
    pub(crate) const fn outbox_bytes_min(&self) -> usize {
        (self.frame_max + PREFIX_MAX + FRAME_OVERHEAD).saturating_add(self.first_lane_reserved)
    }

    /// Checks all limits against each other.
    pub fn validate(self) -> Result<ValidConfig, ConfigError> {
        if !(1..=FRAME_MAX).contains(&self.frame_max) {
            return Err(ConfigError::FrameMax(self.frame_max));
        }
        let least = self.outbox_bytes_min();
        if self.outbox_bytes_max < least {
            return Err(ConfigError::OutboxBytesMax { bytes: self.outbox_bytes_max, least });
        }
        if !(1..=SLOTS_MAX).contains(&self.peers_max) {
            return Err(ConfigError::PeersMax(self.peers_max));
        }
        if self.connections_per_peer_max == 0 {
            return Err(ConfigError::NoConnections);
        }
        Ok(ValidConfig(self))
    }
}

/// A configuration that was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidConfig(Config);

impl ValidConfig {
    /// The limits.
    pub const fn get(&self) -> &Config {
        &self.0
    }
}

/// A limit that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Frames cannot be empty or longer than the wire allows.
    #[error("frame_max is {0}, not 1 to {FRAME_MAX}")]
    FrameMax(usize),
    /// The outbox could not hold a single frame of the greatest length beside what is reserved.
    #[error("outbox_bytes_max is {bytes}, and one frame of the greatest length and what is reserved need {least}")]
    OutboxBytesMax {
        /// What is configured.
        bytes: usize,
        /// What is needed.
        least: usize,
    },
    /// There are no, or too many, peers.
    #[error("peers_max is {0}, not 1 to {SLOTS_MAX}")]
    PeersMax(usize),
    /// Nobody could connect.
    #[error("connections_per_peer_max is 0")]
    NoConnections,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_checked_at_their_edges() {
        let config = |change: fn(&mut Config)| {
            let mut config = Config::default();
            change(&mut config);
            config.validate().map(|_| ())
        };
        assert_eq!(config(|_| {}), Ok(()));
        assert_eq!(config(|c| c.frame_max = 0), Err(ConfigError::FrameMax(0)));
        assert_eq!(config(|c| c.frame_max = FRAME_MAX + 1), Err(ConfigError::FrameMax(FRAME_MAX + 1)));
        assert_eq!(config(|c| c.outbox_bytes_max = FRAME_MAX + 69), Ok(()));
        assert_eq!(
            config(|c| c.outbox_bytes_max = FRAME_MAX + 68),
            Err(ConfigError::OutboxBytesMax { bytes: FRAME_MAX + 68, least: FRAME_MAX + 69 })
        );
        assert_eq!(config(|c| c.peers_max = SLOTS_MAX), Ok(()));
        assert_eq!(config(|c| c.peers_max = SLOTS_MAX + 1), Err(ConfigError::PeersMax(SLOTS_MAX + 1)));
        assert_eq!(config(|c| c.connections_per_peer_max = 0), Err(ConfigError::NoConnections));
    }
}
