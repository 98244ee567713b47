//! What an answer of the service means: nothing more to do, or an error that says which of key, role, network, address
//! or clock is wrong.

use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::error::{Code, Error, Result};
use crate::keys::TemporaryKey;
use crate::rest::{ACCESS_KEY, Answer, Operation, Proof};
use crate::secret::Secret;

/// The longest `Retry-After` that is believed; a larger one is more often a mistake than a plan.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(300);

/// Checks the answer to an operation that needs nothing but success.
pub fn expect_success(operation: &Operation, proof: &Proof, answer: &Answer) -> Result<()> {
    if answer.status == operation.success {
        return Ok(());
    }
    Err(refusal(operation, proof, answer).with_status(answer.status).with_retry_after(retry_after(answer)))
}

/// Reads a temporary key: a JSON object with `KeyId` and `AccessKey`, named just so and not empty
/// (`MicrosoftEntraAccessKey` in Azure/azure-signalr).
pub fn temporary_key(proof: &Proof, answer: &Answer) -> Result<TemporaryKey> {
    #[derive(Deserialize)]
    struct Body {
        #[serde(rename = "KeyId")]
        key_id: String,
        #[serde(rename = "AccessKey")]
        access_key: Secret,
    }
    const NAME_MAX: usize = 256;
    const KEY_MAX: usize = 4096;
    expect_success(&ACCESS_KEY, proof, answer)?;
    let body: Body = object(&answer.body).ok_or_else(|| {
        unexpected(format!("{} was answered with something that is not a key.", ACCESS_KEY.name))
            .with_status(answer.status)
    })?;
    let is_a_name = |name: &str| !name.is_empty() && name.len() <= NAME_MAX && !name.chars().any(char::is_control);
    if !is_a_name(&body.key_id) || body.access_key.expose().is_empty() || body.access_key.expose().len() > KEY_MAX {
        let message = format!("{} was answered with a key that cannot be one.", ACCESS_KEY.name);
        return Err(unexpected(message).with_status(answer.status));
    }
    Ok(TemporaryKey::new(body.key_id, body.access_key))
}

fn refusal(operation: &Operation, proof: &Proof, answer: &Answer) -> Error {
    let name = operation.name;
    match answer.status {
        // A page of a portal or of the application itself says 200 to anything.
        100..=299 => unexpected(format!("{name} was answered with status {}.", answer.status)),
        300..=399 => Error::new(
            Code::RedirectRefused,
            format!("{name} was answered with a redirect, which would carry the token to another place."),
            "Set the endpoint (or server_endpoint=) to the final address of the service.",
        ),
        401 => unauthorized(name, proof, answer),
        403 if is_network_refusal(&answer.body) => Error::new(
            Code::NetworkBlocked,
            format!("{name} was refused by the network access rules of the service."),
            "Allow \"Server connection\" and \"REST API\" for this network: az signalr network-rule update --public-network --allow ServerConnection RESTAPI -n <resource> -g <group>",
        ),
        403 => permission_missing(operation, proof),
        404 => Error::new(
            Code::NotFound,
            format!("{name} found no such resource at the endpoint."),
            "Check Endpoint in the connection string: az signalr show -n <resource> -g <group> --query hostName",
        ),
        413 => Error::new(
            Code::RequestRefused,
            format!("{name} was refused: the request is too large."),
            "Pass smaller arguments to send_to_all(), or a URL from which clients fetch the rest.",
        ),
        429 => Error::new(
            Code::Throttled,
            format!("{name} was refused: the service asks for fewer calls."),
            "Wait for retry_after seconds, or add units: az signalr update --unit-count <n> -n <resource> -g <group>",
        ),
        400..=499 => Error::new(
            Code::RequestRefused,
            format!("{name} was refused with status {}{}.", answer.status, error_code(answer)),
            "Check the arguments of the call; the status says what the service found wrong.",
        ),
        status => Error::new(
            Code::ServiceUnavailable,
            format!("{name} failed: the service answered with status {status}."),
            "Try again later; https://azure.status.microsoft tells whether others are affected.",
        ),
    }
}

