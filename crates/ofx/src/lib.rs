//! OpenFX made safe, plug-in side.
