//! Connection strings: any text.

use hubpass::Code;
use hubpass::connection_string::{Auth, ConnectionString};

use super::canary::{self, CANARY};

/// No value of a connection string is repeated in an error, and what was understood is understood again, whatever the
/// order of the parts, the case of their names and the blanks around them.
pub fn check(data: &[u8]) {
    if canary::is_known_to(data) {
        return;
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    match ConnectionString::parse(&canary::plant_text(text)) {
        Ok(parsed) => check_understood(&canary::plant_text(text), &parsed),
        Err(error) => {
            assert!(matches!(error.code(), Code::InvalidConnectionString | Code::ConnectionStringKeyMisspelt));
            canary::check_error(&error);
        }
    }
    for with_secret in [
        format!("{text};AccessKey={CANARY}"),
        format!("AccessKey={CANARY};{text}"),
        format!("{text};ClientSecret={CANARY}"),
        format!("{text};{CANARY}"),
        format!("{CANARY}={text}"),
    ] {
        match ConnectionString::parse(&with_secret) {
            Ok(parsed) => {
                assert!(!canary::shows_in(&format!("{parsed:?}")), "{parsed:?}");
                if let Auth::AccessKey(key) = &parsed.auth
                    && with_secret.contains(&format!("AccessKey={CANARY}"))
                {
                    assert!(key.expose() == CANARY, "another key than the one that was given");
                }
            }
            Err(error) => canary::check_error(&error),
        }
    }
}

fn check_understood(text: &str, parsed: &ConnectionString) {
    assert!(!canary::shows_in(&parsed.warnings.concat()), "{:?}", parsed.warnings);
    check_same(parsed, &text.split(';').rev().collect::<Vec<_>>().join(";"));
    check_same(parsed, &with_names(text, str::to_ascii_uppercase));
    check_same(parsed, &with_names(text, |name| format!("\t {} ", name.to_ascii_lowercase())));
    check_same(parsed, &format!(" ;;{text}; ;"));
    // A host may hold a semicolon (written as %3B), and then it cannot be written without that.
    let rendered = render(parsed);
    if [Some(&parsed.endpoint), parsed.client_endpoint.as_ref(), parsed.server_endpoint.as_ref()]
        .into_iter()
        .flatten()
        .all(|endpoint| !endpoint.as_text().contains(';'))
    {
        check_same(parsed, &rendered);
    }
}

fn check_same(parsed: &ConnectionString, text: &str) {
    let again = ConnectionString::parse(text).unwrap_or_else(|error| panic!("{text:?} is refused: {error}"));
    assert_eq!(again.endpoint, parsed.endpoint, "{text:?}");
    assert_eq!(again.endpoints(), parsed.endpoints(), "{text:?}");
    assert!(again.auth == parsed.auth, "{text:?} gives another credential");
    assert_eq!(again.version, parsed.version, "{text:?}");
}

/// The text with the name of each part changed.
fn with_names(text: &str, change: impl Fn(&str) -> String) -> String {
    let parts = text.split(';').map(|part| match part.split_once('=') {
        Some((name, value)) => format!("{}={value}", change(name)),
        None => part.to_owned(),
    });
    parts.collect::<Vec<_>>().join(";")
}

/// A connection string that says what was understood.
fn render(parsed: &ConnectionString) -> String {
    let mut text = format!("Endpoint={}", parsed.endpoint.as_text());
    let mut add = |name: &str, value: &str| {
        text.push_str(&format!(";{name}={value}"));
    };
    if let Some(endpoint) = &parsed.client_endpoint {
        add("ClientEndpoint", &endpoint.as_text());
    }
    if let Some(endpoint) = &parsed.server_endpoint {
        add("ServerEndpoint", &endpoint.as_text());
    }
    if let Some(version) = &parsed.version {
        add("Version", version);
    }
    match &parsed.auth {
        Auth::AccessKey(key) => add("AccessKey", key.expose()),
        Auth::ClientCertificate { client_id, tenant_id, path } => {
            add("AuthType", "azure.app");
            add("ClientId", client_id);
            add("TenantId", tenant_id);
            add("ClientCertPath", path);
        }
        Auth::ClientSecret { client_id, tenant_id, secret } => {
            add("AuthType", "azure.app");
            add("ClientId", client_id);
            add("TenantId", tenant_id);
            add("ClientSecret", secret.expose());
        }
        Auth::Default => add("AuthType", "azure"),
        Auth::ManagedIdentitySystem => add("AuthType", "azure.msi"),
        Auth::ManagedIdentityUser { client_id } => {
            add("AuthType", "azure.msi");
            add("ClientId", client_id);
        }
    }
    text
}
