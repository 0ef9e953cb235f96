use std::path::PathBuf;

use bruit::{ADDR_EXAMPLE, FILES_TOPIC, ItemId, ManifestId, Multiaddr, PeerId};
use clap::{ArgGroup, Args as ClapArgs, Parser, Subcommand, ValueEnum};

use crate::settings::SettingsArgs;

mod calls;

pub(crate) use calls::{CallArgs, Payload, SERVE_HELP, SendArgs, ServeArgs};

const QUALITY_HELP: &str = "QUALITY is in points: 0 for a stranger, more for good conduct (at most about 50), less for bad conduct (at worst \
    about -80). It fades towards 0 within days, and decides who is dialled, kept and asked first; it bans nobody by itself.";

/// A peer-to-peer node: messages, files, calls and addresses.
#[derive(Debug, Parser)]
#[command(name = "bruit", version, max_term_width = 120)]
pub(crate) struct Args {
    /// Gives out JSON: the last line of stdout is one object
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs a node until it is stopped
    Run(RunArgs),
    /// Says how a running node is
    Status(Api),
    /// Lists connected peers
    #[command(after_help = QUALITY_HELP)]
    Peers(PeersArgs),
    /// Lists the address book, says why a peer is treated as it is, exports and imports
    #[command(after_help = QUALITY_HELP)]
    Book(BookArgs),
    /// Lists, adds and removes bans
    Bans(BansArgs),
    /// Bans a peer, an IP address or a net; the same as `bans add`
    Ban(BanArgs),
    /// Lifts a ban; the same as `bans rm`
    Unban(UnbanArgs),
    /// Lists who left and why
    Goodbyes(Api),
    /// Lists the files that the node holds
    Files(Api),
    /// Publishes a file or a text under a topic
    Publish(PublishArgs),
    /// Wants a topic and prints what comes
    Subscribe(SubscribeArgs),
    /// Says who brought an item first, to whom it went and why
    Explain(ItemArgs),
    /// Wants a topic no longer
    Unsubscribe(TopicArgs),
    /// Fetches files by calls to peers
    Fetch(FetchArgs),
    /// Calls a method of some peer that serves it, or shows whom a call would ask
    Call(CallArgs),
    /// Sends a request and waits for no answer
    Send(SendArgs),
    /// Serves a method by running a command for each request
    #[command(after_help = SERVE_HELP)]
    Serve(ServeArgs),
    /// Asks every node of a network whom it knows, and counts them
    Crawl(CrawlArgs),
    /// Waits until something is so
    Wait(WaitArgs),
    /// Names a peer to be connected to
    Addnode(AddnodeArgs),
    /// Says goodbye to a peer, who may come back; `ban` keeps it away
    Disconnect(PeerArgs),
    /// Shows or makes the identity of a data directory
    Key(KeyArgs),
    /// Shows or checks settings
    Config(ConfigArgs),
    /// Lists the caps, intervals and quotas of address book, address exchange and peering, as the settings make them, and where its default comes from
    Limits(LimitsArgs),
    /// Stops a running node and waits for its end
    Shutdown(Api),
}

/// Where the node is.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct Api {
    /// The socket of the node's API
    #[arg(long, env = "BRUIT_API", value_name = "PATH")]
    pub(crate) api: Option<PathBuf>,
    /// The node's data directory, if --api is not given
    #[arg(long, env = "BRUIT_DATA_DIR", value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) settings: SettingsArgs,
    /// Ends the node with the process that started it (Linux), so that none is left over
    #[arg(long, value_name = "PID", num_args = 0..=1, require_equals = true)]
    #[allow(clippy::option_option, reason = "absent, given, and given with the process it must be")]
    pub(crate) exit_with_parent: Option<Option<i32>>,
}

#[derive(Debug, ClapArgs)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct BookArgs {
    #[command(flatten)]
    pub(crate) api: Api,
    /// How many entries at most
    #[arg(long, default_value_t = 200)]
    pub(crate) limit: usize,
    #[command(subcommand)]
    pub(crate) action: Option<BookAction>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BookAction {
    /// Says why a peer has its quality, and why it was chosen or banned
    Why(PeerArgs),
    /// Prints the book as lines of JSON
    Export(Api),
    /// Takes over what another book exported
    Import(ImportArgs),
}

