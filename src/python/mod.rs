//! The extension module `hubpass._native`: conversions and waiting, no decisions. It is private; the public classes, their
//! names, defaults and documentation are Python (`python/hubpass`).

mod bridge;
mod convert;
mod errors;
mod observer;
mod signalr;

use pyo3::prelude::*;

#[pymodule]
mod _native {
    use super::*;

    #[pymodule_export]
    use super::bridge::Flight;
    #[pymodule_export]
    use super::bridge::shut_down;
    #[pymodule_export]
    use super::errors::error_codes;
    #[pymodule_export]
    use super::signalr::ParsedConnectionString;
    #[pymodule_export]
    use super::signalr::SignalRClient;
    #[pymodule_export]
    use super::signalr::parse_connection_string;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
