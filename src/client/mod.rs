//! The clients: what is held for a service, and what it is used for.

mod signalr;

pub use signalr::{Credential, Negotiated, SignalRClient, SignalROptions};
