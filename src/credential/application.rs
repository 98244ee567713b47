//! An application as Entra knows it: its authority, its tenants and its id.

use crate::credential::TokenRequest;
use crate::endpoint::Endpoint;
use crate::error::{Code, Error, Result};

/// The authority of the public cloud.
pub const PUBLIC_AUTHORITY: &str = "https://login.microsoftonline.com";

/// The variable that names the authority.
pub const AUTHORITY_VARIABLE: &str = "AZURE_AUTHORITY_HOST";

/// The tenant of applications whose authority is AD FS, which has no tenants.
pub const ADFS: &str = "adfs";

/// Looks up a variable of the environment as it was at construction.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The address of an Entra authority: https, without a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority(Endpoint);

impl Authority {
    /// Reads an address, with or without `https://`. A tenant in its path would look as if it mattered.
    pub fn parse(text: &str) -> Option<Self> {
        let with_scheme = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
        let authority = Endpoint::parse(&with_scheme).ok()?;
        let is_bare = authority.as_text() == authority.origin() && authority.origin().starts_with("https://");
        is_bare.then_some(Self(authority))
    }

    /// The one that the caller names, or the environment, or the public cloud's.
    pub fn choose(argument: Option<&str>, lookup: Lookup<'_>) -> Result<Self> {
        if let Some(text) = argument {
            return Self::parse(text).ok_or_else(|| {
                Error::new(
                    Code::InvalidArgument,
                    "The argument authority is not the https address of an Entra authority.",
                    "Pass authority=\"https://login.microsoftonline.com\", or that of your cloud, such as \"https://login.microsoftonline.us\".",
                )
            });
        }
        match lookup(AUTHORITY_VARIABLE) {
            Some(text) => Self::parse(&text).ok_or_else(|| {
                Error::new(
                    Code::SettingsInvalid,
                    format!("The environment variable {AUTHORITY_VARIABLE} is not the https address of an Entra authority."),
                    format!("Set {AUTHORITY_VARIABLE}=https://login.microsoftonline.com, or that of your cloud, or unset it."),
                )
            }),
            None => Ok(Self::parse(PUBLIC_AUTHORITY).unwrap_or_else(|| unreachable!("the public authority is one"))),
        }
    }

    /// `https://host`, with the port if it is not 443.
    pub fn origin(&self) -> String {
        self.0.origin()
    }

    /// Whether it is on this machine.
    pub fn is_loopback(&self) -> bool {
        self.0.is_loopback()
    }
}

/// Whether a text can name a tenant: an id or a domain (azure-identity's rule). One that began with a dash would be an
/// option to a command-line tool.
pub fn is_tenant(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-'))
}

/// The tenants that a credential may ask.
#[derive(Clone, Debug)]
pub struct Tenants {
    /// The credential's own; empty for a command-line tool, which has one.
    own: String,
    allowed: Vec<String>,
    is_one: bool,
}

impl Tenants {
    /// The tenants of a credential: its own, which a command-line tool need not have, and those that
    /// `additionally_allowed_tenants` names; `*` are all.
    pub fn new(own: &str, allowed: Vec<String>, lookup: Lookup<'_>) -> Result<Self> {
        if !own.is_empty() && !is_tenant(own) {
            return Err(invalid_tenant("The argument tenant_id is not a tenant's id or domain."));
        }
        if !allowed.iter().all(|tenant| tenant == "*" || is_tenant(tenant)) {
            return Err(invalid_tenant("The argument additionally_allowed_tenants names something that is no tenant."));
        }
        let is_one = own == ADFS || lookup("AZURE_IDENTITY_DISABLE_MULTITENANTAUTH").is_some();
        Ok(Self { own: own.to_owned(), allowed, is_one })
    }

    /// The tenant that answers a request.
    pub fn of(&self, request: &TokenRequest) -> Result<String> {
        let Some(asked) = request.tenant_id.as_deref().filter(|asked| *asked != self.own) else {
            return Ok(self.own.clone());
        };
        if !is_tenant(asked) {
            return Err(invalid_tenant("A token was asked for with a tenant_id that is no tenant's id or domain."));
        }
        if self.is_one && !self.own.is_empty() {
            return Ok(self.own.clone());
        }
        let is_any = self.own.is_empty() || (self.allowed.is_empty() && self.own == "organizations");
        if is_any || self.allowed.iter().any(|tenant| tenant == "*" || tenant == asked) {
            return Ok(asked.to_owned());
        }
        Err(Error::new(
            Code::IdentityUnavailable,
            format!("A token of the tenant {asked} was asked for, and the credential is for the tenant {}.", self.own),
            format!("Make the credential with additionally_allowed_tenants=[\"{asked}\"], or [\"*\"] for any tenant."),
        ))
    }
}

