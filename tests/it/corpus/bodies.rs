//! Where a body ends: lengths, codings, chunks.

use super::{BrokenOff, Case, Normalised, Refused, SMUGGLED, Want, case, submit};

pub(super) fn cases() -> Vec<Case> {
    let framing = FRAMING.iter().map(|(name, lines, body, want)| {
        case(name, &submit(lines, &body.replace("{smuggled}", SMUGGLED)), *want)
    });
    let chunks = CHUNKS.iter().map(|(name, body, want)| {
        let body = body.replace("{smuggled}", SMUGGLED);
        case(name, &submit("transfer-encoding: chunked\r\n", &body), *want)
    });
    let long = [
        ("chunk size of 40 digits", format!("{}2\r\n{{}}\r\n0\r\n\r\n", "0".repeat(40)), Refused(400)),
        ("endless chunk extension", format!("2;{}", "x".repeat(3000)), Refused(400)),
        ("small chunk extensions without end", "1;xxxxxxx\r\n{\r\n".repeat(200), Refused(400)),
        ("endless trailers", format!("2\r\n{{}}\r\n0\r\n{}", "x-t: 1\r\n".repeat(1000)), Refused(400)),
        ("one endless trailer", format!("2\r\n{{}}\r\n0\r\nx-t: {}", "y".repeat(9000)), Refused(400)),
    ];
    let long =
        long.map(|(name, body, want)| case(name, &submit("transfer-encoding: chunked\r\n", &body), want));
    let request = "POST /smuggled/x HTTP/1.1\r\nhost: relay.test\r\ncontent-length: 2\r\n\r\n{}";
    let length = format!("content-length: {}\r\n", request.len());
    let within = [case("a request in the body of another", &submit(&length, request), Normalised(request))];
    framing.chain(within).chain(chunks).chain(long).collect()
}

