//! The state that belongs to one process id and must not outlive a fork: the runtime and the random name.
//!
//! A forked child inherits memory but no threads, so the parent's runtime is dead in it, and so is every lock that another
//! thread held at that moment. The child therefore never touches its parent's state: it publishes one of its own and
//! leaves the other where it is.

use std::cell::Cell;
use std::future::Future;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::runtime::{Builder, Handle, Runtime};

use crate::error::{Code, Error, Result};
use crate::random;
use crate::world::Pending;

/// Tells the id of the process that it is called in, to those who outlive every borrow of a place.
pub type Whereabouts = Arc<dyn Fn() -> u32 + Send + Sync>;

/// Which process asks, its luck and its threads. Simulations have their own.
pub trait Place: Send + Sync {
    /// The process id.
    fn process(&self) -> u32;

    /// The same to be kept, for what has to know when it is dropped whether it was inherited.
    fn whereabouts(&self) -> Whereabouts;

    /// A random number from 0 up to 1.
    fn random(&self) -> f64;

    /// A random name, for the service's logs.
    fn name(&self) -> Result<String>;

    /// Starts a task.
    fn spawn(&self, task: Pending<'static, ()>) -> Result<()>;
}

/// The process that we are in.
#[derive(Clone, Copy, Debug, Default)]
pub struct ThisProcess;

impl Place for ThisProcess {
    fn process(&self) -> u32 {
        process_id()
    }

    fn whereabouts(&self) -> Whereabouts {
        Arc::new(process_id)
    }

    fn random(&self) -> f64 {
        random::fraction()
    }

    fn name(&self) -> Result<String> {
        Ok(current()?.name().to_owned())
    }

    fn spawn(&self, task: Pending<'static, ()>) -> Result<()> {
        current()?.spawn(task).map(drop)
    }
}

/// The process in which something began that only goes on there.
#[derive(Clone, Copy, Debug)]
pub struct Birthplace(u32);

impl Birthplace {
    /// The process that we are in.
    pub fn here() -> Self {
        Self(process_id())
    }

    /// Whether we are still in it, and not in a forked child.
    pub fn is_here(self) -> bool {
        self.0 == process_id()
    }
}

/// Something that each process has its own of, made at the first need. A forked child leaves its parent's alone: it may
/// hold a lock that a thread which does not exist in the child had taken, or sockets and tasks of a dead runtime.
pub struct PerProcess<T> {
    made: ArcSwapOption<Owned<T>>,
}

/// Something that belongs to a process.
pub struct Owned<T> {
    process: u32,
    value: T,
}

impl<T> Deref for Owned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> Default for PerProcess<T> {
    fn default() -> Self {
        Self { made: ArcSwapOption::empty() }
    }
}

impl<T> PerProcess<T> {
    /// That of `process`, if it can be made.
    pub fn try_get<E>(&self, process: u32, make: impl Fn() -> Result<T, E>) -> Result<Arc<Owned<T>>, E> {
        loop {
            let published = self.made.load_full();
            if let Some(owned) = published.as_ref().filter(|owned| owned.process == process) {
                return Ok(Arc::clone(owned));
            }
            let made = Arc::new(Owned { process, value: make()? });
            let before = self.made.compare_and_swap(&published, Some(Arc::clone(&made)));
            let was_first = before.as_ref().map(Arc::as_ptr) == published.as_ref().map(Arc::as_ptr);
            // To drop what was inherited would be to touch it.
            std::mem::forget(published);
            if was_first {
                return Ok(made);
            }
        }
    }