#[derive(Debug, ClapArgs)]
pub(crate) struct PeersArgs {
    #[command(flatten)]
    pub(crate) api: Api,
    /// In which order: the best, longest or first one at the top
    #[arg(long, value_enum, default_value_t = PeerOrder::Direction)]
    pub(crate) sort: PeerOrder,
    /// Only peers of this direction
    #[arg(long, value_parser = ["outbound", "quiet", "inbound", "manual", "greeting"])]
    pub(crate) direction: Option<String>,
    /// Only peers that the node came to like this
    #[arg(long, value_parser = ["seed", "addnode", "restored", "book", "inbound"])]
    pub(crate) from: Option<String>,
    /// Only peers that want this topic
    #[arg(long, value_name = "TOPIC")]
    pub(crate) topic: Option<String>,
    /// Shows what each quality is made of
    #[arg(long)]
    pub(crate) parts: bool,
}

/// An order of peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PeerOrder {
    /// By direction, and the longest connected first
    Direction,
    /// The best first
    Quality,
    /// The longest connected first
    Age,
    /// By address
    Address,
    /// By peer id
    Peer,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ImportArgs {
    #[command(flatten)]
    pub(crate) api: Api,
    /// The file; standard input if it is `-`
    pub(crate) file: PathBuf,
}

#[derive(Debug, ClapArgs)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct BansArgs {
    #[command(flatten)]
    pub(crate) api: Api,
    #[command(subcommand)]
    pub(crate) action: Option<BansAction>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BansAction {
    /// Lists bans
    List(Api),
    /// Bans a peer, an IP address or a net
    Add(BanArgs),
    /// Lifts a ban
    Rm(UnbanArgs),
}

