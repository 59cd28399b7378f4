//! The hosts that uploads go to, and no others (invariant 10).

use super::bad;
use super::seal::ADDRESS_MAX_BYTES;
use crate::relay::refusal::Refusal;
use crate::upstream::{self, Host};

/// fal's media host as fal and its clients name it, wherever the relay reaches it.
pub(super) const FALS_MEDIA: &str = "https://v3.fal.media";

/// The configured hosts with the names under which fal speaks of them.
pub(in crate::relay) struct Hosts {
    media: String,
    all: Vec<(String, Host)>,
}

impl Hosts {
    /// The media host first, then the others in the order of the settings.
    pub(in crate::relay) fn new(settings: &upstream::Settings) -> Self {
        let others =
            settings.upload_hosts.iter().zip(0..).map(|(host, nth)| (&host.named, Host::Upload(nth)));
        let others = others.map(|(named, host)| (named.clone(), host));
        let media = [(settings.cdn_url.clone(), Host::Cdn), (FALS_MEDIA.to_owned(), Host::Cdn)];
        Self { media: settings.cdn_url.clone(), all: media.into_iter().chain(others).collect() }
    }

    /// Where fal's media host is.
    pub(super) fn media(&self) -> &str {
        &self.media
    }

    /// The host of an address, and what follows its name.
    pub(super) fn find<'a>(&self, address: &'a str) -> Result<(Host, &'a str), Refusal> {
        let below = |named: &str| address.strip_prefix(named).filter(|below| below.starts_with('/'));
        let found = self.all.iter().find_map(|(named, host)| Some((*host, below(named)?)));
        match found {
            Some((host, below)) if is_sound(below) && address.len() <= ADDRESS_MAX_BYTES => Ok((host, below)),
            Some(_) => Err(bad("its address is malformed or too long")),
            None => {
                let origin: String = origin(address).chars().take(80).collect();
                tracing::error!(%origin, "fal gave an address to upload to at a host that is not in upstream.upload_urls; add it there");
                Err(bad("its address is at a host that is not configured"))
            }
        }
    }

    /// The path of an address on the media host.
    pub(super) fn on_media<'a>(&self, address: &'a str) -> Option<&'a str> {
        let below = |named: &str| address.strip_prefix(named).filter(|path| path.starts_with('/'));
        below(&self.media).or_else(|| below(FALS_MEDIA))
    }
}

/// Scheme and host, which is all that a log may hold of an address that opens something.
fn origin(address: &str) -> &str {
    let host = address.find("://").map_or(0, |at| at + 3);
    let end = address[host..].find(['/', '?', '#']).map_or(address.len(), |at| host + at);
    &address[..end]
}

/// Whether it can be sent as it is: visible, without a fragment, and not to be resolved to something else.
fn is_sound(path_and_query: &str) -> bool {
    let path = path_and_query.split('?').next().unwrap_or_default();
    path_and_query.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#' && byte != b'\\')
        && !path.split('/').any(|segment| matches!(segment, "." | ".."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::UploadHost;

    fn hosts() -> Hosts {
        let upload_hosts = vec![UploadHost::at("https://storage.example".into())];
        Hosts::new(&upstream::Settings { upload_hosts, ..upstream::Settings::default() })
    }

    #[test]
    fn an_address_is_of_a_configured_host() {
        let hosts = hosts();
        assert_eq!(hosts.find("https://v3.fal.media/a?b=c").unwrap(), (Host::Cdn, "/a?b=c"));
        assert_eq!(hosts.find("https://storage.example/a").unwrap(), (Host::Upload(0), "/a"));
    }

    #[test]
    fn invariant_10_an_address_of_another_host_is_none() {
        for address in [
            "https://v3.fal.media.evil.example/a",
            "https://v3.fal.media@evil.example/a",
            "https://v3.fal.media:444/a",
            "http://v3.fal.media/a",
            "https://evil.example/https://v3.fal.media/a",
            "https://v3.fal.media",
            "https://v3.fal.media/../a",
            "https://v3.fal.media/a#b",
            "https://v3.fal.media/a b",
            "https://v3.fal.media/a\r\nb",
            "//v3.fal.media/a",
            "",
        ] {
            assert!(hosts().find(address).is_err(), "{address}");
        }
        let long = format!("https://v3.fal.media/{}", "a".repeat(ADDRESS_MAX_BYTES));
        assert!(hosts().find(&long).is_err());
    }

    #[test]
    fn a_log_is_told_the_host_and_nothing_that_opens_anything() {
        assert_eq!(origin("https://a.example/secret?x"), "https://a.example");
        assert_eq!(origin("https://a.example?secret"), "https://a.example");
        assert_eq!(origin("secretless"), "secretless");
    }
}
