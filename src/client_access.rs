//! What a client of Azure Web PubSub may do, and the token that says it ("Client protocols" and the data-plane
//! specification of Microsoft's documentation).

use std::time::Duration;

use serde_json::{Map, Value};

use crate::clock::Now;
use crate::error::{Code, Error, Result};
use crate::jwt::Template;
use crate::negotiate::{Identity, Signed, TOKEN_LARGE, TOKEN_MAX, encoded_size, token_too_long, write_text_claim};

/// The shortest lifetime: what the service's own operation accepts (`minutesToExpire` is at least 1).
const LIFETIME_MIN: Duration = Duration::from_secs(60);

/// The longest lifetime that can be written as a duration. Minutes that somebody counted may be more.
const LIFETIME_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// The most minutes: those that `minutesToExpire`, a signed number of 32 bits, can say.
const MINUTES_MAX: u32 = i32::MAX.unsigned_abs();

/// The longest name of a group, in UTF-16 units, which is what .NET counts.
const GROUP_MAX: usize = 1024;

/// Headers that would change what is signed or what a reader must understand of it (RFC 7515, RFC 7797).
const FIXED_HEADERS: [&str; 3] = ["alg", "b64", "crit"];

/// Headers that are texts (RFC 7515 sections 4.1.4 and 4.1.9).
const TEXT_HEADERS: [&str; 2] = ["kid", "typ"];

/// How a client speaks to the service, which decides where it connects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientProtocol {
    /// WebSocket with the service's own subprotocols or none.
    #[default]
    Default,
    /// MQTT over WebSocket.
    Mqtt,
    /// Socket.IO.
    SocketIo,
}

impl ClientProtocol {
    /// Every protocol.
    pub const ALL: [Self; 3] = [Self::Default, Self::Mqtt, Self::SocketIo];

    /// The protocol of this name, whose case does not matter.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|protocol| protocol.as_str().eq_ignore_ascii_case(name))
    }

    /// Its name, as Microsoft's SDK spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Default => "Default",
            Self::Mqtt => "MQTT",
            Self::SocketIo => "SocketIO",
        }
    }

    /// What stands before the hub's name in the URL that its clients connect to.
    pub fn path(self) -> &'static str {
        match self {
            Self::Default => "/client/hubs/",
            Self::Mqtt => "/clients/mqtt/hubs/",
            Self::SocketIo => "/clients/socketio/hubs/",
        }
    }
}

/// The error for a kind of client that does not exist.
pub fn invalid_client_protocol() -> Error {
    Error::new(
        Code::InvalidClientProtocol,
        "The client protocol is not one of those that exist.",
        "Pass client_protocol=\"Default\", \"MQTT\" or \"SocketIO\", or leave it out.",
    )
}

/// How long a token may be used to connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime(Duration);

impl Lifetime {
    /// A lifetime in whole minutes.
    pub fn from_minutes(minutes: u32) -> Option<Self> {
        (1..=MINUTES_MAX).contains(&minutes).then(|| Self(Duration::from_secs(u64::from(minutes) * 60)))
    }

    /// A lifetime from a minute to a day.
    pub fn from_duration(duration: Duration) -> Option<Self> {
        (LIFETIME_MIN..=LIFETIME_MAX).contains(&duration).then_some(Self(duration))
    }

    /// The whole minutes in it.
    pub fn minutes(self) -> u64 {
        self.0.as_secs() / 60
    }

    /// When a token made now expires, in seconds since 1970.
    pub fn ends(self, now: Now) -> u64 {
        now.plus(self.0).unwrap_or(u64::MAX)
    }
}

impl Default for Lifetime {
    /// An hour, as in Microsoft's SDK.
    fn default() -> Self {
        Self(Duration::from_secs(60 * 60))
    }
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientAccess {
    user_id: Option<String>,
    roles: Vec<String>,
    groups: Vec<String>,
    lifetime: Lifetime,
    protocol: ClientProtocol,
}

impl ClientAccess {
    /// Access for a user, or for nobody in particular.
    pub fn new(
        identity: Identity<'_>,
        roles: Vec<String>,
        groups: Vec<String>,
        lifetime: Lifetime,
        protocol: ClientProtocol,
    ) -> Result<Self> {
        let cannot_be_read = |text: &String| text.trim().is_empty() || text.chars().any(char::is_control);
        if roles.iter().any(cannot_be_read) {
            return Err(invalid_roles("A role is empty, blank, or has control characters."));
        }
        if groups.iter().any(|group| group.trim().is_empty() || group.encode_utf16().count() > GROUP_MAX) {
            return Err(invalid_groups("A group has a blank name, or one of more than 1024 characters."));
        }
        let user_id = match identity {
            Identity::User(user_id) => Some(user_id.to_owned()),
            Identity::Anonymous => None,
        };
        Ok(Self { user_id, roles, groups, lifetime, protocol })
    }

