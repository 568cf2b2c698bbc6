//! The linear layer of every block: a frozen weight and any number of low-rank pairs beside it.

use candle_core::{Result, Tensor, bail};

use crate::frozen::Frozen;
use crate::kernels::adapted::{self, adapted_linear};
use crate::kernels::frozen::{FrozenWeight, frozen_linear};

/// A frozen linear layer that adapters may hang low-rank pairs on.
#[derive(Clone, Debug)]
pub struct Linear {
    /// (out, in); never receives a gradient.
    pub weight: FrozenWeight,
    /// (out); never receives a gradient.
    pub bias: Option<Tensor>,
    /// Added to the result one after the other.
    pub low_rank: Vec<LowRank>,
}

/// One low-rank pair: adds `scale·(x·Aᵀ)·Bᵀ`.
#[derive(Clone, Debug)]
pub struct LowRank {
    /// (rank, in)
    pub a: Tensor,
    /// (out, rank)
    pub b: Tensor,
    /// `alpha / rank`, times the strength at which the adapter is applied.
    pub scale: f64,
}

impl Linear {
    /// A layer without low-rank pairs from `weight` (out, in) and `bias` (out).
    ///
    /// # Errors
    /// When the shapes do not fit together.
    pub fn new(weight: impl Into<FrozenWeight>, bias: Option<Tensor>) -> Result<Self> {
        let weight = weight.into();
        let (outputs, inputs) = weight.dims2()?;
        if let Some(bias) = bias.as_ref().filter(|bias| bias.dims() != [outputs]) {
            bail!("linear {outputs}x{inputs} got a bias of shape {:?}", bias.dims());
        }
        let weight = match weight {
            FrozenWeight::Dense(weight) => FrozenWeight::Dense(weight.detach().contiguous()?),
            elsewhere => elsewhere,
        };
        let bias = bias.map(|bias| bias.detach().contiguous()).transpose()?;
        Ok(Self { weight, bias, low_rank: Vec::new() })
    }

    /// Its `weight` or `bias`.
    pub(crate) fn frozen(&mut self, name: &str) -> Option<Frozen<'_>> {
        match name {
            "weight" => Some(Frozen::Weight(&mut self.weight)),
            "bias" => self.bias.as_mut().map(Frozen::Small),
            _ => None,
        }
    }

    /// The number of input features.
    pub fn inputs(&self) -> usize {
        self.weight.dims2().map_or(0, |(_, inputs)| inputs)
    }

    /// The number of output features.
    pub fn outputs(&self) -> usize {
        self.weight.dims2().map_or(0, |(outputs, _)| outputs)
    }

    /// Maps `x` (..., in) to (..., out); gradients reach `x` and the low-rank pairs.
    ///
    /// # Errors
    /// When `x` has another last dimension, type or device.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (weight, bias) = (&*self.weight.here()?, self.bias.as_ref());
        let (y, others) = match self.low_rank.split_first() {
            Some((LowRank { a, b, scale }, others)) if adapted::fits([x, a, b], weight, bias) => {
                (adapted_linear(x, weight, bias, (a, b, *scale))?, others)
            }
            _ => (frozen_linear(x, weight, bias)?, &self.low_rank[..]),
        };
        others.iter().try_fold(y, |y, pair| y + pair.forward(x)?)
    }

    /// The same layer with its low-rank pairs added into a new weight: faster to apply, not trainable. A weight that
    /// stays in its file stays there, the pairs beside it as constants.
    ///
    /// # Errors
    /// When a pair does not fit the weight.
    pub fn merged(&self) -> Result<Self> {
        if !matches!(self.weight, FrozenWeight::Dense(_)) {
            return Ok(self.without_gradients());
        }
        let (device, dtype) = (self.weight.device(), self.weight.dtype());
        let product = |pair: &LowRank| pair.product()?.to_device(device)?.to_dtype(dtype);
        let weight = self.low_rank.iter().try_fold(self.weight.dense()?, |w, pair| w + product(pair)?)?;
        Self::new(weight, self.bias.clone())
    }

    /// The same layer, whose pairs are constants: what it computes keeps nothing for a backward pass.
    pub(crate) fn without_gradients(&self) -> Self {
        let low_rank = self.low_rank.iter().map(LowRank::detached).collect();
        Self { low_rank, ..self.clone() }
    }
}

