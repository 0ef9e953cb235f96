use std::{cmp::Reverse, fmt::Write as _};

use bruit::{PeerId, PeerInfo, Status, StorageState, admin::message::Peers};

use crate::{
    args::{Api, PeerOrder, PeersArgs},
    commands::{block_on, client},
    exit::{Exit, Failure},
    output::Output,
    table::{Table, counted, size, span},
};

pub(super) fn status(api: &Api, output: &Output) -> Result<Exit, Failure> {
    let client = client(api)?;
    let status = block_on(async { Ok(client.status().await?) })?;
    output.result(&status, text_of);
    Ok(Exit::Held)
}

fn text_of(status: &Status) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "{name:<14}{value}");
    };
    let listen: Vec<String> = status.listen.iter().map(ToString::to_string).collect();
    let (peers, gossip, rpc, files) = (&status.peers, &status.gossip, &status.rpc, &status.files);
    line("peer id", status.peer_id.to_string());
    line("network", format!("{}, profile {}", status.network, status.profile));
    line("running", format!("{} (process {}, version {})", span(status.uptime_seconds), status.pid, status.version));
    line("listening", listen.join(", "));
    for own in &status.own {
        let state = if own.adopted { "own address" } else { "maybe at" };
        line(state, format!("{}, seen by {} in {} groups", own.endpoint, peers_of(&own.witnesses), own.groups));
    }
    line(
        "peers",
        format!(
            "{} of {} outbound, {} of {} inbound, {} named; {} under way",
            peers.outbound,
            peers.outbound_target,
            peers.inbound,
            peers.inbound_max,
            peers.manual,
            counted(peers.dialling as u64, "dial")
        ),
    );
    line(
        "book",
        format!("{} reached, {} heard of, {} on disk", status.book.tried, status.book.new, status.book.stored),
    );
    line(
        "gossip",
        format!(
            "{} published, {} delivered in at most {}, {} duplicates, {} rejected",
            gossip.published,
            gossip.delivered,
            counted(u64::from(gossip.hops_max), "hop"),
            gossip.duplicates,
            gossip.rejected
        ),
    );
    line(
        "calls",
        format!("{} made, {} answered, {} asked again, {} served", rpc.calls, rpc.ok, rpc.retried, rpc.served),
    );
    line("files", format!("{} of {} whole, {}", files.complete, files.manifests, size(files.bytes)));
    line("traffic", format!("{} in, {} out", size(status.traffic.bytes_in), size(status.traffic.bytes_out)));
    line("topics", status.subscriptions.join(", "));
    line(
        "storage",
        match (status.storage.state, &status.storage.message) {
            (StorageState::Off, _) => "off".to_owned(),
            (StorageState::Ok, None) => "ok".to_owned(),
            (StorageState::Ok, Some(message)) => format!("ok; {message}"),
            (StorageState::Failed, message) => format!("FAILED: {}", message.as_deref().unwrap_or("unknown")),
        },
    );
    if let Some(hint) = &status.hint {
        line("hint", hint.clone());
    }
    text
}

/// Some peers by the ends of their ids.
fn peers_of(peers: &[PeerId]) -> String {
    let short = |peer: &PeerId| {
        let id = peer.to_string();
        id.get(id.len().saturating_sub(6)..).unwrap_or_default().to_owned()
    };
    let named: Vec<_> = peers.iter().take(5).map(short).collect();
    match peers.len() {
        0 => "nobody now".to_owned(),
        count if count > named.len() => format!("{} peers ({}, ...)", count, named.join(", ")),
        count => format!("{count} peers ({})", named.join(", ")),
    }
}

