//! What models answer: the exact shape of each family, with files that can be read, and what it is billed as.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Serialize;
use serde_json::{Number, Value};

use super::catalogue::{Shape, Unit};
use super::input::Input;
use super::media::{Mark, Media};
use super::size;

/// The most pictures of one call, whatever it asks for.
const MAX_PICTURES: u64 = 10;
/// Seconds of sound in one answer.
const SOUND_SECONDS: f64 = 1.0;

/// The answer of a model that did its work.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Output {
    /// Pictures as FLUX answers.
    Flux {
        /// The pictures.
        images: Vec<FluxImage>,
        /// How long it took.
        timings: Timings,
        /// The seed that was used.
        seed: Number,
        /// One verdict per picture.
        has_nsfw_concepts: Vec<bool>,
        /// The prompt as it was given.
        prompt: String,
    },
    /// One picture.
    Image {
        /// The picture.
        image: File,
        /// The seed, from models that tell it.
        #[serde(skip_serializing_if = "Option::is_none")]
        seed: Option<Number>,
        /// The prompt, from models that tell it.
        #[serde(skip_serializing_if = "Option::is_none")]
        prompt: Option<String>,
    },
    /// Several pictures.
    Images {
        /// The pictures.
        images: Vec<File>,
        /// The seed, from models that tell it.
        #[serde(skip_serializing_if = "Option::is_none")]
        seed: Option<Number>,
        /// What is on them, from models that tell it.
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<String>,
    },
    /// A film.
    Video {
        /// The film.
        video: File,
    },
    /// A sound.
    Audio {
        /// The sound.
        audio: File,
    },
}

/// A picture as FLUX describes it.
#[derive(Serialize)]
pub(super) struct FluxImage {
    url: String,
    width: u32,
    height: u32,
    content_type: &'static str,
}

/// A file as most models describe it.
#[derive(Serialize)]
pub(super) struct File {
    url: String,
    content_type: &'static str,
    file_name: String,
    file_size: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    width: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    height: Option<u32>,
}

/// How long the parts of the work took, in seconds.
#[derive(Serialize)]
pub(super) struct Timings {
    /// The model itself.
    pub(super) inference: f64,
}

/// What a model needs beside its input.
pub(super) struct Work<'a> {
    /// The endpoint, which is part of what a picture shows.
    pub(super) endpoint: &'a str,
    /// The base of file addresses.
    pub(super) public_url: &'a str,
    /// The seed when the input gives none.
    pub(super) drawn_seed: u64,
    /// How long the model runs, in seconds.
    pub(super) seconds: f64,
}

/// Does the work.
pub(super) fn make(input: &Input, work: &Work) -> Output {
    let studio = Studio::new(input, work);
    match input.model.shape {
        Shape::Flux => studio.flux(),
        Shape::Image => Output::Image { image: studio.picture(0), seed: None, prompt: None },
        Shape::ImageSeed => {
            let prompt = Some(input.text("prompt").to_owned());
            Output::Image { image: studio.picture(0), seed: Some(studio.seed.clone()), prompt }
        }
        Shape::ImagesSeed => {
            Output::Images { images: studio.pictures(), seed: Some(studio.seed.clone()), description: None }
        }
        Shape::ImagesDescription => {
            Output::Images { images: studio.pictures(), seed: None, description: Some(String::new()) }
        }
        Shape::Video => Output::Video { video: studio.file(Media::Film, 0) },
        Shape::Audio => Output::Audio { audio: studio.file(Media::Sound, 0) },
    }
}

/// What the work is billed as, in the unit of the model's price.
pub(super) fn units(input: &Input) -> String {
    let units = match input.model.price.unit {
        Unit::Images => pictures(input) as f64,
        Unit::Megapixels => (pictures(input) * megapixels(size::picture(input))) as f64,
        Unit::Seconds if input.model.shape == Shape::Audio => SOUND_SECONDS,
        Unit::Seconds => f64::from(input.seconds()) * share(input),
    };
    // Three decimals are what fal was seen to use; a whole number is written without a point.
    format!("{}", (units * 1000.0).round() / 1000.0)
}

fn share(input: &Input) -> f64 {
    let silent = input.value("generate_audio").is_some() && !input.flag("generate_audio");
    input.model.price.silent_share.filter(|_| silent).unwrap_or(1.0)
}

fn megapixels(media: Media) -> u64 {
    match media {
        Media::Picture { width, height } => (u64::from(width) * u64::from(height)).div_ceil(1_000_000),
        Media::Film | Media::Sound => 1,
    }
}

fn pictures(input: &Input) -> u64 {
    match input.model.shape {
        Shape::Flux | Shape::ImagesSeed | Shape::ImagesDescription => input.count("num_images", MAX_PICTURES),
        Shape::Image | Shape::ImageSeed | Shape::Video | Shape::Audio => 1,
    }
}

/// Makes the files of one answer.
struct Studio<'a> {
    input: &'a Input<'a>,
    work: &'a Work<'a>,
    seed: Number,
    content: Vec<u8>,
}

impl<'a> Studio<'a> {
    fn new(input: &'a Input<'a>, work: &'a Work<'a>) -> Self {
        let seed = input.seed().unwrap_or_else(|| Number::from(work.drawn_seed));
        let content = serde_json::to_vec(input.given).unwrap_or_default();
        Self { input, work, seed, content }
    }

    /// Files differ by endpoint, input, seed and place in the answer.
    fn mark(&self, at: u64) -> Mark {
        let (seed, endpoint) = (self.seed.to_string(), self.work.endpoint.as_bytes());
        Mark::of(&[endpoint, &self.content, seed.as_bytes(), &at.to_be_bytes()])
    }

    fn address(&self, media: Media, mark: Mark) -> String {
        if self.input.flag("sync_mode") {
            return format!("data:{};base64,{}", media.content_type(), BASE64.encode(media.make(mark)));
        }
        let folder = mark.0 >> 32;
        format!("{}/cdn/files/b/{folder:08x}/{}", self.work.public_url, media.name(mark))
    }

    fn file(&self, media: Media, at: u64) -> File {
        let mark = self.mark(at);
        let (width, height) = match media {
            Media::Picture { width, height } => (Some(width), Some(height)),
            Media::Film | Media::Sound => (None, None),
        };
        File {
            url: self.address(media, mark),
            content_type: media.content_type(),
            file_name: media.name(mark),
            file_size: media.make(mark).len(),
            width,
            height,
        }
    }

    fn picture(&self, at: u64) -> File {
        self.file(size::picture(self.input), at)
    }

    fn pictures(&self) -> Vec<File> {
        (0..pictures(self.input)).map(|at| self.picture(at)).collect()
    }

    fn flux(&self) -> Output {
        let images: Vec<_> = (0..pictures(self.input)).map(|at| self.flux_image(at)).collect();
        Output::Flux {
            has_nsfw_concepts: vec![false; images.len()],
            images,
            timings: Timings { inference: self.work.seconds },
            seed: self.seed.clone(),
            prompt: self.input.text("prompt").to_owned(),
        }
    }

    fn flux_image(&self, at: u64) -> FluxImage {
        let media = size::picture(self.input);
        let (width, height) = match media {
            Media::Picture { width, height } => (width, height),
            Media::Film | Media::Sound => (0, 0),
        };
        FluxImage {
            url: self.address(media, self.mark(at)),
            width,
            height,
            content_type: media.content_type(),
        }
    }
}

/// One step of a model that answers as a stream.
pub(super) fn progress(step: u32, steps: u32) -> Value {
    serde_json::json!({ "progress": f64::from(step) / f64::from(steps) })
}
