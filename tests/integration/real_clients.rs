//! Real clients of our server. And the chat example, with clients of our own.

mod chat;
