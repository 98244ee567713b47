//! The service and the identity endpoint, as they are: what they issued, and what they still accept.
//!
//! There are two of them in each run, one that the client speaks to and one for the model, so that neither can be
//! influenced by what the other asks for.

use std::sync::Arc;
use std::time::Duration;

use crate::script::{Delay, KeyTurn, Script, TokenTurn};

/// How long the service accepts what a temporary key has signed.
const KEY_LIFE: Duration = Duration::from_secs(90 * 60);

/// A key by its position in the order of issue; `k7` is its name.
pub type KeyId = usize;

/// A token by its position in the order of issue.
pub type TokenId = usize;

/// What comes back from the identity endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenAnswer {
    /// A token with its life in seconds, and whether it names the time of its renewal.
    Token(TokenId, u64, bool),
    Expired,
    Throttled(u64),
    Failed,
}

/// What comes back from the key endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyAnswer {
    Key(KeyId),
    Status(u16, Option<u64>),
    Garbage,
    Disconnected,
}

struct Key {
    issued: Duration,
    is_revoked: bool,
}

struct Token {
    issued: Duration,
    life: Duration,
}

pub struct Azure {
    script: Arc<Script>,
    keys: Vec<Key>,
    tokens: Vec<Token>,
    /// Tokens issued up to then are not accepted.
    tokens_revoked: Option<Duration>,
    /// The key that the client holds, told by whoever runs the client.
    pub in_hand: Option<KeyId>,
    pub token_requests: u64,
    pub key_requests: u64,
}

impl Azure {
    pub fn new(script: Arc<Script>) -> Self {
        Self {
            script,
            keys: Vec::new(),
            tokens: Vec::new(),
            tokens_revoked: None,
            in_hand: None,
            token_requests: 0,
            key_requests: 0,
        }
    }

    pub fn ask_token(&mut self, at: Duration) -> (Delay, TokenAnswer) {
        self.token_requests += 1;
        let (delay, turn) = self.script.token_turn(at);
        let answer = match turn {
            TokenTurn::Issue(life, names_renewal) => {
                self.tokens.push(Token { issued: at, life: Duration::from_secs(life) });
                TokenAnswer::Token(self.tokens.len() - 1, life, names_renewal)
            }
            TokenTurn::Expired => TokenAnswer::Expired,
            TokenTurn::Throttle(seconds) => TokenAnswer::Throttled(seconds),
            TokenTurn::Fail => TokenAnswer::Failed,
        };
        (delay, answer)
    }

    pub fn ask_key(&mut self, at: Duration, token: TokenId) -> (Delay, KeyAnswer) {
        self.key_requests += 1;
        let (delay, turn) = self.script.key_turn(at);
        let Token { issued, life } = &self.tokens[token];
        let is_accepted = at < *issued + *life && self.tokens_revoked.is_none_or(|revoked| *issued > revoked);
        let answer = match turn {
            // A service that is there refuses a dead token whatever else it would have done.
            KeyTurn::Issue | KeyTurn::Repeat if !is_accepted => KeyAnswer::Status(401, None),
            KeyTurn::Repeat => match self.in_hand.filter(|&key| self.verdict(key, at).is_ok()) {
                Some(key) => KeyAnswer::Key(key),
                None => self.issue(at),
            },
            KeyTurn::Issue => self.issue(at),
            KeyTurn::Status(status, retry_after) => KeyAnswer::Status(status, retry_after),
            KeyTurn::Garbage => KeyAnswer::Garbage,
            KeyTurn::Disconnect => KeyAnswer::Disconnected,
        };
        (delay, answer)
    }

    fn issue(&mut self, at: Duration) -> KeyAnswer {
        self.keys.push(Key { issued: at, is_revoked: false });
        KeyAnswer::Key(self.keys.len() - 1)
    }

    pub fn revoke_key(&mut self, key: KeyId) {
        self.keys[key].is_revoked = true;
    }

    pub fn revoke_tokens(&mut self, at: Duration) {
        self.tokens_revoked = Some(at);
    }

    /// When a key was issued.
    pub fn issued(&self, key: KeyId) -> Duration {
        self.keys[key].issued
    }

    /// What the service says of a token that this key has signed.
    pub fn verdict(&self, key: KeyId, at: Duration) -> Result<(), Refusal> {
        let &Key { issued, is_revoked } = &self.keys[key];
        if is_revoked {
            return Err(Refusal::Revoked);
        }
        if at >= issued + KEY_LIFE { Err(Refusal::Expired) } else { Ok(()) }
    }
}

/// Why the service does not accept a client token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    Revoked,
    Expired,
}

pub fn kid(key: KeyId) -> String {
    format!("k{key}")
}

pub fn key_text(key: KeyId) -> String {
    format!("text of key {key}")
}

pub fn key_of(kid: &str) -> KeyId {
    kid.strip_prefix('k').and_then(|number| number.parse().ok()).expect("a kid of the simulation")
}
