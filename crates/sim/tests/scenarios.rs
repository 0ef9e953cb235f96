//! The shipped scenario files.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

use std::{fs, path::Path};

use bruit_sim::{Options, Scenario};

#[test]
fn every_shipped_scenario_is_valid_and_makes_claims() {
    let all = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../testnet/scenarios"));
    let mut count = 0;
    for dir in [all.to_owned(), all.join("large")] {
        for entry in fs::read_dir(dir).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "toml") {
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let scenario = Scenario::parse("shipped", &text, Options::default());
            let scenario = scenario.unwrap_or_else(|invalid| panic!("{}: {invalid}", path.display()));
            assert!(!scenario.file().claim.is_empty(), "{} claims nothing", path.display());
            assert!(!scenario.file().about.is_empty(), "{} says not what it shows", path.display());
            count += 1;
        }
    }
    assert!(count > 0);
}
