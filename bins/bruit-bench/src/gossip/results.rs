use serde::Serialize;
use serde_json::{Map, Value, json};

use super::network::Sample;
use crate::report::{Spread, short};

/// What every phase of one turn showed, by name and in its order.
#[derive(Debug)]
pub(crate) struct Turn {
    pub(crate) ours: Vec<(&'static str, Sample)>,
    pub(crate) peer: Vec<(&'static str, Sample)>,
}

/// Everything that was measured.
#[derive(Debug)]
pub(crate) struct Results {
    pub(crate) size: usize,
    /// Of the peer.
    pub(crate) tuning: &'static str,
    /// Messages a second at saturation, by tuning.
    pub(crate) tried: Vec<(&'static str, f64)>,
    /// Messages a second at the peer's saturation.
    pub(crate) rate: f64,
    pub(crate) turns: Vec<Turn>,
}

/// Medians of one side; a phase that was not run gives 0.
#[derive(Clone, Debug, Serialize)]
struct Side {
    /// Unique deliveries a second at saturation.
    deliveries: f64,
    /// In milliseconds, at half of the peer's saturation.
    p50: f64,
    p99: f64,
    /// On sockets, per unique delivery, at the fixed load.
    wire_bytes: f64,
    wire_bytes_saturated: f64,
    /// Microseconds per delivery.
    cpu_saturated: f64,
    /// Microseconds per delivery at the fixed load.
    cpu: f64,
    /// Cores.
    idle_cpu: f64,
    /// Per second, of the whole network.
    idle_bytes: f64,
    /// At saturation with payloads of 64 KiB.
    deliveries_64k: f64,
    wire_bytes_64k: f64,
    cpu_64k: f64,
    /// Writes to sockets per delivery at the fixed load.
    packets: f64,
    lost: u64,
}

type Figure = (&'static str, fn(&Side) -> f64);

const FIGURES: [Figure; 13] = [
    ("deliveries", |side| side.deliveries),
    ("p50", |side| side.p50),
    ("p99", |side| side.p99),
    ("wire_bytes", |side| side.wire_bytes),
    ("wire_bytes_saturated", |side| side.wire_bytes_saturated),
    ("cpu_saturated", |side| side.cpu_saturated),
    ("cpu", |side| side.cpu),
    ("idle_cpu", |side| side.idle_cpu),
    ("idle_bytes", |side| side.idle_bytes),
    ("deliveries_64k", |side| side.deliveries_64k),
    ("wire_bytes_64k", |side| side.wire_bytes_64k),
    ("cpu_64k", |side| side.cpu_64k),
    ("packets", |side| side.packets),
];

impl Results {
    fn side(&self, of: impl Fn(&Turn) -> &Vec<(&'static str, Sample)>) -> Side {
        let samples = |phase: &str| -> Vec<&Sample> {
            let all = self.turns.iter().flat_map(|turn| of(turn).iter());
            all.filter(|(name, _)| *name == phase).map(|(_, sample)| sample).collect()
        };
        let median = |phase: &str, figure: fn(&Sample) -> f64| {
            Spread::of(samples(phase).into_iter().map(figure).collect()).median
        };
        let large = if self.size == super::LARGE { "saturated" } else { "large" };
        let lost = self.turns.iter().filter_map(|turn| of(turn).last()).map(|(_, sample)| sample.lost);
        Side {
            deliveries: median("saturated", |sample| sample.deliveries_per_second),
            p50: median("moderate", |sample| sample.p50_ms),
            p99: median("moderate", |sample| sample.p99_ms),
            wire_bytes: median("fixed", |sample| sample.wire_bytes_per_delivery),
            wire_bytes_saturated: median("saturated", |sample| sample.wire_bytes_per_delivery),
            cpu_saturated: median("saturated", |sample| sample.cpu_micros_per_delivery),
            cpu: median("fixed", |sample| sample.cpu_micros_per_delivery),
            idle_cpu: median("idle", |sample| sample.cpu_cores),
            idle_bytes: median("idle", |sample| sample.wire_bytes_per_second),
            deliveries_64k: median(large, |sample| sample.deliveries_per_second),
            wire_bytes_64k: median(large, |sample| sample.wire_bytes_per_delivery),
            cpu_64k: median(large, |sample| sample.cpu_micros_per_delivery),
            packets: median("fixed", |sample| sample.packets_per_delivery),
            lost: lost.sum(),
        }
    }

    fn sides(&self) -> [Side; 2] {
        [self.side(|turn| &turn.ours), self.side(|turn| &turn.peer)]
    }

    fn ratios(&self) -> Vec<(&'static str, f64)> {
        let [ours, peer] = self.sides();
        FIGURES.iter().map(|(name, figure)| (*name, figure(&ours) / figure(&peer))).collect()
    }

    /// Which floor is not held. Nothing is required of ours alone but that nothing is lost.
    pub(crate) fn missed(&self) -> Vec<String> {
        let sides = self.sides();
        let lost = ["ours", "peer"].into_iter().zip(&sides).filter(|(_, side)| side.lost > 0);
        let mut missed: Vec<String> = lost.map(|(name, side)| format!("{name} lost {}", side.lost)).collect();
        if self.tried.is_empty() {
            return missed;
        }
        let least = [("deliveries", 3.0)];
        let most = [("cpu", 1.0), ("wire_bytes_64k", 1.0)];
        for (name, ratio) in self.ratios() {
            let is_low = least.iter().any(|(of, required)| *of == name && (ratio.is_nan() || ratio < *required));
            let is_high = most.iter().any(|(of, allowed)| *of == name && (ratio.is_nan() || ratio > *allowed));
            if is_low || is_high {
                missed.push(name.to_owned());
            }
        }
        missed
    }

    pub(crate) fn json(&self) -> String {
        let [ours, peer] = self.sides();
        // A ratio to nothing is no number, and JSON has none for it.
        let ratio: Map<String, Value> =
            self.ratios().into_iter().map(|(name, ratio)| (name.to_owned(), json!(finite(ratio)))).collect();
        let phases = |samples: &[(&'static str, Sample)]| -> Map<String, Value> {
            samples.iter().map(|(phase, sample)| ((*phase).to_owned(), json!(sample))).collect()
        };
        let runs: Vec<Value> =
            self.turns.iter().map(|turn| json!({ "ours": phases(&turn.ours), "peer": phases(&turn.peer) })).collect();
        let tried: Map<String, Value> =
            self.tried.iter().map(|(name, rate)| ((*name).to_owned(), json!(rate))).collect();
        json!({
            "ours": ours,
            "peer": peer,
            "ratio": ratio,
            "runs": runs,
            "tuning": self.tuning,
            "tunings": tried,
            "peer_messages_per_second": self.rate,
            "missed": self.missed(),
        })
        .to_string()
    }

    pub(crate) fn table(&self) -> String {
        let [ours, peer] = self.sides();
        let mut lines = vec![
            format!("peer's tuning: {}, saturated at {} messages/s", self.tuning, short(self.rate)),
            "| what | ours | peer | ratio |".to_owned(),
            "|---|---|---|---|".to_owned(),
        ];
        for (name, figure) in FIGURES {
            let (ours, peer) = (figure(&ours), figure(&peer));
            lines.push(format!("| {name} | {} | {} | {:.3} |", short(ours), short(peer), ours / peer));
        }
        lines.extend(self.missed().into_iter().map(|name| format!("missed: {name}")));
        lines.join("\n")
    }
}

fn finite(ratio: f64) -> Option<f64> {
    ratio.is_finite().then_some(ratio)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results(ours: f64, peer: f64, lost: u64) -> Results {
        let sample = |speed: f64, lost| Sample {
            deliveries_per_second: speed,
            cpu_micros_per_delivery: 10.0 / speed,
            wire_bytes_per_delivery: 10.0 / speed,
            lost,
            ..Sample::default()
        };
        let side = |speed, lost| ["fixed", "saturated", "large"].map(|phase| (phase, sample(speed, lost))).to_vec();
        let turn = Turn { ours: side(ours, 0), peer: side(peer, lost) };
        Results { size: 256, tuning: "defaults", tried: vec![("defaults", 1.0)], rate: 1.0, turns: vec![turn] }
    }

    #[test]
    fn floors_and_losses_are_named() {
        assert!(results(30.0, 10.0, 0).missed().is_empty());
        assert_eq!(results(29.0, 10.0, 2).missed(), ["peer lost 2", "deliveries"]);
        assert_eq!(results(9.0, 10.0, 0).missed(), ["deliveries", "cpu", "wire_bytes_64k"]);
    }

    #[test]
    fn the_json_has_its_shape() {
        let json: Value = serde_json::from_str(&results(30.0, 10.0, 0).json()).unwrap();
        assert_eq!(json["ratio"]["deliveries"], 3.0);
        assert_eq!(json["ratio"]["p50"], Value::Null);
        assert_eq!(json["runs"][0]["ours"]["fixed"]["deliveries_per_second"], 30.0);
    }
}
