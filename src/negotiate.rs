//! The answer to `POST /negotiate`: where a client goes and the token that lets it in.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::claims::Claims;
use crate::clock::Now;
use crate::error::{Code, Error, Result};
use crate::jwt::{Payload, Template};

/// The longest token that the service accepts, in characters (Azure/azure-signalr, `AuthUtility`). Proxies and browsers
/// answer longer ones with errors that look like something else: CORS, 413, 414.
pub const TOKEN_MAX: usize = 4096;

/// The length from which a token deserves a warning: claims tend to grow.
pub const TOKEN_LARGE: usize = 3072;

/// The longest lifetime without `allow_long_lifetime`.
const LIFETIME_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// The last second of the year 9999, beyond which no date can be written (RFC 3339) or read in Python.
pub(crate) const EXPIRES_ON_MAX: u64 = 253_402_300_799;

/// How many of the largest claims an error names.
const LARGEST_NAMED: usize = 3;

/// Who connects. There is no third way, and no default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity<'a> {
    /// Nobody in particular.
    Anonymous,
    /// The user with this id.
    User(&'a str),
}

impl<'a> Identity<'a> {
    /// A user; the id must be something that can name one.
    pub fn user(user_id: &'a str) -> Result<Self> {
        if user_id.chars().all(char::is_whitespace) || user_id.chars().any(char::is_control) {
            return Err(invalid_user_id("The user id is empty, blank, or has control characters."));
        }
        Ok(Self::User(user_id))
    }
}

/// The error for a user id that cannot name a user.
pub fn invalid_user_id(message: &str) -> Error {
    Error::new(
        Code::InvalidUserId,
        message,
        "Pass the id of a user as text, such as str(user.id); for a client without a user pass anonymous=True.",
    )
}

/// The kinds of connection that a client may use, as the bit mask of `asrs.s.htt`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transports(u8);

impl Transports {
    /// The names of the transports in `@microsoft/signalr`, with their bits.
    const NAMES: [(&'static str, u8); 3] = [("WebSockets", 1), ("ServerSentEvents", 2), ("LongPolling", 4)];

    /// A set of transports by name; an empty one would let nobody in and is refused.
    pub fn from_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        let mask = names
            .into_iter()
            .try_fold(0, |mask, name| Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, bit)| mask | bit));
        mask.filter(|&mask| mask != 0).map(Self).ok_or_else(|| {
            Error::new(
                Code::InvalidTransports,
                "The transports are not a choice of those that exist.",
                "Pass transports=(\"WebSockets\", \"ServerSentEvents\", \"LongPolling\") or some of these three names.",
            )
        })
    }
}

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Negotiation<'a> {
    /// Who connects.
    pub identity: Identity<'a>,
    /// The application's own claims.
    pub claims: Claims,
    /// How long the token may be used to connect.
    pub lifetime: Duration,
    /// Whether a lifetime of more than a day is meant.
    pub allow_long_lifetime: bool,
    /// When the application's own authentication of this user ends, in seconds since 1970.
    pub authentication_expires_on: Option<i64>,
    /// Whether the service ends the connection at that time (or, without one, when the token expires).
    pub close_on_authentication_expiration: bool,
    /// Which transports the client may use.
    pub transports: Option<Transports>,
    /// Whether the client sees what went wrong in the hub.
    pub enable_detailed_errors: bool,
}

impl<'a> Negotiation<'a> {
    /// The token's lifetime when nothing else is said, as in Microsoft's SDK.
    pub const DEFAULT_LIFETIME: Duration = Duration::from_secs(60 * 60);

    /// A negotiation with defaults.
    pub fn new(identity: Identity<'a>) -> Self {
        Self {
            identity,
            claims: Claims::default(),
            lifetime: Self::DEFAULT_LIFETIME,
            allow_long_lifetime: false,
            authentication_expires_on: None,
            close_on_authentication_expiration: false,
            transports: None,
            enable_detailed_errors: false,
        }
    }

    /// When the token expires, in seconds since 1970.
    fn expires_on(&self, now: Now) -> Result<u64> {
        let too_long = self.lifetime > LIFETIME_MAX && !self.allow_long_lifetime;
        let in_bounds = |&ends: &u64| ends <= EXPIRES_ON_MAX && !too_long && self.lifetime >= Duration::from_secs(1);
        let by_lifetime = now.plus(self.lifetime).filter(in_bounds);
        let by_lifetime = by_lifetime.ok_or_else(|| {
            Error::new(
                Code::InvalidLifetime,
                "The lifetime is not between 1 second and 24 hours.",
                "Pass lifetime=timedelta(hours=1); a longer one than 24 hours needs allow_long_lifetime=True.",
            )
        })?;
        let Some(authentication_ends) = self.authentication_expires_on else { return Ok(by_lifetime) };
        match u64::try_from(authentication_ends) {
            Ok(ends) if ends > now.unix_seconds() => Ok(by_lifetime.min(ends)),
            _ => Err(Error::new(
                Code::InvalidAuthenticationExpiresOn,
                "The user's authentication has expired already.",
                "Pass authentication_expires_on= with a time in the future, or answer 401 and let the user sign in again.",
            )),
        }
    }

