//! The power fails at every single operation of the disk.
