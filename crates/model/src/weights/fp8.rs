//! Eight-bit floats: E4M3 (OCP, no infinity) and E5M2.

use half::f16;
use half::slice::HalfFloatSliceExt;

/// Numbers decoded at a time through a buffer on the stack.
const RUN: usize = 256;
/// What an E4M3 number's exponent is off by when its bits stand as an f16: 2^(15 - 7).
const E4M3_AS_F16: f32 = 256.0;

/// Which eight-bit float.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Float8 {
    E4m3,
    E5m2,
}

impl Float8 {
    /// The format's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::E4m3 => "fp8_e4m3",
            Self::E5m2 => "fp8_e5m2",
        }
    }

    /// The name where a scale belongs to the numbers.
    pub fn scaled_name(self) -> &'static str {
        match self {
            Self::E4m3 => "fp8_e4m3 scaled",
            Self::E5m2 => "fp8_e5m2 scaled",
        }
    }
}

/// Decodes one number per byte, times `scale`.
///
/// By way of f16, which holds every number of both formats (E4M3 after a shift of the exponent) and which processors
/// widen at full speed, subnormal numbers too; those are a large part of unscaled weights.
pub(super) fn widen(kind: Float8, bytes: &[u8], scale: f32, out: &mut [f32]) {
    match kind {
        Float8::E4m3 => through_halves(bytes, scale * E4M3_AS_F16, out, e4m3_as_f16),
        Float8::E5m2 => through_halves(bytes, scale, out, |byte| u16::from(byte) << 8),
    }
}

fn through_halves(bytes: &[u8], scale: f32, out: &mut [f32], half_bits: impl Fn(u8) -> u16) {
    let mut run = [f16::ZERO; RUN];
    for (bytes, out) in bytes.chunks(RUN).zip(out.chunks_mut(RUN)) {
        let run = &mut run[..out.len()];
        for (half, byte) in run.iter_mut().zip(bytes) {
            *half = f16::from_bits(half_bits(*byte));
        }
        run.convert_to_f32_slice(out);
        out.iter_mut().for_each(|value| *value *= scale);
    }
}

/// The bits as they stand in an f16 whose value is 2^-8 of the number's; all ones mean NaN.
fn e4m3_as_f16(byte: u8) -> u16 {
    let (sign, rest) = (u16::from(byte & 0x80) << 8, u16::from(byte & 0x7f));
    if rest == 0x7f { f16::NAN.to_bits() } else { sign | (rest << 7) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition: sign, exponent with `bias`, fraction of `bits`; subnormal at exponent 0.
    fn defined(byte: u8, bits: u32, bias: i32) -> f64 {
        let fraction = f64::from(byte & ((1 << bits) - 1)) / f64::from(1 << bits);
        let exponent = i32::from((byte & 0x7f) >> bits);
        let size = match exponent {
            0 => fraction * 2f64.powi(1 - bias),
            _ => (1.0 + fraction) * 2f64.powi(exponent - bias),
        };
        if byte & 0x80 == 0 { size } else { -size }
    }

    #[test]
    fn every_number_of_both_formats_is_exact() {
        let bytes: Vec<u8> = (0..=255).collect();
        let mut out = vec![0.0; 256];
        widen(Float8::E4m3, &bytes, 1.0, &mut out);
        for (byte, value) in bytes.iter().zip(&out) {
            match byte & 0x7f {
                0x7f => assert!(value.is_nan()),
                _ => assert_eq!(f64::from(*value), defined(*byte, 3, 7), "e4m3 {byte:#x}"),
            }
        }
        widen(Float8::E5m2, &bytes, 0.5, &mut out);
        for (byte, value) in bytes.iter().zip(&out) {
            match byte & 0x7f {
                0x7c => assert!(value.is_infinite()),
                0x7d.. => assert!(value.is_nan()),
                _ => assert_eq!(f64::from(*value), 0.5 * defined(*byte, 2, 15), "e5m2 {byte:#x}"),
            }
        }
    }
}
