//! How requests find their peer.

use bruit_rpc::Config;

use super::Profile;

pub(super) fn set(profile: Profile, _rpc: &mut Config) {
    match profile {
        Profile::Bruit | Profile::Factom | Profile::Casper | Profile::Horizen | Profile::Ironfish => {}
    }
}
