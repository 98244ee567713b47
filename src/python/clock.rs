//! Time for tests of applications.

use std::time::Duration;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::clock::advance_local;

/// Lets so many seconds pass for clients whose service is on this machine, and says how far they are ahead of others then;
/// `hubpass.testing.advance` documents it.
#[pyfunction]
pub fn advance_local_clocks(seconds: f64) -> PyResult<f64> {
    let by = Duration::try_from_secs_f64(seconds).map_err(|_| PyValueError::new_err("time only passes"))?;
    Ok(advance_local(by).as_secs_f64())
}
