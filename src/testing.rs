//! What simulations put in place of the doors: a clock that is moved by hand and luck that can be replayed. Only in
//! builds with the feature `testing`.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::clock::Now;
use crate::error::Result;
use crate::process::{Place, Whereabouts};
use crate::world::Pending;

/// A clock that stands until it is moved. It has no lock, because a child that is forked while another thread reads the
/// clock would never get it.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<ArcSwap<Now>>);

impl ManualClock {
    /// A clock that stands at so many seconds since 1970, an hour after boot.
    pub fn starting_at(unix_seconds: u64) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(Now::at(Duration::from_secs(unix_seconds), Duration::from_secs(3600)))))
    }

    /// The reading.
    pub fn now(&self) -> Now {
        **self.0.load()
    }

    /// Lets time pass, on both clocks.
    pub fn advance(&self, by: Duration) {
        self.0.rcu(|now| Now::at(now.since_epoch() + by, now.since_boot() + by));
    }

    /// Sets the wall clock, as an administrator or NTP would: the time since boot does not change.
    pub fn set_wall(&self, wall: Duration) {
        self.0.rcu(|now| Now::at(wall, now.since_boot()));
    }
}

/// A process of a simulation: an id that can change as after a fork, luck from a seed, and tasks that run when they are
/// told to.
pub struct SimulatedProcess {
    id: Arc<AtomicU32>,
    luck: Luck,
    tasks: Mutex<Vec<Pending<'static, ()>>>,
}

/// Where the luck of a process comes from.
enum Luck {
    /// It changes at each draw.
    Seeded(AtomicU64),
    /// It is always the same, so that a test can say what it leads to however often and in whatever order it is drawn.
    Steady(f64),
}

impl SimulatedProcess {
    /// A process whose luck follows from `seed`.
    pub fn new(id: u32, seed: u64) -> Self {
        Self::with_luck(id, Luck::Seeded(AtomicU64::new(seed)))
    }

    /// A process that always draws `luck`, from 0 up to 1.
    pub fn steady(id: u32, luck: f64) -> Self {
        Self::with_luck(id, Luck::Steady(luck))
    }

    fn with_luck(id: u32, luck: Luck) -> Self {
        Self { id: Arc::new(AtomicU32::new(id)), luck, tasks: Mutex::default() }
    }

    /// Goes on as another process, as a child does after a fork: the tasks of its parent are not in it.
    pub fn fork(&self, id: u32) {
        self.id.store(id, Ordering::SeqCst);
        let inherited = std::mem::take(&mut *self.tasks());
        std::mem::forget(inherited);
    }

    /// Runs every task as far as it gets, those included that it starts.
    pub fn run(&self) {
        let mut context = Context::from_waker(Waker::noop());
        loop {
            let mut tasks = std::mem::take(&mut *self.tasks());
            let before = tasks.len();
            tasks.retain_mut(|task| task.as_mut().poll(&mut context) == Poll::Pending);
            let ended = before - tasks.len();
            let mut started = self.tasks();
            let is_idle = ended == 0 && started.is_empty();
            tasks.append(&mut started);
            *started = tasks;
            if is_idle {
                return;
            }
        }
    }

    /// How many tasks have not ended.
    pub fn pending(&self) -> usize {
        self.tasks().len()
    }

    fn tasks(&self) -> std::sync::MutexGuard<'_, Vec<Pending<'static, ()>>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place for SimulatedProcess {
    fn process(&self) -> u32 {
        self.id.load(Ordering::SeqCst)
    }

    fn whereabouts(&self) -> Whereabouts {
        let id = Arc::clone(&self.id);
        Arc::new(move || id.load(Ordering::SeqCst))
    }

    /// SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
    fn random(&self) -> f64 {
        const STEP: u64 = 0x9E37_79B9_7F4A_7C15;
        let luck = match &self.luck {
            Luck::Seeded(luck) => luck,
            Luck::Steady(luck) => return *luck,
        };
        let mut mixed = luck.fetch_add(STEP, Ordering::SeqCst).wrapping_add(STEP);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^= mixed >> 31;
        f64::from(u32::try_from(mixed >> 32).unwrap_or_default()) / (f64::from(u32::MAX) + 1.0)
    }

    fn name(&self) -> Result<String> {
        Ok(format!("simulated-{}", self.process()))
    }

    fn spawn(&self, task: Pending<'static, ()>) -> Result<()> {
        self.tasks().push(task);
        Ok(())
    }
}
