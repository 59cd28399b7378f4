//! Header fields: their form, and those that speak of the connection.

use super::{Case, Normalised, Refused, RefusedSecond, SMUGGLED, Want, case, submit};

pub(super) fn cases() -> Vec<Case> {
    let fields = FIELDS.iter().map(|(name, lines, want)| {
        case(name, &submit(&format!("{lines}content-length: 2\r\n"), "{}"), *want)
    });
    let bytes = (0_u8..=32).chain([127]).filter(|byte| !matches!(byte, b'\t' | b' ' | b'\n' | b'\r'));
    let controls = bytes.map(|byte| {
        let lines = format!("x-a: b{}c\r\ncontent-length: 2\r\n", byte as char);
        case(&format!("control byte {byte} in a value"), &submit(&lines, "{}"), Refused(400))
    });
    let hosts = HOSTS.iter().map(|(name, lines, want)| {
        case(name, &format!("POST /a/b HTTP/1.1\r\n{lines}{{auth}}content-length: 2\r\n\r\n{{}}"), *want)
    });
    let second = [case(
        "a malformed request behind a good one",
        &submit(
            "content-length: 2\r\n",
            &format!("{{}}{}", SMUGGLED.replace("content-length: 2", "content-length: +2")),
        ),
        RefusedSecond(400),
    )];
    fields.chain(controls).chain(hosts).chain(second).collect()
}

/// Name, header lines, what must come of it.
const FIELDS: &[(&str, &str, Want)] = &[
    ("a folded line", "x-a: b\r\n c\r\n", Refused(400)),
    ("a line folded with a tab", "x-a: b\r\n\tc\r\n", Refused(400)),
    ("a space before the colon", "x-a : b\r\n", Refused(400)),
    ("a tab before the colon", "x-a\t: b\r\n", Refused(400)),
    ("no name", ": b\r\n", Refused(400)),
    ("no colon", "x-a\r\n", Refused(400)),
    ("a space in a name", "x a: b\r\n", Refused(400)),
    ("a NUL in a name", "x\u{0}a: b\r\n", Refused(400)),
    ("a bracket in a name", "x(a): b\r\n", Refused(400)),
    ("a slash in a name", "x/a: b\r\n", Refused(400)),
    ("a quote in a name", "x\"a\": b\r\n", Refused(400)),
    ("a byte above 127 in a name", "x\u{e9}: b\r\n", Refused(400)),
    ("a bare CR in a value", "x-a: b\rc\r\n", Refused(400)),
    ("a bare CR that hides a field", "x-a: b\rcontent-length: 100\r\n", Refused(400)),
    ("a bare LF that ends a line", "x-a: b\n", Refused(400)),
    ("a bare LF that hides a field", "x-a: b\ntransfer-encoding: chunked\r\n", Refused(400)),
    ("two CR before the LF", "x-a: b\r\r\n", Refused(400)),
    ("an empty value", "x-a:\r\n", Normalised("{}")),
    ("a colon in a value", "x-a: b:c\r\n", Normalised("{}")),
    ("bytes above 127 in a value", "x-a: \u{e9}\r\n", Normalised("{}")),
    ("an unknown header", "x-unknown: 1\r\n", Normalised("{}")),
    ("Connection names the key", "connection: authorization\r\n", Refused(400)),
    ("Connection names the key among others", "connection: keep-alive, Authorization\r\n", Refused(400)),
    (
        "Connection names the key on a second line",
        "connection: keep-alive\r\nconnection: authorization\r\n",
        Refused(400),
    ),
    ("Connection names the host", "connection: host\r\n", Refused(400)),
    ("Connection names the length", "connection: close, content-length\r\n", Refused(400)),
    ("Connection names the coding", "connection: transfer-encoding\r\n", Refused(400)),
    ("Connection names the media type", "connection: content-type\r\n", Refused(400)),
    (
        "Connection names one of fal's headers",
        "connection: x-fal-store-io\r\nx-fal-store-io: 0\r\n",
        Normalised("{}"),
    ),
    ("Connection names nothing", "connection: ,,\r\n", Normalised("{}")),
    (
        "hop-by-hop headers",
        "te: trailers\r\nkeep-alive: timeout=5\r\nproxy-connection: close\r\ntrailer: x\r\n",
        Normalised("{}"),
    ),
    ("a proxy's key", "proxy-authorization: Basic x\r\n", Normalised("{}")),
    ("upgrade to a WebSocket", "connection: upgrade\r\nupgrade: websocket\r\n", Refused(400)),
    ("upgrade to TLS", "connection: upgrade\r\nupgrade: TLS/1.0\r\n", Refused(400)),
    ("upgrade to HTTP/2 among others", "connection: upgrade\r\nupgrade: h2c, websocket\r\n", Refused(400)),
    ("upgrade without Connection", "upgrade: websocket\r\n", Refused(400)),
    (
        "an offer of HTTP/2",
        "connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n",
        Normalised("{}"),
    ),
    ("an expectation that nobody has", "expect: 200-maybe\r\n", Normalised("{}")),
    ("a method in a header", "x-http-method-override: DELETE\r\n", Normalised("{}")),
    (
        "a target in a header",
        "x-original-url: /smuggled/x\r\nx-rewrite-url: /smuggled/x\r\n",
        Normalised("{}"),
    ),
    ("two keys", "authorization: Key other\r\n", Refused(400)),
];

/// Name, header lines, what must come of it.
const HOSTS: &[(&str, &str, Want)] = &[
    ("no host", "", Refused(400)),
    ("an empty host", "host:\r\n", Refused(400)),
    ("two hosts", "host: relay.test\r\nhost: other.test\r\n", Refused(400)),
    ("two equal hosts", "host: relay.test\r\nHost: relay.test\r\n", Refused(400)),
    ("a host with a path", "host: relay.test/a\r\n", Refused(400)),
    ("a host with a user", "host: user@relay.test\r\n", Refused(400)),
    ("a host with a space", "host: relay test\r\n", Refused(400)),
    ("a list of hosts", "host: relay.test, other.test\r\n", Refused(400)),
    ("a host with a quote", "host: relay\"test\r\n", Refused(400)),
    ("a host with a CR", "host: relay\rtest\r\n", Refused(400)),
    ("a host with a space before its colon", "host : relay.test\r\n", Refused(400)),
    ("a folded host", "host:\r\n relay.test\r\n", Refused(400)),
    ("a host above 127", "host: r\u{e9}lay\r\n", Refused(400)),
];
