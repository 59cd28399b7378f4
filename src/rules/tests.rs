//! Patterns against a slow and simple judge, and rules as they are written and meet.

use proptest::collection;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::money::Usd;

fn glob(text: &str) -> Glob {
    Glob::parse(text).unwrap_or_else(|why| panic!("{text}: {why}"))
}

fn rules(json: &str) -> Rules {
    serde_json::from_str(json).unwrap()
}

fn refusal(json: &str) -> String {
    serde_json::from_str::<Rules>(json).unwrap_err().to_string()
}

#[test]
fn a_star_stays_in_its_segment_and_two_stars_do_not() {
    for (pattern, endpoint, matches) in [
        ("fal-ai/flux", "fal-ai/flux", true),
        ("fal-ai/flux", "fal-ai/flux/dev", false),
        ("fal-ai/flux", "fal-ai/Flux", false),
        ("fal-ai/flux", "xfal-ai/flux", false),
        ("fal-ai/flux/**", "fal-ai/flux", true),
        ("fal-ai/flux/**", "fal-ai/flux/dev", true),
        ("fal-ai/flux/**", "fal-ai/flux/dev/image-to-image", true),
        ("fal-ai/flux/**", "fal-ai/flux-pro", false),
        ("fal-ai/*", "fal-ai/flux", true),
        ("fal-ai/*", "fal-ai/flux/dev", false),
        ("fal-ai/*", "fal-ai", false),
        ("fal-ai/flux*", "fal-ai/flux", true),
        ("fal-ai/flux*", "fal-ai/flux-pro", true),
        ("fal-ai/flux*/**", "fal-ai/flux-pro/v1.1", true),
        ("fal-ai/*-pro", "fal-ai/-pro", true),
        ("fal-ai/a*a", "fal-ai/a", false),
        ("fal-ai/*b*c*", "fal-ai/abbc", true),
        ("fal-ai/*b*c*", "fal-ai/acb", false),
        ("**", "fal-ai/flux", true),
        ("**", "110602490-lora", true),
        ("110602490-*", "110602490-lora", true),
        ("**/image-to-video", "fal-ai/wan/v2.2/image-to-video", true),
        ("**/image-to-video", "fal-ai/wan/image-to-video/turbo", false),
        ("*/wan/**", "fal-ai/wan", true),
        ("a/**/b/**/c", "a/b/c", true),
        ("a/**/b/**/c", "a/x/b/b/y/c", true),
        ("a/**/b/**/c", "a/c/b", false),
        ("a/**/b/c/**/c", "a/b/c", false),
        ("a/**/a", "a", false),
        ("fal-ai/**", "", false),
        ("fal-ai/**", "fal-ai/../other/model", true),
    ] {
        assert_eq!(glob(pattern).matches(endpoint), matches, "{pattern} on {endpoint}");
    }
}

#[test]
fn what_is_no_glob_says_why() {
    let deep = |segments| vec!["a"; segments].join("/");
    let long = |len| format!("a/{}", "b".repeat(len - 2));
    for (text, why) in [
        ("", BadGlob::EmptySegment),
        ("/", BadGlob::EmptySegment),
        ("/fal-ai/flux", BadGlob::EmptySegment),
        ("fal-ai/", BadGlob::EmptySegment),
        ("fal-ai//flux", BadGlob::EmptySegment),
        ("fal-ai/../flux", BadGlob::DotSegment),
        ("./flux", BadGlob::DotSegment),
        ("fal-ai/%2e%2e", BadGlob::Character),
        ("fal-ai/fl\u{fc}x", BadGlob::Character),
        ("fal-ai/\u{ff0a}", BadGlob::Character),
        ("fal-ai/fl?x", BadGlob::Character),
        ("fal-ai/[ab]", BadGlob::Character),
        ("fal-ai/{a,b}", BadGlob::Character),
        ("!fal-ai/flux", BadGlob::Character),
        ("fal-ai\\flux", BadGlob::Character),
        ("fal-ai/flux ", BadGlob::Character),
        ("fal-ai/flux\0", BadGlob::Character),
        ("fal-ai/flux\n", BadGlob::Character),
        ("***", BadGlob::DoubleStar),
        ("fal-ai/***", BadGlob::DoubleStar),
        ("fal-ai/flux**", BadGlob::DoubleStar),
        ("fal-ai/**/**", BadGlob::Repeated),
        ("fal-ai", BadGlob::OnlyOwner),
        ("*", BadGlob::OnlyOwner),
        ("fal-*", BadGlob::OnlyOwner),
        (&deep(Glob::MAX_SEGMENTS + 1), BadGlob::TooDeep),
        (&long(Glob::MAX_LEN + 1), BadGlob::TooLong),
    ] {
        assert_eq!(Glob::parse(text), Err(why), "{text:?}");
    }
    assert!(glob(&deep(Glob::MAX_SEGMENTS)).matches(&deep(Glob::MAX_SEGMENTS)));
    assert!(glob(&long(Glob::MAX_LEN)).matches(&long(Glob::MAX_LEN)));
}

