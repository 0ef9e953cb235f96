use std::{sync::Arc, time::Duration};

use bruit_core::{AddrPolicy, Endpoint, may_be_usual_service};
use bruit_wire::limits::{ADDR_NEIGHBOURS_MAX, ADDR_PEERS_MAX};

mod error;

pub use error::ConfigError;

/// How often is asked and answered, what is told, and how much is taken.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default, deny_unknown_fields))]
pub struct Config {
    /// Whether private addresses are told and dialled. Only for local networks.
    pub allow_private_addrs: bool,
    /// Whether ports below 1,024 of public addresses are dialled to try them. No: other services live there.
    pub dial_low_ports: bool,
    /// Who decides which peers are served. Automatic by default, for a crate used alone.
    pub admission: Admission,
    /// How often one peer is answered. Once: Bitcoin Core. An answer shorter than `small_answer` does not count.
    pub answers_per_connection: AnswersPerConnection,
    /// Whether peers that this node dialled are answered too. No: Bitcoin Core, so that nobody learns from whom it is dialled. Answers
    /// below `small_answer` are given all the same, or somebody whom everybody dialled could ask nobody.
    pub answer_dialled: bool,
    /// How many peers an answer names at most; at most 2,500. 1,000: Bitcoin Core.
    pub addrs_per_answer_max: usize,
    /// How many peers an answer names at least, if so many are known. 32: as many as an outbound target.
    pub addrs_per_answer_min: usize,
    /// Which share of what can be told an answer names, in per cent. 23: Bitcoin Core.
    pub answer_percent: usize,
    /// Which peers an answer names, and in which order. At random: Bitcoin Core.
    pub answer_order: AnswerOrder,
    /// How many peers of an answer are taken; the rest is dropped and counted. 1,000: Bitcoin Core.
    pub addrs_taken_max: usize,
    /// How many peers an unasked message names at most. 10: Bitcoin Core relays no larger ones.
    pub addrs_per_announcement_max: usize,
    /// For how many seconds an answer stays the same, a quarter more or less. 24 hours: Bitcoin Core.
    pub cache_secs: u64,
    /// Below how many peers an answer says that the network is small: it is neither cached nor counted. 32: as many as an
    /// outbound target.
    pub small_answer: usize,
    /// After how many seconds a peer whose answer was small is answered again. 1: a guess.
    pub small_answer_pause_secs: u64,
    /// Who is asked. Whom this node dialled: Bitcoin Core.
    pub ask: AskWhom,
    /// How many seconds after it is served a peer is asked first. 0: Bitcoin Core.
    pub ask_first_secs: u64,
    /// After how many seconds a peer is asked again whose answer was small; doubled each time that it brings no more than the
    /// last one, up to `ask_small_secs_max`. A small network forms within seconds. 2: a guess.
    pub ask_small_secs: u64,
    /// The longest pause before a peer is asked again whose answer was small. 60: Iron Fish asks so often anyway.
    pub ask_small_secs_max: u64,
    /// After how many seconds every peer is asked again, a fifth more or less; `None` for never. Never: Bitcoin Core.
    pub ask_again_secs: Option<u64>,
    /// How many unasked peers a second are taken from one peer, four times what honest ones send. 0.1: Bitcoin Core.
    pub unasked_per_second: f64,
    /// How many unasked peers are taken at once after a long silence. 1,000: Bitcoin Core.
    pub unasked_burst: u64,
    /// How many unasked peers are taken right after connecting; 1 drops honest ones. 5: Bitcoin Core.
    pub unasked_start: u64,
    /// To how many peers a fresh address is passed on; the same ones for a day. 2: Bitcoin Core.
    pub relay_to: usize,
    /// How many seconds ago a fresh address was seen at most: ten minutes as in Bitcoin Core, and the hour that times are
    /// rounded to. 4,200: ours.
    pub relay_fresh_secs: u64,
    /// After how many seconds an address is passed on again that was passed on. 6 hours: a guess, a quarter of the spacing of
    /// own addresses.
    pub relay_again_secs: u64,
    /// How many addresses are remembered as passed on; beyond, the oldest is forgotten. 4,096: a guess.
    pub relayed_max: usize,
    /// How own addresses are told. Around once in 24 hours: Bitcoin Core.
    pub own_announce: OwnAnnounce,
    /// In how many parts of the internet peers must see one own address before it is believed. 3: a guess, as many as one liar
    /// with addresses of one provider has not.
    pub own_witnesses_min: usize,
    /// How many peers are asked to dial an own address back before it is given up for an hour. 3: AutoNAT.
    pub own_trials_max: u32,
    /// Whether somebody who connects is sent addresses before it asks. No: only a bootstrap node of Iron Fish.
    pub push_peers_on_connect: bool,
    /// How many unasked peers one message of a peer that this node dialled may bring right after connecting. 0: nobody pushes.
    pub push_taken_max: usize,
    /// Whether it is tried if peers that connect can be dialled where they say they listen. Marked: only such addresses are
    /// passed on.
    pub confirm: Confirm,
    /// How many dials that only try an address are under way at once, in one part of the internet a quarter of those
    /// that may begin yet. 16: a guess, a fifth of what peering dials.
    pub probes_max: usize,
    /// How many dials that only try an address are begun per minute. 120: a guess, a fifth of ten dials a second.
    pub probes_per_minute: u64,
    /// How many of them wait for their turn when a peer that asks to be dialled is told no. 256: as many as handshakes may be under
    /// way. Who connected has its place in the line beside that, one each.
    pub probes_waiting_max: usize,
    /// How many seconds one may take. 20: libp2p's own limit for a handshake, twice.
    pub probe_secs: u64,
    /// After how many seconds lists of neighbours are asked for again, a fifth more or less; `None` for never. 60: Iron Fish.
    pub neighbours_secs: Option<u64>,
    /// Who is told neighbours. Whom this node dialled: others choose by themselves to connect, to look at it.
    pub neighbours_for: NeighboursFor,
    /// How many neighbours are told, and how many of a list are kept; at most 128. 64: a guess, twice an outbound target.
    pub neighbours_max: usize,
    /// After how many seconds a peer is told neighbours again. 30: a guess, half of the pause of an honest one.
    pub neighbours_pause_secs: u64,
    /// How many signed records are kept; beyond, the one that came first is forgotten. 4,096: a guess.
    pub records_max: usize,
    /// How many signatures of one message are checked; further records count as hearsay. 128: ours, about 10 ms.
    pub records_checked_max: usize,
    /// After how many days a signed record has expired. 7: a guess, seven times the spacing of own addresses.
    pub record_days: u64,
    /// How many seconds a request may take. 10: libp2p.
    pub timeout_secs: u64,
    /// How many peers are served at once; more are not answered. 4,096: as many as there are slots.
    pub peers_max: usize,
}

