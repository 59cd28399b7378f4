//! Pages as fal sends them, and as it should not.

use proptest::prelude::*;

use super::*;

fn prices(entries: &str) -> Page<PriceList> {
    read_prices(format!(r#"{{"prices":[{entries}],"next_cursor":null,"has_more":false}}"#).as_bytes())
        .unwrap()
}

#[test]
fn a_page_of_prices_is_read_exactly() {
    let body = br#"{"next_cursor":"abc","has_more":true,"prices":[
        {"endpoint_id":"fal-ai/flux-1/dev","unit_price":0.025,"unit":"megapixels","currency":"USD","new":[{}]},
        {"endpoint_id":"fal-ai/x","unit_price":"2.5e-2","unit":"","currency":"USD"},
        {"endpoint_id":"fal-ai/y","unit_price":1.1e-1,"unit":"parsecs","currency":"USD"}]}"#;
    let page = read_prices(body).unwrap();
    assert_eq!(page.problems, []);
    assert_eq!(page.next_cursor.as_deref(), Some("abc"));
    let shown = |endpoint: &str| page.entries[endpoint].to_string();
    assert_eq!(shown("fal-ai/flux-1/dev"), "0.025 per megapixels");
    assert_eq!(shown("fal-ai/x"), "0.025 per unnamed unit");
    assert_eq!(shown("fal-ai/y"), "0.11 per parsecs");
}

