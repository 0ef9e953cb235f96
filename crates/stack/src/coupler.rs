//! What a node does because one engine said something that means something to another: commands of the coupling, carried out.

mod book_keeping;
mod choosing;

use std::collections::{BTreeMap, VecDeque};

use bruit_addr_exchange::{AnswerOrder, BookSize, Confirm, PeerAddr, PeerHello};
use bruit_address_book::{AddressBook, Heard, Hearsay, SampleOrder, SampleRules, Source};
use bruit_core::{AddrPolicy, Audience, ChaCha8Rng, Conduct, Endpoint, NetGroup, PeerId, Seed, Timestamp};
use bruit_peering::{DialOutcome, GoodbyeReason, SlotClass, Standing};
use rand::seq::IteratorRandom;

use self::book_keeping::Conducts;
use crate::{
    Lineage, ValidConfig,
    coupling::{self, Command},
};

/// The engines of one node, as a [`Coupler`] drives them: behaviours in a swarm, bare engines in a simulation.
pub trait Engines {
    /// How peering names a connection.
    type Connection: Copy + Ord;

    /// What peering knows.
    fn peering(&self) -> &bruit_peering::Engine<Self::Connection>;
    /// Proposes a peer to dial.
    fn dial(&mut self, endpoint: Endpoint, peer: Option<PeerId>, standing: Standing, now: Timestamp) -> DialOutcome;
    /// Dials only to see whether a peer is there.
    fn visit(&mut self, endpoint: Endpoint, peer: Option<PeerId>, standing: Standing, now: Timestamp) -> DialOutcome;
    /// Tells peering that a peer was the first to deliver something.
    fn delivered_first(&mut self, peer: PeerId, now: Timestamp);
    /// How many connected peers are known to hold a peer; 0 where nobody tells.
    fn holders(&self, _peer: &PeerId) -> usize {
        0
    }
    /// Says that there are fewer candidates than wanted.
    fn candidates_exhausted(&mut self, now: Timestamp);
    /// Says that new addresses are known.
    fn addresses_learned(&mut self, now: Timestamp);
    /// Says goodbye to a peer.
    fn say_goodbye(&mut self, peer: PeerId, reason: GoodbyeReason, now: Timestamp);
    /// Lets a peer take part in gossip, requests and address exchange.
    fn admit(&mut self, peer: PeerId, now: Timestamp);
    /// Lets a peer take part in gossip and requests only.
    fn admit_quietly(&mut self, peer: PeerId, now: Timestamp);
    /// Lets it take part no longer.
    fn dismiss(&mut self, peer: PeerId, now: Timestamp);
    /// Tells peering that a peer has told what it knows.
    fn addresses_told(&mut self, peer: PeerId, now: Timestamp);
    /// Asks a peer for addresses. One that is gone or was asked not long ago is not asked: somebody else will be.
    fn ask(&mut self, peer: PeerId, now: Timestamp);
    /// Passes on what a peer told unasked, as far as address exchange sees fit.
    fn relay(&mut self, from: PeerId, addrs: Vec<PeerAddr>, now: Timestamp);
    /// Tells address exchange what a peer's hello says about places, and whether others are never to be told of the peer.
    fn locate(&mut self, peer: PeerId, hello: PeerHello, is_secret: bool, now: Timestamp);
    /// Makes address exchange never name a connected peer to others.
    fn hide(&mut self, peer: PeerId);
    /// Tells address exchange whether more addresses are wanted.
    fn more_wanted(&mut self, is_more_wanted: bool, now: Timestamp);
    /// Tells address exchange how much the book holds.
    fn book_counted(&mut self, book: BookSize);
    /// Makes address exchange forget the answers that it keeps: somebody in them is to be named no longer.
    fn forget_answers(&mut self);
    /// Tells requests how good a peer is, from 0 to 1.
    fn set_quality(&mut self, peer: PeerId, quality: f32);
}

/// The address book and what is done with it: the same rules in a node and in the simulator.
pub struct Coupler {
    book: AddressBook,
    rng: ChaCha8Rng,
    conducts: Conducts,
    remotes: BTreeMap<PeerId, Endpoint>,
    lineage: Lineage,
    commands: VecDeque<Command>,
    addr_policy: AddrPolicy,
    ban_below: i32,
    sample_rules: SampleRules,
}

