//! The door of the environment: the only file that reads environment variables, at construction and on the caller's
//! thread, because reading them later would race with a program that sets them.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::secret::Secret;

/// The variables that name a proxy, as they were when the client was made.
///
/// `HTTP_PROXY` is not among them: plain http never leaves this machine, and no proxy stands before this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProxyVariables {
    /// `HTTPS_PROXY` (or lower case), else `ALL_PROXY`: its name, and its URL, which may hold a password.
    pub https: Option<(&'static str, Secret)>,
    /// `NO_PROXY` (or lower case).
    pub exceptions: Option<String>,
}

impl ProxyVariables {
    /// Reads the process's environment.
    pub fn read() -> Self {
        Self::from_lookup(variable)
    }

    /// Reads an environment that somebody else describes. The lower-case name wins, as in curl.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let first = |names: &[&'static str]| names.iter().find_map(|name| lookup(name).map(|value| (*name, value)));
        Self {
            https: first(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"])
                .map(|(name, url)| (name, Secret::new(url))),
            exceptions: first(&["no_proxy", "NO_PROXY"]).map(|(_, text)| text),
        }
    }
}

/// The variables that put other trusted certificates in the place of the system's, as OpenSSL names them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustVariables {
    /// `SSL_CERT_FILE`: a file of PEM certificates.
    pub file: Option<PathBuf>,
    /// `SSL_CERT_DIR`: directories of such files.
    pub directories: Vec<PathBuf>,
}

impl TrustVariables {
    /// Reads the process's environment.
    pub fn read() -> Self {
        let directories = variable("SSL_CERT_DIR").unwrap_or_default();
        let directories = std::env::split_paths(&directories).filter(|path| !path.as_os_str().is_empty());
        Self { file: variable("SSL_CERT_FILE").map(PathBuf::from), directories: directories.collect() }
    }
}

/// One variable; an empty one counts as not set, as everywhere in Python's Azure libraries.
#[allow(clippy::disallowed_methods, reason = "this file is the door of the environment")]
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// All variables, for programs that are started later.
#[allow(clippy::disallowed_methods, reason = "this file is the door of the environment")]
pub fn all() -> Vec<(OsString, OsString)> {
    std::env::vars_os().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> ProxyVariables {
        ProxyVariables::from_lookup(|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    fn https(variables: &[(&str, &str)]) -> Option<String> {
        read(variables).https.map(|(name, url)| format!("{name}={}", url.expose()))
    }

    #[test]
    fn the_proxy_for_https_or_for_all() {
        assert_eq!(
            https(&[("HTTPS_PROXY", "http://s"), ("ALL_PROXY", "http://all")]).as_deref(),
            Some("HTTPS_PROXY=http://s")
        );
        assert_eq!(
            https(&[("HTTPS_PROXY", "http://s"), ("https_proxy", "http://t")]).as_deref(),
            Some("https_proxy=http://t")
        );
        assert_eq!(https(&[("all_proxy", "http://all")]).as_deref(), Some("all_proxy=http://all"));
        assert_eq!(https(&[("HTTP_PROXY", "http://p")]), None);
        assert_eq!(read(&[("no_proxy", "a,b")]).exceptions.as_deref(), Some("a,b"));
    }
}
