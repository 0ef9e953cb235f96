//! `bruit-bench`: speeds, side by side with what others offer, measured in one run.

mod address_book;
mod codec;
mod duel;
mod gossip;
mod join;
mod link;
mod pair;
mod report;
mod rpc;
mod sim;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Speeds, side by side with what others offer, measured in one run.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Debug, Subcommand)]
enum Bench {
    /// Frames from one swarm to another, beside gossipsub's handler and one raw stream.
    Link(link::Args),
    /// The address book, at Bitcoin Core's bench workload and with a million entries.
    AddressBook(address_book::Args),
    /// Calls from one swarm to another, beside libp2p's request-response and one raw stream.
    Rpc(rpc::Args),
    /// Messages through a whole network, beside gossipsub or floodsub on the same graph under the same load.
    Gossip(gossip::Args),
    /// A newcomer with one seed address until it has all its peers, and a network that forms.
    Join(join::Args),
    /// The simulator: how much happens in a second, and how much memory a node takes.
    Sim(sim::Args),
}

fn main() -> anyhow::Result<ExitCode> {
    let held = match Args::parse().bench {
        Bench::Link(args) => link::run(&args)?,
        Bench::AddressBook(args) => address_book::run(&args)?,
        Bench::Rpc(args) => rpc::run(&args)?,
        Bench::Gossip(args) => gossip::run(&args)?,
        Bench::Join(args) => join::run(&args)?,
        Bench::Sim(args) => sim::run(&args)?,
    };
    Ok(if held { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
