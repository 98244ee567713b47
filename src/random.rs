//! The door of randomness: the only file that asks the operating system for random bytes.

use std::fmt::Write as _;

/// A random name of 32 lower-case hexadecimal digits, for telling processes apart in the service's logs.
///
/// It is not a secret. Should the operating system have no randomness to give, the name is all zeros rather than an
/// error, because nothing depends on it being unique.
#[allow(clippy::disallowed_methods, reason = "this file is the door of randomness")]
pub fn hex_name() -> String {
    let mut bytes = [0_u8; 16];
    let _ = getrandom::fill(&mut bytes);
    bytes.iter().fold(String::with_capacity(32), |mut name, byte| {
        let _ = write!(name, "{byte:02x}");
        name
    })
}

/// A number from 0 up to 1, for spreading what many processes do. Without randomness it is one half.
#[allow(clippy::disallowed_methods, reason = "this file is the door of randomness")]
pub fn fraction() -> f64 {
    getrandom::u32().map_or(0.5, |number| f64::from(number) / (f64::from(u32::MAX) + 1.0))
}

/// The randomness of signatures whose padding is random (RSA-PSS).
pub fn for_signatures() -> aws_lc_rs::rand::SystemRandom {
    aws_lc_rs::rand::SystemRandom::new()
}