/// Who decides which peers are served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Admission {
    /// Everybody who is connected is served.
    #[default]
    Automatic,
    /// The owner admits; until then a peer gets one answer, is not asked, and nothing unasked is taken from it.
    ByOwner,
}

/// How often one peer is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum AnswersPerConnection {
    /// Once.
    Once,
    /// Once in so many seconds. 120 and 40: two thirds of the pauses after which Factom and Iron Fish ask again.
    EverySecs(u64),
}

/// Which peers an answer names, and in which order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum AnswerOrder {
    /// Any, in any order.
    Random,
    /// Those of the best quality, the best one first.
    BestFirst,
}

/// Who is asked for addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum AskWhom {
    /// Nobody, unless the owner says so.
    Nobody,
    /// Whom this node dialled.
    Dialled,
    /// Everybody.
    Everybody,
}

/// How own addresses are told to peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum OwnAnnounce {
    /// Never.
    Never,
    /// To each peer when it is served, and then with exponentially distributed pauses of so many seconds on average. 24 hours:
    /// Bitcoin Core.
    MeanSecs(u64),
    /// To each peer when it is served, and then after so many seconds, a fifth more or less. 120: Casper.
    EverySecs(u64),
}

/// Whether it is tried if peers that connect can be dialled where they say they listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Confirm {
    /// No: what they say is never passed on unasked.
    Off,
    /// Yes, and where that succeeds the address is passed on.
    Mark,
    /// Yes, and a peer that cannot be dialled in time is not kept.
    Require {
        /// In how many seconds after the dial began, or after its hello when it names no place where it could be dialled. 60:
        /// Casper.
        within_secs: u64,
    },
}

