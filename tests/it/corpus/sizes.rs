//! Heads over their limits: refused when the limit is reached, not when the head is done.

use super::{Case, Normalised, Refused, case, submit};

pub(super) fn cases() -> Vec<Case> {
    let body = |lines: &str| submit(&format!("{lines}content-length: 2\r\n"), "{}");
    let many = |count: usize| body(&"x-a: b\r\n".repeat(count));
    let target = |length: usize, tail: &str| {
        let path = format!("/a/b?{}", "q".repeat(length));
        format!("POST {path}{tail}")
    };
    let rest = " HTTP/1.1\r\nhost: relay.test\r\n{auth}content-length: 2\r\n\r\n{}";
    vec![
        case("as many fields as are taken", &many(97), Normalised("{}")),
        case("a field too many", &many(98), Refused(431)),
        case("20,000 fields", &many(20_000), Refused(431)),
        case("10,000 empty fields", &body(&"a:\r\n".repeat(10_000)), Refused(431)),
        case("a value of 30 KiB", &body(&format!("x-a: {}\r\n", "b".repeat(30 * 1024))), Normalised("{}")),
        case("a value of 40 KiB", &body(&format!("x-a: {}\r\n", "b".repeat(40 * 1024))), Refused(431)),
        case("a name of 40 KiB", &body(&format!("{}: a\r\n", "b".repeat(40 * 1024))), Refused(431)),
        case(
            "a value without an end",
            &submit(&format!("x-a: {}", "b".repeat(1024 * 1024)), ""),
            Refused(431),
        ),
        case("90 fields of 1 KiB", &body(&format!("x-a: {}\r\n", "b".repeat(1024)).repeat(90)), Refused(431)),
        case("the longest target", &target(8192 - 5, rest), Normalised("{}")),
        case("a target too long", &target(8192 - 4, rest), Refused(414)),
        case("a target of 30 KiB", &target(30 * 1024, rest), Refused(414)),
        case("a target without an end", &target(1024 * 1024, ""), Refused(414)),
        case("a method without an end", &"M".repeat(1024 * 1024), Refused(414)),
        case("line ends without an end", &"\r\n".repeat(100_000), Refused(400)),
        case("a long path", &format!("POST /{}/b{rest}", "a".repeat(4000)), Refused(400)),
    ]
}
