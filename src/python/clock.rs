//! Time for tests of applications.

use std::time::Duration;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::clock::{advance_local, renew_local};

/// Lets so many seconds pass for clients whose service is on this machine, and says how far they are ahead of others then;
/// `hubpass.testing.advance` documents it.
#[pyfunction]
pub fn advance_local_clocks(seconds: f64) -> PyResult<f64> {
    Ok(advance_local(duration(seconds)?).as_secs_f64())
}

/// Lets the same clients show the machine's time again and hold nothing younger than so many seconds: for the fixtures of
/// pytest, before each test.
#[pyfunction]
pub fn renew_local_clocks(seconds: f64) -> PyResult<()> {
    renew_local(duration(seconds)?);
    Ok(())
}

fn duration(seconds: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(seconds).map_err(|_| PyValueError::new_err("time only passes"))
}