impl Coupler {
    /// Makes the coupler of a node without peers. What is drawn follows from `chance`; the places in the book from `book`.
    pub fn new(config: &ValidConfig, local: PeerId, chance: &Seed, book: Seed) -> Self {
        let mut book = AddressBook::new(config.book.clone(), book);
        book.own_peer(local);
        Self {
            book,
            rng: chance.derive("stack", 0).rng(),
            conducts: Conducts::default(),
            remotes: BTreeMap::new(),
            lineage: Lineage::default(),
            commands: VecDeque::new(),
            addr_policy: config.addr_policy,
            ban_below: config.ban_below,
            sample_rules: sample_rules(config.exchange.settings()),
        }
    }

    /// The address book.
    pub const fn book(&self) -> &AddressBook {
        &self.book
    }

    /// The address book, for what the operator and storage change.
    pub const fn book_mut(&mut self) -> &mut AddressBook {
        &mut self.book
    }

    /// Takes an event of peering in.
    pub fn peering_said(&mut self, event: &bruit_peering::Event, engines: &mut impl Engines, now: Timestamp) {
        self.commands.extend(coupling::of_peering(event, |endpoint| self.book.group_of(endpoint)));
        let peering = engines.peering();
        let is_more_wanted = peering.held(SlotClass::Outbound) < peering.settings().outbound_target;
        engines.more_wanted(is_more_wanted, now);
        self.trace(event);
        if let bruit_peering::Event::PeerUp { peer, remote, .. } = event {
            self.remotes.insert(*peer, remote.clone());
        } else if let bruit_peering::Event::PeerDown { peer } = event {
            self.remotes.remove(peer);
        }
    }

    /// Notes how this node came to know who may tell of others.
    fn trace(&mut self, event: &bruit_peering::Event) {
        use bruit_peering::Event;
        if let Event::DialSucceeded { endpoint, .. } = event {
            self.lineage.dialled(self.book.group_of(endpoint), self.teller_of(endpoint));
        } else if let Event::PeerUp { class: SlotClass::Inbound, remote, .. } | Event::Turned { remote, .. } = event {
            self.lineage.came(self.book.group_of(remote));
        }
    }

    /// In what group somebody first told of an endpoint, whether the book had room for it or not.
    fn teller_of(&self, endpoint: &Endpoint) -> Option<NetGroup> {
        self.book.source_of(endpoint).or_else(|| self.lineage.nominator_of(endpoint))
    }

    /// Takes in what is to be done because of something that no other method here is told.
    pub fn order(&mut self, command: Command) {
        self.commands.push_back(command);
    }

    /// Takes in what a protocol saw of a peer.
    pub fn conduct_seen(&mut self, peer: PeerId, conduct: Conduct) {
        self.commands.push_back(coupling::of_conduct(peer, conduct));
    }

    /// Takes in addresses that a peer has told, and whether new ones may be passed on.
    pub fn addrs_told(
        &mut self,
        peer: PeerId,
        addrs: Vec<PeerAddr>,
        may_relay: bool,
        engines: &mut impl Engines,
        now: Timestamp,
    ) {
        engines.addresses_told(peer, now);
        let group = self.seen_at(&peer, engines).map_or(NetGroup::Local, |remote| self.book.group_of(&remote));
        self.commands.push_back(coupling::of_addrs(Source::Peer { peer, group }, addrs, may_relay));
    }

    /// Draws what somebody is told who asks for addresses.
    pub fn sample_for(&mut self, asker: PeerId, audience: Audience, now: Timestamp) -> Vec<PeerAddr> {
        let sample = self.book.sample(self.sample_rules, audience, now);
        let others = sample.iter().filter(|known| known.peer != Some(asker));
        others.map(|known| PeerAddr::new(known.peer, known.endpoints.to_vec(), Some(known.last_seen))).collect()
    }

    /// Whether commands wait to be carried out.
    pub fn is_idle(&self) -> bool {
        self.commands.is_empty()
    }

