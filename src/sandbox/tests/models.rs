//! What models take and give, for every model of the catalogue.

use serde_json::json;

use super::*;
use crate::sandbox::catalogue::{Catalogue, Kind, Model, Shape};

async fn run(sandbox: &Sandbox, endpoint: &str, input: &Value) -> Answer {
    sandbox.call("POST", &format!("/run/{endpoint}"), input).await
}

fn at_once() -> Sandbox {
    Sandbox::with(|settings| settings.step_ms = 0)
}

fn models() -> Vec<Model> {
    Catalogue::load().unwrap().models().to_vec()
}

#[tokio::test]
async fn every_models_own_example_is_answered_in_its_shape() {
    let sandbox = at_once();
    for model in models() {
        let answer = run(&sandbox, &model.endpoint, &Value::Object(model.example.clone())).await;
        assert_eq!(answer.status, 200, "{}: {:?}", model.endpoint, answer.body);
        let body = answer.json();
        let mut keys: Vec<&str> = body.as_object().unwrap().keys().map(String::as_str).collect();
        keys.sort_unstable();
        let expected: &[&str] = match model.shape {
            Shape::Flux => &["has_nsfw_concepts", "images", "prompt", "seed", "timings"],
            Shape::Image => &["image"],
            Shape::ImageSeed => &["image", "prompt", "seed"],
            Shape::ImagesSeed => &["images", "seed"],
            Shape::ImagesDescription => &["description", "images"],
            Shape::Video => &["video"],
            Shape::Audio => &["audio"],
        };
        assert_eq!(keys, expected, "{}", model.endpoint);
        assert!(answer.header("x-fal-billable-units").unwrap().parse::<f64>().unwrap() > 0.0);
    }
}

#[tokio::test]
async fn without_a_required_field_every_model_names_it() {
    let sandbox = at_once();
    for model in models() {
        for (name, _) in model.fields.iter().filter(|(_, field)| field.required) {
            let mut input = model.example.clone();
            input.remove(name).expect("the example has every required field");
            let input = Value::Object(input);
            let answer = run(&sandbox, &model.endpoint, &input).await;
            assert_eq!(answer.status, 422, "{} {name}", model.endpoint);
            assert_eq!(answer.header("x-fal-billable-units"), Some("0"));
            let expected = json!({ "detail": [{
                "loc": ["body", name],
                "msg": "Field required",
                "type": "missing",
                "url": "https://errors.pydantic.dev/2.10/v/missing",
                "input": input,
            }] });
            assert_eq!(answer.json(), expected, "{} {name}", model.endpoint);
        }
    }
}

#[tokio::test]
async fn every_default_is_valid_when_it_is_spelled_out() {
    let sandbox = at_once();
    for model in models() {
        let mut input = model.example.clone();
        for (name, field) in &model.fields {
            if let Some(default) = &field.default {
                input.insert(name.clone(), default.clone());
            }
        }
        let answer = run(&sandbox, &model.endpoint, &Value::Object(input)).await;
        assert_eq!(answer.status, 200, "{}: {:?}", model.endpoint, answer.body);
    }
}

#[tokio::test]
async fn every_field_of_every_model_refuses_another_type() {
    let sandbox = at_once();
    for model in models() {
        for (name, field) in &model.fields {
            let mut input = model.example.clone();
            input.insert(
                name.clone(),
                if field.kind == Kind::Loras { json!(1) } else { json!({ "width": "x" }) },
            );
            let answer = run(&sandbox, &model.endpoint, &Value::Object(input)).await;
            assert_eq!(answer.status, 422, "{} {name}", model.endpoint);
            assert_eq!(answer.json()["detail"][0]["loc"][1], json!(name), "{}", model.endpoint);
        }
    }
}

