//! Whom a node connects to. Where a system's text and its code differ, `docs/profiles.md` says which of them is followed.

use bruit_peering::Config;

use super::Profile;

pub(super) fn set(profile: Profile, peering: &mut Config) {
    match profile {
        // The defaults: 32 out and 150 in are Factom's figures too.
        Profile::Bruit | Profile::Factom => {}
        // Everybody dials everybody: Casper has no outgoing limit. 512 is above the number of its nodes.
        Profile::Casper => (peering.outbound_target, peering.inbound_max) = (512, 512),
        // 125 connections in all, 8 of them dialled and 2 quiet.
        Profile::Horizen => (peering.outbound_target, peering.inbound_max) = (8, 115),
        // 256 connections in all; Iron Fish does not count by direction, so a quarter is dialled.
        Profile::Ironfish => (peering.outbound_target, peering.inbound_max) = (64, 192),
    }
}
