//! How requests find their peer.

use std::time::Duration;

use bruit_rpc::Config;

use super::Profile;

pub(super) fn set(profile: Profile, rpc: &mut Config) {
    match profile {
        Profile::Bruit => rpc.hedge = true,
        // Factom asks the peer that it means; Horizen's requests are those of synchronization.
        Profile::Factom | Profile::Horizen => {}
        Profile::Casper => {
            rpc.try_timeout = Duration::from_secs(10);
            // As long as an item may wait for what it depends on.
            rpc.deadline = Duration::from_secs(60);
            rpc.serving_per_peer_max = 50;
            rpc.cost_per_second = 3_000.0;
            rpc.cost_burst = 6_000;
        }
        Profile::Ironfish => {
            rpc.tries_max = 5;
            rpc.try_timeout = Duration::from_secs(30);
            rpc.deadline = Duration::from_secs(5 * 30);
            rpc.pending_per_peer_max = 5;
        }
    }
}
