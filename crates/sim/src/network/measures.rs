use std::{collections::BTreeSet, time::Duration};

use bruit_core::{Endpoint, Timestamp};
use bruit_stack::{address_book::Table, peering::SlotClass};

use super::{Host, Internet, NetworkNode, internet::Published};
use crate::{Figures, Overlay, World};

/// Who has an item after so long got it over the links that were there, and not because something was mended.
const PROMPT: Duration = Duration::from_secs(1);

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

/// How many of the first nodes have dialled as many peers as they want, or are connected with all the others.
pub(super) fn count_growth(world: &World<NetworkNode>, residents: u32, figures: &mut Figures) {
    let others = residents as usize - 1;
    let (mut grown, mut outbound_sum) = (0, 0);
    for host in world.nodes().iter().take(residents as usize).filter_map(NetworkNode::host) {
        let outbound = host.outbound().count();
        let target = host.parts().peering.settings().outbound_target.min(others);
        grown += u64::from(outbound >= target || host.honest_peers(world.tally()) >= others);
        outbound_sum += outbound;
    }
    figures.share("grown", grown, u64::from(residents));
    figures.mean("grown_outbound", outbound_sum as f64 / f64::from(residents));
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

/// How long those that are left had few living peers.
pub(super) fn count_repair(world: &World<NetworkNode>, left: &[u32], watched: Duration, figures: &mut Figures) {
    for host in left.iter().filter_map(|node| world.nodes().get(*node as usize)?.host()) {
        let took = host.repaired_after();
        figures.count("unrepaired", u64::from(took.is_none()));
        figures.spread("repair_seconds", [took.unwrap_or(watched).as_secs_f64()]);
    }
}

/// Which share of some nodes got what others of them published, in the end and within a second, for each moment.
pub(super) fn count_items(world: &World<NetworkNode>, nodes: &[u32], moments: &[Duration], figures: &mut Figures) {
    for Published { moment, at, receivers } in world.tally().items.values() {
        let Some(after) = moments.get(*moment as usize) else { continue };
        let reached = |until: Option<Timestamp>| {
            let in_time = receivers.iter().filter(|(_, got)| until.is_none_or(|until| *got <= until));
            let in_time: BTreeSet<u32> = in_time.map(|(node, _)| *node).collect();
            nodes.iter().filter(|node| in_time.contains(node)).count() as u64
        };
        for (name, until) in [("delivered", None), ("prompt", Some(at.after(PROMPT)))] {
            figures.share(&format!("{name}_after_{}ms", after.as_millis()), reached(until), nodes.len() as u64);
        }
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
