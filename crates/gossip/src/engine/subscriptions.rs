//! What this node wants and what its peers want.

use std::collections::BTreeSet;

use bruit_core::{Conduct, Slot, Timestamp};

use super::{ControlReceived, Engine, Output, SubscribeError, Subscribed, Unsubscribed};
use crate::{ControlMessage, Event, Topic};

impl Engine {
    /// Wants the items of a topic from now on.
    pub fn subscribe(&mut self, topic: Topic) -> Result<Subscribed, SubscribeError> {
        if self.config.topic(&topic).is_none() {
            return Err(SubscribeError::UnknownTopic(topic));
        }
        if self.subscriptions.contains(&topic) {
            return Ok(Subscribed::AlreadyThere);
        }
        if self.subscriptions.len() >= self.config.subscriptions_max {
            return Err(SubscribeError::TooMany(self.config.subscriptions_max));
        }
        self.subscriptions.insert(topic);
        self.tell_all();
        Ok(Subscribed::Added)
    }

    /// Wants the items of a topic no longer. Those that were delivered may still get their verdict.
    pub fn unsubscribe(&mut self, topic: &Topic) -> Unsubscribed {
        if !self.subscriptions.remove(topic) {
            return Unsubscribed::WasNotThere;
        }
        self.tell_all();
        Unsubscribed::Removed
    }

    /// A peer said something on the lane `control`: which topics it wants, which items it wants or has, how it uses trees.
    pub fn control_received(&mut self, from: Slot, mut message: ControlMessage, now: Timestamp) -> ControlReceived {
        if !self.peers.contains(from) {
            return ControlReceived::StalePeer;
        }
        self.log_at(now);
        self.wants_received(from, std::mem::take(&mut message.want), now);
        self.haves_received(from, std::mem::take(&mut message.have), now);
        self.policy_control_received(from, &message, now);
        self.wishes_received(from, message)
    }

    fn wishes_received(&mut self, from: Slot, message: ControlMessage) -> ControlReceived {
        let topics_max = self.config.subscriptions_max;
        let Some(peer) = self.peers.get_mut(from) else { return ControlReceived::StalePeer };
        for topic in message.unsubscribe {
            if peer.topics.remove(&topic) {
                self.outputs.push_back(Output::Event(Event::PeerUnsubscribed { peer: from, topic }));
            }
        }
        let mut received = ControlReceived::Applied;
        for topic in message.subscribe {
            if peer.topics.contains(&topic) {
                continue;
            }
            if peer.topics.len() >= topics_max {
                received = ControlReceived::TooManyTopics;
                break;
            }
            peer.topics.insert(topic.clone());
            self.outputs.push_back(Output::Event(Event::PeerSubscribed { peer: from, topic }));
        }
        if received == ControlReceived::TooManyTopics {
            self.conduct(from, Conduct::BrokeProtocol);
        }
        received
    }

    /// A control message did not leave, because the peer's outbox is full. It is made up for when there is room.
    ///
    /// Only subscriptions, and who is to announce, are: items asked for are asked for again elsewhere, and trees mend themselves.
    pub fn control_refused(&mut self, to: Slot, message: ControlMessage, now: Timestamp) {
        self.stats.frames_refused += 1;
        if self.peers.contains(to) {
            self.not_taken(to, &message, now);
        }
        if let Some(peer) = self.peers.get_mut(to) {
            message.subscribe.iter().for_each(|topic| _ = peer.told.remove(topic));
            peer.told.extend(message.unsubscribe);
            self.outputs.push_back(Output::Event(Event::ControlNotSent { peer: to }));
        }
    }

    /// The outbox of a peer, full before, has room again.
    pub fn peer_writable(&mut self, slot: Slot, _now: Timestamp) {
        self.tell_subscriptions(slot);
    }

    /// The topics subscribed to.
    pub const fn subscriptions(&self) -> &BTreeSet<Topic> {
        &self.subscriptions
    }

    /// The topics that a peer wants; `None` if the slot is stale.
    pub fn topics_of(&self, slot: Slot) -> Option<&BTreeSet<Topic>> {
        self.peers.get(slot).map(|peer| &peer.topics)
    }

    /// Tells a peer how the subscriptions differ from what it was told before.
    pub(super) fn tell_subscriptions(&mut self, to: Slot) {
        let Some(peer) = self.peers.get_mut(to).filter(|peer| peer.told != self.subscriptions) else { return };
        let subscribe: Vec<Topic> = self.subscriptions.difference(&peer.told).cloned().collect();
        let unsubscribe: Vec<Topic> = peer.told.difference(&self.subscriptions).cloned().collect();
        peer.told.clone_from(&self.subscriptions);
        self.send_control(to, ControlMessage { subscribe, unsubscribe, ..ControlMessage::default() });
    }

    pub(super) fn repeat_subscriptions(&mut self, to: Slot) {
        if let Some(peer) = self.peers.get_mut(to) {
            peer.told.clear();
            self.tell_subscriptions(to);
        }
    }

    fn tell_all(&mut self) {
        let all: Vec<Slot> = self.peers.iter().map(|(slot, _)| slot).collect();
        all.into_iter().for_each(|slot| self.tell_subscriptions(slot));
    }
}
