//! The picture of the house as a table: which crate may depend on which. `ARCHITECTURE.md` draws the same.

use anyhow::Context;
use serde_json::Value;

const ENGINES: [&str; 5] = ["bruit-addr-exchange", "bruit-address-book", "bruit-gossip", "bruit-peering", "bruit-rpc"];
/// Depends on the transport side of libp2p, so engines reach it only behind their feature `behaviour`.
const LINK: &str = "bruit-link";

/// A crate and those of ours it may depend on.
struct Room {
    name: &'static str,
    may_use: &'static [&'static str],
}

const ROOMS: [Room; 16] = [
    Room { name: "bruit-core", may_use: &[] },
    Room { name: "bruit-wire", may_use: &["bruit-core"] },
    Room { name: LINK, may_use: &["bruit-core", "bruit-wire"] },
    Room { name: "bruit-addr-exchange", may_use: &["bruit-core", "bruit-wire"] },
    Room { name: "bruit-address-book", may_use: &["bruit-core", "bruit-wire"] },
    Room { name: "bruit-gossip", may_use: &["bruit-core", LINK, "bruit-wire"] },
    Room { name: "bruit-peering", may_use: &["bruit-core", "bruit-wire"] },
    Room { name: "bruit-rpc", may_use: &["bruit-core", LINK, "bruit-wire"] },
    Room {
        name: "bruit-stack",
        may_use: &[
            "bruit-addr-exchange",
            "bruit-address-book",
            "bruit-core",
            "bruit-gossip",
            "bruit-peering",
            "bruit-rpc",
            "bruit-wire",
        ],
    },
    Room {
        name: "bruit-sim",
        may_use: &[
            "bruit-addr-exchange",
            "bruit-address-book",
            "bruit-core",
            "bruit-gossip",
            "bruit-peering",
            "bruit-rpc",
            "bruit-stack",
            "bruit-wire",
        ],
    },
    Room {
        name: "bruit",
        may_use: &[
            "bruit-addr-exchange",
            "bruit-address-book",
            "bruit-core",
            "bruit-gossip",
            LINK,
            "bruit-peering",
            "bruit-rpc",
            "bruit-stack",
            "bruit-wire",
        ],
    },
    Room { name: "bruit-cli", may_use: &["bruit"] },
    Room { name: "bruit-testnet", may_use: &["bruit", "bruit-cli", "bruit-core", "bruit-sim"] },
    Room { name: "bruit-sim-cli", may_use: &["bruit-core", "bruit-sim", "bruit-stack"] },
    Room {
        name: "bruit-bench",
        may_use: &[
            "bruit",
            "bruit-address-book",
            "bruit-core",
            "bruit-gossip",
            LINK,
            "bruit-rpc",
            "bruit-sim",
            "bruit-stack",
            "bruit-wire",
        ],
    },
    Room { name: "xtask", may_use: &[] },
];

/// One dependency of one of our crates on another.
struct Arrow<'a> {
    from: &'a str,
    to: &'a str,
    is_dev: bool,
    is_optional: bool,
    has_default_features: bool,
}

/// Every arrow that the table does not allow, read from `cargo metadata`.
pub(super) fn problems(metadata: &Value) -> anyhow::Result<Vec<String>> {
    let packages = metadata["packages"].as_array().context("metadata without packages")?;
    let mut problems = Vec::new();
    for package in packages {
        let from = package["name"].as_str().context("package without name")?;
        if !ROOMS.iter().any(|room| room.name == from) {
            problems.push(format!("{from}: unknown; give it a line in xtask/src/check_deps/arrows.rs"));
            continue;
        }
        let dependencies = package["dependencies"].as_array().context("package without dependencies")?;
        for dependency in dependencies.iter().filter(|dependency| dependency["path"].is_string()) {
            let arrow = Arrow {
                from,
                to: dependency["name"].as_str().context("dependency without name")?,
                is_dev: dependency["kind"].as_str() == Some("dev"),
                is_optional: dependency["optional"].as_bool() == Some(true),
                has_default_features: dependency["uses_default_features"].as_bool() != Some(false),
            };
            problems.extend(problem(&arrow));
        }
    }
    Ok(problems)
}

fn problem(arrow: &Arrow<'_>) -> Option<String> {
    let Arrow { from, to, .. } = *arrow;
    let from_engine = ENGINES.contains(&from);
    if from_engine && ENGINES.contains(&to) {
        return Some(format!("{from} -> {to}: engines never depend on each other, in tests neither"));
    }
    if arrow.is_dev {
        return None;
    }
    let is_allowed = ROOMS.iter().any(|room| room.name == from && room.may_use.contains(&to));
    if !is_allowed {
        return Some(format!("{from} -> {to}: no such arrow in the design"));
    }
    if arrow.has_default_features {
        return Some(format!("{from} -> {to}: with default features, which brings the behaviour in"));
    }
    if from_engine && to == LINK && !arrow.is_optional {
        return Some(format!("{from} -> {to}: only behind the feature `behaviour`"));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{Arrow, problem};

    fn arrow<'a>(from: &'a str, to: &'a str) -> Arrow<'a> {
        Arrow { from, to, is_dev: false, is_optional: false, has_default_features: false }
    }

    #[test]
    fn arrows_of_the_design_hold() {
        assert_eq!(problem(&arrow("bruit-stack", "bruit-gossip")), None);
        assert_eq!(problem(&Arrow { is_optional: true, ..arrow("bruit-gossip", "bruit-link") }), None);
        assert_eq!(problem(&Arrow { is_dev: true, ..arrow("bruit", "bruit-sim") }), None);
    }

    #[test]
    fn arrows_against_the_design_are_named() {
        assert!(problem(&arrow("bruit-core", "bruit-wire")).is_some());
        assert!(problem(&arrow("bruit-gossip", "bruit-rpc")).is_some());
        assert!(problem(&Arrow { is_dev: true, ..arrow("bruit-gossip", "bruit-rpc") }).is_some());
        assert!(problem(&arrow("bruit-gossip", "bruit-link")).is_some());
        assert!(problem(&arrow("bruit-sim", "bruit")).is_some());
        assert!(problem(&Arrow { has_default_features: true, ..arrow("bruit", "bruit-stack") }).is_some());
    }
}
