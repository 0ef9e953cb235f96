//! Who must not be dialled, stored or let in: a bounded list whose entries say why, by whom and until when.

use std::{collections::BTreeMap, net::IpAddr};

use bruit_core::{PeerId, Timestamp};

/// What a ban is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum BanSubject {
    /// An identity. It costs nothing to make another.
    Peer(PeerId),
    /// An observed IP address; never one that was only claimed.
    Ip(IpAddr),
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
}

impl Bans {
    pub(crate) const fn new(limit: usize) -> Self {
        Self { bans: BTreeMap::new(), limit }
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
            self.bans.remove(&first);
            forgotten.push(first);
        }
        let banned = self.bans.insert(ban.subject, ban).map_or(Banned::Added, Banned::Replaced);
        Ok((banned, forgotten))
    }

    pub(crate) fn lift(&mut self, subject: BanSubject) -> Unbanned {
        self.bans.remove(&canonical(subject)).map_or(Unbanned::NotBanned, Unbanned::Lifted)
    }

    pub(crate) fn find(&self, subject: BanSubject, now: Timestamp) -> Option<&Ban> {
        self.bans.get(&canonical(subject)).filter(|ban| ban.until > now)
    }

    pub(crate) fn iter(&self, now: Timestamp) -> impl Iterator<Item = &Ban> {
        self.bans.values().filter(move |ban| ban.until > now)
    }

    fn forget_ended(&mut self, now: Timestamp) -> Vec<BanSubject> {
        let ended: Vec<BanSubject> = self.bans.values().filter(|ban| ban.until <= now).map(|ban| ban.subject).collect();
        for subject in &ended {
            self.bans.remove(subject);
        }
        ended
    }
}

pub(crate) fn canonical(subject: BanSubject) -> BanSubject {
    match subject {
        BanSubject::Ip(ip) => BanSubject::Ip(ip.to_canonical()),
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
        Ban { subject, reason: BanReason::Requested, source, since: at(0), until: at(until) }
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
}
