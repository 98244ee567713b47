//! Hubpass answers `POST /negotiate` for Azure SignalR Service and Azure Web PubSub: a URL and a signed client token, right
//! by construction.
//!
//! This is the core. It knows nothing of Python: the binding lives in `python/` behind the feature of that name.
//! Time, environment, randomness, network and process identity are arguments; one file each opens the door to the
//! real thing ([`clock`], [`env`], [`random`], [`rest::transport`], [`process`]).
//!
//! The hot path is three files that do no I/O and never wait: [`claims`] checks and renders what a token says,
//! [`jwt`] signs it, and [`negotiate`] puts both together with the URL of the [`endpoint`]. [`client_access`] is to
//! Web PubSub what [`claims`] and [`negotiate`] are to SignalR.
#![forbid(unsafe_code)]
#![deny(missing_docs, unused_must_use)]

mod claim_names;
pub mod claims;
pub mod client;
pub mod client_access;
pub mod clock;
pub mod command;
pub mod connection_string;
pub mod credential;
pub mod endpoint;
pub mod env;
pub mod error;
pub mod files;
pub mod fork_gate;
pub mod jwt;
pub mod keys;
pub mod negotiate;
pub mod observe;
pub mod process;
pub mod random;
pub mod refresh;
pub mod rest;
pub mod secret;
pub mod settings;
#[cfg(feature = "testing")]
pub mod testing;
pub mod world;

#[cfg(feature = "python")]
mod python;

pub use error::{Code, Error, ErrorKind, Result};