    /// The least that can be asked for.
    pub fn least() -> Self {
        let lifetime = Lifetime(LIFETIME_MIN);
        Self { user_id: None, roles: Vec::new(), groups: Vec::new(), lifetime, protocol: ClientProtocol::Default }
    }

    /// Who connects.
    pub fn user_id(&self) -> Option<&str> {
        self.user_id.as_deref()
    }

    /// What the client may do.
    pub fn roles(&self) -> &[String] {
        &self.roles
    }

    /// The groups that the client is in from the start.
    pub fn groups(&self) -> &[String] {
        &self.groups
    }

    /// How long the token may be used to connect.
    pub fn lifetime(&self) -> Lifetime {
        self.lifetime
    }

    /// How the client speaks.
    pub fn protocol(&self) -> ClientProtocol {
        self.protocol
    }

    /// Renders and signs the token. The names and the order of the claims are those of Microsoft's SDK; what is empty is
    /// left out.
    pub fn sign(&self, template: &Template, now: Now) -> Result<Signed> {
        let (issued_at, expires_on) = (now.unix_seconds(), self.lifetime.ends(now));
        let mut payload = template.payload();
        payload.bytes.extend_from_slice(format!(",\"iat\":{issued_at},\"exp\":{expires_on}").as_bytes());
        if let Some(user_id) = &self.user_id {
            write_text_claim(&mut payload.bytes, "sub", user_id);
        }
        for (name, values) in [("role", &self.roles), ("webpubsub.group", &self.groups)] {
            write_list_claim(&mut payload.bytes, name, values);
        }
        let length = payload.token_length();
        if length > TOKEN_MAX {
            return Err(self.too_long(format!(
                "The token would have {length} characters, and browsers and proxies stop at {TOKEN_MAX}."
            )));
        }
        Ok(Signed { token: payload.sign(), kid: None, expires_on, is_large: length > TOKEN_LARGE })
    }

    /// Names what makes the token long. The values stay out of it.
    pub fn too_long(&self, message: String) -> Error {
        let size_of = |values: &[String]| {
            let mut rendered = Vec::new();
            write_list_claim(&mut rendered, "", values);
            encoded_size(rendered.len())
        };
        let sizes = vec![
            (format!("groups, {} of them", self.groups.len()), size_of(&self.groups)),
            (format!("roles, {} of them", self.roles.len()), size_of(&self.roles)),
            ("user_id".to_owned(), encoded_size(self.user_id.as_deref().unwrap_or_default().len())),
        ];
        token_too_long(message, "fewer roles= and groups=, or a role with a pattern", sizes)
    }
}

/// The error for roles that cannot be given.
pub fn invalid_roles(message: &str) -> Error {
    Error::new(
        Code::InvalidRole,
        message,
        "Pass roles=[\"webpubsub.joinLeaveGroup.<group>\", \"webpubsub.sendToGroup.<group>\"] or some of these, as a list of texts.",
    )
}

/// The error for groups that no client can be in.
pub fn invalid_groups(message: &str) -> Error {
    Error::new(
        Code::InvalidGroup,
        message,
        "Pass groups=[\"<group>\", ...] as a list of texts with 1 to 1024 characters each.",
    )
}

/// Refuses headers that would make the token another kind of token, or one that no reader accepts.
pub fn check_jwt_headers(headers: &Map<String, Value>) -> Result<()> {
    let refused = |name: &str, why: &str| {
        Err(Error::new(
            Code::InvalidJwtHeader,
            format!("The header {name} of a token {why}."),
            "Pass jwt_headers={\"kid\": \"<name of the key>\"} or leave it out; tokens are always signed by HS256.",
        ))
    };
    if let Some(name) = FIXED_HEADERS.into_iter().find(|name| headers.contains_key(*name)) {
        return refused(name, "cannot be set");
    }
    let is_text = |name: &&str| headers.get(*name).is_none_or(Value::is_string);
    match TEXT_HEADERS.into_iter().find(|name| !is_text(name)) {
        None => Ok(()),
        Some(name) => refused(name, "has to be a text"),
    }
}

fn write_list_claim(payload: &mut Vec<u8>, name: &str, values: &[String]) {
    if values.is_empty() {
        return;
    }
    payload.extend_from_slice(format!(",\"{name}\":").as_bytes());
    // Texts always have a JSON form, and writing into memory cannot fail.
    let _ = serde_json::to_writer(payload, values);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::SigningKey;
    use base64_simd::URL_SAFE_NO_PAD;
    use serde_json::json;
    use std::sync::Arc;

    fn access(roles: &[&str], groups: &[&str]) -> Result<ClientAccess> {
        let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        ClientAccess::new(
            Identity::Anonymous,
            texts(roles),
            texts(groups),
            Lifetime::default(),
            ClientProtocol::Default,
        )
    }

    fn signed(access: &ClientAccess) -> Result<(Value, Value)> {
        let template = Template::without_issuer(Arc::new(SigningKey::new("key", None)), "https://a/x", &Map::new());
        let signed = access.sign(&template, Now::at(Duration::from_secs(7), Duration::ZERO))?;
        let part = |index: usize| {
            let encoded = signed.token.split('.').nth(index).unwrap();
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode_to_vec(encoded).unwrap()).unwrap()
        };
        Ok((part(0), part(1)))
    }

