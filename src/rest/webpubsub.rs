//! The operations of Azure Web PubSub's data plane, as requests (REST API 2024-12-01).

use url::form_urlencoded;

use crate::client_access::ClientAccess;
use crate::endpoint::{Endpoints, Hub, Service};
use crate::error::Result;
use crate::rest::unsigned::{API_VERSION, encode};
use crate::rest::{GENERATE_TOKEN, Method, Unsigned};

/// The longest URL that we send. The service does not say what it takes; many servers and proxies take no more than 8 KiB
/// for the line that the URL stands in, and answer a longer one with a page of their own.
const URL_MAX: usize = 8000;

/// Asks the service to sign a token for a client. Names and order of the parameters are those of Microsoft's SDK.
pub fn generate_token(endpoints: &Endpoints, hub: &Hub, access: &ClientAccess) -> Result<Unsigned> {
    let mut query = form_urlencoded::Serializer::new(String::new());
    if let Some(user_id) = access.user_id() {
        query.append_pair("userId", user_id);
    }
    for role in access.roles() {
        query.append_pair("role", role);
    }
    query.append_pair("minutesToExpire", &access.lifetime().minutes().to_string());
    query.append_pair("api-version", API_VERSION);
    for group in access.groups() {
        query.append_pair("group", group);
    }
    query.append_pair("clientType", access.protocol().as_str());
    let unsigned = Unsigned {
        service: Service::WebPubSub,
        purpose: GENERATE_TOKEN.name,
        method: Method::Post,
        resource: endpoints.server.join(&format!("api/hubs/{}/:generateToken", encode(hub.as_str()))),
        // A plus sign is a blank in forms only; in a query everybody reads %20 as one.
        query: query.finish().replace('+', "%20"),
        body: None,
    };
    let length = unsigned.url().len();
    if length > URL_MAX {
        return Err(access.too_long(format!(
            "The request for the token would have a URL of {length} characters, of which {URL_MAX} are safe."
        )));
    }
    Ok(unsigned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client_access::{ClientProtocol, Lifetime};
    use crate::error::Code;
    use crate::negotiate::Identity;

    fn url(access: &ClientAccess) -> Result<String> {
        let endpoints = Endpoints::for_service(
            Service::WebPubSub,
            "https://a.example/Base",
            None,
            Some("https://b.example:8443/In/"),
        )?;
        Ok(generate_token(&endpoints, &Hub::keeping_case("Chat[1]")?, access)?.url())
    }

    #[test]
    fn the_request_is_the_documented_one() {
        let access = ClientAccess::new(
            Identity::User("ada b+c"),
            vec!["webpubsub.sendToGroup".to_owned(), "webpubsub.joinLeaveGroup.x&y".to_owned()],
            vec!["g/1".to_owned(), "ö".to_owned()],
            Lifetime::from_minutes(5).unwrap(),
            ClientProtocol::Mqtt,
        );
        assert_eq!(
            url(&access.unwrap()).unwrap(),
            "https://b.example:8443/In/api/hubs/Chat%5B1%5D/:generateToken?userId=ada%20b%2Bc&role=webpubsub.sendToGroup\
             &role=webpubsub.joinLeaveGroup.x%26y&minutesToExpire=5&api-version=2024-12-01&group=g%2F1&group=%C3%B6&clientType=MQTT"
        );
    }

    #[test]
    fn a_url_that_would_be_cut_off_is_refused() {
        let groups = |count: usize| {
            let groups = (0..count).map(|number| format!("{number:0100}")).collect();
            ClientAccess::new(Identity::Anonymous, Vec::new(), groups, Lifetime::default(), ClientProtocol::Default)
                .unwrap()
        };
        assert!(url(&groups(70)).is_ok());
        let error = url(&groups(80)).unwrap_err();
        assert_eq!(error.code(), Code::TokenTooLong);
        assert!(error.message().contains("8000") && error.hint().contains("groups"), "{error}");
    }
}
