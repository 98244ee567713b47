//! The tools of developers: whoever has signed in with one of them is asked through it.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::command::{Failure, Output, Programs};
use crate::credential::aadsts::Refusal;
use crate::credential::application::{Lookup, Tenants};
use crate::credential::flow::Flow;
use crate::credential::{Caller, Fault, FetchedToken, TokenRequest};
use crate::error::{Code, Error, Result};
use crate::rest::answer::{is_digits, object};
use crate::secret::Secret;
use crate::world::Pending;

/// How long a tool may take: azure-identity's default. They are programs in Python and Go that ask the network.
pub const PROCESS_TIMEOUT: Duration = Duration::from_secs(10);

/// The Azure CLI.
pub struct AzureCli {
    programs: Programs,
    tenants: Tenants,
    subscription: Option<String>,
}

impl AzureCli {
    const NAME: &'static str = "AzureCliCredential";

    /// The CLI's current account, or that of a subscription; in its tenant, or in this one.
    pub fn new(
        subscription: Option<String>,
        tenant_id: &str,
        allowed: Vec<String>,
        programs: Programs,
        lookup: Lookup<'_>,
    ) -> Result<Self> {
        let is_subscription = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || "_-. ".contains(c));
        if subscription.as_deref().is_some_and(|text| !is_subscription(text)) {
            return Err(Error::new(
                Code::InvalidArgument,
                "The argument subscription has characters that no id of a subscription has.",
                "Pass subscription= with the id: az account list --query \"[].id\"",
            ));
        }
        let tenants = Tenants::new(tenant_id, allowed, lookup)?;
        Ok(Self { programs, tenants, subscription: subscription.filter(|text| !text.is_empty()) })
    }

    async fn get(&self, request: &TokenRequest) -> Result<FetchedToken> {
        let resource = request.resource()?;
        let tenant_id = self.tenants.of(request)?;
        if let Some(claims) = &request.claims {
            let challenge = base64_simd::STANDARD.encode_to_string(claims.as_bytes());
            return Err(Error::new(
                Code::CredentialUnavailable,
                "The Azure CLI gives no token with further claims.",
                format!(
                    "Sign in with them: az login --claims-challenge {challenge} --scope {}",
                    request.scopes().join(" ")
                ),
            ));
        }
        let mut arguments = vec!["account", "get-access-token", "--output", "json", "--resource", resource];
        if !tenant_id.is_empty() {
            arguments.extend(["--tenant", &tenant_id]);
        }
        if let Some(subscription) = &self.subscription {
            arguments.extend(["--subscription", subscription]);
        }
        let ran = self.programs.run("az", &arguments, ("AZURE_CORE_NO_COLOR", "true")).await;
        let output = ran.map_err(|failure| self.failed(&failure))?;
        if !output.is_success {
            return Err(self.refused(&output));
        }
        az_token(&output.text).ok_or_else(|| {
            Error::new(
                Code::IdentityUnavailable,
                "The Azure CLI wrote something that is not a token with its time of expiry.",
                "Update it to 2.54 or later: az upgrade; what it writes: az account get-access-token --output json",
            )
        })
    }

    fn failed(&self, failure: &Failure) -> Error {
        let limit = self.programs.limit();
        unavailable(failure, "The Azure CLI (az)", "az account get-access-token", "https://aka.ms/azure-cli", limit)
    }

    fn refused(&self, output: &Output) -> Error {
        let complaint = String::from_utf8_lossy(&output.complaint);
        let is_of_login = complaint.contains("az login") || complaint.contains("az account set");
        if is_of_login && !complaint.contains("AADSTS") {
            return Error::new(
                Code::CredentialUnavailable,
                "Nobody has signed in with the Azure CLI.",
                "Sign in: az login",
            );
        }
        refused("The Azure CLI", &output.complaint, "az account get-access-token")
    }
}

impl Flow for AzureCli {
    fn fetch<'a>(&'a self, request: &'a TokenRequest, _caller: Caller) -> Pending<'a, Result<FetchedToken, Fault>> {
        Box::pin(async { Ok(self.get(request).await?) })
    }

