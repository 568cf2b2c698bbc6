//! Memory plan.
