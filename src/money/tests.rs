//! Money against a pocket calculator that keeps every digit.

use proptest::prelude::*;

use super::*;

/// A decimal of any length: its digits, the lowest first, and how many of them follow the point.
#[derive(Clone)]
struct Long {
    digits: Vec<u8>,
    scale: usize,
}

impl Long {
    fn read(text: &str) -> Self {
        let scale = text.split_once('.').map_or(0, |(_, fraction)| fraction.len());
        let digits = text.bytes().rev().filter(u8::is_ascii_digit).map(|digit| digit - b'0').collect();
        Self { digits, scale }
    }

    /// As plain digits, without zeros that say nothing.
    fn text(&self) -> String {
        let place = |nth: usize| char::from(b'0' + self.digits.get(nth).copied().unwrap_or(0));
        let whole: String = (self.scale..self.digits.len().max(self.scale + 1)).rev().map(place).collect();
        let fraction: String = (0..self.scale).rev().map(place).collect();
        let whole = Some(whole.trim_start_matches('0')).filter(|whole| !whole.is_empty()).unwrap_or("0");
        match fraction.trim_end_matches('0') {
            "" => whole.to_owned(),
            fraction => format!("{whole}.{fraction}"),
        }
    }

    fn times(&self, other: &Self) -> Self {
        let mut sums = vec![0_u32; self.digits.len() + other.digits.len()];
        for (a, left) in self.digits.iter().enumerate() {
            for (b, right) in other.digits.iter().enumerate() {
                sums[a + b] += u32::from(left * right);
            }
        }
        let mut carry = 0;
        let carried = sums.into_iter().map(|sum| {
            let sum = sum + carry;
            carry = sum / 10;
            (sum % 10) as u8
        });
        Self { digits: carried.collect(), scale: self.scale + other.scale }
    }

    /// Whole nano-dollars, half to even.
    fn nanos(&self) -> u128 {
        let mut digits = vec![0; 9_usize.saturating_sub(self.scale)];
        digits.extend(&self.digits);
        let surplus = self.scale.saturating_sub(9);
        digits.resize(digits.len().max(surplus + 1), 0);
        let (dropped, kept) = digits.split_at(surplus);
        let whole = kept.iter().rev().fold(0, |whole, digit| whole * 10 + u128::from(*digit));
        let half: Vec<u8> = (0..surplus).map(|nth| if nth + 1 == surplus { 5 } else { 0 }).collect();
        match dropped.iter().rev().cmp(half.iter().rev()) {
            std::cmp::Ordering::Greater => whole + 1,
            std::cmp::Ordering::Equal if surplus > 0 => whole + whole % 2,
            _ => whole,
        }
    }
}

fn oracle(units: &str, price: &str, multiplier: &str) -> Option<Usd> {
    let nanos = Long::read(units).times(&Long::read(price)).times(&Long::read(multiplier)).nanos();
    i64::try_from(nanos).ok().and_then(Usd::from_nanos)
}

fn computed(units: &str, price: &str, multiplier: &str) -> Option<Usd> {
    let units = Units::parse(units).unwrap();
    cost(units, UnitPrice::parse(price).unwrap(), Multiplier::parse(multiplier).unwrap()).ok()
}

fn usd(text: &str) -> Usd {
    Usd::parse(text).unwrap()
}

#[test]
fn a_call_costs_units_times_price_times_multiplier() {
    for (units, price, multiplier, nanos) in [
        ("1", "0.025", "1", 25_000_000),
        ("3.008", "0.0002", "1.15", 691_840),
        ("0", "1000000", "1000", 0),
        ("1", "0.0000000005", "1", 0),
        ("3", "0.0000000005", "1", 2),
        ("1", "0.0000000015", "1", 2),
        ("1", "0.000000000500000", "1.000000000000001", 1),
        ("0.3333333333333333333333333333", "0.000000003", "1", 1),
        // A product that first loses its last digits would be a half, and would round to even, to 0.
        ("0.0000000000000000000000000001", "5.000000000000001", "1000", 0),
        ("1.000000000000000000000000001", "0.0000000005", "1", 1),
        ("1.0000000000000000000000001", "0.000000002500000", "1", 3),
        ("1000000000", "1", "1", 1_000_000_000_000_000_000),
    ] {
        let cost = computed(units, price, multiplier).map(Usd::nanos);
        assert_eq!(cost, Some(nanos), "{units} x {price} x {multiplier}");
    }
}

