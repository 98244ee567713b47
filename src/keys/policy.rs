//! How long a temporary key is trusted and when it is renewed.

use std::time::Duration;

use crate::clock::Now;
use crate::error::{Code, Error, Result};
use crate::refresh::{CellPolicy, Timeline};

/// The life of a temporary key. The defaults follow Microsoft's documentation: the service lets a key expire after 90
/// minutes and asks for a renewal about every hour ("Authorize access with Microsoft Entra ID for Azure SignalR Service").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyPolicy {
    lifetime: Duration,
    renew_after: (Duration, Duration),
    margin: Duration,
    verified: bool,
    cell: CellPolicy,
}

impl Default for KeyPolicy {
    fn default() -> Self {
        let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
        Self {
            lifetime: minutes(90),
            renew_after: (minutes(45), minutes(55)),
            margin: minutes(5),
            verified: false,
            cell: CellPolicy::default(),
        }
    }
}

impl KeyPolicy {
    /// A policy; `retry_after` is the first and the longest pause after failed renewals.
    pub fn new(
        lifetime: Duration,
        renew_after: (Duration, Duration),
        margin: Duration,
        retry_after: (Duration, Duration),
    ) -> Result<Self> {
        let usable_for = lifetime.checked_sub(margin);
        let in_order =
            renew_after.0 <= renew_after.1 && usable_for.is_some_and(|usable_for| renew_after.1 < usable_for);
        if !in_order || retry_after.0.is_zero() || retry_after.0 > retry_after.1 {
            return Err(Error::new(
                Code::InvalidArgument,
                "The key policy does not leave a key any time to be used and renewed.",
                "Pass KeyPolicy(lifetime=, renew_after=(from, to), margin=) with from <= to < lifetime - margin, and retry_after=(first, longest).",
            ));
        }
        let cell = CellPolicy { pause_first: retry_after.0, pause_max: retry_after.1, ..CellPolicy::default() };
        Ok(Self { lifetime, renew_after, margin, verified: false, cell })
    }

    /// The same policy for keys that sign for users only after the service has accepted what they sign.
    #[must_use]
    pub fn verified(self, verified: bool) -> Self {
        Self { verified, ..self }
    }

    /// Whether a fetched key has to prove itself before it signs for users.
    pub fn is_verified(&self) -> bool {
        self.verified
    }

    /// How the cell of the key behaves in trouble.
    pub fn cell(&self) -> CellPolicy {
        self.cell
    }

    /// How long the service knows a key.
    pub fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// How old a key may be and still sign.
    pub fn usable_for(&self) -> Duration {
        self.lifetime.saturating_sub(self.margin)
    }

    /// The youngest age at which a key is renewed.
    pub fn renew_from(&self) -> Duration {
        self.renew_after.0
    }

    /// The times of a key whose request was sent then.
    pub fn timeline(&self, sent: Now) -> Timeline {
        Timeline { sent, renew_after: self.renew_after, usable_for: self.usable_for() }
    }

    /// When the service forgets a key, in seconds since 1970.
    pub fn key_ends(&self, sent: Now, now: Now) -> u64 {
        (now.since_epoch() + self.lifetime.saturating_sub(now.age_of(sent))).as_secs()
    }
}
