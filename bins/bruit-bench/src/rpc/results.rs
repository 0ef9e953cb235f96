use serde_json::{Map, Value, json};

use super::{
    contest::{ALL_WORK, Who, Work},
    figures::{Figures, Summary},
};
use crate::{
    pair::Arrangement,
    report::{Spread, short},
};

/// All that was measured, in order.
#[derive(Default)]
pub(crate) struct Results {
    of: Vec<(Arrangement, Work, Who, Figures)>,
}

/// A ratio of one's figure to another's.
struct Ratio {
    name: &'static str,
    work: Work,
    figure: fn(&Figures) -> f64,
    to: Who,
    /// Missing it is a failure.
    floor: Option<Bound>,
    aim: Option<Bound>,
}

#[derive(Clone, Copy)]
enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

const RATE: fn(&Figures) -> f64 = |figures| figures.per_second;
const CPU: fn(&Figures) -> f64 = |figures| figures.cpu_us;
const P50: fn(&Figures) -> f64 = |figures| figures.p50_us;
const P99: fn(&Figures) -> f64 = |figures| figures.p99_us;

const RATIOS: [Ratio; 12] = [
    ratio("serial_p50", Work::Serial, P50, Who::Peer).floor(Bound::AtMost(1.0)),
    ratio("serial_p50_raw", Work::Serial, P50, Who::Raw).aim(Bound::AtMost(1.3)),
    ratio("serial_p99", Work::Serial, P99, Who::Peer),
    ratio("pipelined", Work::InFlight64, RATE, Who::Peer).floor(Bound::AtLeast(1.0)).aim(Bound::AtLeast(10.0)),
    ratio("pipelined_256", Work::InFlight256, RATE, Who::Peer),
    ratio("cpu", Work::InFlight64, CPU, Who::Peer).aim(Bound::AtMost(0.1)),
    ratio("cpu_serial", Work::Serial, CPU, Who::Peer).aim(Bound::AtMost(0.7)),
    ratio("bulk", Work::Bulk, RATE, Who::Peer),
    ratio("bulk_raw", Work::Bulk, RATE, Who::Raw).aim(Bound::AtLeast(0.9)),
    ratio("serial_p50_20ms", Work::Serial20ms, P50, Who::Peer).aim(Bound::AtMost(0.55)),
    ratio("independent_p50", Work::Independent, P50, Who::Peer),
    ratio("independent_cpu", Work::Independent, CPU, Who::Peer),
];

/// Calls a second with 64 in flight through tasks.
const PIPELINED_AIM: f64 = 400_000.0;

const fn ratio(name: &'static str, work: Work, figure: fn(&Figures) -> f64, to: Who) -> Ratio {
    Ratio { name, work, figure, to, floor: None, aim: None }
}

impl Ratio {
    const fn floor(self, bound: Bound) -> Self {
        Self { floor: Some(bound), ..self }
    }

    const fn aim(self, bound: Bound) -> Self {
        Self { aim: Some(bound), ..self }
    }
}

impl Bound {
    fn holds(self, value: f64) -> bool {
        match self {
            Self::AtLeast(bound) => value >= bound,
            Self::AtMost(bound) => value <= bound,
        }
    }

    fn text(self) -> String {
        match self {
            Self::AtLeast(bound) => format!("at least {bound}"),
            Self::AtMost(bound) => format!("at most {bound}"),
        }
    }
}

impl Results {
    pub(crate) fn add(&mut self, arrangement: Arrangement, work: Work, who: Who, figures: Figures) {
        self.of.push((arrangement, work, who, figures));
    }

    fn runs(&self, arrangement: Arrangement, work: Work, who: Who) -> Vec<Figures> {
        self.of.iter().filter(|(a, w, c, _)| (*a, *w, *c) == (arrangement, work, who)).map(|(.., f)| *f).collect()
    }

    /// The ratio of each turn, and of these the middle one.
    fn value(&self, arrangement: Arrangement, ratio: &Ratio) -> f64 {
        let of = |who| self.runs(arrangement, ratio.work, who);
        let turns =
            of(Who::Ours).iter().zip(of(ratio.to)).map(|(a, b)| (ratio.figure)(a) / (ratio.figure)(&b)).collect();
        Spread::of(turns).median
    }

