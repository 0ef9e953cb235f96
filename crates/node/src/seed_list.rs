//! Seeds by URL: a list of addresses, fetched when peering wants addresses from there.
//!
//! It is read as a seed file is, but a line that is no address costs that line alone: the list belongs to somebody else. Its
//! addresses are hearsay for the address book, as what peers tell; nothing here decides whom to dial.

use std::{io, thread, time::Duration};

use bruit_core::Endpoint;
use tokio::sync::oneshot;
use ureq::{
    http::StatusCode,
    tls::{RootCerts, TlsConfig},
};

use crate::{
    config::{SeedUrl, seed_lines},
    dns_seeds::{FOUND_MAX, Found},
};

/// How long a list may be, in bytes. 64 KiB: a guess, 256 bytes for each address that is taken.
///
/// # Security
/// Whoever answers for the URL makes the node hold no more: lines that are no addresses are counted, and of one of them the beginning is kept.
const BODY_BYTES_MAX: u64 = 64 * 1_024;
/// How long fetching it may take, with name, connection and redirections. 30 s: a guess.
const FETCH_TIME_MAX: Duration = Duration::from_secs(30);
/// How often it may have moved. 3: a guess.
const REDIRECTS_MAX: u32 = 3;

/// A list that was not fetched.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SeedListError {
    /// No thread was left for it.
    #[error("no thread could be started: {0}")]
    Thread(#[from] io::Error),
    /// The server, or the way to it.
    #[error(transparent)]
    Http(#[from] ureq::Error),
    /// The server answers, but not with a list.
    #[error("the server answers `{0}`")]
    Status(StatusCode),
}

/// Lines of a list that are no addresses.
#[derive(Debug, Default, PartialEq, Eq)]
struct Bad {
    count: usize,
    first: Option<BadLine>,
}

#[derive(Debug, PartialEq, Eq)]
struct BadLine {
    /// Counted from 1.
    line: usize,
    /// How it begins.
    text: String,
    /// Why it is no address, cut as the line is.
    reason: String,
}

/// How many characters of a bad line are kept, and of the reason, which repeats them: the server chooses them.
const BAD_TEXT_MAX: usize = 80;

/// How a list is fetched.
#[derive(Clone, Debug)]
struct Fetch {
    time_max: Duration,
    /// Whose word is taken for who a server is.
    roots: RootCerts,
}

impl Default for Fetch {
    fn default() -> Self {
        Self { time_max: FETCH_TIME_MAX, roots: RootCerts::WebPki }
    }
}

/// Fetches a list. What does not come is logged, and brings nothing.
pub(crate) async fn search(url: SeedUrl) -> Found {
    match fetch(url.clone(), Fetch::default()).await {
        Ok(text) => {
            let (found, bad) = read(&text);
            if let Some(BadLine { line, text, reason }) = bad.first {
                tracing::warn!(%url, lines = bad.count, line, ?text, reason, "lines of the seed list are no addresses");
            }
            tracing::info!(%url, addresses = found.len(), "fetched the seed list");
            found
        }
        Err(error) => {
            tracing::warn!(%url, %error, "the seed list was not fetched");
            Vec::new()
        }
    }
}

/// In a thread of its own, which nobody waits for when the node ends.
async fn fetch(url: SeedUrl, how: Fetch) -> Result<String, SeedListError> {
    let (sender, answer) = oneshot::channel();
    thread::Builder::new().name("seed list".to_owned()).spawn(move || {
        // The node may have ended meanwhile.
        let _ = sender.send(get(&url, how));
    })?;
    answer.await.map_err(|_| io::Error::other("it ended without an answer"))?
}

fn get(url: &SeedUrl, Fetch { time_max, roots }: Fetch) -> Result<String, SeedListError> {
    let mut config = ureq::Agent::config_builder().timeout_global(Some(time_max)).max_redirects(REDIRECTS_MAX);
    config = if url.is_https() {
        config.https_only(true).tls_config(TlsConfig::builder().root_certs(roots).build())
    } else {
        // A proxy would look on another machine, and so might a redirection.
        config.proxy(None).max_redirects(0)
    };
    let mut response = config.build().new_agent().get(url.uri()).call()?;
    if response.status() != StatusCode::OK {
        return Err(SeedListError::Status(response.status()));
    }
    Ok(response.body_mut().with_config().limit(BODY_BYTES_MAX).read_to_string()?)
}

/// The addresses of a list, and its lines that are none.
fn read(text: &str) -> (Found, Bad) {
    let (mut found, mut bad) = (Vec::new(), Bad::default());
    for (line, text, addr) in seed_lines(text) {
        let place = addr.map_err(|error| error.to_string());
        match place.and_then(|addr| Endpoint::from_multiaddr(&addr).map_err(|error| error.to_string())) {
            Ok(place) if found.len() < FOUND_MAX => found.push(place),
            Ok(_) => break,
            Err(reason) => {
                bad.count = bad.count.saturating_add(1);
                bad.first.get_or_insert_with(|| BadLine { line, text: beginning(text), reason: beginning(&reason) });
            }
        }
    }
    (found, bad)
}

fn beginning(text: &str) -> String {
    text.chars().take(BAD_TEXT_MAX).collect()
}

#[cfg(test)]
mod tests;
