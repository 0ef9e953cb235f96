mod backoff;
mod budget;
mod connections;
mod counted;
mod dialling;
mod eviction;
mod greeting;
mod hearing;
mod history;
mod liveness;
mod manual;
mod seats;
mod seeding;
mod seeds;
mod strangers;
mod upkeep;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::IpAddr,
    time::Duration,
};

use bruit_core::{ChaCha8Rng, Endpoint, PeerId, Seed, Timestamp, TokenBucket};

pub use budget::Standing;
use budget::{Allowance, Budget};
use counted::Counted;
pub use dialling::DialOutcome;
use dialling::{Dial, Dialling, Named, Purpose};
use eviction::Evictions;
pub use hearing::Hearing;
use history::History;
use liveness::Pulse;
use seeding::Seeding;
use upkeep::Upkeep;

use crate::{Config, DepartureCause, Event, Goodbye, GoodbyeReason, Hello, Mode, SlotClass, Strangeness, ValidConfig};

/// How a connection came about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// We dialled this endpoint.
    Dialled(Endpoint),
    /// It came in from this endpoint, whose port means nothing.
    Accepted(Endpoint),
}

impl Origin {
    /// The address of the other side.
    pub const fn endpoint(&self) -> &Endpoint {
        let (Self::Dialled(endpoint) | Self::Accepted(endpoint)) = self;
        endpoint
    }

    const fn is_dialled(&self) -> bool {
        matches!(self, Self::Dialled(_))
    }
}

/// Why a hello was not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HelloFailure {
    /// The peer does not speak the protocol.
    Unsupported,
    /// No answer came in time.
    TimedOut,
    /// The connection or the stream was lost.
    Lost,
    /// The answer was no hello.
    Malformed,
}

/// What the engine wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output<C> {
    /// Dial an endpoint.
    Dial {
        /// Where.
        endpoint: Endpoint,
        /// Whom to expect there, where that is known.
        peer: Option<PeerId>,
    },
    /// Send a hello.
    SendHello {
        /// To whom.
        peer: PeerId,
        /// What to say.
        hello: Hello,
    },
    /// Send a ping, and tell when it was answered.
    SendPing {
        /// To whom.
        peer: PeerId,
        /// Which one it is: its answer is told with the same number.
        number: u64,
    },
    /// Send a goodbye.
    SendGoodbye {
        /// To whom.
        peer: PeerId,
        /// What to say.
        goodbye: Goodbye,
    },
    /// Close a connection.
    Close {
        /// To whom.
        peer: PeerId,
        /// Which one.
        connection: C,
    },
    /// Tell the owner.
    Event(Event),
}

/// A connected peer, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerView {
    /// The peer.
    pub peer: PeerId,
    /// Its slot; `None` while it is greeting or leaving.
    pub class: Option<SlotClass>,
    /// Where it was dialled, or from where it came.
    pub remote: Endpoint,
    /// Since when it is connected.
    pub since: Timestamp,
    /// The shortest time that an answer to a ping took.
    pub latency: Option<std::time::Duration>,
    /// What it said.
    pub hello: Option<Hello>,
}

#[derive(Debug)]
struct Peer<C> {
    connections: Vec<(C, Origin)>,
    state: State,
    hello: Option<Hello>,
    /// Where this node has dialled it, and found it.
    found_at: Option<Endpoint>,
    /// How often we said hello.
    hellos: u32,
    /// What it may still say.
    requests: TokenBucket,
    since: Timestamp,
    /// When the newest of its connections was made.
    newest_since: Timestamp,
    /// What we want of it, if we dialled it.
    purpose: Purpose,
    pulse: Pulse,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Greeting { deadline: Timestamp },
    Held(SlotClass),
    Leaving { deadline: Timestamp },
}

/// How often a peer is greeted whose answers are lost. 3: each time another connection may have been the one that closed.
const HELLOS_MAX: u32 = 3;

