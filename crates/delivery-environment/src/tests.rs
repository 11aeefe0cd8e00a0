//! Acting tests: a real store, engine and blob store; an edge that notes what it is told, and a stop job that
//! does as the test says.

mod chaos;
mod life;
mod site;
mod world;
