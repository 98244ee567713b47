//! The door of time: the only file that reads a clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// One reading of the clock, taken once per public call and passed down from there, so that no two parts of a
/// call can disagree about the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    wall: Duration,
}

impl Now {
    /// Reads the system's clock. A clock set before 1970 reads as 1970: tokens made then are refused by the service,
    /// which is the honest outcome.
    #[allow(clippy::disallowed_methods, reason = "this file is the door of time")]
    pub fn read() -> Self {
        Self::at(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
    }

    /// A reading that somebody else took: the elapsed time since 1970-01-01T00:00:00Z.
    pub fn at(since_epoch: Duration) -> Self {
        Self { wall: since_epoch }
    }

    /// Whole seconds since 1970, the `NumericDate` of RFC 7519.
    pub fn unix_seconds(self) -> u64 {
        self.wall.as_secs()
    }

    /// The time so much later, in whole seconds since 1970; `None` if it lies beyond what can be written.
    pub fn plus(self, later: Duration) -> Option<u64> {
        self.wall.checked_add(later).map(|time| time.as_secs())
    }
}
