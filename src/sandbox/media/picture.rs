//! Pictures: eight by eight fields in four colours, both taken from the mark.

use std::io::Write;

use super::Mark;

/// Fields in each direction.
const FIELDS: u32 = 8;
/// Each pixel is an index into four colours.
const BITS_PER_PIXEL: u32 = 2;
/// Mixes the mark for each row of fields, so that rows differ (the 64-bit golden ratio).
const MIX: u64 = 0x9E37_79B9_7F4A_7C15;

/// A PNG of `width` by `height` pixels.
pub(super) fn png(width: u32, height: u32, mark: Mark) -> Vec<u8> {
    let mut out = Vec::new();
    // Writing into memory fails only for a side of zero, which callers never ask for.
    match encode(&mut out, width, height, mark) {
        Ok(()) => out,
        Err(_) => Vec::new(),
    }
}

fn encode(out: &mut Vec<u8>, width: u32, height: u32, mark: Mark) -> Result<(), png::EncodingError> {
    let mut encoder = png::Encoder::new(out, width, height);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_depth(png::BitDepth::Two);
    encoder.set_palette(palette(mark));
    encoder.set_deflate_compression(png::DeflateCompression::Level(1));
    encoder.set_filter(png::Filter::NoFilter);
    let mut writer = encoder.write_header()?;
    let mut stream = writer.stream_writer()?;
    let rows: Vec<Vec<u8>> = (0..FIELDS).map(|field| row(width, field, mark)).collect();
    for y in 0..height {
        stream.write_all(&rows[index_of_field(y, height)])?;
    }
    stream.finish()
}

/// Four colours, from dark to light so that every picture shows its fields.
fn palette(mark: Mark) -> Vec<u8> {
    let hues = mark.0.to_le_bytes();
    (0..4u8).flat_map(|step| hues[..3].iter().map(move |hue| step * 56 + hue % 56 + 16)).collect()
}

/// One row of pixels through the fields of row `field`, packed.
fn row(width: u32, field: u32, mark: Mark) -> Vec<u8> {
    let colours = mark.0.rotate_left(field * 7).wrapping_mul(MIX).to_be_bytes();
    let pixels_per_byte = 8 / BITS_PER_PIXEL;
    let mut packed = vec![0; width.div_ceil(pixels_per_byte) as usize];
    for x in 0..width {
        let colour = colours[index_of_field(x, width)] >> (8 - BITS_PER_PIXEL);
        let shift = 8 - BITS_PER_PIXEL * (x % pixels_per_byte + 1);
        packed[(x / pixels_per_byte) as usize] |= colour << shift;
    }
    packed
}

/// The field in which a pixel lies: 0 to 7.
fn index_of_field(position: u32, side: u32) -> usize {
    (u64::from(position) * u64::from(FIELDS) / u64::from(side)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(bytes: &[u8]) -> (u32, u32, Vec<u8>) {
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        (info.width, info.height, pixels)
    }

    #[test]
    fn pictures_have_the_size_asked_for() {
        for (width, height) in [(1, 1), (3, 7), (1024, 768), (4096, 4096)] {
            let (got_width, got_height, _) = decode(&png(width, height, Mark(42)));
            assert_eq!((got_width, got_height), (width, height));
        }
    }

    #[test]
    fn pictures_differ_by_mark_in_their_pixels() {
        let pixels = |mark| decode(&png(64, 64, Mark(mark))).2;
        assert_ne!(pixels(1), pixels(2));
        assert_eq!(pixels(1), pixels(1));
    }

    #[test]
    fn pictures_are_small() {
        assert!(png(1024, 768, Mark(7)).len() < 8 << 10);
    }
}