pub(super) fn peers(args: &PeersArgs, output: &Output) -> Result<Exit, Failure> {
    let client = client(&args.api)?;
    let Peers { mut peers } = block_on(async { Ok(client.peers().await?) })?;
    if peers.is_empty() {
        output.note("no peers at the moment; `bruit status` may say why");
    }
    peers.retain(|peer| is_wanted(peer, args));
    sort(&mut peers, args.sort);
    output.table(&Peers { peers }, |Peers { peers }| {
        let names: Vec<&String> = match peers.first() {
            Some(peer) if args.parts => peer.parts.keys().collect(),
            Some(_) | None => Vec::new(),
        };
        let heading: Vec<String> = names.iter().map(|name| name.to_uppercase()).collect();
        let mut columns = vec!["PEER", "DIRECTION", "ADDRESS", "FROM", "FOR", "QUALITY"];
        columns.extend(heading.iter().map(String::as_str));
        columns.extend(["AGENT", "TOPICS"]);
        let mut table = Table::new(&columns);
        for peer in peers {
            let mut row = vec![
                peer.peer_id.to_string(),
                peer.direction.clone(),
                peer.endpoint.to_string(),
                peer.origin.clone(),
                span(peer.connected_seconds),
                points(peer.quality),
            ];
            row.extend(names.iter().map(|name| points(peer.parts.get(*name).copied().unwrap_or_default())));
            row.push(peer.agent.escape_default().to_string());
            row.push(peer.subscriptions.join(",").escape_default().to_string());
            table.row(row);
        }
        table
    });
    Ok(Exit::Held)
}

fn is_wanted(peer: &PeerInfo, args: &PeersArgs) -> bool {
    let is = |wish: &Option<String>, value: &str| wish.as_deref().is_none_or(|wish| wish == value);
    let topic = args.topic.as_ref().is_none_or(|topic| peer.subscriptions.contains(topic));
    is(&args.direction, &peer.direction) && is(&args.from, &peer.origin) && topic
}

fn sort(peers: &mut [PeerInfo], order: PeerOrder) {
    // Ties have an order of their own, so that two looks can be compared.
    peers.sort_by_key(|peer| (Reverse(peer.connected_seconds), peer.peer_id));
    match order {
        PeerOrder::Direction => peers.sort_by(|a, b| a.direction.cmp(&b.direction)),
        PeerOrder::Quality => peers.sort_by_key(|peer| Reverse(peer.quality)),
        PeerOrder::Age => {}
        PeerOrder::Address => peers.sort_by(|a, b| a.endpoint.cmp(&b.endpoint)),
        PeerOrder::Peer => peers.sort_by_key(|peer| peer.peer_id),
    }
}

pub(super) fn goodbyes(api: &Api, output: &Output) -> Result<Exit, Failure> {
    let client = client(api)?;
    let goodbyes = block_on(async { Ok(client.goodbyes().await?) })?;
    output.table(&goodbyes, |goodbyes| {
        let mut table = Table::new(&["PEER", "WHEN", "BY", "REASON", "NOT BEFORE"]);
        for goodbye in &goodbyes.goodbyes {
            table.row([
                goodbye.peer_id.to_string(),
                format!("{} ago", span(goodbye.seconds_ago)),
                goodbye.by.clone(),
                goodbye.reason.clone(),
                format!("in {}", span(goodbye.stay_away_seconds)),
            ]);
        }
        table
    });
    Ok(Exit::Held)
}

pub(super) fn files(api: &Api, output: &Output) -> Result<Exit, Failure> {
    let client = client(api)?;
    let files = block_on(async { Ok(client.files().await?) })?;
    output.table(&files, |files| {
        let mut table = Table::new(&["MANIFEST", "TOPIC", "NAME", "SIZE", "CHUNKS", "GOSSIP", "CALLS", "WHOLE"]);
        for file in &files.files {
            table.row([
                file.manifest.to_string(),
                file.topic.clone(),
                file.name.clone(),
                size(file.size),
                format!("{}/{}", file.held, file.chunks),
                file.by_gossip.to_string(),
                file.by_rpc.to_string(),
                if file.complete { "yes" } else { "no" }.to_owned(),
            ]);
        }
        table
    });
    Ok(Exit::Held)
}

pub(super) fn points(thousandths: i32) -> String {
    format!("{:.1}", f64::from(thousandths) / 1_000.0)
}
