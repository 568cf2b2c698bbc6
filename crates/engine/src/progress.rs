//! What people see while a job runs: a bar with stage, step, loss and time left; or JSON lines for programs.

use std::io::{IsTerminal, Write};

use indicatif::{ProgressBar, ProgressStyle};
use lora_edit_shot::job::Event;

const BAR: &str = "{prefix:>7} {bar:32} {pos}/{len} {msg}";
const BUSY: &str = "{prefix:>7} {spinner} {elapsed}";

/// Tells the user of events.
#[derive(Debug)]
pub enum Reporter {
    /// A bar on stderr.
    Bar(ProgressBar),
    /// One line per stage on stderr, where that is no terminal.
    Lines,
    /// One JSON object per event on stdout.
    Json,
}

impl Reporter {
    /// The bar, or lines where stderr is a file.
    pub fn for_people() -> Self {
        if std::io::stderr().is_terminal() { Self::Bar(ProgressBar::new(0)) } else { Self::Lines }
    }

    /// Shows one event.
    pub fn tell(&mut self, event: &Event) {
        match self {
            Self::Bar(bar) => show(bar, event),
            Self::Lines => line(event),
            Self::Json => json(event),
        }
    }

    /// Takes the bar away, before other words are printed.
    pub fn clear(&self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

/// One JSON object as a line on stdout. A closed pipe is no reason to fail: the work goes on.
pub fn json(value: &impl serde::Serialize) {
    let line = serde_json::to_string(value).unwrap_or_default();
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

fn show(bar: &ProgressBar, event: &Event) {
    match event {
        Event::Stage { name } => {
            bar.set_style(style(BUSY));
            bar.set_prefix(name.clone());
            bar.reset_elapsed();
            bar.enable_steady_tick(std::time::Duration::from_millis(250));
        }
        // The style comes last: each call draws, and what it does not show yet cannot flicker.
        Event::Step { step, of, loss, seconds_left, .. } => {
            bar.disable_steady_tick();
            bar.set_length(*of as u64);
            bar.set_position(*step as u64);
            bar.set_message(details(*loss, *seconds_left));
            bar.set_style(style(BAR));
        }
        Event::Done { .. } | Event::Failed { .. } | Event::Stopped { .. } => bar.finish_and_clear(),
        Event::Plan { table, .. } => bar.suspend(|| eprintln!("{table}")),
        Event::Started { .. } | Event::Preview { .. } => {}
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn details(loss: Option<f32>, seconds_left: Option<f32>) -> String {
    let loss = loss.map(|loss| format!("loss {loss:.4}"));
    let left = seconds_left.map(|seconds| format!("{} left", duration(seconds)));
    [loss, left].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// `8 s`, `3:05 min`, `2:10 h`.
pub fn duration(seconds: f32) -> String {
    let whole = seconds.max(0.0).round() as u64;
    match whole {
        0..60 => format!("{whole} s"),
        60..3600 => format!("{}:{:02} min", whole / 60, whole % 60),
        _ => format!("{}:{:02} h", whole / 3600, whole / 60 % 60),
    }
}

fn line(event: &Event) {
    match event {
        Event::Stage { name } => eprintln!("{name}"),
        Event::Plan { table, .. } => eprintln!("{table}"),
        Event::Step { stage, step, of, loss, seconds_left }
            if step == of || step % of.div_ceil(10).max(1) == 0 =>
        {
            eprintln!("{stage} {step}/{of} {}", details(*loss, *seconds_left));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_well() {
        assert_eq!([8.4, 185.0, 7800.0].map(duration), ["8 s", "3:05 min", "2:10 h"]);
    }

    #[test]
    fn templates_are_valid() {
        for template in [BAR, BUSY] {
            assert!(ProgressStyle::with_template(template).is_ok());
        }
    }
}
