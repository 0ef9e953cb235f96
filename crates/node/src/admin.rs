//! The admin API: HTTP over a Unix socket that only its owner may use. `/v1/..` answers in JSON; fields are added, never
//! changed.

mod calls;
mod client;
pub mod message;
mod routes;
mod server;
mod serving;
mod stream;

pub use client::{Client, ClientError, Lines};
pub(crate) use server::{bind, serve};
