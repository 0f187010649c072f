//! What says which meetings are to be recovered, beside a person who gives a period.

pub mod automatic;
pub mod csv;
