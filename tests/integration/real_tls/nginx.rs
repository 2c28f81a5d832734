//! nginx in front of a scripted peer.
