//! What is measured of a gateway that runs.

mod cpu;
mod generator;
mod search;
mod setting;
mod tcp;
mod trial;

pub use cpu::{resident, used};
pub use generator::cost_of_a_turn;
pub use search::{Patience, Point, measure};
pub use setting::{Case, Setting};
pub use tcp::bits_per_second;
pub use trial::Trial;
