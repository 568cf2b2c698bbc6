//! What an edit comes to: the last line of `--json`, and the words for people.

use std::path::PathBuf;

use lora_edit_pipeline::report::Qc;
use lora_edit_shot::job::Job;
use serde::Serialize;

use crate::progress::duration;

/// The last object that `edit --json` prints.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename = "summary", rename_all = "camelCase")]
pub struct Summary {
    /// The output pattern.
    pub output: String,
    /// The frames written.
    pub frames: String,
    /// The store's root.
    pub cache: PathBuf,
    /// The job's id.
    pub job_id: String,
    /// Its shot, edit, adapter and result.
    #[serde(flatten)]
    pub ids: Ids,
    /// Whether this run trained; otherwise the adapter was there.
    pub trained: bool,
    /// Whether this run generated; otherwise the result was there.
    pub generated: bool,
    /// Largest difference from the plate where the mask is 0, over all written frames.
    pub max_diff_outside_mask: f32,
    /// The result's folder, with qc.json, contact.png, loss.csv and loss.png.
    pub result_folder: PathBuf,
    /// The report of the run that generated it.
    pub qc: Option<Qc>,
    /// Wall time of this run.
    pub total_seconds: f64,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// The ids of a job.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Ids {
    /// The shot.
    pub shot_id: String,
    /// The edit.
    pub edit_id: Option<String>,
    /// The adapter.
    pub adapter_id: String,
    /// The result.
    pub result_id: Option<String>,
}

impl Ids {
    /// Those of `job`.
    pub fn of(job: &Job) -> Self {
        Self {
            shot_id: job.shot.to_string(),
            edit_id: job.edit.as_ref().map(ToString::to_string),
            adapter_id: job.adapter.to_string(),
            result_id: job.result.as_ref().map(ToString::to_string),
        }
    }
}

impl Summary {
    /// For people, on stdout.
    pub fn print(&self) {
        println!("{}: frames {} in {}", self.output, self.frames, duration(self.total_seconds as f32));
        println!("  {}", self.work_done());
        println!("  difference outside the mask: {}", self.max_diff_outside_mask);
        println!("  report: {}", self.result_folder.join("contact.png").display());
    }

    fn work_done(&self) -> String {
        let figures = self.qc.as_ref().and_then(|qc| qc.train_steps.zip(qc.train_seconds_per_step));
        match (self.trained, self.generated, figures) {
            (true, true, Some((steps, seconds))) => {
                format!("trained {steps} steps at {seconds:.2} s, then generated")
            }
            (true, ..) => "trained and generated".to_string(),
            (false, true, Some(_)) => "adapter reused, generated anew".to_string(),
            (false, true, None) => "generated without an adapter".to_string(),
            (false, false, _) => "nothing to compute: the result was in the cache".to_string(),
        }
    }
}
