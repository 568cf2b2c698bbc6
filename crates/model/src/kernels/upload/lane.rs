//! The order of copies to a device, apart from the calls that make it: what is checked without a device.
//!
//! Memory on the device belongs to the compute stream: it is taken and given back in that stream's order, so that what
//! was there before may still be in use when it is taken. Hence three rules, one for each thing that two parties share:
//! the copy stream waits for the compute stream before it writes, the compute stream for the copies before it reads or
//! gives the memory back, and the host for a pinned buffer's copies before it fills the buffer again.

use candle_core::Result;

/// The parts of a buffer begin at multiples of this.
const ALIGNMENT: usize = 256;

/// The calls on a device's two streams that uploads consist of; each stream does what it is given in order.
pub(crate) trait Streams: Clone {
    /// Pinned memory of the host.
    type Buffer;
    /// A moment in a stream's order.
    type Event: Clone;

    fn buffer(&self, bytes: usize) -> Result<Self::Buffer>;

    /// Writes `bytes` to `buffer` from `at` on, at once.
    fn fill(&self, buffer: &mut Self::Buffer, at: usize, bytes: &[u8]) -> Result<()>;

    /// Gives the copy stream the copy of `count` bytes of `buffer`, from `at` on, to `address` on the device.
    fn copy(&self, buffer: &Self::Buffer, at: usize, count: usize, address: u64) -> Result<()>;

    /// What the copy stream is given from now on comes after all that the compute stream has been given.
    fn copies_wait(&self) -> Result<()>;

    /// The moment when all that the copy stream has been given is done.
    fn copied(&self) -> Result<Self::Event>;

    /// What the compute stream is given from now on comes after `event`.
    fn compute_waits(&self, event: &Self::Event) -> Result<()>;

    /// Returns after `event`.
    fn wait(&self, event: &Self::Event) -> Result<()>;

    /// Returns when all that the copy stream has been given is done.
    fn drain(&self) -> Result<()>;
}

/// Bytes of the host and where on the device they go.
pub(crate) struct Part<'a> {
    pub bytes: &'a [u8],
    pub address: u64,
}

/// The way to a device: two pinned buffers used in turn, so that one fills while the other's copies travel.
pub(crate) struct Lane<S: Streams> {
    staging: [Staging<S>; 2],
    next: usize,
    /// Bytes of the largest upload so far, which the buffers are made for.
    largest: usize,
    /// Most bytes of a copy; the first copies travel while the next are filled in.
    chunk: usize,
}

struct Staging<S: Streams> {
    /// With its size.
    buffer: Option<(S::Buffer, usize)>,
    /// After the copies that read the buffer last.
    read: Option<S::Event>,
}

impl<S: Streams> Lane<S> {
    pub fn new(chunk: usize) -> Self {
        let staging = [(); 2].map(|()| Staging { buffer: None, read: None });
        Self { staging, next: 0, largest: 0, chunk }
    }