    /// Lets go of that of this process, if it has one. Whoever uses it goes on.
    pub fn let_go(&self) {
        let published = self.made.load_full();
        if published.as_ref().is_some_and(|owned| owned.process == process_id()) {
            self.made.compare_and_swap(&published, None);
        }
    }
}

impl<T> Drop for PerProcess<T> {
    fn drop(&mut self) {
        let inherited = self.made.swap(None).filter(|owned| owned.process != process_id());
        // To drop it would be to touch it.
        std::mem::forget(inherited);
    }
}

thread_local! {
    static IS_RUNTIME: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is one of the runtime's, which come from nowhere else.
pub fn is_runtime_thread() -> bool {
    IS_RUNTIME.get()
}

/// How many threads drive requests. Two, so that one which waits to speak to Python does not stop the other.
const WORKERS: usize = 2;

/// The state of the process that published it last. Reading and publishing take no lock.
static CURRENT: ArcSwapOption<&'static ProcessState> = ArcSwapOption::const_empty();

/// The id of the process that is ending, so that none of its threads starts anything any more.
static ENDING: AtomicU32 = AtomicU32::new(0);

/// What one process id owns. It is leaked on purpose: whoever holds it may outlive the interpreter.
pub struct ProcessState {
    id: u32,
    handle: Handle,
    /// Taken at exit. Only the process that made it ever locks it.
    runtime: Mutex<Option<Runtime>>,
    name: OnceLock<String>,
    stopped: AtomicBool,
}

impl ProcessState {
    fn start(id: u32) -> Result<&'static Self> {
        let built = Builder::new_multi_thread()
            .worker_threads(WORKERS)
            .thread_name("hubpass")
            .on_thread_start(|| IS_RUNTIME.set(true))
            .enable_all()
            .build();
        let runtime = built.map_err(|error| {
            Error::new(
                Code::TransportUnavailable,
                format!("The threads for network requests could not be started: {error}."),
                "Raise the process's limit of threads (ulimit -u) or of open files (ulimit -n).",
            )
        })?;
        let handle = runtime.handle().clone();
        let state = Self {
            id,
            handle,
            runtime: Mutex::new(Some(runtime)),
            name: OnceLock::new(),
            stopped: AtomicBool::new(false),
        };
        Ok(Box::leak(Box::new(state)))
    }

    /// The process id that the state belongs to.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Starts a task. At the exit of the process it is dropped, and from then on none is started.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> Result<tokio::task::AbortHandle> {
        if self.stopped.load(Ordering::Acquire) {
            return Err(exiting());
        }
        Ok(self.handle.spawn(task).abort_handle())
    }

    /// A random name for this process, for the service's logs.
    pub fn name(&self) -> &str {
        self.name.get_or_init(random::hex_name)
    }
}

/// The state of this process, made at the first need of it.
pub fn current() -> Result<&'static ProcessState> {
    let id = process_id();
    loop {
        let published = CURRENT.load();
        if let Some(state) = published.as_deref().copied().filter(|state| state.id == id) {
            return Ok(state);
        }
        if ENDING.load(Ordering::SeqCst) == id {
            return Err(exiting());
        }
        let made = ProcessState::start(id)?;
        let before = CURRENT.compare_and_swap(&published, Some(Arc::new(made)));
        if before.as_ref().map(Arc::as_ptr) == published.as_ref().map(Arc::as_ptr) {
            // The end may have come since the look at it, and found nothing to stop.
            if ENDING.load(Ordering::SeqCst) == id {
                stop(made, Duration::ZERO);
            }
            return Ok(made);
        }
        // Another thread was faster; its runtime is as good, and ours has run nothing yet.
        stop(made, Duration::ZERO);
    }
}

/// Ends what this process runs, for good: tasks are dropped at once, and threads that are in the middle of something get
/// `grace`. State that belongs to a parent process is left alone.
pub fn shut_down(grace: Duration) {
    let id = process_id();
    ENDING.store(id, Ordering::SeqCst);
    if let Some(state) = CURRENT.load().as_deref().filter(|state| state.id == id) {
        stop(state, grace);
    }
}

/// The error of a call that a forked child has inherited in the middle: what it waits for goes on in the parent alone.
pub fn inherited() -> Error {
    Error::new(
        Code::ClientClosed,
        "The call was begun by the parent of this process.",
        "Call again in the forked child, or end it with os._exit().",
    )
}

/// The error of a call that comes when the process ends.
pub fn exiting() -> Error {
    Error::new(
        Code::ClientClosed,
        "The interpreter is exiting.",
        "Finish requests before the program ends, or call close() first.",
    )
}

fn stop(state: &ProcessState, grace: Duration) {
    state.stopped.store(true, Ordering::Release);
    let runtime = state.runtime.lock().map_or(None, |mut runtime| runtime.take());
    if let Some(runtime) = runtime {
        runtime.shutdown_timeout(grace);
    }
}

#[allow(clippy::disallowed_methods, reason = "this file is the door of process identity")]
fn process_id() -> u32 {
    std::process::id()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_that_meet_at_the_first_use_share_one_state() {
        let states: Vec<usize> = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..8).map(|_| scope.spawn(|| std::ptr::from_ref(current().unwrap()) as usize)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(states.windows(2).all(|pair| pair[0] == pair[1]));
    }
}
