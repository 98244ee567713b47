//! Connection strings: `Endpoint=...;AccessKey=...;Version=1.0;` and its Entra forms.
//!
//! The rules are those of `ConnectionStringParser` in Azure/azure-signalr, with what it lets pass in silence refused:
//! a part without `=`, an unknown `AuthType`, and a key with a typing mistake. Errors name keys, never values. Those of
//! Azure Web PubSub are the same but for the version, which Microsoft's SDK for it never looks at.

use crate::endpoint::{Endpoint, Endpoints, Service};
use crate::error::{Code, Error, Result};
use crate::secret::Secret;

/// What a part of a connection string sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Property {
    AccessKey,
    AuthType,
    ClientCert,
    ClientEndpoint,
    ClientId,
    ClientSecret,
    Endpoint,
    Port,
    ServerEndpoint,
    TenantId,
    Version,
}

/// Every spelling that is understood, with its key. The hyphenated ones and `ClientCertPath` are in Microsoft's
/// documentation of Entra connection strings, although its parser knows only the others.
const SPELLINGS: &[(&str, Property)] = &[
    ("AccessKey", Property::AccessKey),
    ("AuthType", Property::AuthType),
    ("ClientCert", Property::ClientCert),
    ("ClientCertPath", Property::ClientCert),
    ("ClientEndpoint", Property::ClientEndpoint),
    ("ClientId", Property::ClientId),
    ("client-id", Property::ClientId),
    ("ClientSecret", Property::ClientSecret),
    ("client-secret", Property::ClientSecret),
    ("Endpoint", Property::Endpoint),
    ("Port", Property::Port),
    ("ServerEndpoint", Property::ServerEndpoint),
    ("TenantId", Property::TenantId),
    ("tenant-id", Property::TenantId),
    ("Version", Property::Version),
];

/// How many single-character edits make a key a misspelt known one rather than an unknown one.
const MISSPELT_WITHIN: usize = 2;

/// How a connection string says that we prove who we are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Auth {
    /// A shared key.
    AccessKey(Secret),
    /// An Entra application with a certificate file.
    ClientCertificate {
        /// The application (client) id.
        client_id: String,
        /// The tenant's id.
        tenant_id: String,
        /// The path of the certificate file.
        path: String,
    },
    /// An Entra application with a secret.
    ClientSecret {
        /// The application (client) id.
        client_id: String,
        /// The tenant's id.
        tenant_id: String,
        /// The application's secret.
        secret: Secret,
    },
    /// Whatever Entra identity the environment offers.
    Default,
    /// The system-assigned managed identity.
    ManagedIdentitySystem,
    /// The user-assigned managed identity with this client id.
    ManagedIdentityUser {
        /// The identity's client id.
        client_id: String,
    },
}

impl Auth {
    /// A stable name of the kind.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::AccessKey(_) => "access_key",
            Self::ClientCertificate { .. } => "client_certificate",
            Self::ClientSecret { .. } => "client_secret",
            Self::Default => "default",
            Self::ManagedIdentitySystem => "managed_identity_system",
            Self::ManagedIdentityUser { .. } => "managed_identity_user",
        }
    }
}

/// A connection string that was understood.
#[derive(Clone, Debug)]
pub struct ConnectionString {
    /// `Endpoint`, with `Port` in place.
    pub endpoint: Endpoint,
    /// `ClientEndpoint`, if it was given.
    pub client_endpoint: Option<Endpoint>,
    /// `ServerEndpoint`, if it was given.
    pub server_endpoint: Option<Endpoint>,
    /// How we prove who we are.
    pub auth: Auth,
    /// `Version`, checked for Azure SignalR Service and otherwise unused.
    pub version: Option<String>,
    /// One sentence for each key that was ignored.
    pub warnings: Vec<String>,
}

impl ConnectionString {
    /// Reads a connection string of Azure SignalR Service.
    pub fn parse(text: &str) -> Result<Self> {
        Self::for_service(Service::SignalR, text)
    }

