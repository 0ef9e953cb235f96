//! Whom a node connects to. Where a system's text and its code differ, `docs/profiles.md` says which of them is followed.

use std::time::Duration;

use bruit_peering::{Bootstrap, Config};

use super::Profile;

pub(super) fn set(profile: Profile, peering: &mut Config) {
    match profile {
        Profile::Bruit => {}
        // 32 out, at most 36, and 150 in are the defaults. Reactive: who is full neither dials nor lets anybody go.
        Profile::Factom => still(peering),
        // Everybody dials everybody: Casper has no outgoing limit. 512 is above the number of its nodes.
        Profile::Casper => {
            still(peering);
            (peering.outbound_target, peering.inbound_max) = (512, 512);
            (peering.inbound_per_ip_max, peering.inbound_per_group_max) = (3, 512);
        }
        // 125 connections in all, 8 of them dialled and 2 quiet.
        Profile::Horizen => {
            (peering.outbound_target, peering.outbound_extra, peering.inbound_max) = (8, 0, 115);
        }
        // 256 connections in all; Iron Fish does not count by direction, so a quarter is dialled.
        Profile::Ironfish => {
            still(peering);
            (peering.outbound_target, peering.outbound_extra, peering.inbound_max) = (64, 0, 192);
            (peering.bootstrap, peering.seeds_asked_min) = (Bootstrap::OneRandom, 1);
        }
    }
}

/// Neither feelers nor quiet peers, and nobody makes room for newcomers: rules that only Bitcoin-like systems have.
fn still(peering: &mut Config) {
    peering.feeler_interval = Duration::ZERO;
    peering.quiet_target = 0;
    peering.inbound_eviction = false;
}
