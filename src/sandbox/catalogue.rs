//! The models that the sandbox knows by name, read from `catalogue.toml`.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::money::UnitPrice;

use super::endpoint::Endpoint;

const SOURCE: &str = include_str!("catalogue.toml");

/// One field of a model's input.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Field {
    /// What it holds.
    #[serde(rename = "type")]
    pub(super) kind: Kind,
    /// Whether a call must give it.
    #[serde(default)]
    pub(super) required: bool,
    /// What holds when a call does not give it.
    pub(super) default: Option<Value>,
    /// The least number, or the side of the square with the fewest pixels.
    pub(super) min: Option<f64>,
    /// The greatest number, or the side of the square with the most pixels.
    pub(super) max: Option<f64>,
    /// The least items.
    pub(super) min_length: Option<usize>,
    /// The most characters or items.
    pub(super) max_length: Option<usize>,
    /// The only texts that are accepted; empty for any.
    #[serde(default)]
    pub(super) choices: Vec<String>,
    /// Names of sizes beside the usual ones.
    #[serde(default)]
    pub(super) presets: Vec<String>,
}

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    /// A text.
    String,
    /// A whole number.
    Integer,
    /// Any number.
    Number,
    /// True or false.
    Boolean,
    /// The address of a file.
    Url,
    /// Addresses of files.
    Urls,
    /// A named size, or width and height.
    ImageSize,
    /// Weights to add: a list of objects with a `path`.
    Loras,
}

/// The shape of a model's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Shape {
    /// Pictures with timings, seed, verdicts and the prompt.
    Flux,
    /// One picture.
    Image,
    /// One picture, the seed and the prompt.
    ImageSeed,
    /// Pictures and the seed.
    ImagesSeed,
    /// Pictures and a description.
    ImagesDescription,
    /// One film.
    Video,
    /// One sound.
    Audio,
}

/// What one call costs.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Price {
    /// What is counted.
    pub(super) unit: Unit,
    /// US dollars for one unit.
    pub(super) usd: UnitPrice,
    /// The part of a unit that is counted when no sound was asked for.
    pub(super) silent_share: Option<f64>,
}

/// What a price counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Unit {
    /// Million pixels, each picture rounded up.
    Megapixels,
    /// Pictures.
    Images,
    /// Seconds of film or sound.
    Seconds,
}

impl Unit {
    /// The name in a price list.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Megapixels => "megapixels",
            Self::Images => "images",
            Self::Seconds => "seconds",
        }
    }
}

/// A model: what it takes, what it gives, what it costs.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Model {
    /// Its endpoint id; empty for the stand-ins of unknown endpoints.
    #[serde(default)]
    pub(super) endpoint: String,
    /// As the price list groups it.
    pub(super) category: String,
    /// Whether it is still there, but soon no more.
    #[serde(default)]
    pub(super) deprecated: bool,
    #[serde(default, rename = "use")]
    groups: Vec<String>,
    /// Its fields by name.
    #[serde(default, rename = "input")]
    pub(super) fields: BTreeMap<String, Field>,
    /// The shape of its answer.
    #[serde(rename = "output")]
    pub(super) shape: Shape,
    /// The side of a square picture where the input says nothing else.
    #[serde(default = "usual_side")]
    pub(super) side: u64,
    /// What it costs.
    pub(super) price: Price,
    /// The smallest valid input.
    #[serde(default)]
    pub(super) example: Map<String, Value>,
}

fn usual_side() -> u64 {
    1024
}

