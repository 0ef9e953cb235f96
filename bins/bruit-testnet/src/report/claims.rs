//! What each step claims about the numbers it brought.

use crate::{args::Settings, report::Report};

/// What the claims depend on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    pub(crate) nodes: usize,
    pub(crate) outbound: usize,
    pub(crate) fanout: u32,
    pub(crate) rounds: u32,
    /// Whether a relayed copy can be told from the first.
    pub(crate) counts_hops: bool,
    /// How many nodes are bad.
    pub(crate) bad: usize,
    /// How many nodes are killed at the end of step 5.
    pub(crate) killed: usize,
}

impl Terms {
    /// What follows from a network's settings.
    pub(crate) fn of(settings: &Settings) -> Self {
        let &Settings { nodes, outbound, .. } = settings;
        let (fanout, rounds) = settings.limits();
        let counts_hops = settings.counts_hops();
        Self { nodes, outbound, fanout, rounds, counts_hops, bad: settings.bad.len(), killed: 0 }
    }

    /// Whether there are so many nodes that a message must be relayed at least once.
    pub(crate) fn needs_relays(self) -> bool {
        self.counts_hops && self.nodes > 2 * (self.outbound + 1)
    }

    /// Whether a fetcher can know two holders.
    pub(crate) fn has_two_holders(self) -> bool {
        self.nodes > 2
    }

    /// Whether so many nodes take part that most connections must lead to peers no configuration named. With two
    /// connections of its own, a node has one to the seed node where it began.
    pub(crate) fn must_discover(self) -> bool {
        self.nodes >= 12 && self.outbound > 2
    }
}

/// The claims of a step that the numbers do not bear out.
pub(crate) fn failed_claims(step: usize, report: &Report, terms: Terms) -> Vec<String> {
    let mut failed = Vec::new();
    let mut claim = |holds: bool, text: String| {
        if !holds {
            failed.push(text);
        }
    };
    match step {
        3 => {
            claim(report.coverage >= 1.0, format!("coverage is {:.4}, not 1", report.coverage));
            let others = terms.nodes - 1;
            claim(report.sha256_ok == others, format!("sha256_ok is {}, not {others}", report.sha256_ok));
            let (hops, rounds) = (report.hops_max, terms.rounds);
            claim(hops <= rounds, format!("hops_max is {hops}, above the limit of {rounds} rounds"));
            claim(hops >= 2 || !terms.needs_relays(), format!("hops_max is {hops}: nothing was relayed"));
        }
        4 => {
            let (calls, ok) = (report.rpc_calls, report.rpc_ok);
            claim(calls > 0, "rpc_calls is 0: nothing was fetched".to_owned());
            claim(ok == calls, format!("rpc_ok is {ok}, not {calls}"));
            claim(report.rpc_retried > 0 || !terms.has_two_holders(), "rpc_retried is 0".to_owned());
            let accepted = report.rpc_false_accepted;
            claim(accepted == 0, format!("rpc_false_accepted is {accepted}, not 0"));
            claim(terms.bad == 0 || report.bad_asked > 0, "bad_asked is 0: nobody asked a bad node".to_owned());
            let lies = terms.bad < 2 || report.bad_false_answers > 0;
            claim(lies, "bad_false_answers is 0: no bad node lied".to_owned());
            claim(report.rpc_local == 0, format!("rpc_local is {}, not 0", report.rpc_local));
        }
        5 => {
            claim(report.rejoined, "the restarted node is not connected again".to_owned());
            claim(report.rejoined_outbound, "the restarted node did not dial an address of its stored book".to_owned());
            claim(report.caught_up, "the restarted node did not obtain what it missed".to_owned());
            let coverage = report.coverage_living;
            claim(coverage >= 1.0 || terms.killed == 0, format!("coverage among the living is {coverage:.4}, not 1"));
        }
        _ => {}
    }
    let (pushes, fanout) = (report.pushes_max, terms.fanout);
    claim(
        pushes <= u64::from(fanout),
        format!("pushes_max is {pushes}: one message to more peers than the fan-out of {fanout}"),
    );
    failed
}

