//! One of fal's hosts: where it is, and how a request names it.

use http::{HeaderValue, Request, Uri, Version, header, uri};
use url::Url;

use super::error::UpstreamError;

/// A host address in the configuration cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not an http or https address with a host")]
pub struct BadOrigin(pub String);

/// One of fal's hosts, from the configuration and from nowhere else (invariant 10).
#[derive(Clone, Debug)]
pub(super) struct Origin {
    pub(super) secure: bool,
    pub(super) host: String,
    pub(super) port: u16,
    authority: uri::Authority,
    host_header: HeaderValue,
    prefix: String,
}

impl Origin {
    pub(super) fn parse(address: &str) -> Result<Self, BadOrigin> {
        let bad = || BadOrigin(address.to_owned());
        let url = Url::parse(address).map_err(|_| bad())?;
        let secure = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return Err(bad()),
        };
        let host = url.host_str().ok_or_else(bad)?;
        let authority = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        Ok(Self {
            secure,
            host: host.trim_matches(['[', ']']).to_owned(),
            port: url.port_or_known_default().ok_or_else(bad)?,
            host_header: HeaderValue::from_str(&authority).map_err(|_| bad())?,
            authority: authority.parse().map_err(|_| bad())?,
            prefix: url.path().trim_end_matches('/').to_owned(),
        })
    }

    /// What errors and logs call it.
    pub(super) fn name(&self) -> &str {
        self.authority.as_str()
    }

    /// What came back from here is not to be used.
    pub(super) fn garbage(&self, reason: &str) -> UpstreamError {
        UpstreamError::Garbage { host: self.name().to_owned(), reason: reason.to_owned() }
    }

    /// Puts the host's prefix before a path.
    pub(super) fn target(&self, mut path_and_query: String) -> Result<uri::PathAndQuery, http::Error> {
        path_and_query.insert_str(0, &self.prefix);
        Ok(uri::PathAndQuery::try_from(path_and_query)?)
    }

    /// Writes the target in the form of the connection's version: HTTP/1 names the host in a field, HTTP/2 in the URI.
    pub(super) fn address<B>(&self, request: &mut Request<B>, version: Version) -> Result<(), http::Error> {
        *request.version_mut() = version;
        let path_and_query = request.uri().path_and_query();
        if version == Version::HTTP_2 {
            let mut uri = uri::Parts::default();
            uri.path_and_query = path_and_query.cloned();
            uri.scheme = Some(if self.secure { uri::Scheme::HTTPS } else { uri::Scheme::HTTP });
            uri.authority = Some(self.authority.clone());
            *request.uri_mut() = Uri::from_parts(uri)?;
            request.headers_mut().remove(header::HOST);
        } else {
            if let Some(path_and_query) = path_and_query
                && request.uri().authority().is_some()
            {
                *request.uri_mut() = path_and_query.clone().into();
            }
            request.headers_mut().insert(header::HOST, self.host_header.clone());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_keeps_its_prefix_and_names_its_port_only_when_it_must() {
        let origin = Origin::parse("http://127.0.0.1:9001/queue/").unwrap();
        assert_eq!((origin.secure, origin.port, origin.name()), (false, 9001, "127.0.0.1:9001"));
        assert_eq!(origin.target("/a/b?c=1".to_owned()).unwrap(), "/queue/a/b?c=1");
        assert_eq!(Origin::parse("https://queue.fal.run").unwrap().name(), "queue.fal.run");
        assert_eq!(Origin::parse("http://[::1]:80").unwrap().host, "::1");
    }

    #[test]
    fn other_schemes_are_no_origins() {
        for bad in ["ftp://fal.run", "fal.run", "https://", ""] {
            assert!(Origin::parse(bad).is_err(), "{bad}");
        }
    }
}