#[test]
fn each_bad_entry_is_named_and_the_rest_counts() {
    let entry = |field: &str, value: &str| {
        let mut fields = vec![
            ("endpoint_id", r#""a/b""#),
            ("unit_price", "1"),
            ("unit", r#""image""#),
            ("currency", r#""USD""#),
        ];
        fields.retain(|(name, _)| *name != field);
        if !value.is_empty() {
            fields.push((field, value));
        }
        let members: Vec<String> =
            fields.iter().map(|(name, value)| format!(r#""{name}":{value}"#)).collect();
        format!("{{{}}}", members.join(","))
    };
    for (bad, told) in [
        (entry("endpoint_id", ""), "entry 2: `endpoint_id` is missing"),
        (entry("endpoint_id", r#""a\nb""#), "entry 2 (ab): `endpoint_id` cannot be read"),
        (entry("endpoint_id", "7"), "entry 2: `endpoint_id` cannot be read"),
        (entry("unit", ""), "entry 2 (a/b): `unit` is missing"),
        (entry("unit", "null"), "entry 2 (a/b): `unit` is missing"),
        (entry("unit", "[]"), "entry 2 (a/b): `unit` cannot be read"),
        (entry("currency", ""), "entry 2 (a/b): `currency` is missing"),
        (entry("currency", r#""EUR""#), "entry 2 (a/b): `currency` is `EUR`, and only USD is counted"),
        (entry("unit_price", ""), "entry 2 (a/b): `unit_price` is missing"),
        (entry("unit_price", "-1"), "entry 2 (a/b): `unit_price` must not be negative"),
        (entry("unit_price", "1e999"), "entry 2 (a/b): `unit_price` is too large; the most is 28 digits"),
        (entry("unit_price", "1000001"), "entry 2 (a/b): `unit_price` is too large; the most is 1000000"),
        (
            entry("unit_price", r#""NaN""#),
            "entry 2 (a/b): `unit_price` must be a plain decimal number such as 5 or 0.10",
        ),
        (
            entry("unit_price", "NaN"),
            "entry 2 (a/b): `unit_price` must be a plain decimal number such as 5 or 0.10",
        ),
        (entry("unit_price", "-Infinity"), "entry 2 (a/b): `unit_price` must not be negative"),
        (
            entry("unit_price", "[1]"),
            "entry 2 (a/b): `unit_price` must be a plain decimal number such as 5 or 0.10",
        ),
        ("[]".to_owned(), "entry 2: is no object"),
        ("null".to_owned(), "entry 2: is no object"),
    ] {
        let good = r#"{"endpoint_id":"good","unit_price":2,"unit":"image","currency":"USD"}"#;
        let page = prices(&format!("{good},{bad},{}", good.replace("good", "fine")));
        let problems: Vec<String> = page.problems.iter().map(ToString::to_string).collect();
        assert_eq!(problems, [told], "{bad}");
        assert_eq!(page.entries.len(), 2, "{bad}");
    }
}

#[test]
fn an_endpoint_with_two_prices_keeps_the_first_and_is_named() {
    let entry =
        |price| format!(r#"{{"endpoint_id":"a/b","unit_price":{price},"unit":"image","currency":"USD"}}"#);
    let page = prices(&[entry("1"), entry("1.0"), entry("2")].join(","));
    assert_eq!(page.entries["a/b"].to_string(), "1 per image");
    assert_eq!(page.problems.len(), 1);
    assert_eq!(page.problems[0].to_string(), "entry 3 (a/b): is there twice with different prices");
}

#[test]
fn a_page_of_models_is_read() {
    let body = br#"{"models":[
        {"endpoint_id":"a/b","metadata":{"display_name":"B","category":"text-to-image","status":"active","tags":[]}},
        {"endpoint_id":"a/c","metadata":{"display_name":7}},{"endpoint_id":"a/d"},{"metadata":{}},3]}"#;
    let page = read_models(body).unwrap();
    let endpoints: Vec<&str> = page.entries.iter().map(|model| &*model.endpoint).collect();
    assert_eq!(endpoints, ["a/b", "a/c", "a/d"]);
    assert_eq!(page.entries[0].category.as_deref(), Some("text-to-image"));
    assert_eq!(page.entries[0].status.as_deref(), Some("active"));
    assert_eq!(page.entries[1].display_name, None);
    assert_eq!(page.problems.len(), 2);
    assert_eq!(page.next_cursor, None);
}

#[test]
fn what_is_no_page_is_refused() {
    let error = |body: &str| read_prices(body.as_bytes()).unwrap_err();
    assert!(matches!(error("<html>"), PageError::NotJson(_)));
    assert!(matches!(error("[]"), PageError::NotJson(_)));
    assert_eq!(error("{}"), PageError::NoList("prices"));
    assert_eq!(error(r#"{"prices":{}}"#), PageError::NoList("prices"));
    assert_eq!(error(r#"{"prices":[],"has_more":true}"#), PageError::Cursor);
    assert_eq!(error(r#"{"prices":[],"has_more":true,"next_cursor":""}"#), PageError::Cursor);
    assert_eq!(error(r#"{"prices":[],"has_more":1,"next_cursor":"a"}"#), PageError::Cursor);
    assert_eq!(read_prices(br#"{"prices":[],"next_cursor":"a"}"#).unwrap().next_cursor.as_deref(), Some("a"));
}

#[test]
fn invariant_7_a_page_has_a_largest_size_and_its_texts_a_longest() {
    let page = |entries: usize| format!(r#"{{"prices":[{}0]}}"#, "0,".repeat(entries - 1));
    assert_eq!(read_prices(page(MAX_ENTRIES).as_bytes()).unwrap().problems.len(), MAX_ENTRIES);
    let error = |body: &str| read_prices(body.as_bytes()).unwrap_err();
    assert_eq!(error(&page(MAX_ENTRIES + 1)), PageError::TooMany(MAX_ENTRIES));
    let long = "a".repeat(MAX_TEXT_BYTES + 1);
    assert_eq!(error(&format!(r#"{{"prices":[],"next_cursor":"{long}"}}"#)), PageError::Cursor);
    let entry =
        |id: &str| format!(r#"{{"endpoint_id":"{id}","unit_price":1,"unit":"image","currency":"USD"}}"#);
    let page = prices(&[entry(&long), entry(&long[1..])].join(","));
    assert_eq!(page.entries.keys().map(|id| id.len()).collect::<Vec<_>>(), [MAX_TEXT_BYTES]);
    assert_eq!(page.problems[0].endpoint.as_deref(), Some(&long[..problem::MAX_SHOWN_CHARS]));
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), entry in "[\\[\\]{}\",:a-e0-9.-]{0,60}") {
        let _ = (read_prices(&bytes), read_models(&bytes));
        let _ = read_prices(format!(r#"{{"prices":[{entry}]}}"#).as_bytes());
    }
}
