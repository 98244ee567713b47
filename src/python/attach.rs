//! The door through which threads of the runtime enter Python.
//!
//! A thread that enters gets a state in the interpreter, which is linked under a lock of the interpreter before the thread
//! waits for its turn. Up to CPython 3.11 a child that another thread forks at that moment waits for that lock for ever,
//! inside `os.fork`: it is taken by a thread that the child does not have. So a fork waits until nobody is on the way in,
//! and until it is over nobody sets out.

use std::cell::Cell;
use std::thread;
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::fork_gate::ForkGate;
use crate::process;

/// What the threads of the runtime come in by.
pub static GATE: ForkGate = ForkGate::new();

/// How long somebody waits before the gate until the next look.
const INTERVAL: Duration = Duration::from_millis(1);

thread_local! {
    static IS_INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Runs Python code, or gives `None` where there is no interpreter any more.
pub fn try_attach<R>(run: impl FnOnce(Python<'_>) -> R) -> Option<R> {
    // Threads of the application are in already, or come in by Python's own ways.
    let is_coming = process::is_runtime_thread() && !IS_INSIDE.get();
    let entering = is_coming.then(|| GATE.enter(|| thread::sleep(INTERVAL)));
    #[allow(clippy::disallowed_methods, reason = "this file is the door to the interpreter")]
    Python::try_attach(|py| {
        drop(entering);
        let was_inside = IS_INSIDE.replace(true);
        let result = run(py);
        IS_INSIDE.set(was_inside);
        result
    })
}

/// Has Python tell of its forks; those of C code alone are not told.
pub fn watch_forks(py: Python<'_>) -> PyResult<()> {
    // Where processes do not fork there is nothing to register with.
    let Some(register) = py.import("os")?.getattr_opt("register_at_fork")? else { return Ok(()) };
    let hooks = PyDict::new(py);
    hooks.set_item("before", wrap_pyfunction!(before_fork, py)?)?;
    hooks.set_item("after_in_parent", wrap_pyfunction!(after_fork_in_parent, py)?)?;
    hooks.set_item("after_in_child", wrap_pyfunction!(after_fork_in_child, py)?)?;
    register.call((), Some(&hooks)).map(drop)
}

/// Whoever is on the way in needs the lock that this thread has, to arrive.
#[pyfunction]
fn before_fork(py: Python<'_>) {
    GATE.before_fork(|| py.detach(|| thread::sleep(INTERVAL)));
}

#[pyfunction]
fn after_fork_in_parent() {
    GATE.after_fork_in_parent();
}

#[pyfunction]
fn after_fork_in_child() {
    GATE.after_fork_in_child();
}
