//! The door of the environment: the only file that reads environment variables, at construction and on the caller's
//! thread, because reading them later would race with a program that sets them.

use crate::secret::Secret;

/// The variables that matter to a transport, as they were when the client was made. A proxy's URL may hold a password.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProxyVariables {
    /// `HTTPS_PROXY` (or lower case), else `ALL_PROXY`.
    pub https: Option<Secret>,
    /// `http_proxy`, else `ALL_PROXY`. The upper-case name is ignored where a web server could have set it from a
    /// request header (CVE-2016-5385, "httpoxy").
    pub http: Option<Secret>,
    /// `NO_PROXY` (or lower case).
    pub exceptions: Option<String>,
}

impl ProxyVariables {
    /// Reads the process's environment.
    pub fn read() -> Self {
        Self::from_lookup(variable)
    }

    /// Reads an environment that somebody else describes.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let either = |upper: &str, lower: &str| lookup(lower).or_else(|| lookup(upper));
        let all = either("ALL_PROXY", "all_proxy");
        let is_cgi = lookup("REQUEST_METHOD").is_some();
        let http = lookup("http_proxy").or_else(|| lookup("HTTP_PROXY").filter(|_| !is_cgi));
        Self {
            https: either("HTTPS_PROXY", "https_proxy").or_else(|| all.clone()).map(Secret::new),
            http: http.or(all).map(Secret::new),
            exceptions: either("NO_PROXY", "no_proxy"),
        }
    }
}

/// One variable; an empty one counts as not set, as everywhere in Python's Azure libraries.
#[allow(clippy::disallowed_methods, reason = "this file is the door of the environment")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> ProxyVariables {
        ProxyVariables::from_lookup(|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    fn text(secret: &Option<Secret>) -> Option<&str> {
        secret.as_ref().map(Secret::expose)
    }

    #[test]
    fn each_scheme_has_its_own_proxy_and_a_common_one_behind_it() {
        let variables = read(&[("HTTPS_PROXY", "http://s"), ("ALL_PROXY", "http://all"), ("no_proxy", "a,b")]);
        assert_eq!(text(&variables.https), Some("http://s"));
        assert_eq!(text(&variables.http), Some("http://all"));
        assert_eq!(variables.exceptions.as_deref(), Some("a,b"));
    }

    #[test]
    fn a_request_header_cannot_become_our_proxy() {
        assert_eq!(text(&read(&[("HTTP_PROXY", "http://p")]).http), Some("http://p"));
        assert_eq!(read(&[("HTTP_PROXY", "http://p"), ("REQUEST_METHOD", "GET")]).http, None);
    }
}