    /// Carries the next command out; false if there is none.
    pub fn carry_out_next(&mut self, engines: &mut impl Engines, now: Timestamp) -> bool {
        let Some(command) = self.commands.pop_front() else { return false };
        match command {
            Command::Admit(peer) => engines.admit(peer, now),
            Command::AdmitQuietly(peer) => engines.admit_quietly(peer, now),
            Command::Dismiss(peer) => engines.dismiss(peer, now),
            Command::BookHeard { addrs, source, relay } => self.hear(addrs, source, relay, engines, now),
            Command::Propose(count) => self.propose(count, engines, now),
            Command::DialAlternatives { named, by } => self.dial_alternatives(&named, &by, engines, now),
            Command::Feel => self.feel(engines, now),
            Command::AskForAddrs(peer) => engines.ask(peer, now),
            Command::AskAnybodyForAddrs => self.ask_anybody(engines, now),
            Command::Locate { peer, hello } => {
                let is_manual = engines.peering().class_of(&peer) == Some(SlotClass::Manual);
                engines.locate(peer, hello, is_manual || self.book.is_special(&peer), now);
            }
            Command::Hide(peer) => {
                engines.hide(peer);
                engines.forget_answers();
            }
            Command::Part(peer) => engines.say_goodbye(peer, GoodbyeReason::Requested, now),
            Command::BookConnected { .. }
            | Command::BookDisconnected(_)
            | Command::BookDialStarted(_)
            | Command::BookDialSucceeded(..)
            | Command::BookDialFailed(_)
            | Command::BookOwnEndpoint(_)
            | Command::BookWrongIdentity { .. }
            | Command::BookConduct(..) => self.keep_book(command, engines, now),
        }
        true
    }

    fn seen_at(&self, peer: &PeerId, engines: &impl Engines) -> Option<Endpoint> {
        let connected = || engines.peering().peers().find(|view| view.peer == *peer).map(|view| view.remote);
        self.remotes.get(peer).cloned().or_else(connected)
    }

    /// Asks somebody whom we dialled, or, if everybody dialled us, any peer.
    fn ask_anybody(&mut self, engines: &mut impl Engines, now: Timestamp) {
        let held: Vec<_> = engines.peering().peers().filter_map(|view| Some((view.peer, view.class?))).collect();
        let dialled = held.iter().filter(|(_, class)| *class != SlotClass::Inbound);
        let chosen = dialled.choose(&mut self.rng).or_else(|| held.iter().choose(&mut self.rng));
        if let Some((peer, _)) = chosen {
            engines.ask(*peer, now);
        }
    }

    fn hear(&mut self, addrs: Vec<PeerAddr>, source: Source, relay: bool, engines: &mut impl Engines, now: Timestamp) {
        let (mut is_any_new, mut news) = (false, Vec::new());
        for mut addr in addrs {
            let PeerAddr { peer, last_seen, .. } = addr;
            let mut is_news = |endpoint: &Endpoint| {
                let hearsay = Hearsay { peer, endpoint: endpoint.clone(), last_seen, source };
                let heard = self.book.heard(hearsay, now);
                is_any_new |= heard == Heard::Added;
                matches!(heard, Heard::Added | Heard::Refreshed)
            };
            addr.endpoints.retain(&mut is_news);
            if !addr.endpoints.is_empty() && !self.is_secret(&addr, now) {
                news.push(addr);
            }
        }
        if is_any_new {
            self.count_book(engines);
            engines.addresses_learned(now);
        }
        if let (true, Source::Peer { peer, .. }) = (relay && !news.is_empty(), source) {
            engines.relay(peer, news, now);
        }
    }

    fn count_book(&self, engines: &mut impl Engines) {
        engines.book_counted(BookSize { entries: self.book.len(), reached: self.book.reached() });
    }

    /// Whether nobody is to be told of an address: the operator named it, or it is banned.
    fn is_secret(&self, addr: &PeerAddr, now: Timestamp) -> bool {
        let is_banned = |endpoint: &Endpoint| self.book.is_banned(addr.peer.as_ref(), endpoint.ip(), now);
        addr.peer.is_some_and(|peer| self.book.is_special(&peer))
            || addr.endpoints.iter().any(|endpoint| is_banned(endpoint) || self.book.is_special_endpoint(endpoint))
    }
}

fn sample_rules(exchange: &bruit_addr_exchange::Config) -> SampleRules {
    SampleRules {
        least: exchange.addrs_per_answer_min,
        percent: exchange.answer_percent,
        most: exchange.addrs_per_answer_max,
        order: match exchange.answer_order {
            AnswerOrder::Random => SampleOrder::Random,
            AnswerOrder::BestFirst => SampleOrder::BestFirst,
        },
        // Peers are dialled back unless that is off.
        unproven_claims: exchange.confirm == Confirm::Off,
    }
}
