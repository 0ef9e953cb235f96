//! How a message spreads: relay policies under one engine.
mod config;
mod engine;
mod event;
mod message;
mod topic;

pub use config::{Carry, Config, ConfigError, Policy, Priority, ROUNDS_MAX, TopicConfig, ValidConfig, Validation};
pub use engine::{
    ControlReceived, Engine, Message, Output, PeerConnected, PublishError, Received, Refusal, Reported, Rounds,
    SeenElsewhere, Stats, SubscribeError, Subscribed, Unsubscribed, Verdict,
};
pub use event::Event;
pub use message::{ControlMessage, Item, ItemFrame, ItemId, ItemMessage, MalformedError, Moment, OpenError, Sealer};
pub use topic::{Topic, TopicError};
