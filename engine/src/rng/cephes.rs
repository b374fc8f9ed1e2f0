//! Logarithm, sine and cosine in f32 as torch's vectorised normal fill computes them on x86 processors.
//!
//! The approximations are those of the Cephes library (Moshier, `logf.c`, `sinf.c`, `cosf.c`), whose coefficients stand here
//! because bits depend on them; torch's build fuses each multiplication with the addition that follows it, so these do.
#![expect(clippy::excessive_precision, reason = "coefficients as Cephes prints them")]

/// ln(1 + f) = f - f²/2 + f³ P(f), highest power first.
const LOG: [f32; 9] = [
    7.0376836292e-2,
    -1.1514610310e-1,
    1.1676998740e-1,
    -1.2420140846e-1,
    1.4249322787e-1,
    -1.6668057665e-1,
    2.0000714765e-1,
    -2.4999993993e-1,
    3.3333331174e-1,
];
/// ln 2 in two parts, the larger exact in few bits.
const LN2_HIGH: f32 = 0.693359375;
const LN2_LOW: f32 = -2.12194440e-4;

/// sin x = x + x³ P(x²), highest power first.
const SINE: [f32; 3] = [-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1];
/// cos x = 1 - x²/2 + x⁴ P(x²), highest power first.
const COSINE: [f32; 3] = [2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2];
const FOUR_OVER_PI: f32 = 1.27323954473516;
/// -pi/4 in three parts.
const QUARTER_PI: [f32; 3] = [-0.78515625, -2.4187564849853515625e-4, -3.77489497744594108e-8];

/// Natural logarithm of a normal positive number.
pub(super) fn ln(x: f32) -> f32 {
    let bits = x.to_bits();
    let mantissa = f32::from_bits((bits & 0x007f_ffff) | 0x3f00_0000);
    let mut exponent = (bits >> 23) as f32 - 126.0;
    let x = if mantissa < std::f32::consts::FRAC_1_SQRT_2 {
        exponent -= 1.0;
        (mantissa - 1.0) + mantissa
    } else {
        mantissa - 1.0
    };
    let square = x * x;
    let series = LOG[1..].iter().fold(LOG[0], |sum, c| sum.mul_add(x, *c)) * x;
    let y = series.mul_add(square, exponent * LN2_LOW);
    let y = (-0.5f32).mul_add(square, y);
    exponent.mul_add(LN2_HIGH, x + y)
}

/// Sine and cosine of an angle from 0 to 2 pi.
pub(super) fn sin_cos(angle: f32) -> (f32, f32) {
    let eighth = ((angle * FOUR_OVER_PI) as i32 + 1) & !1;
    let count = eighth as f32;
    let x = QUARTER_PI.iter().fold(angle, |x, part| count.mul_add(*part, x));
    let square = x * x;
    let even = COSINE[1..].iter().fold(COSINE[0], |sum, c| sum.mul_add(square, *c)) * square;
    let even = even.mul_add(square, -0.5 * square) + 1.0;
    let odd = SINE[1..].iter().fold(SINE[0], |sum, c| sum.mul_add(square, *c)) * square;
    let odd = odd.mul_add(x, x);
    let (sine, cosine) = if eighth & 2 == 0 { (odd, even) } else { (even, odd) };
    let sine = if eighth & 4 == 0 { sine } else { -sine };
    let cosine = if (eighth - 2) & 4 == 0 { -cosine } else { cosine };
    (sine, cosine)
}