fn invalid_tenant(message: &str) -> Error {
    Error::new(
        Code::InvalidArgument,
        message,
        "Pass tenant_id= as the portal shows it (letters, digits, \".\" and \"-\"): az account show --query tenantId",
    )
}

/// An application.
#[derive(Clone, Debug)]
pub struct Application {
    /// Where it proves itself.
    pub authority: Authority,
    /// The tenants that it may ask.
    pub tenants: Tenants,
    /// Its application (client) id.
    pub client_id: String,
}

impl Application {
    /// An application of one tenant, and of those that are allowed beside it.
    pub fn new(
        tenant_id: &str,
        client_id: &str,
        authority: Authority,
        allowed: Vec<String>,
        lookup: Lookup<'_>,
    ) -> Result<Self> {
        if tenant_id.is_empty() {
            return Err(invalid_tenant("The argument tenant_id is empty."));
        }
        if client_id.is_empty() || client_id.chars().any(char::is_whitespace) {
            return Err(Error::new(
                Code::InvalidArgument,
                "The argument client_id is not the id of an application.",
                "Pass client_id= as the portal shows it: az ad app list --display-name <name> --query [].appId",
            ));
        }
        Ok(Self { authority, tenants: Tenants::new(tenant_id, allowed, lookup)?, client_id: client_id.to_owned() })
    }

    /// Where the tokens of a tenant are had.
    pub fn token_endpoint(&self, tenant_id: &str) -> String {
        let authority = self.authority.origin();
        match tenant_id {
            ADFS => format!("{authority}/{ADFS}/oauth2/token"),
            tenant_id => format!("{authority}/{tenant_id}/oauth2/v2.0/token"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(own: &str, allowed: &[&str], tenant: Option<&str>) -> Result<String> {
        let allowed = allowed.iter().map(|tenant| (*tenant).to_owned()).collect();
        let tenants = Tenants::new(own, allowed, &|_| None)?;
        let request = TokenRequest::new(vec!["a/.default".to_owned()])?;
        tenants.of(&TokenRequest { tenant_id: tenant.map(str::to_owned), ..request })
    }

    #[test]
    fn a_tenant_has_to_be_allowed() {
        assert_eq!(asked("a", &[], None).unwrap(), "a");
        assert_eq!(asked("a", &[], Some("a")).unwrap(), "a");
        assert_eq!(asked("a", &["b"], Some("b")).unwrap(), "b");
        assert_eq!(asked("a", &["*"], Some("c")).unwrap(), "c");
        assert_eq!(asked("", &[], Some("c")).unwrap(), "c");
        assert_eq!(asked("organizations", &[], Some("c")).unwrap(), "c");
        assert_eq!(asked("adfs", &[], Some("c")).unwrap(), "adfs");
        let error = asked("a", &["b"], Some("c")).unwrap_err();
        assert_eq!(error.code(), Code::IdentityUnavailable);
        assert!(error.hint().contains("additionally_allowed_tenants=[\"c\"]"), "{error}");
        assert_eq!(asked("a", &["*"], Some("c/../d")).unwrap_err().code(), Code::InvalidArgument);
    }

    #[test]
    fn authorities_are_https_without_a_path() {
        for good in ["login.example", "https://login.example", "https://login.example/", "https://LOGIN.example:443"] {
            assert_eq!(Authority::parse(good).unwrap().origin(), "https://login.example", "{good}");
        }
        for bad in ["", "http://login.example", "https://login.example/tenant", "https://u:p@login.example"] {
            assert_eq!(Authority::parse(bad), None, "{bad}");
        }
        let chosen = |argument, variable: Option<&str>| {
            Authority::choose(argument, &|_| variable.map(str::to_owned)).map(|authority| authority.origin())
        };
        assert_eq!(chosen(Some("a.example"), Some("b.example")).unwrap(), "https://a.example");
        assert_eq!(chosen(None, Some("b.example")).unwrap(), "https://b.example");
        assert_eq!(chosen(None, None).unwrap(), PUBLIC_AUTHORITY);
        assert!(chosen(None, Some("http://b.example")).unwrap_err().hint().contains(AUTHORITY_VARIABLE));
    }
}
