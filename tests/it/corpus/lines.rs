//! Request lines, versions, and what stands before them.

use super::{Answered, Case, Normalised, Refused, SMUGGLED, Silence, Want, case};

const REST: &str = "host: relay.test\r\n{auth}content-length: 2\r\n\r\n{}";

pub(super) fn cases() -> Vec<Case> {
    let first = FIRST_LINES.iter().map(|(name, line, want)| case(name, &format!("{line}{REST}"), *want));
    let whole = WHOLE.iter().map(|(name, text, want)| {
        case(name, &text.replace("{smuggled}", SMUGGLED).replace("{rest}", REST), *want)
    });
    let long = [case(
        "a method of 100 letters",
        &format!("{} /a/b HTTP/1.1\r\n{REST}", "M".repeat(100)),
        Refused(400),
    )];
    first.chain(whole).chain(long).collect()
}

/// Name, first line with its end, what must come of it.
const FIRST_LINES: &[(&str, &str, Want)] = &[
    ("a good line", "POST /a/b HTTP/1.1\r\n", Normalised("{}")),
    ("one empty line before", "\r\nPOST /a/b HTTP/1.1\r\n", Normalised("{}")),
    ("two empty lines before", "\r\n\r\nPOST /a/b HTTP/1.1\r\n", Refused(400)),
    ("a bare LF before", "\nPOST /a/b HTTP/1.1\r\n", Refused(400)),
    ("a space before", " POST /a/b HTTP/1.1\r\n", Refused(400)),
    ("a NUL before", "\u{0}POST /a/b HTTP/1.1\r\n", Refused(400)),
    ("a byte order mark before", "\u{feff}POST /a/b HTTP/1.1\r\n", Refused(400)),
    ("two spaces", "POST  /a/b HTTP/1.1\r\n", Refused(400)),
    ("two spaces before the version", "POST /a/b  HTTP/1.1\r\n", Refused(400)),
    ("tabs for spaces", "POST\t/a/b\tHTTP/1.1\r\n", Refused(400)),
    ("a space after", "POST /a/b HTTP/1.1 \r\n", Refused(400)),
    ("a word too many", "POST /a/b c HTTP/1.1\r\n", Refused(400)),
    ("a form feed for a space", "POST\u{c}/a/b HTTP/1.1\r\n", Refused(400)),
    ("a line that ends in LF", "POST /a/b HTTP/1.1\n", Refused(400)),
    ("a line that ends in CR", "POST /a/b HTTP/1.1\r", Refused(400)),
    ("a line with a CR within", "POST /a/b\rx HTTP/1.1\r\n", Refused(400)),
    ("no version", "POST /a/b\r\n", Refused(400)),
    ("an empty version", "POST /a/b \r\n", Refused(400)),
    ("HTTP/0.9", "POST /a/b HTTP/0.9\r\n", Refused(400)),
    ("HTTP/1.2", "POST /a/b HTTP/1.2\r\n", Refused(400)),
    ("HTTP/1.10", "POST /a/b HTTP/1.10\r\n", Refused(400)),
    ("HTTP/1", "POST /a/b HTTP/1\r\n", Refused(400)),
    ("HTTP/2.0 in words", "POST /a/b HTTP/2.0\r\n", Refused(400)),
    ("HTTP/3", "POST /a/b HTTP/3\r\n", Refused(400)),
    ("a version in small letters", "POST /a/b http/1.1\r\n", Refused(400)),
    ("a version with a sign", "POST /a/b HTTP/+1.1\r\n", Refused(400)),
    ("another protocol", "POST /a/b RTSP/1.0\r\n", Refused(400)),
    ("no method", " /a/b HTTP/1.1\r\n", Refused(400)),
    ("a method with a comma", "PO,ST /a/b HTTP/1.1\r\n", Refused(400)),
    ("a method with a bracket", "POST[] /a/b HTTP/1.1\r\n", Refused(400)),
    ("a method with a NUL", "PO\u{0}ST /a/b HTTP/1.1\r\n", Refused(400)),
    ("a method in small letters", "post /a/b HTTP/1.1\r\n", Answered(405)),
    ("an unknown method", "BREW /a/b HTTP/1.1\r\n", Answered(405)),
    ("TRACE", "TRACE /a/b HTTP/1.1\r\n", Refused(400)),
    ("CONNECT to a port", "CONNECT relay.test:443 HTTP/1.1\r\n", Refused(400)),
    ("CONNECT with a path", "CONNECT /a/b HTTP/1.1\r\n", Refused(400)),
    ("half of HTTP/2's first words", "PRI * HTTP/2.0\r\n", Refused(400)),
];

/// Name, all of it, what must come of it.
const WHOLE: &[(&str, &str, Want)] = &[
    ("HTTP/1.0 with a host", "POST /a/b HTTP/1.0\r\n{rest}", Normalised("{}")),
    ("HTTP/1.0 without a host", "POST /a/b HTTP/1.0\r\n{auth}content-length: 2\r\n\r\n{}", Refused(400)),
    ("HTTP/1.0 with two hosts", "POST /a/b HTTP/1.0\r\nhost: a\r\n{rest}", Refused(400)),
    (
        "HTTP/1.0 without a length",
        "POST /a/b HTTP/1.0\r\nhost: relay.test\r\n{auth}\r\n{smuggled}",
        Refused(411),
    ),
    (
        "HTTP/1.0 with keep-alive, without a length",
        "POST /a/b HTTP/1.0\r\nhost: relay.test\r\nconnection: keep-alive\r\n{auth}\r\n{smuggled}",
        Refused(411),
    ),
    (
        "HTTP/1.0 in chunks",
        "POST /a/b HTTP/1.0\r\nhost: relay.test\r\n{auth}transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        Refused(400),
    ),
    (
        "HTTP/1.0 in chunks with keep-alive",
        "POST /a/b HTTP/1.0\r\nhost: relay.test\r\nconnection: keep-alive\r\n{auth}transfer-encoding: chunked\r\n\r\n0\r\n\r\n{smuggled}",
        Refused(400),
    ),
    ("TLS to a plain port", "\u{16}\u{3}\u{1}\u{0}\u{5}hello\r\n\r\n", Refused(400)),
    ("SSH", "SSH-2.0-OpenSSH_9.2\r\n\r\n", Refused(400)),
    ("SMTP", "EHLO relay.test\r\n\r\n", Refused(400)),
    ("a proxy's first line", "PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n{rest}", Refused(400)),
    ("an answer instead of a request", "HTTP/1.1 200 OK\r\n\r\n", Refused(400)),
    ("an old request", "GET /a/b\r\n", Refused(400)),
    ("only line ends", "\r\n\r\n\r\n\r\n", Refused(400)),
    ("a head that breaks off", "POST /a/b HTTP/1.1\r\nhost: rel", Silence),
    ("a head that breaks off in its line end", "POST /a/b HTTP/1.1\r\nhost: relay.test\r\n\r", Silence),
    ("a letter", "P", Silence),
    ("nothing", "", Silence),
];
