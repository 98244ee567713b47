//! A gate between threads on their way into something that has a lock of its own, and forks, which would leave such a lock
//! taken in the child for ever.

use std::sync::atomic::{AtomicUsize, Ordering};

/// How often each of the two looks at most whether the other is done. Who enters or forks does so shortly; but neither may
/// stop a program for good, and at worst all is as it would be without the gate.
const LOOKS_MAX: u32 = 2000;

/// The gate. It has no lock itself, because that could be inherited as well.
#[derive(Debug, Default)]
pub struct ForkGate {
    entering: AtomicUsize,
    forking: AtomicUsize,
}

/// A thread on its way in. Dropped when it is there.
#[derive(Debug)]
pub struct Entering<'a>(&'a ForkGate);

impl ForkGate {
    /// An open gate.
    pub const fn new() -> Self {
        Self { entering: AtomicUsize::new(0), forking: AtomicUsize::new(0) }
    }

    /// Sets out, once no thread is forking. `pause` passes a moment.
    pub fn enter(&self, mut pause: impl FnMut()) -> Entering<'_> {
        for _ in 0..LOOKS_MAX {
            let entering = self.set_out();
            if self.forking.load(Ordering::SeqCst) == 0 {
                return entering;
            }
            drop(entering);
            pause();
        }
        self.set_out()
    }

    fn set_out(&self) -> Entering<'_> {
        self.entering.fetch_add(1, Ordering::SeqCst);
        Entering(self)
    }

    /// Lets nobody set out any more, and waits for those who have.
    pub fn before_fork(&self, mut pause: impl FnMut()) {
        self.forking.fetch_add(1, Ordering::SeqCst);
        for _ in 0..LOOKS_MAX {
            if self.entering.load(Ordering::SeqCst) == 0 {
                return;
            }
            pause();
        }
    }

    /// Ends what [`Self::before_fork`] began, in the parent.
    pub fn after_fork_in_parent(&self) {
        self.forking.fetch_sub(1, Ordering::SeqCst);
    }

    /// The same in the child, which has none of the threads that its parent counted.
    pub fn after_fork_in_child(&self) {
        self.forking.store(0, Ordering::SeqCst);
        self.entering.store(0, Ordering::SeqCst);
    }
}

impl Drop for Entering<'_> {
    fn drop(&mut self) {
        self.0.entering.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn never() {
        panic!("nothing is in the way");
    }

    #[test]
    fn a_fork_waits_for_those_on_their_way() {
        let gate = ForkGate::new();
        let mut on_their_way = vec![gate.enter(never), gate.enter(never)];
        let mut pauses = 0;
        gate.before_fork(|| {
            pauses += 1;
            on_their_way.pop();
        });
        assert_eq!(pauses, 2);
        gate.after_fork_in_parent();
        drop(gate.enter(never));
    }

    #[test]
    fn nobody_sets_out_before_all_forks_are_over() {
        let gate = ForkGate::new();
        gate.before_fork(never);
        gate.before_fork(never);
        let mut pauses = 0;
        let entering = gate.enter(|| {
            pauses += 1;
            gate.after_fork_in_parent();
        });
        assert_eq!(pauses, 2);
        drop(entering);
        gate.before_fork(never);
    }

    #[test]
    fn a_child_begins_anew() {
        let gate = ForkGate::new();
        std::mem::forget(gate.enter(never));
        gate.before_fork(|| ());
        gate.before_fork(|| ());
        gate.after_fork_in_child();
        drop(gate.enter(never));
        gate.before_fork(never);
    }

    #[test]
    fn neither_waits_for_ever() {
        let gate = ForkGate::new();
        let entering = gate.enter(never);
        let mut pauses = 0;
        gate.before_fork(|| pauses += 1);
        assert_eq!(pauses, LOOKS_MAX);
        drop(entering);
        drop(gate.enter(|| pauses += 1));
        assert_eq!(pauses, 2 * LOOKS_MAX);
    }
}
