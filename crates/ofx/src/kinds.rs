//! The words of the standard as enums: contexts, depths, components, fields, alpha, thread safety.

use openfx_sys as sys;

/// An enum whose variants stand for strings of the standard.
macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($(#[$what:meta])* $variant:ident = $word:ident,)* }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$what])* $variant,)* }

        impl $name {
            /// The standard's word.
            #[must_use]
            pub fn word(self) -> &'static ::std::ffi::CStr {
                match self { $(Self::$variant => sys::$word,)* }
            }

            /// The variant for a word, if it is one of these.
            #[must_use]
            pub fn from_word(word: &str) -> Option<Self> {
                [$(Self::$variant),*].into_iter().find(|v| v.word().to_bytes() == word.as_bytes())
            }
        }
    };
}
pub(crate) use words;

words! {
    /// How a host uses an effect.
    Context {
        /// Makes images from nothing.
        Generator = kOfxImageEffectContextGenerator,
        /// One input, one output.
        Filter = kOfxImageEffectContextFilter,
        /// From one clip to another.
        Transition = kOfxImageEffectContextTransition,
        /// Paints under a brush.
        Paint = kOfxImageEffectContextPaint,
        /// A node with any number of inputs.
        General = kOfxImageEffectContextGeneral,
        /// Changes the timing.
        Retimer = kOfxImageEffectContextRetimer,
    }
}

words! {
    /// The sample type of an image.
    Depth {
        /// 8 bits, 0 to 255.
        Byte = kOfxBitDepthByte,
        /// 16 bits, 0 to 65535.
        Short = kOfxBitDepthShort,
        /// 16-bit floating point.
        Half = kOfxBitDepthHalf,
        /// 32-bit floating point.
        Float = kOfxBitDepthFloat,
    }
}

impl Depth {
    /// Bytes per sample.
    #[must_use]
    pub fn bytes(self) -> usize {
        match self {
            Self::Byte => 1,
            Self::Short | Self::Half => 2,
            Self::Float => 4,
        }
    }
}

words! {
    /// The channels of an image.
    Components {
        /// Red, green, blue, alpha.
        Rgba = kOfxImageComponentRGBA,
        /// Red, green, blue.
        Rgb = kOfxImageComponentRGB,
        /// Alpha alone.
        Alpha = kOfxImageComponentAlpha,
    }
}

impl Components {
    /// Channels per pixel.
    #[must_use]
    pub fn count(self) -> usize {
        match self {
            Self::Rgba => 4,
            Self::Rgb => 3,
            Self::Alpha => 1,
        }
    }
}

words! {
    /// What alpha means for the colours of an image.
    Premultiplication {
        /// There is no transparency.
        Opaque = kOfxImageOpaque,
        /// Colours are multiplied by alpha.
        Premultiplied = kOfxImagePreMultiplied,
        /// Colours are as they are.
        Unpremultiplied = kOfxImageUnPreMultiplied,
    }
}

words! {
    /// Interlacing: which lines are meant, or which come first.
    Field {
        /// Whole frames.
        None = kOfxImageFieldNone,
        /// The lower field.
        Lower = kOfxImageFieldLower,
        /// The upper field.
        Upper = kOfxImageFieldUpper,
        /// Both fields in one image.
        Both = kOfxImageFieldBoth,
        /// One field as an image of half the height.
        Single = kOfxImageFieldSingle,
        /// One field, its lines doubled.
        Doubled = kOfxImageFieldDoubled,
    }
}

words! {
    /// What may render at the same time.
    RenderSafety {
        /// One render of this plug-in at a time.
        Unsafe = kOfxImageEffectRenderUnsafe,
        /// One render of each instance at a time.
        InstanceSafe = kOfxImageEffectRenderInstanceSafe,
        /// Any number of renders.
        FullySafe = kOfxImageEffectRenderFullySafe,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_go_both_ways() {
        assert_eq!(Depth::from_word("OfxBitDepthHalf"), Some(Depth::Half));
        assert_eq!(Components::Alpha.word(), c"OfxImageComponentAlpha");
        assert_eq!(Context::from_word("OfxImageEffectContextPuppet"), None);
    }
}
