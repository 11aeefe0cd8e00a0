//! Acting tests: a real host, engine, store and blob store; a source of directories and an edge that
//! balances real requests.

mod ask;
mod chaos;
mod copies;
mod deploy;
pub mod fakes;
mod identity;
mod keep;
mod node;
mod own;
mod serve;
