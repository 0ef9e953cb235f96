//! What became of an item, in the words of the admin API.

use bruit_core::{PeerId, Timestamp};
use bruit_stack::gossip::{Explanation, HopKind, ItemId, Reported, Step};
use serde::{Deserialize, Serialize};

/// Who brought an item first, to whom it went and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemWhy {
    /// Its id.
    pub item: String,
    /// `unknown`, `looked_for`, `pending`, `withheld`, `at_limit`, `spreading`, `done` or `rejected`.
    pub standing: String,
    /// Who brought the first copy, if that is still remembered and the peer's name too.
    pub brought_by: Option<PeerId>,
    /// The policy it spreads by, while it is held.
    pub policy: Option<String>,
    /// Its numbers so far, while it is held.
    pub numbers: Option<ItemNumbers>,
    /// What happened to it, the oldest first. The oldest of all items are forgotten first.
    pub steps: Vec<ItemStep>,
}

/// The numbers of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemNumbers {
    /// How many peers have it, as far as is known.
    pub reached: u32,
    /// Copies pushed.
    pub pushes: u32,
    /// Peers that it was announced to.
    pub announced: u32,
    /// Copies sent because they were asked for.
    pub answers: u32,
    /// Copies that came after the first.
    pub duplicates: u32,
}

/// Something that happened to an item.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemStep {
    /// How long ago.
    pub milliseconds_ago: u64,
    /// `published`, `brought`, `refused`, `asked`, `judged`, `pushed`, `announced`, `answered`, `not_sent` or `finished`.
    pub what: String,
    /// From whom it came, or to whom it went. Who left long ago has no name any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<PeerId>,
    /// Which hop the copy was on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round: Option<u32>,
    /// To how many peers it was announced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peers: Option<u32>,
    /// Why, in a few words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl ItemWhy {
    pub(crate) fn new(id: &ItemId, told: Explanation<Option<PeerId>>, now: Timestamp) -> Self {
        let numbers = told.tally.map(|tally| ItemNumbers {
            reached: tally.reached,
            pushes: tally.pushes,
            announced: tally.announced,
            answers: tally.answers,
            duplicates: tally.duplicates,
        });
        Self {
            item: id.to_string(),
            standing: told.standing.name().to_owned(),
            brought_by: told.brought_by().copied().flatten(),
            policy: told.policy.map(|policy| policy.name().to_owned()),
            numbers,
            steps: told.steps.into_iter().map(|(at, step)| step_of(step, at, now)).collect(),
        }
    }
}

fn step_of(step: Step<Option<PeerId>>, at: Timestamp, now: Timestamp) -> ItemStep {
    let milliseconds_ago = u64::try_from(now.since(at).as_millis()).unwrap_or(u64::MAX);
    let step_named = |what: &str| ItemStep { milliseconds_ago, what: what.to_owned(), ..ItemStep::default() };
    match step {
        Step::Published => step_named("published"),
        Step::Brought { from, round, kind } => {
            let why = match kind {
                HopKind::Push => "unasked",
                HopKind::Answer => "we asked for it",
                HopKind::Stem => "on its stem",
            };
            ItemStep { peer: from, round: Some(round), why: Some(why.to_owned()), ..step_named("brought") }
        }
        Step::Refused { from, refusal } => {
            ItemStep { peer: from, why: Some(refusal.to_string()), ..step_named("refused") }
        }
        Step::Asked { from } => ItemStep { peer: from, why: Some("it announced it".to_owned()), ..step_named("asked") },
        Step::Judged(reported) => ItemStep { why: Some(verdict(reported).to_owned()), ..step_named("judged") },
        Step::Pushed { to, round, why } => {
            ItemStep { peer: to, round: Some(round), why: Some(why.text().to_owned()), ..step_named("pushed") }
        }
        Step::Announced { peers } => ItemStep { peers: Some(peers), ..step_named("announced") },
        Step::Answered { to } => ItemStep { peer: to, why: Some("it asked".to_owned()), ..step_named("answered") },
        Step::NotSent { to } => {
            ItemStep { peer: to, why: Some("its outbox is full".to_owned()), ..step_named("not_sent") }
        }
        Step::Finished(why) => ItemStep { why: Some(why.text().to_owned()), ..step_named("finished") },
    }
}

const fn verdict(reported: Reported) -> &'static str {
    match reported {
        Reported::Relayed => "accepted",
        Reported::AtLimit => "accepted, on its last round",
        Reported::Expired => "accepted, but it has expired",
        Reported::Rejected => "rejected",
        Reported::Ignored => "ignored",
        Reported::Held => "held for what it depends on",
        Reported::NoRoom => "too much is held: ignored",
        Reported::NotPending => "no verdict was awaited",
    }
}