    fn misses(&self, bound_of: impl Fn(&Ratio) -> Option<Bound>) -> Vec<&'static str> {
        let misses = |r: &&Ratio| bound_of(r).is_some_and(|bound| !bound.holds(self.value(Arrangement::OwnThreads, r)));
        RATIOS.iter().filter(misses).map(|ratio| ratio.name).collect()
    }

    /// The floors that do not hold.
    pub(crate) fn missed(&self) -> Vec<&'static str> {
        self.misses(|ratio| ratio.floor)
    }

    fn aims_missed(&self) -> Vec<&'static str> {
        let mut missed = self.misses(|ratio| ratio.aim);
        let rate = Summary::of(&self.runs(Arrangement::OwnThreads, Work::InFlight64, Who::Ours)).per_second.median;
        if rate < PIPELINED_AIM {
            missed.push("pipelined_calls_a_second");
        }
        missed
    }

    pub(crate) fn json(&self, repeat: u32) -> Value {
        let mut all = self.part(Arrangement::OwnThreads);
        all.insert("runs".to_owned(), json!(repeat));
        all.insert("missed".to_owned(), json!(self.missed()));
        all.insert("aims_missed".to_owned(), json!(self.aims_missed()));
        all.insert("mt".to_owned(), self.part(Arrangement::Shared).into());
        all.into()
    }

    fn part(&self, arrangement: Arrangement) -> Map<String, Value> {
        let of = |who: Who| -> Map<String, Value> {
            let works = ALL_WORK.into_iter().filter(|work| work.contestants().contains(&who));
            works.map(|work| (work.name().to_owned(), json!(Summary::of(&self.runs(arrangement, work, who))))).collect()
        };
        let mut part: Map<_, _> =
            [Who::Ours, Who::Peer, Who::Raw].map(|who| (who.name().to_owned(), of(who).into())).into_iter().collect();
        let ratios = RATIOS.iter().map(|ratio| (ratio.name.to_owned(), json!(self.value(arrangement, ratio))));
        part.insert("ratio".to_owned(), Value::Object(ratios.collect()));
        part
    }

    pub(crate) fn tables(&self) -> String {
        let mut lines = Vec::new();
        for (arrangement, heading) in [
            (Arrangement::OwnThreads, "each node on a current-thread runtime of its own"),
            (Arrangement::Shared, "both nodes on one multi-thread runtime"),
        ] {
            lines.extend([heading.to_owned(), String::new()]);
            lines.extend([
                "| what | who | per second | p50 us | p99 us | CPU us each |".to_owned(),
                "|---|---|---|---|---|---|".to_owned(),
            ]);
            for work in ALL_WORK {
                lines.extend(work.contestants().iter().map(|who| self.row(arrangement, work, *who)));
            }
            lines.push(String::new());
            for ratio in &RATIOS {
                let bounds: Vec<String> = [(ratio.floor, "floor"), (ratio.aim, "aim")]
                    .into_iter()
                    .filter_map(|(bound, name)| Some(format!("{name}: {}", bound?.text())))
                    .collect();
                let bounds = if bounds.is_empty() { String::new() } else { format!(" ({})", bounds.join(", ")) };
                let to = if ratio.to == Who::Raw { " to one stream" } else { "" };
                lines.push(format!("{}{to}: {:.3}{bounds}", ratio.name, self.value(arrangement, ratio)));
            }
            lines.push(String::new());
        }
        lines.extend(self.missed().iter().map(|name| format!("missed: {name}")));
        lines.extend(self.aims_missed().iter().map(|name| format!("aim missed: {name}")));
        lines.join("\n").trim_end().to_owned()
    }

    fn row(&self, arrangement: Arrangement, work: Work, who: Who) -> String {
        let Summary { p50_us, p99_us, per_second, cpu_us } = Summary::of(&self.runs(arrangement, work, who));
        let cells = [per_second, p50_us, p99_us, cpu_us]
            .map(|of| format!("{} [{}-{}]", short(of.median), short(of.min), short(of.max)));
        format!("| {} | {} | {} |", work.name(), who.name(), cells.join(" | "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_the_middle_one_of_the_turns_and_a_floor_can_be_missed() {
        let mut results = Results::default();
        let all = |p50_us| Figures { p50_us, p99_us: 1.0, per_second: 1.0, cpu_us: 1.0 };
        for (ours, peer) in [(1.0, 2.0), (30.0, 40.0), (3.0, 2.0)] {
            for arrangement in [Arrangement::OwnThreads, Arrangement::Shared] {
                for work in ALL_WORK {
                    for who in work.contestants() {
                        results.add(arrangement, work, *who, all(if *who == Who::Ours { ours } else { peer }));
                    }
                }
            }
        }
        let json = results.json(3);
        assert_eq!((&json["ratio"]["serial_p50"], &json["mt"]["ratio"]["pipelined"]), (&json!(0.75), &json!(1.0)));
        assert_eq!(json["ours"]["serial"]["p50_us"], json!({"median": 3.0, "min": 1.0, "max": 30.0}));
        assert_eq!((&json["runs"], &json["missed"]), (&json!(3), &json!([])));
        assert_eq!(
            json["aims_missed"],
            json!(["pipelined", "cpu", "cpu_serial", "serial_p50_20ms", "pipelined_calls_a_second"])
        );
        results.of.iter_mut().filter(|(.., who, _)| *who == Who::Ours).for_each(|(.., figures)| figures.p50_us = 50.0);
        assert_eq!(results.missed(), ["serial_p50"]);
        assert!(results.tables().contains("missed: serial_p50"));
    }
}
