//! What has to hold for any input, one module for each target: `check` takes the bytes and panics if it does not hold.
//!
//! cargo-fuzz calls these from `fuzz_targets/`. `tests/corpora.rs` includes this file and calls them with every file of
//! `corpus/`, so that what fuzzing has once reached is gone through again on each run of the tests, without a fuzzer.

pub mod access_token;
mod canary;
pub mod certificate;
pub mod claims;
pub mod connection_string;
pub mod endpoint;
mod json;
pub mod key_answer;
mod reader;
pub mod service_answer;
pub mod token_answer;

/// A target's function, which panics if something does not hold.
pub type Check = fn(&[u8]);

/// Every target, by the name of its file in `fuzz_targets/` and of its folder in `corpus/`.
pub const TARGETS: [(&str, Check); 8] = [
    ("access_token", access_token::check),
    ("certificate", certificate::check),
    ("claims", claims::check),
    ("connection_string", connection_string::check),
    ("endpoint", endpoint::check),
    ("key_answer", key_answer::check),
    ("service_answer", service_answer::check),
    ("token_answer", token_answer::check),
];
