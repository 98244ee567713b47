//! The answers of token endpoints: Entra's and those of managed identities.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::clock::Now;
use crate::credential::FetchedToken;
use crate::credential::aadsts::Refusal;
use crate::error::{Code, Error, Result};
use crate::rest::Answer;
use crate::rest::answer::{is_digits, object, retry_after};
use crate::secret::Secret;

/// The hint for an answer that no token endpoint gives: another status, or a page for people.
const SOMEBODY_ELSE: &str = "Check authority= (or IDENTITY_ENDPOINT), and that no proxy answers in its place.";

/// A token as an endpoint gives it out (RFC 6749 section 5.1). Managed-identity endpoints write numbers as text, and
/// give the time of expiry itself.
#[derive(Deserialize)]
pub struct TokenAnswer {
    access_token: Secret,
    #[serde(default)]
    expires_in: Value,
    #[serde(default)]
    expires_on: Value,
    #[serde(default)]
    refresh_in: Value,
}

impl TokenAnswer {
    /// Reads an answer; anything but a token is an error.
    pub fn read(answer: &Answer, purpose: &str) -> Result<Self> {
        if answer.status != 200 {
            return Err(Self::refusal(answer, purpose, "the credential"));
        }
        let read: Option<Self> = object(&answer.body);
        read.filter(|read| !read.access_token.expose().is_empty()).ok_or_else(|| {
            Error::new(
                Code::IdentityUnavailable,
                format!("{purpose} was answered with something that is not a token."),
                SOMEBODY_ELSE,
            )
            .with_status(answer.status)
        })
    }

    /// The token with its times. `sent` is when it was asked for, from which a lifetime counts.
    pub fn token(self, sent: Now) -> Result<FetchedToken> {
        let lifetime = number(&self.expires_in);
        let expires_on = number(&self.expires_on).or_else(|| sent.plus(Duration::from_secs(lifetime?)));
        let refresh_on = number(&self.refresh_in).and_then(|seconds| sent.plus(Duration::from_secs(seconds)));
        let expires_on = expires_on.ok_or_else(|| {
            Error::new(
                Code::IdentityUnavailable,
                "The token endpoint did not say when its token expires.",
                "Check authority= (or IDENTITY_ENDPOINT).",
            )
        })?;
        Ok(FetchedToken { token: self.access_token, expires_on, refresh_on })
    }

    /// The error for a refusal. Entra's code (AADSTS...) and ids are repeated; its prose may quote what was sent and is not.
    pub fn refusal(answer: &Answer, purpose: &str, what: &str) -> Error {
        let status = answer.status;
        if (300..=399).contains(&status) {
            return Error::new(
                Code::RedirectRefused,
                format!("{purpose} was answered with a redirect, which would carry the secret to another place."),
                "Check authority= (or IDENTITY_ENDPOINT): it has to be the final address.",
            )
            .with_status(status);
        }
        let refusal = Refusal::read(&answer.body);
        let hint = match refusal.hint() {
            Some(hint) => hint,
            _ if status == 429 || status >= 500 => "Nothing needs to be done; it is tried again.".to_owned(),
            _ if status < 300 || answer.body.trim_ascii_start().starts_with(b"<") => SOMEBODY_ELSE.to_owned(),
            _ => format!("Check {what}, and scope=."),
        };
        let kind = match status {
            429 => Code::Throttled,
            _ => Code::IdentityUnavailable,
        };
        let (reason, ids) = refusal.describe();
        Error::new(kind, format!("{purpose} was refused{reason} (status {status}{ids})."), hint)
            .with_status(status)
            .with_retry_after(retry_after(answer))
    }
}

/// A number, or a text that is one.
fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str().filter(|text| is_digits(text))?.parse().ok())
}
