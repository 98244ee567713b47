//! Entra access tokens: any text, and any payload of a token that is otherwise right.

use hubpass::credential::AccessToken;
use hubpass::rest::answer::expect_success;
use hubpass::rest::{ACCESS_KEY, Answer};
use hubpass::secret::Secret;

use super::canary;
use super::json::{Members, base64url};

/// The object id is what the payload says, if it looks like one; nothing else of a token ever leaves it.
pub fn check(data: &[u8]) {
    if canary::is_known_to(data) {
        return;
    }
    let planted = canary::plant(data);
    if let Ok(text) = String::from_utf8(planted.clone()) {
        check_token(&AccessToken::new(Secret::new(text)));
    }
    let payload = base64url(&planted);
    for padding in ["", "=", "=="] {
        let token = AccessToken::new(Secret::new(format!("{}.{payload}{padding}.signature", base64url(b"{}"))));
        assert_eq!(token.object_id(), object_id_in(&planted));
        check_token(&token);
    }
}

fn check_token(token: &AccessToken) {
    if let Some(id) = token.object_id() {
        assert!(id.len() <= 64 && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'), "{id:?}");
    }
    let refused = Answer { status: 403, ..Answer::default() };
    let error = expect_success(&ACCESS_KEY, &token.proof(), &refused).expect_err("403 is no success");
    canary::check_error(&error);
    assert!(!canary::shows_in(&format!("{token:?} {:?}", token.proof())), "{token:?}");
}

fn object_id_in(payload: &[u8]) -> Option<String> {
    let members = Members::read(payload, &["oid"])?;
    let id = members.only("oid")?.as_str()?;
    let is_id = (1..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    is_id.then(|| id.to_owned())
}
