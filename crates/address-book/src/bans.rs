//! Who must not be dialled, stored or let in: a bounded list whose entries say why, by whom and until when.

use std::{collections::BTreeMap, fmt, net::IpAddr, str::FromStr, time::Duration};

use bruit_core::{PeerId, Timestamp};

use crate::{IpNet, Part};

/// What a ban is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum BanSubject {
    /// An identity. It costs nothing to make another.
    Peer(PeerId),
    /// An observed IP address; never one that was only claimed.
    Ip(IpAddr),
    /// All IP addresses that begin alike.
    Net(IpNet),
}

impl BanSubject {
    /// All that one host may come from: its IPv4 address, or the IPv6 addresses that share the first 64 bits with its own.
    pub fn host(ip: IpAddr) -> Self {
        let ip = ip.to_canonical();
        IpNet::of_length(ip, (true, 64)).map_or(Self::Ip(ip), Self::Net)
    }

    /// Whether the ban concerns an IP address.
    pub fn holds_ip(&self, ip: IpAddr) -> bool {
        match self {
            Self::Peer(_) => false,
            Self::Ip(banned) => banned.to_canonical() == ip.to_canonical(),
            Self::Net(net) => net.contains(ip),
        }
    }
}

impl fmt::Display for BanSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Peer(peer) => peer.fmt(f),
            Self::Ip(ip) => ip.fmt(f),
            Self::Net(net) => net.fmt(f),
        }
    }
}

/// A text that is no subject of a ban.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is neither a peer id nor an IP address nor a net as 1.2.3.0/24")]
pub struct BanSubjectError;

impl FromStr for BanSubject {
    type Err = BanSubjectError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let ip = text.parse().map(Self::Ip).ok();
        let net = || text.parse().map(Self::Net).ok();
        let peer = || text.parse().map(Self::Peer).ok();
        ip.or_else(net).or_else(peer).map(canonical).ok_or(BanSubjectError)
    }
}

/// Why there is a ban.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum BanReason {
    /// The operator wished it.
    Requested,
    /// It belongs to another network.
    WrongNetwork,
    /// It broke rules of a protocol.
    BrokeProtocol,
    /// It sent what the application calls invalid.
    SentInvalid,
    /// It answered calls falsely, or not at all.
    FailedCalls,
    /// The application found it bad.
    Application,
    /// Several peers that were banned came from there.
    BannedPeers,
}

impl BanReason {
    /// The reason that a part of quality stands for.
    pub const fn of(part: Part) -> Self {
        match part {
            Part::Invalid | Part::Delivery => Self::SentInvalid,
            Part::Rpc | Part::Latency => Self::FailedCalls,
            Part::Application => Self::Application,
            Part::Dial | Part::Uptime | Part::Addresses => Self::BrokeProtocol,
        }
    }
}

/// Who made a ban.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum BanSource {
    /// A rule of the node.
    Rule,
    /// A person.
    Operator,
}

/// What a ban forbids.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Severity {
    /// It may connect while there is room, and is not preferred.
    Discouraged,
    /// No connection, no entry, no word of it.
    #[default]
    Banned,
}

/// What a rule saw when it banned: each part of the quality, and where the peer was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Evidence {
    /// The quality's parts in thousandths of a point, in the order of [`Part::ALL`].
    pub parts: [i32; Part::ALL.len()],
    /// The threshold that their sum was below.
    pub below: i32,
    /// Where the peer was seen.
    pub seen_at: Option<IpAddr>,
}

impl Evidence {
    /// The sum of the parts.
    pub fn total(&self) -> i32 {
        self.parts.iter().fold(0, |total, points| total.saturating_add(*points))
    }

    /// The parts without which there would be no ban: the worst ones, as many as it takes.
    pub fn top(&self) -> Vec<Part> {
        let mut worst: Vec<(i32, Part)> =
            self.parts.into_iter().zip(Part::ALL).filter(|(points, _)| *points < 0).collect();
        worst.sort();
        let mut total = self.total();
        let mut top = Vec::new();
        for (points, part) in worst {
            if total >= self.below {
                break;
            }
            total = total.saturating_sub(points);
            top.push(part);
        }
        top
    }
}

/// A ban.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Ban {
    /// On what.
    pub subject: BanSubject,
    /// Why.
    pub reason: BanReason,
    /// By whom.
    pub source: BanSource,
    /// Since when.
    pub since: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// What it forbids.
    #[cfg_attr(feature = "serde", serde(default))]
    pub severity: Severity,
    /// What a rule saw.
    #[cfg_attr(feature = "serde", serde(default))]
    pub evidence: Option<Evidence>,
}

impl Ban {
    /// An operator's ban, from now on for a time.
    pub fn by_operator(subject: BanSubject, span: Duration, now: Timestamp) -> Self {
        Self {
            subject,
            reason: BanReason::Requested,
            source: BanSource::Operator,
            since: now,
            until: now.after(span),
            severity: Severity::Banned,
            evidence: None,
        }
    }