/// Azure's built-in roles and their data actions: "Azure built-in roles for Web and Mobile" of Microsoft's documentation.
fn permission_missing(operation: &Operation, proof: &Proof) -> Error {
    let Operation { name, roles: [least, all], action, .. } = operation;
    let identity = match proof {
        Proof::AccessKey => None,
        Proof::Entra { object_id } => object_id.as_deref(),
    };
    let who = identity.map_or_else(|| "the identity".to_owned(), |id| format!("the identity with object id {id}"));
    let assignee = identity.unwrap_or("<object id>");
    Error::new(
        Code::PermissionMissing,
        format!("{name} was refused: {who} lacks the action {action}."),
        format!(
            "Assign the role \"{least}\" or \"{all}\": az role assignment create --role \"{least}\" --assignee {assignee} --scope <resource id>. A new assignment can take up to 30 minutes to act."
        ),
    )
}

/// The error for an answer that the service would not give.
pub fn unexpected(message: String) -> Error {
    Error::new(
        Code::UnexpectedResponse,
        message,
        "Check that Endpoint (or server_endpoint=) is the address of the service: az signalr show -n <resource> -g <group> --query hostName",
    )
}

/// The service says in `WWW-Authenticate` what it found wrong with a token.
fn unauthorized(operation: &str, proof: &Proof, answer: &Answer) -> Error {
    let reason = answer.www_authenticate.as_deref().unwrap_or_default().to_ascii_lowercase();
    let (finding, hint) = if matches!(proof, Proof::Entra { .. }) {
        (
            "the service does not accept the Entra token",
            "Check that the credential belongs to the tenant of the resource (az account show --query tenantId), and that scope= is https://signalr.azure.com/.default.",
        )
    } else if reason.contains("signature") {
        (
            "the access key is not one of the resource's keys",
            "Take a current AccessKey: az signalr key list -n <resource> -g <group>. If access keys are disabled (az signalr show --query disableLocalAuth), pass a credential of azure.identity.",
        )
    } else if reason.contains("audience") {
        (
            "the token is made for another address",
            "Check that Endpoint is the service's own address; a proxy's goes into ServerEndpoint=.",
        )
    } else if reason.contains("expired") || reason.contains("lifetime") || reason.contains("not yet valid") {
        ("this machine's clock differs from the service's", "Set the clock: timedatectl set-ntp true")
    } else {
        (
            "the service does not accept the token",
            "Check AccessKey, and that access keys are not disabled: az signalr show -n <resource> -g <group> --query disableLocalAuth",
        )
    };
    Error::new(Code::Unauthorized, format!("{operation} was refused: {finding}."), hint)
}

/// The network access rules are enforced by a gateway before the service, which answers with a page of its own.
fn is_network_refusal(body: &[u8]) -> bool {
    let body = String::from_utf8_lossy(body).to_ascii_lowercase();
    ["nginx", "public network", "network acl", "ip address", "private endpoint"].iter().any(|sign| body.contains(sign))
}

/// The service's own code for the error, if it is nothing but a code.
fn error_code(answer: &Answer) -> String {
    match &answer.error_code {
        Some(code) if code.len() <= 64 && code.chars().all(|c| c.is_ascii_alphanumeric() || c == '.') => {
            format!(" ({code})")
        }
        _ => String::new(),
    }
}

/// `Retry-After` in seconds (RFC 9110 section 10.2.3), within reason. The form with a date is not used by the service.
pub fn retry_after(answer: &Answer) -> Option<Duration> {
    let text = answer.retry_after.as_deref()?.trim();
    // Digits that are no number of ours are a time that is too long to be believed.
    is_digits(text).then(|| Duration::from_secs(text.parse().unwrap_or(u64::MAX)).min(RETRY_AFTER_MAX))
}

