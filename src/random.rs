//! Chance, handed in: the system's generator in production, a seeded one in tests and in the sandbox.

use std::sync::{Arc, Mutex, PoisonError};

/// The system's generator did not give bytes. Nothing that needs a secret may go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the system's random generator gave no bytes")]
pub struct NoRandomness;

/// A source of random bytes.
#[derive(Debug, Clone)]
pub struct Random(Source);

#[derive(Debug, Clone)]
enum Source {
    /// The kernel's. A library's own generator first gathers entropy of its own, for a tenth of a second.
    System,
    /// Repeatable, and not secret: SplitMix64 from a seed.
    Seeded(Arc<Mutex<u64>>),
}

impl Random {
    /// The system's cryptographic generator.
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A repeatable generator for tests and simulations; never for secrets.
    pub fn seeded(seed: u64) -> Self {
        Self(Source::Seeded(Arc::new(Mutex::new(seed))))
    }

    /// Fills `bytes`.
    #[expect(clippy::disallowed_methods, reason = "this is the one place where chance enters the program")]
    pub fn fill(&self, bytes: &mut [u8]) -> Result<(), NoRandomness> {
        match &self.0 {
            Source::System => getrandom::fill(bytes).map_err(|_| NoRandomness),
            Source::Seeded(state) => {
                let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
                for chunk in bytes.chunks_mut(8) {
                    chunk.copy_from_slice(&split_mix(&mut state).to_le_bytes()[..chunk.len()]);
                }
                Ok(())
            }
        }
    }

    /// A number below `bound` (zero when `bound` is zero). The bias of the remainder is below 2^-32 for small bounds.
    pub fn below(&self, bound: u64) -> Result<u64, NoRandomness> {
        let mut bytes = [0; 8];
        self.fill(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes).checked_rem(bound).unwrap_or(0))
    }

    /// A version 4 UUID.
    pub fn uuid(&self) -> Result<uuid::Uuid, NoRandomness> {
        let mut bytes = [0; 16];
        self.fill(&mut bytes)?;
        Ok(uuid::Builder::from_random_bytes(bytes).into_uuid())
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): a full-period mixer, good enough to vary simulations.
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_and_the_system_does_not() {
        let draw = |random: Random| random.uuid().unwrap();
        assert_eq!(draw(Random::seeded(7)), draw(Random::seeded(7)));
        assert_ne!(draw(Random::seeded(7)), draw(Random::seeded(8)));
        assert_ne!(draw(Random::system()), draw(Random::system()));
    }
}
