//! Tests of a kernel: values and gradients against the reference, gradients against finite differences.

use candle_core::{DType, Result, Tensor, Var};

use crate::flow::NoiseStream;

/// What a greatest value is taken for at least: operands are about 1, and a gradient that is nothing by cancellation
/// (attention to a single key) is found up to their rounding.
const LEAST: f32 = 1e-1;

/// Random operands and how close the results must be, relative to the greatest value.
pub struct Case {
    pub shapes: Vec<Vec<usize>>,
    pub limit: f64,
}

/// Fails unless `ours` and `reference` agree in their values and in the gradient of every operand, and the
/// reference's gradients agree with finite differences in f64.
pub fn equals_reference(
    case: &Case,
    ours: impl Fn(&[Tensor]) -> Result<Tensor>,
    reference: impl Fn(&[Tensor]) -> Result<Tensor>,
) {
    let mut random = NoiseStream::new(17);
    let operands: Vec<Tensor> =
        case.shapes.iter().map(|shape| random.normal(shape.as_slice()).unwrap()).collect();
    let weight = random.normal(reference(&operands).unwrap().shape()).unwrap();
    let (value, gradients) = run(&operands, &weight, &ours);
    let (expected, expected_gradients) = run(&operands, &weight, &reference);
    close("value", &value, &expected, case.limit);
    for (i, (gradient, expected)) in gradients.iter().zip(&expected_gradients).enumerate() {
        close(&format!("gradient {i}"), gradient, expected, case.limit);
        let slope = finite_difference(&operands, i, &weight, &reference);
        let direction = direction(expected.shape().dims());
        let along = (expected.to_dtype(DType::F64).unwrap() * direction).unwrap().sum_all().unwrap();
        let along = along.to_scalar::<f64>().unwrap();
        let size = along.abs().max(1.0);
        assert!(
            (slope - along).abs() < 1e-3 * size,
            "operand {i}: finite difference {slope}, gradient {along}"
        );
    }
}

/// The value of `f`, and the gradient of every operand where the value is weighted by `weight`.
pub fn run(
    operands: &[Tensor],
    weight: &Tensor,
    f: &impl Fn(&[Tensor]) -> Result<Tensor>,
) -> (Tensor, Vec<Tensor>) {
    let vars: Vec<Var> = operands.iter().map(|t| Var::from_tensor(t).unwrap()).collect();
    let tracked: Vec<Tensor> = vars.iter().map(|var| var.as_tensor().clone()).collect();
    let value = f(&tracked).unwrap();
    let gradients = (&value * weight).unwrap().sum_all().unwrap().backward().unwrap();
    (
        value,
        vars.iter().map(|var| gradients.get(var).expect("gradient reaches every operand").clone()).collect(),
    )
}

fn direction(shape: &[usize]) -> Tensor {
    NoiseStream::new(23).normal(shape).unwrap().to_dtype(DType::F64).unwrap()
}

fn finite_difference(
    operands: &[Tensor],
    which: usize,
    weight: &Tensor,
    f: &impl Fn(&[Tensor]) -> Result<Tensor>,
) -> f64 {
    let exact: Vec<Tensor> = operands.iter().map(|t| t.to_dtype(DType::F64).unwrap()).collect();
    let weight = weight.to_dtype(DType::F64).unwrap();
    let step = direction(operands[which].dims());
    let at = |size: f64| -> f64 {
        let mut moved = exact.clone();
        moved[which] = (&exact[which] + (&step * size).unwrap()).unwrap();
        (f(&moved).unwrap() * &weight).unwrap().sum_all().unwrap().to_scalar().unwrap()
    };
    (at(1e-5) - at(-1e-5)) / 2e-5
}

/// Fails unless `ours` is as far as `limit` from `expected`, relative to the greatest value.
pub fn close(what: &str, ours: &Tensor, expected: &Tensor, limit: f64) {
    assert_eq!(ours.dims(), expected.dims(), "{what}");
    let peak =
        |t: &Tensor| t.abs().unwrap().flatten_all().unwrap().max(0).unwrap().to_scalar::<f32>().unwrap();
    let error = f64::from(peak(&(ours - expected).unwrap()) / peak(expected).max(LEAST));
    assert!(error <= limit, "{what}: relative error {error:e}");
}