/// The rules of peering. `C` is how the owner names a connection.
///
/// # Security
/// Every peer that connects costs one entry until it leaves; the owner must ask [`Engine::accepts_inbound`] before it lets a
/// connection in, and [`Engine::request_received`] before it tells what a peer asks. A peer that says no hello is gone after
/// `hello_timeout`.
#[derive(Debug)]
pub struct Engine<C> {
    local: PeerId,
    valid: ValidConfig,
    rng: ChaCha8Rng,
    peers: BTreeMap<PeerId, Peer<C>>,
    /// Where the connections lead that were dialled.
    dialled_at: Counted<Endpoint>,
    deadlines: BTreeSet<(Timestamp, PeerId)>,
    /// When pings, or their answers, are due.
    pulses: BTreeSet<(Timestamp, PeerId)>,
    dialling: Dialling,
    budget: Budget,
    seeding: Seeding,
    upkeep: Upkeep,
    evictions: Evictions,
    pings: u64,
    secret: Seed,
    listen: Vec<Endpoint>,
    features: Vec<String>,
    history: History,
    outputs: VecDeque<Output<C>>,
    stopping: bool,
}

impl<C> Peer<C> {
    const fn is_leaving(&self) -> bool {
        matches!(self.state, State::Leaving { .. })
    }
}

impl<C: Copy + Ord> Engine<C> {
    /// Makes an engine without peers.
    pub fn new(config: ValidConfig, local: PeerId, seed: Seed) -> Self {
        Self {
            local,
            rng: seed.derive("peering", 0).rng(),
            secret: seed.derive("groups", 0),
            pulses: BTreeSet::new(),
            budget: Budget::new(&config.config),
            seeding: Seeding::default(),
            upkeep: Upkeep::default(),
            evictions: Evictions::new(&config.config),
            pings: 0,
            peers: BTreeMap::new(),
            dialled_at: Counted::new(),
            deadlines: BTreeSet::new(),
            dialling: Dialling::new(&config.config),
            listen: Vec::new(),
            features: Vec::new(),
            history: History::new(config.config.history_max),
            outputs: VecDeque::new(),
            stopping: false,
            valid: config,
        }
    }

    // facts

    /// Our own addresses and features, as hellos tell them from now on.
    pub fn presented(&mut self, listen: Vec<Endpoint>, features: Vec<String>) {
        self.listen = listen;
        self.features = features;
    }

    /// A peer said goodbye.
    pub fn goodbye_received(&mut self, peer: PeerId, goodbye: Goodbye, now: Timestamp) {
        if self.peers.get(&peer).is_none_or(Peer::is_leaving) {
            return;
        }
        let goodbye = self.follow(peer, goodbye, now);
        let Goodbye { reason, alternatives, .. } = goodbye.clone();
        self.depart(peer, DepartureCause::Received(goodbye), now);
        self.leave_after(peer, now);
        let dialled = self.dialled_endpoints(peer).into_iter().next();
        if let (GoodbyeReason::Full, Some(remote)) = (reason, dialled) {
            self.tell(Event::Refused { peer, remote, alternatives });
        }
    }

    /// A peer has our goodbye, or will never have it.
    pub fn goodbye_ended(&mut self, peer: PeerId) {
        if let Some(Peer { state: State::Leaving { .. }, .. }) = self.peers.get(&peer) {
            self.close(peer);
        }
    }

    // commands

    /// Names an address to start from: dialled when nobody else can be proposed. Beyond `manual_max` it is not taken.
    pub fn add_seed(&mut self, endpoint: Endpoint, peer: Option<PeerId>, now: Timestamp) -> bool {
        let max = self.config().manual_max;
        let added = add(&mut self.dialling.seeds, Named::new(endpoint, peer), max);
        self.dialling.look_soon(&self.valid.config, now);
        self.look_for_peers(now);
        added
    }

    /// Proposes a peer to dial.
    pub fn dial(
        &mut self,
        endpoint: Endpoint,
        peer: Option<PeerId>,
        standing: Standing,
        now: Timestamp,
    ) -> DialOutcome {
        if self.wanted() == 0 {
            return DialOutcome::Enough;
        }
        let purpose = if self.wants_quiet() { Purpose::Quiet } else { Purpose::Fill };
        self.start_dial(Named::new(endpoint, peer), purpose, Some(standing), now)
    }

