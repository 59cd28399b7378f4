//! What is held, by price, unit, request, history and policy.

use super::*;

const FLUX: &str = "fal-ai/flux-1/dev";
const SEEDREAM: &str = "fal-ai/bytedance/seedream/v4/edit";
const KLING: &str = "fal-ai/kling-video/v2.5-turbo/pro/text-to-video";
const ANY: &str = "acme/any/model";

#[test]
fn whole_requests_are_counted_by_what_they_ask_for() {
    for (endpoint, unit, body, units) in [
        (FLUX, "megapixels", r#"{"prompt":"a"}"#, "1"),
        (FLUX, "megapixel", r#"{"num_images":3,"image_size":"square_hd"}"#, "6"),
        (FLUX, "megapixel", r#"{"image_size":{"width":1001,"height":1000}}"#, "2"),
        (FLUX, "megapixel", r#"{"image_size":{"width":"1000","height":1000.0}}"#, "1"),
        (FLUX, "megapixel", r#"{"image_size":{"width":14142,"height":14142}}"#, "200"),
        (FLUX, "megapixel", r#"{"image_size":{"height":100}}"#, "1"),
        (FLUX, "image", r#"{"num_images":"4"}"#, "4"),
        (FLUX, "request", r#"{"num_images":"4"}"#, "1"),
        ("fal-ai/flux-1/dev/image-to-image", "megapixels", r#"{"image_size":"square"}"#, "5"),
        ("fal-ai/flux-pro/kontext/max/multi", "images", r#"{"num_images":2}"#, "2"),
        (SEEDREAM, "images", "{}", "1"),
        (SEEDREAM, "images", r#"{"num_images":2,"max_images":3}"#, "6"),
        (SEEDREAM, "megapixels", r#"{"image_size":"auto_4K"}"#, "17"),
        ("fal-ai/vidu/reference-to-image", "images", r#"{"num_images":9}"#, "1"),
        ("fal-ai/imagen4/preview", "megapixels", r#"{"resolution":"2K"}"#, "5"),
        (KLING, "seconds", "{}", "5"),
        (KLING, "second", r#"{"duration":"10"}"#, "10"),
        (KLING, "video", r#"{"duration":"10"}"#, "2"),
        (KLING, "minute", r#"{"duration":"10"}"#, "1"),
        (ANY, "Images", r#"{"n":2,"num_images":3}"#, "3"),
        (ANY, "megapixels", r#"{"size":"1536x1024"}"#, "2"),
        (ANY, "megapixels", r#"{"width":3000,"height":1000}"#, "3"),
        (ANY, "seconds", r#"{"duration":5}"#, "5"),
        (ANY, "seconds", r#"{"duration":5.0}"#, "5"),
        (ANY, "seconds", r#"{"duration":"5.5s"}"#, "6"),
        (ANY, "video_second", r#"{"duration_seconds":12}"#, "12"),
        (ANY, "1000 characters", r#"{"text":"é"}"#, "1"),
        (ANY, "10 characters", r#"{"text":"ééééééé\u00e9\n\"","prompt":"1"}"#, "2"),
    ] {
        assert_eq!(expected(endpoint, unit, whole(body)), units, "{endpoint} {unit} {body}");
    }
}

#[test]
fn what_was_not_seen_counts_as_the_largest() {
    for (endpoint, unit, body, units) in [
        (FLUX, "megapixels", r#"{"image_url":"data:"#, "20"),
        (FLUX, "megapixels", r#"{"num_images":2,"image_url":"data:"#, "10"),
        (FLUX, "megapixels", r#"{"num_images":2,"image_size":"square","image_url":"data:"#, "2"),
        (SEEDREAM, "images", r#"{"max_images":1,"image_url":"data:"#, "6"),
        (SEEDREAM, "images", "", "36"),
        (KLING, "seconds", r#"{"image_url":"data:"#, "10"),
        ("fal-ai/veo3/image-to-video", "seconds", r#"{"image_url":"data:"#, "8"),
        ("fal-ai/vidu/reference-to-image", "images", r#"{"reference_image_urls":["data:"#, "1"),
        (ANY, "images", r#"{"image_url":"data:"#, "4"),
        (ANY, "characters", r#"{"text":"a","audio_url":"data:"#, "100000"),
    ] {
        assert_eq!(expected(endpoint, unit, cut(body)), units, "{endpoint} {unit} {body}");
    }
}

#[test]
fn sound_is_counted_up_from_a_price_without_it() {
    let seconds = |price: &str, body: &str| {
        let book = book(price, "seconds");
        let quote =
            quote(&book, &History::default(), POLICY, Multiplier::ONE, "fal-ai/veo3", whole(body)).unwrap();
        (quote.units.unwrap().decimal().normalize().to_string(), quote.hold)
    };
    let silent = r#"{"generate_audio":false,"duration":"8s"}"#;
    assert_eq!(seconds("0.4", "{}"), ("8".to_owned(), usd("3.2")));
    assert_eq!(seconds("0.4", silent), ("4".to_owned(), usd("1.6")));
    assert_eq!(seconds("0.2", "{}"), ("16".to_owned(), usd("3.2")));
    assert_eq!(seconds("0.2", silent), ("8".to_owned(), usd("1.6")));
    assert_eq!(seconds("0.8", "{}"), ("8".to_owned(), usd("6.4")));
    assert_eq!(seconds("0", "{}").1, usd("0"));
}

#[test]
fn history_serves_where_the_request_does_not_tell() {
    let history = History::default();
    let quoted = |endpoint: &str, unit: &str, body: &str| {
        let policy = Policy { ceiling: usd("7"), ..POLICY };
        let multiplier = Multiplier::parse("2").unwrap();
        let quote = quote(&book("0.01", unit), &history, policy, multiplier, endpoint, whole(body)).unwrap();
        (quote.basis, quote.hold.to_string())
    };
    assert_eq!(quoted(ANY, "compute second", "{}"), (QuoteBasis::Ceiling, "7.00".to_owned()));
    assert_eq!(quoted(ANY, "second", "{}"), (QuoteBasis::Request, "0.20".to_owned()));
    history.note(ANY, units("33.5"));
    history.note(FLUX, units("33.5"));
    for unit in ["compute second", "second", "units", "", "megapixel"] {
        assert_eq!(quoted(ANY, unit, "{}"), (QuoteBasis::History, "0.67".to_owned()), "{unit}");
    }
    assert_eq!(quoted(ANY, "second", r#"{"duration":2}"#), (QuoteBasis::Request, "0.04".to_owned()));
    assert_eq!(quoted(FLUX, "megapixel", "{}"), (QuoteBasis::Request, "0.02".to_owned()));
}

#[test]
fn an_endpoint_without_a_price_goes_by_the_policy() {
    let quoted = |unknown| {
        let policy = Policy { unknown, ceiling: usd("3") };
        let book = PriceBook::new(Vec::new());
        quote(&book, &History::default(), policy, Multiplier::parse("5").unwrap(), ANY, whole("{}"))
    };
    let held = |hold, basis| Ok(Quote { price: None, units: None, hold, basis });
    assert_eq!(quoted(Unknown::Refuse), Err(QuoteError::PriceUnknown));
    assert_eq!(quoted(Unknown::Ceiling), held(usd("3"), QuoteBasis::Ceiling));
    assert_eq!(quoted(Unknown::Flag), held(Usd::ZERO, QuoteBasis::None));
}

#[test]
fn a_hold_beyond_all_money_is_refused() {
    let multiplier = Multiplier::parse("1000").unwrap();
    let book = book("1000000", "image");
    let quoted = quote(&book, &History::default(), POLICY, multiplier, ANY, whole(r#"{"n":2}"#));
    assert!(matches!(quoted, Err(QuoteError::TooLarge(_))));
}

#[test]
fn a_body_is_asked_for_only_where_it_is_read() {
    for (endpoint, unit, needed) in [
        (FLUX, "megapixels", true),
        ("fal-ai/vidu/reference-to-image", "images", false),
        ("fal-ai/wan/v2.2-a14b/image-to-image", "megapixels", false),
        (KLING, "seconds", true),
        (ANY, "images", true),
        (ANY, "characters", true),
        (ANY, "request", false),
        (ANY, "compute second", false),
    ] {
        assert_eq!(needs_body(&book("1", unit), endpoint), needed, "{endpoint} {unit}");
        if !needed && unit != "compute second" {
            let body = r#"{"num_images":9,"image_size":"auto_4K"}"#;
            assert_eq!(expected(endpoint, unit, cut("")), expected(endpoint, unit, whole(body)));
        }
    }
    assert!(!needs_body(&PriceBook::new(Vec::new()), ANY));
}

#[test]
fn the_words_are_those_in_json() {
    for basis in [QuoteBasis::Request, QuoteBasis::History, QuoteBasis::Ceiling, QuoteBasis::None] {
        assert_eq!(serde_json::to_value(basis).unwrap(), basis.as_str());
    }
    assert_eq!(serde_json::from_str::<Unknown>(r#""ceiling""#).unwrap(), Unknown::Ceiling);
}
