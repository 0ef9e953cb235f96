use std::path::PathBuf;

use bruit::PeerId;
use clap::{ArgGroup, Args as ClapArgs};

use super::Api;

pub(crate) const SERVE_HELP: &str = "\
For each request the command is run by `sh -c`. It gets the arguments on its standard input, BRUIT_METHOD and BRUIT_PEER (who \
asks) in its environment, and gives the answer on its standard output. How it ends decides what the caller is told:

  exit code 0      the answer is its output
  exit code 1      cannot satisfy: what is asked for is not here, the caller asks the next peer
  exit code 2      bad request: the arguments make no sense
  exit code 75     overloaded: the caller asks the next peer
  all else         failed; so does a command that writes too much or takes too long

With 1, 2 and 75 the first line of its standard error goes to the caller as the reason (at most 200 characters). A command \
whose caller takes the request back, leaves, or has no time left is killed with all that it started.";

#[derive(Debug, ClapArgs)]
pub(crate) struct CallArgs {
    #[command(flatten)]
    pub(crate) api: Api,
    /// The method; every node serves ping, echo, object, peers and recent
    pub(crate) method: String,
    /// The only peer to be asked; otherwise any that serves the method, and the next one if that was in vain
    #[arg(long, value_name = "PEER", conflicts_with_all = ["pin_first", "exclude", "tries"])]
    pub(crate) peer: Option<PeerId>,
    /// Asks nobody: shows whom a call would ask, and how likely each is asked first
    #[arg(long, conflicts_with_all = ["peer", "pin_first", "exclude", "tries", "timeout_ms", "deadline_ms", "idempotent"])]
    pub(crate) explain: bool,
    /// How long one peer may take; `rpc.try_timeout_ms` of the node unless given (10,000)
    #[arg(long, value_name = "MILLISECONDS")]
    pub(crate) timeout_ms: Option<u64>,
    /// How long the call may take in all; all tries and one more, or `rpc.deadline_ms` (30,000), unless given
    #[arg(long, value_name = "MILLISECONDS")]
    pub(crate) deadline_ms: Option<u64>,
    /// How many peers are asked at most; `rpc.tries_max` of the node unless given (5)
    #[arg(long, value_name = "COUNT")]
    pub(crate) tries: Option<u32>,
    /// Who is asked first
    #[arg(long, value_name = "PEER")]
    pub(crate) pin_first: Option<PeerId>,
    /// Who is not asked
    #[arg(long, value_name = "PEER")]
    pub(crate) exclude: Vec<PeerId>,
    /// Says that executing the request twice does no harm: it is then tried again also where a peer may have executed it
    #[arg(long)]
    pub(crate) idempotent: bool,
    /// Takes an answer of any length in parts, and writes it to standard output as it comes
    #[arg(long, conflicts_with = "explain")]
    pub(crate) stream: bool,
    /// Writes the parts to a new file instead, which is there only when the answer is complete
    #[arg(long, value_name = "PATH", requires = "stream")]
    pub(crate) out: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) payload: Payload,
}

/// The arguments of a call, at most 192 KiB unless the method allows less.
#[derive(Debug, ClapArgs)]
#[group(multiple = false)]
pub(crate) struct Payload {
    /// The arguments, as text
    #[arg(long, value_name = "TEXT")]
    pub(crate) payload: Option<String>,
    /// The arguments, in hexadecimal digits
    #[arg(long, value_name = "HEX")]
    pub(crate) payload_hex: Option<String>,
    /// The arguments, from a file
    #[arg(long, value_name = "PATH")]
    pub(crate) file: Option<PathBuf>,
    /// The arguments of `object`: a manifest, or one of its chunks
    #[arg(long, value_name = "MANIFEST[:INDEX]")]
    pub(crate) object: Option<String>,
    /// The arguments of `recent`: a topic
    #[arg(long, value_name = "TOPIC")]
    pub(crate) topic: Option<String>,
}

#[derive(Debug, ClapArgs)]
#[command(group = ArgGroup::new("whom").required(true))]
pub(crate) struct SendArgs {
    #[command(flatten)]
    pub(crate) api: Api,
    /// The method
    pub(crate) method: String,
    /// To this connected peer; may be given several times
    #[arg(long, value_name = "PEER", group = "whom")]
    pub(crate) peer: Vec<PeerId>,
    /// To every connected peer that serves the method
    #[arg(long, group = "whom")]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) payload: Payload,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    pub(crate) api: Api,
    /// The method: 1 to 64 bytes; peers learn of it at once
    pub(crate) method: String,
    /// What is run for each request
    #[arg(long, value_name = "COMMAND")]
    pub(crate) exec: String,
    /// How many requests are worked on at a time; up to 256 more wait, and what comes beyond is told that we are overloaded
    #[arg(long, value_name = "COUNT", default_value_t = 4)]
    pub(crate) parallel: usize,
    /// How long the command may take for one request, whatever the caller would wait
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 10_000)]
    pub(crate) timeout_ms: u64,
    /// The largest request that is taken, in bytes; 192 KiB, which is the most, unless given
    #[arg(long, value_name = "BYTES")]
    pub(crate) request_max: Option<usize>,
    /// Passes on what the command writes as it writes it, to callers that take parts: answers may then have any length, and
    /// `--timeout-ms` is how long the command may write nothing
    #[arg(long)]
    pub(crate) stream: bool,
    /// The largest answer, in bytes; 192 KiB unless given, which is the most where it is not passed on in parts
    #[arg(long, value_name = "BYTES")]
    pub(crate) answer_max: Option<usize>,
    /// Says that running the command twice for a request does no harm
    #[arg(long)]
    pub(crate) idempotent: bool,
    /// Ends after so many requests
    #[arg(long, value_name = "COUNT")]
    pub(crate) count: Option<u64>,
}
