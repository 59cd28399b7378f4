//! Whatever is asked of a client token: it narrows within its bounds, or is refused, and its rules are read again as they are
//! written down.
#![no_main]

use std::time::Duration;

use fal_relay::fal::TokenForm;
use fal_relay::relay::TokenWish;
use fal_relay::rules::Rules;
use libfuzzer_sys::fuzz_target;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fuzz_target!(|body: &[u8]| {
    let own = TokenWish::own(body);
    let forms = [TokenForm::Bare, TokenForm::Realtime].map(|form| TokenWish::of_fal(form, body));
    for wish in [own].into_iter().chain(forms).flatten() {
        assert!(wish.life >= Duration::from_secs(1) && wish.life <= DAY, "{wish:?}");
        let written = serde_json::to_vec(&wish.rules).expect("rules are text");
        assert_eq!(serde_json::from_slice::<Rules>(&written).expect("what was written"), wish.rules);
    }
});