#[test]
fn what_is_too_much_is_refused_and_never_wrapped() {
    for (units, price, multiplier) in [
        ("1000000000", "1.000000001", "1"),
        ("1000000000", "1", "1.000000000000001"),
        ("1000000000", "1000000", "1000"),
        ("999999999.9999999999999999999", "999999.999999999999999", "999.999999999999999"),
        // Its lowest 64 bits alone would be a small amount.
        ("18446744.073709551617", "1000", "1"),
    ] {
        assert_eq!(computed(units, price, multiplier), None, "{units} x {price} x {multiplier}");
    }
    let most = usd("1000000000");
    assert_eq!(most.checked_add(usd("0.000000001")), None);
    assert_eq!(usd("1").saturating_sub(usd("2")), Usd::ZERO);
    assert_eq!(Usd::from_nanos(-1), None);
    assert_eq!(Usd::from_nanos(most.nanos() + 1), None);
}

#[test]
fn what_is_no_amount_says_why() {
    let long = "1".repeat(MAX_TEXT_LEN + 1);
    for (text, why) in [
        ("", MoneyError::NotANumber),
        (" 1", MoneyError::NotANumber),
        ("1 ", MoneyError::NotANumber),
        ("+1", MoneyError::NotANumber),
        ("-", MoneyError::NotANumber),
        ("--1", MoneyError::NotANumber),
        ("-one", MoneyError::NotANumber),
        (".5", MoneyError::NotANumber),
        ("5.", MoneyError::NotANumber),
        ("1.2.3", MoneyError::NotANumber),
        ("1,5", MoneyError::NotANumber),
        ("1_000", MoneyError::NotANumber),
        ("1e3", MoneyError::NotANumber),
        ("0x10", MoneyError::NotANumber),
        ("NaN", MoneyError::NotANumber),
        ("inf", MoneyError::NotANumber),
        ("[1]", MoneyError::NotANumber),
        ("$1", MoneyError::NotANumber),
        ("\u{661}", MoneyError::NotANumber),
        ("1\0", MoneyError::NotANumber),
        ("-1", MoneyError::Negative),
        ("-0.00", MoneyError::Negative),
        ("0.0000000001", MoneyError::TooFine(9)),
        ("0.00000000000000000000000000001", MoneyError::TooFine(28)),
        ("1000000000.000000001", MoneyError::TooLarge("1000000000")),
        ("99999999999999999999999999999999999999", MoneyError::TooLarge("28 digits")),
        (&long, MoneyError::TooLong(64)),
    ] {
        assert_eq!(Usd::parse(text), Err(why), "{text:?}");
    }
    assert_eq!(Units::parse("1000000001"), Err(MoneyError::TooLarge("1000000000")));
    assert_eq!(UnitPrice::parse("1000000.1"), Err(MoneyError::TooLarge("1000000")));
    assert_eq!(UnitPrice::parse("0.0000000000000001"), Err(MoneyError::TooFine(15)));
    assert_eq!(Multiplier::parse("1000.1"), Err(MoneyError::TooLarge("1000")));
}

#[test]
fn zeros_at_the_ends_change_nothing() {
    assert_eq!(usd("0000000000000000000000000000000000005.10000000000000000000"), usd("5.1"));
    assert_eq!(usd("1000000000.000000000000000000000000000").to_string(), "1000000000.00");
    assert_eq!(Units::parse("3.000").unwrap(), Units::parse("3").unwrap());
    assert_eq!(Units::new(-Decimal::ZERO).unwrap().to_string(), "0");
}

