//! A strict headless OpenFX host and the program ofx-run.