/// Name, header lines, body, what must come of it.
const FRAMING: &[(&str, &str, &str, Want)] = &[
    (
        "length before coding",
        "content-length: 5\r\ntransfer-encoding: chunked\r\n",
        "0\r\n\r\n{smuggled}",
        Refused(400),
    ),
    (
        "coding before length",
        "transfer-encoding: chunked\r\ncontent-length: 5\r\n",
        "0\r\n\r\n{smuggled}",
        Refused(400),
    ),
    (
        "length 0 and coding",
        "content-length: 0\r\ntransfer-encoding: chunked\r\n",
        "2\r\n{}\r\n0\r\n\r\n",
        Refused(400),
    ),
    ("two equal lengths", "content-length: 2\r\ncontent-length: 2\r\n", "{}", Refused(400)),
    ("two lengths", "content-length: 2\r\ncontent-length: 200\r\n", "{}{smuggled}", Refused(400)),
    (
        "two lengths, the longer first",
        "content-length: 200\r\ncontent-length: 2\r\n",
        "{}{smuggled}",
        Refused(400),
    ),
    ("two lengths in two cases", "Content-Length: 2\r\ncONTENT-lENGTH: 0\r\n", "{}{smuggled}", Refused(400)),
    ("list of equal lengths", "content-length: 2, 2\r\n", "{}", Refused(400)),
    ("list of lengths", "content-length: 2, 0\r\n", "{}", Refused(400)),
    ("signed length", "content-length: +2\r\n", "{}", Refused(400)),
    ("negative length", "content-length: -2\r\n", "{}", Refused(400)),
    ("length minus nothing", "content-length: -0\r\n", "{}", Refused(400)),
    ("empty length", "content-length:\r\n", "{}", Refused(400)),
    ("length of spaces", "content-length:   \r\n", "{}", Refused(400)),
    ("length in hex", "content-length: 0x2\r\n", "{}", Refused(400)),
    ("length in letters", "content-length: two\r\n", "{}", Refused(400)),
    ("length with a fraction", "content-length: 2.0\r\n", "{}", Refused(400)),
    ("length with an exponent", "content-length: 2e0\r\n", "{}", Refused(400)),
    ("length with an underscore", "content-length: 1_0\r\n", "{}", Refused(400)),
    ("length with a space within", "content-length: 1 0\r\n", "{}", Refused(400)),
    ("length with a leading zero", "content-length: 010\r\n", "0123456789", Refused(400)),
    ("length in full-width digits", "content-length: \u{ff12}\r\n", "{}", Refused(400)),
    ("length in quotes", "content-length: \"2\"\r\n", "{}", Refused(400)),
    ("length with a comment", "content-length: 2 (two)\r\n", "{}", Refused(400)),
    ("length that overflows 64 bits", "content-length: 18446744073709551618\r\n", "{}", Refused(400)),
    ("length of 63 bits", "content-length: 9223372036854775807\r\n", "{}", Refused(400)),
    (
        "length of 100 digits",
        "content-length: 1000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000\r\n",
        "",
        Refused(400),
    ),
    ("length over the limit", "content-length: 1099511627776\r\n", "{}", Refused(413)),
    ("length with a tab before", "content-length:\t2\r\n", "{}", Normalised("{}")),
    ("length with spaces around", "content-length:   2  \r\n", "{}", Normalised("{}")),
    (
        "coding twice",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
        "0\r\n\r\n{smuggled}",
        Refused(400),
    ),
    (
        "coding twice in a list",
        "transfer-encoding: chunked, chunked\r\n",
        "0\r\n\r\n{smuggled}",
        Refused(400),
    ),
    (
        "coding on two lines, identity last",
        "transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n",
        "0\r\n\r\n{smuggled}",
        Refused(400),
    ),
    (
        "coding on two lines, identity first",
        "transfer-encoding: identity\r\ntransfer-encoding: chunked\r\n",
        "0\r\n\r\n{smuggled}",
        Refused(400),
    ),
    ("gzip, then chunked", "transfer-encoding: gzip, chunked\r\n", "0\r\n\r\n", Refused(400)),
    ("chunked, then gzip", "transfer-encoding: chunked, gzip\r\n", "0\r\n\r\n", Refused(400)),
    ("identity", "transfer-encoding: identity\r\ncontent-length: 2\r\n", "{}", Refused(400)),
    ("identity alone", "transfer-encoding: identity\r\n", "{}", Refused(400)),
    ("an unknown coding", "transfer-encoding: cow\r\n", "{}", Refused(400)),
    ("coding with a prefix", "transfer-encoding: xchunked\r\n", "0\r\n\r\n{smuggled}", Refused(400)),
    ("coding with a suffix", "transfer-encoding: chunkedx\r\n", "0\r\n\r\n{smuggled}", Refused(400)),
    ("coding in quotes", "transfer-encoding: \"chunked\"\r\n", "0\r\n\r\n{smuggled}", Refused(400)),
    ("coding with a parameter", "transfer-encoding: chunked;q=1\r\n", "0\r\n\r\n{smuggled}", Refused(400)),
    ("coding with a comma before", "transfer-encoding: ,chunked\r\n", "0\r\n\r\n{smuggled}", Refused(400)),
    ("coding with a comma after", "transfer-encoding: chunked,\r\n", "0\r\n\r\n{smuggled}", Refused(400)),
    ("empty coding", "transfer-encoding:\r\n", "0\r\n\r\n{smuggled}", Refused(400)),
    (
        "coding with a vertical tab",
        "transfer-encoding: \u{b}chunked\r\n",
        "0\r\n\r\n{smuggled}",
        Refused(400),
    ),
    ("coding with a form feed", "transfer-encoding: chunked\u{c}\r\n", "0\r\n\r\n{smuggled}", Refused(400)),
    ("coding with a NUL", "transfer-encoding: chunked\u{0}\r\n", "0\r\n\r\n{smuggled}", Refused(400)),
    ("coding with a bare CR", "transfer-encoding: chunked\r \r\n", "0\r\n\r\n{smuggled}", Refused(400)),
    ("coding folded", "transfer-encoding:\r\n chunked\r\n", "0\r\n\r\n{smuggled}", Refused(400)),
    (
        "coding with a space before its colon",
        "transfer-encoding : chunked\r\n",
        "0\r\n\r\n{smuggled}",
        Refused(400),
    ),
    (
        "coding with a tab before its colon",
        "transfer-encoding\t: chunked\r\n",
        "0\r\n\r\n{smuggled}",
        Refused(400),
    ),
    ("coding in capitals", "TRANSFER-ENCODING: CHUNKED\r\n", "2\r\n{}\r\n0\r\n\r\n", Normalised("{}")),
    (
        "coding with an underscore is another header",
        "transfer_encoding: chunked\r\ncontent-length: 2\r\n",
        "{}",
        Normalised("{}"),
    ),
    (
        "length with an underscore is another header",
        "content_length: 100\r\ncontent-length: 2\r\n",
        "{}",
        Normalised("{}"),
    ),
    ("length with a NUL in its name", "content\u{0}length: 100\r\ncontent-length: 2\r\n", "{}", Refused(400)),
    ("no body at all", "", "", Normalised("")),
    ("a body that breaks off", "content-length: 100\r\n", "half", BrokenOff(400)),
];

