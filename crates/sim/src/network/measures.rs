use std::{collections::BTreeSet, time::Duration};

use bruit_core::{Endpoint, Timestamp};
use bruit_stack::{address_book::Table, peering::SlotClass};

use super::{Host, Internet, NetworkNode};
use crate::{Figures, Overlay, World};

/// The endpoints of honest nodes that a node has reached.
pub(super) fn honest_tried(host: &Host, internet: &Internet, now: Timestamp) -> BTreeSet<Endpoint> {
    let entries = host.coupler().book().entries(now).filter(|entry| entry.table == Table::Tried);
    let honest = entries.filter(|entry| internet.at(&entry.endpoint).is_some_and(|node| node < internet.honest()));
    honest.map(|entry| entry.endpoint).collect()
}

/// What became of the books of those that were attacked.
pub(super) fn count_books(world: &World<NetworkNode>, before: &[BTreeSet<Endpoint>], figures: &mut Figures) {
    let (internet, now) = (world.tally(), world.now());
    let is_bot = |endpoint: &Endpoint| internet.at(endpoint).is_some_and(|node| node >= internet.honest());
    let (mut displaced, mut of_bots, mut tried, mut book_most) = (0, 0, 0, 0);
    for (host, before) in world.nodes().iter().filter_map(NetworkNode::host).zip(before) {
        displaced += before.difference(&honest_tried(host, internet, now)).count() as u64;
        let mut bots_here = 0_u32;
        for entry in host.coupler().book().entries(now) {
            let is_tried = entry.table == Table::Tried;
            let is_bot = is_bot(&entry.endpoint);
            tried += u64::from(is_tried);
            of_bots += u64::from(is_tried && is_bot);
            bots_here += u32::from(is_bot);
        }
        book_most = book_most.max(bots_here);
        let inbound = host.held(SlotClass::Inbound).filter(|peer| !internet.is_honest(peer)).count();
        figures.most("attacker_inbound_most", inbound as f64);
        figures.most("book_entries_most", host.coupler().book().len() as f64);
    }
    figures.count("tried_displaced", displaced);
    figures.share("attacker_tried_share", of_bots, tried);
    figures.most("attacker_book_most", f64::from(book_most));
}

/// What became of those that had to start again.
pub(super) fn count_victims(world: &World<NetworkNode>, victims: &[u32], watched: Duration, figures: &mut Figures) {
    let internet = world.tally();
    let mut eclipsed = 0;
    let hosts = victims.iter().filter_map(|node| world.nodes().get(*node as usize)?.host());
    for host in hosts {
        let outbound: Vec<_> = host.outbound().collect();
        let bots = outbound.iter().filter(|peer| !internet.is_honest(peer)).count();
        eclipsed += u64::from(bots == outbound.len());
        figures.mean("attacker_outbound_mean", bots as f64 / outbound.len().max(1) as f64);
        figures.most("attacker_outbound_most", bots as f64);
        figures.mean("outbound", outbound.len() as f64);
        figures.count("unsettled", u64::from(host.settled_after().is_none()));
        let seconds = host.settled_after().unwrap_or(watched).as_secs_f64();
        figures.spread("seconds_to_8_honest", [seconds]);
    }
    figures.count("victims", victims.len() as u64);
    figures.share("eclipsed", eclipsed, victims.len() as u64);
}

/// Which share of some nodes got what others of them published, for each moment.
pub(super) fn count_items(world: &World<NetworkNode>, nodes: &[u32], moments: &[Duration], figures: &mut Figures) {
    for (moment, receivers) in world.tally().items.values() {
        let Some(after) = moments.get(*moment as usize) else { continue };
        let receivers: BTreeSet<u32> = receivers.iter().copied().collect();
        let reached = nodes.iter().filter(|node| receivers.contains(node)).count();
        let name = format!("delivered_after_{}ms", after.as_millis());
        figures.share(&name, reached as u64, nodes.len() as u64);
    }
}

/// Who is connected to whom among the honest nodes: those that a node keeps whom it dialled.
pub(super) fn overlay(world: &World<NetworkNode>) -> Option<Overlay> {
    let internet = world.tally();
    let hosts = (0..).zip(world.nodes()).filter_map(|(node, place)| Some((node, place.host()?)));
    let edges = hosts.filter(|(_, host)| host.is_up()).flat_map(|(node, host)| {
        let dialled = host.outbound().filter_map(|peer| internet.node_of(&peer));
        dialled.filter(|peer| *peer < internet.honest()).map(move |peer| (node, peer)).collect::<Vec<_>>()
    });
    Overlay::of_edges(internet.honest(), edges).ok()
}