    /// Says that new addresses are known.
    pub fn addresses_learned(&mut self, now: Timestamp) {
        self.dialling.look_soon(&self.valid.config, now);
        self.look_for_peers(now);
    }

    /// Says goodbye to a peer and closes its connections; false if it is not connected or leaves already.
    pub fn say_goodbye(&mut self, peer: PeerId, reason: GoodbyeReason, now: Timestamp) -> bool {
        self.part(peer, Goodbye::because(reason), now)
    }

    fn part(&mut self, peer: PeerId, goodbye: Goodbye, now: Timestamp) -> bool {
        if self.peers.get(&peer).is_none_or(Peer::is_leaving) {
            return false;
        }
        self.outputs.push_back(Output::SendGoodbye { peer, goodbye: goodbye.clone() });
        self.depart(peer, DepartureCause::Sent(goodbye), now);
        self.leave_after(peer, now);
        true
    }

    /// Closes every connection to a peer at once, without a word.
    pub fn close(&mut self, peer: PeerId) {
        let Some(known) = self.peers.get(&peer) else { return };
        let closing = known.connections.iter().map(|(connection, _)| Output::Close { peer, connection: *connection });
        self.outputs.extend(closing);
    }

    /// Says goodbye to all peers and dials nobody any more.
    pub fn stop(&mut self, now: Timestamp) {
        self.stopping = true;
        for peer in self.peers.keys().copied().collect::<Vec<_>>() {
            self.say_goodbye(peer, GoodbyeReason::ShuttingDown, now);
        }
    }

    // time