/// Name, body, what must come of it.
const CHUNKS: &[(&str, &str, Want)] = &[
    ("plain chunks", "1\r\n{\r\n1\r\n}\r\n0\r\n\r\n", Normalised("{}")),
    ("chunk size in capitals", "A\r\n0123456789\r\n0\r\n\r\n", Normalised("0123456789")),
    ("chunk size with a leading zero", "02\r\n{}\r\n0\r\n\r\n", Normalised("{}")),
    ("last chunk of many zeros", "2\r\n{}\r\n0000\r\n\r\n", Normalised("{}")),
    ("chunk extension", "2;a=b\r\n{}\r\n0;c\r\n\r\n", Normalised("{}")),
    ("trailer", "2\r\n{}\r\n0\r\nx-fal-x: 1\r\n\r\n", Normalised("{}")),
    ("trailer that would be framing", "2\r\n{}\r\n0\r\ncontent-length: 100\r\n\r\n", Normalised("{}")),
    ("trailer that would be a key", "2\r\n{}\r\n0\r\nauthorization: Key x\r\n\r\n", Normalised("{}")),
    ("chunk size with a sign", "+2\r\n{}\r\n0\r\n\r\n", Refused(400)),
    ("chunk size below zero", "-2\r\n{}\r\n0\r\n\r\n", Refused(400)),
    ("chunk size with 0x", "0x2\r\n{}\r\n0\r\n\r\n", Refused(400)),
    ("chunk size with a space before", " 2\r\n{}\r\n0\r\n\r\n", Refused(400)),
    ("chunk size with a space after", "2 \r\n{}\r\n0\r\n\r\n", Refused(400)),
    ("chunk size with a tab after", "2\t\r\n{}\r\n0\r\n\r\n", Refused(400)),
    ("chunk size with an underscore", "0_2\r\n{}\r\n0\r\n\r\n", Refused(400)),
    ("empty chunk size", "\r\n{}\r\n0\r\n\r\n", Refused(400)),
    ("chunk size of an extension only", ";a\r\n{}\r\n0\r\n\r\n", Refused(400)),
    ("chunk size in words", "two\r\n{}\r\n0\r\n\r\n", Refused(400)),
    ("chunk size that overflows", "ffffffffffffffff0\r\n{}\r\n0\r\n\r\n", Refused(400)),
    ("chunk size of 64 bits", "ffffffffffffffff\r\n{}\r\n0\r\n\r\n", Refused(400)),
    ("chunk size that wraps to two", "10000000000000002\r\n{}\r\n0\r\n\r\n", Refused(400)),
    ("chunk size line ends in LF", "2\n{}\r\n0\r\n\r\n", Refused(400)),
    ("chunk size line ends in CR", "2\r{}\r\n0\r\n\r\n", Refused(400)),
    ("chunk size line ends in CR CR LF", "2\r\r\n{}\r\n0\r\n\r\n", Refused(400)),
    ("extension with LF", "2;a\n{}\r\n0\r\n\r\n", Refused(400)),
    ("extension with LF that hides a chunk", "2;\nxx\r\n4c\r\n0\r\n\r\n{smuggled}", Refused(400)),
    ("extension with a NUL", "2;a\u{0}\r\n{}\r\n0\r\n\r\n", Refused(400)),
    ("extension with a bare CR", "2;a\rb\r\n{}\r\n0\r\n\r\n", Refused(400)),
    ("chunk longer than it says", "2\r\n{}}\r\n0\r\n\r\n", Refused(400)),
    ("chunk shorter than it says", "5\r\n{}\r\n0\r\n\r\n", Refused(400)),
    ("chunk without its line end", "2\r\n{}0\r\n\r\n", Refused(400)),
    ("chunk ends in LF", "2\r\n{}\n0\r\n\r\n", Refused(400)),
    ("chunk ends in CR", "2\r\n{}\r0\r\n\r\n", Refused(400)),
    ("chunk ends in two bytes of any kind", "2\r\n{}XX0\r\n\r\n", Refused(400)),
    ("last chunk ends in LF", "2\r\n{}\r\n0\n\n", Refused(400)),
    ("body ends in LF", "2\r\n{}\r\n0\r\n\n", Refused(400)),
    ("trailer without a colon", "2\r\n{}\r\n0\r\nx\r\n\r\n", Refused(400)),
    ("trailer without a name", "2\r\n{}\r\n0\r\n: x\r\n\r\n", Refused(400)),
    ("trailer with a space before its colon", "2\r\n{}\r\n0\r\nx : y\r\n\r\n", Refused(400)),
    ("trailer folded", "2\r\n{}\r\n0\r\nx: y\r\n z\r\n\r\n", Refused(400)),
    ("trailer with LF", "2\r\n{}\r\n0\r\nx: y\n\r\n", Refused(400)),
    ("trailer with a NUL", "2\r\n{}\r\n0\r\nx: \u{0}\r\n\r\n", Refused(400)),
    ("chunks that break off in a size", "2\r\n{}\r\n", BrokenOff(400)),
    ("chunks that break off in a chunk", "5\r\n{}", BrokenOff(400)),
    ("chunks that break off in the end", "2\r\n{}\r\n0\r\n", BrokenOff(400)),
];
