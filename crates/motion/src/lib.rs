//! Motion in pictures: follows a surface through a shot inside its mask, and carries paint along with its light.
#![forbid(unsafe_code)]

pub mod carry;
mod edge;
pub mod field;
pub mod fill;
mod lanes;
pub mod light;
mod pair;
mod pattern;
pub mod plane;
pub mod polynomial;
pub mod register;
pub mod solve;
pub mod spline;
pub mod track;
pub mod view;
