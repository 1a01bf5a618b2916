//! The Ringmain node.
