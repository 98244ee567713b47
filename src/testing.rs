//! What simulations put in place of the doors: a clock that is moved by hand and luck that can be replayed. Only in
//! builds with the feature `testing`.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Now;
use crate::process::Place;

/// A clock that stands until it is moved.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<Mutex<(Duration, Duration)>>);

impl ManualClock {
    /// A clock that stands at so many seconds since 1970, an hour after boot.
    pub fn starting_at(unix_seconds: u64) -> Self {
        Self(Arc::new(Mutex::new((Duration::from_secs(unix_seconds), Duration::from_secs(3600)))))
    }

    /// The reading.
    pub fn now(&self) -> Now {
        let (wall, boot) = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Now::at(wall, boot)
    }

    /// Lets time pass, on both clocks.
    pub fn advance(&self, by: Duration) {
        let mut clocks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        clocks.0 += by;
        clocks.1 += by;
    }

    /// Sets the wall clock, as an administrator or NTP would: the time since boot does not change.
    pub fn set_wall(&self, wall: Duration) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0 = wall;
    }
}

/// A process of a simulation: an id that can change as after a fork, and luck from a seed.
#[derive(Debug)]
pub struct SimulatedProcess {
    id: AtomicU32,
    luck: AtomicU64,
}

impl SimulatedProcess {
    /// A process whose luck follows from `seed`.
    pub fn new(id: u32, seed: u64) -> Self {
        Self { id: AtomicU32::new(id), luck: AtomicU64::new(seed) }
    }

    /// Goes on as another process, as a child does after a fork.
    pub fn fork(&self, id: u32) {
        self.id.store(id, Ordering::SeqCst);
    }
}

impl Place for SimulatedProcess {
    fn process(&self) -> u32 {
        self.id.load(Ordering::SeqCst)
    }

    /// SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
    fn random(&self) -> f64 {
        let mut mixed = self.luck.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::SeqCst);
        mixed = mixed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^= mixed >> 31;
        f64::from(u32::try_from(mixed >> 32).unwrap_or_default()) / (f64::from(u32::MAX) + 1.0)
    }
}
