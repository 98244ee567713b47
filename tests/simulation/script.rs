//! What the world does, as a function of the seed and the time alone, so that the client and its model see the same
//! world whatever they ask of it.

use std::time::Duration;

pub const DAY: Duration = Duration::from_secs(24 * 3600);
const HOUR: Duration = Duration::from_secs(3600);
const MINUTE: Duration = Duration::from_secs(60);

/// When something comes back; `None`: never.
pub type Delay = Option<Duration>;

/// What the identity endpoint does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenTurn {
    /// A token that lives so long, in seconds; `true`: it says that it wants to be renewed at half of that.
    Issue(u64, bool),
    /// A token that has expired already, as from a machine whose clock is wrong.
    Expired,
    /// Fewer requests, please: so many seconds.
    Throttle(u64),
    /// Some failure.
    Fail,
}

/// What the key endpoint does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyTurn {
    /// A new key.
    Issue,
    /// The key that the client holds, if it holds a good one.
    Repeat,
    /// An answer of this status, perhaps with `Retry-After` in seconds.
    Status(u16, Option<u64>),
    /// Something that is not a key.
    Garbage,
    /// No connection.
    Disconnect,
}

/// What happens by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happening {
    /// Somebody sets the wall clock, forwards or backwards by so many seconds.
    WallClock(i64),
    /// The machine sleeps.
    Suspend(Duration),
    /// The service revokes the key that the client holds.
    RevokeKey,
    /// The service stops accepting the tokens that it has seen so far.
    RevokeTokens,
    /// The process forks, and what we look at goes on as the child.
    Fork,
}

/// A source of luck: SplitMix64.
pub struct Luck(u64);

impl Luck {
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut luck = Self(seed.wrapping_mul(0xD134_2543_DE82_EF95).wrapping_add(stream));
        // The streams of neighbouring seeds begin alike; after a step they do not.
        let state = luck.next();
        Self(state ^ stream.rotate_left(32))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub fn between(&mut self, from: Duration, to: Duration) -> Duration {
        let span = u64::try_from((to - from).as_nanos()).expect("a span of less than centuries");
        from + Duration::from_nanos(self.below(span))
    }
}

/// The script of one day.
pub struct Script {
    seed: u64,
    outage: (Duration, Duration),
    outage_hangs: bool,
    happenings: Vec<(Duration, Happening)>,
    /// What the process draws whenever it draws.
    pub luck: f64,
}

const STREAM_OF_HAPPENINGS: u64 = 1;
const STREAM_OF_WEATHER: u64 = 1 << 60;
const STREAM_OF_TOKENS: u64 = 1 << 61;
const STREAM_OF_KEYS: u64 = 1 << 62;

impl Script {
    pub fn new(seed: u64) -> Self {
        let mut luck = Luck::new(seed, STREAM_OF_HAPPENINGS);
        let outage_begins = luck.between(HOUR, DAY - 3 * HOUR);
        let mut happenings = Vec::new();
        let mut add = |luck: &mut Luck, count: u64, make: &dyn Fn(&mut Luck) -> Happening| {
            for _ in 0..count {
                let at = luck.between(MINUTE, DAY - HOUR);
                happenings.push((at, make(luck)));
            }
        };
        let count = luck.below(4);
        add(&mut luck, 1 + count, &|_| Happening::RevokeKey);
        add(&mut luck, 1, &|luck| Happening::WallClock(seconds(luck)));
        add(&mut luck, 1, &|luck| Happening::WallClock(-seconds(luck)));
        add(&mut luck, 1, &|luck| Happening::Suspend(luck.between(MINUTE, 3 * HOUR)));
        let count = luck.below(3);
        add(&mut luck, count, &|_| Happening::RevokeTokens);
        let count = luck.below(2);
        add(&mut luck, count, &|_| Happening::Fork);
        happenings.sort_by_key(|&(at, _)| at);
        Self {
            seed,
            outage: (outage_begins, outage_begins + HOUR),
            outage_hangs: luck.below(3) == 0,
            happenings,
            // Sixty-fourths are exact in floating point, so that sums and products of them are as well.
            luck: f64::from(u32::try_from(luck.below(64)).expect("a small number")) / 64.0,
        }
    }

    /// What happens by itself, in order.
    pub fn happenings(&self) -> &[(Duration, Happening)] {
        &self.happenings
    }

    /// How many of a hundred requests go well at this time of the day.
    fn weather(&self, at: Duration) -> u64 {
        let half_hour = at.as_secs() / 1800;
        [98, 98, 90, 60, 20, 5]
            [usize::try_from(Luck::new(self.seed, STREAM_OF_WEATHER + half_hour).below(6)).expect("an index")]
    }

    fn luck_at(&self, stream: u64, at: Duration) -> Luck {
        Luck::new(self.seed, stream ^ u64::try_from(at.as_nanos()).expect("a time within the day"))
    }

    pub fn token_turn(&self, at: Duration) -> (Delay, TokenTurn) {
        let mut luck = self.luck_at(STREAM_OF_TOKENS, at);
        if luck.below(100) < self.weather(at) {
            let life = [3600, 3599 + luck.below(1800), 600, 86_400][usize::try_from(luck.below(4)).expect("an index")];
            return (Some(delay(&mut luck)), TokenTurn::Issue(life, luck.below(4) == 0));
        }
        let quick = Some(quick(&mut luck));
        match luck.below(8) {
            0 => (None, TokenTurn::Fail),
            1 => (quick, TokenTurn::Expired),
            2 | 3 => (quick, TokenTurn::Throttle(luck.below(400))),
            _ => (quick, TokenTurn::Fail),
        }
    }

    pub fn key_turn(&self, at: Duration) -> (Delay, KeyTurn) {
        let mut luck = self.luck_at(STREAM_OF_KEYS, at);
        if self.outage.0 <= at && at < self.outage.1 {
            let refusal = if luck.below(2) == 0 { KeyTurn::Disconnect } else { KeyTurn::Status(503, None) };
            return if self.outage_hangs { (None, refusal) } else { (Some(quick(&mut luck)), refusal) };
        }
        if luck.below(100) < self.weather(at) {
            return (Some(delay(&mut luck)), KeyTurn::Issue);
        }
        let soon = Some(quick(&mut luck));
        match luck.below(16) {
            0 | 1 => (None, KeyTurn::Disconnect),
            2 => (soon, KeyTurn::Status(401, None)),
            3 => (soon, KeyTurn::Status(403, None)),
            4 | 5 => (soon, KeyTurn::Status(429, Some(luck.below(400)))),
            6 => (soon, KeyTurn::Status(503, Some(luck.below(60)))),
            7 => (soon, KeyTurn::Status(204, None)),
            8 | 9 => (soon, KeyTurn::Garbage),
            10 | 11 => (soon, KeyTurn::Repeat),
            12 | 13 => (Some(delay(&mut luck)), KeyTurn::Disconnect),
            _ => (soon, KeyTurn::Status(500, None)),
        }
    }
}

fn seconds(luck: &mut Luck) -> i64 {
    i64::try_from(1 + luck.below(8 * 3600)).expect("hours")
}

/// Most answers are quick; some are late, some so late that nobody waits for them any more.
fn delay(luck: &mut Luck) -> Duration {
    match luck.below(20) {
        0..=14 => quick(luck),
        15..=17 => luck.between(Duration::from_secs(1), Duration::from_secs(50)),
        _ => luck.between(Duration::from_secs(50), Duration::from_secs(200)),
    }
}

fn quick(luck: &mut Luck) -> Duration {
    luck.between(Duration::from_millis(20), Duration::from_millis(300))
}
