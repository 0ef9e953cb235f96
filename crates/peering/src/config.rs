use std::time::Duration;

use bruit_core::NetworkId;

use crate::{Mode, Subject};

/// How many connections to keep and how to behave while making them. Times are whole milliseconds when read from text
/// (`hello_timeout_ms = 1000`).
///
/// The numbers of connections and times are Factom's, Casper's and Iron Fish's where they agree with what their operators asked
/// for; the source stands at each.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default, deny_unknown_fields))]
pub struct Config {
    /// Whom the node deals with.
    pub mode: Mode,
    /// Who may be connected, when anybody is named: manual peers always may.
    pub allow: Vec<Subject>,
    /// Who may not be connected.
    pub deny: Vec<Subject>,
    /// How many peers to dial and keep. Factom: 32.
    pub outbound_target: usize,
    /// How many more may be kept when more dials than needed succeed; never more than an eighth of the target. Factom: 4, for a
    /// maximum of 36.
    pub outbound_extra: usize,
    /// How many quiet peers to dial and keep when all other outbound slots are taken. Bitcoin Core: 2.
    pub quiet_target: usize,
    /// How many peers that dialled us to keep. Factom: 150.
    pub inbound_max: usize,
    /// How many connections beyond `inbound_max` are let in only to be told where else to go. 32: ours, as many as may come from one
    /// group without a hello; with Grin's 8 those who are many at once come back in waves of eight.
    pub inbound_slack: usize,
    /// How many kept inbound peers may share one IP address. A guess below Casper's 3: one host shall not hold many.
    pub inbound_per_ip_max: usize,
    /// How many kept inbound peers may share one group of addresses. A guess: about a fifth of all.
    pub inbound_per_group_max: usize,
    /// How many connections beyond all others are kept free for manual peers that come by themselves. A guess.
    pub reserved: usize,
    /// Whether a newcomer takes the slot of an inbound peer without merit when all are taken. Bitcoin Core does.
    pub inbound_eviction: bool,
    /// How many inbound peers lose their slot to newcomers in a minute, at most, and to those of one group one in `stay_away`. A guess:
    /// a network that is full does not churn.
    pub evictions_per_minute: u32,
    /// How many dials may be under way at once: all outbound slots are filled in parallel. 80: twice the outbound maximum and some,
    /// since where many addresses are dead most dials have no answer.
    pub dials_max: usize,
    /// How long a dial without an answer keeps a place, up to three times as long where others take long too; after that another one
    /// begins beside it, and if it is answered all the same, the peer stays only where there is a place. 2 s: a guess, twice what a
    /// lost first packet costs.
    #[cfg_attr(feature = "serde", serde(rename = "dial_patience_ms", with = "crate::config::millis"))]
    pub dial_patience: Duration,
    /// How many dials begin in a second, over time. 10: what keeps a node from being a weapon.
    pub dials_per_second: u32,
    /// How many dials begin at once after a pause. 40: the outbound maximum and some.
    pub dials_burst: u32,
    /// How many dials to one public IP address, or to the names of one domain, may fail in an hour. 3: a victim whose ports are all
    /// advertised as peers' notices nothing. A private network whose nodes go by names of one domain needs more. Of these half,
    /// rounded up, may go to endpoints that one part of the internet told of. What this node reached before at an address is dialled
    /// beside them, as often; a name counts with the others of its domain.
    pub dials_per_ip_per_hour: usize,
    /// Whether ports below 1,024 of public addresses and of names are dialled that the operator did not name. No: other services
    /// live there.
    pub dial_low_ports: bool,
    /// How many handshakes of inbound connections may be under way at once. Commonware allows 512.
    pub pending_inbound_max: usize,
    /// How many inbound connections from one IP address may be without a slot, handshakes included. Loopback is not counted. A
    /// guess: several nodes behind one router may start at once.
    pub strangers_per_ip_max: usize,
    /// How many from one group of addresses; of handshakes fewer the more are under way. A guess: an eighth of all handshakes.
    pub strangers_per_group_max: usize,
    /// How long a hello may take. Casper's handshake: 20 s; a foreign peer that stalls is gone sooner here.
    #[cfg_attr(feature = "serde", serde(rename = "hello_timeout_ms", with = "crate::config::millis"))]
    pub hello_timeout: Duration,
    /// After how much silence a peer is asked whether it is there, at least 5 s. Factom: 15 s.
    #[cfg_attr(feature = "serde", serde(rename = "ping_interval_ms", with = "crate::config::millis"))]
    pub ping_interval: Duration,
    /// How long the answer may take, at least 5 s. 10 s: a guess, as long as a hello.
    #[cfg_attr(feature = "serde", serde(rename = "ping_timeout_ms", with = "crate::config::millis"))]
    pub ping_timeout: Duration,
    /// After how many answers missed in a row a peer is given up. 2: with the times above after 35 s.
    pub pings_missed_max: u32,
    /// How often an address that was only heard of is tested; 0 for never. Bitcoin Core: 2 min.
    #[cfg_attr(feature = "serde", serde(rename = "feeler_interval_ms", with = "crate::config::millis"))]
    pub feeler_interval: Duration,
    /// How often some outbound peers are exchanged for others; 0 for never. Factom: 15 min.
    #[cfg_attr(feature = "serde", serde(rename = "rotation_interval_ms", with = "crate::config::millis"))]
    pub rotation_interval: Duration,
    /// How many are exchanged. Factom drops from 32 to 30.
    pub rotation_drops: usize,
    /// Whether seed addresses are only asked for others, and left again.
    pub seeds_one_shot: bool,
    /// How many seed addresses are asked before what fewer have told may fill all slots. 8: a guess; of many seeds half of which
    /// lie, that many lie once in 256 times.
    pub seeds_asked_min: usize,
    /// In which order sources of seed addresses are used.
    pub bootstrap: Bootstrap,
    /// How long one source of seed addresses is given before the next one is used. Bitcoin Core: 11 s for DNS.
    #[cfg_attr(feature = "serde", serde(rename = "seed_stage_delay_ms", with = "crate::config::millis"))]
    pub seed_stage_delay: Duration,
    /// After what time seed addresses are wanted again while there are fewer than `reseed_below` outbound peers. 5 min: a guess.
    #[cfg_attr(feature = "serde", serde(rename = "reseed_soon_ms", with = "crate::config::millis"))]
    pub reseed_soon: Duration,
    /// After what time they are wanted again while any outbound peer is missing. Factom: 4 h.
    #[cfg_attr(feature = "serde", serde(rename = "reseed_interval_ms", with = "crate::config::millis"))]
    pub reseed_interval: Duration,
    /// Below how many outbound peers seed addresses are wanted again soon. Factom: 10.
    pub reseed_below: usize,
    /// How long a refused peer stays, to ask once for addresses. 2 s: a guess.
    #[cfg_attr(feature = "serde", serde(rename = "refused_linger_ms", with = "crate::config::millis"))]
    pub refused_linger: Duration,
    /// The shortest time between two looks for somebody to dial. A guess: fast enough for a person who watches.
    #[cfg_attr(feature = "serde", serde(rename = "refill_interval_min_ms", with = "crate::config::millis"))]
    pub refill_interval_min: Duration,
    /// The longest time between two looks while nothing changes. Factom's replenish pass: 1 s; Iron Fish: 2 s.
    #[cfg_attr(feature = "serde", serde(rename = "refill_interval_max_ms", with = "crate::config::millis"))]
    pub refill_interval_max: Duration,
    /// The delay before the second dial of an endpoint that failed; doubles with each failure. Casper: 1 s.
    #[cfg_attr(feature = "serde", serde(rename = "backoff_base_ms", with = "crate::config::millis"))]
    pub backoff_base: Duration,
    /// The longest delay for a manual peer, which is never given up. 40 s: specials find each other again within a minute.
    #[cfg_attr(feature = "serde", serde(rename = "backoff_manual_max_ms", with = "crate::config::millis"))]
    pub backoff_manual_max: Duration,
    /// The longest delay for a seed address, which is never given up. Iron Fish: 5 min.
    #[cfg_attr(feature = "serde", serde(rename = "backoff_seed_max_ms", with = "crate::config::millis"))]
    pub backoff_seed_max: Duration,
    /// The longest delay for all others. An hour: a guess.
    #[cfg_attr(feature = "serde", serde(rename = "backoff_max_ms", with = "crate::config::millis"))]
    pub backoff_max: Duration,
    /// How long a refused peer is asked to stay away. Iron Fish: 5 min.
    #[cfg_attr(feature = "serde", serde(rename = "stay_away_ms", with = "crate::config::millis"))]
    pub stay_away: Duration,
    /// The longest stay-away of a peer's goodbye that is honoured. An hour: a guess.
    #[cfg_attr(feature = "serde", serde(rename = "stay_away_honoured_max_ms", with = "crate::config::millis"))]
    pub stay_away_honoured_max: Duration,
    /// How many endpoints the backoff remembers; beyond, the one that ends first is forgotten. 10,000: a guess.
    pub backoff_entries_max: usize,
    /// How many departures the history keeps, of those who were dialled and of those who came, each. 256: a guess.
    pub history_max: usize,
    /// How many manual peers and seed addresses there may be, each. 256: a guess.
    pub manual_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            mode: Mode::Open,
            allow: Vec::new(),
            deny: Vec::new(),
            outbound_target: 32,
            outbound_extra: 4,
            quiet_target: 2,
            inbound_max: 150,
            inbound_slack: 32,
            inbound_per_ip_max: 2,
            inbound_per_group_max: 32,
            reserved: 8,
            inbound_eviction: true,
            evictions_per_minute: 12,
            dials_max: 80,
            dial_patience: Duration::from_secs(2),
            dials_per_second: 10,
            dials_burst: 40,
            dials_per_ip_per_hour: 3,
            dial_low_ports: false,
            pending_inbound_max: 256,
            strangers_per_ip_max: 8,
            strangers_per_group_max: 32,
            hello_timeout: Duration::from_secs(10),
            ping_interval: Duration::from_secs(15),
            ping_timeout: Duration::from_secs(10),
            pings_missed_max: 2,
            feeler_interval: Duration::from_secs(2 * 60),
            rotation_interval: Duration::ZERO,
            rotation_drops: 2,
            seeds_one_shot: false,
            seeds_asked_min: 8,
            bootstrap: Bootstrap::Staged,
            seed_stage_delay: Duration::from_secs(11),
            reseed_soon: Duration::from_secs(5 * 60),
            reseed_interval: Duration::from_secs(4 * 3_600),
            reseed_below: 10,
            refused_linger: Duration::from_secs(2),
            refill_interval_min: Duration::from_millis(250),
            refill_interval_max: Duration::from_secs(2),
            backoff_base: Duration::from_secs(1),
            backoff_manual_max: Duration::from_secs(40),
            backoff_seed_max: Duration::from_secs(5 * 60),
            backoff_max: Duration::from_secs(60 * 60),
            stay_away: Duration::from_secs(5 * 60),
            stay_away_honoured_max: Duration::from_secs(60 * 60),
            backoff_entries_max: 10_000,
            history_max: 256,
            manual_max: 256,
        }
    }
}

