//! The extension module `hubpass._native`: conversions and waiting, no decisions. It is private; the public classes, their
//! names, defaults and documentation are Python (`python/hubpass`).

mod attach;
mod backtraces;
mod bridge;
mod client_access;
mod clock;
mod connection_string;
mod construction;
mod convert;
mod credential;
mod errors;
mod exit;
mod identity;
mod identity_arguments;
mod negotiation;
mod observer;
mod references;
mod signalr;
mod status;
#[cfg(feature = "testing")]
mod testing;
mod token_answer;
mod warnings;
mod webpubsub;

use pyo3::exceptions::PyImportError;
use pyo3::prelude::*;

// Only interpreters with a global lock have run this so far; one without takes its lock back when it loads the module.
#[pymodule(gil_used = true)]
mod _native {
    use super::*;

    #[pymodule_export]
    use super::bridge::Flight;
    #[pymodule_export]
    use super::bridge::PendingAnswer;
    #[pymodule_export]
    use super::clock::advance_local_clocks;
    #[pymodule_export]
    use super::clock::renew_local_clocks;
    #[pymodule_export]
    use super::connection_string::ParsedConnectionString;
    #[pymodule_export]
    use super::connection_string::parse_connection_string;
    #[pymodule_export]
    use super::credential::TaskHolder;
    #[pymodule_export]
    use super::credential::TokenDelivery;
    #[pymodule_export]
    use super::errors::error_codes;
    #[pymodule_export]
    use super::errors::write_unraisable;
    #[pymodule_export]
    use super::exit::shut_down;
    #[pymodule_export]
    use super::identity::Credential;
    #[pymodule_export]
    use super::references::References;
    #[pymodule_export]
    use super::signalr::SignalRClient;
    #[cfg(feature = "testing")]
    #[pymodule_export]
    use super::testing::ManualClock;
    #[cfg(feature = "testing")]
    #[pymodule_export]
    use super::testing::SlowEntry;
    #[pymodule_export]
    use super::webpubsub::WebPubSubClient;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        check_interpreter(module.py())?;
        backtraces::leave_out(module.py())?;
        attach::watch_forks(module.py())?;
        let shut_down = module.getattr("shut_down")?;
        module.py().import("atexit")?.call_method1("register", (shut_down,))?;
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}

/// Refuses sub-interpreters, which would share what belongs to one interpreter: from CPython 3.12 on the interpreter does
/// so by itself.
fn check_interpreter(py: Python<'_>) -> PyResult<()> {
    if py.version_info() >= (3, 12) {
        return Ok(());
    }
    // The module is optional in CPython; without it nobody makes sub-interpreters but C programs that embed Python.
    let Ok(interpreters) = py.import("_xxsubinterpreters") else { return Ok(()) };
    if interpreters.call_method0("get_current")?.eq(interpreters.call_method0("get_main")?)? {
        return Ok(());
    }
    Err(PyImportError::new_err(
        "module hubpass._native does not support loading in subinterpreters; run the application in the main interpreter (mod_wsgi: WSGIApplicationGroup %{GLOBAL})",
    ))
}
