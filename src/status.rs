//! What the node says of its job, in the words of its buttons.

use lora_edit_shot::job::{JobKind, JobState, JobStatus};

/// One line for the parameter `status`.
pub fn line(status: &JobStatus, kind: JobKind) -> String {
    match &status.state {
        JobState::Running => format!("{}{}", verb(status), rest(status)),
        JobState::Stopped { step } => format!("stopped at step {step}: press {} to resume", button(kind)),
        JobState::Died => {
            format!("engine died while {}{}: press {} to resume", verb(status), steps(status), button(kind))
        }
        _ => status.line(),
    }
}

/// The button that starts a job of this kind.
pub fn button(kind: JobKind) -> &'static str {
    match kind {
        JobKind::Train => "Train",
        JobKind::Generate => "Generate",
    }
}

fn verb(status: &JobStatus) -> &str {
    match status.stage.as_deref() {
        None => "starting",
        Some("load") => "loading the model",
        Some("encode") => "encoding",
        Some("train") => "training",
        Some("sample") => "generating",
        Some("decode") => "decoding",
        Some("write") => "writing",
        Some(other) => other,
    }
}

fn steps(status: &JobStatus) -> String {
    if status.of > 0 { format!(" {}/{}", status.step, status.of) } else { String::new() }
}

fn rest(status: &JobStatus) -> String {
    let loss = status.loss.map(|loss| format!(", loss {loss:.4}")).unwrap_or_default();
    let left = status.seconds_left.map(|s| format!(", {} s left", s.max(0.0).round())).unwrap_or_default();
    steps(status) + &loss + &left
}

#[cfg(test)]
mod tests {
    use super::*;

    fn training(state: JobState) -> JobStatus {
        let stage = Some("train".to_owned());
        JobStatus {
            state,
            stage,
            step: 34,
            of: 100,
            loss: Some(0.0123),
            seconds_left: Some(41.2),
            preview: None,
        }
    }

    #[test]
    fn a_running_job_says_how_far_and_how_long() {
        let line = line(&training(JobState::Running), JobKind::Train);
        assert_eq!(line, "training 34/100, loss 0.0123, 41 s left");
    }

    #[test]
    fn an_ended_job_says_which_button_goes_on() {
        let stopped = line(&training(JobState::Stopped { step: 34 }), JobKind::Train);
        assert_eq!(stopped, "stopped at step 34: press Train to resume");
        let died = line(&training(JobState::Died), JobKind::Generate);
        assert_eq!(died, "engine died while training 34/100: press Generate to resume");
    }
}