/// Whether a text is digits and nothing else; Rust's own parsing of numbers takes a sign too.
pub fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Reads a JSON object, in UTF-8 throughout (RFC 8259 section 8.1; serde does not look at members that nobody asks for).
/// The error of the parser is left out, because it would quote what was read. An array is refused, because serde would take
/// its items for the members in order.
pub fn object<T: DeserializeOwned>(json: &[u8]) -> Option<T> {
    let text = std::str::from_utf8(json).ok()?;
    text.trim_ascii_start().starts_with('{').then(|| serde_json::from_str(text).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rest::SEND_TO_ALL;

    fn error(answer: Answer) -> Error {
        expect_success(&SEND_TO_ALL, &Proof::AccessKey, &answer).unwrap_err()
    }

    fn with_body(status: u16, body: &str) -> Answer {
        Answer { status, body: body.as_bytes().to_vec().into(), ..Answer::default() }
    }

    #[test]
    fn every_status_has_its_code() {
        for (status, code) in [
            (101, Code::UnexpectedResponse),
            (200, Code::UnexpectedResponse),
            (302, Code::RedirectRefused),
            (400, Code::RequestRefused),
            (401, Code::Unauthorized),
            (403, Code::PermissionMissing),
            (404, Code::NotFound),
            (413, Code::RequestRefused),
            (415, Code::RequestRefused),
            (429, Code::Throttled),
            (500, Code::ServiceUnavailable),
            (503, Code::ServiceUnavailable),
        ] {
            let error = error(with_body(status, ""));
            assert_eq!((error.code(), error.status()), (code, Some(status)));
        }
        assert!(expect_success(&SEND_TO_ALL, &Proof::AccessKey, &with_body(202, "")).is_ok());
    }

    #[test]
    fn a_network_rule_is_told_from_a_missing_role() {
        assert_eq!(error(with_body(403, "<center>nginx</center>")).code(), Code::NetworkBlocked);
        assert_eq!(error(with_body(403, "{}")).code(), Code::PermissionMissing);
    }

    #[test]
    fn the_reason_of_the_service_decides_the_hint() {
        for (reason, hint) in [
            ("The signature key was not found", "az signalr key list"),
            ("The audience is invalid", "ServerEndpoint="),
            ("The token is expired", "timedatectl set-ntp true"),
            ("", "disableLocalAuth"),
        ] {
            let www_authenticate = Some(format!(r#"Bearer error="invalid_token", error_description="{reason}""#));
            let error = error(Answer { status: 401, www_authenticate, ..Answer::default() });
            assert!(error.hint().contains(hint), "{reason}: {}", error.hint());
        }
    }

    #[test]
    fn retry_after_is_bounded() {
        let wait = |text: &str| {
            error(Answer { status: 429, retry_after: Some(text.to_owned()), ..Answer::default() }).retry_after()
        };
        assert_eq!(wait("7"), Some(Duration::from_secs(7)));
        assert_eq!(wait("99999"), Some(RETRY_AFTER_MAX));
        assert_eq!(wait("99999999999999999999999"), Some(RETRY_AFTER_MAX));
        for text in ["soon", "", "+7", "-7", "7.5"] {
            assert_eq!(wait(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_missing_role_is_named_with_the_command_that_assigns_it() {
        let proof = Proof::Entra { object_id: Some("11111111-2222".to_owned()) };
        let error = expect_success(&ACCESS_KEY, &proof, &with_body(403, "{}")).unwrap_err();
        assert_eq!(error.code(), Code::PermissionMissing);
        for part in [
            "SignalR App Server",
            "SignalR Service Owner",
            "az role assignment create",
            "--assignee 11111111-2222",
            "30 minutes",
        ] {
            assert!(error.hint().contains(part), "{part}: {}", error.hint());
        }
        assert!(error.message().contains("Microsoft.SignalRService/SignalR/auth/accessKey/action"));
    }

    /// Section D of the golden vectors: what newer official code accepts as a key.
    #[test]
    fn a_key_has_two_members_of_exact_names() {
        let read = |status, body: &str| {
            temporary_key(&Proof::Entra { object_id: None }, &with_body(status, body)).map(|key| key.kid().to_owned())
        };
        assert_eq!(read(200, r#"{"KeyId":"foo","AccessKey":"KEY"}"#).unwrap(), "foo");
        assert_eq!(read(200, r#"{"AccessKey":"KEY","KeyId":"foo","x":1}"#).unwrap(), "foo");
        for body in [
            r#"{"keyId":"foo","accessKey":"KEY"}"#,
            r#"{"KeyId":1,"AccessKey":"KEY"}"#,
            r#"{"KeyId":"","AccessKey":"KEY"}"#,
            r#"{"KeyId":"foo","AccessKey":""}"#,
            r#"{"KeyId":"foo"}"#,
            r#"["foo","KEY"]"#,
            "<html>KEY</html>",
            "",
        ] {
            let error = read(200, body).unwrap_err();
            assert_eq!(error.code(), Code::UnexpectedResponse, "{body}");
            assert!(!format!("{error}").contains("KEY"), "{error}");
        }
        for status in [202, 204] {
            assert_eq!(
                read(status, r#"{"KeyId":"foo","AccessKey":"KEY"}"#).unwrap_err().code(),
                Code::UnexpectedResponse
            );
        }
    }
}
