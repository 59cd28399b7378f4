use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::wish::Wish;
use super::*;

/// The field that is refused.
fn refused<T: std::fmt::Debug>(outcome: Result<T, Refusal>) -> String {
    match outcome {
        Err(Refusal::Parameter { name, .. }) => name,
        other => panic!("{other:?}"),
    }
}

fn own(body: &Value) -> Result<Wish, Refusal> {
    Wish::own(body.to_string().as_bytes())
}

fn of_fal(form: TokenForm, body: &Value) -> Result<Wish, Refusal> {
    Wish::of_fal(form, body.to_string().as_bytes())
}

#[test]
fn what_is_not_said_is_usual() {
    let wish = own(&json!({})).unwrap();
    assert_eq!((wish.life, wish.limit), (Duration::from_secs(120), None));
    assert!(wish.rules.allow.is_empty() && wish.rules.origins.is_empty());
    assert_eq!(
        own(&json!({"allow": null, "seconds": null, "max_usd": null, "origins": null})).unwrap(),
        wish
    );
}

#[test]
fn every_field_narrows() {
    let wish = own(&json!({
        "allow": ["fal-ai/flux/**"], "seconds": 60, "max_usd": 0.25, "origins": ["https://app.example"],
    }))
    .unwrap();
    assert!(wish.rules.allow.matches("fal-ai/flux/dev") && !wish.rules.allow.matches("fal-ai/wan"));
    assert_eq!((wish.life, wish.limit), (Duration::from_secs(60), Usd::parse("0.25").ok()));
    assert_eq!(listed(&wish.rules.origins), ["https://app.example"]);
    assert_eq!(own(&json!({"max_usd": "0.25"})).unwrap().limit, wish.limit);
}

#[test]
fn a_wrong_field_is_named() {
    for (field, value) in [
        ("allow", json!("fal-ai/**")),
        ("allow", json!([1])),
        ("allow", json!(["fal-ai"])),
        ("allow", json!(["x/y"; 0].iter().chain(vec!["x/y"; 257].iter()).collect::<Vec<_>>())),
        ("seconds", json!(0)),
        ("seconds", json!(-1)),
        ("seconds", json!(1.5)),
        ("seconds", json!("60")),
        ("max_usd", json!("-1")),
        ("max_usd", json!("1e3")),
        ("max_usd", json!(true)),
        ("max_usd", json!(0.000_000_000_1)),
        ("origins", json!(["example.com"])),
        ("origins", json!({})),
        ("origin", json!(["https://app.example"])),
        ("duration", json!(60)),
    ] {
        assert_eq!(refused(own(&json!({field: value}))), field);
    }
    for body in ["", "[]", "null", "\"x\"", "{", "{}{}"] {
        assert_eq!(refused(Wish::own(body.as_bytes())), "body", "{body}");
    }
    for body in ["", "[]"] {
        assert_eq!(refused(Wish::of_fal(TokenForm::Bare, body.as_bytes())), "body", "{body}");
    }
}

#[test]
fn invariant_7_a_token_has_a_longest_life_and_names_so_many_apps() {
    assert_eq!(own(&json!({"seconds": 86_400})).unwrap().life, Duration::from_secs(86_400));
    assert_eq!(refused(own(&json!({"seconds": 86_401}))), "seconds");
    for (form, field) in [(TokenForm::Bare, "token_expiration"), (TokenForm::Realtime, "duration")] {
        let apps = |count: usize| json!({"allowed_apps": vec!["flux"; count], field: 86_400});
        assert_eq!(of_fal(form, &apps(32)).unwrap().life, Duration::from_secs(86_400));
        assert_eq!(refused(of_fal(form, &apps(33))), "allowed_apps");
        assert_eq!(refused(of_fal(form, &json!({"allowed_apps": ["flux"], field: 86_401}))), field);
        assert_eq!(of_fal(form, &json!({"allowed_apps": ["flux"]})).unwrap().life, Duration::from_secs(120));
    }
}

