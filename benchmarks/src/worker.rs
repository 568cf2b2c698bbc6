//! The conversation: one request in JSON per line, one answer per line. `peer.py` speaks the same.

use std::collections::HashMap;
use std::io::{BufRead, Write};
use std::time::Instant;

use anyhow::{Context, Result};
use candle_core::Device;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::cases::{Case, Run};
use crate::usage;

#[derive(Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Request {
    /// Time `repeat` calls; builds the case and makes one call to warm up where it is new.
    Measure { case: String, repeat: usize },
    /// Free what a case holds.
    Drop { drop: String },
    /// Name every case.
    List {
        #[serde(rename = "list")]
        _all: bool,
    },
}

/// Answers every request in `input`; a failed one with `{"error": ...}`.
pub fn serve(cases: &[Case], input: impl BufRead, mut output: impl Write) -> Result<()> {
    let mut open = HashMap::new();
    for line in input.lines() {
        let answer = answer(cases, &mut open, &line?);
        let answer = answer.unwrap_or_else(|error| json!({ "error": format!("{error:#}") }));
        writeln!(output, "{answer}")?;
        output.flush()?;
    }
    Ok(())
}

fn answer(cases: &[Case], open: &mut HashMap<String, Run>, request: &str) -> Result<Value> {
    match serde_json::from_str(request).context("request")? {
        Request::Measure { case, repeat } => {
            if !open.contains_key(&case) {
                let mut run = Case::build(cases, &case, &Device::Cpu)?;
                run()?;
                open.insert(case.clone(), run);
            }
            measure(open.get_mut(&case).context("no such case")?, repeat)
        }
        Request::Drop { drop } => Ok(json!({ "dropped": open.remove(&drop).is_some() })),
        Request::List { .. } => Ok(json!(cases.iter().map(|case| &case.name).collect::<Vec<_>>())),
    }
}

/// The median wall time of `repeat` calls, and their mean processor time.
fn measure(run: &mut Run, repeat: usize) -> Result<Value> {
    let repeat = repeat.max(1);
    let mut times = Vec::with_capacity(repeat);
    let before = usage::processor_ms();
    for _ in 0..repeat {
        let began = Instant::now();
        run()?;
        times.push(began.elapsed().as_secs_f64() * 1e3);
    }
    let processor = usage::processor_ms().zip(before).map(|(after, before)| (after - before) / repeat as f64);
    let ms = median(&mut times);
    Ok(json!({ "ms": ms, "cpu_ms": processor }))
}

/// Of at least one number; they are put in order.
pub fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    (times[(times.len() - 1) / 2] + times[times.len() / 2]) / 2.0
}

/// The most memory that two runs of a case held, its network included, beyond what the program held before it.
pub fn memory(cases: &[Case], name: &str) -> Result<Value> {
    let before = usage::resident_mb();
    let mut run = Case::build(cases, name, &Device::Cpu)?;
    // Making up random weights is no part of the case.
    usage::forget_peak();
    run()?;
    run()?;
    Ok(json!({ "mb": usage::peak_mb().zip(before).map(|(peak, before)| peak - before) }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases::Sizes;

    const TINY: &str = r#"{"networks": [], "kernels": [
        {"name": "gelu", "op": "gelu-tanh", "x": [1, 2, 8], "backward": true}]}"#;

    fn ask(requests: &str) -> Vec<Value> {
        let mut output = Vec::new();
        let cases = Sizes::read(TINY).unwrap().cases();
        serve(&cases, requests.as_bytes(), &mut output).unwrap();
        let lines = String::from_utf8(output).unwrap();
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn requests_are_answered_line_by_line() {
        let answers = ask(concat!(
            "{\"list\": true}\n",
            "{\"case\": \"kernel/gelu/forward-backward\", \"repeat\": 3}\n",
            "{\"drop\": \"kernel/gelu/forward-backward\"}\n",
            "{\"drop\": \"kernel/gelu/forward-backward\"}\n",
        ));
        assert_eq!(answers[0], json!(["kernel/gelu/forward", "kernel/gelu/forward-backward"]));
        assert!(answers[1]["ms"].as_f64().unwrap() > 0.0, "{}", answers[1]);
        assert_eq!(answers[2..], [json!({"dropped": true}), json!({"dropped": false})]);
    }

    #[test]
    fn a_wrong_request_is_answered_and_the_next_one_too() {
        let answers = ask("{\"case\": \"kernel/none\", \"repeat\": 1}\nnonsense\n{\"list\": true}\n");
        assert_eq!(answers[0], json!({"error": "no case kernel/none"}));
        assert!(answers[1]["error"].is_string());
        assert_eq!(answers[2].as_array().unwrap().len(), 2);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn memory_is_told_in_mb() {
        let cases = Sizes::read(TINY).unwrap().cases();
        assert!(memory(&cases, "kernel/gelu/forward").unwrap()["mb"].is_f64());
    }
}