impl Model {
    /// Whether this stands in for an endpoint that is not in the catalogue; then its input is not checked.
    pub(super) fn is_stand_in(&self) -> bool {
        self.endpoint.is_empty()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    closed_apps: Vec<String>,
    groups: HashMap<String, BTreeMap<String, Field>>,
    models: Vec<Model>,
    generic: Generic,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Generic {
    image: Model,
    video: Model,
    audio: Model,
}

/// All models.
pub(super) struct Catalogue {
    closed_apps: Vec<String>,
    models: Vec<Model>,
    by_endpoint: HashMap<String, usize>,
    generic: Generic,
}

/// The compiled-in catalogue cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BadCatalogue {
    /// It is not the TOML that it should be.
    #[error("the sandbox's catalogue is not valid: {0}")]
    Syntax(#[from] toml::de::Error),
    /// A model uses a group that is not there.
    #[error("the sandbox's catalogue has no group `{0}`")]
    NoGroup(String),
}

impl Catalogue {
    /// Reads the compiled-in catalogue.
    pub(super) fn load() -> Result<Self, BadCatalogue> {
        let mut document: Document = toml::from_str(SOURCE)?;
        for model in &mut document.models {
            take_over_groups(model, &document.groups)?;
        }
        let models = document.models;
        let by_endpoint = models.iter().enumerate().map(|(at, model)| (model.endpoint.clone(), at)).collect();
        Ok(Self { closed_apps: document.closed_apps, models, by_endpoint, generic: document.generic })
    }

    /// All models that have a name.
    pub(super) fn models(&self) -> &[Model] {
        &self.models
    }

    /// Whether `id` is the name of a model, and not of something that a model stands in for.
    pub(super) fn names(&self, id: &str) -> bool {
        self.by_endpoint.contains_key(id)
    }

    /// The model of `endpoint`, or what stands in for it; `None` for an unknown path in an app that is known whole.
    pub(super) fn find(&self, endpoint: &Endpoint) -> Option<&Model> {
        if let Some(at) = self.by_endpoint.get(endpoint.id()) {
            return self.models.get(*at);
        }
        let closed = self.closed_apps.iter().any(|app| app == endpoint.app());
        (!closed).then(|| self.stand_in(endpoint.id()))
    }

    /// What an endpoint that is not in the catalogue is taken for, by a word in its id.
    pub(super) fn stand_in(&self, id: &str) -> &Model {
        let has = |words: &[&str]| words.iter().any(|word| id.contains(word));
        if has(&["video"]) {
            &self.generic.video
        } else if has(&["audio", "speech", "music", "tts"]) {
            &self.generic.audio
        } else {
            &self.generic.image
        }
    }
}

/// A model's own fields win over those of its groups, a later group over an earlier one.
fn take_over_groups(
    model: &mut Model,
    groups: &HashMap<String, BTreeMap<String, Field>>,
) -> Result<(), BadCatalogue> {
    let mut fields = BTreeMap::new();
    for name in &model.groups {
        let group = groups.get(name).ok_or_else(|| BadCatalogue::NoGroup(name.clone()))?;
        fields.extend(group.clone());
    }
    fields.append(&mut model.fields);
    model.fields = fields;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find<'a>(catalogue: &'a Catalogue, id: &str) -> Option<&'a Model> {
        catalogue.find(&Endpoint::parse(id).unwrap())
    }

    #[test]
    fn every_named_model_is_found_and_is_an_endpoint() {
        let catalogue = Catalogue::load().unwrap();
        assert!(catalogue.models().len() >= 28);
        for model in catalogue.models() {
            assert_eq!(find(&catalogue, &model.endpoint).unwrap().endpoint, model.endpoint);
            assert!(model.fields.values().any(|field| field.required), "{}", model.endpoint);
        }
    }

    #[test]
    fn unknown_endpoints_are_taken_for_what_their_name_says() {
        let catalogue = Catalogue::load().unwrap();
        for (id, shape) in [
            ("acme/painter", Shape::Flux),
            ("fal-ai/kling-video/v9/text-to-video", Shape::Video),
            ("acme/tts/v2", Shape::Audio),
        ] {
            assert_eq!(find(&catalogue, id).unwrap().shape, shape, "{id}");
        }
    }

    #[test]
    fn unknown_paths_of_apps_that_are_known_whole_are_not_found() {
        let catalogue = Catalogue::load().unwrap();
        assert!(find(&catalogue, "fal-ai/flux-1/foo").is_none());
        assert!(find(&catalogue, "fal-ai/wan/foo").is_some());
    }
}
