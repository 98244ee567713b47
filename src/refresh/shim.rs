//! The primitives under the cell, named in one place so that a model checker can put its own in theirs.

pub use std::sync::atomic::{AtomicU64, Ordering};
pub use std::sync::{Mutex, MutexGuard, PoisonError};

pub use arc_swap::ArcSwapOption as Slot;
