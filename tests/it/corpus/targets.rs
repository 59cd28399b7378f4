//! Targets: paths that two servers may read in two ways, and targets that are no paths.

use super::{Answered, Case, Normalised, Refused, SMUGGLED, Want, case};

pub(super) fn cases() -> Vec<Case> {
    let targets = TARGETS.iter().map(|(name, target, want)| {
        let text =
            format!("POST {target} HTTP/1.1\r\nhost: relay.test\r\n{{auth}}content-length: 2\r\n\r\n{{}}");
        case(&format!("target: {name}"), &text, *want)
    });
    let bytes = (1_u8..=31).chain([127]).filter(|byte| !matches!(byte, b'\n' | b'\r'));
    let controls = bytes.map(|byte| {
        let target = format!("/a/b{}c", byte as char);
        let text =
            format!("POST {target} HTTP/1.1\r\nhost: relay.test\r\n{{auth}}content-length: 2\r\n\r\n{{}}");
        case(&format!("target: control byte {byte}"), &text, Refused(400))
    });
    // What follows a request that two servers may read in two ways is no request.
    let followed = ["/a/../b", "/a//b", "/a%2fb"].map(|target| {
        let text = format!("GET {target} HTTP/1.1\r\nhost: relay.test\r\n{{auth}}\r\n{SMUGGLED}");
        case(&format!("target: {target} and a request behind it"), &text, Refused(400))
    });
    targets.chain(controls).chain(followed).collect()
}

/// Name, target, what must come of it.
const TARGETS: &[(&str, &str, Want)] = &[
    ("a whole address", "http://relay.test/a/b", Normalised("{}")),
    ("a whole address in capitals", "HTTP://RELAY.test/a/b", Normalised("{}")),
    ("a whole address of another host", "http://other.test/a/b", Refused(400)),
    ("a whole address of the metadata service", "http://169.254.169.254/latest/meta-data", Refused(400)),
    ("a whole address with a user", "http://user@relay.test/a/b", Refused(400)),
    ("another scheme", "ftp://relay.test/a/b", Refused(400)),
    ("a file", "file:///etc/passwd", Refused(400)),
    ("a name and a port", "relay.test:443", Refused(400)),
    ("no slash", "a/b", Refused(400)),
    ("a star", "*", Refused(400)),
    ("a question mark", "?a=b", Refused(400)),
    ("a fragment", "/a/b#c", Refused(400)),
    ("a fragment in a query", "/a/b?c#d", Refused(400)),
    ("bytes above 127", "/a/\u{e9}", Refused(400)),
    ("full-width dots", "/a/\u{ff0e}\u{ff0e}/b", Refused(400)),
    ("an over-long dot", "/a/%c0%ae%c0%ae/b", Refused(400)),
    ("a dot", "/./a/b", Refused(400)),
    ("two dots", "/a/../b/c", Refused(400)),
    ("two dots at the end", "/a/b/..", Refused(400)),
    ("encoded dots", "/a/%2e%2e/b", Refused(400)),
    ("half encoded dots", "/a/.%2E/b", Refused(400)),
    ("dots encoded twice", "/a/%252e%252e/b", Refused(400)),
    ("dots and a parameter", "/a/..;/b", Refused(400)),
    ("an encoded slash", "/a%2fb", Refused(400)),
    ("an encoded backslash", "/a%5cb", Refused(400)),
    ("a backslash", "/a\\b", Refused(400)),
    ("backslashes and dots", "/a\\..\\b", Refused(400)),
    ("an empty segment", "/a//b", Refused(400)),
    ("two slashes before", "//a/b", Refused(400)),
    ("another host after two slashes", "//other.test/a/b", Refused(400)),
    ("an encoded NUL", "/a/b%00", Refused(400)),
    ("an encoded line end", "/a/b%0d%0ax:%20y", Refused(400)),
    ("an encoded letter", "/%61/b", Refused(400)),
    ("a percent sign alone", "/a/b%", Refused(400)),
    ("a bad encoding", "/a/b%zz", Refused(400)),
    ("a semicolon", "/a/b;c", Refused(400)),
    ("an at sign", "/a@b/c", Refused(400)),
    ("a colon", "/a:b/c", Refused(400)),
    ("a comma", "/a,b/c", Refused(400)),
    ("a plus", "/a+b/c", Refused(400)),
    ("a tilde", "/~a/b", Refused(400)),
    ("angle brackets", "/<script>/b", Refused(400)),
    ("braces", "/{a}/b", Refused(400)),
    ("a quote", "/a\"/b", Refused(400)),
    ("a grave accent", "/a`/b", Refused(400)),
    ("angle brackets in a query", "/a/b?<c>", Refused(400)),
    ("a pipe", "/a|b/c", Refused(400)),
    ("one segment", "/a", Answered(404)),
    ("nothing", "/", Answered(404)),
    ("the operators' listener", "/api/v1/keys", Answered(404)),
    ("the metrics", "/metrics", Answered(404)),
    ("17 segments", "/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q", Refused(400)),
];