#[test]
fn json_has_money_as_text_and_no_number_is_taken_for_it() {
    assert_eq!(serde_json::to_string(&usd("0.1")).unwrap(), r#""0.10""#);
    assert_eq!(serde_json::from_str::<Usd>(r#""0.10""#).unwrap(), usd("0.1"));
    assert_eq!(serde_json::to_string(&Delta::parse("-0.1").unwrap()).unwrap(), r#""-0.10""#);
    for json in ["0.1", "5", "null", "[]", "{}", r#""-1""#, r#""1e3""#, r#""""#] {
        assert!(serde_json::from_str::<Usd>(json).is_err(), "{json}");
        assert!(serde_json::from_str::<UnitPrice>(json).is_err(), "{json}");
        assert!(serde_json::from_str::<Multiplier>(json).is_err(), "{json}");
    }
    assert!(serde_json::from_str::<Delta>("-1").is_err());
}

#[test]
fn a_difference_has_one_sign() {
    for (text, nanos) in
        [("5", 5_000_000_000), ("+0.10", 100_000_000), ("-0.003", -3_000_000), ("-0", 0), ("+0", 0)]
    {
        assert_eq!(Delta::parse(text).map(Delta::nanos), Ok(nanos), "{text}");
    }
    for text in ["", "-", "+", "--1", "+-1", "-+1", "++1", "- 1", "1-"] {
        assert_eq!(Delta::parse(text), Err(MoneyError::NotANumber), "{text}");
    }
    assert_eq!(Delta::parse("-0.0000000001"), Err(MoneyError::TooFine(9)));
    assert_eq!(Delta::parse("-9223372036.854775808"), Ok(Delta::from_nanos(i64::MIN)));
    assert_eq!(Delta::parse("9223372036.854775808"), Err(MoneyError::TooLarge("9223372036.854775807")));
    assert_eq!(Delta::from_nanos(i64::MAX).checked_add(Delta::from_nanos(1)), None);
    assert_eq!(Delta::from_nanos(i64::MIN).checked_add(Delta::from_nanos(-1)), None);
}

#[test]
fn a_change_keeps_an_amount_an_amount() {
    assert_eq!(usd("1").checked_change(Delta::parse("-0.4").unwrap()), Some(usd("0.6")));
    assert_eq!(usd("1").checked_change(Delta::parse("-1").unwrap()), Some(Usd::ZERO));
    assert_eq!(usd("1").checked_change(Delta::parse("-1.000000001").unwrap()), None);
    assert_eq!(usd("1000000000").checked_change(Delta::from_nanos(1)), None);
    assert_eq!(usd("1").checked_change(Delta::from_nanos(i64::MIN)), None);
    assert_eq!(usd("1").checked_change(Delta::from_nanos(i64::MAX)), None);
}

/// Decimals up to `whole` nines before the point and `fine` digits after it, many with a 5 at the end.
fn decimal_text(whole: usize, fine: usize) -> impl Strategy<Value = String> {
    let whole = proptest::string::string_regex(&format!("0|[1-9][0-9]{{0,{}}}", whole - 1)).unwrap();
    let fraction =
        proptest::string::string_regex(&format!("[0-9]{{0,{}}}|0{{0,{}}}5", fine, fine - 1)).unwrap();
    (whole, fraction).prop_map(|(whole, fraction)| match fraction.is_empty() {
        true => whole,
        false => format!("{whole}.{fraction}"),
    })
}

fn amount() -> impl Strategy<Value = Usd> {
    (0..=1_000_000_000_000_000_000_i64).prop_map(|nanos| Usd::from_nanos(nanos).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn every_cost_is_what_the_calculator_says(
        units in decimal_text(9, 19),
        price in decimal_text(6, 15),
        multiplier in decimal_text(3, 15),
    ) {
        prop_assert_eq!(computed(&units, &price, &multiplier), oracle(&units, &price, &multiplier));
    }

    #[test]
    fn small_costs_are_what_the_calculator_says(
        units in decimal_text(1, 27),
        price in decimal_text(1, 15),
        multiplier in decimal_text(1, 4),
    ) {
        prop_assert_eq!(computed(&units, &price, &multiplier), oracle(&units, &price, &multiplier));
    }

    /// Halves by construction: an odd number of half nano-dollars, and a hair beside it.
    #[test]
    fn halves_go_to_the_even_side(whole in 0..1_000_000_000_i64, hair in 1..=4_u32) {
        let price = UnitPrice::parse("0.000000001").unwrap();
        let nanos = |fraction: &str| {
            let units = Units::parse(&format!("{whole}.{fraction}")).unwrap();
            cost(units, price, Multiplier::ONE).unwrap().nanos()
        };
        prop_assert_eq!(nanos("5"), whole + whole % 2);
        prop_assert_eq!(nanos(&format!("500000000000000000{hair}")), whole + 1);
        prop_assert_eq!(nanos(&format!("49999999999999999{hair}")), whole);
    }

    #[test]
    fn an_amount_is_read_as_it_was_written(amount in amount()) {
        prop_assert_eq!(Usd::parse(&amount.to_string()), Ok(amount));
        let json = serde_json::to_string(&amount).unwrap();
        prop_assert_eq!(serde_json::from_str::<Usd>(&json).unwrap(), amount);
    }

    #[test]
    fn a_difference_is_read_as_it_was_written(nanos: i64) {
        let delta = Delta::from_nanos(nanos);
        prop_assert_eq!(Delta::parse(&delta.to_string()), Ok(delta));
        let json = serde_json::to_string(&delta).unwrap();
        prop_assert_eq!(serde_json::from_str::<Delta>(&json).unwrap(), delta);
    }

    #[test]
    fn a_price_is_read_as_it_was_written(price in decimal_text(6, 15), multiplier in decimal_text(3, 15)) {
        let price = UnitPrice::parse(&price).unwrap();
        prop_assert_eq!(UnitPrice::parse(&price.to_string()), Ok(price));
        let multiplier = Multiplier::parse(&multiplier).unwrap();
        prop_assert_eq!(Multiplier::parse(&multiplier.to_string()), Ok(multiplier));
        let units = Units::new(price.decimal()).unwrap();
        prop_assert_eq!(Units::parse(&units.to_string()), Ok(units));
    }

    #[test]
    fn a_price_for_a_group_keeps_every_digit(price in decimal_text(6, 15), multiplier in decimal_text(3, 15)) {
        let product = Long::read(&price).times(&Long::read(&multiplier)).text();
        let (price, multiplier) = (UnitPrice::parse(&price).unwrap(), Multiplier::parse(&multiplier).unwrap());
        prop_assert_eq!(price_text(price, multiplier), product);
    }

    #[test]
    fn a_difference_leads_from_one_amount_to_the_other(from in amount(), to in amount()) {
        prop_assert_eq!(from.checked_change(Delta::between(from, to)), Some(to));
        prop_assert_eq!(Delta::between(from, to).checked_add(Delta::between(to, from)), Some(Delta::ZERO));
        prop_assert_eq!(Delta::between(Usd::ZERO, to), Delta::from(to));
    }

    #[test]
    fn sums_are_exact_or_refused(left in amount(), right in amount()) {
        let sum = i128::from(left.nanos()) + i128::from(right.nanos());
        prop_assert_eq!(left.checked_add(right), i64::try_from(sum).ok().and_then(Usd::from_nanos));
        prop_assert_eq!(left.saturating_sub(right).nanos(), (left.nanos() - right.nanos()).max(0));
    }

    /// Nothing but plain numbers is read, and what is read is what it says.
    #[test]
    fn any_text_is_judged(text in "[-+]?[0-9]{0,32}[.,]?[0-9]{0,32}|[0-9.eE+-]{0,12}|\\PC{0,80}") {
        if let Ok(amount) = Usd::parse(&text) {
            prop_assert_eq!(u128::try_from(amount.nanos()).unwrap(), Long::read(&text).nanos());
            prop_assert!(text.bytes().all(|b| b.is_ascii_digit() || b == b'.'));
        }
        let _ = (Units::parse(&text), UnitPrice::parse(&text), Multiplier::parse(&text), Delta::parse(&text));
    }
}
