//! One request, the right peer, the next peer: direct, global and one-way calls.
//!
//! This crate decides which peer a request goes to, when the next one is asked, what is served to whom, and what an exchange
//! says about a peer. It does not decide what a method does, whether an answer is true (the caller judges that), whom to
//! connect to, or what conduct costs a peer. It assumes that an owner passes on what [`Event`] tells.
//!
//! - [`Behaviour`] puts the rules into a swarm; [`Engine`] is the rules alone, without clock, network or threads.
//! - Peers tell each other which methods they serve. A **global** call goes to one of those that serve its method, drawn by
//!   success, speed, load and quality; a time-out, a refusal, a loss or a useless answer moves it on, never to the same peer
//!   twice. A **direct** call asks one peer once. **Sending** waits for nothing.
//! - A call is repeated after a peer may have executed it only if it is idempotent; a [`CallError`] says whether it was.
//! - Small payloads and those above 16 KiB travel on lanes of their own. Anybody may also call on a substream of its own
//!   (`/bruit/rpc-call/<network>/1`): one request frame, one response frame, close.
//!
//! # Styles
//! | wanted | how |
//! |---|---|
//! | this peer, once | [`Engine::call_peer`] |
//! | some good peer, the next one if that was in vain | [`Engine::call`]; [`CallOptions`] pins, excludes, prefers a class, hedges, joins equal calls |
//! | nothing back | [`Engine::send`] |
//! | an answer of any size | `CallOptions::stream`, [`Event::Chunk`], [`Engine::chunk_taken`]; the other side [`Engine::send_chunk`] |
//!
//! Payloads are bytes; [`Typed`] makes them of protobuf messages.
//!
//! # Coming from `libp2p-request-response`
//! | there | here |
//! |---|---|
//! | a protocol name and a codec for each kind of request | one protocol; a [`Method`] for each, its payload is bytes (at most 192 KiB; more in chunks) |
//! | `send_request(&peer, request)` | [`Engine::call_peer`]; or [`Engine::call`], which needs no peer |
//! | dials the peer if need be | connected peers only; who they are is the owner's to decide |
//! | `Message::Request { channel, .. }`, `send_response(channel, ..)` | [`Event::Request`] with a [`Ticket`], [`Engine::answer`], or `Behaviour::register_inline` |
//! | dropping the channel fails the request | answer with a [`Refusal`], which says why, and whether somebody else should be asked |
//! | `OutboundFailure` | [`CallError`]: who was asked, why each try failed, whether anything may have been executed |
//! | `Config::with_request_timeout` | a time-out for each try, a deadline for the call; both travel with the request |
//! | `with_max_concurrent_streams` | limits per peer and in all, by count, bytes and cost; a peer at its limit is not read |
//! | a substream for each request | two long-lived lanes, of which the one for large payloads never holds up the other |
//! | `ProtocolSupport` | peers tell each other what they serve; who does not serve a method is not asked |
//!
//! A key is asked of whoever serves `lookup` (a larger one is in `examples/lookup.rs`):
//! ```
//! # #[cfg(not(feature = "behaviour"))]
//! # fn main() {}
//! # #[cfg(feature = "behaviour")]
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use bruit_rpc::{
//!     Admission, Behaviour, CallOptions, Config, Event, Method, MethodName, NetworkId, Refusal, Seed,
//! };
//! use libp2p_swarm::{Swarm, SwarmEvent};
//! use libp2p_swarm_test::SwarmExt;
//!
//! let (network, config) = (NetworkId::new("example")?, Config::default().validate()?);
//! let node = |seed| Behaviour::new(&network, config.clone(), Seed::from_number(seed), Admission::Automatic);
//! let mut server = Swarm::new_ephemeral_tokio(|_| node(1));
//! let mut client = Swarm::new_ephemeral_tokio(|_| node(2));
//! server.listen().with_memory_addr_external().await;
//! client.connect(&mut server).await;
//!
//! server.behaviour_mut().register(Method::idempotent("lookup")?)?;
//! tokio::spawn(async move {
//!     loop {
//!         if let SwarmEvent::Behaviour(Event::Request { ticket, payload, .. }) = server.next_swarm_event().await {
//!             let known = if payload == "ada" { Ok("1815".into()) } else { Err(Refusal::cannot_satisfy("unknown")) };
//!             server.behaviour_mut().answer(ticket, known).expect("the client still waits");
//!         }
//!     }
//! });
//!
//! let lookup = MethodName::new("lookup")?;
//! let answer = loop {
//!     match client.next_swarm_event().await {
//!         SwarmEvent::Behaviour(Event::Told { methods, .. }) if methods.contains(&lookup) => {
//!             client.behaviour_mut().call(&lookup, "ada".into(), CallOptions::idempotent())?;
//!         }
//!         SwarmEvent::Behaviour(Event::Done { result, .. }) => break result?,
//!         _ => {}
//!     }
//! };
//! assert_eq!(answer.payload, "1815");
//! # Ok(())
//! # }
//! ```

#[cfg(feature = "behaviour")]
mod behaviour;
mod config;
mod engine;
mod event;
mod message;
mod method;
mod options;
mod typed;

#[cfg(feature = "behaviour")]
pub use behaviour::Behaviour;
pub use config::{Config, ConfigError, ValidConfig};
pub use engine::{Candidate, Engine, Output, Stats};
pub use event::{Answer, CallError, CallId, CancelCause, EndCause, Event, Failure, Ticket, Tried};
pub use message::{Chunk, Credit, Lane, MessageError, Refusal, RefusalKind, Request, Response, RpcMessage};
pub use method::{Askers, Class, Method, MethodName, MethodNameError, Rate, RegisterError};
pub use options::{AnswerError, CallOptions, CallStateError, ChunkError, StartError, Verdict};

pub use typed::{TooLargeError, Typed};

pub use bruit_core::{Conduct, NetworkId, PeerId, Seed, Slot, Timestamp};
#[cfg(feature = "behaviour")]
pub use bruit_link::Admission;
pub use bruit_wire::Message;
pub use bytes::Bytes;
