//! What a running job tells, and whether it should stop.

use std::time::Instant;

use lora_edit_shot::job::Event;

/// The job's line to whoever started it.
pub struct Progress<'a> {
    events: &'a mut dyn FnMut(Event),
    stop: &'a dyn Fn() -> bool,
    stage: &'static str,
    began: Instant,
    part: [usize; 2],
}

impl<'a> Progress<'a> {
    /// Tells `events`, asks `stop`.
    pub fn new(events: &'a mut dyn FnMut(Event), stop: &'a dyn Fn() -> bool) -> Self {
        Self { events, stop, stage: "start", began: Instant::now(), part: [0, 1] }
    }

    /// Begins a stage.
    pub fn stage(&mut self, name: &'static str) {
        (self.stage, self.began) = (name, Instant::now());
        (self.events)(Event::Stage { name: name.to_string() });
    }

    /// Of `parts` that are worked on alike, `part` (from 0) begins: even steps count through all of them.
    pub fn part(&mut self, part: usize, parts: usize) {
        self.part = [part, parts.max(1)];
    }

    /// Seconds since the stage began.
    pub fn seconds(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    /// One step of the stage is done; says whether to stop.
    pub fn step(&mut self, step: usize, of: usize, loss: Option<f32>, seconds_left: f64) -> bool {
        let (stage, seconds_left) = (self.stage.to_string(), Some(seconds_left as f32));
        (self.events)(Event::Step { stage, step, of, loss, seconds_left });
        (self.stop)()
    }

    /// As [`Progress::step`] where the steps of the stage all began with it.
    pub fn even_step(&mut self, step: usize, of: usize) -> bool {
        let [part, parts] = self.part;
        let (done, all) = (part * of + step, parts * of);
        let left = self.seconds() / step.max(1) as f64 * all.saturating_sub(done) as f64;
        self.step(done, all, None, left)
    }

    /// Whether somebody asked to stop.
    pub fn is_stopped(&self) -> bool {
        (self.stop)()
    }

    /// Tells what the job will hold.
    pub fn plan(&mut self, table: String, peak: Option<u64>) {
        (self.events)(Event::Plan { table, peak_bytes: peak });
    }

    /// Tells of a picture to look at, relative to the store's root.
    pub fn preview(&mut self, path: std::path::PathBuf) {
        (self.events)(Event::Preview { path });
    }
}
