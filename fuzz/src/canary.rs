//! A text that stands for a secret: put in where secrets are, it may come out nowhere.

use std::error::Error as StdError;

use hubpass::Error;

/// No name, code or object id that an error may repeat looks like this, because of its digits next to its underscores.
pub const CANARY: &str = "c4n4ry_0f_4_s3cr3t";

/// What stands in an input for the canary, so that mutations move it about whole.
const PLACE: u8 = 1;

/// How much of the canary in one piece counts as the canary.
const TELLING: usize = 8;

/// The input with the canary in its places.
pub fn plant(input: &[u8]) -> Vec<u8> {
    let mut planted = Vec::with_capacity(input.len());
    for &byte in input {
        if byte == PLACE {
            planted.extend_from_slice(CANARY.as_bytes());
        } else {
            planted.push(byte);
        }
    }
    planted
}

/// The text with the canary in its places.
pub fn plant_text(input: &str) -> String {
    input.replace(char::from(PLACE), CANARY)
}

/// Whether an input spells the canary out. A fuzzer watches comparisons and learns it; then it may be anywhere.
pub fn is_known_to(input: &[u8]) -> bool {
    shows_in(&String::from_utf8_lossy(input))
}

/// Whether a part of the canary can be seen.
pub fn shows_in(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    CANARY.as_bytes().windows(TELLING).any(|part| text.as_bytes().windows(TELLING).any(|other| other == part))
}

/// An error says something, and nothing of the canary, whichever way it is printed.
pub fn check_error(error: &Error) {
    assert!(!error.message().is_empty() && !error.hint().is_empty(), "{error}");
    let mut texts = vec![format!("{error} {error:?}")];
    let mut source = StdError::source(error);
    while let Some(cause) = source {
        texts.push(format!("{cause} {cause:?}"));
        source = cause.source();
    }
    for text in texts {
        assert!(!shows_in(&text), "an error shows a secret: {text}");
    }
}
