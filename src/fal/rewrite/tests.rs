use proptest::prelude::*;

use super::*;

const QUEUE: &str = "https://queue.fal.run";
const BACKUP: &str = "https://queue.falrun.com";
const LOCAL: &str = "http://127.0.0.1:9/queue";
const PUBLIC: &str = "https://relay.example/fal";

fn addresses() -> Arc<Addresses> {
    Arc::new(Addresses::new([QUEUE, BACKUP, LOCAL].map(str::to_owned), PUBLIC))
}

/// Pushes `input` in the pieces that `cuts` make of it; every cut falls somewhere.
fn rewritten(mut rewriter: Rewriter, input: &[u8], cuts: &[usize]) -> Vec<u8> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (input.len() + 1)).collect();
    cuts.sort_unstable();
    let mut out = BytesMut::new();
    let mut from = 0;
    for cut in cuts.into_iter().chain([input.len()]) {
        rewriter.push(&input[from..cut], &mut out);
        from = cut;
    }
    rewriter.finish(&mut out);
    out.to_vec()
}

fn json(input: &str) -> String {
    String::from_utf8(rewritten(Rewriter::json(addresses()), input.as_bytes(), &[])).unwrap()
}

fn events(input: &str) -> String {
    String::from_utf8(rewritten(Rewriter::events(addresses()), input.as_bytes(), &[])).unwrap()
}

/// Checks one document whole, byte by byte, and cut in two at every place.
#[track_caller]
fn assert_json(input: &str, wanted: &str) {
    assert_eq!(json(input), wanted);
    for cut in 0..=input.len() {
        let out = rewritten(Rewriter::json(addresses()), input.as_bytes(), &[cut]);
        assert_eq!(String::from_utf8(out).unwrap(), wanted, "cut at {cut}");
    }
    let every: Vec<usize> = (0..=input.len()).collect();
    let out = rewritten(Rewriter::json(addresses()), input.as_bytes(), &every);
    assert_eq!(String::from_utf8(out).unwrap(), wanted, "byte by byte");
}

#[track_caller]
fn assert_untouched(input: &str) {
    assert_json(input, input);
}

#[test]
fn a_status_reply_points_at_the_relay() {
    let body = r#"{"status":"COMPLETED","request_id":"1","response_url":"https://queue.fal.run/a/b/requests/1","status_url":"https://queue.falrun.com/a/b/requests/1/status","cancel_url":"http://127.0.0.1:9/queue/a/b/requests/1/cancel","logs":null,"metrics":{"inference_time":1.2249955059960485}}"#;
    let wanted = r#"{"status":"COMPLETED","request_id":"1","response_url":"https://relay.example/fal/a/b/requests/1","status_url":"https://relay.example/fal/a/b/requests/1/status","cancel_url":"https://relay.example/fal/a/b/requests/1/cancel","logs":null,"metrics":{"inference_time":1.2249955059960485}}"#;
    assert_json(body, wanted);
}

#[test]
fn the_400_of_an_early_result_points_at_the_relay() {
    assert_json(
        r#"{"detail":"Request is still in progress","response_url":"https://queue.fal.run/a/b/requests/1"}"#,
        r#"{"detail":"Request is still in progress","response_url":"https://relay.example/fal/a/b/requests/1"}"#,
    );
}

#[test]
fn numbers_order_and_whitespace_stay_as_they_came() {
    assert_json(
        "\r\n{ \"z\" :1.2249955059960485,\t\"big\":123456789012345678901234567890 , \"a\":1e400,\"status_url\"\n:\n\"https://queue.fal.run/x\" ,\"e\":-0.0E+1 }\n\n",
        "\r\n{ \"z\" :1.2249955059960485,\t\"big\":123456789012345678901234567890 , \"a\":1e400,\"status_url\"\n:\n\"https://relay.example/fal/x\" ,\"e\":-0.0E+1 }\n\n",
    );
}

