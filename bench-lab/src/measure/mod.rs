//! What is measured of a gateway that runs.

mod cpu;
mod ends;
mod generator;
mod search;
mod setting;
mod tcp;
mod trial;

pub use cpu::{resident, used};
pub use ends::End;
pub use generator::cost_of_a_turn;
pub use search::{Patience, Point, measure};
pub use setting::{Case, Setting};
pub use tcp::{Stream, stream};
pub use trial::Trial;
