//! How items spread.

use bruit_gossip::{
    Choice, Config, Dandelion, Infection, Inner, NeighbourCast, Policy, Priority, Rate, SeenEviction, Topic,
    TopicConfig,
};

use super::Profile;

/// The topic that everybody is to have at once, in profiles that know one.
const URGENT: &str = "urgent";

pub(super) fn set(profile: Profile, gossip: &mut Config) {
    match profile {
        Profile::Bruit => {}
        Profile::Factom => {
            by_default(gossip, Policy::Fanout { peers: 16, rounds: 6 });
            urgent(gossip, 6);
        }
        Profile::Casper => {
            by_default(gossip, Policy::Infection(Infection::default()));
            // Half validators, half others, once the owner has said who is one.
            gossip.other_topics.iter_mut().for_each(|topic| topic.choice = Choice::Mixed);
            // Validators are exempt there. Its bytes are what all others share on the way out; here each may bring as many.
            gossip.rates.ordinary = Rate { items_per_second: 3_000, bytes_per_second: 6_553_600 };
            // Broadcast to all peers, passed on by nobody.
            urgent(gossip, 1);
        }
        Profile::Horizen => {
            by_default(gossip, diffusion());
            on(gossip, "blocks", TopicConfig { priority: Priority::High, ..spread_by(Inner::Flood.policy()) });
            on(gossip, "transactions", spread_by(diffusion()));
            let private = Dandelion { inner: Inner::Diffusion, ..Dandelion::default() };
            on(gossip, "private", spread_by(Policy::Dandelion(private)));
        }
        Profile::Ironfish => {
            by_default(gossip, Policy::NeighbourCast(NeighbourCast::default()));
            // Its filter has 100,000 ids, as is the crate's default, and the oldest goes.
            gossip.seen_eviction = SeenEviction::Fifo;
        }
    }
}

fn diffusion() -> Policy {
    Inner::Diffusion.policy()
}

fn spread_by(policy: Policy) -> TopicConfig {
    TopicConfig { policy, ..TopicConfig::default() }
}

fn urgent(gossip: &mut Config, rounds: u32) {
    on(gossip, URGENT, TopicConfig { priority: Priority::High, ..spread_by(Policy::All { rounds }) });
}

/// What holds for topics that the profile does not name.
const fn by_default(gossip: &mut Config, policy: Policy) {
    if let Some(topic) = &mut gossip.other_topics {
        topic.policy = policy;
    }
}

fn on(gossip: &mut Config, name: &str, config: TopicConfig) {
    let topic = Topic::new(name).unwrap_or_else(|_| unreachable!("the names of profiles' topics are short"));
    gossip.topics.insert(topic, config);
}
