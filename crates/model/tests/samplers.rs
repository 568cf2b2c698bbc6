//! Every sampler step by step on a toy velocity, against diffusers' schedulers and against Wan's own.
#![allow(clippy::unwrap_used)] // a test may panic

use std::ops::ControlFlow;

use candle_core::{D, DType, Result, Tensor};
use lora_edit_model::flow::{noise, timestep};
use lora_edit_model::sample::{Denoise, Denoised, Sampler};
use lora_edit_model::schedule::{Convention, Schedule};

mod support;
use support::{Fixture, assert_close};

const LIMIT: f64 = 1e-4;

/// The formula of `velocity` in `fixtures/make.py`.
fn velocity(x: &Tensor, t: f64) -> Result<Tensor> {
    let sigma = t / 1000.0;
    let bent = ((x * (1.5 - sigma))?.tanh()? * (0.5 + sigma))?;
    (bent - (x * 0.3)?)? + (x.roll(1, D::Minus1)? * 0.2)?
}

/// The state after each step.
fn trajectory(sampler: Sampler, schedule: &Schedule, known: Option<&Tensor>, noise: Tensor) -> Vec<Tensor> {
    let mut states = Vec::new();
    let record = |x: &Tensor, t| {
        states.push(x.clone());
        velocity(x, t)
    };
    let ended =
        Denoise { sampler, schedule, known }.run(noise, record, |_| ControlFlow::Continue(())).unwrap();
    let Denoised::Finished(last) = ended else { panic!("stopped") };
    states.push(last);
    states.split_off(1)
}

fn check(what: &str, sampler: Sampler, schedule: &Schedule, noise: Tensor, expected: &Tensor) {
    let states = trajectory(sampler, schedule, None, noise);
    assert_eq!(states.len(), schedule.steps());
    for (i, state) in states.iter().enumerate() {
        let what = format!("{what}, step {} of {}", i + 1, states.len());
        assert_close(&what, state, &expected.get(i).unwrap(), LIMIT);
    }
}

#[test]
fn every_step_equals_diffusers_on_given_levels() {
    let fixture = Fixture::read("samplers");
    for (sampler, name) in [(Sampler::Euler, "euler"), (Sampler::UniPc, "unipc")] {
        for steps in [1, 2, 3, 8] {
            let schedule = Schedule::exact(fixture.tensor(&format!("sigmas_{steps}")).to_vec1().unwrap());
            let expected = fixture.tensor(&format!("{name}_{steps}"));
            check(name, sampler, &schedule, fixture.tensor("noise"), &expected);
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

/// One scheduler's levels, times and states; steps and shifts as in `fixtures/make_variants.py`.
fn check_scheduler(fixture: &Fixture, convention: Convention, sampler: Sampler, name: &str) {
    for (steps, shift) in [(1, 3.0), (2, 5.0), (3, 1.0), (8, 3.0), (20, 5.0)] {
        let key = format!("{name}_{steps}_{shift}");
        let numbers = |part: &str| fixture.tensor(&format!("{part}.{key}")).to_vec1::<f64>().unwrap();
        let schedule = Schedule::new(convention, sampler, steps, shift);
        assert_eq!(schedule.times(), numbers("times"), "{key}");
        for (ours, stored) in schedule.sigmas().iter().zip(numbers("sigmas")) {
            // To the last bit of f32, in which the schedulers keep them.
            assert!((ours - stored).abs() <= 6e-8, "{key}: {ours} against {stored}");
        }
        check(&key, sampler, &schedule, fixture.tensor("noise"), &fixture.tensor(&format!("states.{key}")));
    }
    let all = fixture.tensor(&format!("all_times.{name}")).to_dtype(DType::F64).unwrap();
    let mut ours = Vec::new();
    for shift in [1.0, 3.0, 5.0, 8.0, 16.0] {
        (1..=50).for_each(|steps| {
            ours.extend_from_slice(Schedule::new(convention, sampler, steps, shift).times())
        });
    }
    assert_eq!(ours, all.to_vec1::<f64>().unwrap(), "{name}: some number of steps has other times");
}

#[test]
fn every_step_equals_wans_schedulers() {
    let fixture = Fixture::read("samplers_wan");
    check_scheduler(&fixture, Convention::Wan, Sampler::UniPc, "unipc");
    check_scheduler(&fixture, Convention::Wan, Sampler::DpmPp, "dpm");
}

#[test]
fn every_step_equals_diffusers_schedulers() {
    let fixture = Fixture::read("samplers_diffusers");
    check_scheduler(&fixture, Convention::Diffusers, Sampler::Euler, "euler");
    check_scheduler(&fixture, Convention::Diffusers, Sampler::UniPc, "unipc");
    check_scheduler(&fixture, Convention::Diffusers, Sampler::DpmPp, "dpm");
}

/// The solvers act on each number by itself: with a velocity that does not mix frames, frames that are put back
/// leave the others as they were.
#[test]
fn known_frames_are_put_back_and_the_others_go_on() {
    let fixture = Fixture::read("samplers_wan");
    let start = fixture.tensor("noise");
    let known = noise(3, (1, 2, 1, 2, 3)).unwrap().to_dtype(DType::F64).unwrap();
    for sampler in [Sampler::Euler, Sampler::UniPc, Sampler::DpmPp] {
        let schedule = Schedule::new(Convention::Wan, sampler, 5, 5.0);
        let free = trajectory(sampler, &schedule, None, start.clone());
        let held = trajectory(sampler, &schedule, Some(&known), start.clone());
        for (free, held) in free.iter().zip(&held) {
            assert_close("known", &held.narrow(2, 0, 1).unwrap(), &known, 0.0);
            assert_close("others", &held.narrow(2, 1, 1).unwrap(), &free.narrow(2, 1, 1).unwrap(), 0.0);
        }
    }
}

#[test]
fn times_are_the_levels_where_nothing_is_rounded() {
    let schedule = Schedule::new(Convention::Exact, Sampler::UniPc, 7, 5.0);
    let expected: Vec<f64> = schedule.sigmas()[..7].iter().map(|&sigma| timestep(sigma)).collect();
    assert_eq!(schedule.times(), expected);
}
