//! What models take that decides their price: a table of those whose fields are known (protocol 9.1 and 9.2), and one row
//! for all others.

use super::measure::Thing;

/// Whole megapixels begun by a square picture of 1024, 2048 and 4096 pixels a side.
pub(super) const ONE_K: u64 = 2;
pub(super) const TWO_K: u64 = 5;
pub(super) const FOUR_K: u64 = 17;

/// A number that a request may give.
#[derive(Clone, Copy, Debug)]
pub(super) struct Number {
    /// Its names; the largest counts when several are given. None: it cannot be chosen.
    pub(super) names: &'static [&'static str],
    /// What holds when it is not given.
    pub(super) default: u64,
    /// What models take at most; counts for what was not seen or cannot be read.
    pub(super) largest: u64,
}

/// The size of a picture, in whole megapixels begun.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    /// The members that choose it. None: it cannot be chosen.
    pub(super) names: &'static [&'static str],
    /// Whether `width` and `height` choose it too.
    pub(super) sides: bool,
    /// What holds when it is not given. Where a picture becomes as large as the one that is handed in, the largest.
    pub(super) default: u64,
    /// What models make at most, as far as is known; counts for what was not seen or cannot be read.
    pub(super) largest: u64,
}

/// The list prices of a second of film, in thousandths of a dollar.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sound {
    pub(super) with: u32,
    pub(super) without: u32,
}

/// Models that read the same members.
#[derive(Clone, Copy, Debug)]
pub(super) struct Family {
    /// Whether its fields are known, so that what a request leaves out is known too.
    pub(super) known: bool,
    /// Pictures of one round.
    pub(super) pictures: Number,
    /// Rounds.
    pub(super) rounds: Number,
    pub(super) size: Size,
    pub(super) seconds: Number,
    /// Set where sound has a price.
    pub(super) sound: Option<Sound>,
}

impl Family {
    /// The family of `endpoint`.
    pub(super) fn of(endpoint: &str) -> &'static Self {
        let within = |prefix: &str| {
            endpoint.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        FAMILIES.iter().find(|(prefix, _)| within(prefix)).map_or(&OTHER, |(_, family)| family)
    }

    /// Whether a request says how much of `thing` it wants.
    pub(super) fn reads(&self, thing: Thing) -> bool {
        let counts = !self.pictures.names.is_empty() || !self.rounds.names.is_empty();
        match thing {
            Thing::Images => counts,
            Thing::Megapixels => counts || !self.size.names.is_empty(),
            Thing::Seconds => !self.seconds.names.is_empty() || self.sound.is_some(),
            Thing::Videos => !self.seconds.names.is_empty(),
            Thing::Characters => true,
            Thing::Requests => false,
        }
    }
}

const fn number(names: &'static [&'static str], default: u64, largest: u64) -> Number {
    Number { names, default, largest }
}

const fn fixed_size(megapixels: u64) -> Size {
    Size { names: &[], sides: false, default: megapixels, largest: megapixels }
}

const fn sized(default: u64, largest: u64) -> Size {
    Size { names: &["image_size"], sides: false, default, largest }
}

const ONE: Number = number(&[], 1, 1);
const UP_TO_FOUR: Number = number(&["num_images"], 1, 4);

/// One picture of an ordinary size; a film as long as most.
const PLAIN: Family = Family {
    known: true,
    pictures: ONE,
    rounds: ONE,
    size: fixed_size(ONE_K),
    seconds: number(&["duration"], 10, 15),
    sound: None,
};

const PICTURES: Family = Family { pictures: UP_TO_FOUR, ..PLAIN };

/// `landscape_4_3`, the size without a word, is less than one megapixel.
const FLUX: Family = Family { size: sized(1, TWO_K), ..PICTURES };
const EDIT: Family = Family { size: sized(TWO_K, TWO_K), ..PICTURES };

const VEO: Family =
    Family { seconds: number(&["duration"], 8, 8), sound: Some(Sound { with: 400, without: 200 }), ..PLAIN };

/// By the beginning of the endpoint id; the first that fits counts.
const FAMILIES: &[(&str, Family)] = &[
    ("fal-ai/flux-1/dev/image-to-image", Family { size: fixed_size(TWO_K), ..PICTURES }),
    ("fal-ai/flux-1", FLUX),
    ("fal-ai/flux-lora/image-to-image", EDIT),
    ("fal-ai/flux-lora/inpainting", EDIT),
    ("fal-ai/flux-lora", FLUX),
    ("fal-ai/flux-pro/kontext", PICTURES),
    ("fal-ai/qwen-image-edit", EDIT),
    ("fal-ai/qwen-image-edit-lora", EDIT),
    ("fal-ai/qwen-image-edit-plus", EDIT),
    ("fal-ai/wan/v2.2-a14b/image-to-image", Family { size: fixed_size(TWO_K), ..PLAIN }),
    (
        "fal-ai/bytedance/seedream/v4",
        Family {
            pictures: number(&["num_images"], 1, 6),
            rounds: number(&["max_images"], 1, 6),
            size: sized(TWO_K, FOUR_K),
            ..PLAIN
        },
    ),
    ("fal-ai/vidu/reference-to-image", PLAIN),
    (
        "fal-ai/imagen4",
        Family {
            size: Size { names: &["resolution"], sides: false, default: ONE_K, largest: TWO_K },
            ..PICTURES
        },
    ),
    ("fal-ai/nano-banana", PICTURES),
    ("fal-ai/kling-video/v2.5-turbo/pro", Family { seconds: number(&["duration"], 5, 10), ..PLAIN }),
    ("fal-ai/veo3/fast", Family { sound: Some(Sound { with: 150, without: 100 }), ..VEO }),
    ("fal-ai/veo3", VEO),
];

/// Any other endpoint, by the names that most models use.
const OTHER: Family = Family {
    known: false,
    pictures: number(&["num_images", "n", "num_outputs", "num_samples", "batch_size"], 1, 4),
    rounds: number(&["max_images"], 1, 1),
    size: Size { names: &["image_size", "size", "resolution"], sides: true, default: ONE_K, largest: TWO_K },
    seconds: number(&["duration", "duration_seconds", "seconds", "seconds_total"], 10, 15),
    sound: None,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_can_be_reached_and_never_asks_for_nothing() {
        for (prefix, family) in FAMILIES.iter().chain([&("acme/anything", OTHER)]) {
            let found = Family::of(prefix);
            assert_eq!(format!("{found:?}"), format!("{family:?}"), "{prefix} is hidden by a row before it");
            for number in [family.pictures, family.rounds, family.seconds] {
                assert!(1 <= number.default && number.default <= number.largest, "{prefix}");
            }
            assert!(1 <= family.size.default && family.size.default <= family.size.largest, "{prefix}");
        }
    }

    #[test]
    fn a_prefix_ends_at_a_slash() {
        assert!(Family::of("fal-ai/veo3/image-to-video").known);
        assert!(!Family::of("fal-ai/veo3.1").known);
        assert!(!Family::of("fal-ai/nano-banana-2").known);
    }
}
