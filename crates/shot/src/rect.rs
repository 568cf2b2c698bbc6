//! Pixel rectangles, half-open, y down from the top left of the source frame.

use serde::{Deserialize, Serialize};

/// Pixels `x1 <= x < x2`, `y1 <= y < y2`; empty when a side has no length.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rect {
    /// Left edge.
    pub x1: i32,
    /// Top edge.
    pub y1: i32,
    /// Right edge, outside.
    pub x2: i32,
    /// Bottom edge, outside.
    pub y2: i32,
}

impl Rect {
    /// The rectangle with these edges.
    pub const fn new(x1: i32, y1: i32, x2: i32, y2: i32) -> Self {
        Self { x1, y1, x2, y2 }
    }

    /// A whole frame of this width and height.
    pub const fn of_size(size: [u32; 2]) -> Self {
        Self::new(0, 0, size[0] as i32, size[1] as i32)
    }

    /// Width in pixels, 0 when empty.
    pub fn width(&self) -> usize {
        (self.x2 - self.x1).max(0) as usize
    }

    /// Height in pixels, 0 when empty.
    pub fn height(&self) -> usize {
        (self.y2 - self.y1).max(0) as usize
    }

    /// Whether it holds no pixel.
    pub fn is_empty(&self) -> bool {
        self.width() == 0 || self.height() == 0
    }

    /// The smallest rectangle round both; an empty one adds nothing.
    pub fn union(&self, other: &Rect) -> Rect {
        if self.is_empty() {
            return *other;
        }
        if other.is_empty() {
            return *self;
        }
        Rect::new(self.x1.min(other.x1), self.y1.min(other.y1), self.x2.max(other.x2), self.y2.max(other.y2))
    }

    /// What both share; empty when nothing.
    pub fn intersect(&self, other: &Rect) -> Rect {
        Rect::new(self.x1.max(other.x1), self.y1.max(other.y1), self.x2.min(other.x2), self.y2.min(other.y2))
    }

    /// Whether all of `other` lies inside. An empty one always does.
    pub fn contains(&self, other: &Rect) -> bool {
        other.is_empty()
            || (self.x1 <= other.x1 && self.y1 <= other.y1 && self.x2 >= other.x2 && self.y2 >= other.y2)
    }

    /// Grown by `pixels` on all four sides.
    pub fn expanded(&self, pixels: i32) -> Rect {
        Rect::new(self.x1 - pixels, self.y1 - pixels, self.x2 + pixels, self.y2 + pixels)
    }

    /// Moved by `dx`, `dy`.
    pub fn moved(&self, dx: i32, dy: i32) -> Rect {
        Rect::new(self.x1 + dx, self.y1 + dy, self.x2 + dx, self.y2 + dy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_rectangle_adds_nothing_and_is_everywhere() {
        let (box_, empty) = (Rect::new(2, 3, 7, 9), Rect::new(100, 100, 100, 200));
        assert_eq!(box_.union(&empty), box_);
        assert_eq!(empty.union(&box_), box_);
        assert!(box_.contains(&empty));
        assert!(box_.intersect(&Rect::new(7, 3, 9, 9)).is_empty());
    }

    #[test]
    fn union_contains_both_and_intersection_is_contained() {
        let (a, b) = (Rect::new(-4, 0, 5, 5), Rect::new(1, -7, 9, 3));
        let (both, shared) = (a.union(&b), a.intersect(&b));
        assert!(both.contains(&a) && both.contains(&b));
        assert_eq!(shared, Rect::new(1, 0, 5, 3));
        assert_eq!((a.expanded(2).width(), a.moved(3, 1).height()), (13, 5));
    }
}