#[test]
fn each_of_duplicate_keys_is_rewritten() {
    assert_json(
        r#"{"response_url":"https://queue.fal.run/1","response_url":null,"response_url":"https://queue.fal.run/2"}"#,
        r#"{"response_url":"https://relay.example/fal/1","response_url":null,"response_url":"https://relay.example/fal/2"}"#,
    );
}

#[test]
fn escaped_slashes_stay_escaped() {
    assert_json(
        r#"{"response_url":"https:\/\/queue.fal.run\/a\/b","status_url":"http:\/\/127.0.0.1:9/queue/a"}"#,
        r#"{"response_url":"https:\/\/relay.example\/fal\/a\/b","status_url":"https:\/\/relay.example\/fal/a"}"#,
    );
}

#[test]
fn a_base_ends_where_a_path_a_query_or_the_value_begins() {
    for end in ["", "/", "/a", "\\/a", "?a=1", "#a"] {
        let input = format!(r#"{{"cancel_url":"{QUEUE}{end}"}}"#);
        assert_json(&input, &format!(r#"{{"cancel_url":"{PUBLIC}{end}"}}"#));
    }
    for end in [".evil.com/", ":443/", "@evil.com/", "-x", "\\\\", "\\u002f", "\\", " ", "ä"] {
        assert_untouched(&format!(r#"{{"cancel_url":"{QUEUE}{end}"}}"#));
    }
}

#[test]
fn a_prompt_that_contains_the_address_stays() {
    assert_untouched(
        r#"{"prompt":"see https://queue.fal.run/a/b","detail":"\"response_url\":\"https://queue.fal.run/a\""}"#,
    );
    assert_untouched(
        r#"{"detail":[{"input":{"response_url":"https://queue.fal.run/a"}}],"output":{"status_url":"https://queue.fal.run/a"}}"#,
    );
    assert_untouched(
        r#"{"response_url ":"https://queue.fal.run/a","Response_url":"https://queue.fal.run/a","response_url2":"https://queue.fal.run/a"}"#,
    );
    assert_untouched(
        r#"{"response_url":["https://queue.fal.run/a"],"status_url":{"cancel_url":"https://queue.fal.run/a"}}"#,
    );
    assert_untouched(
        r#"{"response_url":" https://queue.fal.run/a","status_url":"HTTPS://queue.fal.run/a","cancel_url":"https://v3.fal.media/a"}"#,
    );
    assert_untouched(r#"[{"response_url":"https://queue.fal.run/a"}]"#);
}

#[test]
fn what_is_no_json_object_stays() {
    for input in [
        "",
        "null",
        "<html>\"response_url\":\"https://queue.fal.run/a\"",
        r#""response_url":"https://queue.fal.run/a""#,
        r#"["response_url":"https://queue.fal.run/a"]"#,
        r#"{"response_url" "https://queue.fal.run/a"}"#,
        r#"{"response_url"::"https://queue.fal.run/a"}"#,
        r#"{response_url:"https://queue.fal.run/a","status_url":"https://queue.fal.run/a"}"#,
        r#"{"a":1"response_url":"https://queue.fal.run/a"}"#,
        r#"{"a":1}{"response_url":"https://queue.fal.run/a"}"#,
        r#"{"response_url":x"https://queue.fal.run/a"}"#,
        r#"{"response_url":"https://queue.fal"#,
        r#"{"response_url":"https:\"#,
    ] {
        assert_untouched(input);
    }
}

#[test]
fn keys_are_compared_as_they_are_spelled() {
    assert_untouched(
        r#"{"response\u005furl":"https://queue.fal.run/a","\"response_url":"https://queue.fal.run/a"}"#,
    );
}

#[test]
fn the_longest_base_counts() {
    let bases = ["https://a/", "https://a/b", "https://a/b/c"].map(str::to_owned);
    let addresses = Arc::new(Addresses::new(bases, "p/"));
    for (value, wanted) in
        [("https://a/b/x", "p/x"), ("https://a/bx", "p/bx"), ("https://a/b/c?", "p?"), ("https://a", "p")]
    {
        let input = format!(r#"{{"status_url":"{value}"}}"#);
        for cut in 0..input.len() {
            let out = rewritten(Rewriter::json(Arc::clone(&addresses)), input.as_bytes(), &[cut]);
            assert_eq!(String::from_utf8(out).unwrap(), format!(r#"{{"status_url":"{wanted}"}}"#));
        }
    }
}

#[test]
fn a_public_base_cannot_break_out_of_its_string() {
    let addresses = Arc::new(addresses().with_public("http://a\"b\\c\n"));
    let out = rewritten(Rewriter::json(addresses), br#"{"status_url":"https://queue.fal.run/x"}"#, &[]);
    let value: serde_json::Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(value, serde_json::json!({ "status_url": "http://a\"b\\c\n/x" }));
}

#[test]
fn invariant_7_no_more_is_held_back_than_the_limit() {
    let addresses = addresses();
    let mut rewriter = Rewriter::json(Arc::clone(&addresses));
    let input = format!(r#"{{"response_url":"{}\/{}"#, BACKUP.replace('/', r"\/"), "x".repeat(100));
    let (mut out, mut most) = (BytesMut::new(), 0);
    for (nth, byte) in input.bytes().enumerate() {
        rewriter.push(&[byte], &mut out);
        most = most.max((nth + 1).saturating_sub(out.len()));
    }
    assert!(most <= addresses.hold_max(), "{most}");
    assert!(out.ends_with(b"xxx"));
}

#[test]
fn every_event_points_at_the_relay() {
    let event = |base: &str| {
        format!(
            "event: status\ndata: {{\"status\":\"IN_QUEUE\",\"response_url\":\"{base}/a\"}}\n\n: ping\n\n"
        )
    };
    let three = |base: &str| format!("\u{feff}{0}{0}{0}", event(base));
    assert_eq!(events(&three(QUEUE)), three(PUBLIC));
    assert_eq!(events(&three(QUEUE).replace('\n', "\r\n")), three(PUBLIC).replace('\n', "\r\n"));
    assert_eq!(events(&three(QUEUE).replace('\n', "\r")), three(PUBLIC).replace('\n', "\r"));
}

#[test]
fn data_in_several_lines_is_one_document() {
    let event = |base: &str| {
        format!("data:{{\ndata: \"response_url\":\nid: 7\n:c\ndata:\ndata:  \"{base}/a\"\ndata:}}\n\n")
    };
    assert_eq!(events(&event(QUEUE)), event(PUBLIC));
    let broken = "data: {\"response_url\":\"https://queue.fal.run\ndata: /a\"}\n\n";
    assert_eq!(events(broken), broken);
    let broken_key = "data: {\"response_\ndata: url\":\"https://queue.fal.run/a\"}\n\n";
    assert_eq!(events(broken_key), broken_key);
}

#[test]
fn an_event_that_breaks_off_does_not_spoil_the_next() {
    let stream = |base: &str| {
        format!("data: {{\"a\":\"\n\ndata: {{\"status_url\":\"{base}\"}}\n\ndata: {{\"status_url\":\"{base}/")
    };
    assert_eq!(events(&stream(QUEUE)), stream(PUBLIC));
    let cut = "data: {\"status_url\":\"https://queue";
    assert_eq!(events(cut), cut);
}

#[test]
fn what_is_no_data_stays() {
    let stream = "id: {\"status_url\":\"https://queue.fal.run/a\"}\ndat: {\"status_url\":\"https://queue.fal.run/a\"}\n\n data: {\"status_url\":\"https://queue.fal.run/a\"}\n\n";
    assert_eq!(events(stream), stream);
}

/// A JSON value as it is spelled.
#[derive(Clone, Debug)]
enum Doc {
    /// A scalar other than the next, as it stands in JSON.
    Word(String),
    /// A string that begins with one of fal's bases, and what follows the base.
    Address {
        base: &'static str,
        escaped: bool,
        rest: String,
    },
    Array(Vec<Doc>),
    Object(Vec<(String, Doc)>),
}

/// How a document is printed: as fal sends it, or as the client is to get it.
struct Printer<'a> {
    space: &'a str,
    rewritten: bool,
}

impl Printer<'_> {
    fn print(&self, doc: &Doc) -> String {
        let Self { space, .. } = self;
        match doc {
            Doc::Object(fields) => {
                let fields: Vec<String> = fields.iter().map(|(key, value)| self.field(key, value)).collect();
                format!("{space}{{{}}}{space}", fields.join(","))
            }
            other => self.value(other, false),
        }
    }

    fn field(&self, key: &str, value: &Doc) -> String {
        let ours = self.rewritten && ["response_url", "status_url", "cancel_url"].contains(&key);
        format!("{0}\"{key}\"{0}:{1}", self.space, self.value(value, ours))
    }

    /// `ours` says whether an address here is one that the relay rewrites.
    fn value(&self, doc: &Doc, ours: bool) -> String {
        let Self { space, .. } = self;
        let text = match doc {
            Doc::Word(word) => word.clone(),
            Doc::Address { base, escaped, rest } => {
                let base = if ours { PUBLIC } else { base };
                let base = if *escaped { base.replace('/', r"\/") } else { base.to_owned() };
                format!("\"{base}{rest}\"")
            }
            Doc::Array(items) => {
                format!(
                    "[{}]",
                    items.iter().map(|item| self.value(item, false)).collect::<Vec<_>>().join(",")
                )
            }
            Doc::Object(fields) => {
                let field = |(key, value): &(String, Doc)| format!("\"{key}\":{}", self.value(value, false));
                format!("{{{}}}", fields.iter().map(field).collect::<Vec<_>>().join(","))
            }
        };
        format!("{space}{text}{space}")
    }
}

fn any_doc() -> impl Strategy<Value = Doc> {
    let word = prop::sample::select(vec![
        "null",
        "true",
        "-0.0",
        "1.2249955059960485",
        "123456789012345678901234567890",
        "1e5",
        r#""""#,
        r#""\\""#,
        r#""\"{[,:""#,
        r#""https://queue.fal.run.evil.com/""#,
        r#""https:\/\/queue.fal.run\\""#,
        r#""https://queue""#,
        r#"" https://queue.fal.run/a""#,
        r#""response_url""#,
        r#""\u0022 é""#,
    ]);
    let word = word.prop_map(|word| Doc::Word(word.to_owned()));
    let base = prop::sample::select(vec![QUEUE, BACKUP, LOCAL]);
    let rest = prop::sample::select(vec!["", "/", r"\/a", "/a/requests/1", "?a=\\\"", "#x\\\\"]);
    let address = (base, any::<bool>(), rest).prop_map(|(base, escaped, rest)| Doc::Address {
        base,
        escaped,
        rest: rest.to_owned(),
    });
    let leaf = prop_oneof![word, address];
    let nested = leaf.prop_recursive(3, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Doc::Array),
            prop::collection::vec((any_key(), inner), 0..5).prop_map(Doc::Object),
        ]
    });
    let object = prop::collection::vec((any_key(), nested.clone()), 0..7).prop_map(Doc::Object);
    prop_oneof![4 => object, 1 => nested]
}

fn any_key() -> impl Strategy<Value = String> {
    let keys = vec![
        "response_url",
        "status_url",
        "cancel_url",
        "logs",
        "",
        "response_url2",
        "esponse_url",
        r"a\\",
        r#"\"status_url"#,
    ];
    prop::sample::select(keys).prop_map(str::to_owned)
}

/// What the rewriter should mean, by a whole parse.
fn meant(input: &str) -> serde_json::Value {
    let mut value: serde_json::Value = serde_json::from_str(input).unwrap();
    for key in ["response_url", "status_url", "cancel_url"] {
        let Some(serde_json::Value::String(text)) = value.get_mut(key) else { continue };
        let rest = [QUEUE, BACKUP, LOCAL].iter().find_map(|base| text.strip_prefix(base)).map(str::to_owned);
        if let Some(rest) = rest.filter(|rest| rest.is_empty() || rest.starts_with(['/', '?', '#'])) {
            *text = format!("{PUBLIC}{rest}");
        }
    }
    value
}

fn any_cuts() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(any::<usize>(), 0..12)
}

proptest! {
    #[test]
    fn a_document_is_rewritten_exactly(
        doc in any_doc(),
        space in prop::sample::select(vec!["", " ", "\n", "\r\n\t"]),
        cuts in any_cuts(),
    ) {
        let input = Printer { space, rewritten: false }.print(&doc);
        let wanted = Printer { space, rewritten: true }.print(&doc);
        let out = String::from_utf8(rewritten(Rewriter::json(addresses()), input.as_bytes(), &cuts)).unwrap();
        prop_assert_eq!(&out, &wanted);
        prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&out).unwrap(), meant(&input));
        prop_assert_eq!(json(&out), out);
    }

    #[test]
    fn a_stream_of_documents_is_rewritten_exactly(
        docs in prop::collection::vec(any_doc(), 1..4),
        space in prop::sample::select(vec!["", " ", "\n"]),
        field in prop::sample::select(vec!["data:", "data: "]),
        between in prop::sample::select(vec!["", ": ping\n", "event: x\n", "data\n", "data:\n", "id: {\"status_url\":\"https://queue.fal.run/\"}\n"]),
        end in prop::sample::select(vec!["\n", "\r", "\r\n"]),
        cuts in any_cuts(),
    ) {
        let stream = |rewritten: bool| {
            let event = |doc: &Doc| {
                let text = Printer { space, rewritten }.print(doc);
                let lines: String = text.split('\n').map(|line| format!("{between}{field}{line}\n")).collect();
                format!("{lines}\n").replace('\n', end)
            };
            docs.iter().map(event).collect::<String>()
        };
        let out = rewritten(Rewriter::events(addresses()), stream(false).as_bytes(), &cuts);
        prop_assert_eq!(String::from_utf8(out).unwrap(), stream(true));
    }

    #[test]
    fn cuts_change_nothing(
        pieces in prop::collection::vec(prop::sample::select(vec![
            "{", "}", "[", "]", ",", ":", "\"", "\\", "/", "1", " ", "\r", "\n", "data: ", "data:", "\"response_url\":",
            "\"status_url\":\"", "https://queue.fal.run", "https:\\/\\/queue.fal.run", "{\"cancel_url\":\"https://queue.fal.run/",
            "http://127.0.0.1:9", "/queue", "\u{feff}",
        ]), 0..24),
        cuts in any_cuts(),
    ) {
        let input = pieces.concat();
        for make in [Rewriter::json, Rewriter::events] {
            let whole = rewritten(make(addresses()), input.as_bytes(), &[]);
            prop_assert_eq!(rewritten(make(addresses()), input.as_bytes(), &cuts), whole);
        }
    }

    #[test]
    fn any_bytes_without_a_base_pass(input in prop::collection::vec(any::<u8>(), 0..200), cuts in any_cuts()) {
        for make in [Rewriter::json, Rewriter::events] {
            prop_assert_eq!(&rewritten(make(addresses()), &input, &cuts), &input);
        }
    }

    #[test]
    fn any_text_without_a_base_passes(input in r#"([{}\[\],:"\\/ \r\n]|data:|"status_url":|https:){0,40}"#, cuts in any_cuts()) {
        for make in [Rewriter::json, Rewriter::events] {
            prop_assert_eq!(rewritten(make(addresses()), input.as_bytes(), &cuts), input.as_bytes());
        }
    }
}
