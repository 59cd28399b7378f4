//! What was meant: each room's settings, read out of what was said.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use tracing::Level;

use super::reader::Reader;
use super::values;
use crate::money::Usd;
use crate::pricing::{Policy, Unknown};
use crate::telemetry::Format;
use crate::{billing, http, outside, platform, relay, sandbox, store, telemetry, tls, upstream, webhooks};

const WEB: &[&str] = &["https", "http"];
const SOCKETS: &[&str] = &["wss", "ws"];

/// Connections, requests and cache entries: more than a machine holds.
const MAX_COUNT: i64 = 100_000_000;

impl Reader<'_> {
    pub(super) fn server(&mut self) -> http::Settings {
        http::Settings {
            listen: self.socket("server.listen"),
            https_listen: self.socket("server.https_listen"),
            admin_listen: self.socket("server.admin_listen"),
            public_url: self.optional_url("server.public_url", WEB),
            proxy_path: self.route("server.proxy_path"),
            trusted_proxies: self.list("server.trusted_proxies", values::network),
            workers: NonZeroUsize::new(self.number("server.workers", 0..=1024)),
            max_connections: self.number("server.max_connections", 1..=MAX_COUNT),
            max_connections_per_address: NonZeroU32::new(
                self.number("server.max_connections_per_address", 0..=MAX_COUNT),
            ),
            head_timeout: self.seconds("server.head_timeout_seconds"),
            keep_alive: self.seconds("server.keep_alive_seconds"),
            body_idle: self.seconds("server.body_idle_seconds"),
            body_min_bytes_per_second: NonZeroU32::new(
                self.number("server.body_min_bytes_per_second", 1..=1_000_000_000),
            )
            .unwrap_or(NonZeroU32::MIN),
            write_idle: self.seconds("server.write_idle_seconds"),
            drain_delay: self.seconds_or_none("server.drain_delay_seconds"),
            drain: self.seconds("server.drain_seconds"),
            // The lower bound is hyper's smallest buffer.
            max_head_bytes: self.number("server.max_head_bytes", 8192..=16 * 1024 * 1024),
            // The upper bounds are those of the `http` crate's header map and target.
            max_headers: self.number("server.max_headers", 16..=32_768),
            max_target_bytes: self.number("server.max_target_bytes", 256..=65_534),
            max_streams: self.number("server.max_streams", 1..=100_000),
            allow_origins: self.list("cors.allow_origins", values::allow_origin),
            hosts: http::Hosts {
                queue: self.list("server.hosts.queue", values::host_name),
                run: self.list("server.hosts.run", values::host_name),
                rest: self.list("server.hosts.rest", values::host_name),
                ws: self.list("server.hosts.ws", values::host_name),
                cdn: self.list("server.hosts.cdn", values::host_name),
            },
        }
    }

    pub(super) fn tls(&mut self) -> tls::Settings {
        let certificate = self.optional_file("tls.certificate_file");
        let key = self.optional_file("tls.key_file");
        let missing = |said: &str| format!("is empty, though {said} is set; https needs both");
        match (self.said.is_empty("tls.certificate_file"), self.said.is_empty("tls.key_file")) {
            (true, false) => self.refuse("tls.certificate_file", missing("tls.key_file")),
            (false, true) => self.refuse("tls.key_file", missing("tls.certificate_file")),
            _ => {}
        }
        let files = certificate.zip(key);
        tls::Settings {
            files: files
                .map(|(certificate_file, key_file)| tls::CertificateFiles { certificate_file, key_file }),
            reload: self.seconds("tls.reload_seconds"),
        }
    }

    pub(super) fn upstream(&mut self) -> upstream::Settings {
        let allow_plain = self.switch("upstream.allow_insecure");
        upstream::Settings {
            queue_url: self.server_of_fal("upstream.queue_url", WEB, allow_plain),
            run_url: self.server_of_fal("upstream.run_url", WEB, allow_plain),
            rest_url: self.server_of_fal("upstream.rest_url", WEB, allow_plain),
            api_url: self.server_of_fal("upstream.api_url", WEB, allow_plain),
            cdn_url: self.server_of_fal("upstream.cdn_url", WEB, allow_plain),
            upload_hosts: self.upload_hosts(allow_plain),
            ws_url: self.server_of_fal("upstream.ws_url", SOCKETS, allow_plain),
            jwks_url: self.server_of_fal("upstream.jwks_url", WEB, allow_plain),
            queue_aliases: self.list("upstream.queue_aliases", |url| values::base_url(url, WEB)),
            ca_file: self.optional_file("upstream.ca_file"),
            connect_timeout: self.millis("upstream.connect_timeout_ms"),
            queue_head_timeout: self.seconds("upstream.queue_head_timeout_seconds"),
            run_head_timeout: self.seconds("upstream.run_head_timeout_seconds"),
            upload_head_timeout: self.seconds("upstream.upload_head_timeout_seconds"),
            body_idle: self.seconds("upstream.body_idle_seconds"),
            pool_idle: self.seconds("upstream.pool_idle_seconds"),
            pool_max_idle: self.number("upstream.pool_max_idle", 0..=MAX_COUNT),
            http2: self.switch("upstream.http2"),
            loopback_only: self.said.sandbox,
        }
    }

    fn upload_hosts(&mut self, allow_plain: bool) -> Vec<upstream::UploadHost> {
        let key = "upstream.upload_urls";
        let urls = self.list(key, |url| {
            let url = values::base_url(url, WEB)?;
            match values::is_plain(&url) && !allow_plain && !values::is_loopback(&url) {
                true => Err(format!("holds {url:?}, to which files would travel unencrypted; use https://")),
                false => Ok(url),
            }
        });
        if urls.len() > upstream::UPLOAD_HOSTS_MAX {
            self.refuse(key, format!("holds more than {} addresses", upstream::UPLOAD_HOSTS_MAX));
        }
        urls.into_iter().take(upstream::UPLOAD_HOSTS_MAX).map(upstream::UploadHost::at).collect()
    }

    /// The address of one of fal's servers: encrypted, unless it is this machine or the operator insists.
    fn server_of_fal(&mut self, key: &str, schemes: &[&str], allow_plain: bool) -> String {
        let url = self.url(key, schemes);
        if values::is_plain(&url) && !allow_plain && !values::is_loopback(&url) {
            let secure = schemes[0];
            self.refuse(key, format!(
                "would carry your fal key unencrypted; use {secure}:// or, in a network closed to others, set upstream.allow_insecure"
            ));
        }
        url
    }

    pub(super) fn store(&mut self) -> store::Settings {
        store::Settings {
            sqlite_path: self.sqlite_path("store.url"),
            batch_max: self.number("store.batch_max", 1..=100_000),
        }
    }

    pub(super) fn relay(&mut self) -> relay::Settings {
        relay::Settings {
            max_body_bytes: self.number("relay.max_body_bytes", 1..=i64::MAX),
            identity_cache_entries: self.number("relay.identity_cache_entries", 1..=MAX_COUNT),
            owner_cache_entries: self.number("relay.owner_cache_entries", 1..=MAX_COUNT),
            key_check: self.millis("relay.key_check_ms"),
            watch_after: self.seconds("relay.watch_after_seconds"),
            realtime: relay::RealtimeSettings {
                max_message_bytes: self.number("realtime.max_message_bytes", 1..=i64::MAX),
                idle: self.seconds("realtime.idle_seconds"),
                max: self.seconds("realtime.max_seconds"),
                stall: self.seconds("realtime.stall_seconds"),
                hold: self.seconds("realtime.hold_seconds"),
                hold_messages: self.number("realtime.hold_messages", 1..=MAX_COUNT),
            },
            pricing: self.pricing(),
            // It has been checked with the listeners.
            public_url: self
                .text("server.public_url", |url| Ok(values::base_url(url, WEB).ok()))
                .filter(|url| !url.is_empty()),
            max_payload_bytes: self.number("webhooks.max_payload_bytes", 0..=1024 * 1024 * 1024),
            uploads: relay::Uploads {
                through_relay: self.switch("uploads.through_relay"),
                max_bytes: self.number("uploads.max_bytes", 1..=i64::MAX),
                address_life: self.seconds("uploads.address_seconds"),
                pass_downloads: self.switch("uploads.pass_downloads"),
            },
        }
    }

    pub(super) fn webhooks(&mut self) -> webhooks::Settings {
        webhooks::Settings {
            retry_after: self.list("webhooks.retry_after", values::wait),
            answer_timeout: self.seconds("webhooks.answer_timeout_seconds"),
            max_at_once: self.number("webhooks.max_at_once", 1..=10_000),
            max_at_once_per_target: self.number("webhooks.max_at_once_per_target", 1..=10_000),
            // A year.
            keep: Duration::from_secs(self.number::<u64>("webhooks.keep_days", 1..=366) * 24 * 3600),
        }
    }

    fn pricing(&mut self) -> relay::Pricing {
        let unknown = [("refuse", Unknown::Refuse), ("ceiling", Unknown::Ceiling), ("flag", Unknown::Flag)];
        relay::Pricing {
            policy: Policy {
                unknown: self.choice("pricing.unknown", &unknown, Unknown::Ceiling),
                ceiling: self
                    .text("pricing.ceiling_usd", |text| Usd::parse(text).map_err(|error| error.to_string())),
            },
            overrides: self.list("pricing.overrides", values::price_override),
        }
    }

    /// The address has been checked with the others of fal's.
    pub(super) fn platform(&mut self) -> platform::Settings {
        platform::Settings {
            url: self.text("upstream.api_url", |url| Ok(url.trim_end_matches('/').to_owned())),
            connect_timeout: self.millis("upstream.connect_timeout_ms"),
            requests_per_second: NonZeroU32::new(self.number("pricing.requests_per_second", 1..=100))
                .unwrap_or(NonZeroU32::MIN),
            loopback_only: self.said.sandbox,
        }
    }

    pub(super) fn billing(&mut self) -> billing::Settings {
        let daily = [("daily", true), ("off", false)];
        billing::Settings {
            sync: self.choice("pricing.sync", &daily, false),
            sync_after: self.hours("pricing.sync_hours"),
            reconcile: self.choice("pricing.reconcile", &daily, false),
            unknown_after: self.hours("relay.unknown_after_hours"),
        }
    }

    fn hours(&mut self, key: &str) -> Duration {
        // A month: what is older than that nobody looks after.
        Duration::from_secs(self.number::<u64>(key, 1..=24 * 30) * 3600)
    }

    pub(super) fn outside(&mut self) -> outside::Settings {
        outside::Settings {
            allow_targets: self.list("webhooks.allow_targets", values::network),
            allow_http: self.switch("webhooks.allow_http"),
            loopback_only: self.said.sandbox,
        }
    }

    pub(super) fn log(&mut self) -> telemetry::Settings {
        let formats = [("auto", Format::Auto), ("text", Format::Text), ("json", Format::Json)];
        let levels = [
            ("error", Level::ERROR),
            ("warn", Level::WARN),
            ("info", Level::INFO),
            ("debug", Level::DEBUG),
            ("trace", Level::TRACE),
        ];
        telemetry::Settings {
            format: self.choice("log.format", &formats, Format::Auto),
            level: self.choice("log.level", &levels, Level::INFO),
        }
    }

    pub(super) fn sandbox(&mut self) -> sandbox::Settings {
        sandbox::Settings {
            listen: self.socket("sandbox.listen"),
            public_url: self.optional_url("sandbox.public_url", WEB),
            seed: self.number("sandbox.seed", 0..=i64::MAX),
            // An hour: a step that lasts longer tells nothing more.
            step_ms: self.number("sandbox.step_ms", 0..=3_600_000),
            max_requests: self.number("sandbox.max_requests", 1..=MAX_COUNT),
            data_dir: self.path("sandbox.data_dir"),
        }
    }
}
