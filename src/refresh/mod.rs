//! One way to keep something that expires: Entra tokens and temporary keys alike.
//!
//! A [`Cell`] decides and never fetches; whoever it gives a [`Lease`] fetches and hands the outcome back. So a fetch that
//! fails takes nothing away that is still good, a caller that stops waiting takes nothing from the others, nobody waits
//! while something good is held, and there is one fetch at a time however many ask.

mod cell;
mod shim;

pub use cell::{Acquired, Cell, CellPolicy, Held, Lease, Pause, Plan, Replacement, Settlement, Ticket, Timeline};
