//! What `--sandbox` means: everything that would go to fal goes to a simulated one on this machine, and what is written
//! stays apart from the real store.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::said::{Entry, Said, Value};
use super::{Config, Origin, values};
use crate::upstream::UploadHost;

impl Config {
    /// Sends everything that would go to fal to the sandbox that listens at `listen` instead. It is reached on this
    /// machine, under whatever address `named` it names itself in its answers.
    pub fn point_at_sandbox(&mut self, listen: SocketAddr, named: &str) {
        let base = base_of(listen);
        let face = |name: &str| face(&base, name);
        self.upstream.queue_url = face("queue");
        self.upstream.run_url = face("run");
        self.upstream.rest_url = face("rest");
        self.upstream.api_url = face("api");
        self.platform.url = face("api");
        self.upstream.cdn_url = face("cdn");
        self.upstream.ws_url = face("ws");
        self.upstream.jwks_url = face("jwks");
        self.upstream.queue_aliases = aliases(Some(named).filter(|named| *named != base));
        // It may name itself by its public address in the addresses that it gives out to be uploaded to.
        let named = format!("{}/cdn", named.trim_end_matches('/'));
        self.upstream.upload_hosts = vec![UploadHost { named, url: face("cdn") }];
    }
}

/// The address at which the sandbox plays one of fal's servers.
fn face(base: &str, name: &str) -> String {
    match name {
        "ws" => format!("{}/ws", base.replacen("http", "ws", 1)),
        "jwks" => format!("{base}/rest/.well-known/jwks.json"),
        name => format!("{base}/{name}"),
    }
}

/// The sandbox names itself by its public address, when it has one.
fn aliases(public_url: Option<&str>) -> Vec<String> {
    public_url.iter().map(|url| face(url.trim_end_matches('/'), "queue")).collect()
}

/// Lays what `--sandbox` means over what was said.
pub(super) fn lay_over(said: &mut Said) {
    refuse_other_machines(said);
    let base = base_of(text(said, "sandbox.listen").parse().unwrap_or(([127, 0, 0, 1], 0).into()));
    for key in upstream_urls(said) {
        let name = key.trim_start_matches("upstream.").trim_end_matches("_url");
        said.set(&key, Value::Text(face(&base, name)), Origin::Sandbox);
    }
    let public_url = Some(text(said, "sandbox.public_url")).filter(|url| !url.is_empty());
    said.set("upstream.queue_aliases", Value::List(aliases(public_url.as_deref())), Origin::Sandbox);
    said.set("upstream.upload_urls", Value::List(vec![face(&base, "cdn")]), Origin::Sandbox);
    place_store(said);
}

/// An operator who names a server elsewhere and asks for the sandbox is mistaken in one of the two.
fn refuse_other_machines(said: &mut Said) {
    for key in upstream_urls(said) {
        let away = |entry: &&Entry| matches!(&entry.value, Value::Text(url) if !values::is_loopback(url));
        if let Some(at) = said.get(&key).filter(away).map(|entry| entry.origin.clone())
            && at != Origin::Default
        {
            said.refuse(at, key, "points away from this machine; leave it out to use --sandbox");
        }
    }
}

/// The store lies in the sandbox's folder, unless the operator named one.
fn place_store(said: &mut Said) {
    if said.was_said("store.url") {
        said.notices
            .push("the sandbox uses the store that store.url names; keep it apart from a real one".into());
    } else {
        let url = format!("sqlite://{}/relay.db", text(said, "sandbox.data_dir").trim_end_matches('/'));
        said.set("store.url", Value::Text(url), Origin::Sandbox);
    }
}

fn upstream_urls(said: &Said) -> Vec<String> {
    let is_url = |key: &&String| key.starts_with("upstream.") && key.ends_with("_url");
    said.entries.iter().map(|entry| &entry.key).filter(is_url).cloned().collect()
}

fn text(said: &Said, key: &str) -> String {
    match said.get(key).map(|entry| &entry.value) {
        Some(Value::Text(text)) => text.clone(),
        _ => String::new(),
    }
}

/// Where a program on this machine reaches a listener.
fn base_of(listen: SocketAddr) -> String {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    format!("http://{}", SocketAddr::new(ip, listen.port()))
}
