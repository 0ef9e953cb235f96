use std::{fs, path::Path};

use bruit::{CrawlConfig, Crawled, Endpoint, crawl};
use indicatif::{ProgressBar, ProgressStyle};

use crate::{
    args::CrawlArgs,
    commands::block_on,
    exit::{Exit, Failure},
    output::Output,
};

pub(super) fn crawl_network(args: &CrawlArgs, output: &Output) -> Result<Exit, Failure> {
    let mut starts = Vec::new();
    for addr in &args.addrs {
        starts.push(Endpoint::from_multiaddr(addr).map_err(Failure::configuration)?);
    }
    let network = args.network.parse().map_err(Failure::configuration)?;
    let is_private = |(start, _): &(Endpoint, _)| bruit::AddrPolicy::default().check(start).is_err();
    let shared_key = args.shared_key_file.as_deref().map(bruit::read_shared_key).transpose()?;
    let config = CrawlConfig {
        shared_key,
        allow_private_addrs: args.allow_private || starts.iter().any(is_private),
        dial_low_ports: args.dial_low_ports,
        ..CrawlConfig::new(network)
    };
    let style = ProgressStyle::with_template("{bar:30} {pos} of {len} asked, {msg} online").map_err(Failure::failed)?;
    let bar = ProgressBar::new(0).with_style(style);
    let found = block_on(async {
        let shown = |progress: bruit::CrawlProgress| {
            bar.set_length(progress.known as u64);
            bar.set_position(progress.done as u64);
            bar.set_message(progress.online.to_string());
        };
        Ok(crawl(config, starts, shown).await?)
    })?;
    bar.finish_and_clear();
    write(args.dot.as_deref(), || found.to_dot())?;
    write(args.gexf.as_deref(), || found.to_gexf())?;
    output.result(&found, text_of);
    Ok(if found.nodes_online > 0 { Exit::Held } else { Exit::Failed })
}

fn write(path: Option<&Path>, text: impl FnOnce() -> String) -> Result<(), Failure> {
    let Some(path) = path else { return Ok(()) };
    fs::write(path, text()).map_err(|error| Failure::failed(format!("{}: {error}", path.display())))
}

fn text_of(found: &Crawled) -> String {
    format!("{} nodes known, {} online, {} edges", found.nodes_known, found.nodes_online, found.edges)
}
