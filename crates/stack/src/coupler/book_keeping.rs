//! What the book is told, and what its judgement leads to.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use bruit_address_book::{Ban, BanReason, BanSource, BanSubject, Banned, BansFullError, Evidence, Part};
use bruit_core::{Conduct, PeerId, Scope, Timestamp, host_ip, scope_of};
use bruit_peering::{GoodbyeReason, SlotClass};

use super::{Coupler, Engines};
use crate::coupling::Command;

/// For how long a rule bans.
const BAN: Duration = Duration::from_secs(3_600);
/// How many peers from one IP address are banned by rule before the address is. Lighthouse: 5.
const BANNED_PEERS_PER_IP_MAX: usize = 5;
/// How often conduct that comes with every item is passed on.
const FLUSH_INTERVAL: Duration = Duration::from_secs(1);
/// Quality, in thousandths of a point, that counts as one half more or less in the choice of whom to ask.
const QUALITY_SPAN: f32 = 40_000.0;

/// Conduct that comes too often to be told one by one.
#[derive(Debug, Default)]
pub(super) struct Conducts {
    counts: BTreeMap<PeerId, [u32; 2]>,
    flush_at: Option<Timestamp>,
}

impl Conducts {
    fn add(&mut self, peer: PeerId, kind: usize, now: Timestamp) {
        if let Some(count) = self.counts.entry(peer).or_default().get_mut(kind) {
            *count = count.saturating_add(1);
        }
        self.flush_at.get_or_insert(now.after(FLUSH_INTERVAL));
    }
}

impl Coupler {
    /// When [`flush`](Self::flush) is due.
    pub const fn flush_at(&self) -> Option<Timestamp> {
        self.conducts.flush_at
    }

    /// Tells the book of the conduct that was gathered.
    pub fn flush(&mut self, engines: &mut impl Engines, now: Timestamp) {
        self.conducts.flush_at = None;
        for (peer, [first, duplicates]) in std::mem::take(&mut self.conducts.counts) {
            for (conduct, count) in [(Conduct::DeliveredFirst, first), (Conduct::DeliveredDuplicate, duplicates)] {
                if count > 0 {
                    self.book.conduct(peer, conduct, count, now);
                }
            }
            self.judge(peer, engines, now);
        }
    }

    pub(super) fn keep_book(&mut self, command: Command, engines: &mut impl Engines, now: Timestamp) {
        match command {
            Command::BookConnected { peer, listen, seen_at } => {
                self.book.connected(peer, now);
                self.book.hello_received(peer, &listen, &seen_at, now);
                self.count_book(engines);
                self.judge(peer, engines, now);
            }
            Command::BookDisconnected(peer) => self.book.disconnected(&peer, now),
            Command::BookDialStarted(endpoint) => self.book.dial_started(&endpoint, now),
            Command::BookDialSucceeded(endpoint, peer) => {
                self.book.resolve_collisions(now);
                self.book.dial_succeeded(&endpoint, peer, now);
                self.count_book(engines);
            }
            Command::BookDialFailed(endpoint) => {
                self.book.resolve_collisions(now);
                self.book.dial_failed(&endpoint, now);
            }
            Command::BookOwnEndpoint(endpoint) => self.book.own_endpoint(endpoint),
            Command::BookWrongIdentity { endpoint, found } => {
                self.book.wrong_identity(&endpoint, found, now);
            }
            Command::BookConduct(peer, Conduct::DeliveredFirst) => {
                engines.delivered_first(peer, now);
                self.conducts.add(peer, 0, now);
            }
            Command::BookConduct(peer, Conduct::DeliveredDuplicate) => self.conducts.add(peer, 1, now),
            Command::BookConduct(peer, conduct) => {
                self.book.conduct(peer, conduct, 1, now);
                self.judge(peer, engines, now);
            }
            Command::Admit(_)
            | Command::AdmitQuietly(_)
            | Command::DialAlternatives { .. }
            | Command::Feel
            | Command::Dismiss(_)
            | Command::BookHeard { .. }
            | Command::Propose(_)
            | Command::AskForAddrs(_)
            | Command::AskAnybodyForAddrs
            | Command::Locate { .. }
            | Command::Hide(_)
            | Command::Part(_) => {}
        }
    }

