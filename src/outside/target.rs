//! An address that was judged.

use std::net::IpAddr;

use url::{Host, Url};

use super::{Guard, Refused};

/// The longest address.
const TARGET_MAX_BYTES: usize = 2048;

/// Ports from 1024 on that other protocols listen on: databases, caches, mail, chat, files. Below it only those of the web
/// are called. A request to such a port could be read as a command.
const NOT_FOR_THE_WEB: &[u16] = &[
    1719, 1720, 1723, 2049, 2375, 2376, 2379, 2380, 3306, 3389, 3659, 4045, 4190, 5060, 5061, 5432, 5672,
    5900, 6000, 6379, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 9042, 9092, 9100, 9200, 9300, 10080,
    10250, 11211, 27017,
];

/// The name that stands for no receiver: what is to be sent there is for those alone who listen at the relay. Names that end
/// like it never lead anywhere (RFC 2606).
const LISTENERS: &str = "listen.invalid";

/// An address outside that may be called. It prints without its path and query, which may hold a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Target(Url);

impl Target {
    pub(super) fn judge(text: &str, guard: &Guard) -> Result<Self, Refused> {
        if text.len() > TARGET_MAX_BYTES {
            return Err(Refused::Long { max: TARGET_MAX_BYTES });
        }
        let url = read(text)?;
        match url.scheme() {
            "https" => {}
            "http" if guard.settings.allow_http => {}
            _ => return Err(Refused::Scheme),
        }
        if !url.username().is_empty() || url.password().is_some() || has_user_info(text) {
            return Err(Refused::UserInfo);
        }
        check_port(url.port_or_known_default().unwrap_or(0))?;
        check_host(&url, guard)?;
        Ok(Self(url))
    }

    /// The address in its normal form, as it is called.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Host and port: those who share them share a receiver.
    pub fn authority(&self) -> String {
        let port = self.0.port_or_known_default().unwrap_or(0);
        format!("{}:{port}", self.0.host_str().unwrap_or_default())
    }

    /// Whether nobody is to be called: it is for listeners.
    pub fn is_for_listeners(&self) -> bool {
        self.0.host_str() == Some(LISTENERS)
    }

    pub(super) fn url(&self) -> Url {
        self.0.clone()
    }
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Target({}://{}/..)", self.0.scheme(), self.authority())
    }
}

/// Reads it as browsers do, which also makes one form of all spellings of a number. What they quietly leave out or turn is
/// not taken.
fn read(text: &str) -> Result<Url, Refused> {
    let odd = |c: char| c.is_control() || c.is_whitespace() || c == '\\';
    let rest = text.split_once("://").map(|(_, rest)| rest);
    if text.contains(odd) || rest.is_none_or(|rest| rest.starts_with(['/', '?', '#'])) {
        return Err(Refused::Form);
    }
    Url::parse(text).ok().filter(Url::has_host).ok_or(Refused::Form)
}

/// An empty user name leaves no trace in the read address.
fn has_user_info(text: &str) -> bool {
    let authority = text.split_once("://").and_then(|(_, rest)| rest.split(['/', '?', '#']).next());
    authority.is_some_and(|authority| authority.contains('@'))
}

fn check_port(port: u16) -> Result<(), Refused> {
    match port {
        80 | 443 => Ok(()),
        0..1024 => Err(Refused::Port(port)),
        port if NOT_FOR_THE_WEB.contains(&port) => Err(Refused::Port(port)),
        _ => Ok(()),
    }
}

/// Numbers are judged here, since nobody looks them up. So is a name that always means this machine.
fn check_host(url: &Url, guard: &Guard) -> Result<(), Refused> {
    match url.host().ok_or(Refused::Form)? {
        Host::Ipv4(address) => guard.judge_ip(address.into()),
        Host::Ipv6(address) => guard.judge_ip(address.into()),
        Host::Domain(name) => {
            let name = name.trim_end_matches('.');
            let here = name == "localhost" || name.ends_with(".localhost");
            match here {
                true => guard
                    .judge_ip(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST))
                    .or_else(|_| guard.judge_ip(IpAddr::V6(std::net::Ipv6Addr::LOCALHOST))),
                false if name.is_empty() => Err(Refused::Form),
                false => Ok(()),
            }
        }
    }
}
