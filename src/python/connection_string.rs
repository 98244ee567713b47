//! Connection strings, read without making a client; for tests of the reader.

use pyo3::prelude::*;

use crate::connection_string::ConnectionString;
use crate::endpoint::Endpoint;
use crate::error::Result;

/// A connection string that was understood, without its secrets.
#[pyclass(frozen, get_all, module = "hubpass._native")]
pub struct ParsedConnectionString {
    kind: &'static str,
    endpoint: String,
    client_endpoint: Option<String>,
    server_endpoint: Option<String>,
    version: Option<String>,
    warnings: Vec<String>,
}

/// Reads a connection string.
#[pyfunction]
pub fn parse_connection_string(text: &str) -> Result<ParsedConnectionString> {
    let ConnectionString { endpoint, client_endpoint, server_endpoint, auth, version, warnings } =
        ConnectionString::parse(text)?;
    Ok(ParsedConnectionString {
        kind: auth.kind(),
        endpoint: endpoint.as_text(),
        client_endpoint: client_endpoint.as_ref().map(Endpoint::as_text),
        server_endpoint: server_endpoint.as_ref().map(Endpoint::as_text),
        version,
        warnings,
    })
}
