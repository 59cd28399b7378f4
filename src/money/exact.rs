//! The one rounding. Units, price and multiplier together have more digits than a decimal holds, and a product that is
//! rounded to fit and then once more to nano-dollars can end on the wrong side of a half: so the whole product is kept.

use rust_decimal::Decimal;

/// An unsigned number of 256 bits, lowest limb first. Three factors, of 96, 70 and 60 bits, fit with room to spare.
type Wide = [u64; 4];

/// The largest power of ten in one limb.
const CHUNK_DIGITS: u32 = 18;

/// The product of three decimals that are not negative, times `10^digits`, rounded half to even; `None` when it does
/// not fit.
pub(super) fn scaled_product(factors: [Decimal; 3], digits: u32) -> Option<i64> {
    let product = factors.iter().fold([1, 0, 0, 0], |product, factor| times(product, mantissa(*factor)));
    let scale: u32 = factors.iter().map(Decimal::scale).sum();
    let rounded = match scale.checked_sub(digits) {
        Some(surplus) => drop_digits(product, surplus),
        None => times(product, 10_u128.checked_pow(digits - scale)?),
    };
    match rounded {
        [lowest, 0, 0, 0] => i64::try_from(lowest).ok(),
        _ => None,
    }
}

/// The whole product of two decimals that are not negative, as plain digits.
pub(super) fn product_text(factors: [Decimal; 2]) -> String {
    let product = factors.iter().fold([1, 0, 0, 0], |product, factor| times(product, mantissa(*factor)));
    let scale = factors.iter().map(|factor| factor.scale() as usize).sum::<usize>();
    let digits = digits(product);
    // At least one digit stands before the point.
    let digits = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    match fraction.trim_end_matches('0') {
        "" => whole.to_owned(),
        fraction => [whole, ".", fraction].concat(),
    }
}

fn digits(mut number: Wide) -> String {
    let mut chunks = Vec::new();
    while number != [0; 4] {
        let (quotient, rest) = divide(number, 10_u64.pow(CHUNK_DIGITS));
        number = quotient;
        chunks.push(format!("{rest:0width$}", width = CHUNK_DIGITS as usize));
    }
    chunks.reverse();
    match chunks.concat().trim_start_matches('0') {
        "" => "0".to_owned(),
        digits => digits.to_owned(),
    }
}

fn mantissa(number: Decimal) -> u128 {
    number.mantissa().unsigned_abs()
}

fn times(number: Wide, factor: u128) -> Wide {
    let mut product = [0; 4];
    for (shift, part) in [factor as u64, (factor >> 64) as u64].into_iter().enumerate() {
        let mut carry = 0;
        for (limb, sum) in number.iter().zip(&mut product[shift..]) {
            (*sum, carry) = limb.carrying_mul_add(part, *sum, carry);
        }
    }
    product
}

/// Divides by `10^digits`, half to even.
fn drop_digits(mut number: Wide, mut digits: u32) -> Wide {
    let mut below = false;
    while digits > 0 {
        let chunk = digits.min(CHUNK_DIGITS);
        let divisor = 10_u64.pow(chunk);
        let (quotient, rest) = divide(number, divisor);
        number = quotient;
        digits -= chunk;
        let half = divisor / 2;
        let up = rest > half || (rest == half && (below || number[0] % 2 == 1));
        if digits == 0 && up {
            return plus_one(number);
        }
        below |= rest > 0;
    }
    number
}

fn divide(mut number: Wide, divisor: u64) -> (Wide, u64) {
    let divisor = u128::from(divisor);
    let mut rest = 0;
    for limb in number.iter_mut().rev() {
        let dividend = (rest << 64) | u128::from(*limb);
        *limb = (dividend / divisor) as u64;
        rest = dividend % divisor;
    }
    (number, rest as u64)
}

fn plus_one(mut number: Wide) -> Wide {
    let mut carry = true;
    for limb in &mut number {
        (*limb, carry) = limb.overflowing_add(u64::from(carry));
    }
    number
}
