//! Seeds by name: what a DNS name leads to, asked when peering wants addresses from there.
//!
//! The answers are hearsay for the address book, as what peers tell; nothing here decides whom to dial.
#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "records of other kinds, as aliases, come beside what was asked for"
)]

use std::{
    collections::{BTreeSet, VecDeque},
    net::SocketAddr,
};

use bruit_core::{Endpoint, PeerId, Transport};
use hickory_resolver::{
    TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolverConfig},
    net::{NetError, runtime::TokioRuntimeProvider},
    proto::rr::{RData, RecordType},
};
use libp2p::Multiaddr;
use multiaddr::Protocol;

use crate::config::SeedName;

/// How many addresses are taken in one search, the same share from each name. Bitcoin Core: 256 of a seed.
///
/// # Security
/// Whoever answers for a name can fill no more of the book at once, and keeps no other name out.
pub(crate) const FOUND_MAX: usize = 256;
/// How many names are asked for one name of `dnsaddr`. libp2p: 32 look-ups for one dial.
///
/// # Security
/// Their answers name further ones, also each other.
const DNSADDR_LOOKUPS_MAX: usize = 32;

/// What a search found: where, and who is said to live there.
pub(crate) type Found = Vec<(Endpoint, Option<PeerId>)>;

/// Asks for all names. What does not answer is logged and left out.
pub(crate) async fn search(names: Vec<SeedName>, server: Option<SocketAddr>) -> Found {
    let resolver = match resolver(server) {
        Ok(resolver) => resolver,
        Err(error) => {
            tracing::warn!(%error, "the system's name servers cannot be read; seed names will not be resolved");
            return Vec::new();
        }
    };
    let share = FOUND_MAX.checked_div(names.len()).unwrap_or_default().max(1);
    let mut found = BTreeSet::new();
    for name in names {
        let mut search = Search { resolver: &resolver, found: BTreeSet::new(), share };
        match &name {
            SeedName::Host { name, port } => search.hosts(name, *port).await,
            SeedName::DnsAddr { name } => search.lists(name).await,
        }
        tracing::info!(%name, addresses = search.found.len(), "asked a seed name");
        found.extend(search.found);
    }
    found.into_iter().take(FOUND_MAX).collect()
}

fn resolver(server: Option<SocketAddr>) -> Result<TokioResolver, NetError> {
    let Some(server) = server else { return TokioResolver::builder_tokio()?.build() };
    let at_port = |mut connection: ConnectionConfig| {
        connection.port = server.port();
        connection
    };
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(at_port).into();
    let servers = vec![NameServerConfig::new(server.ip(), true, connections)];
    let config = ResolverConfig::from_parts(None, Vec::new(), servers);
    TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()).build()
}

struct Search<'r> {
    resolver: &'r TokioResolver,
    found: BTreeSet<(Endpoint, Option<PeerId>)>,
    share: usize,
}

impl Search<'_> {
    async fn hosts(&mut self, name: &str, port: u16) {
        for kind in [RecordType::A, RecordType::AAAA] {
            for data in self.ask(name, kind).await {
                let ip = match data {
                    RData::A(ip) => ip.0.into(),
                    RData::AAAA(ip) => ip.0.into(),
                    _ => continue,
                };
                self.take(Endpoint::Ip { ip, port, transport: Transport::Tcp }, None);
            }
        }
    }

    async fn lists(&mut self, name: &str) {
        let mut waiting = VecDeque::from([name.to_owned()]);
        let mut asked = BTreeSet::new();
        while let Some(name) = waiting.pop_front() {
            if asked.len() == DNSADDR_LOOKUPS_MAX {
                tracing::warn!("a seed name leads to more names than are asked");
                return;
            }
            if !asked.insert(name.clone()) {
                continue;
            }
            for data in self.ask(&format!("_dnsaddr.{name}"), RecordType::TXT).await {
                let RData::TXT(text) = data else { continue };
                let Some(addr) = dnsaddr(&text.txt_data.concat()) else { continue };
                if let Some(Protocol::Dnsaddr(next)) = addr.iter().next() {
                    if waiting.len() < DNSADDR_LOOKUPS_MAX {
                        waiting.push_back(next.to_ascii_lowercase());
                    }
                } else if let Ok((endpoint, peer)) = Endpoint::from_multiaddr(&addr) {
                    self.take(endpoint, peer);
                }
            }
        }
    }

    async fn ask(&self, name: &str, kind: RecordType) -> Vec<RData> {
        // With a dot at its end a name is whole: no domain of this site is tried behind it.
        match self.resolver.lookup(format!("{name}."), kind).await {
            Ok(answer) => answer.answers().iter().map(|record| record.data.clone()).collect(),
            Err(error) if error.is_no_records_found() => Vec::new(),
            Err(error) => {
                tracing::warn!(name, %kind, %error, "a seed name was not resolved");
                Vec::new()
            }
        }
    }

    fn take(&mut self, endpoint: Endpoint, peer: Option<PeerId>) {
        if self.found.len() < self.share {
            self.found.insert((endpoint, peer));
        }
    }
}

/// The address in a record of `dnsaddr`.
fn dnsaddr(text: &[u8]) -> Option<Multiaddr> {
    std::str::from_utf8(text).ok()?.strip_prefix("dnsaddr=")?.parse().ok()
}

#[cfg(test)]
mod tests;