#[test]
fn invariant_7_what_is_no_endpoint_by_its_size_is_never_permitted() {
    let all = Effective::default();
    let (deep, long) = (vec!["a"; Glob::MAX_SEGMENTS].join("/"), "a".repeat(Glob::MAX_LEN));
    assert!(all.permits(&deep) && all.permits(&long));
    assert!(!all.permits(&format!("{deep}/a")));
    assert!(!all.permits(&format!("{long}a")));
    assert!(!glob("**").matches(&format!("{long}a")));
}

#[test]
fn invariant_7_a_pattern_and_an_origin_have_a_longest_form() {
    let long = |len: usize| format!("a/{}", "b".repeat(len - 2));
    let deep = |segments: usize| vec!["a"; segments].join("/");
    assert!(Glob::parse(&long(512)).is_ok() && Glob::parse(&deep(16)).is_ok());
    assert_eq!(Glob::parse(&long(513)), Err(BadGlob::TooLong));
    assert_eq!(Glob::parse(&deep(17)), Err(BadGlob::TooDeep));
    let origin = |len: usize| Origin::parse(&format!("tauri://{}", "a".repeat(len - 8)));
    assert!(origin(300).is_ok() && origin(301).is_err());
}

#[test]
fn a_glob_tells_what_another_covers() {
    for (deny, allow, covers) in [
        ("fal-ai/flux", "fal-ai/flux", true),
        ("fal-ai/**", "fal-ai/flux", true),
        ("fal-ai/**", "fal-ai/**", true),
        ("fal-ai/**", "fal-ai/flux/**", true),
        ("fal-ai/**", "fal-ai/*/dev", true),
        ("fal-ai/fl*", "fal-ai/flux*", true),
        ("**", "fal-ai/*", true),
        ("fal-ai/*", "fal-ai/**", false),
        ("fal-ai/flux", "fal-ai/*", false),
        ("fal-ai/flux*", "fal-ai/fl*", false),
        ("fal-ai/*/**", "fal-ai/**", false),
        ("other/**", "fal-ai/flux", false),
    ] {
        assert_eq!(glob(deny).covers(&glob(allow)), covers, "{deny} covers {allow}");
    }
}

