//! Sounds: one second of a square wave whose pitch comes from the mark.

use super::Mark;

const SAMPLES_PER_SECOND: u32 = 8000;
/// Half the length of the wave lies between these many samples and twice as many: 100 to 200 Hz.
const MIN_HALF_WAVE: u64 = 20;

/// A mono WAV with 8-bit samples; the mark itself follows in a chunk that players skip.
pub(super) fn wav(mark: Mark) -> Vec<u8> {
    let half_wave = MIN_HALF_WAVE + mark.0 % MIN_HALF_WAVE;
    let samples = (0..u64::from(SAMPLES_PER_SECOND))
        .map(|at| if (at / half_wave).is_multiple_of(2) { 96 } else { 160 });
    let mut out = header();
    out.extend(samples);
    out.extend_from_slice(b"mark");
    out.extend_from_slice(&8u32.to_le_bytes());
    out.extend_from_slice(&mark.0.to_le_bytes());
    out
}

fn header() -> Vec<u8> {
    const PCM: u16 = 1;
    const CHANNELS: u16 = 1;
    const BITS: u16 = 8;
    const MARK_LEN: u32 = 16;
    let rest = 4 + 24 + 8 + SAMPLES_PER_SECOND + MARK_LEN;
    let mut out = Vec::with_capacity(rest as usize + 8);
    out.extend_from_slice(b"RIFF");
    out.extend_from_slice(&rest.to_le_bytes());
    out.extend_from_slice(b"WAVEfmt ");
    out.extend_from_slice(&16u32.to_le_bytes());
    out.extend_from_slice(&PCM.to_le_bytes());
    out.extend_from_slice(&CHANNELS.to_le_bytes());
    out.extend_from_slice(&SAMPLES_PER_SECOND.to_le_bytes());
    out.extend_from_slice(&SAMPLES_PER_SECOND.to_le_bytes());
    out.extend_from_slice(&CHANNELS.to_le_bytes());
    out.extend_from_slice(&BITS.to_le_bytes());
    out.extend_from_slice(b"data");
    out.extend_from_slice(&SAMPLES_PER_SECOND.to_le_bytes());
    out
}
