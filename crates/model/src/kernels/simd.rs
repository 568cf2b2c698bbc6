//! Loops that the compiler vectorises, with the widest instructions the processor has.

/// Independent partial sums of a reduction; floating-point addition may not be reordered by the compiler.
const LANES: usize = 16;

/// Sets of instructions that loops are compiled for besides the target's baseline.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(
    not(target_arch = "x86_64"),
    allow(dead_code, reason = "other processors have the baseline alone")
)]
pub(crate) enum Instructions {
    /// Sixteen numbers at a time.
    Avx512,
    /// Eight numbers at a time.
    Avx2,
    /// SSE2 on x86-64, NEON on ARM.
    Baseline,
}

impl Instructions {
    /// The widest that this processor has.
    #[inline]
    pub fn widest() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            let narrow = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            if narrow && is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vl") {
                return Self::Avx512;
            }
            if narrow {
                return Self::Avx2;
            }
        }
        Self::Baseline
    }
}

/// Compiles a function once for each of [`Instructions`] and calls the widest that runs here.
///
/// What it calls must be `#[inline(always)]`, and loops must not hide in closures, or they stay compiled for the
/// baseline: such a softmax took four times as long.
macro_rules! vectorised {
    ($($(#[$attribute:meta])* $vis:vis fn $name:ident($($arg:ident: $type:ty),* $(,)?) $(-> $out:ty)? $body:block)*) => { $(
        $(#[$attribute])*
        #[allow(unsafe_code)] // calls of functions for instructions that were found
        $vis fn $name($($arg: $type),*) $(-> $out)? {
            #[inline(always)]
            fn plain($($arg: $type),*) $(-> $out)? $body
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512vl,avx2,fma")]
            fn avx512($($arg: $type),*) $(-> $out)? {
                plain($($arg),*)
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            fn avx2($($arg: $type),*) $(-> $out)? {
                plain($($arg),*)
            }
            match $crate::kernels::simd::Instructions::widest() {
                // SAFETY: the processor has these instructions.
                #[cfg(target_arch = "x86_64")]
                $crate::kernels::simd::Instructions::Avx512 => unsafe { avx512($($arg),*) },
                // SAFETY: the processor has these instructions.
                #[cfg(target_arch = "x86_64")]
                $crate::kernels::simd::Instructions::Avx2 => unsafe { avx2($($arg),*) },
                _ => plain($($arg),*),
            }
        }
    )* };
}
pub(crate) use vectorised;

/// e^x to about 2 units in the last place, without a branch; below -87 it stays at e^-87.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    // Adding 1.5 * 2^23 rounds to a whole number and leaves it in the low bits.
    const ROUND: f32 = 12_582_912.0;
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let x = if x < -87.0 { -87.0 } else { x };
    let x = if x > 88.0 { 88.0 } else { x };
    // Fused where `vectorised` finds the instruction, which every processor of the last ten years has.
    let rounded = x.mul_add(std::f32::consts::LOG2_E, ROUND);
    let whole = rounded - ROUND;
    let r = whole.mul_add(-LN2_LOW, whole.mul_add(-LN2_HIGH, x));
    // Taylor's coefficients, the last three moved a little for the interval |r| <= ln 2 / 2 (Cephes' expf).
    let p = 1.987_569_1e-4f32;
    let p = p.mul_add(r, 1.398_199_9e-3);
    let p = p.mul_add(r, 8.333_452e-3);
    let p = p.mul_add(r, 4.166_579_6e-2);
    let p = p.mul_add(r, 1.666_666_5e-1);
    let p = p.mul_add(r, 0.5);
    let e = (p * r).mul_add(r, r) + 1.0;
    let power = rounded.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127) << 23;
    e * f32::from_bits(power)
}

/// 1 / (1 + e^-x)
#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// The sum of `f(a, b)` over two slices of one length.
#[inline(always)]
pub(crate) fn sum2(a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = [0f32; LANES];
    let (a_chunks, b_chunks) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest: f32 = a_chunks.remainder().iter().zip(b_chunks.remainder()).map(|(&a, &b)| f(a, b)).sum();
    for (a, b) in a_chunks.zip(b_chunks) {
        for i in 0..LANES {
            lanes[i] += f(a[i], b[i]);
        }
    }
    lanes.iter().sum::<f32>() + rest
}

/// The sum of `f(a)` over a slice.
#[inline(always)]
pub(crate) fn sum(a: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    sum2(a, a, |a, _| f(a))
}

/// Replaces every `x` by `f(x)`; gives the sum of the results.
#[inline(always)]
pub(crate) fn map_sum(a: &mut [f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0f32; LANES];
    let mut chunks = a.chunks_exact_mut(LANES);
    for a in &mut chunks {
        for i in 0..LANES {
            a[i] = f(a[i]);
            lanes[i] += a[i];
        }
    }
    let mut rest = 0.0;
    for x in chunks.into_remainder() {
        *x = f(*x);
        rest += *x;
    }
    lanes.iter().sum::<f32>() + rest
}

/// The greatest of a slice; -inf if it is empty.
#[inline(always)]
pub(crate) fn max(a: &[f32]) -> f32 {
    let greater = |a: f32, b: f32| if a > b { a } else { b };
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let chunks = a.chunks_exact(LANES);
    let rest = chunks.remainder().iter().copied().fold(f32::NEG_INFINITY, greater);
    for a in chunks {
        for i in 0..LANES {
            lanes[i] = greater(lanes[i], a[i]);
        }
    }
    lanes.into_iter().fold(rest, greater)
}

#[cfg(test)]
mod tests {
    use super::*;

    vectorised! {
        fn exp_all(x: &mut [f32]) {
            for x in x {
                *x = exp(*x);
            }
        }
    }

    #[test]
    fn exp_is_close_everywhere() {
        let arguments: Vec<f32> = (-8600..8700).map(|i| i as f32 / 100.0).collect();
        let mut powers = arguments.clone();
        exp_all(&mut powers);
        for (x, found) in arguments.into_iter().zip(powers) {
            let expected = f64::from(x).exp();
            let error = (f64::from(found) - expected).abs() / expected;
            assert!(error < 3e-7, "exp({x}) = {found}, {error:e} off");
        }
        assert!(exp(-1e30) < 2e-38 && exp(f32::NAN).is_nan());
    }

    #[test]
    fn reductions_take_every_element() {
        for length in [0, 1, 15, 16, 17, 100] {
            let a: Vec<f32> = (0..length).map(|i| i as f32).collect();
            let total = (length * length.max(1) - length) as f32 / 2.0;
            assert_eq!(sum(&a, |a| a), total);
            assert_eq!(sum2(&a, &a, |a, b| a - 2.0 * b), -total);
            assert_eq!(map_sum(&mut a.clone(), |a| 2.0 * a), 2.0 * total);
            assert_eq!(max(&a), a.last().copied().unwrap_or(f32::NEG_INFINITY));
        }
    }
}
