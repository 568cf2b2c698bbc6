//! The gradient of every adapter tensor: peft's, finite differences, and nothing of the frozen base.
#![allow(clippy::unwrap_used)] // tests

use candle_core::{Tensor, Var};
use lora_edit_adapt::flow_loss;
use lora_edit_model::flow;

mod support;
use support::{Fixture, norm, relative_error, values};

const NETWORKS: [&str; 2] = ["peft_i2v", "peft_i2v_clip"];

#[test]
fn loss_and_every_gradient_equal_peft() {
    for name in NETWORKS {
        let fixture = Fixture::read(name);
        let (model, adapter) = fixture.adapted();
        let noise = fixture.tensor("noise");
        let loss = flow_loss(&model, &fixture.input(), &noise, fixture.sigma(), 1.0).unwrap();
        let error = relative_error(&loss.reshape(1).unwrap(), &fixture.tensor("loss"));
        assert!(error < 1e-5, "{name}: loss {loss}, off by {error:.1e}");

        let gradients = loss.backward().unwrap();
        let error = |(key, var): (String, &Var)| {
            let expected = fixture.tensor(&format!("gradient.{key}"));
            (relative_error(gradients.get(var).expect(&key), &expected), key)
        };
        let errors: Vec<_> = adapter.parameters().into_iter().map(error).collect();
        assert_eq!(errors.len(), 40);
        let worst = errors.into_iter().max_by(|a, b| a.0.total_cmp(&b.0)).unwrap();
        assert!(worst.0 < 1e-3, "{name}: {worst:?}");
    }
}

#[test]
fn outputs_equal_peft_with_the_adapter_and_without() {
    for name in NETWORKS {
        let fixture = Fixture::read(name);
        let (mut model, adapter) = fixture.adapted();
        assert!(relative_error(&fixture.predict(&model), &fixture.tensor("out_adapted")) < 1e-4, "{name}");
        adapter.detach(&mut model);
        assert!(relative_error(&fixture.predict(&model), &fixture.tensor("out_base")) < 1e-4, "{name}");
    }
}

/// Along the gradient plus a random direction of the same length, so that neither a wrong size nor a wrong direction
/// passes. In f32, central differences with a step that moves the loss by about a thousandth.
#[test]
fn every_gradient_equals_finite_differences() {
    let fixture = Fixture::read("peft_i2v_clip");
    let (model, adapter) = fixture.adapted();
    let (input, noise, sigma) = (fixture.input(), fixture.tensor("noise"), fixture.sigma());
    let target = values(&flow::target(&input.latents, &noise).unwrap());
    // The mean is taken in f64: in f32 its rounding would drown the difference.
    let loss = || {
        let out = values(&fixture.predict(&model));
        out.iter().zip(&target).map(|(a, b)| (a - b).powi(2)).sum::<f64>() / target.len() as f64
    };
    let gradients = flow_loss(&model, &input, &noise, sigma, 1.0).unwrap().backward().unwrap();
    for (i, (name, var)) in adapter.parameters().into_iter().enumerate() {
        let gradient = values(gradients.get(var).unwrap());
        let random = values(&flow::noise(i as u64, gradient.len()).unwrap());
        let (length, random_length) = (norm(gradient.iter().copied()), norm(random.iter().copied()));
        assert!(length > 1e-4, "{name}: gradient of norm {length}");
        let direction: Vec<_> =
            gradient.iter().zip(&random).map(|(g, r)| g / length + r / random_length).collect();
        let expected: f64 = gradient.iter().zip(&direction).map(|(g, d)| g * d).sum();
        let slope = slope(var, &direction, (1e-3 / length).min(0.05), loss);
        let error = (slope - expected).abs() / expected.abs();
        assert!(error < 1e-3, "{name}: {slope} by differences, {expected} by backward");
    }
}

/// Fourth-order central difference of `loss` along `direction`.
fn slope(var: &Var, direction: &[f64], step: f64, loss: impl Fn() -> f64) -> f64 {
    let origin = values(var.as_tensor());
    let set = |step: f64| {
        let moved: Vec<_> = origin.iter().zip(direction).map(|(o, d)| (o + step * d) as f32).collect();
        var.set(&Tensor::from_vec(moved, var.shape(), var.device()).unwrap()).unwrap();
    };
    let at = |step: f64| {
        set(step);
        loss()
    };
    let slope = (8.0 * (at(step) - at(-step)) - (at(2.0 * step) - at(-2.0 * step))) / (12.0 * step);
    set(0.0);
    slope
}

#[test]
fn the_frozen_base_gets_no_gradient() {
    let fixture = Fixture::read("peft_i2v_clip");
    let (model, adapter) = fixture.adapted();
    let loss = flow_loss(&model, &fixture.input(), &fixture.tensor("noise"), 0.5, 1.0).unwrap();
    let gradients = loss.backward().unwrap();
    for (path, linear) in model.linears() {
        assert!(gradients.get(&linear.weight.dense().unwrap()).is_none(), "{path}.weight");
        assert!(linear.bias.as_ref().is_none_or(|bias| gradients.get(bias).is_none()), "{path}.bias");
    }
    // Besides, candle keeps gradients of operands that nothing trained precedes: the loss's target, the first block's
    // input, and each block's keys and values of the image. More would be memory spent on the base.
    let trained: Vec<_> = adapter.parameters().into_iter().map(|(_, var)| var.id()).collect();
    let others =
        gradients.get_ids().filter(|id| !trained.contains(id)).filter_map(|id| gradients.get_id(*id));
    let others: Vec<_> = others.map(|gradient| gradient.dims().to_vec()).collect();
    assert!(others.len() <= 2 + 2 * model.config().num_layers, "{others:?}");
    for (path, linear) in model.linears() {
        assert!(
            !others.iter().any(|dims| dims[..] == [linear.outputs(), linear.inputs()]),
            "{path}: {others:?}"
        );
    }
}
