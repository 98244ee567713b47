//! The refresh cell as it is, on primitives whose every interleaving loom can try.
//!
//! The cell names its primitives in one file, the shim; this crate includes the cell and brings a shim of its own.
#![forbid(unsafe_code)]

#[path = "../../../src/clock.rs"]
pub mod clock;
#[allow(dead_code, reason = "the cell uses a part of it")]
#[path = "../../../src/error.rs"]
pub mod error;

/// What the cell needs of the place that it runs in.
pub mod process {
    use std::sync::Arc;

    /// Tells the id of the process that it is called in.
    pub type Whereabouts = Arc<dyn Fn() -> u32 + Send + Sync>;

    /// The process id and its luck. The real trait can start tasks as well, which the cell never does.
    pub trait Place {
        /// The process id.
        fn process(&self) -> u32;

        /// The same to be kept.
        fn whereabouts(&self) -> Whereabouts;

        /// A random number from 0 up to 1.
        fn random(&self) -> f64;
    }
}

/// One way to keep something that expires.
pub mod refresh {
    #[path = "../../../../src/refresh/cell.rs"]
    pub mod cell;
    pub mod shim;
}
