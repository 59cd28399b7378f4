//! Server-sent events as far as the relay reads them: which bytes of a stream are data, and where an event ends.

use memchr::memchr2;

/// What a line must begin with to carry data.
const DATA: &[u8] = b"data:";

/// The byte order mark that may open a stream.
const BOM: &[u8] = b"\xEF\xBB\xBF";

/// Follows an event stream through chunks cut anywhere.
#[derive(Debug)]
pub(super) struct Framing {
    place: Place,
    /// Whether the byte before was a CR, with which an LF makes one line end.
    after_cr: bool,
}

/// Where the next byte stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In the mark that may open the stream, so many bytes in.
    Bom(usize),
    /// In a line that began with so many bytes of [`DATA`].
    Name(usize),
    /// After the colon, where one space is not data.
    Space,
    /// In data.
    Data,
    /// In a line that carries none.
    Other,
}

/// What a run of bytes is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// Data of the event.
    Data,
    /// The end of a line of data: where another follows, the two are joined by an LF.
    DataEnd,
    /// The end of the event.
    EventEnd,
    /// Anything else.
    Frame,
}

impl Framing {
    pub(super) fn new() -> Self {
        Self { place: Place::Bom(0), after_cr: false }
    }

    /// Cuts the first piece off `chunk`, and says what it is. A piece is empty only when `chunk` is.
    pub(super) fn split<'chunk>(&mut self, chunk: &'chunk [u8]) -> (Piece, &'chunk [u8], &'chunk [u8]) {
        let (piece, len) = match chunk.first() {
            Some(byte @ (b'\r' | b'\n')) => (self.end_line(*byte), 1),
            _ => self.in_line(chunk),
        };
        let (bytes, rest) = chunk.split_at(len);
        (piece, bytes, rest)
    }

    fn end_line(&mut self, byte: u8) -> Piece {
        if std::mem::replace(&mut self.after_cr, byte == b'\r') && byte == b'\n' {
            return Piece::Frame;
        }
        match std::mem::replace(&mut self.place, Place::Name(0)) {
            Place::Name(0) => Piece::EventEnd,
            Place::Space | Place::Data => Piece::DataEnd,
            Place::Bom(_) | Place::Name(_) | Place::Other => Piece::Frame,
        }
    }

    fn in_line(&mut self, chunk: &[u8]) -> (Piece, usize) {
        self.after_cr = false;
        let mut head = 0;
        while let Some(byte) = chunk.get(head)
            && !matches!(byte, b'\r' | b'\n')
            && !matches!(self.place, Place::Data | Place::Other)
        {
            head += usize::from(self.take(*byte));
        }
        let line = || memchr2(b'\r', b'\n', chunk).unwrap_or(chunk.len());
        match self.place {
            Place::Data if head == 0 => (Piece::Data, line()),
            Place::Other => (Piece::Frame, line()),
            _ => (Piece::Frame, head),
        }
    }

    /// Moves on by the next byte of a line's head; `false` when the byte belongs to the place now reached.
    fn take(&mut self, byte: u8) -> bool {
        let (place, taken) = match self.place {
            Place::Bom(at) if BOM.get(at) == Some(&byte) => (Place::Bom(at + 1), true),
            Place::Bom(0 | 3) => (Place::Name(0), false),
            Place::Name(at) if DATA.get(at) == Some(&byte) && at + 1 == DATA.len() => (Place::Space, true),
            Place::Name(at) if DATA.get(at) == Some(&byte) => (Place::Name(at + 1), true),
            Place::Bom(_) | Place::Name(_) => (Place::Other, true),
            Place::Space => (Place::Data, byte == b' '),
            body @ (Place::Data | Place::Other) => (body, false),
        };
        self.place = place;
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pieces of a stream that arrives in chunks of `size`, neighbours of one kind joined.
    fn pieces(stream: &[u8], size: usize) -> Vec<(Piece, String)> {
        let mut framing = Framing::new();
        let mut pieces: Vec<(Piece, Vec<u8>)> = Vec::new();
        for mut chunk in stream.chunks(size) {
            while !chunk.is_empty() {
                let (piece, bytes, rest) = framing.split(chunk);
                chunk = rest;
                match pieces.last_mut() {
                    Some((last, run)) if *last == piece => run.extend(bytes),
                    _ => pieces.push((piece, bytes.to_vec())),
                }
            }
        }
        pieces.into_iter().map(|(piece, run)| (piece, String::from_utf8(run).unwrap())).collect()
    }

    fn assert_pieces(stream: &str, wanted: &[(Piece, &str)]) {
        for size in 1..=stream.len() {
            let found = pieces(stream.as_bytes(), size);
            let found: Vec<_> = found.iter().map(|(piece, run)| (*piece, run.as_str())).collect();
            assert_eq!(found, wanted, "in chunks of {size}");
        }
    }

    #[test]
    fn data_is_found_with_any_line_end() {
        use Piece::{Data, DataEnd, EventEnd, Frame};
        assert_pieces("data: a\n\n", &[(Frame, "data: "), (Data, "a"), (DataEnd, "\n"), (EventEnd, "\n")]);
        assert_pieces("data:a\r\r", &[(Frame, "data:"), (Data, "a"), (DataEnd, "\r"), (EventEnd, "\r")]);
        assert_pieces(
            "data:  a\r\n\r\n",
            &[
                (Frame, "data: "),
                (Data, " a"),
                (DataEnd, "\r"),
                (Frame, "\n"),
                (EventEnd, "\r"),
                (Frame, "\n"),
            ],
        );
    }

    #[test]
    fn several_lines_of_data_are_one_event() {
        use Piece::{Data, DataEnd, EventEnd, Frame};
        assert_pieces(
            "data:a\n: keep-alive\nevent: x\ndata\ndatax: b\n data: c\ndata:\n\n",
            &[
                (Frame, "data:"),
                (Data, "a"),
                (DataEnd, "\n"),
                (Frame, ": keep-alive\nevent: x\ndata\ndatax: b\n data: c\ndata:"),
                (DataEnd, "\n"),
                (EventEnd, "\n"),
            ],
        );
    }

    #[test]
    fn every_blank_line_ends_an_event_but_one_before_the_first() {
        assert_pieces(
            "\n\n: c\n\n",
            &[
                (Piece::Frame, "\n"),
                (Piece::EventEnd, "\n"),
                (Piece::Frame, ": c\n"),
                (Piece::EventEnd, "\n"),
            ],
        );
    }

    #[test]
    fn one_byte_order_mark_is_skipped_at_the_start_only() {
        use Piece::{Data, DataEnd, EventEnd, Frame};
        assert_pieces(
            "\u{feff}data:a\n\n\u{feff}data:a",
            &[
                (Frame, "\u{feff}data:"),
                (Data, "a"),
                (DataEnd, "\n"),
                (EventEnd, "\n"),
                (Frame, "\u{feff}data:a"),
            ],
        );
    }
}
