//! Streams without a device: one works as soon as it may, the other only when something waits for it, so that an order
//! that nothing enforces shows as wrong values.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use candle_core::{Result, bail};

use super::lane::Streams;

const COMPUTE: usize = 0;
const COPIES: usize = 1;

/// Which stream is ahead.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Eager {
    Compute = COMPUTE as isize,
    Copies = COPIES as isize,
}

/// A call of [`Streams`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Call {
    /// Its size.
    Buffer(usize),
    /// Into which buffer, counted as they were made.
    Fill(usize),
    Copy,
    CopiesWait,
    Copied,
    ComputeWaits,
    Wait,
    Drain,
}

/// What a stream is given.
enum Work {
    Write { address: usize, bytes: Vec<u8> },
    Read { address: usize, count: usize },
    Copy { buffer: usize, at: usize, count: usize, address: usize },
    Record(usize),
    Wait(usize),
}

struct State {
    eager: Eager,
    queues: [VecDeque<Work>; 2],
    /// Of each event.
    passed: Vec<bool>,
    device: Vec<u8>,
    buffers: Vec<Vec<u8>>,
    read: Vec<Vec<u8>>,
    calls: Vec<Call>,
    /// Copies until one fails.
    until_failure: Option<usize>,
}

#[derive(Clone)]
pub struct Fake(Rc<RefCell<State>>);

/// Pinned memory; overwritten when it is given back.
pub struct Buffer {
    number: usize,
    of: Fake,
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.of.0.borrow_mut().buffers[self.number].fill(0xdd);
    }
}

impl Fake {
    pub fn new(eager: Eager) -> Self {
        Self(Rc::new(RefCell::new(State {
            eager,
            queues: [VecDeque::new(), VecDeque::new()],
            passed: Vec::new(),
            device: vec![0; 10_000],
            buffers: Vec::new(),
            read: Vec::new(),
            calls: Vec::new(),
            until_failure: None,
        })))
    }

    /// Gives the compute stream a kernel that writes.
    pub fn compute_writes(&self, address: u64, bytes: &[u8]) {
        self.give(COMPUTE, Work::Write { address: address as usize, bytes: bytes.to_vec() });
    }

    /// Gives the compute stream a kernel that reads.
    pub fn compute_reads(&self, address: u64, count: usize) {
        self.give(COMPUTE, Work::Read { address: address as usize, count });
    }

    /// Lets the copy fail that comes after `count` others.
    pub fn fail_copy(&self, count: usize) {
        self.0.borrow_mut().until_failure = Some(count);
    }

    pub fn calls(&self) -> Vec<Call> {
        self.0.borrow().calls.clone()
    }

    /// Does all work that was given; what the compute stream's kernels read.
    pub fn settle(&self) -> Vec<Vec<u8>> {
        let mut state = self.0.borrow_mut();
        while state.step(COMPUTE) || state.step(COPIES) {}
        assert!(state.queues.iter().all(VecDeque::is_empty), "streams wait for each other");
        state.read.clone()
    }

    fn give(&self, stream: usize, work: Work) {
        let mut state = self.0.borrow_mut();
        state.queues[stream].push_back(work);
        let eager = state.eager as usize;
        while state.step(eager) {}
    }

    fn record(&self, stream: usize) -> usize {
        let mut state = self.0.borrow_mut();
        state.passed.push(false);
        let event = state.passed.len() - 1;
        drop(state);
        self.give(stream, Work::Record(event));
        event
    }

    fn log(&self, call: Call) {
        self.0.borrow_mut().calls.push(call);
    }
}

impl State {
    /// Does the next work of a stream, unless it has none or waits.
    fn step(&mut self, stream: usize) -> bool {
        if let Some(Work::Wait(event)) = self.queues[stream].front()
            && !self.passed[*event]
        {
            return false;
        }
        let Some(work) = self.queues[stream].pop_front() else { return false };
        match work {
            Work::Write { address, bytes } => self.device[address..][..bytes.len()].copy_from_slice(&bytes),
            Work::Read { address, count } => self.read.push(self.device[address..][..count].to_vec()),
            Work::Copy { buffer, at, count, address } => {
                self.device[address..][..count].copy_from_slice(&self.buffers[buffer][at..][..count]);
            }
            Work::Record(event) => self.passed[event] = true,
            Work::Wait(_) => (),
        }
        true
    }
}

impl Streams for Fake {
    type Buffer = Buffer;
    type Event = usize;

    fn buffer(&self, bytes: usize) -> Result<Buffer> {
        self.log(Call::Buffer(bytes));
        let mut state = self.0.borrow_mut();
        state.buffers.push(vec![0xee; bytes]);
        Ok(Buffer { number: state.buffers.len() - 1, of: self.clone() })
    }

    fn fill(&self, buffer: &mut Buffer, at: usize, bytes: &[u8]) -> Result<()> {
        self.log(Call::Fill(buffer.number));
        self.0.borrow_mut().buffers[buffer.number][at..][..bytes.len()].copy_from_slice(bytes);
        Ok(())
    }

    fn copy(&self, buffer: &Buffer, at: usize, count: usize, address: u64) -> Result<()> {
        let mut state = self.0.borrow_mut();
        match &mut state.until_failure {
            Some(0) => {
                state.until_failure = None;
                bail!("out of luck")
            }
            Some(left) => *left -= 1,
            None => (),
        }
        drop(state);
        self.log(Call::Copy);
        self.give(COPIES, Work::Copy { buffer: buffer.number, at, count, address: address as usize });
        Ok(())
    }

    fn copies_wait(&self) -> Result<()> {
        self.log(Call::CopiesWait);
        let event = self.record(COMPUTE);
        self.give(COPIES, Work::Wait(event));
        Ok(())
    }

    fn copied(&self) -> Result<usize> {
        self.log(Call::Copied);
        Ok(self.record(COPIES))
    }

    fn compute_waits(&self, event: &usize) -> Result<()> {
        self.log(Call::ComputeWaits);
        self.give(COMPUTE, Work::Wait(*event));
        Ok(())
    }

    fn wait(&self, event: &usize) -> Result<()> {
        self.log(Call::Wait);
        let mut state = self.0.borrow_mut();
        while !state.passed[*event] {
            assert!(state.step(COPIES) || state.step(COMPUTE), "the host waits for ever");
        }
        Ok(())
    }

    fn drain(&self) -> Result<()> {
        self.log(Call::Drain);
        let event = self.record(COPIES);
        let mut state = self.0.borrow_mut();
        while !state.passed[event] {
            assert!(state.step(COPIES) || state.step(COMPUTE), "the host waits for ever");
        }
        Ok(())
    }
}
