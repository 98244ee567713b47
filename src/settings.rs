//! Settings of a service in the environment, under the names that Azure's own tools give them.
//!
//! Service Connector writes `AZURE_SIGNALR_CONNECTIONSTRING`, `AZURE_WEBPUBSUB_CONNECTIONSTRING` and `AZURE_WEBPUBSUB_HOST`
//! ("Integrate Azure SignalR Service with Service Connector" and its sister for Web PubSub); Azure Functions reads
//! `AzureSignalRConnectionString` and `WebPubSubConnectionString`, or the same names with `__serviceUri` and further
//! endings for an identity ("Configure identity-based connections"); ASP.NET Core reads `Azure__SignalR__ConnectionString`.

use crate::connection_string::{Auth, ConnectionString};
use crate::endpoint::{Endpoint, Service};
use crate::error::{Code, Error, Result};
use crate::secret::Secret;

/// The names under which the settings of one service are looked for.
#[derive(Debug)]
pub struct Names {
    /// Variables that hold a connection string.
    connection_strings: &'static [&'static str],
    /// Variables that say where the service is, each with how the particulars of the identity are called.
    addresses: &'static [Address],
}

/// A variable with an address, and the variables that go with it.
#[derive(Debug)]
struct Address {
    name: &'static str,
    client_id: &'static str,
    tenant_id: &'static str,
    client_secret: &'static str,
    credential: Option<&'static str>,
}

/// The names of Azure SignalR Service.
pub static SIGNALR: Names = Names {
    connection_strings: &[
        "AZURE_SIGNALR_CONNECTIONSTRING",
        "AzureSignalRConnectionString",
        "Azure__SignalR__ConnectionString",
    ],
    addresses: &[Address {
        name: "AzureSignalRConnectionString__serviceUri",
        client_id: "AzureSignalRConnectionString__clientId",
        tenant_id: "AzureSignalRConnectionString__tenantId",
        client_secret: "AzureSignalRConnectionString__clientSecret",
        credential: Some("AzureSignalRConnectionString__credential"),
    }],
};

/// The names of Azure Web PubSub.
pub static WEB_PUBSUB: Names = Names {
    connection_strings: &["AZURE_WEBPUBSUB_CONNECTIONSTRING", "WebPubSubConnectionString"],
    addresses: &[
        Address {
            name: "AZURE_WEBPUBSUB_HOST",
            client_id: "AZURE_WEBPUBSUB_CLIENTID",
            tenant_id: "AZURE_WEBPUBSUB_TENANTID",
            client_secret: "AZURE_WEBPUBSUB_CLIENTSECRET",
            credential: None,
        },
        Address {
            name: "WebPubSubConnectionString__serviceUri",
            client_id: "WebPubSubConnectionString__clientId",
            tenant_id: "WebPubSubConnectionString__tenantId",
            client_secret: "WebPubSubConnectionString__clientSecret",
            credential: Some("WebPubSubConnectionString__credential"),
        },
    ],
};

impl Names {
    /// The names of a service.
    pub fn of(service: Service) -> &'static Self {
        match service {
            Service::SignalR => &SIGNALR,
            Service::WebPubSub => &WEB_PUBSUB,
        }
    }

    /// Every variable that one of which has to be set, in the order of the documentation.
    fn all(&self) -> impl Iterator<Item = &'static str> {
        self.connection_strings.iter().copied().chain(self.addresses.iter().map(|address| address.name))
    }

    /// Reads the settings of a service. `parse` reads its connection strings.
    pub fn read(
        &self,
        lookup: impl Fn(&str) -> Option<String>,
        parse: impl Fn(&str) -> Result<ConnectionString>,
    ) -> Result<ConnectionString> {
        let name = self.the_one(&lookup)?;
        let value = Secret::new(lookup(name).unwrap_or_default());
        match self.addresses.iter().find(|address| address.name == name) {
            None => parse(value.expose()),
            Some(address) => address.read(value.expose(), lookup),
        }
    }

    /// The one variable that is set. Several that say the same are as good as one.
    fn the_one(&self, lookup: impl Fn(&str) -> Option<String>) -> Result<&'static str> {
        let mut set = self.all().filter_map(|name| lookup(name).map(|value| (name, Secret::new(value))));
        let Some((name, value)) = set.next() else {
            let names: Vec<&str> = self.all().collect();
            return Err(Error::new(
                Code::SettingsMissing,
                "No setting says where the service is.",
                format!("Set one of the environment variables {}.", names.join(", ")),
            ));
        };
        match set.find(|(_, other)| *other != value) {
            None => Ok(name),
            Some((other, _)) => Err(Error::new(
                Code::SettingsConflict,
                format!("The environment variables {name} and {other} disagree."),
                format!("Unset {name} or {other}, or give both the same value."),
            )),
        }
    }
}

impl Address {
    fn read(&self, value: &str, lookup: impl Fn(&str) -> Option<String>) -> Result<ConnectionString> {
        let with_scheme = if value.contains("://") { value.to_owned() } else { format!("https://{value}") };
        let endpoint = Endpoint::parse(&with_scheme).map_err(|fault| {
            invalid(
                format!("The environment variable {} is not an endpoint: {fault}.", self.name),
                format!("Set {}=https://<host of the service>.", self.name),
            )
        })?;
        Ok(ConnectionString {
            endpoint,
            client_endpoint: None,
            server_endpoint: None,
            auth: self.auth(lookup)?,
            version: None,
            warnings: Vec::new(),
        })
    }

