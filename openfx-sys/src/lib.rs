//! The OpenFX C ABI in use: types, constants and status codes.