    /// Reads a connection string.
    pub fn for_service(service: Service, text: &str) -> Result<Self> {
        let fields = Fields::read(text)?;
        let endpoint = fields.endpoint(Property::Endpoint, "Endpoint")?.ok_or_else(|| missing("Endpoint"))?;
        if fields.parts < 2 {
            return Err(no_credential());
        }
        let version = match service {
            Service::SignalR => fields.version()?,
            Service::WebPubSub => fields.raw(Property::Version).map(str::to_owned),
        };
        let endpoint = match fields.port()? {
            Some(port) => endpoint.with_port(port),
            None => endpoint,
        };
        Ok(Self {
            endpoint,
            client_endpoint: fields.endpoint(Property::ClientEndpoint, "ClientEndpoint")?,
            server_endpoint: fields.endpoint(Property::ServerEndpoint, "ServerEndpoint")?,
            auth: fields.auth()?,
            version,
            warnings: fields.all_warnings(),
        })
    }

    /// The three addresses of the service.
    pub fn endpoints(&self) -> Endpoints {
        Endpoints::new(self.endpoint.clone(), self.client_endpoint.clone(), self.server_endpoint.clone())
    }
}

/// The parts of a connection string, before they mean anything.
struct Fields<'a> {
    values: Vec<(Property, &'a str)>,
    parts: usize,
    warnings: Vec<String>,
}

impl<'a> Fields<'a> {
    fn read(text: &'a str) -> Result<Self> {
        let mut fields = Self { values: Vec::new(), parts: 0, warnings: Vec::new() };
        for (position, part) in text.split(';').enumerate().filter(|(_, part)| !part.trim().is_empty()) {
            fields.parts += 1;
            let Some((name, value)) = part.split_once('=') else {
                return Err(invalid(
                    format!("Part {} of the connection string has no \"=\".", position + 1),
                    "Write each part as Key=Value and separate the parts with \";\": Endpoint=https://...;AccessKey=...;Version=1.0;",
                ));
            };
            fields.add(name.trim(), value.trim(), position + 1)?;
        }
        Ok(fields)
    }

    fn add(&mut self, name: &str, value: &'a str, position: usize) -> Result<()> {
        let known = SPELLINGS.iter().find(|(spelling, _)| spelling.eq_ignore_ascii_case(name));
        let Some(&(spelling, key)) = known else {
            // What stands before the first `=` may be a key that was pasted without its name, so that only what looks
            // like a name is repeated.
            if !looks_like_a_name(name) {
                return Err(invalid(
                    format!("Part {position} of the connection string has no readable name before its \"=\"."),
                    "Write each part as Key=Value; the access key goes into AccessKey=...;",
                ));
            }
            if let Some(suggestion) = closest_spelling(name) {
                return Err(Error::new(
                    Code::ConnectionStringKeyMisspelt,
                    format!("The connection string has the key {name}, which looks like {suggestion}."),
                    format!("Write {suggestion}= instead."),
                ));
            }
            self.warnings
                .push(format!("The connection string has the key {name}, which Hubpass does not know and ignores."));
            return Ok(());
        };
        if self.values.iter().any(|&(other, _)| other == key) {
            return Err(invalid(
                format!("The connection string has {spelling} more than once."),
                format!("Keep one {spelling}= and remove the others."),
            ));
        }
        self.values.push((key, value));
        Ok(())
    }