    /// A rule's ban, from now on for a time.
    pub fn by_rule(subject: BanSubject, reason: BanReason, span: Duration, now: Timestamp) -> Self {
        Self { reason, source: BanSource::Rule, ..Self::by_operator(subject, span, now) }
    }

    /// The same, but it only discourages.
    #[must_use]
    pub const fn discouraging(self) -> Self {
        Self { severity: Severity::Discouraged, ..self }
    }

    /// The same, with what the rule saw.
    #[must_use]
    pub const fn with_evidence(self, evidence: Evidence) -> Self {
        Self { evidence: Some(evidence), ..self }
    }
}

/// What came of a ban.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Banned {
    /// It is new.
    Added,
    /// It replaces another one on the same subject.
    Replaced(Ban),
    /// Nothing changed: an operator's ban on the subject stands, or the new one has ended already.
    Unchanged,
}

/// What came of lifting a ban.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unbanned {
    /// It is lifted.
    Lifted(Ban),
    /// There was none.
    NotBanned,
}

/// There are as many bans as there may be, none of which may make room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("all {0} places for bans are taken")]
pub struct BansFullError(pub usize);

#[derive(Clone, Debug)]
pub(crate) struct Bans {
    bans: BTreeMap<BanSubject, Ban>,
    limit: usize,
    /// How many bans on nets there are of each length: only those are looked for.
    net_lengths: BTreeMap<(bool, u8), u32>,
}

impl Bans {
    pub(crate) const fn new(limit: usize) -> Self {
        Self { bans: BTreeMap::new(), limit, net_lengths: BTreeMap::new() }
    }

    /// Adds a ban; a full list forgets the rule's ban that ends first, never an operator's. Also returns what was forgotten.
    pub(crate) fn add(&mut self, ban: Ban, now: Timestamp) -> Result<(Banned, Vec<BanSubject>), BansFullError> {
        let ban = Ban { subject: canonical(ban.subject), since: ban.since.min(now), ..ban };
        let mut forgotten = self.forget_ended(now);
        let stands = self.bans.get(&ban.subject).is_some_and(|old| old.source > ban.source);
        if ban.until <= now || stands {
            return Ok((Banned::Unchanged, forgotten));
        }
        if self.bans.len() >= self.limit && !self.bans.contains_key(&ban.subject) {
            let by_rule = self.bans.values().filter(|ban| ban.source == BanSource::Rule);
            let first = by_rule.min_by_key(|ban| ban.until).ok_or(BansFullError(self.limit))?.subject;
            self.take(&first);
            forgotten.push(first);
        }
        let banned = self.bans.insert(ban.subject, ban).map_or(Banned::Added, Banned::Replaced);
        if let (BanSubject::Net(net), Banned::Added) = (ban.subject, banned) {
            *self.net_lengths.entry(net.length()).or_default() += 1;
        }
        Ok((banned, forgotten))
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.bans.is_empty()
    }

    pub(crate) fn lift(&mut self, subject: BanSubject) -> Unbanned {
        self.take(&canonical(subject)).map_or(Unbanned::NotBanned, Unbanned::Lifted)
    }

    /// The ban on exactly this subject.
    pub(crate) fn find(&self, subject: BanSubject, now: Timestamp) -> Option<&Ban> {
        self.bans.get(&canonical(subject)).filter(|ban| ban.until > now)
    }

    /// The bans that concern a peer or an IP address: on the very one, or on a net that the address is in.
    pub(crate) fn concerning(
        &self,
        peer: Option<&PeerId>,
        ip: Option<IpAddr>,
        now: Timestamp,
    ) -> impl Iterator<Item = &Ban> {
        let ip = ip.map(|ip| ip.to_canonical()).filter(|_| !self.bans.is_empty());
        let lengths = self.net_lengths.keys().filter(move |_| ip.is_some());
        let nets = lengths.filter_map(move |length| IpNet::of_length(ip?, *length)).map(BanSubject::Net);
        let exact = peer.filter(|_| !self.bans.is_empty()).map(|peer| BanSubject::Peer(*peer));
        let subjects = exact.into_iter().chain(ip.map(BanSubject::Ip)).chain(nets);
        subjects.filter_map(move |subject| self.bans.get(&subject)).filter(move |ban| ban.until > now)
    }

    fn take(&mut self, subject: &BanSubject) -> Option<Ban> {
        let ban = self.bans.remove(subject)?;
        if let BanSubject::Net(net) = subject
            && let Some(count) = self.net_lengths.get_mut(&net.length())
        {
            *count -= 1;
            if *count == 0 {
                self.net_lengths.remove(&net.length());
            }
        }
        Some(ban)
    }

    pub(crate) fn iter(&self, now: Timestamp) -> impl Iterator<Item = &Ban> {
        self.bans.values().filter(move |ban| ban.until > now)
    }

    fn forget_ended(&mut self, now: Timestamp) -> Vec<BanSubject> {
        let ended: Vec<BanSubject> = self.bans.values().filter(|ban| ban.until <= now).map(|ban| ban.subject).collect();
        for subject in &ended {
            self.take(subject);
        }
        ended
    }
}