/// In which order sources of seed addresses are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Bootstrap {
    /// Names first, then the list, then what comes with the settings; each only if those before did not help.
    #[default]
    Staged,
    /// Names and the list at once, then what comes with the settings; of all their addresses one by chance after the other.
    OneRandom,
}

/// A configuration that cannot work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// More peers than there is room for.
    #[error("all connections together are {0}, more than there is room for")]
    TooManyPeers(usize),
    /// Nobody could ever be dialled.
    #[error("dials_max is 0: nobody could be dialled")]
    NoDials,
    /// The shortest time is longer than the longest.
    #[error("{0} is longer than its maximum")]
    Interval(&'static str),
    /// A time of zero would make the node spin.
    #[error("{0} is zero")]
    Zero(&'static str),
    /// Peers would be asked more often than they answer.
    #[error("{0} is shorter than 5 s, and peers would stop answering")]
    TooShort(&'static str),
}

/// A configuration that was checked, and the network it is for.
#[derive(Clone, Debug)]
pub struct ValidConfig {
    pub(crate) network: NetworkId,
    pub(crate) agent: String,
    pub(crate) config: Config,
}

/// How many peers the settings may make room for. All slots: the engines hold no more.
const PEERS_MAX: usize = bruit_core::SLOTS_MAX;
/// How many bytes of an agent's name are told. 64: as many as a hello holds.
const AGENT_BYTES_MAX: usize = 64;
/// How short `ping_interval` and `ping_timeout` may be. 5 s: so seldom every peer answers, whatever its own settings.
const PING_PAUSE_MIN: Duration = Duration::from_secs(5);

impl Config {
    /// How many peers are dialled and kept at most, quiet ones apart.
    pub const fn outbound_max(&self) -> usize {
        let eighth = self.outbound_target / 8;
        let extra = if self.outbound_extra < eighth { self.outbound_extra } else { eighth };
        self.outbound_target.saturating_add(extra)
    }

    /// How many peers may be connected at once, those included that are only greeted, refused or visited, and as many manual ones
    /// as may be named.
    pub const fn places(&self) -> usize {
        let dialled = self.outbound_max().saturating_add(self.quiet_target).saturating_add(self.dials_max);
        let come = self.inbound_max.saturating_add(self.inbound_slack).saturating_add(self.reserved);
        dialled.saturating_add(come).saturating_add(self.manual_max)
    }

    /// Checks the configuration. `agent` is what a hello says of the software, cut at 64 bytes.
    pub fn validate(self, network: NetworkId, agent: &str) -> Result<ValidConfig, ConfigError> {
        let peers = self.places();
        if peers > PEERS_MAX {
            return Err(ConfigError::TooManyPeers(peers));
        }
        if self.dials_max == 0 {
            return Err(ConfigError::NoDials);
        }
        if self.refill_interval_min > self.refill_interval_max {
            return Err(ConfigError::Interval("refill_interval_min"));
        }
        if self.backoff_base > self.backoff_max.min(self.backoff_manual_max).min(self.backoff_seed_max) {
            return Err(ConfigError::Interval("backoff_base"));
        }
        let times = [
            ("hello_timeout", self.hello_timeout),
            ("dial_patience", self.dial_patience),
            ("refill_interval_min", self.refill_interval_min),
            ("backoff_base", self.backoff_base),
            ("seed_stage_delay", self.seed_stage_delay),
            ("reseed_soon", self.reseed_soon),
            ("reseed_interval", self.reseed_interval),
        ];
        if let Some((name, _)) = times.iter().find(|(_, time)| time.is_zero()) {
            return Err(ConfigError::Zero(name));
        }
        let pings = [("ping_interval", self.ping_interval), ("ping_timeout", self.ping_timeout)];
        if let Some((name, _)) = pings.iter().find(|(_, time)| *time < PING_PAUSE_MIN) {
            return Err(ConfigError::TooShort(name));
        }
        let counts = [
            ("pings_missed_max", self.pings_missed_max),
            ("dials_per_second", self.dials_per_second),
            ("dials_burst", self.dials_burst),
        ];
        if let Some((name, _)) = counts.iter().find(|(_, count)| *count == 0) {
            return Err(ConfigError::Zero(name));
        }
        let end = (0..=AGENT_BYTES_MAX.min(agent.len())).rev().find(|at| agent.is_char_boundary(*at)).unwrap_or(0);
        Ok(ValidConfig { network, agent: agent.get(..end).unwrap_or_default().to_owned(), config: self })
    }
}

/// Durations as whole milliseconds.
#[cfg(feature = "serde")]
pub(crate) mod millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(value.as_millis()).unwrap_or(u64::MAX))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(change: impl FnOnce(&mut Config)) -> Result<ValidConfig, ConfigError> {
        let mut config = Config::default();
        change(&mut config);
        config.validate(NetworkId::new("test").unwrap(), "agent")
    }

    #[test]
    fn what_cannot_work_is_refused() {
        assert!(check(|_| ()).is_ok());
        let others = Config::default().places() - Config::default().inbound_max;
        assert!(check(|c| c.inbound_max = PEERS_MAX - others - 1).is_ok());
        assert!(check(|c| c.inbound_max = PEERS_MAX - others).is_ok());
        let too_many = check(|c| c.inbound_max = PEERS_MAX - others + 1).unwrap_err();
        assert_eq!(too_many, ConfigError::TooManyPeers(PEERS_MAX + 1));
        assert_eq!(check(|c| c.dials_burst = 0).unwrap_err(), ConfigError::Zero("dials_burst"));
        assert_eq!(check(|c| c.dials_max = 0).unwrap_err(), ConfigError::NoDials);
        assert_eq!(check(|c| c.hello_timeout = Duration::ZERO).unwrap_err(), ConfigError::Zero("hello_timeout"));
        assert_eq!(
            check(|c| c.refill_interval_min = Duration::from_secs(9)).unwrap_err(),
            ConfigError::Interval("refill_interval_min")
        );
    }

    #[test]
    fn pings_have_their_shortest_pause() {
        type Set = fn(&mut Config, Duration);
        let settings: [(&str, Set); 2] =
            [("ping_interval", |c, time| c.ping_interval = time), ("ping_timeout", |c, time| c.ping_timeout = time)];
        for (name, set) in settings {
            let checked = |ms| check(|c| set(c, Duration::from_millis(ms))).map(|_| ());
            assert_eq!([4_999, 5_000, 5_001].map(checked), [Err(ConfigError::TooShort(name)), Ok(()), Ok(())]);
        }
    }

    #[test]
    fn the_agent_is_cut_between_characters() {
        let told = |bytes| {
            let valid = Config::default().validate(NetworkId::new("test").unwrap(), &"a".repeat(bytes));
            valid.unwrap().agent.len()
        };
        assert_eq!([63, 64, 65].map(told), [63, 64, 64]);
        let valid = Config::default().validate(NetworkId::new("test").unwrap(), &"ä".repeat(40)).unwrap();
        assert_eq!(valid.agent, "ä".repeat(32));
    }
}