    /// The service's own claims, in the order in which the official SDK emits them (`ClaimsUtility`). All are text.
    fn write_system_claims(&self, payload: &mut Vec<u8>, expires_on: u64) {
        if let Identity::User(user_id) = self.identity {
            write_text_claim(payload, "asrs.s.uid", user_id);
        }
        if self.enable_detailed_errors {
            write_text_claim(payload, "asrs.s.derror", "True");
        }
        if let Some(Transports(mask)) = self.transports {
            write_text_claim(payload, "asrs.s.htt", &mask.to_string());
        }
        if self.close_on_authentication_expiration {
            let ends = self.authentication_expires_on.and_then(|ends| u64::try_from(ends).ok()).unwrap_or(expires_on);
            write_text_claim(payload, "asrs.s.coae", "true");
            write_text_claim(payload, "asrs.s.aeo", &ends.to_string());
        }
    }

    /// Refuses what cannot be signed whatever the key is, except for a token that turns out too long.
    pub fn check(&self, now: Now) -> Result<u64> {
        if self.identity == Identity::Anonymous {
            self.claims.check_anonymous()?;
        }
        self.expires_on(now)
    }

    /// Renders and signs the token. CPU only: nothing here waits, locks or asks the system for anything.
    pub fn sign(&self, template: &Template, now: Now) -> Result<Signed> {
        let expires_on = self.check(now)?;
        let mut payload = template.payload();
        self.write_system_claims(&mut payload.bytes, expires_on);
        for (name, value) in self.claims.iter() {
            write_claim(&mut payload.bytes, name, value);
        }
        write_registered_claims(&mut payload, now, expires_on);
        let length = payload.token_length();
        if length > TOKEN_MAX {
            return Err(self.too_long(length, expires_on));
        }
        let kid = template.key().kid().cloned();
        Ok(Signed { token: payload.sign(), kid, expires_on, is_large: length > TOKEN_LARGE })
    }

    /// Names the claims that make the token too long. Their values stay out of it.
    fn too_long(&self, length: usize, expires_on: u64) -> Error {
        let mut sizes: Vec<(String, usize)> = self
            .claims
            .iter()
            .map(|(name, value)| {
                let mut rendered = Vec::new();
                write_claim(&mut rendered, name, value);
                (name.to_owned(), encoded_size(rendered.len()))
            })
            .collect();
        let mut system = Vec::new();
        self.write_system_claims(&mut system, expires_on);
        sizes.push(("user_id and other options".to_owned(), encoded_size(system.len())));
        token_too_long(
            format!("The token would have {length} characters, and the service accepts {TOKEN_MAX}."),
            "less in claims=",
            sizes,
        )
    }
}

/// How many characters of a claim's name an error shows. Long names are URIs, whose beginnings tell them apart.
const NAME_SHOWN: usize = 64;

/// The error for a token that is too long. `sizes` are the parts of it by name, with their characters in the token.
pub fn token_too_long(message: String, remedy: &str, mut sizes: Vec<(String, usize)>) -> Error {
    sizes.sort_by_key(|&(_, size)| std::cmp::Reverse(size));
    let largest: Vec<String> =
        sizes.iter().take(LARGEST_NAMED).map(|(name, size)| format!("{} ({size})", shown(name))).collect();
    let hint = format!("Pass {remedy}; the largest, with their characters in the token, are: {}.", largest.join(", "));
    Error::new(Code::TokenTooLong, message, hint)
}

/// A name as errors show it.
fn shown(name: &str) -> Cow<'_, str> {
    match name.char_indices().nth(NAME_SHOWN) {
        Some((end, _)) => format!("{}...", &name[..end]).into(),
        None => name.into(),
    }
}

/// A signed token and what is known of it.
pub struct Signed {
    /// The token. It is a secret until it expires.
    pub token: String,
    /// The name of the key that signed, if it has one.
    pub kid: Option<Arc<str>>,
    /// When the token expires, in seconds since 1970.
    pub expires_on: u64,
    /// Whether the token comes near the length that the service accepts.
    pub is_large: bool,
}

fn write_registered_claims(payload: &mut Payload<'_>, now: Now, expires_on: u64) {
    let issued_at = now.unix_seconds();
    for (member, time) in [(",\"nbf\":", issued_at), (",\"exp\":", expires_on), (",\"iat\":", issued_at)] {
        payload.bytes.extend_from_slice(member.as_bytes());
        // Writing a number into memory cannot fail. serde_json's way is several times as fast as the formatting machinery.
        let _ = serde_json::to_writer(&mut payload.bytes, &time);
    }
}

fn write_claim(payload: &mut Vec<u8>, name: &str, value: &Value) {
    payload.push(b',');
    // A text and a JSON value always have a JSON form, and writing into memory cannot fail.
    let _ = serde_json::to_writer(&mut *payload, name);
    payload.push(b':');
    let _ = serde_json::to_writer(payload, value);
}

/// Writes a claim whose name needs no escaping.
pub fn write_text_claim(payload: &mut Vec<u8>, name: &str, text: &str) {
    payload.extend_from_slice(b",\"");
    payload.extend_from_slice(name.as_bytes());
    payload.extend_from_slice(b"\":");
    let _ = serde_json::to_writer(payload, text);
}

/// How many characters of the token so many bytes of the payload take.
pub fn encoded_size(bytes: usize) -> usize {
    (bytes * 4).div_ceil(3)
}
