//! The outside as arguments: what a client needs of it, in one value that a simulation can replace.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::clock::Clock;
use crate::observe::{Event, Observer};
use crate::process::{PerProcess, Place};
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
    outbox: Arc<PerProcess<Outbox>>,
}

/// Events on their way to the observer, in the order in which they happened.
#[derive(Default)]
struct Outbox {
    state: Mutex<OutboxState>,
}

#[derive(Default)]
struct OutboxState {
    events: VecDeque<Event>,
    /// Whether somebody is handing them out.
    is_served: bool,
}

impl World {
    /// A world of these parts.
    pub fn new(
        clock: Clock,
        place: Arc<dyn Place>,
        transport: Arc<dyn Transport>,
        observer: Option<Arc<dyn Observer>>,
    ) -> Self {
        Self { clock, place, transport, observer, outbox: Arc::new(PerProcess::new()) }
    }

    /// Tells the observer of an event, on a thread where it may wait, after those that happened before.
    pub fn tell(&self, event: Event) {
        let Some(observer) = self.observer.clone() else { return };
        let outbox = self.outbox.get(self.place.process(), Outbox::default);
        {
            let mut state = outbox.lock();
            state.events.push_back(event);
            if std::mem::replace(&mut state.is_served, true) {
                return;
            }
        }
        self.place.spawn_blocking(Box::new(move || outbox.hand_out(&*observer)));
    }
}

impl Outbox {
    fn lock(&self) -> MutexGuard<'_, OutboxState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hand_out(&self, observer: &dyn Observer) {
        loop {
            let event = {
                let mut state = self.lock();
                let next = state.events.pop_front();
                state.is_served = next.is_some();
                next
            };
            let Some(event) = event else { return };
            observer.observe(&event);
        }
    }
}
