//! What a client tells its application while it works: events for metrics and alerts. No secret type can enter one.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::Error;
use crate::keys::Reported;

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// A temporary key could not be fetched. The one in hand goes on to sign while it is good.
    KeyFailed {
        /// Why.
        error: Error,
    },
    /// The service gave a key out and did not accept what it signed; another is fetched at once.
    KeyRefused {
        /// Its name.
        kid: String,
    },
    /// A temporary key replaced another, or none.
    KeyRenewed {
        /// Its name.
        kid: String,
    },
    /// Somebody said that a key is dead.
    KeyReported {
        /// What became of the report.
        reported: Reported,
    },
    /// A renewal brought the key that is in hand.
    KeyUnchanged {
        /// Its name.
        kid: String,
    },
    /// Whether the service accepts what a key signs could not be found out. The key signs all the same.
    KeyUnproven {
        /// Its name.
        kid: String,
        /// Why.
        error: Error,
    },
    /// A token came near the length that the service accepts. Told once for each client.
    LargeToken {
        /// How many characters the token has.
        length: usize,
        /// How many the service accepts.
        limit: usize,
    },
    /// A request to the service failed.
    RequestFailed {
        /// What the request was for, such as `send_to_all`.
        operation: &'static str,
        /// The code of the error.
        code: &'static str,
        /// The HTTP status of the answer, if there was one.
        status: Option<u16>,
    },
    /// A request to the service succeeded after one that had failed.
    RequestSucceeded {
        /// What the request was for.
        operation: &'static str,
    },
    /// A credential gave no token.
    TokenFailed {
        /// The credential's name.
        credential: String,
        /// Why.
        error: Error,
    },
    /// A credential gave a token.
    TokenRenewed {
        /// The credential's name.
        credential: String,
    },
}

/// Who wants to know. Called on whatever thread the event happens on, in order; it must not fail, and must not wait: what
/// takes time belongs into a queue.
pub trait Observer: Send + Sync {
    /// Takes an event.
    fn observe(&self, event: &Event);
}

/// Something that is to be said once.
#[derive(Debug, Default)]
pub struct Once(AtomicBool);

impl Once {
    /// Whether this is the first time that it is asked.
    pub fn first(&self) -> bool {
        // The plain load first: later calls share the cache line without writing to it.
        !self.0.load(Ordering::Relaxed) && !self.0.swap(true, Ordering::Relaxed)
    }
}
