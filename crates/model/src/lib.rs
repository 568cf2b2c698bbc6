//! The Wan networks, their kernels, flow mathematics, sampling and weights.