    /// Starts to copy `parts`. The addresses are of memory that the compute stream has been given, and that is given
    /// back to it after the arrival is dropped.
    ///
    /// # Errors
    /// Those of the calls; then no copy is under way, and the memory can be given back at once.
    pub fn send(&mut self, streams: &S, parts: &[Part<'_>]) -> Result<Arrival<S>> {
        self.largest = self.largest.max(parts.iter().map(size_in_buffer).sum());
        let staging = &mut self.staging[self.next];
        let buffer = staging.free(streams, self.largest)?;
        streams.copies_wait()?;
        let sent = send_parts(streams, buffer, parts, self.chunk).and_then(|()| streams.copied());
        match sent {
            Ok(event) => {
                staging.read = Some(event.clone());
                self.next = 1 - self.next;
                Ok(Arrival { streams: streams.clone(), event, awaited: false })
            }
            Err(error) => {
                // No event says when the copies that were given are done.
                if streams.drain().is_err() {
                    std::mem::forget(staging.buffer.take());
                }
                Err(error)
            }
        }
    }
}

fn size_in_buffer(part: &Part<'_>) -> usize {
    part.bytes.len().next_multiple_of(ALIGNMENT)
}

fn send_parts<S: Streams>(
    streams: &S,
    buffer: &mut S::Buffer,
    parts: &[Part<'_>],
    chunk: usize,
) -> Result<()> {
    let mut start = 0;
    for part in parts {
        for (i, bytes) in part.bytes.chunks(chunk).enumerate() {
            let at = start + i * chunk;
            streams.fill(buffer, at, bytes)?;
            streams.copy(buffer, at, bytes.len(), part.address + (i * chunk) as u64)?;
        }
        start += size_in_buffer(part);
    }
    Ok(())
}

impl<S: Streams> Staging<S> {
    /// The buffer, of `size` bytes at least, when nothing reads it any more.
    fn free(&mut self, streams: &S, size: usize) -> Result<&mut S::Buffer> {
        if let Some(event) = &self.read {
            streams.wait(event)?;
            self.read = None;
        }
        let fitting = self.buffer.take().filter(|(_, held)| *held >= size);
        let buffer = match fitting {
            Some(buffer) => buffer,
            None => (streams.buffer(size)?, size),
        };
        Ok(&mut self.buffer.insert(buffer).0)
    }
}

/// Copies under way. When it is dropped, the compute stream has been told to wait for them: memory that is given back
/// to it after that is not written any more.
pub(crate) struct Arrival<S: Streams> {
    streams: S,
    event: S::Event,
    awaited: bool,
}

impl<S: Streams> Arrival<S> {
    /// What the compute stream is given from now on finds the copies done.
    pub fn join(&mut self) -> Result<()> {
        self.streams.compute_waits(&self.event)?;
        self.awaited = true;
        Ok(())
    }
}

impl<S: Streams> Drop for Arrival<S> {
    fn drop(&mut self) {
        if self.awaited || self.join().is_ok() {
            return;
        }
        if let Err(error) = self.streams.drain() {
            log::warn!("copies to the device were lost: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::{Call, Eager, Fake};
    use super::*;

    const CHUNK: usize = 100;

    /// Where the uploads go, by turns, as memory that is taken again when it was given back.
    const PLACES: [u64; 2] = [0, 5000];

    fn send(lane: &mut Lane<Fake>, fake: &Fake, values: &[u8], address: u64) -> Result<Arrival<Fake>> {
        // Two tensors, the second behind the first.
        let (first, second) = values.split_at(values.len() / 3);
        let behind = address + first.len() as u64;
        lane.send(fake, &[Part { bytes: first, address }, Part { bytes: second, address: behind }])
    }

    fn values(upload: usize) -> Vec<u8> {
        (0..[700, 650, 1900, 300, 1901, 1000][upload % 6]).map(|i| (i + upload * 37) as u8).collect()
    }

    #[test]
    fn uploads_arrive_whole_whichever_stream_is_ahead() {
        for eager in [Eager::Compute, Eager::Copies] {
            let (fake, mut lane) = (Fake::new(eager), Lane::new(CHUNK));
            let mut ahead = send(&mut lane, &fake, &values(0), PLACES[0]).unwrap();
            for upload in 0..20 {
                let next = send(&mut lane, &fake, &values(upload + 1), PLACES[(upload + 1) % 2]).unwrap();
                ahead.join().unwrap();
                fake.compute_reads(PLACES[upload % 2], values(upload).len());
                ahead = next;
            }
            for (upload, read) in fake.settle().iter().enumerate() {
                assert!(*read == values(upload), "upload {upload}, {eager:?} ahead");
            }
        }
    }

    #[test]
    fn memory_of_an_upload_that_is_given_up_is_not_written_later() {
        for eager in [Eager::Compute, Eager::Copies] {
            let (fake, mut lane) = (Fake::new(eager), Lane::new(CHUNK));
            drop(send(&mut lane, &fake, &values(0), PLACES[0]).unwrap());
            fake.compute_writes(PLACES[0], &[7; 700]);
            fake.settle(); // late copies too
            fake.compute_reads(PLACES[0], 700);
            assert!(fake.settle() == [[7; 700]], "{eager:?} ahead");
        }
    }

    #[test]
    fn an_upload_that_fails_leaves_nothing_under_way() {
        for eager in [Eager::Compute, Eager::Copies] {
            let (fake, mut lane) = (Fake::new(eager), Lane::new(CHUNK));
            fake.fail_copy(3);
            assert!(send(&mut lane, &fake, &values(0), PLACES[0]).is_err());
            fake.compute_writes(PLACES[0], &[7; 700]);
            fake.settle(); // late copies too
            fake.compute_reads(PLACES[0], 700);
            let mut next = send(&mut lane, &fake, &values(1), PLACES[1]).unwrap();
            next.join().unwrap();
            fake.compute_reads(PLACES[1], values(1).len());
            assert!(fake.settle() == [vec![7; 700], values(1)], "{eager:?} ahead");
        }
    }

    #[test]
    fn two_buffers_of_the_largest_uploads_size_are_kept_and_used_in_turn() {
        let (fake, mut lane) = (Fake::new(Eager::Copies), Lane::new(CHUNK));
        for upload in 0..7 {
            drop(send(&mut lane, &fake, &values(upload), PLACES[0]).unwrap());
        }
        let calls = fake.calls();
        let made: Vec<usize> =
            calls.iter().filter_map(|c| if let Call::Buffer(n) = c { Some(*n) } else { None }).collect();
        // 700 and 650 in two parts each, rounded up; then both grow to 1900's size, which 1901 has as well.
        assert_eq!(made, [256 + 512, 256 + 512, 768 + 1280, 768 + 1280]);
        let mut filled: Vec<usize> = calls
            .iter()
            .filter_map(|c| if let Call::Fill(buffer) = c { Some(*buffer) } else { None })
            .collect();
        filled.dedup();
        assert_eq!(filled, [0, 1, 2, 3, 2, 3, 2]);
        // The host waits for the upload before the last, not for the last.
        let waits = calls.iter().filter(|call| matches!(call, Call::Wait));
        assert_eq!(waits.count(), 5);
    }

    #[test]
    fn the_first_bytes_travel_before_the_last_are_filled_in() {
        let (fake, mut lane) = (Fake::new(Eager::Copies), Lane::new(CHUNK));
        drop(send(&mut lane, &fake, &[1; 450], PLACES[0]).unwrap());
        let order = fake.calls().into_iter().filter(|call| !matches!(call, Call::Buffer(_)));
        let one = [Call::Fill(0), Call::Copy];
        let expected = [Call::CopiesWait].into_iter().chain([one; 5].into_iter().flatten());
        assert!(order.eq(expected.chain([Call::Copied, Call::ComputeWaits])));
    }
}
