//! The outside as arguments: what a client needs of it, in one value that a simulation can replace.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::clock::Clock;
use crate::observe::{Event, Observer};
use crate::process::Place;
use crate::rest::transport::Transport;

/// A future on the heap, for interfaces that have more than one implementation.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Time, process and network, and who is told of what happens.
#[derive(Clone)]
pub struct World {
    /// Where the time comes from.
    pub clock: Clock,
    /// The process, its luck and its threads.
    pub place: Arc<dyn Place>,
    /// The way to the network.
    pub transport: Arc<dyn Transport>,
    /// Who is told of events.
    pub observer: Option<Arc<dyn Observer>>,
}

impl World {
    /// A world of these parts.
    pub fn new(
        clock: Clock,
        place: Arc<dyn Place>,
        transport: Arc<dyn Transport>,
        observer: Option<Arc<dyn Observer>>,
    ) -> Self {
        Self { clock, place, transport, observer }
    }

    /// Tells the observer of an event.
    pub fn tell(&self, event: &Event) {
        if let Some(observer) = &self.observer {
            observer.observe(event);
        }
    }
}
