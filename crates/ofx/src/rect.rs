//! Rectangles as OpenFX has them: half open, y upwards.

use openfx_sys as sys;

/// A rectangle in pixels: `x1 <= x < x2`, `y1 <= y < y2`, y upwards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RectI {
    /// Left edge, inside.
    pub x1: i32,
    /// Bottom edge, inside.
    pub y1: i32,
    /// Right edge, outside.
    pub x2: i32,
    /// Top edge, outside.
    pub y2: i32,
}

impl RectI {
    /// The rectangle with these edges.
    #[must_use]
    pub const fn new(x1: i32, y1: i32, x2: i32, y2: i32) -> Self {
        Self { x1, y1, x2, y2 }
    }

    /// Width in pixels; 0 for a rectangle turned inside out.
    #[must_use]
    pub fn width(self) -> usize {
        usize::try_from(i64::from(self.x2) - i64::from(self.x1)).unwrap_or(0)
    }

    /// Height in pixels; 0 for a rectangle turned inside out.
    #[must_use]
    pub fn height(self) -> usize {
        usize::try_from(i64::from(self.y2) - i64::from(self.y1)).unwrap_or(0)
    }

    /// True where it holds no pixel.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.width() == 0 || self.height() == 0
    }

    /// The pixels in both.
    #[must_use]
    pub fn intersect(self, other: Self) -> Self {
        Self {
            x1: self.x1.max(other.x1),
            y1: self.y1.max(other.y1),
            x2: self.x2.min(other.x2),
            y2: self.y2.min(other.y2),
        }
    }

    /// True for a pixel inside.
    #[must_use]
    pub fn contains(self, x: i32, y: i32) -> bool {
        self.x1 <= x && x < self.x2 && self.y1 <= y && y < self.y2
    }
}

impl From<[i32; 4]> for RectI {
    fn from([x1, y1, x2, y2]: [i32; 4]) -> Self {
        Self { x1, y1, x2, y2 }
    }
}

/// A rectangle in canonical coordinates (square pixels at full scale), y upwards.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RectD {
    /// Left edge.
    pub x1: f64,
    /// Bottom edge.
    pub y1: f64,
    /// Right edge.
    pub x2: f64,
    /// Top edge.
    pub y2: f64,
}

impl RectD {
    /// The rectangle with these edges.
    #[must_use]
    pub const fn new(x1: f64, y1: f64, x2: f64, y2: f64) -> Self {
        Self { x1, y1, x2, y2 }
    }

    /// The smallest rectangle of whole pixels around it, for a render scale and a pixel aspect
    /// ratio: pixel = canonical * scale / PAR in x, canonical * scale in y.
    #[must_use]
    pub fn to_pixels(self, scale: [f64; 2], pixel_aspect_ratio: f64) -> RectI {
        let x = scale[0] / pixel_aspect_ratio;
        RectI {
            x1: (self.x1 * x).floor() as i32,
            y1: (self.y1 * scale[1]).floor() as i32,
            x2: (self.x2 * x).ceil() as i32,
            y2: (self.y2 * scale[1]).ceil() as i32,
        }
    }

    /// The edges in the order OpenFX's properties have them.
    #[must_use]
    pub fn edges(self) -> [f64; 4] {
        [self.x1, self.y1, self.x2, self.y2]
    }
}

impl From<[f64; 4]> for RectD {
    fn from([x1, y1, x2, y2]: [f64; 4]) -> Self {
        Self { x1, y1, x2, y2 }
    }
}

impl From<sys::OfxRectD> for RectD {
    fn from(r: sys::OfxRectD) -> Self {
        Self { x1: r.x1, y1: r.y1, x2: r.x2, y2: r.y2 }
    }
}

impl From<RectD> for sys::OfxRectD {
    fn from(r: RectD) -> Self {
        Self { x1: r.x1, y1: r.y1, x2: r.x2, y2: r.y2 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rectangle_without_end_has_a_width() {
        let all = RectI::new(i32::MIN, i32::MIN, i32::MAX, i32::MAX);
        assert_eq!(all.width(), u32::MAX as usize);
        assert_eq!(all.intersect(RectI::new(-3, 2, 5, 4)), RectI::new(-3, 2, 5, 4));
        assert!(RectI::new(5, 0, 3, 4).is_empty());
    }

    #[test]
    fn anamorphic_half_scale_pixels() {
        let region = RectD::new(-10.0, 0.0, 1920.0, 1081.0);
        assert_eq!(region.to_pixels([0.5, 0.5], 2.0), RectI::new(-3, 0, 480, 541));
    }
}
