//! Pictures: frames, masks, colour, geometry, ranges, image files and the job protocol.
