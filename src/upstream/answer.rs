//! Answers that hyper takes and that must not be passed on: where two readers could disagree about where an answer ends,
//! the second of them is our client.

use http::{HeaderMap, Response, StatusCode, Version, header};

/// Why an answer is not to be used, if it is not.
pub(super) fn fault<T>(response: &Response<T>, may_switch: bool) -> Option<&'static str> {
    if may_switch && response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return None;
    }
    if response.status().is_informational() {
        return Some("it switches protocols, which nobody asked for");
    }
    let headers = response.headers();
    let chunked = response.version() != Version::HTTP_2 && headers.contains_key(header::TRANSFER_ENCODING);
    match (chunked, headers.contains_key(header::CONTENT_LENGTH)) {
        (false, false) => None,
        (true, true) => Some("it has both a length and a transfer coding"),
        (true, false) => (!is_chunked_alone(headers)).then_some("its transfer coding is not `chunked`"),
        (false, true) => (!is_one_length(headers)).then_some("its length is not one number"),
    }
}

/// hyper reads an answer with any other coding to the end of the connection.
fn is_chunked_alone(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let alone = codings.next().is_some_and(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked"));
    alone && codings.next().is_none()
}

/// hyper takes `5, 5`, and the same length twice.
fn is_one_length(headers: &HeaderMap) -> bool {
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    let number = |value: &http::HeaderValue| value.as_bytes().iter().all(u8::is_ascii_digit);
    lengths.next().is_some_and(number) && lengths.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(version: Version, status: u16, headers: &[(&str, &str)]) -> Option<&'static str> {
        let mut response = Response::builder().version(version).status(status);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        fault(&response.body(()).unwrap(), false)
    }

    #[test]
    fn one_framing_is_well_and_every_other_is_not() {
        let (length, coding) = ("content-length", "transfer-encoding");
        for well in [&[][..], &[(length, "5")], &[(coding, "Chunked")]] {
            assert_eq!(found(Version::HTTP_11, 200, well), None, "{well:?}");
        }
        for bad in [
            &[(length, "5"), (coding, "chunked")][..],
            &[(coding, "chunked"), (length, "5")],
            &[(length, "5, 5")],
            &[(length, "5"), (length, "5")],
            &[(length, "+5")],
            &[(coding, "gzip, chunked")],
            &[(coding, "identity")],
            &[(coding, "chunked"), (coding, "chunked")],
        ] {
            assert!(found(Version::HTTP_11, 200, bad).is_some(), "{bad:?}");
        }
        assert!(found(Version::HTTP_11, 101, &[]).is_some());
    }
}
