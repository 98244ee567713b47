//! What a server's certificate or its TLS lacks, and what to do about it.

use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, PeerIncompatible};

use crate::error::{Code, Error};
use crate::rest::failure::Peer;
use crate::rest::trust::Stranger;

/// The error for a certificate that does not pass. Nothing turns the check off.
pub fn refused_certificate(peer: &Peer<'_>, error: &CertificateError) -> Error {
    let name = &peer.name;
    let setting = peer.setting;
    let (finding, hint) = match error {
        CertificateError::ExpiredContext { time, not_after } => (
            format!("has expired: it was valid until {}, and here it is {}", date(*not_after), date(*time)),
            format!("Renew the certificate on {name}; if the time here is wrong, set the clock: timedatectl set-ntp true"),
        ),
        CertificateError::NotValidYetContext { time, not_before } => (
            format!("is not valid yet: it will be from {}, and here it is {}", date(*not_before), date(*time)),
            "Set this machine's clock: timedatectl set-ntp true; if it is right, the certificate was made with a wrong one."
                .to_owned(),
        ),
        CertificateError::NotValidForNameContext { presented, .. } => (
            format!("is for {}, not for that name", names(presented)),
            format!("Check {setting}: its host has to be one of the names in the certificate."),
        ),
        CertificateError::UnknownIssuer => stranger(peer, Stranger::Chain),
        CertificateError::Other(other) => match other.0.downcast_ref::<Stranger>() {
            Some(found) => stranger(peer, *found),
            // The error of rustls-webpki; its type would be one more dependency.
            None if other.0.to_string() == "CaUsedAsEndEntity" => (
                "is that of an authority, not of a server".to_owned(),
                format!(
                    "Give {name} a certificate with basicConstraints CA:FALSE: openssl req -x509 -addext basicConstraints=critical,CA:FALSE ..."
                ),
            ),
            None => (format!("is not accepted ({})", other.0), format!("Renew the certificate on {name}.")),
        },
        CertificateError::InvalidPurposeContext { .. } | CertificateError::InvalidPurpose => (
            "is not made for servers".to_owned(),
            format!("Give {name} a certificate with extendedKeyUsage serverAuth."),
        ),
        other => (format!("is not accepted ({other})"), format!("Renew the certificate on {name}.")),
    };
    Error::new(Code::TlsFailed, format!("{} failed: the certificate of {name} {finding}.", peer.operation), hint)
}

/// The error for a server with which no TLS connection comes about.
pub fn refused_handshake(peer: &Peer<'_>, error: &rustls::Error) -> Error {
    let Peer { operation, name, setting, .. } = peer;
    let (finding, hint) = match error {
        rustls::Error::InvalidMessage(_) => (
            format!("{name} does not speak TLS at this port"),
            match peer.party {
                Some(_) => format!("Check the port in {setting}, or Port= in the connection string; https is on 443."),
                None => format!("Set {setting}=http://<host>:<port>; most proxies are spoken to in plain http."),
            },
        ),
        rustls::Error::AlertReceived(AlertDescription::ProtocolVersion)
        | rustls::Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
            | PeerIncompatible::ServerSentHelloRetryRequestWithUnknownExtension,
        ) => (
            format!("{name} speaks only versions of TLS before 1.2"),
            format!("Switch TLS 1.2 or 1.3 on at {name} (ssl_protocols TLSv1.2 TLSv1.3 in nginx)."),
        ),
        rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => (
            format!("{name} wants a certificate of this client, and Hubpass has none to show"),
            format!("Switch client certificates off at {name} for this client."),
        ),
        rustls::Error::AlertReceived(alert) => (
            format!("{name} refused the TLS handshake ({alert:?})"),
            format!(
                "Check {setting}; what {name} supports tells: openssl s_client -connect <host>:<port> -servername <host>"
            ),
        ),
        other => (
            format!("no TLS connection to {name} came about ({other})"),
            format!("Check {setting}, and what stands between this machine and {name}."),
        ),
    };
    Error::new(Code::TlsFailed, format!("{operation} failed: {finding}."), hint)
}

fn stranger(peer: &Peer<'_>, found: Stranger) -> (String, String) {
    let name = &peer.name;
    match found {
        Stranger::SelfSigned => (
            "is signed by itself, and this machine does not trust it".to_owned(),
            "If it is the right one, pass ca_file=<that certificate as PEM>, or set SSL_CERT_FILE; to see it: openssl s_client -connect <host>:<port> -showcerts".to_owned(),
        ),
        Stranger::Alone => (
            "came alone, and its issuer is not one that this machine trusts".to_owned(),
            format!(
                "Let {name} send the whole chain (fullchain.pem), without which its root may be trusted in vain; a private root goes into ca_file=<PEM file>, or SSL_CERT_FILE."
            ),
        ),
        Stranger::Namesake => (
            "is not signed by the trusted issuer of that name, whose key is another".to_owned(),
            "The issuer was probably made anew: pass ca_file=<PEM file with its present root certificate>, or set SSL_CERT_FILE.".to_owned(),
        ),
        Stranger::Chain => (
            "comes from an issuer that this machine does not trust".to_owned(),
            "Pass ca_file=<PEM file with the issuer's root certificate>, or set SSL_CERT_FILE; if a company proxy inspects TLS, it is the proxy's.".to_owned(),
        ),
    }
}

/// The names in a certificate, which rustls gives in a form such as `DnsName("a.example")`.
fn names(presented: &[String]) -> String {
    const SHOWN: usize = 4;
    let plain = |name: &String| {
        let inside = name.split_once('(').map_or(name.as_str(), |(_, inside)| inside.trim_end_matches(')'));
        inside.trim_matches('"').to_owned()
    };
    let mut list: Vec<String> = presented.iter().take(SHOWN).map(plain).collect();
    if presented.len() > SHOWN {
        list.push(format!("{} more", presented.len() - SHOWN));
    }
    if list.is_empty() { "no name at all".to_owned() } else { list.join(", ") }
}

/// A time as `2026-01-31 23:59 UTC`. The days are counted in years that begin in March, so that the leap day is the last
/// (the algorithm `civil_from_days` of Howard Hinnant's "chrono-Compatible Low-Level Date Algorithms").
fn date(time: UnixTime) -> String {
    let (days, seconds) = (time.as_secs() / 86_400, time.as_secs() % 86_400);
    let since_march = days + 719_468;
    let era = since_march / 146_097;
    let of_era = since_march % 146_097;
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02} UTC", seconds / 3_600, seconds % 3_600 / 60)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn dates_of_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00 UTC"),
            (951_782_399, "2000-02-28 23:59 UTC"),
            (951_782_400, "2000-02-29 00:00 UTC"),
            (951_868_800, "2000-03-01 00:00 UTC"),
            (1_767_225_599, "2025-12-31 23:59 UTC"),
            (1_767_225_600, "2026-01-01 00:00 UTC"),
            (4_107_542_400, "2100-03-01 00:00 UTC"),
        ] {
            assert_eq!(date(UnixTime::since_unix_epoch(Duration::from_secs(seconds))), text);
        }
    }

    #[test]
    fn names_are_shown_without_their_type_and_not_without_end() {
        let presented =
            |count: usize| (0..count).map(|number| format!("DnsName(\"{number}.example\")")).collect::<Vec<_>>();
        assert_eq!(names(&presented(1)), "0.example");
        assert_eq!(names(&presented(6)), "0.example, 1.example, 2.example, 3.example, 2 more");
        assert_eq!(names(&["IpAddress(127.0.0.1)".to_owned()]), "127.0.0.1");
        assert_eq!(names(&[]), "no name at all");
    }
}