/// Who is told neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum NeighboursFor {
    /// Nobody.
    Nobody,
    /// Whom this node dialled.
    Dialled,
    /// Everybody who is served.
    Everybody,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            allow_private_addrs: false,
            dial_low_ports: false,
            admission: Admission::Automatic,
            answers_per_connection: AnswersPerConnection::Once,
            answer_dialled: false,
            addrs_per_answer_max: 1_000,
            addrs_per_answer_min: 32,
            answer_percent: 23,
            answer_order: AnswerOrder::Random,
            addrs_taken_max: 1_000,
            addrs_per_announcement_max: 10,
            cache_secs: 24 * 3_600,
            small_answer: 32,
            small_answer_pause_secs: 1,
            ask: AskWhom::Dialled,
            ask_first_secs: 0,
            ask_small_secs: 2,
            ask_small_secs_max: 60,
            ask_again_secs: None,
            unasked_per_second: 0.1,
            unasked_burst: 1_000,
            unasked_start: 5,
            relay_to: 2,
            relay_fresh_secs: 4_200,
            relay_again_secs: 6 * 3_600,
            relayed_max: 4_096,
            own_announce: OwnAnnounce::MeanSecs(24 * 3_600),
            own_witnesses_min: 3,
            own_trials_max: 3,
            push_peers_on_connect: false,
            push_taken_max: 0,
            confirm: Confirm::Mark,
            probes_max: 16,
            probes_per_minute: 120,
            probes_waiting_max: 256,
            probe_secs: 20,
            neighbours_secs: Some(60),
            neighbours_for: NeighboursFor::Dialled,
            neighbours_max: 64,
            neighbours_pause_secs: 30,
            records_max: 4_096,
            records_checked_max: 128,
            record_days: 7,
            timeout_secs: 10,
            peers_max: 4_096,
        }
    }
}

impl Config {
    /// Checks the settings.
    pub fn validate(self) -> Result<ValidConfig, ConfigError> {
        let counts = [
            ("addrs_per_answer_max", self.addrs_per_answer_max),
            ("addrs_taken_max", self.addrs_taken_max),
            ("addrs_per_announcement_max", self.addrs_per_announcement_max),
        ];
        for (name, count) in counts {
            match count {
                0 => return Err(ConfigError::Zero(name)),
                _ if count > ADDR_PEERS_MAX as usize => return Err(ConfigError::TooMany(name)),
                _ => {}
            }
        }
        if self.push_taken_max > ADDR_PEERS_MAX as usize {
            return Err(ConfigError::TooMany("push_taken_max"));
        }
        if self.neighbours_max > ADDR_NEIGHBOURS_MAX as usize {
            return Err(ConfigError::TooManyNeighbours(self.neighbours_max));
        }
        if self.answer_percent > 100 {
            return Err(ConfigError::BadPercent(self.answer_percent));
        }
        if let Some(name) = self.zero() {
            return Err(ConfigError::Zero(name));
        }
        if !(self.unasked_per_second.is_finite() && self.unasked_per_second >= 0.0) {
            return Err(ConfigError::BadRate);
        }
        if self.ask_small_secs_max < self.ask_small_secs {
            return Err(ConfigError::PausesCrossed);
        }
        if self.addrs_per_answer_min > self.addrs_per_answer_max {
            return Err(ConfigError::AnswersCrossed);
        }
        Ok(ValidConfig(Arc::new(self)))
    }

    fn zero(&self) -> Option<&'static str> {
        let every = match self.own_announce {
            OwnAnnounce::Never => 1,
            OwnAnnounce::MeanSecs(secs) | OwnAnnounce::EverySecs(secs) => secs,
        };
        let within = match self.confirm {
            Confirm::Off | Confirm::Mark => 1,
            Confirm::Require { within_secs } => within_secs,
        };
        let values = [
            ("ask_small_secs", self.ask_small_secs),
            ("ask_again_secs", self.ask_again_secs.unwrap_or(1)),
            ("own_announce", every),
            ("own_witnesses_min", self.own_witnesses_min as u64),
            ("confirm", within),
            ("probes_max", self.probes_max as u64),
            ("probe_secs", self.probe_secs),
            ("neighbours_secs", self.neighbours_secs.unwrap_or(1)),
            ("record_days", self.record_days),
            ("timeout_secs", self.timeout_secs),
        ];
        values.into_iter().find(|(_, value)| *value == 0).map(|(name, _)| name)
    }
}

/// Settings that were checked; cheap to clone.
#[derive(Clone, Debug, PartialEq)]
pub struct ValidConfig(Arc<Config>);

impl ValidConfig {
    /// The settings.
    pub fn settings(&self) -> &Config {
        &self.0
    }

    /// How long a request may take.
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.0.timeout_secs)
    }

    pub(crate) fn policy(&self) -> AddrPolicy {
        AddrPolicy { allow_private_addrs: self.0.allow_private_addrs }
    }

    /// Whether an endpoint that a peer names is dialled to try it.
    ///
    /// # Security
    /// A peer that shares its address with others, as behind one router, can name what is theirs, but no usual service.
    pub(crate) fn may_try(&self, endpoint: &Endpoint) -> bool {
        self.policy().check(endpoint).is_ok() && (self.0.dial_low_ports || !may_be_usual_service(endpoint))
    }
}

#[cfg(test)]
mod tests;
