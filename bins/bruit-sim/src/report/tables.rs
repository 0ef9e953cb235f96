use super::table::{Mean, Published, Size, Table};

const POLICIES: &str = "fanout,all,flood,sqrt_announce,infection,{ infection = { adaptive = 4 } },neighbour_cast,tree";
const PEERS: (&str, &str) = ("gossip.topic.policy.fanout.peers", "16");
const SPREAD: &[&str] =
    &["coverage", "redundancy", "last_hop", "p99_ms", "p99_over_optimum", "bytes_per_node_mean", "fairness"];

/// All tables, in the order of the document.
pub(super) const ALL: &[Table] = &[
    Table {
        id: "smoke_nodes",
        title: "A thousand nodes, twenty seeds",
        text: "Factom's rule. Part of what CI compares with this document, and runs with fresh seeds.",
        file: "fanout",
        figures: &["coverage", "redundancy", "last_hop", "p99_over_optimum", "ids_per_node"],
        size: Size::Smoke,
        ..Table::BLANK
    },
    Table {
        id: "smoke_faults",
        title: "A hundred nodes, two hundred misfortunes",
        text: "Crashes, frozen and slow nodes, a tenth of all frames lost. The other part of what CI compares.",
        file: "faults",
        figures: &["coverage", "coverage_least", "complete", "redundancy", "p99_ms"],
        size: Size::Smoke,
        ..Table::BLANK
    },
    Table {
        id: "fanout",
        title: "Eager push with a limit of rounds",
        text: "16 peers, every node dials 16. Published: means of a computation in synchronous rounds that shares no code with the \
               engines. The aim is at most 3 standard errors of the difference; a dash means that our runs did not vary.",
        file: "fanout",
        set: &[PEERS],
        over: &[("nodes", "102,400,1000"), ("gossip.topic.policy.fanout.rounds", "3,4,6")],
        figures: &["coverage", "redundancy"],
        published: Published::Means(FANOUT),
        ..Table::BLANK
    },
    Table {
        id: "policies",
        title: "Relay policies side by side",
        text: "102 and 1,000 nodes. The tree is measured after each of ten origins has published once.",
        file: "policies",
        set: &[("runs", "2")],
        over: &[("nodes", "102,1000"), ("gossip.topic.policy", POLICIES)],
        figures: SPREAD,
        ..Table::BLANK
    },
    Table {
        id: "crash",
        title: "Crashes of 10 to 95 %",
        text: "The share of the living that is reached at once, over the links that are left. Repair by the address book is not part \
               of this world.",
        file: "crash",
        over: &[("fault.0.share", "0.1,0.5,0.8,0.9,0.95"), ("gossip.topic.policy", "fanout,flood")],
        figures: &["coverage", "coverage_least", "redundancy", "last_hop"],
        ..Table::BLANK
    },
    Table {
        id: "silent",
        title: "Nodes that take and never relay",
        text: "They count as reached when an item reaches them.",
        file: "fanout",
        set: &[("gossip.optimum", "false")],
        over: &[("gossip.silent_share", "0,0.33,0.5")],
        figures: &["coverage", "redundancy", "last_hop"],
        ..Table::BLANK
    },
    Table {
        id: "partition",
        title: "Partition and heal",
        text: "A third of the items is published while two halves are apart; no policy sends those across later.",
        file: "partition",
        set: &[("runs", "1")],
        over: &[("gossip.topic.policy", "fanout,sqrt_announce,tree")],
        figures: &["coverage", "coverage_least", "redundancy"],
        ..Table::BLANK
    },
    Table {
        id: "spies",
        title: "What spies learn",
        text: "200 nodes, an item of each. By who told any spy first, and by the moments at which each was told. No rule of spreading \
               can have a precision below the square of the share of spies, or a recall below the share.",
        file: "dandelion",
        set: &[("nodes", "200"), ("load.messages", "200"), ("load.origin", "{ rotating = 200 }")],
        over: &[
            (
                "gossip.topic.policy",
                "flood,{ flood = { delay_ms = 2000 } },diffusion,{ proxy = { inner = \"diffusion\" } },{ dandelion = { inner = \"diffusion\" } }",
            ),
            ("gossip.spy_share", "0.05,0.2,0.5"),
        ],
        figures: &["precision", "recall", "precision_likelihood", "recall_likelihood", "p99_ms"],
        published: Published::Columns(&["least precision", "least recall"], bounds),
        ..Table::BLANK
    },
    Table {
        id: "calls",
        title: "Calls among liars",
        text: "One node's calls; 30 of 100 peers are silent, 10 lie.",
        file: "rpc_liars",
        set: &[("runs", "2")],
        over: &[("rpc.silent_share", "0,0.3,0.5")],
        figures: &["success", "wasted_per_call", "p99_over_oracle", "false_accepted"],
        ..Table::BLANK
    },
    Table {
        id: "grown",
        title: "An overlay that whole nodes grow",
        text: "Sixty whole nodes; then some are gone, and some start again with their books.",
        file: "grown",
        figures: &[
            "seconds_to_8_honest_p95",
            "unsettled",
            "outbound",
            "overlay_clustering",
            "overlay_path",
            "fairness",
        ],
        ..Table::BLANK
    },
    Table {
        id: "growth",
        title: "Growth of cost",
        text: "What a node pays does not grow with the network; the way to the last node does, with the logarithm.",
        file: "fanout",
        set: &[("runs", "3"), ("gossip.optimum", "false")],
        over: &[("nodes", "100,300,1000,3000,10000")],
        figures: &["coverage", "redundancy", "last_hop", "p99_ms", "bytes_per_node_mean"],
        ..Table::BLANK
    },
    Table {
        id: "growth_large",
        title: "Growth of cost, the largest networks",
        text: "One run each.",
        file: "fanout",
        set: &[("runs", "1"), ("gossip.optimum", "false")],
        over: &[("nodes", "100000,1000000")],
        figures: &["coverage", "redundancy", "last_hop", "p99_ms", "bytes_per_node_mean"],
        size: Size::Full,
        ..Table::BLANK
    },
];

const fn mean(values: &'static [&'static str], figures: &'static [(f64, f64)], runs: u32) -> Mean {
    Mean { values, figures, runs }
}

const FANOUT: &[Mean] = &[
    mean(&["102", "3"], &[(1.0, 1e-4), (14.37, 0.01)], 1_000),
    mean(&["102", "4"], &[(1.0, 1e-4), (15.16, 0.01)], 1_000),
    mean(&["102", "6"], &[(1.0, 1e-4), (15.16, 0.01)], 1_000),
    mean(&["400", "3"], &[(0.999_86, 1e-5), (7.10, 0.01)], 1_000),
    mean(&["400", "4"], &[(1.0, 1e-4), (15.04, 0.01)], 1_000),
    mean(&["400", "6"], &[(1.0, 1e-4), (15.04, 0.01)], 1_000),
    mean(&["1000", "3"], &[(0.982, 1e-3), (2.94, 0.01)], 200),
    mean(&["1000", "4"], &[(1.0, 1e-4), (14.72, 0.01)], 200),
    mean(&["1000", "6"], &[(1.0, 1e-4), (15.02, 0.01)], 200),
];

fn bounds(values: &[&str]) -> Vec<Option<f64>> {
    let share = values.last().and_then(|share| share.parse::<f64>().ok());
    // In hundredths of a hundredth, so that the square is as written.
    vec![share.map(|share| (share * share * 1e4).round() / 1e4), share]
}
