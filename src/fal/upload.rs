//! What carries the bytes of an upload: the relay's own addresses for them, and fal's media host as its clients use it.

use http::Method;

use super::endpoint::is_plain;
use super::route::RouteError;

/// Where the relay stands in for an address to upload to: under `/storage/`. What it stands for is sealed in the query.
pub const BYTES_PATH: &str = "/storage/upload/bytes";
/// Where the relay stands in for fal's media host, as a base address: under `/storage/`.
pub const CDN_PATH: &str = "/storage/cdn";
/// The longest path of these that is looked at: the longest file and the longest pass in place of fal's id.
const MAX_LEN: usize = 4096;
/// The last number that a part may have; the stores of objects behind such interfaces take no more.
const PARTS_MAX: u16 = 10_000;

/// A part's number, from one to [`PARTS_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Part(u16);

/// What is wanted of the bytes of an upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Upload {
    /// Bytes to an address that was given out: the pass is in the query.
    Bytes(Piece),
    /// A whole file to the media host.
    Whole,
    /// Begin a file in parts at the media host.
    Begin {
        /// Under which name the media host was asked.
        door: Door,
    },
    /// Parts of a file that was begun at the media host.
    Piece {
        /// The path of the file there, with a slash before it.
        file: String,
        /// What was given out as the upload's id.
        id: String,
        /// Which of it.
        piece: Piece,
    },
    /// A file of the media host.
    File {
        /// Its path there, with a slash before it.
        path: String,
        /// Under which name the media host was asked.
        door: Door,
    },
}

/// Under which name a client knows fal's media host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Door {
    /// Its own, which leads to the relay here.
    Host,
    /// The relay's, with [`CDN_PATH`].
    Path,
}

/// Which piece of an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Piece {
    /// All of it.
    Whole,
    /// One part.
    Part(Part),
    /// Its end: the list of its parts.
    End,
}

impl Piece {
    /// What stands after the upload's address.
    pub fn as_suffix(self) -> String {
        match self {
            Self::Whole => String::new(),
            Self::Part(Part(number)) => format!("/{number}"),
            Self::End => "/complete".to_owned(),
        }
    }

    /// Reads the last segment of an address: a part's number or its end.
    fn read(segment: &str) -> Result<Self, RouteError> {
        if segment == "complete" {
            return Ok(Self::End);
        }
        let plain = !segment.starts_with('0') && segment.bytes().all(|byte| byte.is_ascii_digit());
        let number = segment.parse().ok().filter(|number| plain && (1..=PARTS_MAX).contains(number));
        number.map(|number| Self::Part(Part(number))).ok_or(RouteError::Part)
    }

    fn method(self) -> &'static str {
        match self {
            Self::Whole | Self::Part(_) => "PUT",
            Self::End => "POST",
        }
    }
}

/// Reads what follows [`BYTES_PATH`], without a slash before it.
pub(super) fn bytes(method: &Method, rest: &str) -> Result<Upload, RouteError> {
    let piece = if rest.is_empty() { Piece::Whole } else { Piece::read(rest)? };
    allow(method, piece.method()).map(|()| Upload::Bytes(piece))
}

/// Reads a path of the media host, without a slash before it.
pub(super) fn cdn(method: &Method, path: &str, door: Door) -> Result<Upload, RouteError> {
    let path = well_formed(path)?;
    match path {
        "files/upload" => allow(method, "POST").map(|()| Upload::Whole),
        "files/upload/multipart" => allow(method, "POST").map(|()| Upload::Begin { door }),
        _ if !path.starts_with("files/") => Err(RouteError::Unknown),
        _ => piece(method, path, door),
    }
}

/// `{file}/multipart/{id}/{number}`, `{file}/multipart/{id}/complete`, or a file.
fn piece(method: &Method, path: &str, door: Door) -> Result<Upload, RouteError> {
    let mut ends = path.rsplitn(4, '/');
    if let (Some(last), Some(id), Some("multipart"), Some(file)) =
        (ends.next(), ends.next(), ends.next(), ends.next())
    {
        let piece = Piece::read(last)?;
        let (file, id) = (format!("/{file}"), id.to_owned());
        return allow(method, piece.method()).map(|()| Upload::Piece { file, id, piece });
    }
    match *method {
        Method::GET | Method::HEAD => Ok(Upload::File { path: format!("/{path}"), door }),
        _ => Err(RouteError::Method { allow: "GET, HEAD" }),
    }
}

