//! A complete plug-in: multiplies the colours of its source where its mask is, with a button.
#![allow(missing_docs)]

use std::ffi::CStr;

use ofx::{
    Change, Components, Context, ContextDescriptor, Depth, Effect, EffectDescriptor, Error, Host, Identity,
    Image, Instance, MessageKind, Plugin, RenderArgs, Reply, Result, StringMode,
};

struct Gain;

ofx::export_plugin!(Gain);

impl Plugin for Gain {
    const IDENTIFIER: &'static CStr = c"org.lora-edit.example.Gain";
    const VERSION: (u32, u32) = (1, 0);
    type Instance = Node;

    fn describe(_host: &Host, effect: &EffectDescriptor<'_>) -> Result<()> {
        effect.label("Gain").grouping("Example").description("Multiplies colours.");
        effect.contexts(&[Context::Filter, Context::General]);
        effect.depths(&[Depth::Float, Depth::Half, Depth::Short, Depth::Byte]);
        effect.temporal_access(true).multi_resolution(true);
        Ok(())
    }

    fn describe_in_context(_host: &Host, _context: Context, effect: &ContextDescriptor<'_>) -> Result<()> {
        let colours = [Components::Rgba, Components::Rgb, Components::Alpha];
        effect.define_clip("Source")?.components(&colours).temporal_access(true);
        effect
            .define_clip("Mask")?
            .components(&[Components::Alpha, Components::Rgba])
            .optional(true)
            .mask(true);
        effect.define_clip("Output")?.components(&colours);

        effect
            .define_double("gain", 1.0, 0.0..=10.0)?
            .label("Gain")
            .hint("Factor")
            .animates(true)
            .display_double(0.0..=2.0);
        effect.define_boolean("fail", false)?.label("Fail").hint("Makes every render fail");
        effect.define_boolean("panic", false)?.label("Panic").hint("Makes every render panic");
        effect
            .define_button("brightest")?
            .label("Brightest")
            .hint("Sets the gain so that the source just reaches 1");
        effect.define_string("report", "", StringMode::Label)?.label("Report").evaluate_on_change(false);
        effect.define_page("Controls", &["gain", "fail", "panic", "brightest", "report"])?;
        Ok(())
    }

    fn create_instance(_effect: &Effect<'_>) -> Result<Node> {
        Ok(Node)
    }
}

/// It has no state of its own: everything is in the parameters.
struct Node;

impl Instance for Node {
    fn render(&self, effect: &Effect<'_>, args: &RenderArgs) -> Result<()> {
        if effect.value("fail")? {
            return Err(Error::failed("asked to fail"));
        }
        assert!(!effect.value::<bool>("panic")?, "asked to panic");
        let gain: f64 = effect.value_at("gain", args.time)?;
        let source = effect.source()?.image(args.time)?.ok_or("no source to multiply")?;
        let mask = mask(effect, args.time)?;
        let mut output = effect.output(args.time)?;
        let width = args.window.width();
        let (mut row, mut factor) = (vec![0.0; 4 * width], vec![0.0; 4 * width]);
        for y in args.window.y1..args.window.y2 {
            effect.check_abort()?;
            source.read_row(y, args.window.x1, &mut row);
            if let Some(mask) = &mask {
                mask.read_row(y, args.window.x1, &mut factor);
            }
            for (pixel, mask_pixel) in row.chunks_exact_mut(4).zip(factor.chunks_exact(4)) {
                multiply(pixel, gain as f32, if mask.is_some() { mask_pixel[3] } else { 1.0 });
            }
            output.write_row(y, args.window.x1, &row);
        }
        Ok(())
    }

    fn is_identity(&self, effect: &Effect<'_>, args: &RenderArgs) -> Result<Option<Identity>> {
        let harmless = !effect.value::<bool>("fail")? && !effect.value::<bool>("panic")?;
        let one = effect.value_at::<f64>("gain", args.time)? == 1.0;
        Ok((harmless && one).then(|| Identity { clip: "Source".into(), time: args.time }))
    }

    fn instance_changed(&self, effect: &Effect<'_>, change: &Change) -> Result<Reply> {
        if !change.is_press("brightest") {
            return Ok(Reply::Default);
        }
        match brightest(effect)? {
            Some(value) if value > 0.0 => {
                effect.set("gain", 1.0 / f64::from(value))?;
                effect.set("report", format!("brightest value {value}"))?;
            }
            Some(_) => effect.message(MessageKind::Warning, "the source is black"),
            None => effect.message(MessageKind::Message, "cancelled"),
        }
        Ok(Reply::Done)
    }
}

/// The mask's image; an unconnected mask is no mask, whatever the host says of its connection.
fn mask<'a>(effect: &Effect<'a>, time: f64) -> Result<Option<Image<'a>>> {
    let clip = effect.clip("Mask")?;
    if clip.connected() { clip.image(time) } else { Ok(None) }
}

fn multiply(pixel: &mut [f32], gain: f32, mask: f32) {
    for value in &mut pixel[..3] {
        *value *= 1.0 + (gain - 1.0) * mask;
    }
}

/// The brightest value of all frames of the source, or none if the user cancelled.
fn brightest(effect: &Effect<'_>) -> Result<Option<f32>> {
    let source = effect.source()?;
    let (first, last) = source.frame_range().ok_or("the source has no frame range")?;
    let (first, last) = (first as i64, last as i64);
    let progress = effect.progress("Looking for the brightest value", "brightest");
    let mut brightest = 0.0;
    for frame in first..=last {
        if progress.update((frame - first) as f64 / (last - first + 1) as f64) {
            return Ok(None);
        }
        let image =
            source.image(frame as f64)?.ok_or_else(|| format!("frame {frame} of Source is missing"))?;
        brightest = f32::max(brightest, brightest_of(&image));
    }
    Ok(Some(brightest))
}

fn brightest_of(image: &Image<'_>) -> f32 {
    let bounds = image.bounds();
    let mut row = vec![0.0; 4 * bounds.width()];
    let mut brightest = 0.0;
    for y in bounds.y1..bounds.y2 {
        image.read_row(y, bounds.x1, &mut row);
        let colours = row.chunks_exact(4).flat_map(|pixel| &pixel[..3]);
        brightest = colours.fold(brightest, |a, b| f32::max(a, *b));
    }
    brightest
}
