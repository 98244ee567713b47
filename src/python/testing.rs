//! What tests in Python hold in their hands. Only in builds with the feature `testing`; the wheel lacks it.

use std::sync::Mutex;
use std::time::Duration;

use pyo3::prelude::*;

use crate::fork_gate::Entering;
use crate::python::attach::GATE;
use crate::testing;

/// A clock that stands until it is moved.
#[pyclass(frozen, module = "hubpass._native")]
pub struct ManualClock {
    clock: testing::ManualClock,
}

impl ManualClock {
    /// The core's clock.
    pub fn clock(&self) -> testing::ManualClock {
        self.clock.clone()
    }
}

#[pymethods]
impl ManualClock {
    #[new]
    fn new(unix_seconds: u64) -> Self {
        Self { clock: testing::ManualClock::starting_at(unix_seconds) }
    }

    fn advance(&self, seconds: f64) {
        self.clock.advance(Duration::from_secs_f64(seconds));
    }

    fn set_wall(&self, unix_seconds: f64) {
        self.clock.set_wall(Duration::from_secs_f64(unix_seconds));
    }
}

/// A thread of the runtime that does not arrive in Python before it is told to.
#[pyclass(frozen, module = "hubpass._native")]
pub struct SlowEntry {
    entering: Mutex<Option<Entering<'static>>>,
}

#[pymethods]
impl SlowEntry {
    #[new]
    fn new() -> Self {
        Self { entering: Mutex::new(Some(GATE.enter(|| ()))) }
    }

    fn arrive(&self) {
        drop(self.entering.lock().map(|mut entering| entering.take()));
    }
}