/// What so few nodes cannot show.
pub(crate) fn not_applicable(terms: Terms) -> Vec<String> {
    let mut list = Vec::new();
    let mut unless = |applies: bool, text: String| {
        if !applies {
            list.push(text);
        }
    };
    let Terms { nodes, outbound, .. } = terms;
    let discoveries = "half of the connections lead to peers nobody named: from 12 nodes and 3 outbound connections on";
    unless(terms.must_discover(), format!("{discoveries}, not {nodes} and {outbound}"));
    unless(terms.needs_relays(), format!("hops_max >= 2: above {} nodes, not {nodes}", 2 * (outbound + 1)));
    unless(
        terms.has_two_holders(),
        "two holders for each fetcher, a frozen one, rpc_retried > 0: above 2 nodes".to_owned(),
    );
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMS: Terms = Terms { nodes: 16, outbound: 4, fanout: 4, rounds: 6, counts_hops: true, bad: 0, killed: 0 };
    const BAD: Terms = Terms { bad: 6, ..TERMS };

    fn good() -> Report {
        Report {
            hops_max: 4,
            coverage: 1.0,
            sha256_ok: 15,
            rpc_calls: 88,
            rpc_ok: 88,
            rpc_retried: 9,
            rejoined: true,
            rejoined_outbound: true,
            caught_up: true,
            pushes_max: 4,
            ..Report::default()
        }
    }

    fn failures(report: &Report, terms: Terms) -> Vec<usize> {
        (1..=6).filter(|step| !failed_claims(*step, report, terms).is_empty()).collect()
    }

    #[test]
    fn good_numbers_fail_nowhere() {
        assert_eq!(failures(&good(), TERMS), Vec::<usize>::new());
        assert_eq!(not_applicable(TERMS), Vec::<String>::new());
    }

    #[test]
    fn each_bad_number_fails_its_step() {
        let bad: [(usize, Report); 12] = [
            (3, Report { coverage: 0.9999, ..good() }),
            (3, Report { sha256_ok: 14, ..good() }),
            (3, Report { hops_max: 7, ..good() }),
            (3, Report { hops_max: 1, ..good() }),
            (4, Report { rpc_calls: 0, rpc_ok: 0, ..good() }),
            (4, Report { rpc_ok: 87, ..good() }),
            (4, Report { rpc_retried: 0, ..good() }),
            (4, Report { rpc_local: 1, ..good() }),
            (4, Report { rpc_false_accepted: 1, ..good() }),
            (5, Report { rejoined: false, ..good() }),
            (5, Report { rejoined_outbound: false, ..good() }),
            (5, Report { caught_up: false, ..good() }),
        ];
        for (step, report) in bad {
            assert_eq!(failures(&report, TERMS), vec![step], "{report:?}");
            assert_eq!(failed_claims(step, &report, TERMS).len(), 1, "{report:?}");
        }
    }

    #[test]
    fn bad_nodes_that_nobody_meets_prove_nothing() {
        assert_eq!(failures(&good(), BAD), vec![4]);
        let met = Report { bad_asked: 9, bad_false_answers: 4, ..good() };
        assert_eq!(failures(&met, BAD), Vec::<usize>::new());
        assert_eq!(failed_claims(4, &Report { bad_false_answers: 0, ..met }, BAD).len(), 1);
    }

    #[test]
    fn after_a_killing_the_living_must_be_covered() {
        let terms = Terms { killed: 9, ..TERMS };
        assert_eq!(failures(&Report { coverage_living: 1.0, ..good() }, terms), Vec::<usize>::new());
        assert_eq!(failures(&Report { coverage_living: 0.9, ..good() }, terms), vec![5]);
    }

    #[test]
    fn pushing_beyond_the_fanout_fails_wherever_it_is_seen() {
        assert_eq!(failures(&Report { pushes_max: 5, ..good() }, TERMS), vec![1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn what_does_not_apply_is_not_claimed_and_is_listed() {
        let pair = Terms { nodes: 2, ..TERMS };
        let report = Report { sha256_ok: 1, hops_max: 1, rpc_retried: 0, ..good() };
        assert_eq!(failures(&report, pair), Vec::<usize>::new());
        assert_eq!(not_applicable(pair).len(), 3);
        assert_eq!(not_applicable(Terms { nodes: 3, ..TERMS }).len(), 2);
        assert_eq!(not_applicable(Terms { outbound: 2, ..TERMS }).len(), 1);
        assert!(!Terms { nodes: 10, ..TERMS }.needs_relays() && Terms { nodes: 11, ..TERMS }.needs_relays());
    }
}