    #[test]
    fn a_token_says_what_was_asked_for_and_nothing_else() {
        let bare = (json!({"alg": "HS256", "typ": "JWT"}), json!({"aud": "https://a/x", "iat": 7, "exp": 3607}));
        assert_eq!(signed(&access(&[], &[]).unwrap()).unwrap(), bare);
        let (_, claims) = signed(&access(&["b", "a", "b"], &["g"]).unwrap()).unwrap();
        assert_eq!((&claims["role"], &claims["webpubsub.group"]), (&json!(["b", "a", "b"]), &json!(["g"])));
    }

    #[test]
    fn what_no_client_can_have_is_refused() {
        for role in ["", "  ", "a\nb"] {
            assert_eq!(access(&[role], &[]).unwrap_err().code(), Code::InvalidRole, "{role:?}");
        }
        let longest = "\u{1F600}".repeat(512);
        assert!(access(&[], &[&longest]).is_ok());
        for group in ["", " ", &format!("{longest}a")] {
            assert_eq!(access(&[], &[group]).unwrap_err().code(), Code::InvalidGroup, "{group:?}");
        }
    }

    #[test]
    fn lifetimes_have_bounds() {
        assert_eq!(Lifetime::from_minutes(0), None);
        assert_eq!(Lifetime::from_minutes(MINUTES_MAX + 1), None);
        assert_eq!(Lifetime::from_minutes(90).map(Lifetime::minutes), Some(90));
        for (seconds, minutes) in [(59, None), (60, Some(1)), (119, Some(1)), (86400, Some(1440)), (86401, None)] {
            assert_eq!(Lifetime::from_duration(Duration::from_secs(seconds)).map(Lifetime::minutes), minutes);
        }
    }

    #[test]
    fn a_token_that_is_too_long_names_what_is_largest() {
        let groups: Vec<String> = (0..70).map(|number| format!("{number:050}")).collect();
        let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
        let error = signed(&access(&["role"], &groups).unwrap()).unwrap_err();
        assert_eq!(error.code(), Code::TokenTooLong);
        assert!(error.hint().contains("are: groups, 70 of them ("), "{}", error.hint());
    }

    #[test]
    fn headers_cannot_change_how_a_token_is_signed() {
        let check = |headers: Value| check_jwt_headers(headers.as_object().unwrap()).map_err(|error| error.code());
        assert_eq!(check(json!({"kid": "1", "typ": "at+jwt", "x": [1]})), Ok(()));
        for headers in [
            json!({"alg": "none"}),
            json!({"b64": false}),
            json!({"crit": []}),
            json!({"kid": 1}),
            json!({"typ": null}),
        ] {
            assert_eq!(check(headers.clone()), Err(Code::InvalidJwtHeader), "{headers}");
        }
    }
}