    /// The next moment at which `handle_timeout` has something to do.
    pub fn next_timeout(&self) -> Option<Timestamp> {
        let deadline = self.deadlines.first().map(|(deadline, _)| *deadline);
        let look = (self.wanted() > 0).then(|| self.dialling.look_at());
        if self.stopping {
            return deadline;
        }
        let manual = self
            .dialling
            .manual_waiting(|named| is_connected(&self.peers, &self.dialled_at, &named.endpoint, named.peer))
            .map(|(at, _)| at)
            .min();
        let late = self.dialling.next_overdue(self.valid.config.dial_patience);
        let pulse = self.pulses.first().map(|(due, _)| *due);
        [deadline, look, manual, late, pulse, self.next_upkeep()].into_iter().flatten().min()
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        while let Some((_, peer)) = self.deadlines.first().copied().filter(|(deadline, _)| *deadline <= now) {
            self.deadlines.pop_first();
            match self.peers.get(&peer).map(|known| known.state) {
                Some(State::Greeting { .. }) => self.estrange(peer, Strangeness::Silent, now),
                Some(State::Leaving { .. }) => self.close(peer),
                Some(State::Held(_)) | None => {}
            }
        }
        if self.stopping {
            return;
        }
        self.feel_pulses(now);
        self.dialling.lose_patience(&self.valid.config, now);
        self.keep_up(now);
        self.dial_manual(now);
        self.look_for_peers(now);
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output<C>> {
        self.outputs.pop_front()
    }

    // inner moves

    fn config(&self) -> &Config {
        &self.valid.config
    }

    fn tell(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    /// Takes the slot away; the connection goes when the goodbye has arrived or the time is over.
    fn leave_after(&mut self, peer: PeerId, now: Timestamp) {
        let deadline = now.after(self.config().refused_linger);
        let Some(known) = self.peers.get_mut(&peer) else { return };
        let before = known.state;
        if let State::Leaving { .. } = before {
            return;
        }
        known.state = State::Leaving { deadline };
        self.clear_deadline(peer, before);
        self.deadlines.insert((deadline, peer));
        if let State::Held(_) = before {
            self.end_pulse(peer);
            self.tell(Event::PeerDown { peer });
        }
        self.dialling.look_soon(&self.valid.config, now);
    }

    /// Stays away from where a peer was dialled that says goodbye; returns the goodbye with how long that is in truth: no peer keeps
    /// this node away for longer than the settings let it, and who came is not dialled anyway.
    fn follow(&mut self, peer: PeerId, goodbye: Goodbye, now: Timestamp) -> Goodbye {
        Goodbye { stay_away: self.stay_away_from(peer, goodbye.stay_away, now), ..goodbye }
    }

    fn stay_away_from(&mut self, peer: PeerId, span: Duration, now: Timestamp) -> Duration {
        let endpoints = self.dialled_endpoints(peer).into_iter();
        let spans = endpoints.map(|endpoint| self.dialling.stay_away(&endpoint, span, &self.valid.config, now));
        spans.max().unwrap_or_default()
    }

    fn clear_deadline(&mut self, peer: PeerId, state: State) {
        if let State::Greeting { deadline } | State::Leaving { deadline } = state {
            self.deadlines.remove(&(deadline, peer));
        }
    }

    /// Whether a proposal to dial would be taken, if one more dial may begin at all: nobody is proposed in vain who is connected,
    /// is being dialled, has to be left alone for a while, or is not wanted.
    pub fn may_dial(&self, endpoint: &Endpoint, peer: Option<PeerId>, standing: Standing, now: Timestamp) -> bool {
        self.hindrance(endpoint, peer, Purpose::Fill, now).is_none()
            && (self.dialling.is_named(endpoint) || self.budget.admits(endpoint, standing, &self.valid.config, now))
    }

    /// Dials an endpoint that was proposed, or without a standing one that the operator named.
    fn start_dial(
        &mut self,
        named: Named,
        purpose: Purpose,
        standing: Option<Standing>,
        now: Timestamp,
    ) -> DialOutcome {
        let Named { endpoint, peer, .. } = named;
        if let Some(hindrance) = self.hindrance(&endpoint, peer, purpose, now) {
            return hindrance;
        }
        if let Some(standing) = standing.filter(|_| !self.dialling.is_named(&endpoint)) {
            match self.budget.ask(&endpoint, standing, &self.valid.config, now) {
                Allowance::Granted => {}
                Allowance::NotThere => return DialOutcome::BackingOff,
                Allowance::NotNow => return DialOutcome::Enough,
            }
        }
        self.dialling.begin(endpoint.clone(), Dial::new(peer, purpose, now));
        self.tell(Event::DialStarted { endpoint: endpoint.clone(), peer });
        self.outputs.push_back(Output::Dial { endpoint, peer });
        DialOutcome::Started
    }

    /// What speaks against a dial, but for how many there may be.
    fn hindrance(
        &self,
        endpoint: &Endpoint,
        peer: Option<PeerId>,
        purpose: Purpose,
        now: Timestamp,
    ) -> Option<DialOutcome> {
        let is_there = is_connected(&self.peers, &self.dialled_at, endpoint, peer);
        if is_there || peer == Some(self.local) || self.listen.contains(endpoint) {
            return Some(DialOutcome::Connected);
        }
        if self.dialling.is_under_way(endpoint, peer) {
            return Some(DialOutcome::UnderWay);
        }
        if purpose != Purpose::Manual && self.config().mode != Mode::Open {
            return Some(DialOutcome::Forbidden);
        }
        if !self.is_admitted(peer.as_ref(), endpoint.ip()) {
            return Some(DialOutcome::Forbidden);
        }
        (!self.dialling.backoff.is_due(endpoint, now)).then_some(DialOutcome::BackingOff)
    }

    fn look_for_peers(&mut self, now: Timestamp) {
        let count = self.wanted();
        if count == 0 || self.dialling.look_at() > now {
            return;
        }
        self.dialling.take_turn(&self.valid.config, now);
        self.tell(Event::CandidatesWanted { count });
    }
}

fn add(list: &mut Vec<Named>, named: Named, max: usize) -> bool {
    if list.len() >= max || list.iter().any(|other| other.endpoint == named.endpoint) {
        return false;
    }
    list.push(named);
    true
}

/// Whether a peer is connected, or, if nobody said who it is, whoever was dialled there.
fn is_connected<C>(
    peers: &BTreeMap<PeerId, Peer<C>>,
    dialled_at: &Counted<Endpoint>,
    endpoint: &Endpoint,
    peer: Option<PeerId>,
) -> bool {
    peer.map_or_else(|| dialled_at.holds(endpoint), |peer| peers.contains_key(&peer))
}
