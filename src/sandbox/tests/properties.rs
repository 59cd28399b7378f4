//! What holds for any input.

use proptest::prelude::*;
use serde_json::{Map, Number, json};

use super::*;
use crate::sandbox::catalogue::Catalogue;
use crate::sandbox::endpoint::Endpoint;
use crate::sandbox::faults::Faults;
use crate::sandbox::input::Input;
use crate::sandbox::media::Media;
use crate::sandbox::output::{self, Work};
use crate::sandbox::timeline::{Phase, Timeline};
use crate::sandbox::validate;

fn any_value() -> impl Strategy<Value = Value> {
    let number = prop_oneof![
        any::<i64>().prop_map(Number::from),
        any::<u64>().prop_map(Number::from),
        any::<f64>().prop_filter_map("finite", Number::from_f64),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        number.prop_map(Value::Number),
        ".{0,12}".prop_map(Value::from),
        "(1|2|16|0):(9|0|1)|auto_4K|square|[0-9]{1,3}s?|https://a".prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 16, 4, |inner| {
        let object = proptest::collection::btree_map("width|height|path|scale", inner.clone(), 0..4);
        prop_oneof![
            proptest::collection::vec(inner, 0..4).prop_map(Value::from),
            object.prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the fields hold, a model refuses it in words that name fields, or answers and bills.
    #[test]
    fn models_take_or_refuse_anything(values in proptest::collection::vec(any_value(), 24), mask: u32) {
        let catalogue = Catalogue::load().unwrap();
        let stand_ins = ["x/image", "x/video", "x/audio"].map(|id| catalogue.stand_in(id));
        for model in catalogue.models().iter().chain(stand_ins) {
            let mut given: Map<String, Value> = model.example.clone();
            let names = model.fields.keys().enumerate().filter(|(at, _)| mask >> (at % 32) & 1 == 1);
            given.extend(names.map(|(at, name)| (name.clone(), values[at % values.len()].clone())));
            // Pictures are not made here: they are bounded, but slow to make by the thousand.
            given.insert("sync_mode".into(), json!(false));
            let problems = validate::problems(model, &given);
            let known = |name: &Value| model.fields.contains_key(name.as_str().unwrap());
            prop_assert!(problems.iter().all(|problem| known(&json!(problem.loc)[1])));
            let units: f64 = output::units(&Input { model, given: &given }).parse().unwrap();
            prop_assert!(units > 0.0 && units < 1000.0);
        }
    }

    /// Texts from outside never panic, and what they ask for stays within bounds.
    #[test]
    fn texts_are_read_or_ignored(text in ".{0,64}", word in "[a-z0-9-]{1,8}", argument in ".{0,12}") {
        Endpoint::parse(&text);
        Media::read_name(&text);
        let faults = Faults::read(&text, &format!("[[{word}:{argument}]] {text}"));
        prop_assert!(faults.slow.unwrap_or_default() <= Duration::from_secs(3600));
    }

    /// An endpoint begins with its app, and its app is an endpoint whose app is itself.
    #[test]
    fn apps_are_prefixes(path in "(workflows/|comfy/)?[a-z0-9-]{1,6}(/[a-zA-Z0-9._-]{1,6}){0,4}") {
        if let Some(endpoint) = Endpoint::parse(&path) {
            prop_assert!(endpoint.id().starts_with(endpoint.app()));
            let app = Endpoint::parse(endpoint.app()).unwrap();
            prop_assert_eq!(app.app(), endpoint.app());
        }
    }

    /// Time never takes anything back: the place in the queue only falls, log lines only grow, the end is the end.
    #[test]
    fn time_goes_one_way(queue in 0..50u64, run in 0..50u64, mut moments in proptest::collection::vec(0..200u64, 2..20)) {
        let millis = Duration::from_millis;
        let timeline = Timeline { submitted: millis(20), queue: millis(queue), run: millis(run) };
        let rank = |phase| match phase {
            Phase::Queued(ahead) => 100 - i64::from(ahead),
            Phase::Running => 101,
            Phase::Ended => 102,
        };
        moments.sort_unstable();
        for pair in moments.windows(2) {
            let (before, after) = (millis(pair[0]), millis(pair[1]));
            prop_assert!(rank(timeline.phase(before)) <= rank(timeline.phase(after)));
            prop_assert!(timeline.logs_by(before) <= timeline.logs_by(after));
            if timeline.next_change(before).is_none_or(|change| change > after) {
                prop_assert_eq!(timeline.phase(before), timeline.phase(after));
            }
        }
    }

    /// The same call makes the same picture, and another seed another one.
    #[test]
    fn pictures_follow_from_the_call(prompt in ".{0,16}", seed: u64) {
        let catalogue = Catalogue::load().unwrap();
        let model = catalogue.stand_in("x/image");
        let output = |seed: u64| {
            let given = json!({ "prompt": prompt, "seed": seed }).as_object().unwrap().clone();
            let work = Work { endpoint: "x/image", public_url: "", drawn_seed: 0, seconds: 1.0 };
            serde_json::to_value(output::make(&Input { model, given: &given }, &work)).unwrap()["images"].clone()
        };
        prop_assert_eq!(output(seed), output(seed));
        prop_assert_ne!(output(seed), output(seed ^ 1));
    }
}
