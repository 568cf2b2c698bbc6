//! What one host hears and holds against a plug-in: messages, progress, violations, notes.

use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

/// The kinds of the message suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MessageKind {
    /// The plug-in cannot go on.
    Fatal,
    /// Something failed.
    Error,
    /// Something is odd.
    Warning,
    /// To be read.
    Message,
    /// For the log only.
    Log,
    /// Wants yes or no.
    Question,
    /// Said by the host itself, such as a missing input frame.
    Host,
}

/// One message, of the plug-in or of the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// Its kind.
    pub kind: MessageKind,
    /// Shown until cleared (`setPersistentMessage`).
    pub persistent: bool,
    /// The text as formatted.
    pub text: String,
}

/// Rules of the standard that a plug-in can break.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Rule {
    /// An image fetched in an action was not released in it.
    ImageLeaked,
    /// `clipGetImage` where the standard forbids it.
    ImageOutOfTurn,
    /// A frame fetched in render that GetFramesNeeded did not announce.
    FrameNotAnnounced,
    /// Frames other than the current one without temporal clip access.
    TemporalAccess,
    /// A parameter set where the standard forbids it.
    ParamSetOutOfTurn,
    /// A suite called outside of any action, such as on a thread of the plug-in's own.
    OutsideAction,
    /// Something defined after describe.
    DefineOutOfTurn,
    /// A handle that is none, or no longer.
    BadHandle,
    /// A null pointer where a value or a place for one belongs.
    NullPointer,
    /// A property or parameter used with the wrong type or count.
    WrongType,
    /// A property written that may not be written, or not now.
    PropertyNotWritable,
    /// A value out of its range.
    BadValue,
    /// Memory written that is not the plug-in's: outside of an image, or an input image.
    MemoryOverwritten,
    /// Pixels of the output not written by a render that said OK.
    OutputNotWritten,
    /// Progress started twice, updated or ended without a start, or never ended.
    ProgressUnbalanced,
    /// An action's answer makes no sense.
    BadAnswer,
    /// Edits begun and not ended, memory or mutexes kept.
    NotBalanced,
    /// InstanceChanged sets off itself without end.
    EndlessChange,
}

/// One breach, with the action in which it happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Violation {
    /// The rule that was broken.
    pub rule: Rule,
    /// The action, or "no action".
    pub action: String,
    /// What happened.
    pub text: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} in {}: {}", self.rule, self.action, self.text)
    }
}

/// Something the host tells its listener at once.
#[derive(Debug)]
pub enum Notice<'a> {
    /// A message came.
    Message(&'a Message),
    /// A progress bar moved; the value is 0 to 1.
    Progress(&'a str, f64),
    /// A rule was broken.
    Violation(&'a Violation),
    /// Worth knowing, no breach.
    Note(&'a str),
}

/// Takes notices as they come, from any thread.
pub type Listener = Arc<dyn Fn(Notice<'_>) + Send + Sync>;

#[derive(Default)]
struct Progress {
    label: Option<String>,
    cancel_at: Option<f64>,
}

/// The record of one host.
pub struct Session {
    listener: Listener,
    messages: Mutex<Vec<Message>>,
    violations: Mutex<Vec<Violation>>,
    notes: Mutex<Vec<String>>,
    progress: Mutex<Progress>,
    time: Mutex<f64>,
    answer_yes: bool,
}

impl Session {
    pub(crate) fn new(listener: Listener, answer_yes: bool) -> Arc<Self> {
        Arc::new(Self {
            listener,
            messages: Mutex::default(),
            violations: Mutex::default(),
            notes: Mutex::default(),
            progress: Mutex::default(),
            time: Mutex::new(0.0),
            answer_yes,
        })
    }

    /// All messages so far.
    #[must_use]
    pub fn messages(&self) -> Vec<Message> {
        self.messages.lock().clone()
    }

    /// All breaches so far.
    #[must_use]
    pub fn violations(&self) -> Vec<Violation> {
        self.violations.lock().clone()
    }

    /// All remarks so far.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        self.notes.lock().clone()
    }

    /// Answers ReplyNo to the first progress update at or beyond this value (0 to 1); None never does.
    pub fn cancel_progress_at(&self, value: Option<f64>) {
        self.progress.lock().cancel_at = value;
    }

    /// The time line's current time, in frames.
    #[must_use]
    pub fn time(&self) -> f64 {
        *self.time.lock()
    }

    /// Moves the time line.
    pub fn set_time(&self, time: f64) {
        *self.time.lock() = time;
    }

    /// How a question is answered.
    pub(crate) fn answers_yes(&self) -> bool {
        self.answer_yes
    }

    pub(crate) fn hear(&self, message: Message) {
        (self.listener)(Notice::Message(&message));
        self.messages.lock().push(message);
    }

    /// A message of the host's own.
    pub(crate) fn say(&self, text: String) {
        self.hear(Message { kind: MessageKind::Host, persistent: false, text });
    }

    /// Records a remark, each text once.
    pub(crate) fn note(&self, text: String) {
        let mut notes = self.notes.lock();
        if !notes.contains(&text) {
            (self.listener)(Notice::Note(&text));
            notes.push(text);
        }
    }

    /// Records a breach; the same breach in the same action counts once.
    pub(crate) fn blame(&self, violation: Violation) {
        let mut violations = self.violations.lock();
        if !violations.contains(&violation) {
            (self.listener)(Notice::Violation(&violation));
            violations.push(violation);
        }
    }

    /// Begins a progress bar; false where one is running.
    pub(crate) fn start_progress(&self, label: &str) -> bool {
        let mut progress = self.progress.lock();
        let free = progress.label.is_none();
        progress.label = Some(label.to_owned());
        drop(progress);
        (self.listener)(Notice::Progress(label, 0.0));
        free
    }

    /// Moves the progress bar: None where none runs, false where the user cancels.
    pub(crate) fn update_progress(&self, value: f64) -> Option<bool> {
        let progress = self.progress.lock();
        let label = progress.label.clone()?;
        let goes_on = progress.cancel_at.is_none_or(|limit| value < limit);
        drop(progress);
        (self.listener)(Notice::Progress(&label, value));
        Some(goes_on)
    }

    /// Ends the progress bar; false where none runs.
    pub(crate) fn end_progress(&self) -> bool {
        self.progress.lock().label.take().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session() -> Arc<Session> {
        Session::new(Arc::new(|_| ()), true)
    }

    #[test]
    fn progress_is_cancelled_from_its_limit_on() {
        let session = session();
        assert_eq!(session.update_progress(0.1), None);
        session.cancel_progress_at(Some(0.5));
        assert!(session.start_progress("pulling frames"));
        assert_eq!(session.update_progress(0.4), Some(true));
        assert_eq!(session.update_progress(0.5), Some(false));
        assert!(session.end_progress());
        assert!(!session.end_progress());
    }

    #[test]
    fn the_same_breach_counts_once() {
        let session = session();
        let breach = || Violation { rule: Rule::BadHandle, action: "Render".into(), text: "x".into() };
        session.blame(breach());
        session.blame(breach());
        assert_eq!(session.violations().len(), 1);
    }
}