#[derive(Debug, ClapArgs)]
pub(crate) struct BanArgs {
    #[command(flatten)]
    pub(crate) api: Api,
    /// A peer id, an IP address, or a net as 1.2.3.0/24
    pub(crate) subject: String,
    /// For how many seconds; a day unless given
    #[arg(long)]
    pub(crate) seconds: Option<u64>,
    /// Only discourages: it may connect while there is room
    #[arg(long)]
    pub(crate) discourage: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct UnbanArgs {
    #[command(flatten)]
    pub(crate) api: Api,
    /// A peer id, an IP address, or a net as 1.2.3.0/24
    pub(crate) subject: String,
}

#[derive(Debug, ClapArgs)]
#[command(group = ArgGroup::new("what").required(true))]
pub(crate) struct PublishArgs {
    #[command(flatten)]
    pub(crate) api: Api,
    /// The topic
    #[arg(long, default_value = FILES_TOPIC)]
    pub(crate) topic: String,
    /// The file to publish
    #[arg(long, value_name = "PATH", group = "what")]
    pub(crate) file: Option<PathBuf>,
    /// The text to publish
    #[arg(long, group = "what")]
    pub(crate) text: Option<String>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct SubscribeArgs {
    #[command(flatten)]
    pub(crate) api: Api,
    /// The topic
    pub(crate) topic: String,
    /// Writes files into this folder
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Ends after so many items and files
    #[arg(long)]
    pub(crate) count: Option<u64>,
    /// Fails after so many seconds
    #[arg(long, value_name = "SECONDS")]
    pub(crate) timeout: Option<f64>,
    /// Only makes the node want the topic
    #[arg(long, conflicts_with_all = ["out", "count"])]
    pub(crate) detach: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ItemArgs {
    #[command(flatten)]
    pub(crate) api: Api,
    /// Its id, as `bruit publish` and `bruit subscribe` show it
    pub(crate) item: ItemId,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct TopicArgs {
    #[command(flatten)]
    pub(crate) api: Api,
    /// The topic
    pub(crate) topic: String,
}

/// How calls for parts of files are made.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct Tries {
    /// How long one peer may take; `files.try_timeout_ms` of the node unless given
    #[arg(long, value_name = "MILLISECONDS")]
    pub(crate) timeout_ms: Option<u64>,
    /// How many peers are asked at most; `files.tries_max` of the node unless given
    #[arg(long)]
    pub(crate) tries: Option<u32>,
    /// Who is asked first
    #[arg(long, value_name = "PEER")]
    pub(crate) pin_first: Option<PeerId>,
}

#[derive(Debug, ClapArgs)]
#[command(group = ArgGroup::new("which").required(true))]
pub(crate) struct FetchArgs {
    #[command(flatten)]
    pub(crate) api: Api,
    #[command(flatten)]
    pub(crate) tries: Tries,
    /// Which file
    #[arg(long, value_name = "ID", group = "which")]
    pub(crate) manifest: Option<ManifestId>,
    /// All recent files of a topic
    #[arg(long, group = "which")]
    pub(crate) topic: Option<String>,
    /// How many chunks of each file; all unless given
    #[arg(long, value_name = "COUNT")]
    pub(crate) chunks: Option<u32>,
    /// Writes files that are whole into this folder
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Takes what the node holds already from there
    #[arg(long)]
    pub(crate) local: bool,
}

#[derive(Debug, ClapArgs)]
#[command(group = ArgGroup::new("condition").required(true).multiple(true))]
pub(crate) struct WaitArgs {
    #[command(flatten)]
    pub(crate) api: Api,
    /// So many outbound peers, named ones included
    #[arg(long, value_name = "COUNT", group = "condition")]
    pub(crate) outbound: Option<usize>,
    /// So many peers
    #[arg(long, value_name = "COUNT", group = "condition")]
    pub(crate) peers: Option<usize>,
    /// This file whole
    #[arg(long, value_name = "ID", group = "condition")]
    pub(crate) file: Vec<ManifestId>,
    /// So many files whole on a topic
    #[arg(long, value_name = "TOPIC=COUNT", group = "condition")]
    pub(crate) files: Vec<String>,
    /// So many entries of the address book on disk
    #[arg(long, value_name = "COUNT", group = "condition")]
    pub(crate) book_stored: Option<u64>,
    /// For how many seconds at most
    #[arg(long, value_name = "SECONDS", default_value_t = 60.0)]
    pub(crate) timeout: f64,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct CrawlArgs {
    /// Where to start, with or without /p2p/ID
    #[arg(required = true, value_name = "ADDR")]
    pub(crate) addrs: Vec<Multiaddr>,
    /// The network
    #[arg(long, default_value = "bruit")]
    pub(crate) network: String,
    /// The key of a private network
    #[arg(long, value_name = "FILE")]
    pub(crate) shared_key_file: Option<PathBuf>,
    /// Dials private addresses too; taken for granted if a start address is private
    #[arg(long)]
    pub(crate) allow_private: bool,
    /// Dials ports below 1,024 too that nodes name, of public addresses
    #[arg(long)]
    pub(crate) dial_low_ports: bool,
    /// Writes a graph for Graphviz
    #[arg(long, value_name = "FILE")]
    pub(crate) dot: Option<PathBuf>,
    /// Writes a graph for Gephi
    #[arg(long, value_name = "FILE")]
    pub(crate) gexf: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct AddnodeArgs {
    #[command(flatten)]
    pub(crate) api: Api,
    /// Its address, with or without /p2p/ID
    #[arg(value_parser = addr)]
    pub(crate) addr: Multiaddr,
    /// Takes it off the list
    #[arg(long)]
    pub(crate) remove: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct PeerArgs {
    #[command(flatten)]
    pub(crate) api: Api,
    /// Its peer id, as `bruit peers` shows it
    pub(crate) peer: PeerId,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct KeyArgs {
    #[command(subcommand)]
    pub(crate) action: KeyAction,
    /// The data directory
    #[arg(long, global = true, env = "BRUIT_DATA_DIR", value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeyAction {
    /// Says whose identity it is
    Show,
    /// Makes an identity; one that is there is never overwritten
    New,
    /// Makes the key of a private network, to be copied to all of its nodes (`bruit run --shared-key-file FILE`)
    Shared {
        /// Where to write it
        file: PathBuf,
    },
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    pub(crate) action: ConfigAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigAction {
    /// Prints all settings, and where each comes from
    Print(SettingsArgs),
    /// Says whether the settings can be used
    Check(SettingsArgs),
}

#[derive(Debug, ClapArgs)]
pub(crate) struct LimitsArgs {
    #[command(flatten)]
    pub(crate) settings: SettingsArgs,
    /// As the node has them that runs with these settings, also those that were changed since its start
    #[arg(long)]
    pub(crate) running: bool,
}

/// Whether a text could be the subject of a ban; the node knows best.
pub(crate) fn is_subject(text: &str) -> bool {
    text.parse::<bruit::BanSubject>().is_ok()
}

fn addr(text: &str) -> Result<Multiaddr, String> {
    text.parse().map_err(|error| format!("{error}; {ADDR_EXAMPLE}"))
}