    /// The identity, as "Common properties for identity-based connections" of Azure Functions describes it.
    fn auth(&self, lookup: impl Fn(&str) -> Option<String>) -> Result<Auth> {
        let (client_id, tenant_id) = (lookup(self.client_id), lookup(self.tenant_id));
        let secret = lookup(self.client_secret).map(Secret::new);
        let is_managed_identity = match self.credential.and_then(|name| Some((name, lookup(name)?))) {
            Some((_, kind)) if kind.eq_ignore_ascii_case("managedidentity") => true,
            Some((name, _)) => {
                return Err(invalid(
                    format!("The environment variable {name} names a kind of credential that is not known."),
                    format!("Set {name}=managedidentity, or unset it."),
                ));
            }
            None => false,
        };
        match (client_id, tenant_id, secret) {
            (Some(client_id), Some(tenant_id), Some(secret)) if !is_managed_identity => {
                Ok(Auth::ClientSecret { client_id, tenant_id, secret })
            }
            (_, _, Some(_)) => Err(invalid(
                format!("The environment variable {} lacks what goes with it.", self.client_secret),
                format!("Set {} and {} as well, or unset {}.", self.client_id, self.tenant_id, self.client_secret),
            )),
            (Some(client_id), None, None) => Ok(Auth::ManagedIdentityUser { client_id }),
            (Some(client_id), Some(_), None) if is_managed_identity => Ok(Auth::ManagedIdentityUser { client_id }),
            (None, _, None) if is_managed_identity => Ok(Auth::ManagedIdentitySystem),
            // Where the platform offers an identity, Azure Functions takes it if nothing else is said.
            (None, None, None) if lookup("IDENTITY_ENDPOINT").is_some() => Ok(Auth::ManagedIdentitySystem),
            _ => Ok(Auth::Default),
        }
    }
}

fn invalid(message: String, hint: String) -> Error {
    Error::new(Code::SettingsInvalid, message, hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "Endpoint=https://a.example;AccessKey=canary";

    fn read(names: &Names, variables: &[(&str, &str)]) -> Result<ConnectionString> {
        names.read(
            |name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()),
            ConnectionString::parse,
        )
    }

    fn fault(names: &Names, variables: &[(&str, &str)]) -> Error {
        let error = read(names, variables).unwrap_err();
        assert!(!error.to_string().contains("canary"), "{error}");
        error
    }

    #[test]
    fn every_name_of_a_connection_string_works_alone() {
        for names in [&SIGNALR, &WEB_PUBSUB] {
            for name in names.connection_strings {
                assert_eq!(read(names, &[(name, KEY)]).unwrap().auth.kind(), "access_key", "{name}");
            }
        }
    }

    #[test]
    fn nothing_set_names_everything_that_was_tried() {
        for names in [&SIGNALR, &WEB_PUBSUB] {
            let error = fault(names, &[]);
            assert_eq!(error.code(), Code::SettingsMissing);
            assert!(names.all().all(|name| error.hint().contains(name)), "{}", error.hint());
        }
    }

    #[test]
    fn two_that_disagree_are_named_and_two_that_agree_are_one() {
        let (first, second) = (SIGNALR.connection_strings[0], SIGNALR.connection_strings[2]);
        let error = fault(&SIGNALR, &[(first, KEY), (second, "Endpoint=https://b.example;AccessKey=canary")]);
        assert_eq!(error.code(), Code::SettingsConflict);
        for text in [error.message(), error.hint()] {
            assert!(text.contains(first) && text.contains(second), "{text}");
        }
        assert!(read(&SIGNALR, &[(first, KEY), (second, KEY)]).is_ok());
        let address = SIGNALR.addresses[0].name;
        assert_eq!(fault(&SIGNALR, &[(first, KEY), (address, "https://a.example")]).code(), Code::SettingsConflict);
    }

    #[test]
    fn an_address_goes_with_an_identity() {
        let kind = |more: &[(&str, &str)]| {
            let mut variables = vec![("AzureSignalRConnectionString__serviceUri", "https://a.example")];
            variables.extend(more.iter().copied());
            read(&SIGNALR, &variables).map(|read| read.auth.kind())
        };
        let (id, tenant, secret, credential) = (
            "AzureSignalRConnectionString__clientId",
            "AzureSignalRConnectionString__tenantId",
            "AzureSignalRConnectionString__clientSecret",
            "AzureSignalRConnectionString__credential",
        );
        assert_eq!(kind(&[]).unwrap(), "default");
        assert_eq!(kind(&[("IDENTITY_ENDPOINT", "http://p")]).unwrap(), "managed_identity_system");
        assert_eq!(kind(&[(credential, "managedidentity")]).unwrap(), "managed_identity_system");
        assert_eq!(kind(&[(credential, "ManagedIdentity"), (id, "i")]).unwrap(), "managed_identity_user");
        assert_eq!(kind(&[(id, "i")]).unwrap(), "managed_identity_user");
        assert_eq!(kind(&[(id, "i"), (tenant, "t"), (secret, "canary")]).unwrap(), "client_secret");
        for wrong in [&[(credential, "canary")][..], &[(secret, "canary")], &[(secret, "canary"), (id, "i")]] {
            let error = kind(wrong).unwrap_err();
            assert_eq!(error.code(), Code::SettingsInvalid);
            assert!(!error.to_string().contains("canary") && error.hint().contains(wrong[0].0), "{error}");
        }
    }

    #[test]
    fn a_host_is_an_address_too() {
        let parsed = read(&WEB_PUBSUB, &[("AZURE_WEBPUBSUB_HOST", "a.webpubsub.azure.com")]).unwrap();
        assert_eq!(parsed.endpoint.as_text(), "https://a.webpubsub.azure.com");
        assert_eq!(fault(&WEB_PUBSUB, &[("AZURE_WEBPUBSUB_HOST", "https://u:canary@b")]).code(), Code::SettingsInvalid);
    }
}
