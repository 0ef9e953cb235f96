//! Makes types of the project's schemas.

use std::{error::Error, path::Path};

const FILES: [&str; 6] = ["addr", "gossip", "link", "object", "peering", "rpc"];

fn main() -> Result<(), Box<dyn Error>> {
    let schemas = Path::new("../../proto");
    println!("cargo::rerun-if-changed={}", schemas.display());
    let files = FILES.map(|name| format!("bruit/v1/{name}.proto"));
    let descriptors = protox::compile(files, [schemas])?;
    prost_build::Config::new().bytes(["."]).compile_fds(descriptors)?;
    Ok(())
}
