//! Making clients, and reading their tokens with a library that is not ours.

use std::sync::Arc;
use std::time::Duration;

use hubpass::client::{Credential, Negotiated, SignalRClient, SignalROptions};
use hubpass::clock::{Clock, Now};
use hubpass::connection_string::{Auth, ConnectionString};
use hubpass::credential::Caller;
use hubpass::endpoint::{ApplicationName, Endpoints, Hub};
use hubpass::env::{ProxyVariables, TrustVariables};
use hubpass::keys::SigningKey;
use hubpass::negotiate::Negotiation;
use hubpass::process::ThisProcess;
use hubpass::rest::transport::HttpTransport;
use hubpass::world::World;
use hubpass::{Error, Result};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Map, Value};

/// The time of all tests here: 2026-01-01T00:00:00.75Z. The fraction shows that times are cut and not rounded.
pub fn now() -> Now {
    Now::at(Duration::from_millis(1_767_225_600_750), Duration::from_secs(3600))
}

/// A client that signs with `access_key`.
pub fn client(endpoints: Endpoints, access_key: &str, hub: &str, application: &str) -> Result<SignalRClient> {
    let transport = Arc::new(HttpTransport::new(ProxyVariables::default(), TrustVariables::default(), None));
    let options = SignalROptions {
        endpoints,
        credential: Credential::AccessKey(SigningKey::new(access_key, None)),
        application: ApplicationName::parse(application)?,
        timeout: Duration::from_secs(10),
        world: World::new(Clock::System, Arc::new(ThisProcess), transport, None),
    };
    Ok(SignalRClient::new(options, Hub::parse(hub)?))
}

/// Signs with the key in hand, at the time of all tests here.
pub fn negotiate(client: &SignalRClient, negotiation: &Negotiation<'_>) -> Result<Negotiated> {
    let key = client.key_in_hand(now(), Caller::default)?.expect("an access key is always in hand");
    client.sign(now(), negotiation, &key)
}

/// A client from a connection string with an access key, and that key.
pub fn client_from(text: &str, hub: &str, application: &str) -> Result<(SignalRClient, String)> {
    let parsed = ConnectionString::parse(text)?;
    let Auth::AccessKey(key) = &parsed.auth else { panic!("{text} has no access key") };
    Ok((client(parsed.endpoints(), key.expose(), hub, application)?, key.expose().to_owned()))
}

/// The header and the claims of a token whose signature `jsonwebtoken` has verified.
pub fn verified(token: &str, key: &str) -> (Value, Map<String, Value>) {
    let mut validation = Validation::new(Algorithm::HS256);
    validation.validate_exp = false;
    validation.validate_aud = false;
    let decoded = jsonwebtoken::decode(token, &DecodingKey::from_secret(key.as_bytes()), &validation)
        .expect("a signature that jsonwebtoken accepts");
    (serde_json::to_value(decoded.header).expect("a header"), decoded.claims)
}

/// The code of an error, which is all of it that vectors speak of.
pub fn code(error: &Error) -> Value {
    Value::from(error.code().as_str())
}
