//! The door of time: the only file that reads a clock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// One reading of the clocks, taken once per public call and passed down from there, so that no two parts of a call can
/// disagree about the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Since 1970-01-01T00:00:00Z: what tokens speak of. Somebody may set it, forwards and backwards.
    wall: Duration,
    /// Since some fixed point such as boot, time spent suspended included: nobody can set it.
    boot: Duration,
}

impl Now {
    /// A reading that somebody else took.
    pub const fn at(wall: Duration, boot: Duration) -> Self {
        Self { wall, boot }
    }

    /// Whole seconds since 1970, the `NumericDate` of RFC 7519.
    pub const fn unix_seconds(self) -> u64 {
        self.wall.as_secs()
    }

    /// Time since 1970.
    pub const fn since_epoch(self) -> Duration {
        self.wall
    }

    /// Time since boot.
    pub const fn since_boot(self) -> Duration {
        self.boot
    }

    /// The time so much later, in whole seconds since 1970; `None` if it lies beyond what can be written.
    pub fn plus(self, later: Duration) -> Option<u64> {
        self.wall.checked_add(later).map(|time| time.as_secs())
    }

    /// How old something is that began `then`: the larger of what the two clocks say. A wall clock that is set back does
    /// not make it younger, and a suspend that one of the clocks missed does not either.
    pub fn age_of(self, then: Self) -> Duration {
        let by_wall = self.wall.saturating_sub(then.wall);
        by_wall.max(self.boot.saturating_sub(then.boot))
    }

    /// The beginning of something that is as old as the clock says that nobody can set.
    #[must_use]
    pub fn rebased(self, then: Self) -> Self {
        let age = self.boot.saturating_sub(then.boot);
        Self { wall: self.wall.saturating_sub(age), boot: then.boot }
    }

    /// Whether this reading was taken before `other` or with it.
    pub fn is_not_after(self, other: Self) -> bool {
        self.boot <= other.boot
    }
}

/// How far the clocks of clients with a service on this machine are ahead, in milliseconds: the one that tokens speak of,
/// and the one that nobody can set.
static LOCAL_WALL_AHEAD: AtomicU64 = AtomicU64::new(0);
static LOCAL_BOOT_AHEAD: AtomicU64 = AtomicU64::new(0);

/// Lets time pass for every client of this process whose service is on this machine: for tests of applications, which are
/// built as they are in production. Time only passes, and no client of a real service notices. Says how far ahead they are
/// now.
pub fn advance_local(by: Duration) -> Duration {
    add(&LOCAL_BOOT_AHEAD, by);
    add(&LOCAL_WALL_AHEAD, by)
}

/// Lets the same clients begin anew: they show the machine's time again, and whatever they hold has become older by this
/// much. Nothing that they hold comes from the future then, because the clock that nobody can set has only gone on.
pub fn renew_local(by: Duration) {
    add(&LOCAL_BOOT_AHEAD, by);
    LOCAL_WALL_AHEAD.store(0, Ordering::SeqCst);
}

fn add(ahead: &AtomicU64, by: Duration) -> Duration {
    let by = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
    let sum = ahead.load(Ordering::SeqCst).saturating_add(by);
    ahead.store(sum, Ordering::SeqCst);
    Duration::from_millis(sum)
}

fn read(ahead: &AtomicU64) -> Duration {
    Duration::from_millis(ahead.load(Ordering::SeqCst))
}

/// Where readings come from.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The machine's clocks, with what [`advance_local`] has added.
    Local,
    /// The machine's clocks.
    #[default]
    System,
    /// A clock that a test moves.
    #[cfg(feature = "testing")]
    Manual(crate::testing::ManualClock),
}

impl Clock {
    /// Reads the clocks. A wall clock set before 1970 reads as 1970: tokens made then are refused by the service, which is
    /// the honest outcome.
    pub fn now(&self) -> Now {
        self.reading(wall_clock)
    }

    /// As [`Self::now`], for whoever asks very often and does not mind a wall clock that is some milliseconds late: to read
    /// the exact one takes several times as long.
    pub fn glance(&self) -> Now {
        self.reading(coarse_wall_clock)
    }

    fn reading(&self, wall_clock: impl FnOnce() -> Duration) -> Now {
        match self {
            Self::Local => Now {
                wall: wall_clock().saturating_add(read(&LOCAL_WALL_AHEAD)),
                boot: boot_clock().saturating_add(read(&LOCAL_BOOT_AHEAD)),
            },
            Self::System => Now { wall: wall_clock(), boot: boot_clock() },
            #[cfg(feature = "testing")]
            Self::Manual(clock) => clock.now(),
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "this file is the door of time")]
fn wall_clock() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// The time of the system's last tick.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn coarse_wall_clock() -> Duration {
    linux_clock(rustix::time::ClockId::RealtimeCoarse)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn coarse_wall_clock() -> Duration {
    wall_clock()
}

/// On Linux and Android the clock that counts suspends.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn boot_clock() -> Duration {
    linux_clock(rustix::time::ClockId::Boottime)
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn linux_clock(clock: rustix::time::ClockId) -> Duration {
    let time = rustix::time::clock_gettime(clock);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// Elsewhere the monotonic clock, counted from the first reading. It may miss suspends; the wall clock counts those.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
#[allow(clippy::disallowed_methods, reason = "this file is the door of time")]
fn boot_clock() -> Duration {
    static FIRST: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    FIRST.get_or_init(std::time::Instant::now).elapsed()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(wall: u64, boot: u64) -> Now {
        Now::at(Duration::from_secs(wall), Duration::from_secs(boot))
    }

    #[test]
    fn age_is_the_larger_of_two() {
        assert_eq!(at(1060, 160).age_of(at(1000, 100)), Duration::from_secs(60));
        assert_eq!(at(500, 160).age_of(at(1000, 100)), Duration::from_secs(60), "a clock set back");
        assert_eq!(at(9000, 160).age_of(at(1000, 100)), Duration::from_secs(8000), "a clock set forward");
        assert_eq!(at(9000, 160).age_of(at(9000, 160).rebased(at(1000, 100))), Duration::from_secs(60));
    }

    #[test]
    fn the_machine_has_both_clocks() {
        let first = Clock::System.now();
        let second = Clock::System.now();
        assert!(first.is_not_after(second) && first.unix_seconds() > 1_700_000_000);
    }

    #[test]
    fn only_local_clocks_go_ahead() {
        let before = (Clock::Local.now(), Clock::System.now());
        advance_local(Duration::from_secs(3600));
        let after = (Clock::Local.now(), Clock::System.now());
        assert!(after.0.age_of(before.0) >= Duration::from_secs(3600));
        assert!(after.1.age_of(before.1) < Duration::from_secs(3600));
        renew_local(Duration::from_secs(7200));
        let anew = (Clock::Local.now(), Clock::System.now());
        assert!(anew.0.unix_seconds() - anew.1.unix_seconds() <= 1, "it shows the machine's time again");
        assert!(anew.0.age_of(after.0) >= Duration::from_secs(7200), "and has not gone back");
    }
}
