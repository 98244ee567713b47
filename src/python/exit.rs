//! The end of the interpreter, for threads that it does not wait for.
//!
//! A daemon thread goes on while the interpreter ends. Up to CPython 3.13 the interpreter then ends such a thread where it
//! next wants to run Python code, by unwinding its stack; frames of ours on that stack abort the process. So when the
//! handlers of `atexit` run, threads that are inside our methods get a moment to leave them, and those that come later
//! wait for the end where they can do no harm: outside of Python, as all do from CPython 3.14 on.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, ThreadId};
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;

use crate::error::Error;
use crate::process;

/// How long the exit of the interpreter waits for tasks of the runtime and for threads inside our methods, each.
const GRACE: Duration = Duration::from_millis(250);

/// How often it looks whether they have left.
const INTERVAL: Duration = Duration::from_millis(1);

/// How long a thread waits for the end before it is refused. It normally does not live to see that; but whoever runs after
/// us may wait for it.
const PATIENCE: Duration = Duration::from_secs(5);

/// The thread that runs the handlers of `atexit`, and may use clients until the very end.
static ENDED_BY: OnceLock<ThreadId> = OnceLock::new();

/// How many calls are inside methods that may run Python code. A forked child counts those of its parent's threads for
/// ever, which costs it the grace when it exits.
static INSIDE: AtomicUsize = AtomicUsize::new(0);

/// A call inside one of our methods.
pub struct Inside(());

impl Drop for Inside {
    fn drop(&mut self) {
        INSIDE.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Enters a method that may run Python code, and that a thread may call which the interpreter does not wait for.
pub fn enter(py: Python<'_>) -> PyResult<Inside> {
    INSIDE.fetch_add(1, Ordering::SeqCst);
    let inside = Inside(());
    if ENDED_BY.get().is_none_or(|thread| *thread == thread::current().id()) {
        return Ok(inside);
    }
    drop(inside);
    py.detach(|| thread::sleep(PATIENCE));
    Err(exiting(py))
}

/// Gets ready to refuse calls at the end, when nothing can be imported any more.
pub fn prepare(py: Python<'_>) -> PyResult<()> {
    class(py).map(drop)
}

fn class(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    CLASS.import(py, "hubpass.exceptions", "ClientClosedError")
}

/// The exception of a call that comes when the interpreter ends, made as its class makes it, but by C code alone.
fn exiting(py: Python<'_>) -> PyErr {
    make(py, &process::exiting()).unwrap_or_else(|error| error)
}

fn make(py: Python<'_>, error: &Error) -> PyResult<PyErr> {
    let class = class(py)?;
    let exception = class.call_method1("__new__", (class, error.to_string()))?;
    exception.setattr("message", error.message())?;
    exception.setattr("code", error.code().as_str())?;
    exception.setattr("status", error.status())?;
    exception.setattr("retry_after", py.None())?;
    exception.setattr("hint", error.hint())?;
    Ok(PyErr::from_value(exception))
}

/// Ends the runtime's tasks and waits for those who are inside. Registered with `atexit`, which runs while Python can still
/// be called: a runtime thread that calls into a Python which is half gone would crash the process.
#[pyfunction]
pub fn shut_down(py: Python<'_>) {
    let _ = ENDED_BY.set(thread::current().id());
    py.detach(|| {
        process::shut_down(GRACE);
        let mut left = GRACE;
        while INSIDE.load(Ordering::SeqCst) > 0 && !left.is_zero() {
            thread::sleep(INTERVAL);
            left -= INTERVAL;
        }
    });
}