    /// The value of a key, if it is there and not empty.
    fn get(&self, key: Property) -> Option<&'a str> {
        self.raw(key).filter(|value| !value.is_empty())
    }

    fn raw(&self, key: Property) -> Option<&'a str> {
        self.values.iter().find(|&&(other, _)| other == key).map(|&(_, value)| value)
    }

    fn endpoint(&self, key: Property, name: &str) -> Result<Option<Endpoint>> {
        self.raw(key)
            .map(|value| {
                Endpoint::parse(value).map_err(|fault| {
                    invalid(
                        format!("{name} in the connection string is not valid: {fault}."),
                        format!("Write {name}=https://<host>, as the portal shows it."),
                    )
                })
            })
            .transpose()
    }

    /// The version must be 1.x; it has no other effect.
    fn version(&self) -> Result<Option<String>> {
        let Some(version) = self.raw(Property::Version) else { return Ok(None) };
        let is_valid = version.strip_prefix("1.").is_some_and(|rest| {
            rest.starts_with(|c: char| c.is_ascii_digit())
                && rest.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '-'))
        });
        if is_valid {
            return Ok(Some(version.to_owned()));
        }
        Err(invalid("The Version in the connection string is not supported.".to_owned(), "Write Version=1.0;"))
    }

    fn port(&self) -> Result<Option<u16>> {
        let Some(port) = self.raw(Property::Port) else { return Ok(None) };
        let digits_only = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        match port.parse::<u16>() {
            Ok(number) if digits_only && number > 0 => Ok(Some(number)),
            _ => Err(invalid(
                "The Port in the connection string is not a whole number from 1 to 65535.".to_owned(),
                "Write Port=443; or leave Port out.",
            )),
        }
    }

    fn auth(&self) -> Result<Auth> {
        // A key that is present wins over AuthType, as in the newer versions of Microsoft's SDK.
        if let Some(key) = self.get(Property::AccessKey) {
            return Ok(Auth::AccessKey(Secret::new(key.to_owned())));
        }
        let Some(auth_type) = self.get(Property::AuthType) else {
            // An empty AccessKey is a variable that was not filled in; going on as another identity would hide that.
            return if self.raw(Property::AccessKey).is_some() { Err(no_credential()) } else { Ok(Auth::Default) };
        };
        match auth_type.to_ascii_lowercase().as_str() {
            "azure" => Ok(Auth::Default),
            "azure.app" => self.application(),
            "azure.msi" => Ok(self.managed_identity()),
            "aad" if self.get(Property::ClientId).is_some() && self.get(Property::TenantId).is_some() => {
                self.application()
            }
            "aad" => Ok(self.managed_identity()),
            _ => Err(invalid(
                "The AuthType in the connection string is not known.".to_owned(),
                "Write AuthType=azure, AuthType=azure.msi or AuthType=azure.app.",
            )),
        }
    }

    /// What is ignored: keys that nobody knows, and a certificate beside a secret, which Microsoft's SDK prefers.
    fn all_warnings(mut self) -> Vec<String> {
        if self.get(Property::ClientCert).is_some() && self.get(Property::ClientSecret).is_some() {
            self.warnings.push(
                "The connection string has ClientSecret and ClientCertPath; the certificate is ignored.".to_owned(),
            );
        }
        self.warnings
    }

    fn managed_identity(&self) -> Auth {
        match self.get(Property::ClientId) {
            Some(client_id) => Auth::ManagedIdentityUser { client_id: client_id.to_owned() },
            None => Auth::ManagedIdentitySystem,
        }
    }

    fn application(&self) -> Result<Auth> {
        let client_id = self.get(Property::ClientId).ok_or_else(|| missing("ClientId"))?.to_owned();
        let tenant_id = self.get(Property::TenantId).ok_or_else(|| missing("TenantId"))?.to_owned();
        match (self.get(Property::ClientSecret), self.get(Property::ClientCert)) {
            (Some(secret), _) => {
                Ok(Auth::ClientSecret { client_id, tenant_id, secret: Secret::new(secret.to_owned()) })
            }
            (None, Some(path)) => Ok(Auth::ClientCertificate { client_id, tenant_id, path: path.to_owned() }),
            (None, None) => Err(missing("ClientSecret (or ClientCertPath)")),
        }
    }
}

fn invalid(message: String, hint: impl Into<String>) -> Error {
    Error::new(Code::InvalidConnectionString, message, hint)
}

fn missing(name: &str) -> Error {
    invalid(
        format!("The connection string has no {name}."),
        format!("Add {name}=...; a whole one reads Endpoint=https://...;AccessKey=...;Version=1.0;"),
    )
}

fn no_credential() -> Error {
    invalid(
        "The connection string has no AccessKey and no AuthType.".to_owned(),
        "Add AccessKey=...; or, to use Microsoft Entra ID, AuthType=azure.msi;",
    )
}

fn looks_like_a_name(text: &str) -> bool {
    const NAME_MAX: usize = 24;
    let is_of_a_name = |c: char| c.is_ascii_alphabetic() || matches!(c, '-' | '_');
    !text.is_empty() && text.len() <= NAME_MAX && text.chars().all(is_of_a_name)
}

