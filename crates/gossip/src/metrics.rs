//! What an engine has done and holds, for `prometheus-client`: counters of all of [`Stats`], and gauges of what there is now.
//!
//! It decides nothing and reads no clock: whoever owns the engine says when it is looked at.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::{Registry, Unit},
};

use crate::{Engine, Rounds, Stats};

/// The numbers of one engine in a registry. Clones share them.
///
/// Call [`observe`](Self::observe) before the registry is encoded, or now and then: between two calls the numbers stand still.
#[derive(Clone, Debug, Default)]
pub struct Metrics(Arc<Mutex<Snapshot>>);

/// The engine as it was when it was last looked at.
#[derive(Clone, Debug, Default)]
struct Snapshot {
    stats: Stats,
    peers: usize,
    topics: usize,
    seen: usize,
    pending_items: usize,
    pending_bytes: usize,
}

#[derive(Debug)]
struct Numbers(Arc<Mutex<Snapshot>>);

struct Gauge {
    name: &'static str,
    help: &'static str,
    unit: Option<Unit>,
    value: usize,
}

impl Metrics {
    /// Registers the numbers, all zero, under the prefix that the registry has; for several engines in one registry give each a
    /// sub-registry of its own.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register_collector(Box::new(Numbers(Arc::clone(&metrics.0))));
        metrics
    }

    /// Takes the numbers as they are now: [`Behaviour::engine`](crate::Behaviour::engine) is what to look at in a swarm.
    pub fn observe(&self, engine: &Engine) {
        let snapshot = Snapshot {
            stats: engine.stats().clone(),
            peers: engine.peer_count(),
            topics: engine.subscriptions().len(),
            seen: engine.seen_count(),
            pending_items: engine.pending_count(),
            pending_bytes: engine.pending_bytes(),
        };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = snapshot;
    }
}

impl Collector for Numbers {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let snapshot = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for Gauge { name, help, unit, value } in gauges(&snapshot) {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_descriptor(name, help, unit.as_ref(), MetricType::Gauge)?)?;
        }
        for (name, help, value) in counters(&snapshot.stats) {
            let counter = ConstCounter::new(value);
            counter.encode(encoder.encode_descriptor(name, help, None, MetricType::Counter)?)?;
        }
        encode_rounds(&snapshot.stats.first_rounds, encoder)
    }
}

fn encode_rounds(rounds: &Rounds, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
    let help = "First copies by the round they came on.";
    let mut family = encoder.encode_descriptor("first_copies", help, None, MetricType::Counter)?;
    for (round, count) in (0_u64..).zip(rounds.counts()).skip(1) {
        ConstCounter::new(*count).encode(family.encode_family(&[("round", round)])?)?;
    }
    Ok(())
}

fn gauges(snapshot: &Snapshot) -> [Gauge; 6] {
    let gauge = |name, help, value| Gauge { name, help, unit: None, value };
    [
        gauge("peers", "Peers that take part.", snapshot.peers),
        gauge("topics", "Topics subscribed to.", snapshot.topics),
        gauge("seen", "Ids remembered.", snapshot.seen),
        gauge(
            "pushes_per_item_max",
            "The most peers that one item was pushed to.",
            usize::try_from(snapshot.stats.pushes_per_item_max).unwrap_or(usize::MAX),
        ),
        gauge("pending_items", "Items that await a verdict.", snapshot.pending_items),
        Gauge {
            name: "pending",
            help: "Bytes of items that await a verdict.",
            unit: Some(Unit::Bytes),
            value: snapshot.pending_bytes,
        },
    ]
}

fn counters(stats: &Stats) -> [(&'static str, &'static str, u64); 32] {
    // By name, so that a count that is added is not forgotten here.
    let Stats {
        copies_received,
        duplicates,
        round_limited,
        delivered,
        published,
        relayed,
        pushes,
        pushes_per_item_max: _,
        rejected,
        ignored,
        verdicts_overdue,
        refused,
        rests,
        mismatches,
        malformed,
        frames_refused,
        frames_lost,
        announcements_received,
        announcements_sent,
        ids_received,
        ids_announced,
        ids_refused,
        wants_sent,
        wants_unanswered,
        wants_received,
        wants_answered,
        wants_refused,
        fetches_given_up,
        trees_mended,
        trees_pruned,
        withheld,
        withheld_overdue,
        forgotten_early,
        first_rounds: _,
    } = *stats;
    [
        ("copies_received", "Copies that came, of all kinds.", copies_received),
        ("duplicates", "Copies of items that were known.", duplicates),
        ("round_limited", "Items accepted on their last round, and therefore not relayed then.", round_limited),
        ("delivered", "Items given to the application.", delivered),
        ("published", "Items published here.", published),
        ("relayed", "Items of others relayed.", relayed),
        ("pushes", "Copies sent, by publishing and relaying.", pushes),
        ("rejected", "Items that the application rejected.", rejected),
        ("ignored", "Items that the application ignored.", ignored),
        ("verdicts_overdue", "Items that got no verdict in time.", verdicts_overdue),
        ("refused", "Copies not taken in.", refused),
        ("rests", "Peers not read for a while, because they brought more than their rate.", rests),
        ("mismatches", "Copies whose id was not their body's.", mismatches),
        ("malformed", "Frames that did not decode.", malformed),
        (
            "frames_refused",
            "Copies, announcements and control messages that a full outbox did not take.",
            frames_refused,
        ),
        ("frames_lost", "Frames lost on their way out.", frames_lost),
        ("announcements_received", "Announcements that came.", announcements_received),
        ("announcements_sent", "Announcements sent.", announcements_sent),
        ("ids_received", "Ids in announcements that came.", ids_received),
        ("ids_announced", "Ids announced, or about to be, counted once for each peer.", ids_announced),
        ("ids_refused", "Ids announced by peers for which there was no room.", ids_refused),
        ("wants_sent", "Items that were asked for here.", wants_sent),
        ("wants_unanswered", "Items asked for here that did not come in time.", wants_unanswered),
        ("wants_received", "Items that peers asked for.", wants_received),
        ("wants_answered", "Copies sent because they were asked for.", wants_answered),
        (
            "wants_refused",
            "Items that peers asked for which were not announced to them, or are not served any more.",
            wants_refused,
        ),
        ("fetches_given_up", "Announced items that nobody sent.", fetches_given_up),
        (
            "trees_mended",
            "Trees on which the parent was changed, because another peer had an item that the parent did not send.",
            trees_mended,
        ),
        ("trees_pruned", "Peers told that they are the parent on a tree no longer.", trees_pruned),
        ("withheld", "Items held for what they depend on.", withheld),
        ("withheld_overdue", "Items for which what they depend on did not come in time.", withheld_overdue),
        ("forgotten_early", "Ids forgotten before their time, because the set of seen ids was full.", forgotten_early),
    ]
}
