use super::{
    eager_push,
    table::{Mean, Published, Size, Table},
};

const POLICIES: &str = "fanout,all,flood,sqrt_announce,infection,{ infection = { adaptive = 4 } },neighbour_cast,tree";
const FLOODED: &str = "{ regular = { degree = 5 } },{ regular = { degree = 16 } },{ regular = { degree = 32 } }";
const ROUNDS: (&str, &str) = ("gossip.topic.policy.fanout.rounds", "3,4,5,6,8");
const PUSHED_4: &[(&str, &str)] = &[
    ("overlay.random.dials", "4"),
    ("gossip.topic.policy.fanout.peers", "4"),
    ("gossip.optimum", "false"),
    ("runs", "100"),
];
const PUSHED_6: &[(&str, &str)] = &[
    ("overlay.random.dials", "6"),
    ("gossip.topic.policy.fanout.peers", "6"),
    ("gossip.optimum", "false"),
    ("runs", "100"),
];
const PUSHED_8: &[(&str, &str)] = &[
    ("overlay.random.dials", "8"),
    ("gossip.topic.policy.fanout.peers", "8"),
    ("gossip.optimum", "false"),
    ("runs", "100"),
];
const PUSHED_12: &[(&str, &str)] = &[
    ("overlay.random.dials", "12"),
    ("gossip.topic.policy.fanout.peers", "12"),
    ("gossip.optimum", "false"),
    ("runs", "100"),
];
const PUSHED_16: &[(&str, &str)] = &[
    ("overlay.random.dials", "16"),
    ("gossip.topic.policy.fanout.peers", "16"),
    ("gossip.optimum", "false"),
    ("runs", "100"),
];
const PUSHED_16_LARGE: &[(&str, &str)] = &[
    ("overlay.random.dials", "16"),
    ("gossip.topic.policy.fanout.peers", "16"),
    ("gossip.optimum", "false"),
    ("runs", "10"),
];
const SPREAD: &[&str] =
    &["coverage", "redundancy", "last_hop", "p99_ms", "p99_over_optimum", "bytes_per_node_mean", "fairness"];

const REPAIR: &str = "\
Whole nodes with 32 outbound peers and their books. Items are published in the moment of the crash, and ten and twenty seconds later: \
a dial to a node that is gone lasts ten seconds, and holds a place for two to six of them. Prompt is who got it within a second, \
over the links of that moment; delivered, who got it in the end. The aim is 99.8 % at once where four \
in five are gone; 99.9 % after one round at nine in ten; 95 % after one round and all after two at nineteen in twenty. Beside it: after how \
many seconds a node has eight living peers, or all that are left.";
const REPAIRED: &[&str] = &[
    "prompt_after_0ms",
    "prompt_after_10000ms",
    "prompt_after_20000ms",
    "delivered_after_0ms",
    "repair_seconds_p50",
    "repair_seconds_p95",
    "repair_seconds_max",
];
const MODELS: &str = "synchronous,{ partially_synchronous = { calm_after_ms = 20000, delay_max_ms = 2000 } },{ asynchronous = { delay_mean_ms = 500 } }";
const WATCHED: &str = "flood,{ flood = { delay_ms = 2000 } },diffusion,{ proxy = { inner = \"diffusion\" } },{ dandelion = { inner = \"diffusion\" } }";

