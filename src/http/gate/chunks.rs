//! A chunked body, read strictly byte by byte where it is framing and in whole runs where it is data. What fal is sent is
//! framed anew; this only makes sure that hyper and we agree where the body ends.

use super::head::{is_control, is_token};
use super::violation::Violation;
use super::violation::Violation::Malformed;

/// Digits of the longest chunk: far from any overflow.
const SIZE_MAX_DIGITS: u8 = 15;
/// All chunk extensions of a body. None means anything; nobody sends them but to hide something.
const EXTENSIONS_MAX_BYTES: usize = 1024;
/// All trailers of a body, in bytes. None of them travels.
const TRAILERS_MAX_BYTES: usize = 4096;

const BAD_SIZE: Violation = Malformed("A chunk's size is not a plain hexadecimal number.");
const BAD_LINE: Violation =
    Malformed("A chunk does not end where its size says, or its lines do not end in CR LF.");
const BAD_EXTENSION: Violation = Malformed("A chunk's extension is malformed, or there are too many.");
const BAD_TRAILER: Violation = Malformed("A trailer is malformed, or there are too many.");

/// Where in a chunked body we are.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    at: At,
    extensions: usize,
    trailers: usize,
}

#[derive(Clone, Copy, Debug)]
enum At {
    Size { digits: u8, size: u64 },
    Extension { size: u64 },
    SizeLf { size: u64 },
    Data { left: u64 },
    DataCr,
    DataLf,
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerLf,
    EndLf,
    End,
}

impl Default for At {
    fn default() -> Self {
        Self::Size { digits: 0, size: 0 }
    }
}

impl Chunks {
    /// Reads on, up to the body's end or the end of `bytes`. Returns how many bytes were read, and what stands after
    /// them if it is wrong.
    pub(super) fn read(&mut self, bytes: &[u8]) -> (usize, Result<(), Violation>) {
        let mut read = 0;
        while read < bytes.len() && !self.is_over() {
            if let At::Data { left } = self.at {
                let run = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len() - read);
                read += run;
                let left = left - run as u64;
                self.at = if left == 0 { At::DataCr } else { At::Data { left } };
                continue;
            }
            match self.step(bytes[read]) {
                Ok(next) => self.at = next,
                Err(violation) => return (read, Err(violation)),
            }
            read += 1;
        }
        (read, Ok(()))
    }

    /// Whether the body has ended.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.at, At::End)
    }

    fn step(&mut self, byte: u8) -> Result<At, Violation> {
        match self.at {
            At::Size { digits, size } => size_digit(byte, digits, size),
            At::Extension { size } => self.extension(byte, size),
            At::SizeLf { size: 0 } => expect(byte, b'\n', At::TrailerStart),
            At::SizeLf { size } => expect(byte, b'\n', At::Data { left: size }),
            At::DataCr => expect(byte, b'\r', At::DataLf),
            At::DataLf => expect(byte, b'\n', At::default()),
            At::TrailerLf => expect(byte, b'\n', At::TrailerStart),
            At::EndLf => expect(byte, b'\n', At::End),
            At::TrailerStart | At::TrailerName | At::TrailerValue => self.trailer(byte),
            // Runs of data are read at once, and nothing is read after the end.
            At::Data { .. } | At::End => Ok(self.at),
        }
    }

    fn extension(&mut self, byte: u8, size: u64) -> Result<At, Violation> {
        self.extensions += 1;
        match byte {
            b'\r' => Ok(At::SizeLf { size }),
            _ if is_control(byte) || self.extensions > EXTENSIONS_MAX_BYTES => Err(BAD_EXTENSION),
            _ => Ok(At::Extension { size }),
        }
    }

    fn trailer(&mut self, byte: u8) -> Result<At, Violation> {
        self.trailers += 1;
        if self.trailers > TRAILERS_MAX_BYTES {
            return Err(BAD_TRAILER);
        }
        match (self.at, byte) {
            (At::TrailerStart, b'\r') => Ok(At::EndLf),
            (At::TrailerName, b':') => Ok(At::TrailerValue),
            (At::TrailerStart | At::TrailerName, _) if is_token(&[byte]) => Ok(At::TrailerName),
            (At::TrailerValue, b'\r') => Ok(At::TrailerLf),
            (At::TrailerValue, _) if !is_control(byte) => Ok(At::TrailerValue),
            _ => Err(BAD_TRAILER),
        }
    }
}

fn expect(byte: u8, wanted: u8, next: At) -> Result<At, Violation> {
    if byte == wanted { Ok(next) } else { Err(BAD_LINE) }
}

fn size_digit(byte: u8, digits: u8, size: u64) -> Result<At, Violation> {
    match (byte, (byte as char).to_digit(16)) {
        (_, Some(digit)) if digits < SIZE_MAX_DIGITS => {
            Ok(At::Size { digits: digits + 1, size: size * 16 + u64::from(digit) })
        }
        (b'\r', _) if digits > 0 => Ok(At::SizeLf { size }),
        (b';', _) if digits > 0 => Ok(At::Extension { size }),
        _ => Err(BAD_SIZE),
    }
}
