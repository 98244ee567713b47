//! The clients: what is held for a service, and what it is used for.

mod core;
mod signalr;
mod webpubsub;

pub use signalr::{Credential, Negotiated, SignalRClient, SignalROptions};
pub use webpubsub::{ClientToken, WebPubSubClient, WebPubSubCredential, WebPubSubOptions};
