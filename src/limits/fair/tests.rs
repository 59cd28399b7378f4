//! The rule of shares, in simulations.

use std::num::NonZeroU32;

use proptest::prelude::*;

use super::*;
use crate::limits::gcra::tests::most_in_a_minute;

const SECOND: u64 = 1_000_000_000;

fn pace(limit: u32) -> Pace {
    Pace::new(NonZeroU32::new(limit).unwrap())
}

/// Asks once, as a call does.
fn ask(rate: &mut SharedRate, key: i64, pace: Pace, now: u64) -> bool {
    let mut member = rate.member(KeyId(key), pace, now, true);
    let granted = member.wait() == 0;
    if granted {
        member.take();
    }
    granted
}

#[test]
fn a_key_alone_has_the_whole_rate() {
    let (mut rate, pace) = (SharedRate::default(), pace(10));
    let let_in = (0..20).filter(|_| ask(&mut rate, 1, pace, 0)).count();
    assert_eq!(let_in, 10);
    let later = (1..=600).filter(|second| ask(&mut rate, 1, pace, second * SECOND)).count();
    assert_eq!(later, 100, "ten a minute for ten minutes");
}

#[test]
fn a_modest_key_gets_in_when_the_rate_is_exhausted() {
    let (mut rate, pace) = (SharedRate::default(), pace(10));
    while ask(&mut rate, 1, pace, 0) {}
    assert!(ask(&mut rate, 2, pace, 0), "its first call has a seat");
    assert!(!ask(&mut rate, 1, pace, 0));
    // Its share is now five in a minute. It keeps to it; the greedy key asks every tenth of a second.
    let mut greedy = 0;
    for tick in 1..=3_000 {
        let now = tick * SECOND / 10;
        greedy += u32::from(ask(&mut rate, 1, pace, now));
        if now.is_multiple_of(13 * SECOND) {
            assert!(ask(&mut rate, 2, pace, now), "refused at {}", now / SECOND);
        }
    }
    // Five minutes at ten, of which the modest key used 23.
    assert!((25..=28).contains(&greedy), "the greedy key uses what is left: {greedy}");
}

#[test]
fn invariant_7_a_key_that_stops_leaves_its_share_to_the_others() {
    let (mut rate, pace) = (SharedRate::default(), pace(60));
    assert!(ask(&mut rate, 1, pace, 0) && ask(&mut rate, 2, pace, 0));
    assert_eq!(rate.member(KeyId(1), pace, SECOND, true).remaining(), 30, "half is kept for the other");
    // For a minute, and until the next look, which comes a second after the one before.
    for (now, left) in [(59_500, 30), (60_400, 30), (60_500, 60)] {
        assert_eq!(rate.member(KeyId(1), pace, now * SECOND / 1_000, true).remaining(), left, "{now} ms");
    }
}

#[test]
fn what_others_leave_is_not_charged_to_the_share() {
    let (mut rate, pace) = (SharedRate::default(), pace(10));
    let mut spare_calls = 0;
    for second in 0..600 {
        let now = second * SECOND;
        if second % 50 == 0 {
            assert!(ask(&mut rate, 2, pace, now), "the other key keeps its share and hardly uses it");
        }
        let mut member = rate.member(KeyId(1), pace, now, true);
        let before = member.own(0);
        if before + member.turn > member.most && member.wait() == 0 {
            member.take();
            spare_calls += 1;
            let after = rate.member(KeyId(1), pace, now + SECOND, true).own(0);
            assert_eq!(after, before - SECOND, "nothing but time changed it");
        } else {
            ask(&mut rate, 1, pace, now);
        }
    }
    assert!(spare_calls > 30, "{spare_calls} of about forty");
}

#[test]
fn invariant_7_keys_beyond_the_most_have_one_share_together() {
    let (mut rate, pace) = (SharedRate::default(), pace(60));
    for key in 0..2 * SHARES_MAX as i64 {
        rate.member(KeyId(key), pace, 0, true);
    }
    assert_eq!(rate.len(), SHARES_MAX + 1);
    // Where there is no room for notes, one more is enough.
    let mut narrow = SharedRate::default();
    for key in 0..10 {
        narrow.member(KeyId(key), pace, 0, false);
    }
    assert_eq!(narrow.len(), 2);
    assert!(!rate.is_at_rest(59 * SECOND));
    assert!(rate.is_at_rest(60 * SECOND));
    assert_eq!(rate.len(), 0);
}

/// Who asks, and how long after the one before.
fn crowd(keys: i64) -> impl Strategy<Value = Vec<(i64, u64)>> {
    let gap = prop_oneof![3 => Just(0), 3 => 0..SECOND, 1 => 0..20 * SECOND, 1 => Just(60 * SECOND)];
    prop::collection::vec((0..keys, gap), 1..300)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_minute_holds_more_than_limit_and_burst(limit in 1..40u32, asks in crowd(12)) {
        let (mut rate, pace, mut now, mut taken) = (SharedRate::default(), pace(limit), 0, Vec::new());
        for (key, gap) in asks {
            now += gap;
            if ask(&mut rate, key, pace, now) {
                taken.push(now);
            }
        }
        prop_assert!(most_in_a_minute(&taken) <= 2 * limit as usize);
    }

    /// The rule: an active key that asks no faster than its share gets in, whatever all the others do.
    #[test]
    fn a_key_within_its_share_is_never_refused(
        // Its turn comes more often than once in the window, so it stays active.
        limit in 8..40u32,
        keys in 2..5i64,
        asks in crowd(4),
        late in 0..SECOND,
    ) {
        let (mut rate, pace, mut now) = (SharedRate::default(), pace(limit), 0);
        for key in 0..keys {
            ask(&mut rate, key, pace, now);
        }
        let turn = pace.interval * keys as u64 + late;
        let mut due = turn;
        for (key, gap) in asks {
            let until = now + gap;
            while due <= until {
                prop_assert!(ask(&mut rate, 0, pace, due), "refused at {due}");
                due += turn;
            }
            now = until;
            ask(&mut rate, 1 + key % (keys - 1), pace, now);
        }
    }

    #[test]
    fn the_told_wait_and_what_remains_are_exact(limit in 1..40u32, asks in crowd(6), later in 0..SECOND) {
        let (mut rate, pace, mut now) = (SharedRate::default(), pace(limit), 0);
        for (key, gap) in asks {
            now += gap;
            ask(&mut rate, key, pace, now);
        }
        now += later;
        let remaining = rate.member(KeyId(0), pace, now, true).remaining();
        for _ in 0..remaining {
            prop_assert!(ask(&mut rate, 0, pace, now));
        }
        let wait = rate.member(KeyId(0), pace, now, true).wait();
        prop_assert!(wait > 0, "more than the {remaining} that were told");
        prop_assert!(wait <= pace.span + pace.interval);
        prop_assert!(rate.clone().member(KeyId(0), pace, now + wait, true).wait() == 0);
    }

    /// Nothing is wasted: one that asks without pause gets the rate, however many others only sit there.
    #[test]
    fn what_others_leave_is_used(limit in 1..40u32, idle in 0..30i64) {
        let (mut rate, pace) = (SharedRate::default(), pace(limit));
        for key in 0..idle {
            rate.member(KeyId(key), pace, 0, true);
        }
        let let_in = (0..6_000).filter(|tick| ask(&mut rate, 100, pace, tick * SECOND / 10)).count();
        prop_assert!(let_in >= 9 * limit as usize, "{let_in} in ten minutes");
    }
}