#[test]
fn an_alias_is_the_app_of_any_owner() {
    let wish = of_fal(TokenForm::Bare, &json!({"allowed_apps": ["flux"], "other": 1})).unwrap();
    let allow = wish.rules.allow;
    for endpoint in [
        "fal-ai/flux",
        "acme/flux/dev",
        "fal-ai/flux/realtime",
        "workflows/acme/flux",
        "comfy/acme/flux/x",
        "110602490-flux",
    ] {
        assert!(allow.matches(endpoint), "{endpoint}");
    }
    for endpoint in ["fal-ai/flux-pro", "fal-ai/wan", "fal-ai/wan/flux", "fal-ai/Flux", "workflows/acme/wan"]
    {
        assert!(!allow.matches(endpoint), "{endpoint}");
    }
}

#[test]
fn a_path_is_that_endpoint_and_its_socket() {
    for path in ["fal-ai/lcm/fast", "fal-ai/lcm/fast/realtime"] {
        let allow = of_fal(TokenForm::Realtime, &json!({"allowed_apps": [path]})).unwrap().rules.allow;
        assert!(allow.matches("fal-ai/lcm/fast") && allow.matches("fal-ai/lcm/fast/realtime"));
        assert!(!allow.matches("fal-ai/lcm") && !allow.matches("fal-ai/lcm/fast/other"));
    }
}

#[test]
fn a_star_in_an_apps_name_opens_nothing() {
    for form in [TokenForm::Bare, TokenForm::Realtime] {
        for app in ["*", "**", "fal-ai/**", "a*", "", "/", "a//b", "../a", "a b", "é"] {
            assert_eq!(refused(of_fal(form, &json!({"allowed_apps": [app]}))), "allowed_apps", "{app}");
        }
        for apps in [json!([]), json!("flux"), json!([1]), json!(null)] {
            assert_eq!(refused(of_fal(form, &json!({"allowed_apps": apps}))), "allowed_apps");
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_harm(body in prop::collection::vec(any::<u8>(), 0..200)) {
        drop(Wish::own(&body));
        drop(Wish::of_fal(TokenForm::Bare, &body));
    }

    #[test]
    fn what_an_alias_allows_has_it_as_alias(
        alias in "[a-z0-9._-]{1,12}",
        endpoint in "[a-z]{1,6}(/[a-z0-9._-]{1,12}){1,3}",
    ) {
        prop_assume!(!alias.chars().all(|c| c == '.'));
        if let Ok(wish) = of_fal(TokenForm::Bare, &json!({"allowed_apps": [alias]})) {
            if wish.rules.allow.matches(&endpoint) {
                prop_assert!(endpoint.split('/').skip(1).take(2).any(|segment| segment == alias));
            }
            let own = format!("owner/{alias}");
            prop_assert!(wish.rules.allow.matches(&own));
        }
    }

    #[test]
    fn a_token_that_is_taken_leaves_the_rest_as_it_was(
        before in "([a-z]{1,5}=[a-zA-Z0-9%+.]{0,6}&){0,3}",
        after in "(&[a-z]{1,5}=[a-zA-Z0-9%+.]{0,6}){0,3}",
        token in "[A-Za-z0-9_]{1,60}",
        name in prop::sample::select(vec!["fal_jwt_token", "fal%5Fjwt_token", "%66al_jwt_token"]),
    ) {
        let query = format!("{before}{name}={token}{after}");
        let (taken, rest) = crate::fal::take_token(&query);
        let (before, after) = (before.trim_end_matches('&'), after.trim_start_matches('&'));
        prop_assert_eq!(taken.unwrap(), Secret::new(token));
        let joint = if before.is_empty() || after.is_empty() { "" } else { "&" };
        prop_assert_eq!(rest, format!("{before}{joint}{after}"));
        let twice = format!("{query}&fal_jwt_token=x");
        prop_assert!(crate::fal::take_token(&twice).0.is_none());
    }
}