/// The path without the slashes at its ends, once it can be read in one way only. Names of files may be percent-encoded;
/// what that hides is not looked at, for such a path only ever goes to the host that gave it out.
fn well_formed(path: &str) -> Result<&str, RouteError> {
    if path.len() > MAX_LEN {
        return Err(RouteError::Malformed("it is longer than 4096 characters"));
    }
    let path = path.strip_prefix('/').unwrap_or(path);
    let path = path.strip_suffix('/').unwrap_or(path);
    let plain = |byte: u8| is_plain(byte) || matches!(byte, b'%' | b'~' | b'+' | b'=' | b'@' | b',');
    let is_dots = |segment: &str| {
        let dots = segment.to_ascii_lowercase().replace("%2e", ".");
        matches!(dots.as_str(), "" | "." | "..") || dots.contains("%2f") || dots.contains("%5c")
    };
    match path.split('/').all(|segment| segment.bytes().all(plain) && !is_dots(segment)) {
        true => Ok(path),
        false => Err(RouteError::Malformed("it has a segment that a file's address has not")),
    }
}

fn allow(method: &Method, allow: &'static str) -> Result<(), RouteError> {
    if method.as_str() == allow { Ok(()) } else { Err(RouteError::Method { allow }) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::route::{Call, Role, parse};
    use super::*;

    fn read(role: Role, method: &str, path: &str) -> Result<Upload, RouteError> {
        match parse(role, &method.parse().unwrap(), path)? {
            Call::Upload(upload) => Ok(upload),
            other => panic!("{path} is {other:?}"),
        }
    }

    #[test]
    fn the_relays_own_addresses_take_a_whole_a_part_or_an_end() {
        for role in [Role::Relay, Role::Rest] {
            let whole = |method| read(role, method, "/storage/upload/bytes");
            assert_eq!(whole("PUT"), Ok(Upload::Bytes(Piece::Whole)));
            assert_eq!(whole("POST"), Err(RouteError::Method { allow: "PUT" }));
            let part = read(role, "PUT", "/storage/upload/bytes/10000");
            assert_eq!(part, Ok(Upload::Bytes(Piece::Part(Part(10_000)))));
            assert_eq!(read(role, "POST", "/storage/upload/bytes/complete/"), Ok(Upload::Bytes(Piece::End)));
        }
    }

    #[test]
    fn invariant_7_parts_are_numbered_from_one_to_ten_thousand() {
        for bad in ["0", "01", "10001", "99999999999", "-1", "1.0", "x", "1/2"] {
            let answer = read(Role::Relay, "PUT", &format!("/storage/upload/bytes/{bad}"));
            assert!(matches!(answer, Err(RouteError::Part)), "{bad}: {answer:?}");
        }
        let last = format!("/files/b/x/multipart/i/{PARTS_MAX}");
        assert!(read(Role::Cdn, "PUT", &last).is_ok());
        assert_eq!(read(Role::Cdn, "PUT", &format!("{last}0")), Err(RouteError::Part));
    }

    #[test]
    fn fals_media_host_is_known_by_name_and_under_storage() {
        let doors = [
            (Role::Cdn, "", Door::Host),
            (Role::Relay, CDN_PATH, Door::Path),
            (Role::Rest, CDN_PATH, Door::Path),
        ];
        for (role, base, door) in doors {
            let read = |method, path: &str| read(role, method, &format!("{base}{path}"));
            assert_eq!(read("POST", "/files/upload"), Ok(Upload::Whole));
            assert_eq!(read("POST", "/files/upload/multipart"), Ok(Upload::Begin { door }));
            let (file, id) = ("/files/b/ab/c_d.png".to_owned(), "i-1".to_owned());
            let piece = |piece| Ok(Upload::Piece { file: file.clone(), id: id.clone(), piece });
            assert_eq!(read("PUT", "/files/b/ab/c_d.png/multipart/i-1/7"), piece(Piece::Part(Part(7))));
            assert_eq!(read("POST", "/files/b/ab/c_d.png/multipart/i-1/complete"), piece(Piece::End));
            let path = "/files/b/ab/c%20d.png";
            assert_eq!(read("GET", path), Ok(Upload::File { path: path.into(), door }));
            assert_eq!(read("DELETE", "/files/b/a"), Err(RouteError::Method { allow: "GET, HEAD" }));
            assert_eq!(read("GET", "/other"), Err(RouteError::Unknown));
        }
    }

    #[test]
    fn a_path_that_could_lead_elsewhere_is_refused() {
        for path in
            ["/files/../x", "/files/%2e%2E/x", "/files/a%2Fb", "/files//x", "/files/a b", "/files/a%5cb"]
        {
            assert!(matches!(read(Role::Cdn, "GET", path), Err(RouteError::Malformed(_))), "{path}");
        }
    }

    #[test]
    fn invariant_7_an_uploads_path_has_a_longest_form() {
        let path = |bytes: usize| format!("/files/{}", "a".repeat(bytes - 7));
        assert!(read(Role::Cdn, "GET", &path(MAX_LEN)).is_ok());
        assert!(read(Role::Cdn, "GET", &path(MAX_LEN + 1)).is_err());
    }

    proptest! {
        #[test]
        fn any_path_is_judged(path in "/?(files|storage/cdn)?[a-z0-9/%.]{0,30}|\\PC{0,30}", put in any::<bool>()) {
            let _ = parse(Role::Cdn, &if put { Method::PUT } else { Method::GET }, &path);
        }
    }
}
