//! Both samplers against diffusers, step by step, on a toy velocity and the same noise levels.
#![allow(clippy::unwrap_used)] // a test may panic

use std::ops::ControlFlow;

use candle_core::{D, Result, Tensor};
use lora_edit_model::sample::{Denoised, Sampler, denoise};

mod support;
use support::{Fixture, assert_close};

/// The formula of `velocity` in `fixtures/make.py`.
fn velocity(x: &Tensor, t: f64) -> Result<Tensor> {
    let sigma = t / 1000.0;
    let bent = ((x * (1.5 - sigma))?.tanh()? * (0.5 + sigma))?;
    (bent - (x * 0.3)?)? + (x.roll(1, D::Minus1)? * 0.2)?
}

/// The state after each step.
fn trajectory(sampler: Sampler, sigmas: &[f64], noise: Tensor) -> Vec<Tensor> {
    let mut states = Vec::new();
    let record = |x: &Tensor, t| {
        states.push(x.clone());
        velocity(x, t)
    };
    let ended = denoise(sampler, sigmas, noise, record, |_| ControlFlow::Continue(())).unwrap();
    let Denoised::Finished(last) = ended else { panic!("stopped") };
    states.push(last);
    states.split_off(1)
}

#[test]
fn every_step_equals_diffusers() {
    let fixture = Fixture::read("samplers");
    for (sampler, name) in [(Sampler::Euler, "euler"), (Sampler::UniPc, "unipc")] {
        for steps in [1, 2, 3, 8] {
            let sigmas: Vec<f64> = fixture.tensor(&format!("sigmas_{steps}")).to_vec1().unwrap();
            let expected = fixture.tensor(&format!("{name}_{steps}"));
            let states = trajectory(sampler, &sigmas, fixture.tensor("noise"));
            assert_eq!(states.len(), steps);
            for (i, state) in states.iter().enumerate() {
                let what = format!("{name}, step {} of {steps}", i + 1);
                assert_close(&what, state, &expected.get(i).unwrap(), 1e-4);
            }
        }
    }
}

#[test]
fn the_fixtures_levels_are_wans_unipc_schedule() {
    let fixture = Fixture::read("samplers");
    let stored: Vec<f64> = fixture.tensor("sigmas_8").to_vec1().unwrap();
    for (ours, stored) in Sampler::UniPc.sigmas(8, 3.0).into_iter().zip(stored) {
        assert!((ours - stored).abs() < 1e-12, "{ours} against {stored}");
    }
}
