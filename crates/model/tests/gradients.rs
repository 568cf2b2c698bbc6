//! The gradient through the whole transformer, whose operations candle would silently cut.
#![allow(clippy::unwrap_used)] // a test may panic

use candle_core::{Tensor, Var};
use lora_edit_model::WanTransformer;
use lora_edit_model::flow::NoiseStream;

mod support;
use support::{Fixture, attach};

/// Checks the gradient of the input and of every pair against finite differences along a random direction.
fn check(name: &str, expected_vars: usize) {
    let fixture = Fixture::read(name);
    let mut model = WanTransformer::load(&fixture.diffusers_weights(), fixture.config()).unwrap();
    let mut random = NoiseStream::new(3);
    let mut vars = attach(&mut model, &mut random);
    assert_eq!(vars.len(), expected_vars);
    vars.push(("input".into(), Var::from_tensor(&fixture.tensor("x")).unwrap()));
    let x = vars[expected_vars].1.as_tensor().clone();
    let image = model.config().takes_image().then(|| fixture.tensor("image"));
    let weight = random.normal(fixture.tensor("out").shape()).unwrap();
    let loss = || {
        let (t, text) = (fixture.tensor("timestep"), fixture.tensor("text"));
        let out = model.forward(&x, &t, &text, image.as_ref()).unwrap();
        (out * &weight).unwrap().sum_all().unwrap()
    };
    let gradients = loss().backward().unwrap();
    for (path, var) in &vars {
        let gradient = gradients.get(var).unwrap_or_else(|| panic!("{path}: no gradient"));
        let size = gradient.sqr().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap().sqrt();
        assert!(size > 0.0, "{path}: zero gradient");
        // Along the gradient itself: there the slope is its length, and rounding matters least.
        let slope = finite_difference(var, &(gradient / f64::from(size)).unwrap(), &loss);
        assert!((slope - size).abs() < 0.01 * size, "{path}: finite difference {slope}, gradient {size}");
    }
}

fn finite_difference(var: &Var, direction: &Tensor, loss: &impl Fn() -> Tensor) -> f32 {
    const STEP: f64 = 1e-2;
    let origin = var.as_tensor().copy().unwrap().detach();
    let at = |step: f64| {
        var.set(&(&origin + (direction * step).unwrap()).unwrap()).unwrap();
        loss().to_scalar::<f32>().unwrap()
    };
    let slope = (at(STEP) - at(-STEP)) / (2.0 * STEP as f32);
    var.set(&origin).unwrap();
    slope
}

#[test]
fn every_pair_and_the_input_have_the_right_gradient() {
    // Two blocks of 10 layers, two tensors each.
    check("transformer_i2v", 40);
}

#[test]
fn the_image_branch_too() {
    check("transformer_i2v_clip", 48);
}
