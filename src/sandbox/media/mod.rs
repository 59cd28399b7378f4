//! Files that models "make": real pictures, films and sounds, made when they are read from what their address says.
//! Nothing is stored, and the same input with the same seed has the same file.

mod picture;
mod sound;

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;

/// The longest side of a picture; larger wishes are cut to it, as models do.
pub(super) const MAX_SIDE: u32 = 4096;
/// One second of film with sound, made once and kept small.
const CLIP: &[u8] = include_bytes!("clip.mp4");

/// What a file is, which is also what its address says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Media {
    /// A PNG of this many pixels.
    Picture {
        /// Pixels across.
        width: u32,
        /// Pixels down.
        height: u32,
    },
    /// An MP4.
    Film,
    /// A WAV.
    Sound,
}

/// What makes one file differ from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark(pub(super) u64);

impl Mark {
    /// The mark of everything that goes into a file.
    pub(super) fn of(parts: &[&[u8]]) -> Self {
        let sum = digest(&SHA256, &parts.join(&b"\0"[..]));
        let first = sum.as_ref().first_chunk::<8>().copied().unwrap_or_default();
        Self(u64::from_be_bytes(first))
    }
}

impl Media {
    /// A picture within the bounds.
    pub(super) fn picture(width: u64, height: u64) -> Self {
        let side = |side: u64| u32::try_from(side.clamp(1, MAX_SIDE.into())).unwrap_or(MAX_SIDE);
        Self::Picture { width: side(width), height: side(height) }
    }

    /// The content type of the file.
    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Picture { .. } => "image/png",
            Self::Film => "video/mp4",
            Self::Sound => "audio/wav",
        }
    }

    /// The file's name, from which [`Media::read_name`] makes it again.
    pub(super) fn name(self, mark: Mark) -> String {
        match self {
            Self::Picture { width, height } => format!("{:016x}_{width}x{height}.png", mark.0),
            Self::Film => format!("{:016x}.mp4", mark.0),
            Self::Sound => format!("{:016x}.wav", mark.0),
        }
    }

    /// What a name of [`Media::name`] stands for.
    pub(super) fn read_name(name: &str) -> Option<(Self, Mark)> {
        let (mark, rest) = name.split_at_checked(16)?;
        let mark = Mark(u64::from_str_radix(mark, 16).ok()?);
        let media = match rest {
            ".mp4" => Self::Film,
            ".wav" => Self::Sound,
            _ => {
                let (width, height) = rest.strip_prefix('_')?.strip_suffix(".png")?.split_once('x')?;
                Self::picture(width.parse().ok()?, height.parse().ok()?)
            }
        };
        // Only the very name that was given out is a file.
        (media.name(mark) == name).then_some((media, mark))
    }

    /// The file itself.
    pub(super) fn make(self, mark: Mark) -> Bytes {
        match self {
            Self::Picture { width, height } => picture::png(width, height, mark).into(),
            Self::Film => film(mark).into(),
            Self::Sound => sound::wav(mark).into(),
        }
    }
}

/// The clip with a `free` box behind it: players skip the box, and the bytes differ.
fn film(mark: Mark) -> Vec<u8> {
    const BOX_LEN: u32 = 16;
    [CLIP, &BOX_LEN.to_be_bytes(), b"free", &mark.0.to_be_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_what_the_file_is() {
        let mark = Mark::of(&[b"fox", b"7"]);
        for media in [Media::picture(1024, 768), Media::picture(0, 99_999), Media::Film, Media::Sound] {
            assert_eq!(Media::read_name(&media.name(mark)), Some((media, mark)));
        }
    }

    #[test]
    fn other_names_are_no_files() {
        for name in
            ["", "x.png", "0123456789abcdef_9x9.jpg", "0123456789abcdef_99999x9.png", "é123456789abcde.mp4"]
        {
            assert_eq!(Media::read_name(name), None, "{name}");
        }
    }

    #[test]
    fn films_and_sounds_differ_by_mark_only_where_players_do_not_look() {
        let (one, two) = (Media::Film.make(Mark(1)), Media::Film.make(Mark(2)));
        assert_ne!(one, two);
        assert_eq!(one.len(), two.len());
        assert_eq!(&one[4..8], b"ftyp");
        assert_eq!(&one[..CLIP.len()], CLIP);
        assert_ne!(Media::Sound.make(Mark(1)), Media::Sound.make(Mark(2)));
        assert_eq!(&Media::Sound.make(Mark(1))[..4], b"RIFF");
    }
}
