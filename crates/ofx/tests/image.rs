//! Images as hosts lay them out: negative rows, offset bounds, strange descriptions.
#![allow(missing_docs, clippy::unwrap_used)]

mod fake;

use std::ffi::CStr;
use std::sync::Mutex;

use fake::{Fake, Set, call, doubles, host, image, ints, plain, text};
use ofx::entry::Entry;
use ofx::{
    Context, ContextDescriptor, Effect, EffectDescriptor, Host, Instance, Plugin, RectI, RenderArgs, Result,
    Status, sys,
};

/// Renders whatever a test asks for.
struct Any;

struct Node;

type Job = Box<dyn FnOnce(&Effect<'_>) -> Result<()> + Send>;

static ENTRY: Entry<Any> = Entry::new();
static JOB: Mutex<Option<Job>> = Mutex::new(None);

impl Plugin for Any {
    const IDENTIFIER: &'static CStr = c"org.lora-edit.test.Any";
    const VERSION: (u32, u32) = (1, 0);
    type Instance = Node;

    fn describe(_host: &Host, _effect: &EffectDescriptor<'_>) -> Result<()> {
        Ok(())
    }

    fn describe_in_context(_host: &Host, _context: Context, _effect: &ContextDescriptor<'_>) -> Result<()> {
        Ok(())
    }

    fn create_instance(_effect: &Effect<'_>) -> Result<Node> {
        Ok(Node)
    }
}

impl Instance for Node {
    fn render(&self, effect: &Effect<'_>, _args: &RenderArgs) -> Result<()> {
        let job = JOB.lock().unwrap().take();
        job.map_or(Ok(()), |job| job(effect))
    }
}

/// Runs a job as a render over these images; one at a time, since they share an entry.
fn with_images(
    source: Set,
    output: Set,
    job: impl FnOnce(&Effect<'_>) -> Result<()> + Send + 'static,
) -> Status {
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(|e| e.into_inner());
    let fake = Fake { source_image: Some(source), output_image: Some(output), ..Fake::default() };
    ENTRY.set_host(host(Set::default()).1);
    assert_eq!(plain(&ENTRY, sys::kOfxActionLoad, std::ptr::null()), Status::OK);
    assert_eq!(plain(&ENTRY, sys::kOfxActionCreateInstance, fake.handle()), Status::OK);
    *JOB.lock().unwrap() = Some(Box::new(job));
    let inputs = Set::default()
        .with(sys::kOfxPropTime, doubles([1.0]))
        .with(sys::kOfxImageEffectPropRenderWindow, ints([0, 0, 0, 0]));
    let status = call(&ENTRY, sys::kOfxImageEffectActionRender, fake.handle(), &inputs, &Set::default());
    assert_eq!(plain(&ENTRY, sys::kOfxActionDestroyInstance, fake.handle()), Status::OK);
    assert_eq!(fake.count(|f| &f.fetched), fake.count(|f| &f.released));
    status
}

/// Three rows of two pixels, the value of a pixel's red is its place in memory.
fn memory() -> &'static mut [f32; 24] {
    Box::leak(Box::new(std::array::from_fn(|i| i as f32)))
}

fn read(source: Set, check: impl FnOnce(ofx::Image<'_>) + Send + 'static) -> Status {
    let output = image([0, 0, 2, 3], 32, memory().as_mut_ptr());
    with_images(source, output, move |effect| {
        check(effect.source()?.image(1.0)?.ok_or("no image")?);
        Ok(())
    })
}

#[test]
fn rows_go_up_with_positive_and_down_with_negative_row_bytes() {
    let up = image([0, 0, 2, 3], 32, memory().as_mut_ptr());
    let status = read(up, |image| {
        assert_eq!([image.pixel(0, 0)[0], image.pixel(1, 0)[0], image.pixel(0, 2)[0]], [0.0, 4.0, 16.0]);
    });
    assert_eq!(status, Status::OK);
    let down = image([0, 0, 2, 3], -32, memory()[16..].as_mut_ptr());
    let status = read(down, |image| {
        assert_eq!([image.pixel(0, 0)[0], image.pixel(1, 0)[0], image.pixel(0, 2)[0]], [16.0, 20.0, 0.0]);
    });
    assert_eq!(status, Status::OK);
}

#[test]
fn outside_the_bounds_there_is_nothing() {
    let offset = image([-10, 20, -8, 23], 32, memory().as_mut_ptr());
    let status = read(offset, |image| {
        let mut row = [9.0; 16];
        image.read_row(21, -11, &mut row);
        assert_eq!(row, [0., 0., 0., 0., 8., 9., 10., 11., 12., 13., 14., 15., 0., 0., 0., 0.]);
        image.read_row(23, -10, &mut row);
        assert_eq!(row, [0.0; 16]);
        image.read_row(i32::MIN, i32::MAX, &mut row);
        assert_eq!(row, [0.0; 16]);
        assert_eq!(image.pixel(-9, 22)[0], 20.0);
    });
    assert_eq!(status, Status::OK);
}

#[test]
fn writes_stay_inside_the_bounds() {
    let output: &'static mut [f32; 24] = memory();
    let address = output.as_mut_ptr() as usize;
    let set = image([0, 0, 2, 3], -32, output[16..].as_mut_ptr());
    let status = with_images(image([5, 5, 6, 6], 16, memory().as_mut_ptr()), set, |effect| {
        let mut image = effect.output(1.0)?;
        image.write_row(0, -1, &[-1.0; 16]);
        image.write_row(3, 0, &[-2.0; 8]);
        image.fill(RectI::new(1, 1, 900, 2), [-3.0; 4]);
        Ok(())
    });
    assert_eq!(status, Status::OK);
    // SAFETY: the memory was leaked, and the render is over.
    let pixels = unsafe { std::slice::from_raw_parts(address as *const f32, 24) };
    assert_eq!(pixels[16..], [-1.0; 8]);
    assert_eq!((pixels[8], pixels[12], pixels[0]), (8.0, -3.0, 0.0));
}

#[test]
fn an_image_without_pixels_is_none() {
    let status = read(image([0, 0, 2, 3], 32, std::ptr::null_mut()), |_| unreachable!());
    assert_eq!(status, Status::FAILED);
}

#[test]
fn images_that_make_no_sense_are_refused() {
    let squeezed = image([0, 0, 2, 3], 16, memory().as_mut_ptr());
    assert_eq!(read(squeezed, |_| unreachable!()), Status::FAILED);
    let yuv = image([0, 0, 2, 3], 32, memory().as_mut_ptr());
    yuv.put(sys::kOfxImageEffectPropComponents, text(c"OfxImageComponentYUVA"));
    assert_eq!(read(yuv, |_| unreachable!()), Status::FAILED);
}
