//! Backtraces of errors, which nobody sees and which a forked child could not take.

use std::backtrace::Backtrace;

use pyo3::prelude::*;

const OF_ALL: &str = "RUST_BACKTRACE";
const OF_ERRORS: &str = "RUST_LIB_BACKTRACE";

/// Has the standard library decide, once for this process, that errors take no backtrace.
///
/// Where `RUST_BACKTRACE` is set, each error that the Azure SDK makes inside itself would take one under a lock of the
/// whole process. A child forked while another thread held that lock would wait for it for ever. Panics keep their
/// backtraces, and a `RUST_LIB_BACKTRACE` that somebody set is respected.
pub fn leave_out(py: Python<'_>) -> PyResult<()> {
    let environment = py.import("os")?.getattr("environ")?;
    if !environment.contains(OF_ALL)? || environment.contains(OF_ERRORS)? {
        return Ok(());
    }
    // The decision is taken at the first capture, and the programs that this one starts know nothing of it.
    environment.set_item(OF_ERRORS, "0")?;
    drop(Backtrace::capture());
    environment.del_item(OF_ERRORS)
}
