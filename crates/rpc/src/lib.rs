//! One request, the right peer, the next peer: direct, global and one-way calls.

mod config;
mod engine;
mod event;
mod message;
mod method;
mod options;

pub use config::{Config, ConfigError, ValidConfig};
pub use engine::{Candidate, Engine, Output, Stats};
pub use event::{Answer, CallError, CallId, CancelCause, EndCause, Event, Failure, Ticket, Tried};
pub use message::{Lane, MessageError, Refusal, RefusalKind, Request, Response, RpcMessage};
pub use method::{Method, MethodName, MethodNameError, RegisterError};
pub use options::{AnswerError, CallOptions, CallStateError, StartError, Verdict};