impl LowRank {
    /// The same pair as constants.
    fn detached(&self) -> Self {
        Self { a: self.a.detach(), b: self.b.detach(), scale: self.scale }
    }

    /// `scale·(x·Aᵀ)·Bᵀ` for `x` (..., in).
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        if x.dtype() != self.a.dtype() {
            return self.forward(&x.to_dtype(self.a.dtype())?)?.to_dtype(x.dtype());
        }
        let (_, inputs) = self.a.dims2()?;
        let (outputs, _) = self.b.dims2()?;
        let mut shape = x.dims().to_vec();
        if let Some(last) = shape.last_mut() {
            *last = outputs;
        }
        let narrow = self.narrow(&x.reshape(((), inputs))?)?;
        narrow.matmul(&self.b.t()?)?.reshape(shape)
    }

    /// `scale·x·Aᵀ` for `x` (rows, in), scaled here where it is small: (rows, rank).
    ///
    /// Where nothing before `x` is trained, as for the text, its gradient is neither computed nor kept.
    fn narrow(&self, x: &Tensor) -> Result<Tensor> {
        let product = if x.track_op() {
            x.matmul(&self.a.t()?)?
        } else {
            frozen_linear(&self.a, &x.clone().into(), None)?.t()?
        };
        product * self.scale
    }

    /// `scale·B·A`, (out, in), without a gradient.
    fn product(&self) -> Result<Tensor> {
        self.b.detach().matmul(&self.a.detach())? * self.scale
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device, Var};

    use super::*;

    /// Numbers without a pattern in about [-1, 1].
    fn numbers(shape: &[usize], salt: f64) -> Tensor {
        let count = shape.iter().product::<usize>();
        let values: Vec<f64> = (0..count).map(|i| ((i as f64 + 1.0) * (1.7 + salt)).sin()).collect();
        Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
    }

    fn layer(inputs: usize, outputs: usize) -> Linear {
        Linear::new(numbers(&[outputs, inputs], 0.1), Some(numbers(&[outputs], 0.2))).unwrap()
    }

    fn with_pair(mut layer: Linear, rank: usize, scale: f64) -> (Linear, Var, Var) {
        let a = Var::from_tensor(&numbers(&[rank, layer.inputs()], 0.3)).unwrap();
        let b = Var::from_tensor(&numbers(&[layer.outputs(), rank], 0.4)).unwrap();
        layer.low_rank.push(LowRank { a: a.as_tensor().clone(), b: b.as_tensor().clone(), scale });
        (layer, a, b)
    }

    /// Candle's own operations, with every operand tracked.
    fn plain(layer: &Linear, x: &Tensor) -> Tensor {
        let y = x.broadcast_matmul(&layer.weight.dense().unwrap().t().unwrap()).unwrap();
        let y = y.broadcast_add(layer.bias.as_ref().unwrap()).unwrap();
        layer.low_rank.iter().fold(y, |y, pair| {
            let delta = x.broadcast_matmul(&pair.a.t().unwrap()).unwrap();
            let delta = delta.broadcast_matmul(&pair.b.t().unwrap()).unwrap();
            (y + (delta * pair.scale).unwrap()).unwrap()
        })
    }

    fn difference(a: &Tensor, b: &Tensor) -> f64 {
        assert_eq!(a.dims(), b.dims());
        let d = (a - b).unwrap().abs().unwrap().flatten_all().unwrap().max(0).unwrap();
        d.to_dtype(DType::F64).unwrap().to_scalar().unwrap()
    }

    /// A loss in which every output weighs differently.
    fn loss(y: &Tensor) -> Tensor {
        let weights = numbers(y.dims(), 0.9);
        (y.sqr().unwrap() * weights).unwrap().sum_all().unwrap()
    }

    #[test]
    fn equals_plain_candle_for_any_batch_shape() {
        let (layer, _, _) = with_pair(layer(5, 7), 3, 0.5);
        for shape in [vec![4, 5], vec![2, 3, 5], vec![2, 3, 2, 5], vec![1, 1, 5], vec![0, 5]] {
            let x = numbers(&shape, 0.0);
            let y = layer.forward(&x).unwrap();
            if x.elem_count() > 0 {
                assert!(difference(&y, &plain(&layer, &x)) < 1e-12, "{shape:?}");
            }
            assert_eq!(y.dims().last(), Some(&7), "{shape:?}");
        }
    }

    #[test]
    fn bias_is_added_to_every_row() {
        let layer = layer(3, 70);
        let x = numbers(&[1500, 3], 0.0);
        assert!(difference(&layer.forward(&x).unwrap(), &plain(&layer, &x)) < 1e-12);
    }

    #[test]
    fn non_contiguous_input_gives_the_same_values_and_gradient() {
        let (layer, _, _) = with_pair(layer(5, 7), 3, 0.5);
        let x = Var::from_tensor(&numbers(&[2, 5, 3], 0.0)).unwrap();
        let strided = x.transpose(1, 2).unwrap();
        assert!(!strided.is_contiguous());
        let (ours, theirs) = (layer.forward(&strided).unwrap(), plain(&layer, &strided));
        assert!(difference(&ours, &theirs) < 1e-12);
        let ours = loss(&ours).backward().unwrap().remove(&x).unwrap();
        let theirs = loss(&theirs).backward().unwrap().remove(&x).unwrap();
        assert!(difference(&ours, &theirs) < 1e-11);
    }

    #[test]
    fn non_contiguous_result_gradient_is_read_by_its_strides() {
        let layer = layer(5, 7);
        let x = Var::from_tensor(&numbers(&[2, 3, 5], 0.0)).unwrap();
        let gradient = |y: Tensor| {
            loss(&y.transpose(1, 2).unwrap().contiguous().unwrap()).backward().unwrap().remove(&x).unwrap()
        };
        let ours = gradient(layer.forward(&x).unwrap());
        assert!(difference(&ours, &gradient(plain(&layer, &x))) < 1e-11);
    }

    #[test]
    fn gradients_equal_plain_candle_and_finite_differences() {
        let (layer, a, b) = with_pair(layer(5, 7), 3, 0.5);
        let x = Var::from_tensor(&numbers(&[2, 4, 5], 0.0)).unwrap();
        let ours = loss(&layer.forward(&x).unwrap()).backward().unwrap();
        let theirs = loss(&plain(&layer, &x)).backward().unwrap();
        for (name, var) in [("x", &x), ("a", &a), ("b", &b)] {
            let gradient = ours.get(var).unwrap();
            assert!(difference(gradient, theirs.get(var).unwrap()) < 1e-11, "{name}");
            let direction = numbers(var.dims(), 0.7);
            let slope = finite_difference(var, &direction, || loss(&layer.forward(&x).unwrap()));
            let expected: f64 = (gradient * direction).unwrap().sum_all().unwrap().to_scalar().unwrap();
            assert!((slope - expected).abs() < 1e-6 * expected.abs(), "{name}: {slope} against {expected}");
        }
    }

    fn finite_difference(var: &Var, direction: &Tensor, loss: impl Fn() -> Tensor) -> f64 {
        let origin = var.as_tensor().copy().unwrap().detach();
        let at = |step: f64| {
            var.set(&(&origin + (direction * step).unwrap()).unwrap()).unwrap();
            loss().to_scalar::<f64>().unwrap()
        };
        let slope = (at(1e-5) - at(-1e-5)) / 2e-5;
        var.set(&origin).unwrap();
        slope
    }

    #[test]
    fn frozen_tensors_get_no_gradient_even_when_they_are_variables() {
        let weight = Var::from_tensor(&numbers(&[7, 5], 0.1)).unwrap();
        let bias = Var::from_tensor(&numbers(&[7], 0.2)).unwrap();
        let frozen = Linear::new(weight.as_tensor().clone(), Some(bias.as_tensor().clone())).unwrap();
        let (layer, a, b) = with_pair(frozen, 3, 0.5);
        let x = Var::from_tensor(&numbers(&[4, 5], 0.0)).unwrap();
        let gradients = loss(&layer.forward(&x).unwrap()).backward().unwrap();
        for frozen in [
            weight.as_tensor(),
            bias.as_tensor(),
            &layer.weight.dense().unwrap(),
            layer.bias.as_ref().unwrap(),
        ] {
            assert!(gradients.get(frozen).is_none());
        }
        // No storage of the weight's size under any other id either.
        let sizes = gradients.get_ids().filter_map(|&id| gradients.get_id(id)).map(|g| g.elem_count());
        assert!(sizes.into_iter().all(|size| size != weight.elem_count()));
        assert!([&x, &a, &b].iter().all(|var| gradients.get(var).is_some()));
    }

    #[test]
    fn an_input_that_is_not_trained_gets_no_gradient_and_the_pair_the_same() {
        let (layer, a, b) = with_pair(layer(5, 7), 3, 0.5);
        let x = Var::from_tensor(&numbers(&[2, 4, 5], 0.0)).unwrap();
        let tracked = loss(&layer.forward(&x).unwrap()).backward().unwrap();
        let y = layer.forward(&x.detach()).unwrap();
        assert!(difference(&y, &plain(&layer, &x)) < 1e-12);
        let untracked = loss(&y).backward().unwrap();
        for var in [&a, &b] {
            assert!(difference(untracked.get(var).unwrap(), tracked.get(var).unwrap()) < 1e-11);
        }
        // The base's result of the same shape as the pair's, and the weights within `loss`, are candle's.
        let kept = untracked.get_ids().filter_map(|&id| untracked.get_id(id)).map(|g| g.dims().to_vec());
        assert!(kept.into_iter().all(|dims| dims != [8, 5] && dims != [2, 4, 5]));
    }

    /// In f32 the pair and the base are one kernel; in f64, as above, they are candle's operations.
    #[test]
    fn the_kernel_equals_the_composed_operations() {
        // The last is large enough that threads share the pair's products.
        for (batch, sizes, rank, scale) in [
            (vec![2, 4], (5, 7), 3, 0.5),
            (vec![1], (5, 7), 1, -2.0),
            (vec![3, 2, 11], (5, 7), 16, 1.0),
            (vec![401], (200, 210), 16, 0.1),
        ] {
            let (composed, a, b) = with_pair(layer(sizes.0, sizes.1), rank, scale);
            let x = Var::from_tensor(&numbers(&[&batch[..], &[sizes.0]].concat(), 0.0)).unwrap();
            let narrow = |t: &Tensor| Var::from_tensor(&t.to_dtype(DType::F32).unwrap()).unwrap();
            let (x32, a32, b32) = (narrow(&x), narrow(&a), narrow(&b));
            let bias = narrow(composed.bias.as_ref().unwrap()).into_inner();
            let mut kernel =
                Linear::new(narrow(&composed.weight.dense().unwrap()).into_inner(), Some(bias)).unwrap();
            let shared = |var: &Var| var.as_tensor().clone();
            kernel.low_rank.push(LowRank { a: shared(&a32), b: shared(&b32), scale });
            assert!(adapted::fits([&x32, &a32, &b32], &kernel.weight, kernel.bias.as_ref()));

            let expected = composed.forward(&x).unwrap();
            let found = kernel.forward(&x32).unwrap().to_dtype(DType::F64).unwrap();
            let size = |t: &Tensor| difference(t, &t.zeros_like().unwrap());
            assert!(difference(&found, &expected) < 1e-5 * size(&expected).max(1.0), "{batch:?}");
            let expected = loss(&expected).backward().unwrap();
            let found = loss(&found).backward().unwrap();
            for (name, var, var32) in [("x", &x, &x32), ("a", &a, &a32), ("b", &b, &b32)] {
                let expected = expected.get(var).unwrap();
                let found = found.get(var32).unwrap().to_dtype(DType::F64).unwrap();
                let error = difference(&found, expected) / size(expected);
                assert!(error < 1e-4, "{name} {batch:?}: {error:e}");
            }
            let kept = found.get_ids().filter_map(|&id| found.get_id(id)).map(|g| g.dims());
            assert!(kept.into_iter().all(|dims| dims != [sizes.1, sizes.0]));
        }
    }

    #[test]
    fn the_kernel_computes_only_gradients_that_are_needed() {
        let narrow = |t: &Tensor| t.to_dtype(DType::F32).unwrap();
        let mut layer = Linear::new(narrow(&numbers(&[7, 5], 0.1)), None).unwrap();
        let a = Var::from_tensor(&narrow(&numbers(&[3, 5], 0.3))).unwrap();
        let b = narrow(&numbers(&[7, 3], 0.4));
        layer.low_rank.push(LowRank { a: a.as_tensor().clone(), b: b.clone(), scale: 1.0 });
        let x = narrow(&numbers(&[4, 5], 0.0));
        let gradients = layer.forward(&x).unwrap().sum_all().unwrap().backward().unwrap();
        assert!(gradients.get(&a).is_some() && gradients.get(&x).is_none() && gradients.get(&b).is_none());
    }

    /// More rows than are decoded at a time; both directions, with a pair and without.
    #[test]
    fn a_weight_that_stays_in_its_file_gives_the_values_and_gradients_of_the_same_in_memory() {
        let narrow = |t: &Tensor| t.to_dtype(DType::F32).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weights.safetensors");
        let (inputs, outputs) = (1100, 2000);
        let halved = narrow(&numbers(&[outputs, inputs], 0.1)).to_dtype(DType::BF16).unwrap();
        candle_core::safetensors::save(&[("w", halved.clone())].into(), &path).unwrap();
        let stored = crate::Weights::open(&path).unwrap().stored("w", [outputs, inputs]).unwrap();
        let bias = narrow(&numbers(&[outputs], 0.2));
        let weights = [FrozenWeight::Stored(stored), halved.to_dtype(DType::F32).unwrap().into()];
        let mut layers = weights.map(|weight| Linear::new(weight, Some(bias.clone())).unwrap());
        let x = Var::from_tensor(&narrow(&numbers(&[2, 7, inputs], 0.0))).unwrap();
        for with_pair in [false, true] {
            if with_pair {
                let (a, b) = (narrow(&numbers(&[3, inputs], 0.3)), narrow(&numbers(&[outputs, 3], 0.4)));
                let pair = LowRank { a, b, scale: 0.5 };
                layers.iter_mut().for_each(|layer| layer.low_rank.push(pair.clone()));
            }
            let [ours, expected] = [0, 1].map(|i| layers[i].forward(&x).unwrap());
            assert!(difference(&ours, &expected) < 1e-3, "pair {with_pair}");
            let [ours, expected] = [ours, expected].map(|y| {
                (&y * narrow(&numbers(y.dims(), 0.9))).unwrap().sum_all().unwrap().backward().unwrap()
            });
            let [ours, expected] = [ours, expected].map(|found| found.get(&x).unwrap().clone());
            assert!(difference(&ours, &expected) < 1e-3, "pair {with_pair}");
        }
        assert!(matches!(layers[0].merged().unwrap().weight, FrozenWeight::Stored(_)));
    }

    #[test]
    fn the_weight_is_shared_not_copied() {
        let weight = numbers(&[7, 5], 0.1);
        let layer = Linear::new(weight.clone(), None).unwrap();
        let address = |t: &Tensor| {
            let (storage, _) = t.storage_and_layout();
            let candle_core::Storage::Cpu(cpu) = &*storage else { panic!("not on the CPU") };
            cpu.as_slice::<f64>().unwrap().as_ptr()
        };
        assert_eq!(address(&weight), address(&layer.weight.dense().unwrap()));
    }

    #[test]
    fn zero_b_is_the_identity() {
        let (mut adapted, _, _) = with_pair(layer(5, 7), 3, 2.0);
        adapted.low_rank[0].b = adapted.low_rank[0].b.zeros_like().unwrap();
        let x = numbers(&[4, 5], 0.0);
        assert_eq!(difference(&adapted.forward(&x).unwrap(), &layer(5, 7).forward(&x).unwrap()), 0.0);

        // In f32 by the kernel, with more rows than one thread takes.
        let narrow = |t: &Tensor| t.to_dtype(DType::F32).unwrap();
        let layer =
            Linear::new(narrow(&numbers(&[96, 200], 0.1)), Some(narrow(&numbers(&[96], 0.2)))).unwrap();
        let mut adapted = layer.clone();
        let (a, b) =
            (narrow(&numbers(&[3, 200], 0.3)), narrow(&numbers(&[96, 3], 0.0)).zeros_like().unwrap());
        adapted.low_rank.push(LowRank { a, b, scale: 2.0 });
        let x = narrow(&numbers(&[301, 200], 0.0));
        assert_eq!(difference(&adapted.forward(&x).unwrap(), &layer.forward(&x).unwrap()), 0.0);
    }

    #[test]
    fn merged_equals_unmerged_with_alpha_unlike_rank() {
        let (one, _, _) = with_pair(layer(5, 7), 3, 8.0 / 3.0);
        let (two, _, _) = with_pair(one, 2, -0.5);
        let x = numbers(&[4, 5], 0.0);
        let merged = two.merged().unwrap();
        assert!(merged.low_rank.is_empty());
        assert!(difference(&merged.forward(&x).unwrap(), &two.forward(&x).unwrap()) < 1e-12);
        assert!(difference(&merged.forward(&x).unwrap(), &layer(5, 7).forward(&x).unwrap()) > 0.1);
    }

    #[test]
    fn every_float_type_works() {
        for (dtype, tolerance) in [(DType::F32, 1e-5), (DType::F16, 2e-2), (DType::BF16, 1e-1)] {
            let full = layer(5, 7);
            let bias = full.bias.as_ref().map(|bias| bias.to_dtype(dtype).unwrap());
            let narrow = Linear::new(full.weight.dense().unwrap().to_dtype(dtype).unwrap(), bias).unwrap();
            let x = numbers(&[4, 5], 0.0);
            let y = narrow.forward(&x.to_dtype(dtype).unwrap()).unwrap().to_dtype(DType::F64).unwrap();
            assert!(difference(&y, &full.forward(&x).unwrap()) < tolerance, "{dtype:?}");
        }
    }

    #[test]
    fn wrong_shapes_are_named() {
        let error = layer(5, 7).forward(&numbers(&[4, 6], 0.0)).unwrap_err().to_string();
        assert!(error.contains("linear 7x5 got an input of shape [4, 6]"), "{error}");
        let error = Linear::new(numbers(&[7, 5], 0.0), Some(numbers(&[5], 0.0))).unwrap_err().to_string();
        assert!(error.contains("bias of shape [5]"), "{error}");
    }
}
