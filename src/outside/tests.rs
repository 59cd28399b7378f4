use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;
use reqwest::dns::Resolve;

use super::*;

fn guard(allow: &[&str]) -> Guard {
    Guard::new(Settings {
        allow_targets: allow.iter().map(|network| network.parse().unwrap()).collect(),
        allow_http: true,
        loopback_only: false,
    })
}

fn names(found: &[&str]) -> Guard {
    let found: Vec<SocketAddr> = found.iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), 0)).collect();
    let look_up = move |_| -> Found {
        let found = found.clone();
        Box::pin(async move { Ok(found) })
    };
    Guard::with_names(Settings::default(), Arc::new(look_up))
}

#[test]
fn invariant_7_an_address_of_a_receiver_has_a_longest_form() {
    let of = |length: usize| format!("https://example.com/{}", "x".repeat(length - 20));
    assert!(guard(&[]).judge(&of(2048)).is_ok());
    assert_eq!(guard(&[]).judge(&of(2049)), Err(Refused::Long { max: 2048 }));
}

#[tokio::test]
async fn invariant_7_only_so_many_addresses_of_a_name_are_looked_at() {
    let many = ["8.8.8.8"; 40];
    let found = names(&many).resolve("example.com".parse().unwrap()).await.unwrap();
    assert_eq!(found.count(), 32);
}

#[test]
fn http_is_for_operators_who_allow_it() {
    let strict = Guard::new(Settings::default());
    assert_eq!(strict.judge("http://example.com/"), Err(Refused::Scheme));
    assert!(strict.judge("https://example.com/").is_ok());
}

#[test]
fn an_exception_lets_its_network_in_and_no_other() {
    let guard = guard(&["127.0.0.0/8", "fd00::/8"]);
    for fine in
        ["http://127.0.0.1:9000/", "http://localhost:9000", "http://[::ffff:7f00:1]/", "http://[fd00::1]/"]
    {
        assert!(guard.judge(fine).is_ok(), "{fine}");
    }
    for wrong in ["http://10.0.0.1/", "http://[::1]/", "http://[fe80::1]/", "http://169.254.169.254/"] {
        assert!(matches!(guard.judge(wrong), Err(Refused::Network(_))), "{wrong}");
    }
}

#[test]
fn in_the_sandbox_this_machine_is_all_there_is() {
    let guard = Guard::new(Settings { allow_http: true, loopback_only: true, ..Settings::default() });
    assert!(guard.judge("http://127.0.0.1:9000/").is_ok() && guard.judge("http://[::1]:9000/").is_ok());
    assert_eq!(guard.judge("http://10.0.0.1/"), Err(Refused::Elsewhere));
    assert_eq!(guard.judge("https://8.8.8.8/"), Err(Refused::Elsewhere));
}

#[test]
fn a_target_prints_without_its_secrets() {
    let target = guard(&[]).judge("https://example.com/s3cret?s3cret#s3cret").unwrap();
    assert_eq!(format!("{target:?}"), "Target(https://example.com:443/..)");
    for refused in [Refused::Form, Refused::UserInfo, Refused::Network("x"), Refused::Port(25)] {
        assert!(!refused.to_string().contains("s3cret"));
    }
}

#[tokio::test]
async fn one_refused_address_refuses_the_name() {
    let resolve = async |found: &[&str]| names(found).resolve("a.example".parse().unwrap()).await;
    assert_eq!(resolve(&["8.8.8.8", "2606:4700::1"]).await.unwrap().count(), 2);
    for found in [&["8.8.8.8", "127.0.0.1"][..], &["10.0.0.1"], &["::ffff:10.0.0.1"], &["64:ff9b::7f00:1"]] {
        let error = resolve(found).await.err().unwrap();
        assert!(matches!(error.downcast_ref(), Some(Refused::Network(_))), "{found:?}: {error}");
    }
    assert_eq!(resolve(&[]).await.err().unwrap().downcast_ref(), Some(&Refused::Unknown));
}

#[tokio::test]
async fn a_failed_request_tells_that_it_was_refused() {
    let pace = Pace {
        connect_timeout: Duration::from_secs(5),
        answer_timeout: Duration::from_secs(5),
        idle_max: 1,
        idle_timeout: Duration::from_secs(1),
    };
    let guard = names(&["127.0.0.1"]);
    let client = guard.client(pace).unwrap();
    let error = client.post(&guard.judge("https://example.com/").unwrap()).send().await.unwrap_err();
    assert_eq!(refusal(&error), Some(Refused::Network("the relay's own machine")));
}

fn public(address: IpAddr) -> bool {
    guard(&[]).judge_ip(address).is_ok()
}

proptest! {
    /// Whatever a tenant writes, a number that gets through is public, however it is spelled.
    #[test]
    fn no_spelling_gets_a_private_number_through(text in "https?://[0-9a-fxX.:\\[\\]%@/]{1,24}") {
        if let Ok(target) = guard(&[]).judge(&text) {
            match target.url().host().unwrap() {
                url::Host::Ipv4(address) => prop_assert!(public(address.into()), "{}", address),
                url::Host::Ipv6(address) => prop_assert!(public(address.into()), "{}", address),
                url::Host::Domain(name) => prop_assert!(name.parse::<IpAddr>().is_err(), "{}", name),
            }
        }
    }

    #[test]
    fn what_was_judged_is_judged_the_same_again(text in "https?://[a-z0-9.\\-é%]{1,16}(:[0-9]{1,5})?(/[ -~]{0,12})?") {
        if let Ok(target) = guard(&[]).judge(&text) {
            prop_assert_eq!(guard(&[]).judge(target.as_str()), Ok(target));
        }
    }

    /// An IPv4 address is as public in the clothes of IPv6 as it is in its own.
    #[test]
    fn clothes_change_nothing(bits in any::<u32>()) {
        let address = Ipv4Addr::from_bits(bits);
        let low = u128::from(bits);
        let wrapped = [
            low | 0xffff << 32,
            low | 0xffff << 48,
            low | 0x64_ff9b << 96,
            0x2002 << 112 | low << 80 | 1,
        ];
        for bits in wrapped {
            let wrapped = Ipv6Addr::from_bits(bits);
            prop_assert_eq!(public(wrapped.into()), public(address.into()), "{} in {}", address, wrapped);
        }
    }
}