#[tokio::test]
async fn inputs_are_refused_in_the_words_of_the_framework() {
    let sandbox = at_once();
    for (field, value, kind, msg) in [
        ("prompt", json!(7), "string_type", "Input should be a valid string"),
        ("num_images", json!(0), "greater_than_equal", "Input should be greater than or equal to 1"),
        ("num_images", json!(5), "less_than_equal", "Input should be less than or equal to 4"),
        (
            "num_images",
            json!(1.5),
            "int_from_float",
            "Input should be a valid integer, got a number with a fractional part",
        ),
        (
            "num_images",
            json!("many"),
            "int_parsing",
            "Input should be a valid integer, unable to parse string as an integer",
        ),
        (
            "guidance_scale",
            json!("x"),
            "float_parsing",
            "Input should be a valid number, unable to parse string as a number",
        ),
        (
            "enable_safety_checker",
            json!("perhaps"),
            "bool_parsing",
            "Input should be a valid boolean, unable to interpret input",
        ),
        ("output_format", json!("gif"), "literal_error", "Input should be 'jpeg' or 'png'"),
        (
            "image_size",
            json!({ "width": 20_000 }),
            "less_than_equal",
            "Input should be less than or equal to 14142",
        ),
    ] {
        let mut input = json!({ "prompt": "a fox" });
        input[field] = value.clone();
        let body = run(&sandbox, "fal-ai/flux-1/dev", &input).await.json();
        assert_eq!(
            (&body["detail"][0]["type"], &body["detail"][0]["msg"]),
            (&json!(kind), &json!(msg)),
            "{field}"
        );
    }
}

#[tokio::test]
async fn lists_and_addresses_are_checked_item_by_item() {
    let sandbox = at_once();
    let edit = "fal-ai/nano-banana/edit";
    let body =
        run(&sandbox, edit, &json!({ "prompt": "x", "image_urls": ["https://a/b", "c", 3] })).await.json();
    assert_eq!(body["detail"][0]["loc"], json!(["body", "image_urls", 1]));
    assert_eq!(body["detail"][0]["type"], "file_download_error");
    assert_eq!(body["detail"][1]["type"], "string_type");
    let body = run(&sandbox, edit, &json!({ "prompt": "x", "image_urls": [] })).await.json();
    assert_eq!(body["detail"][0]["type"], "too_short");
    let loras = json!({ "prompt": "x", "loras": [{ "path": "a" }, { "scale": 9 }] });
    let body = run(&sandbox, "fal-ai/flux-lora", &loras).await.json();
    assert_eq!(body["detail"][0]["loc"], json!(["body", "loras", 1, "path"]));
    assert_eq!(body["detail"][1]["loc"], json!(["body", "loras", 1, "scale"]));
    let many = run(&sandbox, edit, &json!({ "prompt": "x", "image_urls": vec![1; 1000] })).await.json();
    assert_eq!(many["detail"].as_array().unwrap().len(), 100);
    let long = json!({ "prompt": "x".repeat(1501), "reference_image_urls": ["https://a/b"] });
    let body = run(&sandbox, "fal-ai/vidu/reference-to-image", &long).await.json();
    assert_eq!(body["detail"][0]["ctx"], json!({ "max_length": 1500 }));
}

#[tokio::test]
async fn some_models_bound_the_pixels_of_a_picture() {
    let sandbox = at_once();
    for (width, height, status) in [(900, 1100, 200), (900, 900, 422), (4096, 4096, 200), (4096, 4097, 422)] {
        let input = json!({ "prompt": "x", "image_size": { "width": width, "height": height } });
        let answer = run(&sandbox, "fal-ai/bytedance/seedream/v4/text-to-image", &input).await;
        assert_eq!(answer.status.as_u16(), status, "{width}x{height}");
    }
}

