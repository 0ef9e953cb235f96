use crate::config::ROUNDS_MAX;

/// What an engine has done since its start. Counts of copies and items, not of bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Stats {
    /// Copies that came, of all kinds.
    pub copies_received: u64,
    /// Copies of items that were known.
    pub duplicates: u64,
    /// Items accepted on their last round, and therefore not relayed then.
    pub round_limited: u64,
    /// Items given to the application.
    pub delivered: u64,
    /// Items published here.
    pub published: u64,
    /// Items of others relayed.
    pub relayed: u64,
    /// Copies sent, by publishing and relaying.
    pub pushes: u64,
    /// The most peers that one item was pushed to.
    pub pushes_per_item_max: u64,
    /// Items that the application rejected.
    pub rejected: u64,
    /// Items that the application ignored.
    pub ignored: u64,
    /// Items that got no verdict in time.
    pub verdicts_overdue: u64,
    /// Copies not taken in.
    pub refused: u64,
    /// Peers not read for a while, because they brought more than their rate.
    pub rests: u64,
    /// Copies whose id was not their body's.
    pub mismatches: u64,
    /// Frames that did not decode.
    pub malformed: u64,
    /// Copies, announcements and control messages that a full outbox did not take.
    pub frames_refused: u64,
    /// Frames lost on their way out.
    pub frames_lost: u64,
    /// Announcements that came.
    pub announcements_received: u64,
    /// Announcements sent.
    pub announcements_sent: u64,
    /// Ids in announcements that came.
    pub ids_received: u64,
    /// Ids announced, or about to be, counted once for each peer.
    pub ids_announced: u64,
    /// Ids announced by peers for which there was no room.
    pub ids_refused: u64,
    /// Items that were asked for here.
    pub wants_sent: u64,
    /// Items asked for here that did not come in time.
    pub wants_unanswered: u64,
    /// Items that peers asked for.
    pub wants_received: u64,
    /// Copies sent because they were asked for.
    pub wants_answered: u64,
    /// Items that peers asked for which were not announced to them, or are not served any more.
    pub wants_refused: u64,
    /// Announced items that nobody sent.
    pub fetches_given_up: u64,
    /// Trees on which the parent was changed, because another peer had an item that the parent did not send.
    pub trees_mended: u64,
    /// Peers told that they are the parent on a tree no longer.
    pub trees_pruned: u64,
    /// Items held for what they depend on.
    pub withheld: u64,
    /// Items for which what they depend on did not come in time.
    pub withheld_overdue: u64,
    /// Ids forgotten before their time, because the set of seen ids was full.
    pub forgotten_early: u64,
    /// First copies by the round they came on, from round 1 at index 1.
    pub first_rounds: Rounds,
}

/// A count per round, with room up to the last one on which anything came.
#[derive(Clone, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(into = "Vec<u64>"))]
pub struct Rounds(Box<[u64]>);

impl Rounds {
    /// Counts one more on a round; rounds beyond `ROUNDS_MAX` do not count.
    pub fn count(&mut self, round: u32) {
        if round > ROUNDS_MAX {
            return;
        }
        self.make_room(round as usize + 1);
        if let Some(count) = self.0.get_mut(round as usize) {
            *count = count.saturating_add(1);
        }
    }

    /// How many came on a round.
    pub fn on(&self, round: u32) -> u64 {
        self.0.get(round as usize).copied().unwrap_or(0)
    }

    /// The largest round that anything came on; 0 if nothing did.
    pub fn last(&self) -> u32 {
        self.0.len().saturating_sub(1) as u32
    }

    /// How many came on all rounds together.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The counts from round 0 to the last one that is not zero.
    pub fn counts(&self) -> &[u64] {
        if self.0.is_empty() { &[0] } else { &self.0 }
    }

    /// Adds the counts of another node.
    pub fn add(&mut self, other: &Self) {
        self.make_room(other.0.len());
        self.0.iter_mut().zip(&other.0).for_each(|(sum, count)| *sum += count);
    }

    fn make_room(&mut self, rounds: usize) {
        if self.0.len() < rounds {
            let mut counts = std::mem::take(&mut self.0).into_vec();
            counts.resize(rounds, 0);
            self.0 = counts.into();
        }
    }
}

impl std::fmt::Debug for Rounds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.counts().fmt(f)
    }
}

impl From<Rounds> for Vec<u64> {
    fn from(rounds: Rounds) -> Self {
        rounds.counts().to_vec()
    }
}
