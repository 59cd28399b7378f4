//! How large a picture becomes: from a named size, from width and height, or from an aspect ratio.

use serde_json::Value;

use super::input::Input;
use super::media::Media;

/// The longest side that a caller may name.
pub(super) const LONGEST_SIDE: f64 = 14_142.0;
/// What a side is when only the other one is given.
const OTHER_SIDE: u64 = 512;
/// Sides are multiples of this, as image models make them.
const GRID: f64 = 16.0;

/// A size by name.
pub(super) struct Preset {
    /// The name.
    pub(super) name: &'static str,
    width: u64,
    height: u64,
}

/// The names that every model with an `image_size` knows.
pub(super) const PRESETS: [Preset; 6] = [
    Preset { name: "square_hd", width: 1024, height: 1024 },
    Preset { name: "square", width: 512, height: 512 },
    Preset { name: "portrait_4_3", width: 768, height: 1024 },
    Preset { name: "portrait_16_9", width: 576, height: 1024 },
    Preset { name: "landscape_4_3", width: 1024, height: 768 },
    Preset { name: "landscape_16_9", width: 1024, height: 576 },
];

/// The picture that `input` asks for.
pub(super) fn picture(input: &Input) -> Media {
    let side = match (input.text("image_size"), input.text("resolution")) {
        ("auto_2K", _) => 2048,
        ("auto_4K", _) => 4096,
        (_, "2K") => input.model.side * 2,
        _ => input.model.side,
    };
    let (width, height) = input
        .value("image_size")
        .and_then(named_or_given)
        .unwrap_or_else(|| from_aspect_ratio(input.text("aspect_ratio"), side));
    Media::picture(width, height)
}

/// Width and height of an `image_size`; `None` for a name that leaves them to the model.
pub(super) fn named_or_given(value: &Value) -> Option<(u64, u64)> {
    if let Value::String(name) = value {
        return PRESETS.iter().find(|preset| preset.name == name).map(|preset| (preset.width, preset.height));
    }
    let size = value.as_object()?;
    let side = |name| size.get(name).and_then(whole).unwrap_or(OTHER_SIDE);
    Some((side("width"), side("height")))
}

/// A whole number, also as a text or with a point, as models accept it.
fn whole(value: &Value) -> Option<u64> {
    match value {
        Value::String(text) => text.trim().parse().ok(),
        _ => value.as_u64().or_else(|| value.as_f64().map(|number| number as u64)),
    }
}

/// About as many pixels as the square of `side` has, in the proportion `16:9` or the like; a square without one.
fn from_aspect_ratio(ratio: &str, side: u64) -> (u64, u64) {
    let proportion = ratio.split_once(':').and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)));
    let (across, down): (u8, u8) = proportion.filter(|(w, h)| *w > 0 && *h > 0).unwrap_or((1, 1));
    let stretch = (f64::from(across) / f64::from(down)).sqrt();
    let on_grid = |length: f64| ((length / GRID).round().max(1.0) * GRID) as u64;
    let side = side as f64;
    (on_grid(side * stretch), on_grid(side / stretch))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proportions_keep_the_area() {
        assert_eq!(from_aspect_ratio("1:1", 1024), (1024, 1024));
        assert_eq!(from_aspect_ratio("16:9", 1024), (1360, 768));
        assert_eq!(from_aspect_ratio("9:16", 1024), (768, 1360));
        for odd in ["auto", "", "0:1", "1:0", "x:y", "999:1"] {
            assert_eq!(from_aspect_ratio(odd, 1024), (1024, 1024), "{odd}");
        }
    }
}