#[tokio::test]
async fn inputs_that_the_framework_bends_are_taken() {
    let sandbox = at_once();
    let input = json!({
        "prompt": "a fox", "num_images": "2", "num_inference_steps": 20.0, "guidance_scale": "4.5",
        "sync_mode": "yes", "seed": null, "unknown": { "field": true },
    });
    let answer = run(&sandbox, "fal-ai/flux-1/dev", &input).await;
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    assert_eq!(answer.json()["images"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn big_seeds_come_back_exactly() {
    let sandbox = at_once();
    for seed in [0, 196_619_188_014_358_660, i64::MAX as u64, 1 << 63] {
        let answer = run(&sandbox, "fal-ai/flux-1/dev", &json!({ "prompt": "a fox", "seed": seed })).await;
        assert!(String::from_utf8_lossy(&answer.body).contains(&format!(r#""seed":{seed},"#)));
    }
}

#[tokio::test]
async fn drawn_seeds_follow_from_the_settings() {
    let draw = async |seed: u64| {
        let sandbox = Sandbox::with(|settings| (settings.step_ms, settings.seed) = (0, seed));
        run(&sandbox, "fal-ai/flux-1/dev", &json!({ "prompt": "a fox" })).await.json()["seed"].clone()
    };
    assert_eq!(draw(1).await, draw(1).await);
    assert_ne!(draw(1).await, draw(2).await);
}

#[tokio::test]
async fn calls_are_billed_in_the_unit_of_their_price() {
    let sandbox = at_once();
    let (kling, veo) = ("fal-ai/kling-video/v2.5-turbo/pro/text-to-video", "fal-ai/veo3");
    for (endpoint, input, units) in [
        ("fal-ai/flux-1/dev", json!({ "prompt": "x", "image_size": "square_hd" }), "2"),
        ("fal-ai/flux-1/dev", json!({ "prompt": "x", "image_size": "square", "num_images": 3 }), "3"),
        ("fal-ai/bytedance/seedream/v4/text-to-image", json!({ "prompt": "x", "num_images": 2 }), "2"),
        (kling, json!({ "prompt": "x", "duration": "10" }), "10"),
        (veo, json!({ "prompt": "x" }), "8"),
        (veo, json!({ "prompt": "x", "generate_audio": false }), "4"),
        ("fal-ai/veo3/fast", json!({ "prompt": "x", "generate_audio": false }), "5.36"),
    ] {
        let answer = run(&sandbox, endpoint, &input).await;
        assert_eq!(answer.header("x-fal-billable-units"), Some(units), "{endpoint} {input}");
    }
}

#[tokio::test]
async fn sizes_are_those_that_were_asked_for() {
    let sandbox = at_once();
    let picture = async |endpoint: &str, input: Value| {
        let body = run(&sandbox, endpoint, &input).await.json();
        let image = if body["image"].is_object() { body["image"].clone() } else { body["images"][0].clone() };
        (image["width"].as_u64().unwrap(), image["height"].as_u64().unwrap())
    };
    let flux = "fal-ai/flux-1/schnell";
    let seedream = "fal-ai/bytedance/seedream/v4/text-to-image";
    assert_eq!(picture(flux, json!({ "prompt": "x", "image_size": "portrait_16_9" })).await, (576, 1024));
    assert_eq!(picture(flux, json!({ "prompt": "x", "image_size": { "width": 640 } })).await, (640, 512));
    assert_eq!(picture(seedream, json!({ "prompt": "x" })).await, (2048, 2048));
    assert_eq!(picture(seedream, json!({ "prompt": "x", "image_size": "auto_4K" })).await, (4096, 4096));
    let imagen = json!({ "prompt": "x", "resolution": "2K", "aspect_ratio": "16:9" });
    assert_eq!(picture("fal-ai/imagen4/preview", imagen).await, (2736, 1536));
}

#[tokio::test]
async fn unknown_endpoints_get_a_plausible_answer() {
    let sandbox = at_once();
    for (endpoint, field) in [
        ("acme/painter/v2/turbo", "images"),
        ("workflows/someone/sticker", "images"),
        ("110602490-lora", "images"),
        ("minimax/video-01", "video"),
        ("acme/speech-hd", "audio"),
    ] {
        let answer = run(&sandbox, endpoint, &json!({ "anything": [1, 2] })).await;
        assert_eq!(answer.status, 200, "{endpoint}");
        assert!(answer.json()[field].is_object() || answer.json()[field].is_array(), "{endpoint}");
        assert!(answer.header("x-fal-billable-units").is_some());
    }
}

#[tokio::test]
async fn unknown_paths_of_known_apps_are_not_found() {
    let sandbox = at_once();
    let answer = run(&sandbox, "fal-ai/flux-1/foo", &json!({ "prompt": "x" })).await;
    assert_eq!((answer.status.as_u16(), answer.json()), (404, json!({ "detail": "Path /foo not found" })));
    assert_eq!(answer.header("x-fal-billable-units"), Some("0"));
}