    fn normalized(&self, request: TokenRequest) -> Result<TokenRequest> {
        request.resource()?;
        check_scopes(&request)?;
        let tenant_id = Some(self.tenants.of(&request)?);
        Ok(TokenRequest { tenant_id, enable_cae: false, ..request })
    }

    fn name(&self) -> &str {
        Self::NAME
    }
}

/// The Azure Developer CLI.
pub struct AzureDeveloperCli {
    programs: Programs,
    tenants: Tenants,
}

impl AzureDeveloperCli {
    const NAME: &'static str = "AzureDeveloperCliCredential";

    /// The tool's current account, in its tenant or in this one.
    pub fn new(tenant_id: &str, allowed: Vec<String>, programs: Programs, lookup: Lookup<'_>) -> Result<Self> {
        Ok(Self { programs, tenants: Tenants::new(tenant_id, allowed, lookup)? })
    }

    async fn get(&self, request: &TokenRequest) -> Result<FetchedToken> {
        let tenant_id = self.tenants.of(request)?;
        let claims = request.claims.as_ref().map(|claims| base64_simd::STANDARD.encode_to_string(claims.as_bytes()));
        let mut arguments = vec!["auth", "token", "--output", "json", "--no-prompt"];
        for scope in request.scopes() {
            arguments.extend(["--scope", scope]);
        }
        if !tenant_id.is_empty() {
            arguments.extend(["--tenant-id", &tenant_id]);
        }
        if let Some(claims) = &claims {
            arguments.extend(["--claims", claims]);
        }
        let limit = self.programs.limit();
        let output = self.programs.run("azd", &arguments, ("NO_COLOR", "true")).await.map_err(|failure| {
            unavailable(&failure, "The Azure Developer CLI (azd)", "azd auth token", "https://aka.ms/azure-dev", limit)
        })?;
        if !output.is_success {
            let complaint = String::from_utf8_lossy(&output.complaint);
            if complaint.contains("azd auth login") && !complaint.contains("AADSTS") {
                return Err(Error::new(
                    Code::CredentialUnavailable,
                    "Nobody has signed in with the Azure Developer CLI.",
                    "Sign in: azd auth login",
                ));
            }
            return Err(refused("The Azure Developer CLI", &output.complaint, "azd auth token --output json"));
        }
        azd_token(&output.text).ok_or_else(|| {
            Error::new(
                Code::IdentityUnavailable,
                "The Azure Developer CLI wrote something that is not a token with its time of expiry.",
                "See what it writes: azd auth token --output json; and update it: https://aka.ms/azure-dev",
            )
        })
    }
}

impl Flow for AzureDeveloperCli {
    fn fetch<'a>(&'a self, request: &'a TokenRequest, _caller: Caller) -> Pending<'a, Result<FetchedToken, Fault>> {
        Box::pin(async { Ok(self.get(request).await?) })
    }

    fn normalized(&self, request: TokenRequest) -> Result<TokenRequest> {
        check_scopes(&request)?;
        let tenant_id = Some(self.tenants.of(&request)?);
        Ok(TokenRequest { tenant_id, enable_cae: false, ..request })
    }

    fn name(&self) -> &str {
        Self::NAME
    }
}

/// Scopes stand on command lines. No shell reads them; but the tool is one itself on some systems.
fn check_scopes(request: &TokenRequest) -> Result<()> {
    let is_scope = |scope: &String| scope.chars().all(|c| c.is_ascii_alphanumeric() || "_-.:/".contains(c));
    // What begins with a dash would be an option of the tool.
    if request.scopes().iter().all(|scope| is_scope(scope) && !scope.starts_with('-')) {
        return Ok(());
    }
    Err(Error::new(
        Code::InvalidArgument,
        "A token was asked for with a scope that has other characters than letters, digits and \"_-.:/\".",
        "Pass the scope of a resource: get_token(\"https://<resource>/.default\").",
    ))
}

/// The error for a tool that did not run.
fn unavailable(failure: &Failure, tool: &str, command: &str, install: &str, limit: Duration) -> Error {
    match failure {
        Failure::NotFound => Error::new(
            Code::CredentialUnavailable,
            format!("{tool} is in no directory of PATH."),
            format!("Install it: {install}"),
        ),
        Failure::Broken(error) => Error::new(
            Code::CredentialUnavailable,
            format!("{tool} could not be run: {}.", error.kind()),
            format!("See whether it runs: {command}"),
        ),
        Failure::Slow => Error::new(
            Code::CredentialUnavailable,
            format!("{tool} did not answer within {} seconds.", limit.as_secs_f64()),
            format!("Pass process_timeout= with more, and see how long it takes: time {command}"),
        ),
    }
}