pub(crate) fn canonical(subject: BanSubject) -> BanSubject {
    match subject {
        BanSubject::Ip(ip) => BanSubject::Ip(ip.to_canonical()),
        BanSubject::Net(net) => net.single().map_or(subject, BanSubject::Ip),
        BanSubject::Peer(_) => subject,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    fn ban(last: u8, source: BanSource, until: u64) -> Ban {
        let subject = BanSubject::Ip([1, 2, 3, last].into());
        Ban { source, until: at(until), ..Ban::by_operator(subject, Duration::ZERO, at(0)) }
    }

    #[test]
    fn a_full_list_forgets_the_rules_ban_that_ends_first() {
        let mut bans = Bans::new(2);
        assert_eq!(bans.add(ban(1, BanSource::Operator, 10), at(0)), Ok((Banned::Added, vec![])));
        assert_eq!(bans.add(ban(2, BanSource::Rule, 20), at(0)), Ok((Banned::Added, vec![])));
        let forgotten = vec![ban(2, BanSource::Rule, 20).subject];
        assert_eq!(bans.add(ban(3, BanSource::Operator, 30), at(0)), Ok((Banned::Added, forgotten)));
        assert_eq!(bans.add(ban(4, BanSource::Operator, 30), at(0)), Err(BansFullError(2)));
        let ended = vec![ban(1, BanSource::Operator, 10).subject];
        assert_eq!(bans.add(ban(4, BanSource::Operator, 30), at(10)), Ok((Banned::Added, ended)));
    }

    #[test]
    fn an_operators_ban_is_not_replaced_by_a_rules() {
        let mut bans = Bans::new(2);
        let first = ban(1, BanSource::Operator, 10);
        bans.add(first, at(0)).unwrap();
        assert_eq!(bans.add(ban(1, BanSource::Rule, 99), at(0)), Ok((Banned::Unchanged, vec![])));
        assert_eq!(bans.add(ban(1, BanSource::Operator, 5), at(0)), Ok((Banned::Replaced(first), vec![])));
    }

    #[test]
    fn a_ban_ends_and_can_be_lifted_and_holds_for_mapped_addresses() {
        let mut bans = Bans::new(2);
        bans.add(ban(1, BanSource::Rule, 10), at(0)).unwrap();
        let mapped = BanSubject::Ip("::ffff:1.2.3.1".parse().unwrap());
        assert!(bans.find(mapped, at(9)).is_some());
        assert!(bans.find(mapped, at(10)).is_none());
        assert_eq!(bans.lift(mapped), Unbanned::Lifted(ban(1, BanSource::Rule, 10)));
        assert_eq!(bans.lift(mapped), Unbanned::NotBanned);
    }

    #[test]
    fn a_ban_on_a_net_concerns_what_is_in_it() {
        let mut bans = Bans::new(4);
        let on = |text: &str| Ban::by_operator(text.parse().unwrap(), Duration::from_secs(9), at(0));
        for text in ["1.2.3.0/24", "2001:db8::/32", "9.9.9.9/32"] {
            bans.add(on(text), at(0)).unwrap();
        }
        let concerned = |bans: &Bans, ip: &str| bans.concerning(None, Some(ip.parse().unwrap()), at(1)).count();
        for (ip, count) in [("1.2.3.0", 1), ("1.2.3.255", 1), ("::ffff:1.2.3.4", 1), ("1.2.4.0", 0), ("1.2.2.255", 0)] {
            assert_eq!(concerned(&bans, ip), count, "{ip}");
        }
        assert_eq!(["2001:db8::1", "2001:db9::1", "9.9.9.9"].map(|ip| concerned(&bans, ip)), [1, 0, 1]);
        assert_eq!(on("9.9.9.9/32").subject, BanSubject::Ip([9, 9, 9, 9].into()));
        assert!(matches!(bans.lift("1.2.3.77/24".parse().unwrap()), Unbanned::Lifted(_)));
        assert_eq!((concerned(&bans, "1.2.3.4"), bans.net_lengths.len()), (0, 1));
    }

    #[test]
    fn a_host_is_banned_with_all_ipv6_addresses_that_it_may_have() {
        let host = |text: &str| BanSubject::host(text.parse().unwrap()).to_string();
        assert_eq!(["1.2.3.4", "2a00:1:2:3:4::5"].map(host), ["1.2.3.4", "2a00:1:2:3::/64"]);
    }

    #[test]
    fn subjects_are_read_as_they_are_shown() {
        let peer = "12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq";
        for text in ["1.2.3.4", "2a00::1", "1.2.0.0/16", "2a00::/32", peer] {
            assert_eq!(text.parse::<BanSubject>().unwrap().to_string(), text);
        }
        for text in ["", "1.2.3", "1.2.3.4/33", "2a00::/129", "host", "1.2.3.4/"] {
            assert_eq!(text.parse::<BanSubject>(), Err(BanSubjectError), "{text}");
        }
    }
}