/// The known spelling that `name` was probably meant to be.
fn closest_spelling(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase();
    SPELLINGS
        .iter()
        .map(|&(spelling, _)| (edit_distance(&name, &spelling.to_ascii_lowercase()), spelling))
        .filter(|&(distance, _)| distance <= MISSPELT_WITHIN)
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, spelling)| spelling)
}

/// The Levenshtein distance: how many characters have to be inserted, removed or replaced.
fn edit_distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut previous: Vec<usize> = (0..=right.len()).collect();
    for (row, l) in left.chars().enumerate() {
        let mut current = vec![row + 1];
        for (column, r) in right.iter().enumerate() {
            let replaced = previous[column] + usize::from(l != *r);
            current.push(replaced.min(previous[column + 1] + 1).min(current[column] + 1));
        }
        previous = current;
    }
    previous[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> Error {
        ConnectionString::parse(text).unwrap_err()
    }

    #[test]
    fn a_misspelt_key_is_refused_with_the_right_one() {
        for (text, suggestion) in [
            ("Endpoint=https://a;AcessKey=k", "AccessKey"),
            ("Endpiont=https://a;AccessKey=k", "Endpoint"),
            ("Endpoint=https://a;AuthTyp=azure", "AuthType"),
            ("Endpoint=https://a;AccessKey=k;Ports=1", "Port"),
        ] {
            let error = refused(text);
            assert_eq!(error.code(), Code::ConnectionStringKeyMisspelt, "{text}");
            assert_eq!(error.hint(), format!("Write {suggestion}= instead."));
        }
    }

    #[test]
    fn an_unknown_key_is_named_once_and_ignored() {
        let parsed = ConnectionString::parse("Endpoint=https://a;AccessKey=k;FavouriteColour=blue").unwrap();
        assert_eq!(parsed.warnings.len(), 1);
        assert!(parsed.warnings[0].contains("FavouriteColour") && !parsed.warnings[0].contains("blue"));
    }

    #[test]
    fn a_secret_is_preferred_to_a_certificate_and_said_to_be() {
        let application = "Endpoint=https://a;AuthType=azure.app;ClientId=i;TenantId=t;ClientSecret=s";
        let parsed = ConnectionString::parse(&format!("{application};ClientCert=/canary")).unwrap();
        assert_eq!(parsed.auth.kind(), "client_secret");
        let [warning] = &*parsed.warnings else { panic!("{:?}", parsed.warnings) };
        assert!(warning.contains("ClientCertPath; the certificate is ignored") && !warning.contains("canary"));
        assert!(ConnectionString::parse(application).unwrap().warnings.is_empty());
    }

    #[test]
    fn no_value_is_ever_repeated() {
        let canary = "CANARYxCANARYxCANARYxCANARYxCANARYx123456789=";
        for text in [
            canary.to_owned(),
            format!("Endpoint={canary};AccessKey=k"),
            format!("Endpoint=https://a;{canary}"),
            format!("Endpoint=https://a;AccessKey=k;Version={canary}"),
            format!("Endpoint=https://a;AccessKey=k;Port={canary}"),
            format!("Endpoint=https://a;AuthType={canary}"),
            format!("Endpoint=https://a;AcessKey={canary}"),
            format!("Endpoint=https://a;AccessKey={canary};AccessKey={canary}"),
            format!("Endpoint=https://a;AuthType=azure.app;ClientSecret={canary}"),
            format!("Endpoint=https://a;{}", canary.trim_end_matches('=')),
        ] {
            match ConnectionString::parse(&text) {
                Ok(parsed) => assert!(!format!("{parsed:?}").contains("CANARY"), "{parsed:?}"),
                Err(error) => assert!(!format!("{error} {error:?}").contains("CANARY"), "{error}"),
            }
        }
    }

    #[test]
    fn an_access_key_that_was_not_filled_in_is_no_other_identity() {
        assert_eq!(refused("Endpoint=https://a;AccessKey=;Version=1.0").code(), Code::InvalidConnectionString);
        let entra = ConnectionString::parse("Endpoint=https://a;AccessKey=;AuthType=azure.msi").unwrap();
        assert_eq!(entra.auth, Auth::ManagedIdentitySystem);
    }
}
