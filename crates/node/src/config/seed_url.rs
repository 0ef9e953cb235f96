use std::{fmt, net::IpAddr, str::FromStr};

use ureq::http::Uri;

/// Where a list of seed addresses is fetched: an `https` URL, or an `http` one whose host is an address of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeedUrl(Uri);

/// Text that is no [`SeedUrl`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no place of a seed list: {reason}; https://seeds.example.org/bruit.txt is wanted")]
pub struct SeedUrlError {
    text: String,
    reason: &'static str,
}

impl SeedUrl {
    /// The URL.
    pub(crate) const fn uri(&self) -> &Uri {
        &self.0
    }

    /// Whether it leads out of this machine, so that only `https` will do.
    pub(crate) fn is_https(&self) -> bool {
        self.0.scheme_str() == Some("https")
    }
}

impl FromStr for SeedUrl {
    type Err = SeedUrlError;

    fn from_str(text: &str) -> Result<Self, SeedUrlError> {
        let refused = |reason| SeedUrlError { text: text.to_owned(), reason };
        let uri: Uri = text.parse().map_err(|_| refused("it is no URL"))?;
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(|| refused("it names no host"))?;
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            // The password is said nowhere.
            let text = format!("a URL at {host}");
            return Err(SeedUrlError { text, reason: "it holds a user's name, which would be logged" });
        }
        let ip = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        match uri.scheme_str() {
            Some("https") => Ok(Self(uri)),
            Some("http") if ip.is_ok_and(|ip| ip.is_loopback()) => Ok(Self(uri)),
            Some("http") => Err(refused("by http anybody on the way could change it")),
            Some(_) | None => Err(refused("it does not begin with https://")),
        }
    }
}

impl fmt::Display for SeedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_list_is_fetched_by_https_or_from_this_machine() {
        for text in ["https://seeds.example.org/list.txt?v=1", "http://127.0.0.1:8080/list", "http://[::1]:80/list"] {
            assert_eq!(text.parse::<SeedUrl>().unwrap().to_string(), text);
        }
        for (text, reason) in [
            ("http://seeds.example.org/list", "anybody on the way"),
            ("http://localhost/list", "anybody on the way"),
            ("http://192.168.1.1/list", "anybody on the way"),
            ("ftp://seeds.example.org/list", "https://"),
            ("seeds.example.org", "https://"),
            ("/list.txt", "no host"),
            ("https://", "no URL"),
            ("https://me:secret@seeds.example.org/", "user's name"),
            ("a b", "no URL"),
        ] {
            let error = text.parse::<SeedUrl>().unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
