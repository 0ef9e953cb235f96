//! Items: what a node publishes, and what its gossip wants.

use bruit_stack::gossip::{Event, Moment, Output, Verdict};
use bytes::Bytes;

use super::{Around, Host};
use crate::{
    gossip::sealer,
    network::{Content, internet::Published},
};

impl Host {
    pub(super) fn publish(&mut self, moment: u32, net: &mut Around) {
        let (now, Some(topic)) = (net.now(), self.topic.clone()) else { return };
        let payload = Bytes::copy_from_slice(&net.here().to_le_bytes());
        let Ok(item) = self.parts.gossip.compose(topic, payload, now) else { return };
        let message = sealer().seal(item, Moment { now, wall: now });
        let at = net.true_now();
        net.tally.items.insert(message.id(), Published { moment, at, receivers: vec![(net.here(), at)] });
        let _ = self.parts.gossip.publish(message, now);
    }

    pub(super) fn carry_out_gossip(&mut self, output: Output, net: &mut Around) {
        match output {
            Output::Send { to, message, .. } => {
                if let Some(peer) = self.parts.peer_of(to) {
                    self.send_to(&peer, Content::Gossip(message), net);
                }
            }
            Output::Event(Event::Conduct { peer, conduct }) => {
                if let Some(peer) = self.parts.peer_of(peer) {
                    self.coupler.conduct_seen(peer, conduct);
                }
            }
            Output::Event(Event::Item { id, deadline, .. }) => {
                let (here, now) = (net.here(), net.true_now());
                if let Some(published) = net.tally.items.get_mut(&id) {
                    published.receivers.push((here, now));
                }
                if deadline.is_some() {
                    let _ = self.parts.gossip.report(id, Verdict::Accept, net.now());
                }
            }
            // Nobody reads who could be paused.
            Output::Pause { .. } | Output::Resume { .. } | Output::Event(_) => {}
        }
    }
}