#[test]
fn each_level_narrows_the_others() {
    let effective = Effective::new([
        &rules(r#"{"deny":["fal-ai/veo3/**"],"max_request_usd":"5"}"#),
        &rules(r#"{"allow":["fal-ai/**","other/model"],"max_request_usd":"0.50"}"#),
        &rules(r#"{"allow":["fal-ai/flux/**","fal-ai/veo3","third/model"],"jobs_in_flight":3}"#),
    ]);
    assert!(effective.permits("fal-ai/flux/dev"));
    assert!(!effective.permits("fal-ai/veo3"), "allowed below, denied above");
    assert!(!effective.permits("other/model"), "not in the key's list");
    assert!(!effective.permits("third/model"), "not in the group's list");
    assert_eq!(effective.max_request(), Usd::parse("0.5").ok());
    let jobs = effective.levels().map(|(level, rules)| (level, rules.jobs_in_flight.map(u32::from)));
    assert_eq!(jobs, [(Level::Tenant, None), (Level::Group, None), (Level::Key, Some(3))]);
}

#[test]
fn rules_that_say_nothing_allow_everything() {
    let all = Effective::default();
    assert!(all.permits("fal-ai/flux") && all.admits("203.0.113.9".parse().unwrap()));
    assert!(all.admits_origin("https://anywhere.example") && all.max_request().is_none());
    assert_eq!(serde_json::to_string(&Rules::default()).unwrap(), "{}");
    assert_eq!(rules("{}"), Rules::default());
}

#[test]
fn a_call_comes_from_the_networks_of_every_level() {
    let group = rules(r#"{"networks":["10.0.0.0/8","2001:db8::/32","::ffff:192.0.2.0/120"]}"#);
    let effective = Effective::new([
        &Rules::default(),
        &group,
        &rules(r#"{"networks":["10.1.2.3","::/0","192.0.2.7"]}"#),
    ]);
    for (address, admitted) in [
        ("10.1.2.3", true),
        ("::ffff:10.1.2.3", true),
        ("10.1.2.4", false),
        ("192.0.2.7", true),
        ("192.0.2.8", false),
        ("2001:db8::1", true),
        ("2001:db9::1", false),
        ("::1", false),
    ] {
        assert_eq!(effective.admits(address.parse().unwrap()), admitted, "{address}");
    }
}

#[test]
fn networks_are_told_in_their_plain_form() {
    for (text, told) in [
        ("10.1.2.3/8", "10.0.0.0/8"),
        ("192.0.2.1", "192.0.2.1/32"),
        ("::1", "::1/128"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("::ffff:10.0.0.1", "10.0.0.1/32"),
        ("::/0", "::/0"),
        ("::ffff:0:0/96", "0.0.0.0/0"),
    ] {
        assert_eq!(Network::parse(text).unwrap().to_string(), told);
    }
    for text in
        ["", "10.0.0.0/33", "10.0.0", "10.0.0.0/-1", "localhost", "fe80::1%eth0", "10.0.0.0/8 ", "::/129"]
    {
        assert_eq!(Network::parse(text), Err(RulesError::Network(text.to_owned())), "{text}");
    }
}

#[test]
fn origins_are_told_as_browsers_write_them() {
    for (text, told) in [
        ("https://app.example.com", "https://app.example.com"),
        ("HTTPS://App.Example.com:443", "https://app.example.com"),
        ("http://localhost:3000", "http://localhost:3000"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("tauri://localhost", "tauri://localhost"),
        ("chrome-extension://abcdefghijklmnop", "chrome-extension://abcdefghijklmnop"),
    ] {
        assert_eq!(Origin::parse(text).unwrap().as_str(), told);
    }
    let long = format!("https://{}.example", "a".repeat(300));
    for text in [
        "",
        "*",
        "null",
        "example.com",
        "https://",
        "https://*.example.com",
        "https://a.example/",
        "https://a.example/x",
        "https://user@a.example",
        "https://a.example?x",
        "https://a.example#x",
        "https://a.example:99999",
        "https://a b.example",
        "https://\u{fc}.example",
        "file:///etc",
        "file://host",
        "javascript:alert(1)",
        "ws://a.example",
        &long,
    ] {
        assert!(matches!(Origin::parse(text), Err(RulesError::Origin(_))), "{text}");
    }
    let effective = Effective::new([
        &Rules::default(),
        &Rules::default(),
        &rules(r#"{"origins":["https://A.example"]}"#),
    ]);
    assert!(effective.admits_origin("https://a.example"));
    assert!(!effective.admits_origin("https://a.example:8443") && !effective.admits_origin("null"));
}

#[test]
fn wrong_rules_are_refused_with_the_reason() {
    for (json, reason) in [
        (r#"{"allows":[]}"#, "unknown field `allows`"),
        (r#"{"allow":"**"}"#, "a list of endpoint patterns, each a string"),
        (r#"{"allow":[1]}"#, "expected a string"),
        (r#"{"allow":["fal-ai/***"]}"#, r#""fal-ai/***" is no endpoint pattern: `**` must stand alone"#),
        (r#"{"deny":["fal-ai"]}"#, "write owner/name, or owner/** for all of an owner's"),
        (r#"{"requests_per_minute":0}"#, "nonzero"),
        (r#"{"requests_per_minute":-1}"#, "-1"),
        (r#"{"submits_per_minute":1.5}"#, "1.5"),
        (r#"{"submits_per_minute":4294967296}"#, "4294967296"),
        (r#"{"jobs_in_flight":"3"}"#, "nonzero"),
        (r#"{"max_request_usd":"-1"}"#, "must not be negative"),
        (r#"{"max_request_usd":"1e9"}"#, "must be a plain decimal number"),
        (r#"{"max_request_usd":0.5}"#, "expected a string"),
        (r#"{"max_request_usd":"99999999999"}"#, "is too large"),
        (r#"{"max_request_usd":"0.0000000001"}"#, "more than 9 digits"),
        (r#"{"networks":["10.0.0.0/99"]}"#, r#""10.0.0.0/99" is no network"#),
        (r#"{"origins":["app.example.com"]}"#, r#""app.example.com" is no browser origin"#),
    ] {
        assert!(refusal(json).contains(reason), "{json}: {}", refusal(json));
    }
}

#[test]
fn invariant_7_lists_have_limits_and_errors_do_too() {
    let json =
        |field: &str, count: usize, text: &str| serde_json::json!({ field: vec![text; count] }).to_string();
    for (field, max, text, what) in [
        ("allow", Glob::MAX, "fal-ai/flux", "endpoint patterns"),
        ("deny", Glob::MAX, "fal-ai/*", "endpoint patterns"),
        ("networks", Network::MAX, "10.0.0.0/8", "networks"),
        ("origins", Origin::MAX, "https://a.example", "browser origins"),
    ] {
        rules(&json(field, max, text));
        let refusal = refusal(&json(field, max + 1, text));
        assert!(refusal.contains(&format!("holds more than {max} {what}")), "{refusal}");
    }
    assert!(refusal(&json("allow", 1, &"\u{fc}".repeat(1_000_000))).len() < 300);
}

#[test]
fn what_is_allowed_and_denied_at_once_is_found() {
    let error =
        rules(r#"{"allow":["a/b","fal-ai/flux/*"],"deny":["c/**","fal-ai/**"]}"#).check().unwrap_err();
    assert_eq!(
        error.to_string(),
        "allow holds \"fal-ai/flux/*\", which can match nothing: deny holds \"fal-ai/**\"; remove one of them"
    );
    rules(r#"{"allow":["fal-ai/**"],"deny":["fal-ai/veo3/**"]}"#).check().unwrap();
    rules(r#"{"deny":["**"]}"#).check().unwrap();
}

/// The slow judge: tries every way to spend a star.
fn judge(pattern: &[&str], segments: &[&str]) -> bool {
    match pattern {
        [] => segments.is_empty(),
        ["**", rest @ ..] => (0..=segments.len()).any(|skipped| judge(rest, &segments[skipped..])),
        [first, rest @ ..] => segments.split_first().is_some_and(|(segment, others)| {
            judge_segment(first.as_bytes(), segment.as_bytes()) && judge(rest, others)
        }),
    }
}

fn judge_segment(pattern: &[u8], text: &[u8]) -> bool {
    match pattern {
        [] => text.is_empty(),
        [b'*', rest @ ..] => (0..=text.len()).any(|skipped| judge_segment(rest, &text[skipped..])),
        [first, rest @ ..] => {
            text.split_first().is_some_and(|(byte, others)| byte == first && judge_segment(rest, others))
        }
    }
}

/// Of few letters and stars, so that many match.
fn globs() -> impl Strategy<Value = Glob> {
    let segment =
        select(vec!["**", "**", "a", "b", "*", "a*", "*a", "a*b", "*b*", "*a*b", "a*a", "ab", "aba"]);
    collection::vec(segment, 2..6).prop_filter_map("a glob", |segments| Glob::parse(&segments.join("/")).ok())
}

fn endpoints() -> impl Strategy<Value = String> {
    let segment = select(vec!["a", "b", "ab", "ba", "aab", "aba", "abab", "bb"]);
    collection::vec(segment, 1..7).prop_map(|segments| segments.join("/"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn globs_match_as_the_slow_judge_says(glob in globs(), endpoint in endpoints()) {
        let pattern: Vec<&str> = glob.as_str().split('/').collect();
        let segments: Vec<&str> = endpoint.split('/').collect();
        prop_assert_eq!(glob.matches(&endpoint), judge(&pattern, &segments), "{} on {}", glob, endpoint);
    }

    #[test]
    fn what_is_covered_is_matched(deny in globs(), allow in globs(), endpoint in endpoints()) {
        prop_assert!(deny.covers(&deny));
        if deny.covers(&allow) && allow.matches(&endpoint) {
            prop_assert!(deny.matches(&endpoint), "{} covers {} but not {}", deny, allow, endpoint);
        }
    }

    #[test]
    fn a_list_matches_when_one_of_its_globs_does(
        list in collection::vec(globs(), 0..6),
        endpoint in endpoints(),
    ) {
        let texts: Vec<&str> = list.iter().map(Glob::as_str).collect();
        let any = list.iter().any(|glob| glob.matches(&endpoint));
        prop_assert_eq!(Globs::parse(&texts).unwrap().matches(&endpoint), any);
    }
}

proptest! {
    #[test]
    fn any_text_is_judged(text in "[a-c*./-]{0,20}|\\PC{0,40}", endpoint in "[a-c*./-]{0,20}|\\PC{0,40}") {
        if let Ok(glob) = Glob::parse(&text) {
            prop_assert_eq!(glob.as_str(), &text);
            glob.matches(&endpoint);
        }
        let _ = (Network::parse(&text), Origin::parse(&text), Effective::default().permits(&endpoint));
    }

    #[test]
    fn an_origin_is_read_as_it_was_told(text in "(https?|tauri|FTP|x)://[a-cA-C.:0-9-]{0,12}") {
        if let Ok(origin) = Origin::parse(&text) {
            prop_assert_eq!(Origin::parse(origin.as_str()), Ok(origin));
        }
    }

    #[test]
    fn a_network_is_read_as_it_was_told(bits: u128, prefix in 0..=128_u8, short: bool) {
        let address = match short {
            true => std::net::IpAddr::from((bits as u32).to_be_bytes()),
            false => std::net::IpAddr::from(bits.to_be_bytes()),
        };
        let text = format!("{address}/{}", if short { prefix / 4 } else { prefix });
        let network = Network::parse(&text).unwrap();
        prop_assert!(network.contains(address));
        prop_assert_eq!(Network::parse(&network.to_string()), Ok(network));
    }

    #[test]
    fn rules_are_read_as_they_were_written(
        allow in collection::vec(globs(), 0..4),
        deny in collection::vec(globs(), 0..4),
        requests: Option<std::num::NonZeroU32>,
        nanos in proptest::option::of(0..=1_000_000_000_000_000_000_i64),
    ) {
        let texts = |globs: &[Glob]| globs.iter().map(ToString::to_string).collect::<Vec<_>>();
        let rules = Rules {
            allow: Globs::parse(&texts(&allow)).unwrap(),
            deny: Globs::parse(&texts(&deny)).unwrap(),
            requests_per_minute: requests,
            max_request_usd: nanos.and_then(Usd::from_nanos),
            networks: List::parse(&["10.0.0.0/8"]).unwrap(),
            ..Rules::default()
        };
        let json = serde_json::to_string(&rules).unwrap();
        prop_assert_eq!(serde_json::from_str::<Rules>(&json).unwrap(), rules);
    }
}