/// Eager push to so many peers, where each node dials as many.
const fn fanout(
    title: &'static str,
    set: &'static [(&'static str, &'static str)],
    of: fn(&[&str]) -> Option<Mean>,
) -> Table {
    Table {
        id: "fanout",
        title,
        text: "Every node dials as many. Beside ours: means of a computation in synchronous rounds that shares no code with the \
               engines, and how many standard errors of the difference ours are from them; a dash means that ours did not vary. Of \
               so many comparisons one in some hundred may be 3 apart.",
        file: "fanout",
        set,
        over: &[("nodes", "102,400,1000,10000"), ROUNDS],
        figures: &["coverage", "redundancy"],
        published: Published::Means(of),
        ..Table::BLANK
    }
}

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
    fanout("Eager push to 4 peers", PUSHED_4, eager_push::peers_4),
    fanout("Eager push to 6 peers", PUSHED_6, eager_push::peers_6),
    fanout("Eager push to 8 peers", PUSHED_8, eager_push::peers_8),
    fanout("Eager push to 12 peers", PUSHED_12, eager_push::peers_12),
    fanout("Eager push to 16 peers", PUSHED_16, eager_push::peers_16),
    Table {
        over: &[("nodes", "100000"), ROUNDS],
        size: Size::Full,
        ..fanout("Eager push to 16 peers, 100,000 nodes", PUSHED_16_LARGE, eager_push::peers_16)
    },
    Table {
        id: "casper",
        title: "Infection by three, until twelve of fifteen have it",
        text: "Casper's rule, everybody connected to everybody. Computed elsewhere: 13.3 ids a node at 100 nodes, 13.2 at 1,000. \
               Most of the difference is the stop after 12 that had it: with it out of reach ours needs 12.9 at 300 nodes.",
        file: "infection",
        set: &[("runs", "3")],
        over: &[("nodes", "100,300,1000")],
        figures: &["coverage", "complete", "redundancy", "ids_per_node"],
        ..Table::BLANK
    },
    Table {
        id: "adaptive",
        title: "Infection by request",
        text: "Each node asks four peers to announce to it. The aim is at most 4.1 ids a node and full coverage.",
        file: "infection_adaptive",
        set: &[("runs", "3"), ("load.messages", "3")],
        over: &[("nodes", "100,1000,10000")],
        figures: &["coverage", "complete", "redundancy", "ids_per_node", "p99_ms"],
        ..Table::BLANK
    },
    Table {
        id: "neighbour_cast",
        title: "Neighbour cast",
        text: "Copies per receiver, less one. Beside ours what the published rule (not back to the sender, not to whom the sender \
               reaches) and a flood send on overlays of the same degree, computed elsewhere.",
        file: "neighbour_cast",
        set: &[("runs", "3")],
        over: &[("nodes", "102,400,1000"), ("overlay.random.dials", "16,25,32")],
        figures: &["coverage", "complete", "redundancy", "last_hop"],
        published: Published::Columns(&["published rule", "flood"], cast),
        ..Table::BLANK
    },
    Table {
        id: "flood",
        title: "The times of a flood",
        text: "What no relay rule can beat on links of 10 to 50 ms: the shortest ways. Computed elsewhere for overlays of the same \
               degree, one run each.",
        file: "policies",
        set: &[("gossip.topic.policy", "\"flood\""), ("runs", "3"), ("load.messages", "12")],
        over: &[("nodes", "100,1000,10000"), ("overlay", FLOODED)],
        figures: &["coverage", "last_hop", "p50_ms", "p99_ms", "max_ms", "p99_over_optimum"],
        published: Published::Columns(&["p50 elsewhere", "p99 elsewhere"], flood_times),
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
        id: "policies_large",
        title: "Relay policies side by side, 10,000 nodes",
        text: "As above. Infection by its exact rule wants to know everybody and is left out.",
        file: "policies",
        set: &[("runs", "1")],
        over: &[
            ("nodes", "10000"),
            ("gossip.topic.policy", "fanout,flood,sqrt_announce,{ infection = { adaptive = 4 } },neighbour_cast,tree"),
        ],
        figures: SPREAD,
        size: Size::Full,
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
        id: "crash_large",
        title: "Crashes of 10 to 95 %, 10,000 nodes",
        text: "HyParView's authors publish for 10,000 nodes with 5 peers each, before anything is repaired: near 100 % of the living up \
               to 80 or 90 % crashed, about 90 % at 95 %. Ours has 32 peers and a limit of six rounds for `fanout`.",
        file: "crash",
        set: &[("nodes", "10000"), ("runs", "1")],
        over: &[("fault.0.share", "0.1,0.5,0.8,0.9,0.95"), ("gossip.topic.policy", "fanout,flood")],
        figures: &["coverage", "coverage_least", "redundancy", "last_hop"],
        size: Size::Full,
        ..Table::BLANK
    },
    Table {
        id: "repair",
        title: "Crashes that address books mend",
        text: REPAIR,
        file: "crash_repair",
        over: &[("network.restart.dead_share", "0.5,0.8,0.9")],
        figures: REPAIRED,
        ..Table::BLANK
    },
    Table {
        id: "repair_large",
        title: "Crashes that address books mend, 1,000 nodes",
        text: REPAIR,
        file: "crash_repair",
        set: &[("nodes", "1000")],
        over: &[("network.restart.dead_share", "0.8,0.9,0.95")],
        figures: REPAIRED,
        size: Size::Full,
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
        id: "models",
        title: "Network models",
        text: "Links of 10 to 50 ms as they are; with up to two seconds more on every frame during the first twenty seconds, half of \
               the time; with half a second more on average, always. 300 nodes.",
        file: "asynchronous",
        set: &[("runs", "1")],
        over: &[("links.model", MODELS), ("gossip.topic.policy", "fanout,flood,tree")],
        figures: &["coverage", "complete", "redundancy", "p99_ms"],
        ..Table::BLANK
    },
    Table {
        id: "forgers",
        title: "Nodes that forge rounds",
        text: "They relay, and say of each copy that it is on its first hop. Four copies from each node and six rounds, which do not \
               reach all of a thousand nodes: with forgers an item goes further, at no more than four copies from a node.",
        file: "forgers",
        set: &[("runs", "3")],
        over: &[("gossip.forger_share", "0,0.1,0.33,0.5")],
        figures: &["coverage", "redundancy", "last_hop", "round_max", "pushes_per_item_max"],
        ..Table::BLANK
    },
    Table {
        id: "churn",
        title: "Churn",
        text: "So many of the nodes crash each minute, each for five seconds. Who was away when an item passed has missed it.",
        file: "churn",
        set: &[("runs", "1")],
        over: &[("fault.0.share", "0.05,0.1,0.3")],
        figures: &["coverage", "coverage_least", "redundancy", "p99_ms"],
        ..Table::BLANK
    },
    Table {
        id: "churn_nodes",
        title: "Churn of whole nodes",
        text: "So many go each minute, and come back with their books after half a minute. Delivered: among those that stayed.",
        file: "churn_nodes",
        over: &[("network.churn.share", "0.1,0.25")],
        figures: &[
            "delivered_after_30000ms",
            "delivered_after_90000ms",
            "delivered_after_180000ms",
            "victims",
            "unsettled",
            "seconds_to_8_honest_p95",
        ],
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
        over: &[("gossip.topic.policy", WATCHED), ("gossip.spy_share", "0.05,0.2,0.5")],
        figures: &["precision", "recall", "precision_likelihood", "recall_likelihood", "p99_ms"],
        published: Published::Columns(&["least precision", "least recall"], bounds),
        ..Table::BLANK
    },
    Table {
        id: "eavesdropper",
        title: "What an eavesdropper learns",
        text: "200 nodes, an item of each. Taps are on links and not on nodes: whoever listens names the end from which the first frame \
               came that told of an item, and is taken to know which frames tell of the same one. It hears the origin's first frame with the \
               share of links that it taps, so that no rule of spreading without idle traffic can have a lower recall.",
        file: "eavesdropper",
        set: &[("nodes", "200"), ("load.messages", "200"), ("load.origin", "{ rotating = 200 }")],
        over: &[("gossip.topic.policy", WATCHED), ("gossip.tapped_share", "0.05,0.2,0.5")],
        figures: &["precision_eavesdropper", "recall_eavesdropper", "p99_ms"],
        published: Published::Columns(&["least recall"], tapped),
        ..Table::BLANK
    },
    Table {
        id: "observers",
        title: "What observers know of the network",
        text: "Two nodes join a grown network of a hundred and write down whom others name as their neighbours: which share of the live \
               connections they know one, five and ten minutes later, and which share of what they know is no longer so. Nobody \
               exchanges peers, or everybody exchanges two of 32 each five minutes, minute, quarter of a minute. A node names its neighbours \
               to those only that it dialled, and in a full network that stays as it is nobody dials who joins later.",
        file: "observers",
        over: &[("network.rotation_ms", "0,300000,60000,15000")],
        figures: &[
            "graph_known_after_60s",
            "graph_known_after_300s",
            "graph_known_after_600s",
            "graph_outdated_after_60s",
            "graph_outdated_after_300s",
            "graph_outdated_after_600s",
        ],
        ..Table::BLANK
    },
    Table {
        id: "calls",
        title: "Calls among liars",
        text: "One node's calls to 100 peers, ten of which lie and some of which are silent.",
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

fn bounds(values: &[&str]) -> Vec<Option<f64>> {
    let share = values.last().and_then(|share| share.parse::<f64>().ok());
    // In hundredths of a hundredth, so that the square is as written.
    vec![share.map(|share| (share * share * 1e4).round() / 1e4), share]
}

fn tapped(values: &[&str]) -> Vec<Option<f64>> {
    vec![values.last().and_then(|share| share.parse().ok())]
}

fn cast(values: &[&str]) -> Vec<Option<f64>> {
    let (published, flood) = match values {
        ["102", "16"] => (16.40, 23.99),
        ["102", "32"] => (17.76, 48.03),
        ["400", "16"] => (24.64, 26.79),
        ["400", "25"] => (38.01, 43.54),
        ["1000", "25"] => (41.37, 43.25),
        _ => return vec![None, None],
    };
    vec![Some(published), Some(flood)]
}

fn flood_times(values: &[&str]) -> Vec<Option<f64>> {
    let (half, most) = match values {
        ["100", "{ regular = { degree = 5 } }"] => (79.0, 128.0),
        ["1000", "{ regular = { degree = 5 } }"] => (121.0, 167.0),
        ["1000", "{ regular = { degree = 16 } }"] => (63.0, 82.0),
        ["1000", "{ regular = { degree = 32 } }"] => (47.0, 60.0),
        ["10000", "{ regular = { degree = 5 } }"] => (162.0, 206.0),
        _ => return vec![None, None],
    };
    vec![Some(half), Some(most)]
}