    /// Lets requests prefer peers of quality; told anew when a peer's link comes up, since before that nothing is kept.
    pub fn rate(&mut self, peer: PeerId, engines: &mut impl Engines, now: Timestamp) -> i32 {
        let total = self.book.quality(&peer, now).total;
        engines.set_quality(peer, 0.5 + total as f32 / (2.0 * QUALITY_SPAN));
        total
    }

    /// Bans a peer whose quality is too low, unless it is spared.
    pub fn judge(&mut self, peer: PeerId, engines: &mut impl Engines, now: Timestamp) {
        let total = self.rate(peer, engines, now);
        let is_manual = engines.peering().class_of(&peer) == Some(SlotClass::Manual);
        let spared = is_manual || self.book.is_spared(&peer) || self.book.is_banned(Some(&peer), None, now);
        if total >= self.ban_below || spared {
            return;
        }
        let quality = self.book.quality(&peer, now);
        let mut parts = [0; Part::ALL.len()];
        parts.iter_mut().zip(&quality.parts).for_each(|(points, value)| *points = value.points);
        let seen_at = self.seen_at(&peer, engines).and_then(|remote| remote.ip());
        let evidence = Evidence { parts, below: self.ban_below, seen_at };
        let reason = evidence.top().first().map_or(BanReason::BrokeProtocol, |part| BanReason::of(*part));
        let ban = Ban::by_rule(BanSubject::Peer(peer), reason, BAN, now).with_evidence(evidence);
        if self.book.ban(ban, now).is_ok() {
            engines.forget_answers();
            engines.say_goodbye(peer, GoodbyeReason::Misconduct, now);
            self.ban_ip_of_many(seen_at, engines, now);
        }
    }

    /// Identities cost nothing: an address that several banned ones came from is banned with all that are connected from there.
    fn ban_ip_of_many(&mut self, ip: Option<IpAddr>, engines: &mut impl Engines, now: Timestamp) {
        let Some(ip) = ip.filter(|ip| scope_of(*ip) == Scope::Global) else { return };
        let from_there = |ban: &&Ban| {
            ban.source == BanSource::Rule
                && ban.evidence.and_then(|evidence| evidence.seen_at).map(host_ip) == Some(host_ip(ip))
        };
        if self.book.bans(now).filter(from_there).count() >= BANNED_PEERS_PER_IP_MAX {
            let ban = Ban::by_rule(BanSubject::host(ip), BanReason::BannedPeers, BAN, now);
            // A full list of operators' bans is the operator's wish.
            let _ = self.ban(ban, engines, now);
        }
    }

    /// Bans, and says goodbye to all whom it concerns, as everybody who is connected from an address: for misconduct if a rule
    /// bans, by request if a person does, who owes nobody a reason. Peers that the operator named are spared, unless the operator
    /// bans them; who is only discouraged stays.
    pub fn ban(&mut self, ban: Ban, engines: &mut impl Engines, now: Timestamp) -> Result<Banned, BansFullError> {
        let banned = self.book.ban(ban, now)?;
        engines.forget_answers();
        let concerned = |view: &bruit_peering::PeerView| {
            let is_meant = match ban.subject {
                BanSubject::Peer(peer) => view.peer == peer,
                BanSubject::Ip(_) | BanSubject::Net(_) => {
                    view.remote.ip().is_some_and(|ip| ban.subject.holds_ip(ip)) && view.class != Some(SlotClass::Manual)
                }
            };
            is_meant && self.book.is_barred(Some(&view.peer), view.remote.ip(), now)
        };
        let reason = match ban.source {
            BanSource::Rule => GoodbyeReason::Misconduct,
            BanSource::Operator => GoodbyeReason::Requested,
        };
        let peers: Vec<_> = engines.peering().peers().filter(concerned).map(|view| view.peer).collect();
        for peer in peers {
            engines.say_goodbye(peer, reason, now);
        }
        Ok(banned)
    }
}
