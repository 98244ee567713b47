//! Tests of the core through its public face, against data and code that others wrote.

mod support;
mod tokens;
mod vectors;
