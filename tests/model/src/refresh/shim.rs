//! The primitives under the cell, as loom has them.

use std::sync::Arc;

pub use loom::sync::atomic::{AtomicU64, Ordering};
pub use loom::sync::{Mutex, MutexGuard};
pub use std::sync::PoisonError;

/// A pointer that is read and replaced as one. The real one is made of atomics whose interleavings are proved by its own
/// authors; here each operation is one step.
pub struct Slot<T>(Mutex<Option<Arc<T>>>);

impl<T> Slot<T> {
    /// A slot with nothing in it.
    pub fn empty() -> Self {
        Self(Mutex::new(None))
    }

    /// What is in it.
    pub fn load(&self) -> Option<Arc<T>> {
        self.load_full()
    }

    /// What is in it.
    pub fn load_full(&self) -> Option<Arc<T>> {
        self.lock().clone()
    }

    /// Puts something else into it.
    pub fn store(&self, value: Option<Arc<T>>) {
        let before = std::mem::replace(&mut *self.lock(), value);
        drop(before);
    }

    /// Puts something else into it if `current` is what is in it, and gives what was in it.
    pub fn compare_and_swap(&self, current: &Option<Arc<T>>, new: Option<Arc<T>>) -> Option<Arc<T>> {
        let mut slot = self.lock();
        let before = slot.clone();
        if before.as_ref().map(Arc::as_ptr) == current.as_ref().map(Arc::as_ptr) {
            *slot = new;
        }
        before
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
