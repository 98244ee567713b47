//! What Entra's error codes ask for ("Microsoft Entra authentication and authorization error codes" of Microsoft's
//! documentation).

use serde::Deserialize;

use crate::endpoint::Service;
use crate::rest::answer::object;

/// What Entra says of a refusal, without its prose, which may quote what was sent.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Refusal {
    /// The number after `AADSTS`.
    pub code: Option<String>,
    /// The request in Entra's logs.
    pub trace_id: Option<String>,
    /// The same.
    pub correlation_id: Option<String>,
}

impl Refusal {
    /// Reads the body of an answer.
    pub fn read(body: &[u8]) -> Self {
        #[derive(Deserialize)]
        struct Body {
            #[serde(default)]
            trace_id: Option<String>,
            #[serde(default)]
            correlation_id: Option<String>,
        }
        let text = String::from_utf8_lossy(body);
        let code = text
            .find("AADSTS")
            .map(|at| text[at + 6..].chars().take_while(char::is_ascii_digit).take(12).collect::<String>());
        let ids: Option<Body> = object(body);
        let (trace_id, correlation_id) = ids.map(|ids| (ids.trace_id, ids.correlation_id)).unwrap_or_default();
        Self {
            code: code.filter(|code| !code.is_empty()),
            trace_id: trace_id.filter(|id| is_guid(id)),
            correlation_id: correlation_id.filter(|id| is_guid(id)),
        }
    }

    /// What the refusal adds to a message: the code in the text, and the ids by which Entra's logs know the request.
    pub fn describe(&self) -> (String, String) {
        let code = self.code.as_ref().map(|code| format!(" with AADSTS{code}")).unwrap_or_default();
        let ids = [("trace id", &self.trace_id), ("correlation id", &self.correlation_id)];
        let ids = ids.iter().filter_map(|(name, id)| Some(format!("; {name} {}", id.as_ref()?))).collect();
        (code, ids)
    }

    /// What to change, for the commonest codes.
    pub fn hint(&self) -> Option<String> {
        let [signalr, web_pubsub] = [Service::SignalR, Service::WebPubSub].map(Service::scope);
        let hint = match self.code.as_deref()? {
            "7000215" | "7000222" => {
                "Make a new secret and put it into client_secret= (ClientSecret=, AZURE_CLIENT_SECRET): az ad app credential reset --id <client id>"
            }
            "7000218" => "Pass client_secret= or a certificate: the application proved itself with neither.",
            "70011" | "900144" | "500011" | "1002012" => {
                return Some(format!(
                    "Check scope=: in the public clouds it is {signalr}, or {web_pubsub} for Web PubSub; it ends with /.default."
                ));
            }
            "700016" => {
                "Check ClientId= (client_id=, AZURE_CLIENT_ID), and that the application is in the tenant of TenantId=: az ad app show --id <client id>"
            }
            "90002" | "900023" | "900021" => {
                "Check TenantId= (tenant_id=, AZURE_TENANT_ID), and that authority= is that of its cloud: az account show --query tenantId"
            }
            "900382" | "90038" => "Set authority= (AZURE_AUTHORITY_HOST) to the authority of the tenant's own cloud.",
            "700027" | "700023" => {
                "Upload the certificate that signs to the application: az ad app credential reset --id <client id> --cert @certificate.pem --append"
            }
            "700024" => {
                "Set this machine's clock (timedatectl set-ntp true), or renew the assertion: it is not valid at this time."
            }
            "50027" | "5002738" => {
                "Check that the assertion is a JSON Web Token whose aud is the token endpoint, or api://AzureADTokenExchange."
            }
            "70021" | "700213" | "700211" | "700212" => {
                "Let issuer, subject and audience of the federated credential be those of the token: az ad app federated-credential list --id <client id>"
            }
            "70025" => {
                "Add a federated credential to the application: az ad app federated-credential create --id <client id>"
            }
            "7000112" => "Enable the application: az ad sp update --id <client id> --set accountEnabled=true",
            "7000229" => {
                "Make a service principal for the application in this tenant: az ad sp create --id <client id>"
            }
            "65001" | "501051" | "50105" => {
                "Let an administrator grant the application access: az ad app permission admin-consent --id <client id>"
            }
            "53003" | "530003" | "53000" => {
                "Ask who administers the tenant's Conditional Access policies to let this identity in from here."
            }
            "50034" | "50020" => "Check the account and the tenant: az account show",
            "50076" | "50079" | "50078" => {
                "Sign in again, with multi-factor authentication: az login --tenant <tenant id>"
            }
            "700082" | "70008" | "70043" | "50173" => "Sign in again, because the login has expired: az login",
            "90013" | "90033" | "90006" => "Nothing needs to be done; it is tried again.",
            "50196" | "90055" => "Ask for fewer tokens: make one client or credential for each process, and keep it.",
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

/// Whether a text is an id as Entra writes them: hexadecimal digits in five groups.
fn is_guid(text: &str) -> bool {
    const GROUPS: [usize; 5] = [8, 4, 4, 4, 12];
    let groups: Vec<&str> = text.split('-').collect();
    groups.len() == GROUPS.len()
        && groups
            .iter()
            .zip(GROUPS)
            .all(|(group, length)| group.len() == length && group.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "0b7d6f0e-4a51-4a8e-9d3b-5f3a5c1d2e00";

    #[test]
    fn the_code_and_the_ids_are_read_and_no_prose() {
        let body = format!(
            r#"{{"error":"invalid_client","error_description":"AADSTS7000215: canary","trace_id":"{TRACE}","correlation_id":"canary"}}"#
        );
        let refusal = Refusal::read(body.as_bytes());
        assert_eq!(refusal.code.as_deref(), Some("7000215"));
        assert_eq!(refusal.describe(), (" with AADSTS7000215".to_owned(), format!("; trace id {TRACE}")));
        assert!(refusal.hint().unwrap().contains("az ad app credential reset"));
        assert_eq!(Refusal::read(b"<html>AADSTS"), Refusal::default());
        assert_eq!(Refusal::read(b"AADSTS1: x").hint(), None);
    }
}