/// The error for a tool that gave no token. What it wrote may hold anything; only Entra's code is repeated.
fn refused(tool: &str, complaint: &[u8], command: &str) -> Error {
    let refusal = Refusal::read(complaint);
    let (reason, _) = refusal.describe();
    let hint = refusal.hint().unwrap_or_else(|| format!("See what it says: {command}"));
    Error::new(Code::IdentityUnavailable, format!("{tool} was refused a token{reason}."), hint)
}

/// What `az account get-access-token` writes. `expiresOn` beside `expires_on` is the time on some wall and is not read.
fn az_token(text: &[u8]) -> Option<FetchedToken> {
    #[derive(Deserialize)]
    struct Written {
        #[serde(rename = "accessToken")]
        token: Secret,
        expires_on: Value,
    }
    let Written { token, expires_on } = object(text)?;
    let digits = expires_on.as_str().filter(|text| is_digits(text)).and_then(|text| text.parse().ok());
    let expires_on = expires_on.as_u64().or(digits)?;
    (!token.expose().is_empty()).then_some(FetchedToken { token, expires_on, refresh_on: None })
}

/// What `azd auth token` writes.
fn azd_token(text: &[u8]) -> Option<FetchedToken> {
    #[derive(Deserialize)]
    struct Written {
        token: Secret,
        #[serde(rename = "expiresOn")]
        expires_on: String,
    }
    let Written { token, expires_on } = object(text)?;
    let expires_on = utc_seconds(&expires_on)?;
    (!token.expose().is_empty()).then_some(FetchedToken { token, expires_on, refresh_on: None })
}

/// A time such as `2026-11-25T16:43:00Z`, in seconds since 1970.
fn utc_seconds(text: &str) -> Option<u64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let numbers = |text: &str, separator: char| -> Option<[u64; 3]> {
        let parts: Vec<u64> =
            text.split(separator).map(|part| part.parse().ok().filter(|_| is_digits(part))).collect::<Option<_>>()?;
        parts.try_into().ok()
    };
    let [year, month, day] = numbers(date, '-')?;
    let [hour, minute, second] = numbers(time.split_once('.').map_or(time, |(whole, _)| whole), ':')?;
    let is_in_range = (1970..=9999).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    if !is_in_range || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    // The year begins in March, so that the day that some years have more is its last (Howard Hinnant,
    // "chrono-Compatible Low-Level Date Algorithms").
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    let days = 365 * year + year / 4 - year / 100 + year / 400 + day_of_year - 719_468;
    Some(((days * 24 + hour) * 60 + minute) * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_the_developer_cli() {
        assert_eq!(utc_seconds("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(utc_seconds("2026-01-01T00:00:00Z"), Some(1_767_225_600));
        assert_eq!(utc_seconds("2024-02-29T23:59:59Z"), Some(1_709_251_199));
        assert_eq!(utc_seconds("2026-11-25T16:43:17.5Z"), Some(1_795_624_997));
        for bad in ["", "2026-01-01", "2026-13-01T00:00:00Z", "2026-01-01T00:00:00", "+026-01-01T00:00:00Z"] {
            assert_eq!(utc_seconds(bad), None, "{bad}");
        }
    }

    #[test]
    fn tokens_of_both() {
        let token =
            az_token(br#"{"accessToken":"t","expiresOn":"2026-01-01 00:00:00.000000","expires_on":12}"#).unwrap();
        assert_eq!((token.token.expose(), token.expires_on), ("t", 12));
        assert!(az_token(br#"{"accessToken":"t","expiresOn":"2026-01-01 00:00:00.000000"}"#).is_none());
        let token = azd_token(br#"{"token":"t","expiresOn":"2026-01-01T00:00:00Z"}"#).unwrap();
        assert_eq!((token.token.expose(), token.expires_on), ("t", 1_767_225_600));
    }
}
