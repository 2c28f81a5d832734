//! The properties that the targets look for exceptions to. They are the crate's, which tests them
//! too.

#[path = "../../src/properties/mod.rs"]
mod properties;

pub use properties::{
    backoff, decoder, encode, input, receive_path, request, serve_path,
};
